"""Training under constraints: solve at points, look between them, add the worst, go on.

A solver for constraints is given the points of a `WorkingSet`. Each round (`solving`) solves to a
tolerance, starting from the weights and multipliers of the round before, and is followed by a look
between the points. Where violations are found they join, and the same is solved again; where there
are none the tolerance falls. So the points are found while the solution is still rough (for the
interior point: while the barrier still keeps it away from all constraints), and only the last
rounds are exact.

How training comes to weights from which a solver goes on is told in `beginning`. Of the epochs
whose weights hold all constraints the one of the lowest validation loss is kept, and training stops
when there has been no better one for long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.optim.result import Status
from thalweg.optim.rules import GD
from thalweg.training.constraints.beginning import Beginning
from thalweg.training.constraints.prices import reported
from thalweg.training.constraints.report import ConstraintReport
from thalweg.training.constraints.solving import FIRST, TOLERANCE, Kept, Vector
from thalweg.training.constraints.working_set import FINAL
from thalweg.training.loop import Outcome, Task
from thalweg.training.stopping import StopReason

__all__ = ["run_constrained"]

ROUNDS = 200
"""The most rounds."""
FALL, FASTER = 0.1, 1.5
"""The tolerance falls to this part of it, or faster than linearly to this power."""
TRIES = 3
"""Rounds in a row that may end before the tolerance is met."""


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


class _Rounds(Beginning):
    """One training under constraints."""

    def run(self) -> Outcome:
        """Start, solve and look between the points until nothing is violated."""
        solved = False
        try:
            if self.book.stop is None:
                self.begin()
                solved = self._path()
        except KeyboardInterrupt:
            self.book.interrupt()
        return self._outcome(solved)

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

    def _passed_too_soon(self) -> Kept | None:
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

    def _widen(self) -> None:
        """Where points alone do not help for long, the margin has to."""
        if self.rounds > ROUNDS // 2:
            self.margin = max(self.margin, 2.0 * self.working.worst)

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
        if self.kept and self.task.validation is not None:
            return None
        found = self._pulled_until(self._holds)
        if found and self.kept and self.problem.value(found[1]) >= self.kept[-1].watched:
            return None
        return found

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
