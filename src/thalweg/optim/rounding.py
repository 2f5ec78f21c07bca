"""What rounding leaves of a gradient: where it is no larger, a point cannot be told from a minimum.

A change of x by its last bits changes the gradient by the Hessian times that; no method brings it
below. Where entries differ by powers of ten this can be far above any tolerance, and yet be nothing
to the objective: gradient times last bits must not count beside it. It is read off differences of
gradients over steps of about half the digits; over last bits themselves kinks would look alike.

Examples
--------
>>> import numpy as np
>>> from thalweg.optim.functions import Traced
>>> from thalweg.optim.problem import Bounds, Problem, SmoothObjective
>>> from thalweg.optim.run import Point
>>> steep = SmoothObjective(Traced(lambda x: 1e12 * (3.0 * x[0] - 1.0) ** 2, 1))
>>> problem = Problem(steep, Bounds.none(1))
>>> def stands(x):
...     problem.run.conclude(Point(np.array([x]), problem.value(np.array([x]))))
...     return rounding_is_left(problem)
>>> abs(float(problem.objective.gradient(np.array([1.0 / 3.0 + 1e-16]))[0])) > 1e-4
True
>>> stands(1.0 / 3.0 + 1e-16), stands(0.333333)
(True, False)
"""

from __future__ import annotations

import numpy as np

from thalweg.optim.descent import size_of
from thalweg.optim.layout import Vector
from thalweg.optim.problem import Problem
from thalweg.optim.run import Halt

__all__ = ["rounding_is_left"]

EPS = float(np.finfo(np.float64).eps)
LAST_BITS = 10.0 * EPS  # of x, relative
STEP, STEPS = 1e-7, 4  # relative to x; patterns of signs


def rounding_is_left(problem: Problem) -> bool:
    """Whether the projected gradient at the run's best point is no more than rounding.

    That is, no larger than what the last bits of x make of it. Of problems with constraints other
    than bounds nothing is said, nor where a limit of the run is reached.

    Parameters
    ----------
    problem : Problem
    """
    best = problem.run.best
    if best is None or problem.constrained:
        return False
    try:
        return _no_more_than_rounding(problem, best.x)
    except Halt:
        return False


def _no_more_than_rounding(problem: Problem, x: Vector) -> bool:
    bounds, rng, floor = problem.bounds, np.random.default_rng(0), np.zeros_like(x)

    def gradient(at: Vector) -> Vector:
        problem.run.evaluated(slopes=1)
        return problem.objective.gradient(at)

    here = gradient(x)
    for _ in range(STEPS):
        step = STEP * np.abs(x) * rng.choice([-1.0, 1.0], x.size)
        change = gradient(bounds.project(x + step)) - here
        floor = np.maximum(floor, np.abs(change) * (LAST_BITS / STEP))
    left = np.abs(bounds.projected_gradient(x, here))
    to_gain = LAST_BITS * float(left @ np.abs(x))  # far away, where f falls for ever, no trifle
    trifling = to_gain <= EPS * size_of(problem.value(x))
    return bool(trifling and np.isfinite(here).all() and (left <= floor).all())
