"""The point that violates constraints least, found by least squares: a second witness.

The sum of squared violations within the bounds is a problem for Levenberg-Marquardt, which knows
nothing of barriers and filters, and of many variables for L-BFGS. Where a method for constraints
finds no feasible point, this one either finds it, or a point at which the violation is stationary;
only then, and if no way leads on from beside it, are constraints said to be impossible to meet
near by.

Examples
--------
>>> import numpy as np
>>> from thalweg.optim.functions import Traced
>>> from thalweg.optim.problem import Bounds, Problem, SmoothObjective
>>> circle = Traced(lambda x: x[0] ** 2 + x[1] ** 2 - 4.0, 2)
>>> slope = SmoothObjective(Traced(lambda x: x[0], 2))
>>> problem = Problem(slope, Bounds.none(2), circle)
>>> found = least_violation(problem, np.array([1.0, 1.0]))
>>> found.x.round(6), found.violation < 1e-12
(array([1.414214, 1.414214]), True)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thalweg.optim.constrained.penalty import Violation
from thalweg.optim.constrained.program import gradient_scale
from thalweg.optim.direction.levenberg_marquardt import levenberg_marquardt
from thalweg.optim.layout import Matrix, Vector
from thalweg.optim.problem import Bounds, Problem
from thalweg.optim.result import Iteration, Status
from thalweg.optim.run import Halt, Limits, Point, Run

__all__ = ["FEW", "Nearest", "beside", "least_violation", "way_out"]

FEW = 100  # variables of which a feasible point is looked for from several sides
BESIDE = (1.0, 1.0, 3.0, 3.0, 10.0, 10.0)  # how far, relative to x
SIDES = 2  # of more variables
LOOK, MANY_LOOK = 50, 100  # steps from each of them, and of many variables, which cost less

Method = Callable[[Problem, Vector, float], Status]

STATIONARY = 1e-8  # a change of x by its size, or by one, moves the sum by no more than this share


@dataclass(frozen=True)
class Nearest:
    """What was found.

    Attributes
    ----------
    x : vector
    violation : float
        The largest.
    stationary : bool
        Whether nothing near by violates less in the sum of squares.
    """

    x: Vector
    violation: float
    stationary: bool


def least_violation(
    problem: Problem, x: Vector, steps: int = 300, method: Method = levenberg_marquardt
) -> Nearest:
    """Minimise the sum of squared violations from a point, within the limits of the run.

    Parameters
    ----------
    problem : Problem
    x : vector
    steps : int
        At most.
    method : callable
        Of `METHODS`.

    Raises
    ------
    Halt
        If a limit of the run is reached, or its callback ends it.
    """
    x = problem.bounds.project(x)
    slopes = problem.constraint_jacobian(x)[1]
    scale = gradient_scale(np.where(np.isfinite(slopes), slopes, 0.0))
    watch = _Watch(problem)
    limits = problem.run.limits
    left = max(1, min(steps, limits.iterations - problem.run.nit))
    run = Run(Limits(left, seconds=limits.seconds - problem.run.seconds), watch)
    bounds = Bounds(problem.bounds.lower, problem.bounds.upper)
    sub = Problem(Violation(problem, scale), bounds, run=run)
    try:
        status = method(sub, x, STATIONARY)
    except Halt as halt:
        status = halt.status
        if watch.halted or status is Status.TIME_USED_UP:
            raise
    x = x if run.best is None else run.best.x
    violation = problem.violation(x)
    problem.run.consider(Point(x, problem.value(x), violation=violation))
    return Nearest(x, violation, status is Status.CONVERGED or _at_rest(sub, x))


def beside(x: Vector) -> Matrix:
    """Points around another one, the same every time, one a row."""
    away = np.outer(BESIDE, np.maximum(1.0, np.abs(x)))
    return np.asarray(x + away * np.random.default_rng(0).standard_normal(away.shape))


def way_out(problem: Problem, x: Vector) -> Nearest:
    """A point that holds the constraints, from x or from beside it; if none is found, x's end."""
    from thalweg.optim.methods import METHODS

    few = x.size <= FEW
    method, steps = (levenberg_marquardt, LOOK) if few else (METHODS["lbfgs"], MANY_LOOK)
    ends: list[Nearest] = []
    for start in (x, *beside(x)[: None if few else SIDES]):
        nearest = least_violation(problem, start, steps, method)
        held = nearest.violation <= problem.run.feasible
        if held and np.isfinite(problem.value(nearest.x)):
            return nearest
        ends.append(nearest)
    return ends[0]


def _at_rest(problem: Problem, x: Vector) -> bool:
    """Whether the slope vanishes, also where columns of the Jacobian do."""
    value, gradient = problem.objective.value_and_gradient(x)
    slope = problem.bounds.projected_gradient(x, gradient)
    return bool(np.all(np.abs(slope) * np.maximum(1.0, np.abs(x)) <= STATIONARY * value))


class _Watch:
    """Enters the iterations among those of the whole run."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.halted = problem, False

    def __call__(self, line: Iteration) -> None:
        if line.nit == 0:
            return
        problem = self.problem
        point = Point(line.x, problem.value(line.x), violation=problem.violation(line.x))
        try:
            problem.run.iterate(point)
        except Halt:
            self.halted = True
            raise
