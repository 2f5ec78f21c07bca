r"""Quadratic models of a network's objective, in the form that suits the shapes.

With outputs :math:`z_i = f(θ, x_i)`, their Jacobian :math:`J_i = ∂z_i/∂θ` and the loss
:math:`ℓ(z, t)`, the generalised Gauss-Newton matrix (Schraudolph 2002) of the objective is

.. math:: H = \frac{1}{\sum w_i} \sum_i w_i\, J_i^\top \frac{∂^2ℓ}{∂z^2} J_i
          + \frac{∂^2\,\text{penalty}}{∂θ^2} ,

which is :math:`2 J^\top J / N` for the mean squared error. J is never kept. There are three
ways to solve :math:`(H + μI)\,s = -g`, for n samples of O outputs each and P parameters:

========== ================================ ================ ======================= ==========
form       taken where                      memory           flops for H             for a step
========== ================================ ================ ======================= ==========
primal     P ≤ n·O and P ≤ 5000             4 P²             at most n·P²            P³/3
dual       n·O < P and n·O ≤ 5000           3 (n·O)² + n·m   2 n²·O²·m               (n·O)³/3
products   both larger                      n·m, or 256 MiB  none                    4 k·n·O·P/r
========== ================================ ================ ======================= ==========

Here m is the sum over the layers of n[l-1] + O·n[l], r the mean number of neurons of a layer
with which parameters share their δ, and k the number of iterations of conjugate gradients, which
solve to a tolerance; the others are exact up to rounding. The forms are chosen by the shapes
alone (`form_for`), never by a timing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from thalweg.differentiation import backward, forward
from thalweg.errors import OptionError, suggest
from thalweg.graph import Graph, constant
from thalweg.interpreter import plan
from thalweg.nn.network import Params
from thalweg.nn.objective import NetworkObjective
from thalweg.training.batches import Samples
from thalweg.training.sensitivities import Places
from thalweg.trees import flatten

__all__ = [
    "FORMS",
    "Curvature",
    "Form",
    "NormalEquations",
    "PenaltyDerivatives",
    "Quadratic",
    "form_for",
    "vector",
]

Array = NDArray[Any]
FORMS = ("auto", "primal", "dual", "products")
LARGEST_MATRIX = 5000
"""Rows of the largest matrix that is factored; its numbers take 200 MB."""


class Curvature(Protocol):
    """H without the penalty, in one of the forms."""

    @property
    def diagonal(self) -> Array:
        """Its diagonal, shape (P,)."""

    def solve(self, diagonal: Array, extra: Array) -> Array | None:
        """The s of ``(H + diag(diagonal)) s = -(g + extra)``; g is the gradient of the loss.

        None where the matrix is not positive definite.
        """

    def matrix(self) -> Array:
        """All of it, shape (P, P)."""

    def eigenvalues(self) -> Array:
        """Its P eigenvalues."""


class Form(Protocol):
    """One way to make curvatures."""

    def at(self, theta: Array) -> tuple[float, Array, Curvature]:
        """Mean loss, its gradient, and its curvature at a point."""


@dataclass(frozen=True)
class Quadratic:
    """A quadratic model of the objective at a point.

    Attributes
    ----------
    value : float
        Objective with its penalty.
    loss : float
        Without it.
    gradient : array of shape (P,)
        Of the objective.
    curvature : Curvature
        Of the loss.
    slope, bend : array of shape (P,)
        The penalty's part of the gradient, and its second derivatives.
    """

    value: float
    loss: float
    gradient: Array
    curvature: Curvature
    slope: Array
    bend: Array

    def with_decay(self, theta: Array, decay: float) -> Quadratic:
        """The model of the objective and λ/2 |θ|², λ being the `decay`."""
        if decay == 0.0:
            return self
        value = self.value + 0.5 * decay * float(theta @ theta)
        pull = decay * theta
        return Quadratic(
            value,
            self.loss,
            self.gradient + pull,
            self.curvature,
            self.slope + pull,
            self.bend + decay,
        )

    @property
    def top(self) -> float:
        """The largest diagonal entry of H."""
        return float(np.max(self.curvature.diagonal + self.bend, initial=0.0))

    def step(self, mu: float) -> Array | None:
        """The step of ``(H + μ I) s = -g``; None if that is not positive definite."""
        step = self.curvature.solve(self.bend + mu, self.slope)
        return None if step is None or not math.isfinite(step @ step) else step

    def matrix(self) -> Array:
        """H, shape (P, P)."""
        found = self.curvature.matrix()
        found[np.diag_indices(len(found))] += self.bend
        return found


def form_for(samples: int, outputs: int, parameters: int) -> str:
    """The form for so many samples, outputs and parameters.

    Examples
    --------
    >>> form_for(2000, 1, 501), form_for(300, 1, 200_000), form_for(10**6, 1, 200_000)
    ('primal', 'dual', 'products')
    """
    rows = samples * outputs
    if min(rows, parameters) > LARGEST_MATRIX:
        return "products"
    return "dual" if rows < parameters else "primal"


class NormalEquations:
    """Makes the quadratic model of an objective over given samples.

    Parameters
    ----------
    objective : NetworkObjective
    X, T, weights : array
        Of shapes (n, n[0]), (n, n[L]), (n,); weights of zero leave a sample out.
    native : bool
        Whether blocks are made by native code.
    form : {"auto", "primal", "dual", "products"}
        See the table above; ``"auto"`` chooses by the shapes.

    Raises
    ------
    OptionError
        For another form.
    """

    def __init__(
        self,
        objective: NetworkObjective,
        X: Array,
        T: Array,
        weights: Array,
        native: bool = True,
        form: str = "auto",
    ) -> None:
        if form not in FORMS:
            raise OptionError(
                "There is no form {form!r}.{hint}", form=form, hint=suggest(form, FORMS)
            )
        self.objective = objective
        self.X, self.T, self.weights = samples = Samples(
            *(np.ascontiguousarray(a, np.float64) for a in (X, T, weights))
        )
        self.total = float(samples.weights.sum()) or 1.0
        self.places = Places(objective.network)
        self.count = self.places.count
        if form == "auto":
            form = form_for(len(X), objective.network.outputs, self.count)
        self.form = form
        self._made = _make_form(form, objective, samples, native)
        self._penalty = PenaltyDerivatives(objective, self.total) if objective.penalty else None

    def at(self, theta: Array) -> Quadratic:
        """The model at a point, given as one vector of all parameters.

        Its bits do not depend on the number of threads.
        """
        loss, gradient, curvature = self._made.at(theta)
        if self._penalty is None:
            none = np.zeros(self.count)
            return Quadratic(loss, loss, gradient, curvature, none, none)
        price, slope, bend = self._penalty(self.split(theta))
        return Quadratic(loss + price, loss, gradient + slope, curvature, slope, bend)

    def split(self, theta: Array) -> list[Array]:
        """One vector as W[1], b[1], W[2], ..."""
        return self.places.leaves(theta)

    def penalty(self, theta: Array) -> float:
        """What the objective holds beside the loss."""
        return self._penalty(self.split(theta))[0] if self._penalty else 0.0


def _make_form(form: str, objective: NetworkObjective, samples: Samples, native: bool) -> Form:
    if form == "primal":
        from thalweg.training.primal import Primal

        return Primal(objective, samples, native)
    if form == "dual":
        from thalweg.training.dual import Dual

        return Dual(objective, samples, native)
    from thalweg.training.matrix_free import MatrixFree

    return MatrixFree(objective, samples, native)


class PenaltyDerivatives:
    """A penalty, its gradient, and its second derivatives by each parameter.

    Penalties are sums over single weights, so that their Hessian is diagonal, and its product
    with a vector of ones is that diagonal.

    Parameters
    ----------
    objective : NetworkObjective
        With a penalty.
    total : float
        The sum of the sample weights.
    """

    def __init__(self, objective: NetworkObjective, total: float) -> None:
        params = objective.params_like()
        leaves = flatten(params)[0]
        price = objective.penalty(params, total)
        derivation = backward(price, leaves)
        slopes = [derivation.gradient(leaf) for leaf in leaves]
        bends = forward(slopes, leaves, [constant(np.ones(leaf.shape)) for leaf in leaves])
        self._run = plan(Graph(tuple(leaves), (price, *slopes, *bends)))
        self._leaves = len(leaves)

    def __call__(self, leaves: Sequence[Array]) -> tuple[float, Array, Array]:
        """Value, gradient and second derivatives at W[1], b[1], ...; the latter of shape (P,)."""
        price, *rest = self._run(list(leaves))
        slopes, bends = (
            np.concatenate([np.ravel(a) for a in part])
            for part in (rest[: self._leaves], rest[self._leaves :])
        )
        return float(price), slopes, bends


def vector(params: Params) -> Array:
    """All parameters as one vector of float64."""
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in flatten(params)[0]])
