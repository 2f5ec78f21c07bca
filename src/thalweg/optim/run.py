"""One run of a solver: counts, limits, history, callback and the best point so far.

Limits are checked where evaluations are counted, so that they hold inside line searches too.
A limit that is reached raises `Halt`, which the entry points turn into a result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from thalweg.optim.layout import Vector
from thalweg.optim.result import KKT, Iteration, Multipliers, Status
from thalweg.phrases import Phrase

__all__ = ["UNBOUNDED_BELOW", "Halt", "Limits", "Point", "Run"]

UNBOUNDED_BELOW = -1e20
FAR_AWAY = 1e100
EPS = float(np.finfo(np.float64).eps)
MANY = 1000  # the history keeps points of up to so many entries


class Halt(Exception):
    """A solver must stop now."""

    def __init__(self, status: Status, detail: str | Phrase = "") -> None:
        super().__init__(status.name)
        self.status, self.detail = status, detail


@dataclass(frozen=True)
class Limits:
    """When to stop without having converged.

    Attributes
    ----------
    iterations : int
    evaluations : int
        Of the objective.
    seconds : float
    goal : float
        Stop when the objective is at most this, at a feasible point.
    """

    iterations: int = 1000
    evaluations: int = 10**9
    seconds: float = float("inf")
    goal: float = float("-inf")


class Point(NamedTuple):
    """A point and what is known of it."""

    x: Vector
    fun: float
    measure: float = float("nan")
    violation: float = 0.0

    def better_than(self, other: Point, feasible: float) -> bool:
        """Whether this point is to be kept: first feasibility, then the objective."""
        if not math.isfinite(self.fun):
            return False
        if self.violation <= feasible and other.violation <= feasible:
            return not math.isfinite(other.fun) or self.fun <= other.fun
        return self.violation < other.violation


@dataclass
class Run:
    """The books of one run.

    Attributes
    ----------
    limits : Limits
    callback : callable or None
        ``callback(iteration)``; returning True or raising StopIteration stops the run.
    shown : callable
        From a vector to the user's structure.
    sign : float
        -1 for `maximize`: history and callback quote the utility.
    feasible : float
        The violation up to which a point counts as feasible.
    met : bool
        Whether an iterate was feasible, and not so far away that rounding made it so.
    kkt, multipliers
        What a solver for constraints knows of its last point.
    """

    limits: Limits = field(default_factory=Limits)
    callback: Callable[[Iteration], Any] | None = None
    shown: Callable[[Vector], Any] = lambda x: x
    sign: float = 1.0
    feasible: float = 1e-6
    nit: int = 0
    nfev: int = 0
    njev: int = 0
    nhev: int = 0
    best: Point | None = None
    met: bool = False
    kkt: KKT | None = None
    multipliers: Multipliers | None = None
    history: list[Iteration] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.perf_counter() - self.started

    def evaluated(self, functions: int = 0, slopes: int = 0, second: int = 0) -> None:
        """Count evaluations; stop the run when a limit is passed."""
        if functions and self.nfev >= self.limits.evaluations:
            raise Halt(Status.EVALUATIONS_USED_UP)
        if self.seconds > self.limits.seconds:
            raise Halt(Status.TIME_USED_UP)
        self.nfev += functions
        self.njev += slopes
        self.nhev += second

    def consider(self, point: Point) -> None:
        """Keep a point if it is the best so far; not one that only rounding makes feasible."""
        if self.best is None or (
            point.better_than(self.best, self.feasible)
            and (self.met or point.violation > self.feasible or self.near(point.x))
        ):
            self.best = Point(point.x.copy(), point.fun, point.measure, point.violation)

    def conclude(self, point: Point) -> None:
        """The point at which a solver ends of its own accord."""
        self.consider(point)
        if math.isfinite(point.fun):
            self.best = point

    def iterate(self, point: Point) -> None:
        """Enter an accepted point; stop the run at the goal, at a limit, or far away."""
        self.consider(point)
        line = Iteration(
            self.nit,
            self.shown(point.x.copy()),
            self.sign * point.fun,
            point.measure,
            point.violation,
            self.nfev,
            self.seconds,
        )
        self.history.append(line if point.x.size <= MANY else replace(line, x=None))
        if self.callback is not None:
            self._ask(self.callback, line)
        feasible = point.violation <= self.feasible and point.fun > float("-inf")
        if feasible and point.fun <= self.limits.goal:
            raise Halt(Status.GOAL_MET)
        self._credible(point, feasible)
        if feasible and self.met and point.fun < UNBOUNDED_BELOW:
            raise Halt(Status.UNBOUNDED)
        if point.x.dot(point.x) > FAR_AWAY**2:
            size = float(np.max(np.abs(point.x)))
            raise Halt(Status.DIVERGED, Phrase("|x| reached {size:.1e}", size=size))
        if self.nit >= self.limits.iterations:
            raise Halt(Status.ITERATIONS_USED_UP)
        self.nit += 1

    def _credible(self, point: Point, feasible: bool) -> None:
        """Note a feasible point where rounding cannot be what makes it one."""
        if feasible and not self.met:
            self.met = self.nit == 0 or self.near(point.x)

    def near(self, x: Vector) -> bool:
        """Whether the last bits of x are below the violation that is allowed."""
        return EPS * float(np.max(np.abs(x))) <= self.feasible

    def _ask(self, callback: Callable[[Iteration], Any], line: Iteration) -> None:
        try:
            answer = callback(line)
        except StopIteration:
            answer = True
        if isinstance(answer, bool | np.bool_) and answer:
            raise Halt(Status.STOPPED_BY_CALLBACK)
