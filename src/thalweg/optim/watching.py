"""One iteration of a solver watched: everything it had before its eyes, and what it made of it.

The solver runs as it always does; its direction, its model and its search are handed to it inside
others that take notes. So the numbers are those of the run itself, to the last bit.

Examples
--------
>>> import numpy as np
>>> from thalweg.optim.functions import smooth
>>> from thalweg.optim.problem import SmoothObjective
>>> bowl = SmoothObjective(smooth(lambda x: x[0] ** 2 + 2.0 * x[1] ** 2, np.ones(2)))
>>> step = watch(bowl, np.ones(2), "newton", 1)
>>> step.model.matrix
array([[2., 0.],
       [0., 4.]])
>>> step.radius, bool(step.shift > 0.0), bool(np.isclose(np.linalg.norm(step.new_x - 1.0), 1.0))
(1.0, True, True)
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.optim.blas import single_threaded_blas
from thalweg.optim.descent import descend
from thalweg.optim.direction.base import Direction, Move
from thalweg.optim.layout import Vector
from thalweg.optim.methods import SEARCHES, LineSearchMethod, TrustRegionMethod
from thalweg.optim.problem import Bounds, Mask, Objective, Problem
from thalweg.optim.result import Iteration
from thalweg.optim.run import Halt, Limits, Run
from thalweg.optim.search.line import LineSearch, Trial
from thalweg.optim.search.trust import Quadratic, Subproblem
from thalweg.optim.solution import method_named
from thalweg.optim.trust_region import Model, trust

__all__ = ["LineSearchStep", "PlainStep", "SolverStep", "TrustRegionStep", "watch"]


@dataclass(frozen=True, kw_only=True)
class PlainStep:
    """From a point to the next.

    Attributes
    ----------
    method : str
    number : int
        Of the iteration, from 1.
    x, gradient, new_x, new_gradient : vector
    value, new_value : float
    moved : bool
        False where the solver found no better point; `new_x` is then `x`.
    """

    method: str
    number: int
    x: Vector
    value: float
    gradient: Vector
    new_x: Vector
    new_value: float
    new_gradient: Vector
    moved: bool = True


@dataclass(frozen=True, kw_only=True)
class LineSearchStep(PlainStep):
    """A direction and a step length.

    Attributes
    ----------
    before, after : Direction
        What the direction remembered, and what it had learned then.
    d : vector
        The direction.
    length : float
        How far along it.
    trials : tuple of (float, float)
        Step lengths that were tried, and the values there.
    """

    before: Direction
    after: Direction
    d: Vector
    length: float
    trials: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class TrustRegionStep(PlainStep):
    """A step of a quadratic model within a ball.

    Attributes
    ----------
    model : Quadratic
    radius, next_radius : float
        Of the ball; nan where there was no next step.
    refused : tuple of (float, float)
        Radii that were tried before, and the values their steps led to.
    """

    model: Quadratic
    radius: float
    next_radius: float
    refused: tuple[tuple[float, float], ...]

    @property
    def shift(self) -> float:
        """λ ≥ 0 with (B + λI)s = -g: zero inside the ball."""
        s = self.new_x - self.x
        square = float(s @ s)
        if not self.moved or np.sqrt(square) < (1.0 - 1e-6) * self.radius:
            return 0.0
        return max(0.0, -float((self.model.gradient + self.model.product(s)) @ s) / square)


SolverStep = PlainStep | LineSearchStep | TrustRegionStep


def watch(objective: Objective, x0: Vector, method: str, number: int) -> SolverStep:
    """Run a solver and take notes of one of its iterations.

    Parameters
    ----------
    objective : Objective
    x0 : vector
        Where it starts.
    method : str
        A key of `thalweg.optim.methods.METHODS`.
    number : int
        The iteration, from 1. If the run ends before it, its last point is there with
        ``moved=False``.

    Raises
    ------
    OptionError
        If there is no such method.
    """
    found = method_named(method)
    points: dict[int, Vector] = {}

    def enter(line: Iteration) -> None:
        points[line.nit] = np.array(line.x)
        points.pop(line.nit - 3, None)

    more = int(isinstance(found, TrustRegionMethod))  # one more tells the next radius
    run = Run(Limits(iterations=number + more), enter)
    problem = Problem(objective, Bounds.none(len(x0)), run=run)
    notes = _Notes(run, number)
    with np.errstate(all="ignore"), single_threaded_blas(), contextlib.suppress(Halt):
        notes.follow(problem, np.array(x0, np.float64), found)
    return notes.step(method, objective, points)


@dataclass
class _Notes:
    """What is written down while the solver runs."""

    run: Run
    number: int
    before: Direction | None = None
    after: Direction | None = None
    move: Move | None = None
    trials: list[tuple[float, float]] = field(default_factory=list)
    length: float = float("nan")
    model: Quadratic | None = None
    balls: list[tuple[float, Vector]] = field(default_factory=list)
    next_radius: float = float("nan")

    def follow(self, problem: Problem, x: Vector, method: Callable[..., object]) -> None:
        """Run the method with its parts watched."""
        if isinstance(method, LineSearchMethod):
            direction = _WatchedDirection(method.direction(problem), self)
            descend(problem, x, direction, self.searching(SEARCHES[method.search]), 0.0)
        elif isinstance(method, TrustRegionMethod):
            trust(problem, x, *self.within(method), 0.0)
        else:
            method(problem, x, 0.0)

    @property
    def now(self) -> bool:
        """Whether this is the iteration to be watched."""
        return self.run.nit == self.number

    def searching(self, search: LineSearch) -> LineSearch:
        """A line search whose trials are noted."""

        def watched(
            phi: Callable[[float], Trial], start: Trial, first: float, room: float
        ) -> Trial | None:
            tried: list[tuple[float, float]] = []

            def noted(step: float) -> Trial:
                trial = phi(step)
                tried.append((trial.step, trial.value))
                return trial

            found = search(noted, start, first, room)
            if self.now:
                self.trials, self.length = tried, found.step if found else float("nan")
            return found

        return watched

    def within(self, method: TrustRegionMethod) -> tuple[Model, Subproblem]:
        """A trust-region method whose models and balls are noted."""

        def subproblem(model: Quadratic, radius: float) -> Vector:
            p = method.subproblem(model, radius)
            if self.now:
                self.model = model
                self.balls.append((radius, p))
            elif self.run.nit == self.number + 1 and np.isnan(self.next_radius):
                self.next_radius = radius
            return p

        return method.model, subproblem

    def step(self, method: str, objective: Objective, points: dict[int, Vector]) -> SolverStep:
        """The notes put together."""
        last = max(points, default=0)
        x = points.get(self.number - 1, points.get(last))
        assert x is not None
        value, gradient = objective.value_and_gradient(x)
        new = self._arrived(x, points)
        new_value, new_gradient = objective.value_and_gradient(new)
        facts: dict[str, Any] = {
            "method": method, "number": min(self.number, last + 1), "x": x, "value": value,
            "gradient": gradient, "new_x": new, "new_value": new_value,
            "new_gradient": new_gradient, "moved": bool(np.any(new != x)),
        }  # fmt: skip
        if self.before is not None and self.after is not None and self.move is not None:
            d = self.move.d
            length = self.length if np.isfinite(self.length) else float(self.move.s @ d / (d @ d))
            return LineSearchStep(
                **facts, before=self.before, after=self.after, d=d, length=length,
                trials=tuple(self.trials),
            )  # fmt: skip
        if self.model is not None and self.balls:
            *refused, (radius, _) = self.balls
            tried = tuple((size, objective.value(x + p)) for size, p in refused)
            return TrustRegionStep(
                **facts, model=self.model, radius=radius, next_radius=self.next_radius,
                refused=tried,
            )  # fmt: skip
        return PlainStep(**facts)

    def _arrived(self, x: Vector, points: dict[int, Vector]) -> Vector:
        """The point after the step: the next of the run, or where the last ball led."""
        if self.number in points:
            return points[self.number]
        if self.move is not None:
            return np.asarray(x + self.move.s)
        return x


class _WatchedDirection(Direction):
    """A direction, with a copy of what it remembered before and after."""

    def __init__(self, inner: Direction, notes: _Notes) -> None:
        self.inner, self.notes = inner, notes

    @property
    def has_length(self) -> bool:
        return self.inner.has_length

    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        if self.notes.now:
            self.notes.before = _remembered(self.inner)
        return self.inner.propose(x, gradient, free)

    def learn(self, move: Move) -> None:
        self.inner.learn(move)
        if self.notes.now:
            self.notes.move, self.notes.after = move, _remembered(self.inner)

    def reset(self) -> None:
        self.inner.reset()
        if self.notes.now:
            self.notes.before = _remembered(self.inner)


def _remembered(direction: Direction) -> Direction:
    """A copy that keeps what the direction knows now."""
    twin = copy(direction)
    for name, value in vars(direction).items():
        if isinstance(value, np.ndarray | deque):
            setattr(twin, name, value.copy())
    return twin
