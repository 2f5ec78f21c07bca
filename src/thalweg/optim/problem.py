"""What a solver may ask: values, gradients, Hessians and products, constraints, linearisations.

An `Objective` is a function of one vector; `LeastSquares` is one that is half a sum of squares.
Whoever has a function of another kind (a network's loss over a table, say) derives from one of
them and gets every solver. A `Problem` adds bounds and constraints and counts every question.

Examples
--------
>>> import numpy as np
>>> class Bowl(Objective):
...     def value(self, x):
...         return float(x @ x)
...     def value_and_gradient(self, x):
...         return float(x @ x), 2.0 * x
>>> from thalweg.optim.solution import solve
>>> solve(Problem(Bowl(), Bounds.none(2)), np.array([1.0, 2.0]), "lbfgs").x
array([0., 0.])
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from thalweg.errors import DifferentiationError, OptionError
from thalweg.optim.functions import Smooth
from thalweg.optim.layout import Matrix, Vector, same_point
from thalweg.optim.run import Run

__all__ = [
    "Bounds",
    "LeastSquares",
    "Linearisation",
    "Objective",
    "Problem",
    "SmoothLeastSquares",
    "SmoothObjective",
    "StepOf",
]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bounds:
    """Lower and upper bounds of every entry; infinite where there is none."""

    lower: Vector
    upper: Vector

    def __post_init__(self) -> None:
        blank = np.flatnonzero(np.isnan(self.lower) | np.isnan(self.upper))
        if blank.size:
            raise OptionError(
                "bounds: entry {k} of x has a bound that is not a number (entries counted from "
                "0). Where there is none, write None or infinity.",
                k=int(blank[0]),
            )
        crossed = np.flatnonzero(~(self.lower <= self.upper))
        if crossed.size:
            k = int(crossed[0])
            raise OptionError(
                "bounds: entry {k} of x has lower {lower:g} above upper {upper:g} "
                "(entries counted from 0).",
                k=k,
                lower=self.lower[k],
                upper=self.upper[k],
            )

    @staticmethod
    def none(n: int) -> Bounds:
        """No bounds on n entries."""
        return Bounds(np.full(n, -np.inf), np.full(n, np.inf))

    @cached_property
    def any(self) -> bool:
        """Whether there is any finite bound."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    @cached_property
    def _all(self) -> Mask:
        return np.ones(self.lower.shape, np.bool_)

    def project(self, x: Vector) -> Vector:
        """The nearest point within the bounds."""
        return np.clip(x, self.lower, self.upper) if self.any else x

    def inside(self, x: Vector, push: float = 1e-2) -> Vector:
        """The nearest point that keeps off the bounds, by `push` relative to bound and width."""
        lower, upper = self.lower, self.upper
        with np.errstate(invalid="ignore"):
            width = np.where(np.isfinite(upper - lower), push * (upper - lower), np.inf)
            low, high = (
                np.minimum(push * np.maximum(1.0, np.abs(b)), width) for b in (lower, upper)
            )
            return np.clip(
                x,
                np.where(np.isfinite(lower), lower + low, -np.inf),
                np.where(np.isfinite(upper), upper - high, np.inf),
            )

    def free(self, x: Vector, gradient: Vector) -> Mask:
        """Entries that may move along the negative gradient: not held by a bound."""
        if not self.any:
            return self._all
        held = ((x <= self.lower) & (gradient >= 0)) | ((x >= self.upper) & (gradient <= 0))
        return np.asarray(~held & (self.lower < self.upper))

    def projected_gradient(self, x: Vector, gradient: Vector) -> Vector:
        """X - P(x - g): zero where the first-order conditions hold, g in the interior."""
        if not self.any:
            return gradient
        with np.errstate(invalid="ignore"):
            return x - self.project(x - gradient)

    def violation(self, x: Vector) -> float:
        """How far a point is outside, largest entry."""
        return float(np.max(np.maximum(self.lower - x, x - self.upper), initial=0.0))

    def room(self, x: Vector, direction: Vector) -> float:
        """The longest step along a direction that stays within."""
        with np.errstate(divide="ignore", invalid="ignore"):
            up = np.where(direction > 0, (self.upper - x) / direction, np.inf)
            down = np.where(direction < 0, (self.lower - x) / direction, np.inf)
        return float(np.min(np.minimum(up, down), initial=np.inf))


