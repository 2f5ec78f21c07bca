"""One round of training under constraints, and the best weights that hold them.

A round solves at the points of a `WorkingSet` to a tolerance, from the weights and multipliers of
the round before. It ends early where violations appear between the points. Every iteration of the
solver is an epoch of the history.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.optim.constrained.augmented_lagrangian import STEPS
from thalweg.optim.first_order import Follower
from thalweg.optim.problem import Bounds, Problem
from thalweg.optim.result import Iteration, Result, Status
from thalweg.optim.rules import Rule
from thalweg.optim.run import Limits, Run
from thalweg.optim.schedules import schedule as find_schedule
from thalweg.training.constraints.bound import ConstraintSet
from thalweg.training.constraints.curvature import PartlyCurved
from thalweg.training.constraints.pulling import pulled_together
from thalweg.training.constraints.working_set import FINAL, LOOKED, WorkingSet
from thalweg.training.engines import make_program
from thalweg.training.loop import Book, Task
from thalweg.training.solvers import Patience, SolverDiary
from thalweg.training.stopping import StopReason

__all__ = ["FEASIBLE", "FIRST", "TOLERANCE", "Kept", "Solving", "Vector"]

Vector = NDArray[np.float64]

MARGIN, WIDEST, TOGETHER = 1e-5, 0.02, 0.1
"""What constraints over regions are tightened by, in the size of their quantity: in the last
rounds, and at most in those before, one of them and all of them together."""
EVERY = 8
"""How many iterations pass between two looks in a round."""
LONGEST = {"interior-point": 100, "augmented-lagrangian": 1000}
"""The most iterations of a round."""
FIRST = {"interior-point": 1e-2, "augmented-lagrangian": 1e-3}
TOLERANCE = {"interior-point": 1e-8, "augmented-lagrangian": 1e-7}
"""Tolerance of the first rounds, and of the last."""
GAIN = 1e-3
"""The part by which the loss of weights that hold must fall, or patience runs out."""
PROMISING = 0.1
"""The part by which the loss of weights that do not hold yet is lower where patience lasts."""
MANY = 150
"""Parameters, from which rounds before the last ones make do with Gauss-Newton's matrix."""
FEASIBLE = 1e-7
MEANT = 1.0
"""Stationarity above which multipliers say nothing."""


@dataclass(frozen=True)
class Kept:
    """Weights that hold all constraints, as far as a quick look can see."""

    watched: float
    epoch: int
    theta: Vector
    tol: float


