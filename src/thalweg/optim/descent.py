"""The loop of the line-search methods: direction, step length, learn; bounds by projection."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from thalweg.optim.direction.base import Direction, Move
from thalweg.optim.layout import Vector
from thalweg.optim.problem import Mask, Problem
from thalweg.optim.result import Status
from thalweg.optim.run import UNBOUNDED_BELOW, Halt, Point
from thalweg.optim.search.hager_zhang import hager_zhang
from thalweg.optim.search.line import DECREASE, LineSearch, Trial
from thalweg.phrases import Phrase

__all__ = ["begin", "descend", "size_of", "small_enough"]

NOISE, IDLE = 1e-14, 10
DEEP = 1e4


def begin(problem: Problem, x: Vector) -> Trial:
    """Value and gradient at the start, which is moved inside the bounds.

    Where they are not finite on a bound, where logarithms and roots end, it is moved off it.

    Raises
    ------
    Halt
        If they are not finite.
    """
    x = problem.bounds.project(np.array(x, dtype=np.float64))
    value, gradient = problem.value_and_gradient(x)
    if problem.bounds.any and not (np.isfinite(value) and np.all(np.isfinite(gradient))):
        x = problem.bounds.inside(x)
        value, gradient = problem.value_and_gradient(x)
    if not np.isfinite(value) or not np.all(np.isfinite(gradient)):
        problem.run.consider(Point(x, value))
        if np.isfinite(value):
            raise Halt(
                Status.NOT_FINITE, Phrase("the gradient is not at the start; choose another x0")
            )
        raise Halt(
            Status.NOT_FINITE,
            Phrase("the objective is {value} at the start; choose another x0", value=float(value)),
        )
    return Trial(0.0, value, 0.0, x, gradient)


def small_enough(projected: Vector, x: Vector, measure: float, value: float, tol: float) -> bool:
    """Whether a projected gradient is zero to tolerance, relative to a large objective.

    Relative means: by what a change of x by its own size, or by one, would change the objective.
    A start at 10¹⁰ makes x² large, and its gradient small beside it, but is no minimum.
    """
    allowed = tol * size_of(value)
    if measure > allowed or not value > UNBOUNDED_BELOW:
        return False
    return measure <= tol or bool((np.abs(projected) * np.maximum(1.0, np.abs(x)) <= allowed).all())


def size_of(value: float) -> float:
    """What a gradient is compared with: an objective above one, in either direction.

    Far below zero the comparison ends: where f falls for ever like -x², its gradient grows
    without limit and yet vanishes relative to f.
    """
    return max(1.0, value, min(-value, DEEP))


def descend(
    problem: Problem, x: Vector, direction: Direction, search: LineSearch, tol: float
) -> Status:
    """Minimise by a direction and a line search.

    Notes
    -----
    Entries at a bound that the gradient pushes outwards are held; among the others the line
    search runs up to the nearest bound, and where that is nearer than the natural step, an
    Armijo search runs along the projected path (D. P. Bertsekas, SIAM J. Control and
    Optimization 20 (1982) 221-246).
    """
    here, bounds, fresh = begin(problem, x), problem.bounds, True
    last_fall, rest = 0.0, _Rest()
    while True:
        projected = bounds.projected_gradient(here.x, here.gradient)
        measure = largest(projected)
        point = Point(here.x, here.value, measure)
        if small_enough(projected, here.x, measure, here.value, tol):
            problem.run.conclude(point)
            return Status.CONVERGED
        problem.run.iterate(point)
        if rest.reached(point):
            problem.run.conclude(rest.best or point)
            return Status.STEP_TOO_SMALL
        free = bounds.free(here.x, here.gradient)
        d = direction.propose(here.x, here.gradient, free)
        slope = float(here.gradient.dot(d))
        if not -math.inf < slope < 0:  # nor if d is not finite: 0·inf is not a number
            direction.reset()
            fresh = True
            d = np.where(free, -here.gradient, 0.0)
            slope = float(here.gradient @ d)
        start = Trial(0.0, here.value, slope, here.x, here.gradient)
        first = _first_step(direction, fresh, d, slope, last_fall)
        there = _look(problem, start, d, free, search, first)
        if there is None:
            if fresh:
                problem.run.conclude(point)
                return Status.STEP_TOO_SMALL
            direction.reset()
            fresh = True
            continue
        direction.learn(
            Move(there.x - here.x, there.gradient - here.gradient, here.gradient, there.gradient, d)
        )
        last_fall, fresh, here = there.step * slope, False, there


def largest(v: Vector) -> float:
    """The largest modulus of an entry."""
    sizes = np.abs(v)
    return float(sizes[sizes.argmax()])  # in half the time of max


class _Rest:
    """Notices when neither value nor gradient get any smaller: what is left is rounding."""

    def __init__(self) -> None:
        self.best: Point | None = None
        self.idle = 0

    def reached(self, point: Point) -> bool:
        """Whether the last ten points brought nothing."""
        best = self.best
        if (
            best is None
            or point.fun < best.fun - NOISE * abs(best.fun)
            or point.measure < 0.9 * best.measure
        ):
            self.best, self.idle = point, 0
        else:
            self.idle += 1
        return self.idle >= IDLE


def _first_step(
    direction: Direction, fresh: bool, d: Vector, slope: float, last_fall: float
) -> float:
    """The step to try first: one for Newton-like directions, else what fell as far last time."""
    if direction.has_length:
        return 1.0
    if last_fall < 0 and slope < 0 and not fresh:
        return float(min(max(1.01 * last_fall / slope, 1e-10), 1e10))
    return min(1.0, 1.0 / largest(d))


def _look(
    problem: Problem, start: Trial, d: Vector, free: Mask, search: LineSearch, first: float
) -> Trial | None:
    """Run the line search, along the projected path where a bound is near."""
    bounds = problem.bounds
    room = bounds.room(start.x, d) if bounds.any else np.inf
    if room < first:
        return _projected_armijo(problem, start, d, first)

    def phi(step: float) -> Trial:
        x = bounds.project(start.x + step * d)
        value, gradient = problem.value_and_gradient(x)
        return Trial(step, value, float(gradient.dot(d)), x, gradient)

    reach = 1e20 / max(math.sqrt(d.dot(d)), 1e-300)
    return _guarded(search, phi, start, first, min(room, reach))


def _guarded(
    search: LineSearch, phi: Callable[[float], Trial], start: Trial, first: float, room: float
) -> Trial | None:
    """The search's step; where values drown in rounding, one that relies on slopes alone."""
    for attempt in dict.fromkeys((search, hager_zhang)):
        found = attempt(phi, start, first, room)
        if found is not None and found.finite and _moved(start, found):
            return found
    return None


def _moved(start: Trial, found: Trial) -> bool:
    """Whether it is another point; where the value is another one, nobody needs to look."""
    return found.value != start.value or bool((found.x != start.x).any())


def _projected_armijo(problem: Problem, start: Trial, d: Vector, first: float) -> Trial | None:
    """Backtrack along P(x + a·d) until f falls by a share of what the gradient promises."""
    step = first
    for _ in range(60):
        x = problem.bounds.project(start.x + step * d)
        promised = float(start.gradient @ (x - start.x))
        value = problem.value(x)
        if promised < 0 and value <= start.value + DECREASE * promised:
            value, gradient = problem.value_and_gradient(x)
            if np.isfinite(gradient).all():
                return Trial(step, value, float(gradient @ d), x, gradient)
        step *= 0.4
        if not np.any(x != start.x):
            return None
    return None