class Objective(ABC):
    """A function to be minimised.

    Methods that use first derivatives ask for the first two; `hessian` serves Newton and the
    interior point, `hessian_product` Newton-CG.
    """

    @abstractmethod
    def value(self, x: Vector) -> float:
        """f(x); NaN or infinity where it is not defined."""

    @abstractmethod
    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        """f(x) and ∇f(x), shape (n,)."""

    def gradient(self, x: Vector) -> Vector:
        """∇f(x), shape (n,)."""
        return self.value_and_gradient(x)[1]

    @property
    def has_hessian(self) -> bool:
        """Whether `hessian` answers."""
        return type(self).hessian is not Objective.hessian

    def hessian(self, x: Vector) -> Matrix:
        """∇²f(x), shape (n, n)."""
        raise DifferentiationError(
            "{kind} has no Hessian: choose a method that needs none (lbfgs, cg).",
            kind=type(self).__name__,
        )

    def hessian_product(self, x: Vector, v: Vector) -> Vector:
        """∇²f(x)·v, shape (n,)."""
        return self.hessian(x) @ v


class StepOf(Protocol):
    """Steps for any damping from one factorisation; see `Linearisation.prepare`."""

    def __call__(self, damping: float, residual: Vector | None = None, /) -> Vector: ...


class Linearisation(Protocol):
    """Residuals made linear at a point, r + J·p, as Levenberg-Marquardt sees them.

    Attributes
    ----------
    cost : float
        ½‖r‖².
    gradient : vector
        Jᵀr.
    column_norms : vector
        ‖Jₖ‖ of every column.
    """

    @property
    def cost(self) -> float: ...
    @property
    def gradient(self) -> Vector: ...
    @property
    def column_norms(self) -> Vector: ...

    def prepare(self, scale: Vector, free: Mask) -> StepOf:
        """Factor once; the result maps a damping λ ≥ 0 to the step
        argmin ‖r + J·p‖² + λ‖D·p‖² over the free entries, with another residual if given.
        """

    def predicted(self, step: Vector) -> float:
        """The reduction ½‖r‖² - ½‖r + J·p‖² that the linear model promises."""

    def joined(self, residual: Vector, jacobian: Matrix) -> Linearisation:
        """The same with further residuals."""


class LeastSquares(Objective):
    """Half a sum of squares, ½‖r(x)‖² (or a convex function of r that is linearised likewise)."""

    @abstractmethod
    def linearise(self, x: Vector) -> Linearisation:
        """The residuals and their Jacobian at a point, in whatever form serves best."""

    def polish(self, x: Vector) -> Vector | None:
        """A most accurate undamped step at a point, if there is one better than `linearise`'s."""
        return None

    def second_along(self, x: Vector, v: Vector) -> Vector | None:
        """The second derivative of the residuals along a direction, d²r(x + t·v)/dt²."""
        return None


class SmoothObjective(Objective):
    """An objective made of a `Smooth` function with one output, times a sign."""

    def __init__(self, function: Smooth, sign: float = 1.0) -> None:
        if function.m != 1:
            raise OptionError(
                "the objective returns {m} numbers, and one is needed. Sum or average "
                "them, or use least_squares for residuals.",
                m=function.m,
            )
        self.function, self.sign = function, sign
        self._weight = np.array([sign])

    @property
    def has_hessian(self) -> bool:
        return self.function.has_curvature

    def value(self, x: Vector) -> float:
        return self.sign * float(self.function.value(x)[0])

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        value, slopes = self.function.derivative(x)
        return self.sign * float(value[0]), self.sign * slopes[0]

    def hessian(self, x: Vector) -> Matrix:
        return self.function.curvature(x, self._weight)

    def hessian_product(self, x: Vector, v: Vector) -> Vector:
        return self.function.curvature_product(x, self._weight, v)


class SmoothLeastSquares(LeastSquares):
    """½‖r(x)‖² of a `Smooth` function."""

    def __init__(self, residual: Smooth) -> None:
        if residual.m == 0:
            raise OptionError("there is nothing to fit: no residuals are returned.")
        self.residual = residual
        self._last: tuple[Vector, tuple[Vector, Matrix]] | None = None

    def derivative(self, x: Vector) -> tuple[Vector, Matrix]:
        """The residuals and their Jacobian; of the last point without further work."""
        if self._last is None or not same_point(self._last[0], x):
            self._last = (np.array(x), self.residual.derivative(x))
        return self._last[1]

    @property
    def has_hessian(self) -> bool:
        return self.residual.has_curvature

    def value(self, x: Vector) -> float:
        return half_square(self.residual.value(x))

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        value, slopes = self.derivative(x)
        return half_square(value), slopes.T.dot(value)

    def hessian(self, x: Vector) -> Matrix:
        value, slopes = self.derivative(x)
        return slopes.T @ slopes + self.residual.curvature(x, value)

    def hessian_product(self, x: Vector, v: Vector) -> Vector:
        value, _ = self.residual.pull(x, np.zeros(self.residual.m))
        inner = self.residual.pull(x, self.residual.push(x, v))[1]
        return inner + self.residual.curvature_product(x, value, v)

    def linearise(self, x: Vector) -> Linearisation:
        from thalweg.optim.direction.gauss_newton import Orthogonal

        return Orthogonal(*self.derivative(x))

    def polish(self, x: Vector) -> Vector | None:
        from thalweg.optim.direction.gauss_newton import refined_step

        return refined_step(*self.derivative(x))

    def second_along(self, x: Vector, v: Vector) -> Vector | None:
        return self.residual.push_twice(x, v)


