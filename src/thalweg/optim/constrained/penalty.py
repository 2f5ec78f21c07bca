"""Constraints as penalties: the augmented Lagrangian, and the sum of squared violations alone.

L(x) = f(x) + ½ρ‖h(x) + λ/ρ‖² + ½ρ‖max(0, g(x) + ν/ρ)‖². Where f is half a sum of squares, so is
L: the constraints add residuals √ρ(h + λ/ρ), √ρ max(0, g + ν/ρ), and Gauss-Newton and
Levenberg-Marquardt serve, too. Without f and multipliers it is half the sum of squared violations.

Examples
--------
>>> import numpy as np
>>> from thalweg.optim.functions import Traced
>>> from thalweg.optim.problem import Bounds, Problem, SmoothObjective
>>> circle = Traced(lambda x: x[0] ** 2 + x[1] ** 2 - 4.0, 2)
>>> far = SmoothObjective(Traced(lambda x: x[0], 2))
>>> violation = Violation(Problem(far, Bounds.none(2), circle), np.ones(1))
>>> violation.value_and_gradient(np.array([1.0, 1.0]))
(2.0, array([-4., -4.]))
"""

from __future__ import annotations

import numpy as np

from thalweg.optim.direction.gauss_newton import Orthogonal
from thalweg.optim.layout import Matrix, Vector, same_point
from thalweg.optim.problem import LeastSquares, Linearisation, Mask, Objective, Problem
from thalweg.optim.run import Point

__all__ = ["Penalised", "PenalisedSquares", "Violation"]


class Penalised(Objective):
    """L of the module's formula, with multipliers y = (λ, ν).

    Constraints are multiplied by `scale`, and so y belongs to the scaled ones.
    """

    def __init__(self, problem: Problem, y: Vector, rho: float, scale: Vector) -> None:
        self.problem, self.y, self.rho, self.scale = problem, y, rho, scale
        self.equal = problem.equality_count
        self.seen: tuple[Vector, float, Vector] | None = None

    @property
    def has_hessian(self) -> bool:
        return self.problem.has_hessian

    def pressed(self, c: Vector) -> Vector:
        """The multipliers that c implies: y + ρc, not negative for inequalities."""
        y = self.y + self.rho * self.scale * c
        y[self.equal :] = np.maximum(y[self.equal :], 0.0)
        return y

    def value(self, x: Vector) -> float:
        f, y = self.problem.value(x), self.pressed(self.problem.constraints(x))
        return f + 0.5 * float(y @ y) / self.rho

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        f, g = self.problem.value_and_gradient(x)
        c = self.problem.constraints(x)
        self.seen = np.array(x), f, c
        y = self.pressed(c)
        return f + 0.5 * float(y @ y) / self.rho, g + self.pulled(x, y)

    def pulled(self, x: Vector, y: Vector) -> Vector:
        """Jᵀy."""
        total, cut, y = np.zeros_like(x), self.equal, self.scale * y
        for constraint, part in (
            (self.problem.equalities, y[:cut]),
            (self.problem.inequalities, y[cut:]),
        ):
            if constraint is not None:
                total = total + constraint.pull(x, part)[1]
        return total

    def _active(self, x: Vector) -> tuple[Vector, Mask, Matrix]:
        """The multipliers that hold at x, whose constraints press, and the rows of J of those."""
        c, jacobian = self.problem.constraint_jacobian(x)
        y = self.pressed(c)
        active = (y > 0) | (np.arange(y.size) < self.equal)
        return y, active, (self.scale[:, None] * jacobian)[active]

    def hessian(self, x: Vector) -> Matrix:
        y, _, jacobian = self._active(x)
        curved = self.problem.lagrangian_hessian(x, 1.0, self.scale * y)
        return curved + self.rho * jacobian.T @ jacobian

    def at(self, x: Vector, measure: float) -> Point:
        """A point of the inner method as one of the whole problem."""
        if self.seen is None or not same_point(self.seen[0], x):
            self.seen = np.array(x), self.problem.value(x), self.problem.constraints(x)
        _, f, c = self.seen
        return Point(x, f, measure, self.problem.violation(x, c))


class PenalisedSquares(Penalised, LeastSquares):
    """L where f is half a sum of squares: residuals of the constraints are added to those of f."""

    def linearise(self, x: Vector) -> Linearisation:
        model = self.problem.linearise(x)
        y, active, jacobian = self._active(x)
        root = np.sqrt(self.rho)
        return model.joined(y[active] / root, root * jacobian)


class _Nothing(LeastSquares):
    """f = 0, a sum of no squares."""

    has_hessian = True

    def value(self, x: Vector) -> float:
        return 0.0

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        return 0.0, np.zeros_like(x)

    def hessian(self, x: Vector) -> Matrix:
        return np.zeros((x.size, x.size))

    def linearise(self, x: Vector) -> Linearisation:
        return Orthogonal(np.zeros(0), np.zeros((0, x.size)))


class Violation(PenalisedSquares):
    """½‖h(x)‖² + ½‖max(0, g(x))‖², every constraint multiplied by its entry of `scale`."""

    def __init__(self, problem: Problem, scale: Vector) -> None:
        alone = Problem(_Nothing(), problem.bounds, problem.equalities, problem.inequalities)
        super().__init__(alone, np.zeros(scale.size), 1.0, scale)

    def linearise(self, x: Vector) -> Linearisation:
        residual, active, jacobian = self._active(x)
        if not active.any():
            return Orthogonal(np.zeros(1), np.zeros((1, x.size)))
        return Orthogonal(residual[active], jacobian)