class Solving:
    """What a training under constraints knows, and its rounds one by one."""

    def __init__(self, task: Task, name: str, options: dict[str, Any]) -> None:
        self.task, self.name, self.options = task, name, options
        self.constraints: ConstraintSet = task.constraints
        program, self.engine = make_program(task)
        self.problem = PartlyCurved(task.objective, task.train, program)
        self.working = WorkingSet(self.constraints)
        self.lower, self.upper = self.constraints.lower, self.constraints.upper
        self.margin, self.roomy = MARGIN, True
        self.rounds, self.warm, self.tol = 0, True, FIRST[name]
        self.result: Result | None = None
        self.theta = self.problem.vector(task.params)
        self.kept: list[Kept] = []
        self.patient, self.seen, self.now = (math.inf, 0), 0, math.inf
        quiet = replace(task.options, patience=0, keep="last", goal=None, min_gradient=0.0)
        self.book = Book(replace(task, options=quiet), task.params)
        if isinstance(rule := self.options.get("inner"), Rule):
            seen = task.options.conditioning
            self.options["inner"] = Follower(rule, seen, self._pace, STEPS)
        self.diary = SolverDiary(self.book, self.problem, Patience())

    @property
    def over(self) -> bool:
        """Whether there is a reason to stop."""
        return self.book.stop is not None

    # -- one round ----------------------------------------------------------------------------
    def _solved(self, tol: float, most: int | None = None) -> Result:
        """Solve at the points to a tolerance, from where the last round ended."""
        from thalweg.optim.solution import solve

        equal, unequal = self.working.functions(self._margin(tol))
        bounds = Bounds(self.lower, self.upper)
        self.tol = tol
        self.problem.rough = tol > TOLERANCE[self.name] and len(self.theta) > MANY
        run = Run(self._limits(most or LONGEST[self.name]), self._iteration, feasible=FEASIBLE)
        question = Problem(self.problem, bounds, equal, unequal, run)
        options = {**self.options, "prices": self.working.prices() if self.warm else None}
        if self.name == "interior-point":
            options["barrier"] = "monotone"
        result = solve(question, self.theta, self.name, tol, options=options)
        if result.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        if result.status is not Status.STOPPED_BY_CALLBACK:
            self.theta = np.asarray(result.x)
            self.diary.take(self.theta, float(result.fun))
        if result.status is Status.TIME_USED_UP and not self.over:
            limit = self.task.options.time_limit
            self.book.stop = StopReason.of("time", epoch=len(self.book.history), limit=limit)
        if result.multipliers is not None and result.kkt.stationarity <= MEANT:
            self.working.take(result.multipliers)
        self.result = result
        return result

    def _limits(self, most: int) -> Limits:
        whole = self.diary.limits()
        left = max(1, min(most, whole.iterations - len(self.book.history)))
        spent = self.book.history.epochs[-1].seconds if len(self.book.history) else 0.0
        return replace(whole, iterations=left, seconds=max(whole.seconds - spent, 1e-3))

    def _iteration(self, line: Iteration) -> bool:
        """Enter an iteration; end the round where violations appear between the points."""
        self.theta = theta = np.asarray(line.x)
        stop = self.diary.iteration(line)
        if line.nit == 0:
            return stop
        self._consider(theta, float(line.fun))
        if stop or self._at_goal(theta) or self._out_of_patience() is not None:
            return True
        if line.nit % EVERY:
            return False
        known = max(self._slack(self.tol), 2.0 * line.violation)
        return not self.working.holds(theta, self.rounds, known)

    def _margin(self, tol: float) -> float:
        """Wider in rough rounds, so that their weights hold between the points, too."""
        if tol <= TOLERANCE[self.name] or not self.roomy:
            return self.margin
        share = TOGETHER / max(1, self.working.regions)
        return max(self.margin, min(WIDEST, share, self._slack(tol)))

    @staticmethod
    def _slack(tol: float) -> float:
        """Violations between the points that do not matter yet."""
        return math.sqrt(tol)

    def _pace(self) -> float:
        """The part of the learning rate that the schedule leaves to the present step."""
        history, schedule = self.book.history, find_schedule(self.task.options.schedule)
        losses = [self.task.sign * e.watched for e in history] if schedule.watches else ()
        return schedule(len(history), self.book.limit, losses)

    # -- between the points -------------------------------------------------------------------
    def _clean(self, final: bool) -> bool:
        """Whether no violation is found between the points; what is found joins them."""
        found = self.working.look(self.theta, LOOKED, self.rounds)
        if not (found and final):
            return found
        return self.working.look(self.theta, FINAL, self.rounds + 1) and self._holds()

    def _holds(self, theta: Vector | None = None) -> bool:
        """Whether weights, the last ones if none are given, stand up to a close look."""
        theta = self.theta if theta is None else theta
        at_points = self.working.holds_at_points(theta, FEASIBLE)
        return at_points and self.working.look(theta, FINAL, self.rounds + 2)

    # -- what is good enough ------------------------------------------------------------------
    def _at_goal(self, theta: Vector) -> bool:
        """Whether the goal is reached by weights that stand up to a close look: then it is over."""
        goal, last = self.task.options.goal, self.book.history.epochs[-1]
        if goal is None or not self.book.reached(goal, last):
            return False
        if not (self.working.holds(theta, self.rounds) and self._holds()):
            return False
        self.book.stop = StopReason.of(
            "goal", epoch=last.epoch, loss=self.book.own(last), goal=goal
        )
        return True

    def _flat(self, result: Result) -> bool:
        """Whether the Lagrangian's gradient is small enough where all constraints hold."""
        limit, norm = self.task.options.min_gradient, result.kkt.stationarity
        if self.over or not (norm < limit and self._holds()):
            return False
        epoch = len(self.book.history)
        self.book.stop = StopReason.of("gradient", epoch=epoch, norm=norm, limit=limit)
        return True

    # -- the best of all that hold ------------------------------------------------------------
    def _consider(self, theta: Vector, value: float) -> None:
        """Keep weights that hold the constraints and are better than those before."""
        last = self.book.history.epochs[-1]
        checked = self.task.sign * last.validation_loss
        self.now = watched = value if self.task.validation is None else checked
        if not watched < (self.kept[-1].watched if self.kept else math.inf):
            return
        at_points = self.working.holds_at_points(theta, FEASIBLE)
        if at_points and self.working.holds(theta, len(self.kept)):
            self.kept.append(Kept(watched, last.epoch, theta.copy(), self.tol))
            least = self.patient[0]
            if math.isinf(least) or watched < least - self._least_change(least):
                self.patient = watched, last.epoch

    def _least_change(self, least: float) -> float:
        """By how much weights that hold must be better, or patience runs out."""
        unit = self.task.unit if self.task.validation is None else 1.0
        return max(GAIN * abs(least), self.task.options.min_change / unit)

    def _refused(self) -> Kept | None:
        """The best weights, if a closer look finds that they violate: they are dropped then.

        What the look finds joins the points, and other weights that violate there go, too.
        """
        if not self.kept or self.working.look(self.kept[-1].theta, FINAL, self.rounds + 2):
            return None
        refused = self.kept.pop()
        while self.kept and not self.working.holds_at_points(self.kept[-1].theta, FEASIBLE):
            self.kept.pop()
        half = (self.task.options.patience or 0) // 2
        least = self.kept[-1].watched if self.kept else math.inf
        self.patient = least, max(self.patient[1], len(self.book.history) - half)
        return refused

    def _out_of_patience(self) -> StopReason | None:
        patience, epoch = self.task.options.patience, len(self.book.history)
        if not patience or not self.kept or epoch - self.patient[1] < patience or self.promising:
            return None
        kind = "plateau_held" if self.task.validation is None else "validation_held"
        best = self.kept[-1].epoch
        return StopReason.of(kind, epoch=epoch, patience=patience, best=best)

    @property
    def promising(self) -> bool:
        """Whether the last weights, which may violate, are far better than all that hold."""
        best = self.kept[-1].watched if self.kept else math.inf
        return self.now < best - PROMISING * abs(best)

    def _pulled_until(self, holds: Callable[[Vector], bool]) -> tuple[float, Vector] | None:
        """The last weights with a part of the last layer."""
        if self.constraints.bounded:
            return None
        X = np.asarray(self.problem.samples.X, np.float64)
        network, params = self.constraints.frame.network, self.problem.params(self.theta)
        return pulled_together(network, params, X, holds)
