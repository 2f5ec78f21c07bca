"""Training under constraints: solve at points, look between them, add the worst, solve again.

A constraint over a region is infinitely many constraints, one at every point. A solver for
constraints is given finitely many of them, with a small margin; then the region is searched for
the worst violations of the solution, which join the points, until none is found (the exchange
method of semi-infinite programming: R. Hettich and K. O. Kortanek, SIAM Review 35 (1993) 380-429).
Because near a local maximum the violation grows with the square of the distance, the points close
in on the maxima in a few rounds, and the margin makes up for the rest.

Training begins without the constraints (unless weights are bounded or given to start from), as a
solution nearby is easier to find than one from afar. Every iteration of the solver is an epoch of
the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import OptionError, ThalwegError
from thalweg.optim.problem import Bounds, Problem
from thalweg.optim.result import KKT, Iteration, Result, Status
from thalweg.optim.rules import GD
from thalweg.optim.run import Limits, Run
from thalweg.training.constraints.bound import Condition, ConstraintSet
from thalweg.training.constraints.pointwise import Stack
from thalweg.training.constraints.report import Active, ConstraintReport, Held, by_size
from thalweg.training.engines import make_program
from thalweg.training.loop import Book, Outcome, Task
from thalweg.training.solvers import NetworkProblem, Patience, SolverDiary
from thalweg.training.stopping import StopReason

__all__ = ["run_constrained"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

MARGIN = 1e-6
"""What constraints over regions are tightened by, in the size of their quantity."""
ROUNDS = 60
EVERY, LONGEST, ASTRAY, STANDSTILL = 25, 150, 0.05, 1e-4
"""Once in so many iterations a round is ended if it squeezes violations of this size in between
the points, or if the objective has changed by no more than this part of it; and it is ended after
the longest."""
FIRST, MOST_FIRST, LOOKED, FINAL = 64, 256, 2048, 16384
"""Points at the start for each input, and the most of them; looked at in each round, and before a
solution is accepted."""
CLIMBS, ADDED, MANY = 24, 16, 300
"""Points climbed from, points added in a round, and points that are too many."""
TOLERANCE = {"interior-point": 1e-8, "augmented-lagrangian": 1e-7}
FEASIBLE = 1e-7
WARM_EPOCHS, WARM_PARAMETERS = 200, 2000
MOST_ACTIVE = 100


@dataclass(frozen=True)
class _Found:
    """A solution that holds everywhere, and the points it was solved with."""

    theta: Vector
    result: Result
    spots: list[_Spot]


@dataclass
class _Spot:
    """A condition and the points that stand for its region."""

    condition: Condition
    points: Matrix
    worst: float = 0.0
    looked_at: int = 0


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
    given = task.options
    if given.patience or given.goal is not None or given.min_gradient:
        raise OptionError(
            "{method} looks for the solution of the whole problem: leave out patience, goal and "
            "min_gradient.",
            method=name,
        )
    exact = replace(
        task, dtype=np.dtype(np.float64), rule=GD(), options=replace(given, keep="last")
    )
    return _Rounds(exact, name, dict(options or {})).run()


class _Rounds:
    """One training under constraints."""

    def __init__(self, task: Task, name: str, options: dict[str, Any]) -> None:
        self.task, self.name, self.options = task, name, options
        self.constraints: ConstraintSet = task.constraints
        program, self.engine = make_program(task)
        self.problem = NetworkProblem(task.objective, task.train, program)
        self.margin = MARGIN
        self.rounds = 0
        self.spots = [_Spot(c, c.points) for c in self.constraints.conditions]
        self.solved: list[_Spot] = []
        self.result: Result | None = None
        self.found: list[_Found] = []
        self.spare: tuple[float, Vector | None] = (np.inf, None)
        self.before, self.still = np.inf, False

    # -- the whole ----------------------------------------------------------------------------
    def run(self) -> Outcome:
        """Start, solve and look between the points until nothing is violated."""
        theta = self._started()
        for number, spot in enumerate(self.spots):
            if spot.condition.region is not None:
                count = min(MOST_FIRST, FIRST * (1 + len(spot.condition.region.moving)))
                spread = spot.condition.region.spread(count, 0.5 + 0.1 * number)
                spot.points = np.unique(spread, axis=0)
        self._look(theta, LOOKED, 0)
        while self.book.stop is None and self.rounds < ROUNDS and not self._done():
            self.rounds += 1
            theta = self._solved(theta)
            if self._clean(theta):
                self._keep(theta)
            elif self.rounds > ROUNDS // 2:
                self.margin = max(self.margin, 2.0 * max(spot.worst for spot in self.spots))
        return self._outcome(theta)

    def _keep(self, theta: Vector) -> None:
        assert self.result is not None
        self.found = [*self.found, _Found(theta, self.result, self.solved)]

    def _done(self) -> bool:
        """Whether there is no more to be had: lost, solved, or all but standing still."""
        if self.result is None:
            return False
        if self.result.status in (Status.INFEASIBLE, Status.NOT_FINITE, Status.DIVERGED):
            return True
        if not self.found or self.found[-1].result is not self.result:
            return False
        return self.result.success or self.still

    def _started(self) -> Vector:
        """Weights to start from: trained without constraints, or drawn within bounds."""
        task, constraints = self.task, self.constraints
        self.book = Book(task, task.params)
        self.diary = SolverDiary(self.book, self.problem, Patience())
        start = self.problem.vector(task.params)
        if self.book.stop is not None:
            return start
        if constraints.bounded or constraints.start_given:
            return _reflected(start, constraints.lower, constraints.upper)
        trained = self._unconstrained()
        if trained is None:
            return start
        self.book.history = trained.history
        if len(trained.history):
            self.book.began -= trained.history.epochs[-1].seconds
        if trained.stop.kind in ("interrupted", "callback", "time"):
            self.book.stop = trained.stop
        self.book.kept = (len(trained.history), trained.params)
        return self.problem.vector(trained.params)

    def _unconstrained(self) -> Outcome | None:
        """A short training by Levenberg-Marquardt, or L-BFGS where that does not serve."""
        from thalweg.training.methods import method, settle

        options = self.task.options
        epochs = min(WARM_EPOCHS, (options.epochs or WARM_EPOCHS) // 2)
        patience = 6 if self.task.validation is not None else 0
        options = replace(options, epochs=epochs, patience=patience, keep=None)
        free = replace(self.task, constraints=None, rule=None, options=options)
        small = self.constraints.frame.network.count <= WARM_PARAMETERS
        for name in ("lm", "lbfgs") if small else ("lbfgs",):
            chosen = method(name)
            try:
                outcome = chosen.run(settle(chosen, free))
            except ThalwegError:
                continue
            if outcome.stop.kind != "diverged":
                return outcome
        return None

    # -- one round ----------------------------------------------------------------------------
    def _solved(self, theta: Vector) -> Vector:
        from thalweg.optim.solution import solve

        unequal, equal = self._stacked()
        self.solved = [replace(spot) for spot in self.spots]
        bounds = Bounds(self.constraints.lower, self.constraints.upper)
        run = Run(self._limits(), self._iteration, feasible=FEASIBLE)
        self.before, self.still = np.inf, False
        question = Problem(self.problem, bounds, equal, unequal, run)
        self.result = solve(
            question, theta, self.name, TOLERANCE[self.name], options=self._options()
        )
        found = np.asarray(self.result.x)
        if self.result.status is Status.INTERRUPTED:
            self.book.interrupt()
        self.diary.take(found, float(self.result.fun))
        return found

    def _options(self) -> dict[str, Any]:
        """Of the solver; one path of the interior point is enough for a round."""
        if self.name != "interior-point":
            return self.options
        return {"barrier": "monotone"}

    def _iteration(self, line: Iteration) -> bool:
        """Enter an iteration; end the round if it leads astray between the points, or nowhere."""
        if self.diary.iteration(line):
            return True
        if line.nit == 0 or line.nit % EVERY:
            return False
        before, self.before = self.before, float(line.fun)
        feasible = line.violation <= FEASIBLE
        self.still = feasible and abs(before - line.fun) <= STANDSTILL * abs(line.fun)
        theta = np.asarray(line.x)
        if feasible and line.fun < self.spare[0] and not self._astray(theta, 0.0):
            self.spare = float(line.fun), theta
        return self.still or self._astray(theta, ASTRAY)

    def _astray(self, theta: Vector, by: float) -> bool:
        """Whether violations grow between the points that are not there at the points."""
        for spot in self.spots:
            region = spot.condition.region
            if region is not None:
                known = max(0.0, float(np.max(spot.condition.excess(theta, spot.points))))
                known = known if by else 0.0
                X = region.spread(LOOKED, (0.5 + 0.3819660113 * self.rounds) % 1.0)
                if float(np.max(spot.condition.excess(theta, X))) > known + by:
                    return True
        return False

    def _limits(self) -> Limits:
        whole = self.diary.limits()
        left = max(1, min(LONGEST, whole.iterations - len(self.book.history)))
        spent = self.book.history.epochs[-1].seconds if len(self.book.history) else 0.0
        return replace(whole, iterations=left, seconds=max(whole.seconds - spent, 1e-3))

    def _stacked(self) -> tuple[Stack | None, Stack | None]:
        """Inequalities and equalities, in the order of `_owners`."""
        sides: dict[bool, list[Any]] = {False: [], True: []}
        for spot in self.spots:
            margin = self.margin if spot.condition.region is not None else 0.0
            if len(spot.points):
                own = spot.condition.at(spot.points, margin)
                sides[spot.condition.sign == 0].append(own)
        for _, function, equal in self.constraints.customs:
            sides[equal].append(function)
        unequal, equal_ones = (Stack(sides[key]) if sides[key] else None for key in (False, True))
        return unequal, equal_ones

    # -- between the points -------------------------------------------------------------------
    def _clean(self, theta: Vector) -> bool:
        """Whether no violation is found between the points; what is found joins them."""
        if not self._look(theta, LOOKED, self.rounds):
            return False
        return self._look(theta, FINAL, self.rounds + 1)

    def _look(self, theta: Vector, count: int, number: int) -> bool:
        clean = True
        for spot in self.spots:
            region = spot.condition.region
            if region is None:
                continue

            def excess(X: Matrix, condition: Condition = spot.condition) -> Vector:
                return condition.excess(theta, X)

            X = region.spread(count, (0.5 + 0.3819660113 * number) % 1.0)
            X = np.concatenate([X, spot.points])
            values = excess(X)
            tops = region.climb(excess, region.distinct(X, values, CLIMBS))
            X = np.concatenate([tops, X])
            values = np.concatenate([excess(tops), values])
            spot.worst, spot.looked_at = float(np.max(values)), len(X)
            bad = values > 0.0
            if bad.any():
                clean = False
                self._thin(spot, theta)
                new = region.distinct(X[bad], values[bad], ADDED, spot.points)
                spot.points = np.concatenate([spot.points, new])
        return clean

    def _thin(self, spot: _Spot, theta: Vector) -> None:
        """Forget points far from being active once there are many."""
        if len(spot.points) > MANY:
            values = spot.condition.excess(theta, spot.points)
            spot.points = spot.points[np.argsort(-values, kind="stable")[: MANY // 2]]

    # -- the end ------------------------------------------------------------------------------
    def _outcome(self, theta: Vector) -> Outcome:
        if not self.found and self.spare[1] is not None:
            theta = self.spare[1]
            self._look(theta, FINAL, self.rounds)
        elif self.found and self.found[-1].theta is not theta:
            last = min(self.found, key=lambda one: float(one.result.fun))
            theta, self.result, self.solved = last.theta, last.result, last.spots
            self._look(theta, FINAL, self.rounds)
        book, report = self.book, self._report(theta)
        if book.stop is None or book.stop.kind == "epochs":
            book.stop = self._reason(report)
        book.kept = (len(book.history), self.problem.params(theta))
        return replace(book.outcome(), engine=self.engine, constraints=report)

    def _reason(self, report: ConstraintReport) -> StopReason:
        epoch, result = len(self.book.history), self.result
        if report.worst > 0.0:
            infeasible = result is not None and result.status is Status.INFEASIBLE
            kind = "infeasible" if infeasible else "violated"
            return StopReason.of(kind, epoch=epoch, worst=report.worst)
        if self.book.stop is not None or result is None or not result.success:
            return StopReason.of("feasible", epoch=epoch, residual=report.stationarity)
        return StopReason.of("constrained", epoch=epoch, residual=report.stationarity)

    def _report(self, theta: Vector) -> ConstraintReport:
        result, asked = self.result, self.constraints.asked
        active: list[list[Active]] = [[] for _ in asked]
        worst, looked = np.zeros(len(asked)), np.zeros(len(asked), int)
        for spot in self.spots:
            own = spot.condition
            if own.region is None:
                spot.worst = float(np.max(own.excess(theta, own.points)))
            worst[own.asked] = max(worst[own.asked], spot.worst * own.quantity.size)
            looked[own.asked] += spot.looked_at
        for number, function, equal in self.constraints.customs:
            values = function.value(theta)
            worst[number] = float(np.max(np.abs(values) if equal else values, initial=0.0))
        slack = TOLERANCE["augmented-lagrangian"]
        exact = [one for one in range(len(asked)) if not looked[one]]
        worst[exact] = np.where(worst[exact] <= slack, 0.0, worst[exact])
        if result is not None and self._priced(result):
            self._prices(result, active)
        held = [
            Held(one, float(max(w, 0.0)), int(n), by_size(own)[:MOST_ACTIVE])
            for one, w, n, own in zip(asked, worst, looked, active, strict=True)
        ]
        kkt = result.kkt if result is not None else KKT(np.nan, np.nan, np.nan)
        count = sum(len(s.points) for s in self.spots if s.condition.region is not None)
        figures = kkt.stationarity, kkt.violation, kkt.complementarity
        first, second, third = (float(figure) for figure in figures)
        return ConstraintReport(tuple(held), first, second, third, self.rounds, count)

    def _priced(self, result: Result) -> bool:
        """Whether the solver got far enough to know multipliers."""
        prices = result.multipliers
        count = sum(len(s.points) for s in self.solved)
        count += sum(function.m for _, function, _ in self.constraints.customs)
        return prices is not None and prices.equalities.size + prices.inequalities.size == count

    def _prices(self, result: Result, active: Sequence[list[Active]]) -> None:
        """Multipliers in own units, where they are not zero."""
        assert result.multipliers is not None
        rows = {True: result.multipliers.equalities, False: result.multipliers.inequalities}
        largest = max((float(np.max(np.abs(r), initial=0.0)) for r in rows.values()), default=0.0)
        least = 1e-6 * max(1.0, largest)
        at = {True: 0, False: 0}
        unit = self.task.unit
        for spot in self.solved:
            own = spot.condition
            key = own.sign == 0
            prices = rows[key][at[key] : at[key] + len(spot.points)]
            at[key] += len(spot.points)
            for point, price in zip(spot.points, prices, strict=True):
                if abs(price) > least:
                    where = tuple(point.tolist())
                    active[own.asked].append(Active(where, float(price) * unit / own.quantity.size))
        for number, function, equal in self.constraints.customs:
            prices = rows[equal][at[equal] : at[equal] + function.m]
            at[equal] += function.m
            for place, price in enumerate(prices):
                if abs(price) > least:
                    active[number].append(Active((float(place),), float(price) * unit))
        self._weight_prices(result, active)

    def _weight_prices(self, result: Result, active: Sequence[list[Active]]) -> None:
        from thalweg.training.constraints.kinds import Weights

        assert result.multipliers is not None
        prices = result.multipliers.upper + result.multipliers.lower
        least = 1e-6 * max(1.0, float(np.max(np.abs(prices), initial=0.0)))
        for number, one in enumerate(self.constraints.asked):
            if isinstance(one, Weights):
                for place in np.flatnonzero(np.abs(prices) > least).tolist():
                    name = self.constraints.frame.entry(place)
                    active[number].append(Active(name, float(prices[place]) * self.task.unit))


def _reflected(theta: Vector, lower: Vector, upper: Vector) -> Vector:
    """Weights outside their bounds mirrored at them: projected, they would all be the same."""
    mirrored = np.where(theta < lower, 2.0 * lower - theta, theta)
    mirrored = np.where(mirrored > upper, 2.0 * upper - mirrored, mirrored)
    return np.clip(mirrored, lower, upper)
