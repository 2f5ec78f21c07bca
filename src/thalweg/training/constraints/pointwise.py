r"""Outputs and slopes of a network at points, as functions of its parameters.

A `Quantity` is an output :math:`y_k` or a derivative :math:`∂y_k/∂x_j`,
:math:`∂^2y_k/∂x_j^2` at one point, in own units. `Pointwise` gives it for many points with its
derivatives with respect to θ, such as :math:`∂^2y_k/∂x_j∂θ`, all by the chain rule from the one
formula of the network. `PointConstraint` puts a limit to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.differentiation import grad, jvp, value_and_grad, vmap
from thalweg.optim.functions import Evaluator, Smooth, evaluator
from thalweg.tracing import trace_tree
from thalweg.training.constraints.frame import Frame, Function, Vector

__all__ = ["PointConstraint", "Pointwise", "Quantity", "Stack"]

Matrix = NDArray[np.float64]

FEWEST, MOST = 32, 2048  # rows of points in one evaluation
FAINT, LOUD = 0.01, 64  # of the largest weight, and after so many: left out of second derivatives
SMALL = 200  # parameters, up to which these are cheap
DIRECTIONS = 16  # along which second derivatives are made at once


@dataclass(frozen=True)
class Quantity:
    """An output, or one of its derivatives along an input.

    Attributes
    ----------
    order : int
        0 for the output itself.
    input, output : int
    """

    order: int
    input: int
    output: int

    def __call__(self, f: Function, x: Any) -> Any:
        """Its value at one point."""
        along = np.zeros(x.shape)
        along[self.input] = 1.0

        def derived(order: int, point: Any) -> Any:
            if order == 0:
                return f(point)[self.output]
            return jvp(lambda z: derived(order - 1, z), (point,), (along,))[1]

        return derived(self.order, x)

    def size(self, frame: Frame) -> float:
        """What it is measured in: deviations of the output per deviation of the input."""
        return float(frame.output_sizes[self.output] / frame.input_sizes[self.input] ** self.order)


class Pointwise:
    """A quantity at any number of points, in its own size.

    Parameters
    ----------
    quantity : Quantity
    frame : Frame
    """

    def __init__(self, quantity: Quantity, frame: Frame) -> None:
        self.quantity, self.frame = quantity, frame
        self.size = quantity.size(frame)
        self.parameters = frame.network.count
        self._made: dict[tuple[Any, ...], Evaluator] = {}

    def _at(self, theta: Any, x: Any) -> Any:
        return self.quantity(self.frame.function(self.frame.params(theta)), x) / self.size

    def _values(self, theta: Any, X: Any) -> Any:
        return vmap(self._at, (None, 0))(theta, X)

    def _jacobian(self, theta: Any, X: Any) -> Any:
        return vmap(value_and_grad(self._at), (None, 0))(theta, X)

    def _pull(self, theta: Any, X: Any, u: Any) -> Any:
        return grad(lambda t: (u * self._values(t, X)).sum())(theta)

    def _products(self, theta: Any, X: Any, u: Any, V: Any) -> Any:
        def along(v: Any) -> Any:
            return jvp(lambda t: self._pull(t, X, u), (theta,), (v,))[1]

        return vmap(along)(V)

    def _run(self, what: str, theta: Vector, X: Matrix, *others: Vector) -> list[Any]:
        """Evaluate with X padded to a number of rows for which there is a graph."""
        capacity = FEWEST
        while capacity < len(X):
            capacity *= 2
        extra = capacity - len(X)
        X = np.concatenate([X, np.tile(X[:1], (extra, 1))])
        u = [np.concatenate([a, np.zeros(extra)]) for a in others[:1]]
        given = [theta, X, *u, *others[1:]]
        shape = (what, *(len(a) for a in given[1:]))
        if shape not in self._made:
            graph = trace_tree(getattr(self, f"_{what}"), [np.zeros(a.shape) for a in given]).graph
            self._made[shape] = evaluator(graph)
        return self._made[shape](given)

    def values(self, theta: Vector, X: Matrix) -> Vector:
        """The quantity at points, shape (m,)."""
        parts = [X[at : at + MOST] for at in range(0, len(X), MOST)]
        found = [self._run("values", theta, part)[0][: len(part)] for part in parts]
        return np.concatenate(found) if found else np.zeros(0)

    def jacobian(self, theta: Vector, X: Matrix) -> tuple[Vector, Matrix]:
        """The quantity at points and its Jacobian, shape (m, P)."""
        value, slopes = self._run("jacobian", theta, X)
        return value[: len(X)], slopes[: len(X)]

    def pull(self, theta: Vector, X: Matrix, u: Vector) -> Vector:
        """The Jacobian's transpose times u."""
        return np.asarray(self._run("pull", theta, X, u)[0])

    def products(self, theta: Vector, X: Matrix, u: Vector, V: Matrix) -> Matrix:
        """Σ uᵢ ∇²qᵢ times directions, one in each row of V."""
        found = []
        for at in range(0, len(V), DIRECTIONS):
            block = V[at : at + DIRECTIONS]
            padded = np.zeros((1 if len(V) == 1 else DIRECTIONS, V.shape[1]))
            padded[: len(block)] = block
            found.append(self._run("products", theta, X, u, padded)[0][: len(block)])
        return np.concatenate(found)


