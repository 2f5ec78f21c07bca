r"""Outputs and slopes of a network at points, with their derivatives by θ and by the inputs.

A `Quantity` is an output :math:`y_k` or a derivative :math:`∂y_k/∂x_j`,
:math:`∂^2y_k/∂x_j^2` at one point, or the same of the output's `Link`. All derivatives are made by
the chain rule from the one formula of the network. Quantities that differ in their input only are
one `Family`: the direction is an argument of its graphs, so that each is made once, and points of
several of them are evaluated together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.differentiation import grad, jvp, value_and_grad, vmap
from thalweg.optim.functions import Evaluator, evaluator
from thalweg.tracing import trace_tree
from thalweg.training.constraints.frame import Frame, Vector

__all__ = ["Family", "Pointwise", "Quantity"]

Matrix = NDArray[np.float64]

FEWEST = 32
"""Rows of points in one evaluation, at least: sizes are powers of two."""
MOST = {"values": 2048, "jacobian": 256, "pull": 1024, "slopes": 2048}
"""And at most."""
DIRECTIONS = 16
"""Along which second derivatives are made at once."""


@dataclass(frozen=True)
class Quantity:
    """An output, or one of its derivatives along an input.

    Attributes
    ----------
    order : int
        0 for the output itself.
    input, output : int
    linked : bool
        Whether it is that of the output's link.
    """

    order: int
    input: int
    output: int
    linked: bool = False


class Family:
    """Quantities of one order and output, at points and along directions in the space of inputs.

    Parameters
    ----------
    order, output : int
    linked : bool
    frame : Frame
    """

    def __init__(self, order: int, output: int, linked: bool, frame: Frame) -> None:
        self.order, self.output, self.linked, self.frame = order, output, linked, frame
        self.unit = 1.0 if linked else float(frame.output_sizes[output])
        self.parameters = frame.network.count
        self._made: dict[tuple[Any, ...], Evaluator] = {}

    # -- as it is traced ------------------------------------------------------------------------
    def _at(self, theta: Any, x: Any, along: Any) -> Any:
        f = self.frame.part(self.frame.params(theta), self.output, self.linked)

        def derived(order: int, point: Any) -> Any:
            if order == 0:
                return f(point)
            return jvp(lambda z: derived(order - 1, z), (point,), (along,))[1]

        return derived(self.order, x) / self.unit

    def _values(self, theta: Any, X: Any, A: Any) -> Any:
        return vmap(self._at, (None, 0, 0))(theta, X, A)

    def _jacobian(self, theta: Any, X: Any, A: Any) -> Any:
        return vmap(value_and_grad(self._at), (None, 0, 0))(theta, X, A)

    def _slopes(self, theta: Any, X: Any, A: Any) -> Any:
        def one(x: Any, along: Any) -> Any:
            return value_and_grad(lambda point: self._at(theta, point, along))(x)

        return vmap(one)(X, A)

    def _pull(self, theta: Any, X: Any, A: Any, u: Any) -> Any:
        return grad(lambda t: (u * self._values(t, X, A)).sum())(theta)

    def _products(self, theta: Any, X: Any, A: Any, u: Any, V: Any) -> Any:
        def along(v: Any) -> Any:
            return jvp(lambda t: self._pull(t, X, A, u), (theta,), (v,))[1]

        return vmap(along)(V)

    # -- as it is asked -------------------------------------------------------------------------
    def _run(self, what: str, theta: Vector, X: Matrix, A: Matrix, *others: Any) -> list[Any]:
        """Evaluate with the rows padded to a number for which there is a graph."""
        capacity = FEWEST
        while capacity < len(X):
            capacity *= 2
        extra = capacity - len(X)
        X, A = (np.concatenate([a, np.tile(a[:1], (extra, 1))]) for a in (X, A))
        u = [np.concatenate([a, np.zeros(extra)]) for a in others[:1]]
        given = [theta, X, A, *u, *others[1:]]
        shape = (what, *(len(a) for a in given[1:]))
        if shape not in self._made:
            graph = trace_tree(getattr(self, f"_{what}"), [np.zeros(a.shape) for a in given]).graph
            self._made[shape] = evaluator(graph)
        return self._made[shape](given)

    def _in_parts(self, what: str, theta: Vector, *rows: Any) -> list[list[Any]]:
        """Evaluate so many rows at a time, and cut off what padded them."""
        most = MOST[what]
        parts = [[a[at : at + most] for a in rows] for at in range(0, len(rows[0]), most)]
        return [[a[: len(part[0])] for a in self._run(what, theta, *part)] for part in parts]

    def values(self, theta: Vector, X: Matrix, A: Matrix) -> Vector:
        """The quantity at points along directions, shape (m,)."""
        found = self._in_parts("values", theta, X, A)
        return np.concatenate([part[0] for part in found]) if found else np.zeros(0)

    def slopes(self, theta: Vector, X: Matrix, A: Matrix) -> tuple[Vector, Matrix]:
        """The quantity and its gradient by the point, shapes (m,) and (m, n[0])."""
        return self._pairs("slopes", theta, X, A)

    def jacobian(self, theta: Vector, X: Matrix, A: Matrix) -> tuple[Vector, Matrix]:
        """The quantity and its gradient by θ, shapes (m,) and (m, P)."""
        return self._pairs("jacobian", theta, X, A)

    def _pairs(self, what: str, theta: Vector, X: Matrix, A: Matrix) -> tuple[Vector, Matrix]:
        values, slopes = zip(*self._in_parts(what, theta, X, A), strict=True)
        return np.concatenate(values), np.concatenate(slopes)

    def pull(self, theta: Vector, X: Matrix, A: Matrix, u: Vector) -> Vector:
        """The Jacobian's transpose times u."""
        most, found = MOST["pull"], np.zeros(len(theta))
        for at in range(0, len(X), most):
            own = slice(at, at + most)
            found += self._run("pull", theta, X[own], A[own], u[own])[0]
        return found

    def products(self, theta: Vector, X: Matrix, A: Matrix, u: Vector, V: Matrix) -> Matrix:
        """Σ uᵢ ∇²qᵢ times directions, one in each row of V."""
        found = []
        for at in range(0, len(V), DIRECTIONS):
            block = V[at : at + DIRECTIONS]
            padded = np.zeros((1 if len(V) == 1 else DIRECTIONS, V.shape[1]))
            padded[: len(block)] = block
            found.append(self._run("products", theta, X, A, u, padded)[0][: len(block)])
        return np.concatenate(found)


class Pointwise:
    """A quantity at any number of points, in its own size.

    Parameters
    ----------
    quantity : Quantity
    family : Family

    Attributes
    ----------
    size : float
        What it is measured in: deviations of the output (or units of its link) per deviation of
        the input.
    direction : array of shape (n[0],)
        That input's deviation.
    """

    def __init__(self, quantity: Quantity, family: Family) -> None:
        self.quantity, self.family = quantity, family
        step = float(family.frame.input_sizes[quantity.input])
        self.size = family.unit / step**quantity.order
        self.direction = np.zeros(family.frame.network.inputs)
        self.direction[quantity.input] = step

    def along(self, X: Matrix) -> Matrix:
        """Its direction, a row for every point."""
        return np.broadcast_to(self.direction, X.shape)

    def values(self, theta: Vector, X: Matrix) -> Vector:
        """The quantity at points, shape (m,)."""
        return self.family.values(theta, X, self.along(X))
