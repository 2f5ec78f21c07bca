"""From the start to weights that nearly hold the constraints.

Training begins without the constraints (unless weights are bounded or given to start from), as a
solution near by is easier to find than one from afar. Where many conditions are violated there, it
goes on among weights whose signs keep what is to be monotone (`signs`). Where outputs are bounded,
too, and there are inputs enough, another way is tried before: among such weights, with intervals
that enclose the outputs (`enclosure`) in place of points. Intervals surely hold, points leave more
freedom; which leads further depends on the table. Training goes on from where the better weights
were found.
"""

from __future__ import annotations

import math

import numpy as np

from thalweg.optim.result import Status
from thalweg.training.constraints.bound import Condition
from thalweg.training.constraints.enclosure import Enclosure, enclosable
from thalweg.training.constraints.signs import kept_by_signs, sign_bounds
from thalweg.training.constraints.solving import FEASIBLE, FIRST, Solving, Vector
from thalweg.training.constraints.start import reflected, trained_freely
from thalweg.training.constraints.working_set import LOOKED, WorkingSet

__all__ = ["Beginning"]

APPROACH = 20
"""The most rounds on the way from the start to weights that nearly hold the constraints."""
FEW, MIXED, SIGNS = 2, 4, 1e-4
"""Conditions over regions up to which the solver begins at weights of a training without them, if
signs of weights keep all of them (one less without validation rows) or only some, and the
tolerance among such weights."""
STAGES, STAGE, ENCLOSED, WORTH = 10, 30, 1e-3, 3e-3
"""Within enclosures: the most stages, the most iterations of each, their tolerance, and the part
of the loss that is worth another."""
PART = 4
"""Which part of the epochs they may take."""
FAILED = (Status.INFEASIBLE, Status.NOT_FINITE, Status.DIVERGED)


class Beginning(Solving):
    """The way to weights from which a solver goes on."""

    def begin(self) -> None:
        """Take the start, and bring it near the constraints where many are violated."""
        self._start()
        start, enclosed = self.theta, self._enclosable()
        if not enclosed:
            self._by_points()
            return
        self._within(enclosed)
        other, best = (self.theta, self.working), self.kept[-1:]
        if not self.over:
            self.theta, self.working = start, WorkingSet(self.constraints)
            self._by_points()
            self._pull()
        if best and self.kept[-1:] == best and not self.promising:
            self.theta, self.working = other
            self.working.begin()
            self.working.look(self.theta, LOOKED, 0)

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

    @property
    def many(self) -> bool:
        """Whether points are found too slowly where many conditions are violated at the start."""
        if len(kept_by_signs(self.constraints)) < self.working.regions:
            return self.working.regions > MIXED
        return self.working.regions > FEW - (self.task.validation is None)

    # -- by points --------------------------------------------------------------------------------
    def _by_points(self) -> None:
        """With points that stand for regions."""
        self._by_signs()
        self.working.begin()
        self.working.look(self.theta, LOOKED, 0)
        if self.name == "interior-point" and self.many:
            self._approach(FIRST["augmented-lagrangian"])

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
            if result.status in FAILED:
                break
            self._clean(False)
            if max(self.working.worst, result.violation) <= self._slack(tol):
                break
        self.name, self.options = own
        self.patient = self.patient[0], len(self.book.history)

    # -- within enclosures ------------------------------------------------------------------------
    def _enclosable(self) -> list[Condition]:
        """The bounds of outputs to be held by intervals at first; none where that is no help."""
        constraints = self.constraints
        if self.over or self.name != "interior-point" or constraints.start_given or not self.many:
            return []
        found = enclosable(constraints.conditions, constraints.frame)
        return [] if found and self.working.holds(self.theta, 0) else found

    def _within(self, bounds: list[Condition]) -> None:
        """From the start to weights whose signs and enclosures keep the conditions."""
        constraints, own = self.constraints, (self.name, self.options)
        signs = sign_bounds(constraints, self.theta)
        if signs is not None:
            self.lower, self.upper = signs
            self.theta = np.clip(self.theta, *signs)
        self.name, self.options = "augmented-lagrangian", {"inner": "marquardt"}
        self.working.begin([*(kept_by_signs(constraints) if signs else ()), *bounds])
        margin = self._margin(ENCLOSED)
        self.working.enclosure = Enclosure(
            bounds, constraints.frame, self.lower, self.upper, margin
        )
        try:
            self._in_stages()
        finally:
            self.working.enclosure = None
            self.lower, self.upper = constraints.lower, constraints.upper
            self.name, self.options = own
        self.working.forget_bounds()
        self._pull()
        self.patient = self.patient[0], len(self.book.history)

    def _in_stages(self) -> None:
        """Solve within enclosures, which learn from stage to stage how much too wide they are."""
        last = math.inf
        for _ in range(STAGES):
            left = self.book.limit // PART - len(self.book.history)
            if left < 1 or self.over or self._out_of_patience() is not None:
                return
            self.rounds += 1
            result = self._solved(ENCLOSED, min(STAGE, left))
            self.working.look(self.theta, LOOKED, self.rounds)
            if result.status in FAILED or abs(result.fun - last) <= WORTH * abs(result.fun):
                return
            last = float(result.fun)
            self.working.learn(self.theta)

    def _pull(self) -> None:
        """Enter what holds of the last weights as an epoch of its own, so that it can be kept."""

        def holds(theta: Vector) -> bool:
            at_points = self.working.holds_at_points(theta, FEASIBLE)
            return at_points and self.working.holds(theta, self.rounds)

        found = None if self.over else self._pulled_until(holds)
        if found is not None:
            now, value = self.now, self.problem.value(found[1])
            self.diary.take(found[1], value)
            self._consider(found[1], value)
            self.now = now