class PointConstraint(Smooth):
    """sign·(q(xᵢ) - limitᵢ) + margin at points, as a function of the parameters.

    Parameters
    ----------
    quantity : Pointwise
    points : array of shape (m, n[0])
    sign : float
        1 for "at most", -1 for "at least".
    limits : array of shape (m,)
        In the quantity's size.
    margin : float
    """

    has_curvature = True

    def __init__(
        self, quantity: Pointwise, points: Matrix, sign: float, limits: Vector, margin: float = 0.0
    ) -> None:
        self.quantity, self.points, self.sign, self.limits = quantity, points, sign, limits
        self.margin = margin
        self.n, self.m = quantity.parameters, len(points)

    def _of(self, q: Vector) -> Vector:
        return np.asarray(self.sign * (q - self.limits) + self.margin)

    def value(self, x: Vector) -> Vector:
        """F(x), shape (m,)."""
        return self._of(self.quantity.values(x, self.points))

    def derivative(self, x: Vector) -> tuple[Vector, Matrix]:
        """F(x) and its Jacobian."""
        value, slopes = self.quantity.jacobian(x, self.points)
        return self._of(value), self.sign * slopes

    def pull(self, x: Vector, u: Vector) -> tuple[Vector, Vector]:
        """F(x) and Jᵀu."""
        return self.value(x), self.sign * self.quantity.pull(x, self.points, u)

    def curvature_product(self, x: Vector, u: Vector, v: Vector) -> Vector:
        """Σ uᵢ∇²Fᵢ(x) times v."""
        return np.asarray(self.sign * self.quantity.products(x, self.points, u, v[None, :])[0])

    def curvature(self, x: Vector, u: Vector) -> Matrix:
        """Σ uᵢ∇²Fᵢ(x), from the points whose weight is not zero."""
        own = np.flatnonzero(u)
        columns = self.quantity.products(x, self.points[own], u[own], np.eye(self.n))
        return np.asarray(0.5 * self.sign * (columns + columns.T))


class Stack(Smooth):
    """Several functions one after the other."""

    has_curvature = True

    def __init__(self, parts: Sequence[Smooth]) -> None:
        self.parts = tuple(parts)
        self.n, self.m = parts[0].n, sum(part.m for part in parts)

    def split(self, u: Vector) -> list[Vector]:
        """What belongs to each of the parts."""
        return np.split(u, np.cumsum([part.m for part in self.parts])[:-1])

    def value(self, x: Vector) -> Vector:
        """F(x), shape (m,)."""
        return np.concatenate([part.value(x) for part in self.parts])

    def derivative(self, x: Vector) -> tuple[Vector, Matrix]:
        """F(x) and its Jacobian."""
        values, slopes = zip(*(part.derivative(x) for part in self.parts), strict=True)
        return np.concatenate(values), np.concatenate(slopes)

    def pull(self, x: Vector, u: Vector) -> tuple[Vector, Vector]:
        """F(x) and Jᵀu."""
        pairs = [p.pull(x, own) for p, own in zip(self.parts, self.split(u), strict=True)]
        values, slopes = zip(*pairs, strict=True)
        return np.concatenate(values), np.sum(slopes, axis=0)

    def curvature(self, x: Vector, u: Vector) -> Matrix:
        """Σ uᵢ∇²Fᵢ(x) of the largest weights.

        Second derivatives at points far from active cost as much as all else and change no step
        to speak of.
        """
        sizes, most = np.sort(np.abs(u)), LOUD if self.n <= SMALL else LOUD // 2
        faint = max(FAINT * sizes[-1], sizes[-most - 1] if len(u) > most else 0.0)
        found = np.zeros((self.n, self.n))
        for part, own in zip(self.parts, self.split(u), strict=True):
            loud = np.where(np.abs(own) > faint, own, 0.0)
            if loud.any():
                found += part.curvature(x, loud)
        return found

    def curvature_product(self, x: Vector, u: Vector, v: Vector) -> Vector:
        """Σ uᵢ∇²Fᵢ(x) times v."""
        pairs = zip(self.parts, self.split(u), strict=True)
        return np.asarray(sum(part.curvature_product(x, own, v) for part, own in pairs))