def half_square(r: Vector) -> float:
    """½‖r‖², infinite where it overflows or any entry is NaN."""
    value = 0.5 * float(r.dot(r))
    return value if math.isfinite(value) else math.inf


@dataclass
class Problem:
    """An objective with bounds and constraints; every question is counted in `run`.

    Attributes
    ----------
    objective : Objective
    bounds : Bounds
    equalities, inequalities : Smooth or None
        h(x) = 0 and g(x) ≤ 0.
    run : Run
    """

    objective: Objective
    bounds: Bounds
    equalities: Smooth | None = None
    inequalities: Smooth | None = None
    run: Run = field(default_factory=Run)

    @property
    def constrained(self) -> bool:
        """Whether there are constraints beside bounds."""
        return self.equalities is not None or self.inequalities is not None

    @property
    def has_hessian(self) -> bool:
        """Whether objective and constraints all have second derivatives."""
        parts = [c for c in (self.equalities, self.inequalities) if c is not None]
        return self.objective.has_hessian and all(c.has_curvature for c in parts)

    def value(self, x: Vector) -> float:
        """f(x)."""
        self.run.evaluated(functions=1)
        return self.objective.value(x)

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        """f(x) and ∇f(x)."""
        self.run.evaluated(functions=1, slopes=1)
        return self.objective.value_and_gradient(x)

    def hessian(self, x: Vector) -> Matrix:
        """∇²f(x)."""
        self.run.evaluated(second=1)
        return self.objective.hessian(x)

    def hessian_product(self, x: Vector, v: Vector) -> Vector:
        """∇²f(x)·v."""
        self.run.evaluated(second=1)
        return self.objective.hessian_product(x, v)

    def linearise(self, x: Vector) -> Linearisation:
        """The linear model of the residuals; the objective must be `LeastSquares`."""
        if not isinstance(self.objective, LeastSquares):
            raise OptionError(
                "this method needs residuals, not a single number: use least_squares, or a "
                "method such as 'bfgs'."
            )
        self.run.evaluated(slopes=1)
        return self.objective.linearise(x)

    def constraints(self, x: Vector) -> Vector:
        """h(x) and g(x), one after the other."""
        parts = [c.value(x) for c in (self.equalities, self.inequalities) if c is not None]
        return np.concatenate(parts) if parts else np.zeros(0)

    def constraint_jacobian(self, x: Vector) -> tuple[Vector, Matrix]:
        """h(x) and g(x) one after the other, and their Jacobian."""
        parts = [c.derivative(x) for c in (self.equalities, self.inequalities) if c is not None]
        if not parts:
            return np.zeros(0), np.zeros((0, x.size))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    @property
    def equality_count(self) -> int:
        """The number of equality constraints."""
        return 0 if self.equalities is None else self.equalities.m

    def lagrangian_hessian(self, x: Vector, weight: float, multipliers: Vector) -> Matrix:
        """weight·∇²f + Σ multiplierₖ∇²cₖ, over equalities first, then inequalities."""
        self.run.evaluated(second=1)
        n = x.size
        matrix = weight * self.objective.hessian(x) if weight else np.zeros((n, n))
        cut = self.equality_count
        for constraint, part in (
            (self.equalities, multipliers[:cut]),
            (self.inequalities, multipliers[cut:]),
        ):
            if constraint is not None and np.any(part):
                matrix = matrix + constraint.curvature(x, part)
        return matrix

    def violation(self, x: Vector, constraints: Vector | None = None) -> float:
        """The largest violation of a constraint or bound."""
        c = self.constraints(x) if constraints is None else constraints
        cut = self.equality_count
        worst = max(
            float(np.max(np.abs(c[:cut]), initial=0.0)), float(np.max(c[cut:], initial=0.0))
        )
        if not np.all(np.isfinite(c)):
            worst = float("inf")
        return max(worst, self.bounds.violation(x))
