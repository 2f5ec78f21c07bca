"""A method run on a problem to its end, and what is known there put together as a `Result`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.errors import OptionError, suggest
from thalweg.interrupts import answered
from thalweg.optim.blas import single_threaded_blas
from thalweg.optim.layout import Layout, Vector
from thalweg.optim.methods import METHODS, Method, options_of
from thalweg.optim.problem import Problem
from thalweg.optim.result import KKT, Multipliers, Result, Status
from thalweg.optim.rounding import rounding_is_left
from thalweg.optim.run import Halt, Point
from thalweg.optim.scipy_style import method_hint, option_hint

__all__ = ["method_named", "solve"]

Facts = dict[str, Any]


def method_named(name: str) -> Method:
    """The method of a name.

    Raises
    ------
    OptionError
        With the nearest known name.
    """
    if name not in METHODS:
        hint = method_hint(str(name), METHODS)
        raise OptionError("unknown method {name!r}.{hint}", name=name, hint=hint)
    return METHODS[name]


def solve(
    problem: Problem,
    x0: Vector,
    method: str,
    tol: float = 1e-8,
    layout: Layout | None = None,
    options: Mapping[str, Any] | None = None,
) -> Result:
    """Run a method until it ends, is halted by a limit, or interrupted.

    Parameters
    ----------
    problem : Problem
    x0 : vector
    method : str
        A key of `METHODS`.
    tol : float
    layout : Layout, optional
        The user's structure of x; a plain vector by default.
    options : mapping, optional
        What the method takes beside these (``search``, ``memory``, ...).

    Returns
    -------
    Result
    """
    detail, reason = "", ""
    function = method_named(method)
    if options:
        _check(options, method)
    try:
        with answered(), np.errstate(all="ignore"), single_threaded_blas():
            status = function(problem, np.array(x0, dtype=np.float64), tol, **(options or {}))
            if status is Status.STEP_TOO_SMALL and rounding_is_left(problem):
                status, reason = Status.CONVERGED, "converged_rounding"
    except Halt as halt:
        status, detail = halt.status, halt.detail
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    with np.errstate(all="ignore"):
        facts: Facts = {"tolerance": tol, "detail": detail, "reason": reason}
        return _result(problem, x0, status, facts, layout or Layout(x0), method)


def _check(options: Mapping[str, Any], method: str) -> None:
    """An OptionError for options that the method does not have."""
    known = options_of(METHODS[method])
    for name in options:
        if name not in known:
            raise OptionError(
                "method {method!r} has no option {name!r}.{hint}",
                method=method,
                name=name,
                hint=option_hint(name) or (suggest(name, known) if known else ""),
            )


def _result(
    problem: Problem,
    x0: Vector,
    status: Status,
    facts: Facts,
    layout: Layout,
    method: str,
) -> Result:
    run = problem.run
    if run.best is None:  # halted before the first value was known
        x = problem.bounds.project(np.array(x0, dtype=np.float64))
        run.consider(Point(x, problem.objective.value(x), violation=problem.violation(x)))
    assert run.best is not None
    best = run.best
    gradient, value = problem.objective.gradient(best.x), best.fun
    violation = problem.violation(best.x)
    kkt, multipliers = run.kkt, run.multipliers
    if kkt is None or multipliers is None:
        kkt, multipliers = _without_constraints(problem, best.x, gradient, violation)
    measure = best.measure if np.isfinite(best.measure) else kkt.stationarity
    facts |= {
        "reason": facts["reason"] or status.name.lower(),
        "measure": measure,
        "iterations": run.limits.iterations,
        "evaluations": run.limits.evaluations,
        "fun": run.sign * value,
        "violation": violation,
    }
    bounded = problem.constrained or problem.bounds.any
    return Result(
        x=layout.unravel(best.x.copy()),
        fun=run.sign * value,
        success=status.success and bool(np.isfinite(value)) and violation <= run.feasible,
        status=status,
        method=method,
        facts=facts,
        nit=run.nit,
        nfev=run.nfev,
        njev=run.njev,
        nhev=run.nhev,
        jac=layout.unravel(run.sign * gradient),
        gradient_norm=measure,
        kkt=kkt,
        multipliers=multipliers if bounded else None,
        violation=violation,
        history=run.history,
        seconds=run.seconds,
    )


def _without_constraints(
    problem: Problem, x: Vector, gradient: Vector, violation: float
) -> tuple[KKT, Multipliers]:
    """Where only bounds hold x, their multipliers are entries of the gradient."""
    bounds, none = problem.bounds, np.zeros(0)
    with np.errstate(invalid="ignore"):
        lower = np.where(x <= bounds.lower, np.maximum(gradient, 0.0), 0.0)
        upper = np.where(x >= bounds.upper, np.maximum(-gradient, 0.0), 0.0)
        rest = float(np.max(np.abs(gradient - lower + upper)))
    return KKT(rest, violation), Multipliers(none, none, lower, upper)
