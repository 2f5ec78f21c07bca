"""The interior-point method as one of the `METHODS`: from a problem to a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.errors import OptionError, suggest
from thalweg.optim.constrained.barrier import Iterate, inside
from thalweg.optim.constrained.barrier_update import BARRIER_UPDATES
from thalweg.optim.constrained.feasibility import FEW, beside, least_violation
from thalweg.optim.constrained.interior_point import CEILING, ENOUGH, InteriorPoint, Outcome
from thalweg.optim.constrained.program import GRADIENT_CAP, SlackForm
from thalweg.optim.constrained.recession import Falling
from thalweg.optim.layout import Vector, norm
from thalweg.optim.problem import Problem
from thalweg.optim.result import KKT, Multipliers, Status
from thalweg.optim.run import Halt, Point

__all__ = ["interior_point"]


def interior_point(
    problem: Problem,
    x: Vector,
    tol: float,
    barrier: str = "auto",
    hessian: str = "auto",
    prices: Multipliers | None = None,
) -> Status:
    """Minimise subject to bounds, equalities and inequalities.

    Parameters
    ----------
    problem : Problem
    x : vector
        The start; it may violate anything.
    tol : float
        Of the scaled residual of the KKT conditions. Where rounding stops the progress, a
        hundred times as much is accepted, and the message quotes it.
    barrier : {"auto", "monotone", "adaptive"}
        How the barrier parameter is lowered (see `barrier_update`). ``"auto"`` is monotone, and
        where that ends without a solution, adaptive from the same start: another path, which
        may avoid what the first one ran into. Of few variables that is tried, too, where the
        monotone one takes long; then both go on in turn.
    hessian : {"auto", "exact", "learned"}
        Second derivatives of the Lagrangian as they are, or learned from its gradients (see
        `curvature`). ``"auto"`` takes the exact ones where they are known.
    prices : Multipliers, optional
        Of a problem near by that was solved before; nan where a constraint is new. The run then
        starts close to the boundary, with the barrier parameter at which it ends.

    Notes
    -----
    Where no point that holds the constraints is found, least squares look for one, too (see
    `feasibility`), and it is tried again from there. ``INFEASIBLE`` is said only where they end at
    a point at which the sum of squared violations is stationary, and not zero.

    Dense linear algebra: up to about a thousand variables. Linear and quadratic programs need no
    special treatment.
    """
    if barrier not in UPDATES:
        raise OptionError(
            "unknown barrier update {barrier!r}.{hint}",
            barrier=barrier,
            hint=suggest(barrier, UPDATES),
        )
    if hessian not in HESSIANS:
        raise OptionError(
            "unknown kind of Hessian {hessian!r}.{hint}",
            hessian=hessian,
            hint=suggest(hessian, HESSIANS),
        )
    exact = problem.has_hessian if hessian == "auto" else hessian == "exact"
    attempts = [_Attempt(problem, x, tol, u, exact, prices) for u in UPDATES[barrier]]
    in_turn = exact and x.size <= FEW
    status = Status.STEP_TOO_SMALL
    for patience in (PATIENCE, None):
        first = attempts if in_turn or patience is None else attempts[:1]
        if _solved_by(first, patience):
            return Status.CONVERGED
        if len(first) < len(attempts) and first[0].status is not None:
            continue  # the others first: of many variables a look at feasibility takes long
        status = _reconsidered(problem, x, tol, UPDATES[barrier], exact)
        over = all(attempt.status is not None for attempt in attempts)
        if over or status in (Status.CONVERGED, Status.INFEASIBLE):
            break
    return status


def _solved_by(attempts: Sequence[_Attempt], patience: int | None) -> bool:
    """One attempt after the other, each for so many iterations or to its end."""
    for attempt in attempts:
        attempt.go(patience)
        if attempt.status is Status.CONVERGED:
            return True
    return False


def _reconsidered(
    problem: Problem, x: Vector, tol: float, updates: Sequence[str], exact: bool
) -> Status:
    """Once more from a point that holds all constraints; or the certificate that none is near.

    Where none is known, it is looked for from the best point, and of few variables from the start
    and from beside it, too.
    """
    best, few = problem.run.best, x.size <= FEW
    met = ENOUGH * tol if few else problem.run.feasible
    if best is None or best.violation <= met or not problem.constrained:
        return Status.STEP_TOO_SMALL
    origin = best.x if problem.run.near(best.x) else x  # far away violations are rounding
    starts, steps = ([origin, x, *beside(x)], STEPS) if few else ([origin], FEW_STEPS)
    ends = []
    for start in starts:
        nearest = least_violation(problem, start, steps)
        if nearest.violation <= ENOUGH * tol and np.isfinite(problem.value(nearest.x)):
            if _proved(problem, nearest.x, tol, exact):
                return Status.CONVERGED
            again = [_Attempt(problem, nearest.x, tol, u, exact, ceiling=LOW) for u in updates]
            return Status.CONVERGED if _solved_by(again, PATIENCE) else Status.STEP_TOO_SMALL
        ends.append(nearest)
    kept = problem.run.best
    if kept is None or kept.violation <= problem.run.feasible or not ends[0].stationary:
        return Status.STEP_TOO_SMALL
    least = [end.x for end in ends if end.violation <= ALIKE * kept.violation]
    if not problem.run.near(kept.x):
        least.append(ends[0].x)
    if least:  # of those that violate no more than the best the one nearest to the start
        nearby = min(least, key=lambda end: norm(end - x))
        _concluded(problem, nearby, tol, exact, np.inf)
    return Status.INFEASIBLE


def _proved(problem: Problem, x: Vector, tol: float, exact: bool) -> bool:
    """Whether a point satisfies the optimality conditions with multipliers of its own."""
    return _concluded(problem, x, tol, exact, ENOUGH * tol)


def _concluded(problem: Problem, x: Vector, tol: float, exact: bool, enough: float) -> bool:
    """End at a point, with multipliers of its own, if these leave no larger error."""
    program = SlackForm(problem, x, exact)
    method = InteriorPoint(program, tol, lambda it, error: None)
    w = np.maximum(program.start, program.lower)
    none = np.zeros(program.n)
    slopes = program.derivatives(w)
    it = Iterate(w, np.zeros(program.m), none, none, program.values(w), slopes)
    it, error = method.certified(it, np.inf)
    if error > enough:
        return False
    point = _point(problem, program, it, error)
    certify(problem, program, method, it, point)
    problem.run.conclude(point)
    return True


UPDATES = {"auto": ("monotone", "adaptive"), "monotone": ("monotone",), "adaptive": ("adaptive",)}
HESSIANS = ("auto", "exact", "learned")
RESCALINGS = 3
STEPS, FEW_STEPS = 300, 30  # of few variables, and of many, whose steps take long
ALIKE = 1.0 + 1e-6  # violations that differ by rounding
LOW = 1.0  # the filter's ceiling from there, lest the search leaves as it did before
SHRUNK, STALLED = 0.9, 60  # iterations in which a violation, not met, should come to this share
PATIENCE = 300  # of few variables, so many iterations before it is the other's turn


class _Attempt:
    """The method with one barrier update, from a start; it can be left and taken up again.

    Attributes
    ----------
    status : Status or None
        None as long as it has come to no end.
    """

    def __init__(
        self,
        problem: Problem,
        x: Vector,
        tol: float,
        update: str,
        exact: bool,
        prices: Multipliers | None = None,
        ceiling: float = CEILING,
    ) -> None:
        self.problem, self.x, self.tol, self.update = problem, x, tol, update
        self.exact, self.prices, self.ceiling = exact, prices, ceiling
        self.status: Status | None = None
        self.least = np.inf, problem.run.nit  # violation so far, and since which iteration
        self.rescalings = 0
        self.method: InteriorPoint | None = None
        self.it: Iterate | None = None
        self.found: tuple[Point | None, KKT | None, Multipliers | None] | None = None

    def go(self, patience: int | None) -> None:
        """On to the end, or for so many iterations.

        Where the scaling of the start hides a violation, or that a constraint is far from active,
        it begins again with another one; where it hides a gradient, it goes on from the multipliers
        that are known.
        """
        run = self.problem.run
        left = None if patience is None else run.nit + patience
        self.least = self.least[0], run.nit
        while self.status is None and (left is None or not self._rests(left)):
            if self.method is None:
                self.program = SlackForm(self.problem, self.x, self.exact)
            if self.program.dense == 0:
                self.status = _nothing_to_do(self.problem, self.program)
                return
            status, point = self._solved(left)
            arrived = status is Status.CONVERGED
            if (arrived and point.violation > run.feasible) or (
                (arrived or status is Status.STEP_TOO_SMALL) and self._constraint_is_hidden()
            ):
                self._rescale(point)
                status = Status.STEP_TOO_SMALL if self.rescalings == RESCALINGS else None
            elif arrived and self._gradient_is_hidden():
                if self.rescalings < RESCALINGS:
                    self.found, self.prices = (run.best, run.kkt, run.multipliers), run.multipliers
                    self._rescale(point)
                    status = None
            elif self.found is not None and status not in (None, Status.CONVERGED):
                run.best, run.kkt, run.multipliers = self.found
                status = Status.CONVERGED
            self.status = status

    def _rescale(self, point: Point) -> None:
        self.x, self.method, self.it = point.x, None, None
        self.rescalings += 1

    def _gradient_is_hidden(self) -> bool:
        """Whether the objective was so steep at the start that a gradient here went unseen."""
        kkt, it = self.problem.run.kkt, self.it
        if self.program.f_scale == 1.0 or kkt is None or it is None:
            return False
        steepest = float(np.max(np.abs(it.slopes.g), initial=0.0)) / self.program.f_scale
        return bool(kkt.stationarity > ENOUGH * self.tol * max(1.0, steepest))

    def _constraint_is_hidden(self) -> bool:
        """Whether the multiplier of a constraint that is far from active went unseen.

        So it can where the constraint was flat at the start and is steep here.
        """
        it, cut, n = self.it, self.program.equal, self.program.dense
        if it is None:
            return False
        y, enough = np.abs(it.y[cut:]), ENOUGH * self.tol
        steep = np.abs(it.slopes.jacobian[cut:, :n]).max(axis=1, initial=0.0)
        steepest = float(np.abs(it.slopes.g).max(initial=1.0))
        prices = max(1.0, abs(it.values.f), float(y.max(initial=0.0)))
        pulls = (steep > GRADIENT_CAP) & (y * steep > enough * steepest)
        return bool((pulls & (y * it.w[n:] > enough * prices)).any())

    def _begin(self, left: int | None) -> tuple[InteriorPoint, tuple[Any, ...]]:
        """The method, and where it starts or goes on."""
        problem, program = self.problem, self.program
        if self.method is None:
            self.falling = Falling(problem)
            update = BARRIER_UPDATES[self.update]()
            self.method = InteriorPoint(
                program, self.tol, self._watch, update=update, ceiling=self.ceiling
            )
        method = self.method
        method.until = lambda it: left is not None and self._rests(left)
        if self.it is not None:
            return method, (self.it.w, (self.it.zl, self.it.zu), self.it.y)
        if self.prices is None:
            return method, (program.start,)
        method.mu = method.smallest_mu
        return method, _warm(program, method.mu, self.prices)

    def _watch(self, it: Iterate, error: float) -> None:
        self.it = it
        point = _point(self.problem, self.program, it, error)
        if point.violation < SHRUNK * self.least[0]:
            self.least = point.violation, self.problem.run.nit
        self.problem.run.iterate(point)
        self.falling.look(point)

    def _rests(self, left: int) -> bool:
        """Whether its turn is over, or no constraint has come nearer for long and none is met."""
        run = self.problem.run
        return run.nit > left or (not run.met and run.nit - self.least[1] > STALLED)

    def _solved(self, left: int | None) -> tuple[Status | None, Point]:
        problem, program = self.problem, self.program
        method, start = self._begin(left)
        try:
            outcome, it = method.solve(*start)
        except Halt:
            if self.it is not None:
                point = _point(problem, program, self.it, np.nan)
                certify(problem, program, method, self.it, point)
            raise
        error = method.barrier.error(it, 0.0)
        if outcome is Outcome.STUCK:
            it, error = method.certified(it, error)
        self.it, point = it, _point(problem, program, it, error)
        if outcome is Outcome.CONVERGED or (
            outcome is Outcome.STUCK and error <= ENOUGH * self.tol
        ):
            certify(problem, program, method, it, point)
            problem.run.conclude(point)
            return Status.CONVERGED, point
        problem.run.consider(point)
        best = problem.run.best
        if problem.run.kkt is None or (best is not None and np.array_equal(best.x, point.x)):
            certify(problem, program, method, it, point)
        return ENDS[outcome], point


ENDS = {
    Outcome.INFEASIBLE: Status.INFEASIBLE,
    Outcome.STUCK: Status.STEP_TOO_SMALL,
    Outcome.ENOUGH: None,
}


def _warm(
    program: SlackForm, mu: float, prices: Multipliers
) -> tuple[Vector, tuple[Vector, Vector], Vector]:
    """Where to begin with multipliers that are known: (w, (zl, zu), y)."""
    w = inside(program, program.start, 1e-2 * np.sqrt(mu))
    scale = program.f_scale / program.c_scale
    ours = prices.inequalities * scale[program.equal :]
    lower, upper = (
        np.concatenate([side[program.moving] * program.f_scale, rest])
        for side, rest in ((prices.lower, ours), (prices.upper, 0.0 * ours))
    )
    z = []
    for gap, given in ((w - program.lower, lower), (program.upper - w, upper)):
        central = np.where(np.isfinite(gap), mu / gap, 0.0)
        known = np.where(np.isfinite(given), given, central)
        z.append(np.clip(known, central / NEAR, central * NEAR))
    equalities = np.nan_to_num(prices.equalities * scale[: program.equal])
    return w, (z[0], z[1]), np.concatenate([equalities, z[0][program.dense :]])


NEAR = 10.0  # a multiplier may be so many times what the barrier parameter makes of its gap


def _nothing_to_do(problem: Problem, program: SlackForm) -> Status:
    """Every entry is fixed by its bounds."""
    x = program.base
    violation = problem.violation(x)
    problem.run.conclude(Point(x, problem.value(x), 0.0, violation))
    return Status.CONVERGED if violation <= problem.run.feasible else Status.INFEASIBLE


def _point(problem: Problem, program: SlackForm, it: Iterate, error: float) -> Point:
    x = program.point(it.w)
    c = it.values.c.copy()
    c[program.equal :] -= it.w[program.dense :]
    return Point(x, it.values.f / program.f_scale, error, problem.violation(x, c / program.c_scale))


def certify(
    problem: Problem, program: SlackForm, method: InteriorPoint, it: Iterate, point: Point
) -> None:
    """Multipliers and residuals in the user's own units."""
    y = it.y * program.c_scale / program.f_scale
    lower, upper = np.zeros(point.x.size), np.zeros(point.x.size)
    lower[program.moving] = it.zl[: program.dense] / program.f_scale
    upper[program.moving] = it.zu[: program.dense] / program.f_scale
    stationarity, _, complementarity = method.barrier.residuals(it, 0.0)
    cut = program.equal
    problem.run.multipliers = Multipliers(y[:cut], y[cut:], lower, upper)
    problem.run.kkt = KKT(
        stationarity / program.f_scale, point.violation, complementarity / program.f_scale
    )
