r"""Gauss-Newton steps by products alone, for networks and tables too large for any matrix.

:math:`J^\top(S(Jv))` needs two small matrix products for every layer and block of samples:
:math:`(Jv)_i = \sum_l Δ_i[l]\,V[l]\,ā_i[l]` and :math:`J^\top u = \sum_i (Δ_i^\top u_i) ⊗ ā_i`.
Conjugate gradients, with the diagonal of H as a preconditioner, solve with them
(Martens, ICML 2010). δ and activations are kept where they fit into `KEPT_BYTES`, and made anew
for every product where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import OptionError
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.blas import single_threaded_blas
from thalweg.training.batches import Samples
from thalweg.training.sensitivities import Sensitivities, sensitivities

__all__ = ["MatrixFree", "Products", "conjugate_gradients"]

Array = NDArray[Any]
KEPT_BYTES = 256 << 20
BLOCK_BYTES = 4 << 20
TOLERANCE = 1e-6
MOST_ITERATIONS = 250


class MatrixFree:
    """Makes products with H.

    Parameters
    ----------
    objective : NetworkObjective
    samples : Samples
    native : bool
        Whether blocks are made by native code.
    tolerance : float
        Of the residual of a step's equations, relative to their right-hand side.
    iterations : int
        The most for a step.
    """

    def __init__(
        self,
        objective: NetworkObjective,
        samples: Samples,
        native: bool,
        tolerance: float = TOLERANCE,
        iterations: int = MOST_ITERATIONS,
    ) -> None:
        self.tolerance, self.iterations = tolerance, iterations
        self.total = float(samples.weights.sum()) or 1.0
        network = objective.network
        width = sum(layer.inputs + network.outputs * layer.outputs for layer in network.layers)
        block = int(np.clip(BLOCK_BYTES // (8 * width), 32, 1024))
        self.blocks, self.read = sensitivities(objective, samples, block, native)
        self.kept = 8 * width * len(samples.X) <= KEPT_BYTES

    def at(self, theta: Array) -> tuple[float, Array, Products]:
        """Mean loss, its gradient, and its curvature at a point."""
        curvature = Products(self, theta.copy())
        return curvature.loss, curvature.gradient, curvature

    def over_samples(
        self,
        theta: Array,
        kept: Sequence[Sensitivities] | None,
        use: Callable[[Sensitivities], Array],
    ) -> Iterator[Array]:
        """``use`` of every block, from what was kept or made anew."""
        if kept is not None:
            return self.blocks.each(use, kept)
        return self.blocks.map(theta, lambda found, slot: use(self.read(found, slot)))


class Products:
    """A curvature that can only be multiplied with.

    Parameters
    ----------
    owner : MatrixFree
    theta : array of shape (P,)
        Where.
    """

    def __init__(self, owner: MatrixFree, theta: Array) -> None:
        self.owner, self.theta, self.places = owner, theta, owner.blocks.places
        self.kept: list[Sensitivities] | None = None
        loss, gradient = 0.0, np.zeros(self.places.count)
        diagonal, kept = np.zeros(self.places.count), []

        def first(seen: Sensitivities) -> tuple[Sensitivities | None, float, Array, Array]:
            own = self.places.vector(seen.diagonal())
            return seen if owner.kept else None, seen.value, seen.gradient, own

        with single_threaded_blas():
            blocks = owner.blocks.map(theta, lambda found, slot: first(owner.read(found, slot)))
            for seen, value, slope, own in blocks:
                kept.append(seen)
                loss += value
                gradient += slope
                diagonal += own
        if owner.kept:
            self.kept = [seen for seen in kept if seen is not None]
        self.loss, self.gradient = loss / owner.total, gradient / owner.total
        self.diagonal = diagonal / owner.total

    def product(self, v: Array) -> Array:
        """H·v."""
        matrices = self.places.matrices(v)

        def of_block(seen: Sensitivities) -> Array:
            u = np.matmul(seen.curvatures, seen.product(matrices)[:, :, None])[:, :, 0]
            return self.places.vector(seen.transposed(u))

        total = np.zeros_like(v)
        for part in self.owner.over_samples(self.theta, self.kept, of_block):
            total += part
        total /= self.owner.total
        return total

    def solve(self, diagonal: Array, extra: Array) -> Array | None:
        """By conjugate gradients."""
        right = -(self.gradient + extra)
        with single_threaded_blas():
            return conjugate_gradients(
                lambda v: self.product(v) + diagonal * v,
                right,
                self.diagonal + diagonal,
                self.owner.tolerance,
                self.owner.iterations,
            )

    def matrix(self) -> Array:
        """All of it, column by column."""
        return np.array([self.product(e) for e in np.eye(len(self.theta))])

    @cached_property
    def _refusal(self) -> OptionError:
        return OptionError(
            "Bayesian regularisation needs the eigenvalues of H, which are out of reach "
            "for {count} parameters and so many samples: choose a smaller network, or "
            "method 'lm' with l2=...",
            count=len(self.theta),
        )

    def eigenvalues(self) -> Array:
        """Not from products.

        Raises
        ------
        OptionError
        """
        raise self._refusal


def conjugate_gradients(
    product: Callable[[Array], Array],
    right: Array,
    preconditioner: Array,
    tolerance: float,
    iterations: int,
) -> Array | None:
    """Solve A·x = b for a positive definite A; None if it is not.

    Parameters
    ----------
    product : callable
        A·v.
    right : array of shape (P,)
        b.
    preconditioner : array of shape (P,)
        The diagonal of A, or what is near it.
    tolerance : float
        Of the residual, relative to b.
    iterations : int
        The most; the residual is at right angles to x whenever it ends.

    Examples
    --------
    >>> A = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> conjugate_gradients(A.__matmul__, A @ [1.0, -1.0], np.diag(A), 1e-12, 10)
    array([ 1., -1.])
    """
    x, residual = np.zeros_like(right), right.copy()
    limit = tolerance * float(np.linalg.norm(right))
    scaled = residual / preconditioner
    direction, before = scaled, float(residual @ scaled)
    for _ in range(iterations):
        if np.linalg.norm(residual) <= limit:
            break
        along = product(direction)
        curvature = float(direction @ along)
        if not curvature > 0.0:
            return None
        length = before / curvature
        x += length * direction
        residual -= length * along
        scaled = residual / preconditioner
        now = float(residual @ scaled)
        direction = scaled + (now / before) * direction
        before = now
    return x
