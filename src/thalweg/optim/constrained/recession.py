"""Whether a problem with constraints falls without limit: a ray is looked along, and believed.

Barrier methods approach infinity by steady factors, hundreds of iterations long. Where iterates
have gone far and the objective keeps falling, the ray through the last ones is followed in
powers of ten: if the constraints hold on all of it (up to rounding at their size) and the
objective passes the bound of `UNBOUNDED_BELOW`, the problem is unbounded; unless no iterate was
feasible but for rounding, which far away makes anything so.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from thalweg.optim.layout import Vector
from thalweg.optim.problem import Problem
from thalweg.optim.result import Status
from thalweg.optim.run import UNBOUNDED_BELOW, Halt, Point

__all__ = ["Falling"]

STEPS, EVERY = 5, 10  # the ray is taken through points so far apart, and looked at so often
FAR = 1e4  # relative to where the search began
ROUNDING = 1e-12  # of what a point on the ray adds up to in a constraint


class Falling:
    """Watches the iterates of one run."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.points: deque[Point] = deque(maxlen=STEPS + 1)
        self.start_size, self.count = 0.0, 0

    def look(self, point: Point) -> None:
        """Take note of an iterate.

        Raises
        ------
        Halt
            If the objective falls for ever along the ray through the last iterates.
        """
        size = float(np.max(np.abs(point.x)))
        if not self.points:
            self.start_size = max(1.0, size)
        if self.points and not point.fun < self.points[-1].fun:
            self.points.clear()
        self.points.append(point)
        self.count += 1
        if len(self.points) <= STEPS or size < FAR * self.start_size or self.count % EVERY:
            return
        self._follow(point, point.x - self.points[0].x)

    def _follow(self, point: Point, step: Vector) -> None:
        run, value, far = self.problem.run, point.fun, point
        length = float(np.max(np.abs(step)))
        if length == 0.0:
            return
        for exponent in range(40):
            x = point.x + 10.0**exponent * step
            f, violation = self.problem.value(x), self.problem.violation(x)
            if not f < value or not self._holds(x):
                return
            value = f
            if violation <= run.feasible:
                far = Point(x, f, violation=violation)
            if f < UNBOUNDED_BELOW and run.met:
                run.consider(far)
                raise Halt(Status.UNBOUNDED)

    def _holds(self, x: Vector) -> bool:
        """Whether the constraints hold up to rounding."""
        c, slopes = self.problem.constraint_jacobian(x)
        c[: self.problem.equality_count] = np.abs(c[: self.problem.equality_count])
        allowed = self.problem.run.feasible + ROUNDING * (np.abs(slopes) @ np.abs(x))
        if not np.all(np.isfinite(allowed)):
            return False
        inside = self.problem.bounds.violation(x) <= self.problem.run.feasible
        return inside and bool(np.all(c <= allowed))
