"""Two methods from one start: where the first takes long, the second has a turn.

A trust region creeps where the scale of a function changes from step to step, and a line search
finds its way at once; elsewhere it is the other way round. Nothing changes where the first method
arrives within `PATIENCE` iterations. If not, the second begins at the same start, and the first
goes on from the lower of the two ends, and so has the last word on what is a minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from thalweg.optim.layout import Vector
from thalweg.optim.problem import Problem
from thalweg.optim.result import Status
from thalweg.optim.run import Halt

__all__ = ["in_turn"]

PATIENCE = 200
FAILED = (Status.DIVERGED, Status.NOT_FINITE)

Method = Callable[[Problem, Vector, float], Status]


def in_turn(first: Method, second: Method, problem: Problem, x: Vector, tol: float) -> Status:
    """Minimise by the first method, with the help of the second where it does not arrive."""
    run = problem.run
    status = _turn(first, problem, x, tol)
    if status is Status.CONVERGED:
        return status
    reached = run.best
    try:
        _turn(second, problem, x, tol)
    except Halt as halt:
        if halt.status not in FAILED:
            raise
    if reached is None or run.best is None:
        return Status.STEP_TOO_SMALL
    if run.best.fun >= reached.fun:
        run.best = reached
        if status is not None:
            return status
    return first(problem, run.best.x, tol)


def _turn(method: Method, problem: Problem, x: Vector, tol: float) -> Status | None:
    """So many iterations of a method; None if they were too few."""
    run = problem.run
    limits = run.limits
    run.limits = replace(limits, iterations=min(limits.iterations, run.nit + PATIENCE))
    try:
        return method(problem, x, tol)
    except Halt as halt:
        if halt.status is not Status.ITERATIONS_USED_UP or run.nit >= limits.iterations:
            raise
        return None
    finally:
        run.limits = limits
