"""The augmented Lagrangian: constraints around any method for bounds.

L(x) = f(x) + ½ρ‖h(x) + λ/ρ‖² + ½ρ‖max(0, g(x) + ν/ρ)‖² is minimised within the bounds by the
inner method; then λ ← λ + ρh, ν ← max(0, ν + ρg), and ρ grows where the violation has not
shrunk. Only gradients of f and products with the constraints' Jacobian are needed: for many
variables. Where f is half a sum of squares, so is L (see `penalty`). Where no direction reduces
the violation, or it does not shrink for several rounds, a feasible point is looked for from there
and from beside (see `feasibility`) before the constraints are said to be impossible to meet.

M. R. Hestenes (1969), M. J. D. Powell (1969), R. T. Rockafellar (1973); tolerances as in A. R.
Conn, N. I. M. Gould, Ph. L. Toint, SIAM J. Numer. Anal. 28 (1991) 545-572.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.errors import OptionError
from thalweg.optim.constrained.feasibility import Nearest, way_out
from thalweg.optim.constrained.penalty import Penalised, PenalisedSquares, Violation
from thalweg.optim.constrained.program import gradient_scale
from thalweg.optim.descent import size_of
from thalweg.optim.layout import Vector
from thalweg.optim.problem import Bounds, LeastSquares, Problem
from thalweg.optim.result import KKT, Iteration, Multipliers, Status
from thalweg.optim.rules import Rule
from thalweg.optim.run import Halt, Limits, Point, Run
from thalweg.phrases import Phrase

__all__ = ["augmented_lagrangian"]

ROUNDS, STEPS = 60, 400  # of rules at most so many steps, until the multipliers are looked at
PATIENCE = 4  # rounds in which the violation does not shrink
LARGEST_PENALTY = 1e12
LARGEST_PRESSURE = 1e6  # multipliers beyond are no excuse for a gradient that does not vanish
NOT_INNER = ("interior-point", "augmented-lagrangian")
SQUARES = ("lm", "marquardt", "gauss-newton")

Inner = Callable[..., Status]


def augmented_lagrangian(
    problem: Problem,
    x: Vector,
    tol: float,
    inner: str | Rule | Inner = "lbfgs",
    prices: Multipliers | None = None,
) -> Status:
    """Minimise subject to constraints with the help of a method that knows bounds only.

    Parameters
    ----------
    problem : Problem
    x : vector
    tol : float
        Of stationarity and of the violation.
    inner : str, Rule or callable
        Any method of `METHODS` for bounds, a first-order rule, or ``inner(problem, x, tol)`` that
        gives back a `Status`; ``"lm"``, ``"marquardt"`` and
        ``"gauss-newton"`` where the objective is `LeastSquares`.
    prices : Multipliers, optional
        To begin with: of a problem near by that was solved before; nan where a constraint is new.
    """
    method = _inner_method(problem, inner)
    kind = PenalisedSquares if inner in SQUARES else Penalised
    tried: list[Penalised] = []
    try:
        status = _rounds(problem, x, tol, method, kind, prices, tried)
    except Halt as halt:
        if halt.status is not Status.STOPPED_BY_CALLBACK:
            _certify_best(problem, tried)
        raise
    if status is not Status.CONVERGED:
        _certify_best(problem, tried)
    return status


def _rounds(
    problem: Problem,
    x: Vector,
    tol: float,
    method: Inner,
    kind: type[Penalised],
    prices: Multipliers | None,
    tried: list[Penalised],
) -> Status:
    """Minimise one L after the other; they are left in `tried`."""
    point, rho, scale = _first(problem, x)
    x, f, y, last, exact = point.x, point.fun, np.zeros(scale.size), np.inf, 1e-2
    if prices is not None:
        y = np.nan_to_num(np.concatenate([prices.equalities, prices.inequalities])) / scale
    doubt = _Doubt(problem, x)
    for _ in range(ROUNDS):
        lagrangian = kind(problem, y, rho, scale)
        tried.append(lagrangian)
        # Inner methods compare gradients with the size of L, which the penalty can make anything.
        wanted = max(exact, 0.1 * tol) * size_of(f) / size_of(lagrangian.value(x))
        found, status = _inner_run(problem, lagrangian, x, method, min(wanted, exact))
        if status in (Status.UNBOUNDED, Status.DIVERGED):
            y, rho = np.zeros(scale.size), 100.0 * rho  # a steeper penalty, from the same point
            if rho > LARGEST_PENALTY:
                break
            continue
        x = found
        c = problem.constraints(x)
        y = lagrangian.pressed(c)
        point = _measured(problem, lagrangian, x, c, y)
        if not np.isfinite(point.fun + point.violation):
            raise Halt(Status.NOT_FINITE, Phrase("objective or constraints stopped being finite"))
        if max(point.measure, point.violation) <= tol:
            problem.run.conclude(point)
            return Status.CONVERGED
        problem.run.iterate(point)
        answer = doubt.at(x, shrunk=point.violation <= 0.9 * last)
        if isinstance(answer, Status):
            return answer
        if answer is not None:
            x, y, rho, last = answer, 0.0 * y, 10.0 * rho, np.inf
            continue
        unfinished = status is Status.ITERATIONS_USED_UP
        if point.violation > (0.9 if unfinished else 0.25) * last:
            rho *= 2.0 if unfinished else 10.0
        if rho > LARGEST_PENALTY:
            break
        last, exact = min(last, point.violation), exact if unfinished else 0.1 * exact
    if problem.violation(x) <= problem.run.feasible:
        problem.run.conclude(point)
        return Status.STEP_TOO_SMALL
    return doubt.at_the_end(x)


def _first(problem: Problem, x: Vector) -> tuple[Point, float, Vector]:
    """The start, the first ρ, and what constraints are multiplied by."""
    x = problem.bounds.project(x)
    (f, g), (c, slopes) = problem.value_and_gradient(x), problem.constraint_jacobian(x)
    if not all(np.all(np.isfinite(part)) for part in (f, g, c, slopes)):
        x = problem.bounds.inside(x)  # logarithms and roots end at bounds
        f, (c, slopes) = problem.value(x), problem.constraint_jacobian(x)
    if not (np.isfinite(f) and np.all(np.isfinite(c))):
        raise Halt(
            Status.NOT_FINITE, Phrase("objective or constraints are not finite at the start")
        )
    scale = gradient_scale(np.where(np.isfinite(slopes), slopes, 0.0))
    size = 0.5 * float(np.sum((scale * c) ** 2))
    rho = min(max(10.0 * max(1.0, abs(f)) / max(1.0, size), 1e-3), 1e4)
    point = Point(x, f, violation=problem.violation(x, c))
    problem.run.consider(point)
    return point, rho, scale


class _Doubt:
    """Whether the constraints can be met at all: asked where the violation does not shrink."""

    def __init__(self, problem: Problem, start: Vector) -> None:
        self.problem, self.start, self.stalled = problem, start, 0
        self.out: Nearest | None = None

    def at(self, x: Vector, shrunk: bool) -> Status | Vector | None:
        """The verdict on them, or a point that holds them, or nothing to keep from going on."""
        self.stalled = 0 if shrunk else self.stalled + 1
        stationary = self.stalled > 0 and self._stationary(x)
        if self.out is not None:
            return self._unmet() if stationary else None
        if not stationary and self.stalled < PATIENCE:
            return None
        self.out = self._way_out(x)
        if self.out.violation <= self.problem.run.feasible:
            return self.out.x
        return self._unmet() if self.out.stationary else None

    def at_the_end(self, x: Vector) -> Status:
        """The verdict where nothing is left to be tried."""
        out = self.out = self.out or self._way_out(x)
        return self._unmet() if out.stationary else Status.STEP_TOO_SMALL

    def _way_out(self, x: Vector) -> Nearest:
        """From x, unless it is so far away that violations are rounding."""
        return way_out(self.problem, x if self.problem.run.near(x) else self.start)

    def _stationary(self, x: Vector) -> bool:
        """Whether no direction reduces the violation."""
        c = self.problem.constraints(x)
        violation = Violation(self.problem, np.ones(c.size))
        pressed = violation.pressed(c)
        if np.max(np.abs(pressed)) <= self.problem.run.feasible:
            return False
        slope = self.problem.bounds.projected_gradient(x, violation.pulled(x, pressed))
        return float(np.max(np.abs(slope))) <= 1e-4 * float(np.max(np.abs(pressed)))

    def _unmet(self) -> Status:
        best = self.problem.run.best
        held = best is not None and best.violation <= self.problem.run.feasible
        return Status.STEP_TOO_SMALL if held else Status.INFEASIBLE


def _inner_method(problem: Problem, inner: str | Rule | Inner) -> Inner:
    """A method of `METHODS` for bounds, or a first-order rule.

    Raises
    ------
    OptionError
        If there is none of this name, or it needs residuals where there are none.
    """
    from thalweg.optim.first_order import Follower, brisk
    from thalweg.optim.methods import METHODS
    from thalweg.optim.rules import RULES

    if isinstance(inner, Rule):
        return Follower(inner, longest=STEPS)
    if not isinstance(inner, str):
        return inner
    if inner in RULES and inner not in METHODS:
        return Follower(brisk(inner), longest=STEPS)
    if inner not in METHODS or inner in NOT_INNER:
        raise OptionError(
            "inner={inner!r} is no method for bounds: try 'lbfgs' or 'newton'.",
            inner=inner,
        )
    if inner in SQUARES and not isinstance(problem.objective, LeastSquares):
        raise OptionError(
            "inner={inner!r} needs residuals, not a single number: try 'lbfgs' or 'newton'.",
            inner=inner,
        )
    return METHODS[inner]


class _Watch:
    """Enters the inner method's iterations among those of the whole run."""

    def __init__(self, problem: Problem, lagrangian: Penalised) -> None:
        self.problem, self.lagrangian = problem, lagrangian
        self.halt: Halt | None = None

    def __call__(self, line: Iteration) -> None:
        if line.nit == 0:
            return
        try:
            self.problem.run.iterate(self.lagrangian.at(line.x, line.gradient_norm))
        except Halt as halt:
            self.halt = halt
            c = self.problem.constraints(line.x)
            _measured(self.problem, self.lagrangian, line.x, c, self.lagrangian.pressed(c))
            raise


