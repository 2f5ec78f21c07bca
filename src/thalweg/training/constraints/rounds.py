"""Training under constraints: solve at points, look between them, add the worst, go on.

A solver for constraints is given the points of a `WorkingSet`. Each round solves to a tolerance,
starting from the weights and multipliers of the round before, and is followed by a look between the
points. Where violations are found they join, and the same is solved again; where there are none the
tolerance falls. So the points are found while the solution is still rough (for the interior point:
while the barrier still keeps it away from all constraints), and only the last rounds are exact.

Training begins without the constraints (unless weights are bounded or given to start from), as a
solution near by is easier to find than one from afar. Every iteration of the solver is an epoch of
the history. Of the epochs whose weights hold all constraints the one of the lowest validation loss
is kept, and training stops when there has been no better one for long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.optim.constrained.augmented_lagrangian import STEPS
from thalweg.optim.first_order import Follower
from thalweg.optim.problem import Bounds, Problem
from thalweg.optim.result import Iteration, Result, Status
from thalweg.optim.rules import GD, Rule
from thalweg.optim.run import Limits, Run
from thalweg.optim.schedules import schedule as find_schedule
from thalweg.training.constraints.bound import ConstraintSet
from thalweg.training.constraints.curvature import PartlyCurved
from thalweg.training.constraints.prices import reported
from thalweg.training.constraints.pulling import pulled_together
from thalweg.training.constraints.report import ConstraintReport
from thalweg.training.constraints.signs import kept_by_signs, sign_bounds
from thalweg.training.constraints.start import reflected, trained_freely
from thalweg.training.constraints.working_set import FINAL, LOOKED, WorkingSet
from thalweg.training.engines import make_program
from thalweg.training.loop import Book, Outcome, Task
from thalweg.training.solvers import Patience, SolverDiary
from thalweg.training.stopping import StopReason

__all__ = ["run_constrained"]

Vector = NDArray[np.float64]

MARGIN, WIDEST, TOGETHER = 1e-5, 0.02, 0.1
"""What constraints over regions are tightened by, in the size of their quantity: in the last
rounds, and at most in those before, one of them and all of them together."""
APPROACH = 20
"""The most rounds on the way from the start to weights that nearly hold the constraints."""
FEW, MIXED, SIGNS = 2, 4, 1e-4
"""Conditions over regions up to which the solver begins at weights of a training without them, if
signs of weights keep all of them (one less without validation rows) or only some, and the
tolerance among such weights."""
ROUNDS, EVERY = 200, 8
"""The most rounds, and how many iterations pass between two looks in a round."""
LONGEST = {"interior-point": 100, "augmented-lagrangian": 1000}
"""The most iterations of a round."""
FIRST = {"interior-point": 1e-2, "augmented-lagrangian": 1e-3}
TOLERANCE = {"interior-point": 1e-8, "augmented-lagrangian": 1e-7}
"""Tolerance of the first rounds, and of the last."""
FALL, FASTER = 0.1, 1.5
"""The tolerance falls to this part of it, or faster than linearly to this power."""
GAIN = 1e-3
"""The part by which the loss of weights that hold must fall, or patience runs out."""
TRIES = 3
"""Rounds in a row that may end before the tolerance is met."""
MANY = 150
"""Parameters, from which rounds before the last ones make do with Gauss-Newton's matrix."""
FEASIBLE = 1e-7
MEANT = 1.0
"""Stationarity above which multipliers say nothing."""


@dataclass(frozen=True)
class _Kept:
    """Weights that hold all constraints, as far as a quick look can see."""

    watched: float
    epoch: int
    theta: Vector
    tol: float


