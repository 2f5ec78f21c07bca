"""The interior-point method as one of the `METHODS`: from a problem to a certificate."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.errors import OptionError, suggest
from thalweg.optim.constrained.barrier import Iterate, inside
from thalweg.optim.constrained.barrier_update import BARRIER_UPDATES
from thalweg.optim.constrained.interior_point import ENOUGH, InteriorPoint, Outcome
from thalweg.optim.constrained.program import SlackForm
from thalweg.optim.constrained.recession import Falling
from thalweg.optim.layout import Vector
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
        may avoid what the first one ran into.
    hessian : {"auto", "exact", "learned"}
        Second derivatives of the Lagrangian as they are, or learned from its gradients (see
        `curvature`). ``"auto"`` takes the exact ones where they are known.
    prices : Multipliers, optional
        Of a problem near by that was solved before; nan where a constraint is new. The run then
        starts close to the boundary, with the barrier parameter at which it ends.

    Notes
    -----
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
    found = []
    for update in UPDATES[barrier]:
        found.append(_attempt(problem, x, tol, update, exact, prices))
        if found[-1] is Status.CONVERGED:
            return found[-1]
    return Status.INFEASIBLE if Status.INFEASIBLE in found else found[-1]


UPDATES = {"auto": ("monotone", "adaptive"), "monotone": ("monotone",), "adaptive": ("adaptive",)}
HESSIANS = ("auto", "exact", "learned")
RESCALINGS = 3


def _attempt(
    problem: Problem, x: Vector, tol: float, update: str, exact: bool, prices: Multipliers | None
) -> Status:
    """One run from a start; again with a new scaling where the old one hides a violation."""
    for _ in range(RESCALINGS):
        program = SlackForm(problem, x, exact)
        if program.dense == 0:
            return _nothing_to_do(problem, program)
        status, point = _solved(problem, program, tol, update, prices)
        if status is not Status.CONVERGED or point.violation <= problem.run.feasible:
            return status
        x = point.x
    return Status.STEP_TOO_SMALL


def _solved(
    problem: Problem, program: SlackForm, tol: float, update: str, prices: Multipliers | None
) -> tuple[Status, Point]:
    falling = Falling(problem)
    last: list[Iterate] = []

    def watch(it: Iterate, error: float) -> None:
        last[:] = [it]
        point = _point(problem, program, it, error)
        problem.run.iterate(point)
        falling.look(point)

    method = InteriorPoint(program, tol, watch, update=BARRIER_UPDATES[update]())
    start: tuple[Any, ...] = (program.start,)
    if prices is not None:
        method.mu = method.smallest_mu
        start = _warm(program, method.mu, prices)
    try:
        outcome, it = method.solve(*start)
    except Halt:
        if last:
            it = last[0]
            certify(problem, program, method, it, _point(problem, program, it, np.nan))
        raise
    error = method.barrier.error(it, 0.0)
    point = _point(problem, program, it, error)
    if outcome is Outcome.CONVERGED or (outcome is Outcome.STUCK and error <= ENOUGH * tol):
        certify(problem, program, method, it, point)
        problem.run.conclude(point)
        return Status.CONVERGED, point
    problem.run.consider(point)
    best = problem.run.best
    if problem.run.kkt is None or (best is not None and np.array_equal(best.x, point.x)):
        certify(problem, program, method, it, point)
    infeasible = outcome is Outcome.INFEASIBLE
    return Status.INFEASIBLE if infeasible else Status.STEP_TOO_SMALL, point


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