def _inner_run(
    problem: Problem, lagrangian: Penalised, x: Vector, method: Inner, tol: float
) -> tuple[Vector, Status]:
    """One bounded minimisation, within the limits of the whole."""
    limits = problem.run.limits
    left = max(1, limits.iterations - problem.run.nit)
    watch = _Watch(problem, lagrangian)
    run = Run(Limits(left, seconds=limits.seconds - problem.run.seconds), watch)
    sub = Problem(lagrangian, Bounds(problem.bounds.lower, problem.bounds.upper), run=run)
    try:
        status = method(sub, x, tol)
    except Halt as halt:
        status = halt.status
        if watch.halt is not None or status is Status.TIME_USED_UP:
            raise
    return (x if run.best is None else run.best.x), status


def _certify_best(problem: Problem, tried: list[Penalised]) -> None:
    """Note the certificate of the point that is handed back, which may not be the last one."""
    best = problem.run.best
    if best is not None and tried:
        c = problem.constraints(best.x)
        _measured(problem, tried[-1], best.x, c, tried[-1].pressed(c))


def _measured(problem: Problem, lagrangian: Penalised, x: Vector, c: Vector, y: Vector) -> Point:
    """Stationarity, violation and complementarity, noted as the run's certificate."""
    f, g = problem.objective.value_and_gradient(x)
    rest = g + lagrangian.pulled(x, y)
    projected = problem.bounds.projected_gradient(x, rest)
    cut = lagrangian.equal
    y = lagrangian.scale * y
    products = float(np.max(np.abs(y[cut:] * c[cut:]), initial=0.0))
    violation = problem.violation(x, c)
    stationarity = float(np.max(np.abs(projected)))
    lower = np.where(x <= problem.bounds.lower, np.maximum(rest, 0.0), 0.0)
    upper = np.where(x >= problem.bounds.upper, np.maximum(-rest, 0.0), 0.0)
    problem.run.kkt = KKT(stationarity, violation, products)
    problem.run.multipliers = Multipliers(y[:cut], y[cut:], lower, upper)
    scale = max(size_of(f), min(float(np.max(np.abs(y), initial=0.0)), LARGEST_PRESSURE))
    return Point(x, f, max(stationarity, products) / scale, violation)