def run_constrained(task: Task, name: str, options: Mapping[str, Any] | None = None) -> Outcome:
    """Train under the task's constraints, in float64.

    Parameters
    ----------
    task : Task
        With its options settled.
    name : {"interior-point", "augmented-lagrangian"}
    options : mapping, optional
        Of the solver: ``inner`` of the augmented Lagrangian.

    Returns
    -------
    Outcome
    """
    chosen, rate = dict(options or {}), task.options.learning_rate
    if task.rule is not None and rate is not None:
        chosen["inner"] = replace(task.rule, learning_rate=rate)
    exact = replace(task, dtype=np.dtype(np.float64), rule=GD())
    return _Rounds(exact, name, chosen).run()


class _Rounds:
    """One training under constraints."""

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
        self.kept: list[_Kept] = []
        self.patient, self.seen, self.now = (math.inf, 0), 0, math.inf
        quiet = replace(task.options, patience=0, keep="last", goal=None, min_gradient=0.0)
        self.book = Book(replace(task, options=quiet), task.params)
        if isinstance(rule := self.options.get("inner"), Rule):
            seen = task.options.conditioning
            self.options["inner"] = Follower(rule, seen, self._pace, STEPS)
        self.diary = SolverDiary(self.book, self.problem, Patience())

    # -- the whole ----------------------------------------------------------------------------
    def run(self) -> Outcome:
        """Start, solve and look between the points until nothing is violated."""
        solved = False
        try:
            if self.book.stop is None:
                self._start()
                self._by_signs()
                self.working.begin()
                self.working.look(self.theta, LOOKED, 0)
                if self.name == "interior-point" and self.many:
                    self._approach(FIRST["augmented-lagrangian"])
                solved = self._path()
        except KeyboardInterrupt:
            self.book.interrupt()
        return self._outcome(solved)

    def _by_signs(self) -> None:
        """From the start to weights whose signs keep what is to be monotone, the best of these."""
        found = sign_bounds(self.constraints, self.theta)
        if found is None or self.constraints.start_given or not self.many:
            return
        self.lower, self.upper = found
        self.theta = np.clip(self.theta, *found)
        self.working.begin(kept_by_signs(self.constraints))
        self._approach(SIGNS)
        self.lower, self.upper = self.constraints.lower, self.constraints.upper
        self.working.forget_bounds()

    def _approach(self, tol: float) -> None:
        """To weights that nearly hold the constraints, by the augmented Lagrangian.

        The interior point does not like to begin where much is violated. The augmented Lagrangian
        does not mind: its squares join those of the data in Gauss-Newton's matrix.
        """
        own = self.name, self.options
        if self.name == "interior-point":
            self.name, self.options = "augmented-lagrangian", {"inner": "marquardt"}
        for _ in range(APPROACH):
            if self.over or self._out_of_patience() is not None:
                break
            self.rounds += 1
            result = self._solved(tol)
            if result.status in (Status.INFEASIBLE, Status.NOT_FINITE, Status.DIVERGED):
                break
            self._clean(False)
            if max(self.working.worst, result.violation) <= self._slack(tol):
                break
        self.name, self.options = own
        self.patient = self.patient[0], len(self.book.history)

    def _path(self) -> bool:
        """Rounds of falling tolerance; whether the last one met it and nothing is violated."""
        tol, last, tries = FIRST[self.name], TOLERANCE[self.name], 0
        while not self.over and self.rounds < ROUNDS:
            self.rounds += 1
            before = self.theta
            result = self._solved(tol)
            if result.status is Status.INFEASIBLE and self._another_way(before):
                continue
            if result.status in (Status.INFEASIBLE, Status.NOT_FINITE, Status.DIVERGED):
                return False
            self.warm = True
            early = result.status is Status.STOPPED_BY_CALLBACK
            tries = 0 if result.success else tries + (not early)
            clean = self._clean(tol <= last)
            if (refused := self._passed_too_soon()) is not None:
                self.theta, tol = refused.theta, refused.tol
            elif early or self._flat(result) or self.over:
                continue
            elif tries >= 2 * TRIES:
                return False
            elif not (clean if tol <= last else self.working.worst <= self._slack(tol)):
                self._widen()
            elif tol <= last and (result.success or tries >= TRIES):
                return result.success
            else:
                tol = max(last, min(FALL * tol, (0.1 * tol) ** FASTER * 10.0))
        return False

    @property
    def many(self) -> bool:
        """Whether points are found too slowly where many conditions are violated at the start."""
        if len(kept_by_signs(self.constraints)) < self.working.regions:
            return self.working.regions > MIXED
        return self.working.regions > FEW - (self.task.validation is None)

    @property
    def over(self) -> bool:
        """Whether there is a reason to stop."""
        return self.book.stop is not None

    def _passed_too_soon(self) -> _Kept | None:
        """The best weights, where they turn out to violate and it has only got worse since.

        It goes on from there: more is known of the constraints now than when they were passed.
        Where patience has run out, and a close look finds nothing, training stops.
        """
        if self.over or not self.kept or not self.task.options.patience:
            return None
        stop, best = self._out_of_patience(), self.kept[-1]
        if stop is None and (self.task.validation is None or best.epoch <= self.seen):
            return None
        self.seen = best.epoch
        refused = self._refused()
        if refused is None:
            self.book.stop = stop
        return refused if stop is not None or self.now > best.watched else None

    def _another_way(self, before: Vector) -> bool:
        """Whether to try once more where a solver saw no way to meet the constraints.

        The next try has the least margin, the one after it begins further inside; and what only
        the margin forbids may hold without.
        """
        if self.roomy or self.warm:
            self.roomy, self.warm, self.theta = False, self.roomy, before
            return True
        assert self.result is not None
        only_margin = self.margin > 0.0 and self.result.violation <= 2.0 * self.margin
        self.margin = 0.0 if only_margin else self.margin
        return only_margin

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

    def _widen(self) -> None:
        """Where points alone do not help for long, the margin has to."""
        if self.rounds > ROUNDS // 2:
            self.margin = max(self.margin, 2.0 * self.working.worst)

    def _clean(self, final: bool) -> bool:
        """Whether no violation is found between the points; what is found joins them."""
        found = self.working.look(self.theta, LOOKED, self.rounds)
        if not (found and final):
            return found
        return self.working.look(self.theta, FINAL, self.rounds + 1) and self._holds()

    # -- the start ----------------------------------------------------------------------------
    def _start(self) -> None:
        """Weights to start from: trained without constraints, or drawn within bounds."""
        constraints = self.constraints
        if constraints.bounded or constraints.start_given:
            self.theta = reflected(self.theta, constraints.lower, constraints.upper)
            return
        trained = trained_freely(self.task)
        if trained is None:
            return
        self.book.history = trained.history
        self.book.snapshots |= {k: v for k, v in trained.snapshots.items() if k != "end"}
        if len(trained.history):
            self.book.began -= trained.history.epochs[-1].seconds
        if trained.stop.kind in ("interrupted", "callback", "time"):
            self.book.stop = trained.stop
        self.theta = self.problem.vector(trained.params)

    def _pace(self) -> float:
        """The part of the learning rate that the schedule leaves to the present step."""
        history, schedule = self.book.history, find_schedule(self.task.options.schedule)
        losses = [self.task.sign * e.watched for e in history] if schedule.watches else ()
        return schedule(len(history), self.book.limit, losses)

    # -- one round ----------------------------------------------------------------------------
    def _solved(self, tol: float) -> Result:
        """Solve at the points to a tolerance, from where the last round ended."""
        from thalweg.optim.solution import solve

        equal, unequal = self.working.functions(self._margin(tol))
        bounds = Bounds(self.lower, self.upper)
        self.tol = tol
        self.problem.rough = tol > TOLERANCE[self.name] and len(self.theta) > MANY
        run = Run(self._limits(), self._iteration, feasible=FEASIBLE)
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

    def _limits(self) -> Limits:
        whole = self.diary.limits()
        left = max(1, min(LONGEST[self.name], whole.iterations - len(self.book.history)))
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
            self.kept.append(_Kept(watched, last.epoch, theta.copy(), self.tol))
            least = self.patient[0]
            if math.isinf(least) or watched < least - self._least_change(least):
                self.patient = watched, last.epoch

    def _least_change(self, least: float) -> float:
        """By how much weights that hold must be better, or patience runs out."""
        unit = self.task.unit if self.task.validation is None else 1.0
        return max(GAIN * abs(least), self.task.options.min_change / unit)

    def _refused(self) -> _Kept | None:
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
        if not patience or not self.kept or epoch - self.patient[1] < patience:
            return None
        kind = "plateau_held" if self.task.validation is None else "validation_held"
        best = self.kept[-1].epoch
        return StopReason.of(kind, epoch=epoch, patience=patience, best=best)

    # -- the end ------------------------------------------------------------------------------
    def _outcome(self, solved: bool) -> Outcome:
        book, keep = self.book, self.task.options.keep
        epoch, theta = len(book.history), self.theta
        best = keep == "best" or (keep is None and self.task.validation is not None)
        while self._refused() is not None:
            pass
        holds = solved or (not best and self._holds())
        if (best or not holds) and self.kept:
            epoch, theta = self.kept[-1].epoch, self.kept[-1].theta
        done = book.stop is None or book.stop.kind == "epochs"
        part, found = None, self._pulled() if done and not holds else None
        if found is not None:
            part, theta, epoch = *found, len(book.history)
        report = self._report(theta)
        if done and part is not None and report.worst == 0.0:
            book.stop = StopReason.of("pulled", epoch=epoch, part=part)
        elif done:
            book.stop = self._reason(report, solved, epoch)
        elif book.stop is not None and book.stop.kind in ("interrupted", "validation_held"):
            values = {**dict(book.stop.values), "best": epoch}
            book.stop = StopReason.of(book.stop.kind, **values)
        book.kept = (epoch, self.problem.params(theta))
        return replace(book.outcome(), engine=self.engine, constraints=report)

    def _pulled(self) -> tuple[float, Vector] | None:
        """The last weights with a part of the last layer, where that holds and is the best."""
        if self.constraints.bounded or (self.kept and self.task.validation is not None):
            return None
        X = np.asarray(self.problem.samples.X, np.float64)
        network, params = self.constraints.frame.network, self.problem.params(self.theta)
        found = pulled_together(network, params, X, self._holds)
        if found and self.kept and self.problem.value(found[1]) >= self.kept[-1].watched:
            return None
        return found

    def _holds(self, theta: Vector | None = None) -> bool:
        """Whether weights, the last ones if none are given, stand up to a close look."""
        theta = self.theta if theta is None else theta
        at_points = self.working.holds_at_points(theta, FEASIBLE)
        return at_points and self.working.look(theta, FINAL, self.rounds + 2)

    def _report(self, theta: Vector) -> ConstraintReport:
        self.working.look(theta, FINAL, self.rounds + 2)
        slack = TOLERANCE["augmented-lagrangian"]
        return reported(self.working, theta, self.result, self.rounds, self.task.unit, slack)

    def _reason(self, report: ConstraintReport, solved: bool, kept: int) -> StopReason:
        epoch = len(self.book.history)
        if report.worst > 0.0:
            infeasible = self.result is not None and self.result.status is Status.INFEASIBLE
            kind = "infeasible" if infeasible else "violated"
            return StopReason.of(kind, epoch=epoch, worst=report.worst)
        kind = "constrained" if solved else "feasible"
        values: dict[str, Any] = {"epoch": epoch, "residual": report.stationarity}
        if kept == epoch:
            return StopReason.of(kind, **values)
        return StopReason.of(f"{kind}_best", **values, best=kept)
