"""Nonlinear programs in the one form the interior-point method knows.

min f(w)  subject to  c(w) = 0,  l ≤ w ≤ u.

`SlackForm` brings a `Problem` into it: w = (x, s) with g(x) + s = 0, s ≥ 0; entries of x whose
bounds coincide are taken out; objective and constraints are scaled so that no gradient at the
start is longer than 100 (largest entry), as Ipopt does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from thalweg.optim.constrained.curvature import LearnedHessian
from thalweg.optim.layout import Matrix, Vector
from thalweg.optim.problem import Problem
from thalweg.optim.result import Status
from thalweg.optim.run import Halt, Point
from thalweg.phrases import Phrase

__all__ = ["Derivatives", "Program", "SlackForm", "Values", "gradient_scale"]

GRADIENT_CAP = 100.0


@dataclass(frozen=True)
class Values:
    """f and c at a point."""

    f: float
    c: Vector

    @property
    def finite(self) -> bool:
        """Whether all are numbers."""
        return bool(np.isfinite(self.f) and np.all(np.isfinite(self.c)))


@dataclass(frozen=True)
class Derivatives:
    """Gradient of f and Jacobian of c at a point."""

    g: Vector
    jacobian: Matrix

    @property
    def finite(self) -> bool:
        """Whether all are numbers."""
        return bool(np.all(np.isfinite(self.g)) and np.all(np.isfinite(self.jacobian)))


class Program(ABC):
    """min f(w), c(w) = 0, l ≤ w ≤ u.

    Attributes
    ----------
    n, m : int
        Variables and constraints.
    dense : int
        The first so many variables are coupled by second derivatives; the others (slacks) have
        a diagonal Hessian and are eliminated from the linear systems.
    lower, upper : vector
    """

    n: int
    m: int
    dense: int
    lower: Vector
    upper: Vector

    @abstractmethod
    def values(self, w: Vector) -> Values:
        """The values f and c."""

    @abstractmethod
    def derivatives(self, w: Vector) -> Derivatives:
        """∇f and the Jacobian of c."""

    @abstractmethod
    def hessian(self, w: Vector, y: Vector) -> tuple[Matrix, Vector]:
        """∇²(f + yᵀc): the dense block, and the diagonal of the rest."""

    def trial(self, w: Vector) -> tuple[Vector, Values]:
        """The values at a trial point, and the point, which may be made better at no cost."""
        return w, self.values(w)

    @abstractmethod
    def constraint_hessian(self, w: Vector, y: Vector) -> tuple[Matrix, Vector]:
        """∇²(yᵀc) alone, for the restoration."""

    def learn(self, before: Vector, after: Vector, y: Vector) -> None:  # noqa: B027
        """Take note of a step, where second derivatives are approximated."""


class SlackForm(Program):
    """A `Problem` with slacks, scaled, without its fixed variables.

    Parameters
    ----------
    problem : Problem
    x0 : vector
        Where gradients are measured for the scaling; fixed entries are set to their bounds.
    exact : bool
        Whether the problem's second derivatives are used, or learned ones.

    Raises
    ------
    Halt
        If the problem has no finite values at the start.
    """

    def __init__(self, problem: Problem, x0: Vector, exact: bool = True) -> None:
        self.problem = problem
        bounds = problem.bounds
        self.base = bounds.project(np.array(x0, dtype=np.float64))
        self.moving = bounds.lower < bounds.upper
        self.dense = int(np.sum(self.moving))
        self.equal = problem.equality_count
        raw = self._raw(self.base)
        if not all(np.all(np.isfinite(part)) for part in raw):
            self.base = bounds.inside(self.base)  # logarithms and roots end at bounds
            raw = self._raw(self.base)
        f, g, c, jacobian = raw
        if not (np.isfinite(f) and np.all(np.isfinite(g)) and np.all(np.isfinite(c))):
            problem.run.consider(Point(self.base, f, violation=problem.violation(self.base, c)))
            raise Halt(
                Status.NOT_FINITE, Phrase("objective or constraints are not finite at the start")
            )
        self.m = c.size
        self.slacks = self.m - self.equal
        self.n = self.dense + self.slacks
        self.f_scale = gradient_scale(g[None, :])[0]
        self.c_scale = gradient_scale(jacobian)
        none = np.full(self.slacks, np.inf)
        self.lower = np.concatenate([bounds.lower[self.moving], 0.0 * np.ones(self.slacks)])
        self.upper = np.concatenate([bounds.upper[self.moving], none])
        self.start = np.concatenate(
            [self.base[self.moving], -self.c_scale[self.equal :] * c[self.equal :]]
        )
        self.learned = None if exact else LearnedHessian(self.dense)
        self._known: tuple[bytes, Derivatives] | None = None
        self._valued: tuple[bytes, float, Vector] | None = None

    def _raw(self, x: Vector) -> tuple[float, Vector, Vector, Matrix]:
        f, g = self.problem.value_and_gradient(x)
        c, jacobian = self.problem.constraint_jacobian(x)
        return f, g[self.moving], c, jacobian[:, self.moving]

    def point(self, w: Vector) -> Vector:
        """The x of w, with the fixed entries."""
        x = self.base.copy()
        x[self.moving] = w[: self.dense]
        return x

    def values(self, w: Vector) -> Values:
        key = w[: self.dense].tobytes()
        if self._valued is None or self._valued[0] != key:
            x = self.point(w)
            f = self.problem.value(x) * self.f_scale
            self._valued = key, f, self.problem.constraints(x) * self.c_scale
        _, f, raw = self._valued
        c = raw.copy()
        c[self.equal :] += w[self.dense :]
        return Values(f, c)

    def trial(self, w: Vector) -> tuple[Vector, Values]:
        """Slacks that are smaller than g(x) allows are raised: no violation, a lower barrier.

        (A. R. Conn, L. N. Vicente, C. Visweswariah, SIAM J. Optimization 9 (1999) 1103-1122,
        call it a magical step.)
        """
        values = self.values(w)
        spare = np.minimum(values.c[self.equal :], 0.0)
        if not np.any(spare < 0):
            return w, values
        w, c = w.copy(), values.c.copy()
        w[self.dense :] -= spare
        c[self.equal :] -= spare
        return w, Values(values.f, c)

    def derivatives(self, w: Vector) -> Derivatives:
        key = w[: self.dense].tobytes()
        if self._known is None or self._known[0] != key:
            f, g, c, jacobian = self._raw(self.point(w))
            self._valued = key, f * self.f_scale, c * self.c_scale
            slack_part = np.zeros((self.m, self.slacks))
            slack_part[self.equal :] = np.eye(self.slacks)
            whole = np.concatenate([jacobian * self.c_scale[:, None], slack_part], axis=1)
            gradient = np.concatenate([g * self.f_scale, np.zeros(self.slacks)])
            self._known = key, Derivatives(gradient, whole)
        return self._known[1]

    def hessian(self, w: Vector, y: Vector) -> tuple[Matrix, Vector]:
        return self._curvature(w, self.f_scale, y), np.zeros(self.slacks)

    def constraint_hessian(self, w: Vector, y: Vector) -> tuple[Matrix, Vector]:
        """∇²(yᵀc) alone, for the restoration."""
        return self._curvature(w, 0.0, y), np.zeros(self.slacks)

    def _curvature(self, w: Vector, weight: float, y: Vector) -> Matrix:
        if self.learned is not None:
            return self.learned.matrix
        matrix = self.problem.lagrangian_hessian(self.point(w), weight, y * self.c_scale)
        return matrix if self.moving.all() else matrix[np.ix_(self.moving, self.moving)]

    def learn(self, before: Vector, after: Vector, y: Vector) -> None:
        """Teach the approximation what the Lagrangian's gradient did, where there is one."""
        if self.learned is None:
            return
        grown, old = (self._lagrangian_slope(w, y) for w in (after, before))
        self.learned.learn((after - before)[: self.dense], grown - old)

    def _lagrangian_slope(self, w: Vector, y: Vector) -> Vector:
        slopes = self.derivatives(w)
        return (slopes.g + slopes.jacobian.T @ y)[: self.dense]


def gradient_scale(rows: Matrix) -> Vector:
    """Factors that bring the largest entry of each row to at most 100."""
    largest = np.max(np.abs(rows), axis=1, initial=0.0)
    with np.errstate(divide="ignore"):
        factors = np.minimum(1.0, GRADIENT_CAP / np.where(largest > 0, largest, 1.0))
    return np.maximum(factors, 1e-8)
