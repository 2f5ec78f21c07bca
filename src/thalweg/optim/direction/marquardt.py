"""Marquardt's rule: λ down by ten after a step that helped, up by ten after one that did not.

The classic form of Levenberg-Marquardt for networks (M. T. Hagan and M. B. Menhaj, IEEE
Transactions on Neural Networks 5 (1994) 989-993): one factorisation of JᵀJ + λI for every trial,
nothing of the size of J is kept. For many residuals and up to a few thousand parameters;
`levenberg_marquardt` is more careful and more exact, this is the faster one where each
factorisation counts.

Examples
--------
>>> import numpy as np
>>> jacobian, residual = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([1.0, 2.0, 3.0])
>>> model = Normal(7.0, jacobian.T @ residual, jacobian.T @ jacobian)
>>> step = model.prepare(np.ones(2), np.ones(2, dtype=bool))(0.0)
>>> bool(np.allclose(step, np.linalg.lstsq(jacobian, -residual)[0]))
True
"""

from __future__ import annotations

import numpy as np

from thalweg.optim.descent import begin, largest, small_enough
from thalweg.optim.layout import Matrix, Vector
from thalweg.optim.problem import Mask, Problem, StepOf
from thalweg.optim.result import Status
from thalweg.optim.run import Point

__all__ = ["Normal", "marquardt"]

LARGEST_MU = 1e10


class Normal:
    """r + J·p known by its normal equations: JᵀJ, Jᵀr and ½‖r‖² alone.

    Parameters
    ----------
    cost : float
        ½‖r‖².
    gradient : vector
        Jᵀr.
    gram : matrix
        JᵀJ, or any positive semidefinite curvature in its place (a generalised Gauss-Newton
        matrix JᵀHJ, plus that of a penalty).
    """

    def __init__(self, cost: float, gradient: Vector, gram: Matrix) -> None:
        self.cost, self.gradient, self.gram = cost, gradient, gram

    @property
    def column_norms(self) -> Vector:
        """‖Jₖ‖."""
        return np.sqrt(np.maximum(np.diag(self.gram), 0.0))

    def prepare(self, scale: Vector, free: Mask) -> StepOf:
        """See `thalweg.optim.problem.Linearisation`; factors once for every λ."""
        from thalweg.optim.lapack import lapack

        everything = bool(free.all())
        gram = self.gram if everything else self.gram[np.ix_(free, free)]
        right, weights = -self.gradient[free], scale[free] ** 2

        def step_of(damping: float, residual: Vector | None = None, /) -> Vector:
            matrix = np.array(gram, order="F")
            matrix[np.diag_indices_from(matrix)] += damping * weights
            _, solution, failed = lapack.dposv(matrix, right[:, None], lower=1, overwrite_a=1)
            step = np.zeros(free.size)
            step[free] = np.linalg.lstsq(gram, right)[0] if failed else solution[:, 0]
            return step

        return step_of

    def predicted(self, step: Vector) -> float:
        """½‖r‖² - ½‖r + J·p‖²."""
        return -float(step @ (self.gradient + 0.5 * (self.gram @ step)))

    def joined(self, residual: Vector, jacobian: Matrix) -> Normal:
        """The same with further residuals."""
        return Normal(
            self.cost + 0.5 * float(residual @ residual),
            self.gradient + jacobian.T @ residual,
            self.gram + jacobian.T @ jacobian,
        )


def marquardt(
    problem: Problem, x: Vector, tol: float, mu: float = 1e-3, factor: float = 10.0
) -> Status:
    """Minimise ½‖r‖² with λ = μ, multiplied or divided by a factor.

    Parameters
    ----------
    problem : Problem
        Its objective is a `LeastSquares`; bounds are kept by projection.
    x : vector
    tol : float
        Of the projected gradient, relative to a cost above one.
    mu, factor : float
        MATLAB's ``mu``, and its ``mu_inc`` = 1/``mu_dec``.
    """
    x, bounds = begin(problem, x).x, problem.bounds
    ones = np.ones_like(x)
    while True:
        model = problem.linearise(x)
        projected = bounds.projected_gradient(x, model.gradient)
        measure = largest(projected)
        point = Point(x, model.cost, measure)
        if small_enough(projected, x, measure, model.cost, tol):
            problem.run.conclude(point)
            return Status.CONVERGED
        problem.run.iterate(point)
        step_of = model.prepare(ones, bounds.free(x, model.gradient))
        while True:
            there = bounds.project(x + step_of(mu))
            cost = problem.value(there) if np.all(np.isfinite(there)) else np.inf
            if cost < model.cost:
                x, mu = there, max(mu / factor, 1e-20)
                break
            mu *= factor
            if mu > LARGEST_MU or not np.any(there != x):
                problem.run.conclude(point)
                return Status.STEP_TOO_SMALL
