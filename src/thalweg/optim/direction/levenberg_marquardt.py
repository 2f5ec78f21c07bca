"""Levenberg-Marquardt: linearised residuals, a trust region, last steps undamped and refined.

At each point the step p minimises ‖r + J·p‖² within ‖D·p‖ ≤ Δ, that is, ‖r + J·p‖² + λ‖D·p‖²
for some λ ≥ 0. D scales the variables by the column norms of J, so that units do not matter.
Near the solution the steps are undamped Gauss-Newton steps with an orthogonal factorisation and
iterative refinement, until they no longer shrink: that is where the last digits come from.

K. Levenberg (1944), D. W. Marquardt (1963); J. J. Moré, The Levenberg-Marquardt algorithm:
implementation and theory, Lecture Notes in Mathematics 630 (1978).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thalweg.optim.descent import begin
from thalweg.optim.layout import Vector
from thalweg.optim.problem import LeastSquares, Linearisation, Mask, Problem
from thalweg.optim.result import Status
from thalweg.optim.run import Point

__all__ = ["levenberg_marquardt"]

EPS = float(np.finfo(np.float64).eps)
SWITCH = 1e-10  # relative reduction of the cost below which only polishing is left


@dataclass
class _Region:
    """Δ, the λ that belongs to it, and D."""

    radius: float
    damping: float
    scale: Vector


def levenberg_marquardt(problem: Problem, x: Vector, tol: float) -> Status:
    """Minimise ½‖r‖².

    Parameters
    ----------
    problem : Problem
        Its objective is a `LeastSquares`.
    x : vector
    tol : float
        Of the optimality measure: the largest cosine between the residual and a column of J,
        or the relative reduction of the cost that a full Gauss-Newton step still promises.

    Notes
    -----
    Bounds are kept by projection; entries held by a bound leave the linear problem.
    """
    x = begin(problem, x).x
    model = problem.linearise(x)
    region = _Region(0.0, 0.0, _scale(model, None))
    region.radius = 100.0 * (float(np.linalg.norm(region.scale * x)) or 1.0)
    while True:
        free = problem.bounds.free(x, model.gradient)
        measure = _measure(problem, x, model)
        if model.cost == 0.0 or not free.any() or measure == 0.0:
            problem.run.conclude(Point(x, model.cost, measure))
            return Status.CONVERGED
        step_of = model.prepare(region.scale, free)
        newton = step_of(0.0)
        promise = model.predicted(newton) / model.cost
        if promise <= max(SWITCH, tol) or measure <= tol:
            return _finish(problem, x, model, tol)
        problem.run.iterate(Point(x, model.cost, measure))
        found = _accepted_step(problem, x, model, region, step_of)
        if found is None:
            return _finish(problem, x, model, tol)
        x, model = found
        region.scale = _scale(model, region.scale)


def _scale(model: Linearisation, before: Vector | None) -> Vector:
    """D: the largest norm each column has had."""
    norms = np.where(np.isfinite(model.column_norms), model.column_norms, 1.0)
    norms = np.where(norms > 0, norms, 0.0)
    if before is not None:
        return np.maximum(before, norms)
    return np.where(norms > 0, norms, 1.0)


def _measure(problem: Problem, x: Vector, model: Linearisation) -> float:
    """The largest cosine between the residual and a column of J, of entries that are free."""
    free = problem.bounds.free(x, model.gradient)
    length = np.sqrt(2.0 * model.cost) * np.where(model.column_norms > 0, model.column_norms, 1.0)
    with np.errstate(all="ignore"):
        cosines = np.abs(model.gradient) / length
    return float(np.max(np.where(free, cosines, 0.0), initial=0.0))


def _accepted_step(
    problem: Problem,
    x: Vector,
    model: Linearisation,
    region: _Region,
    step_of: Callable[[float], Vector],
) -> tuple[Vector, Linearisation] | None:
    """Try steps in shrinking regions until one lowers the cost; None if none does."""
    for _ in range(200):
        step, region.damping = _within(step_of, region)
        there = problem.bounds.project(x + step)
        step = there - x
        length = float(np.linalg.norm(region.scale * step))
        if not np.any(step) or length <= 1e-16 * float(np.linalg.norm(region.scale * x)):
            return None
        cost, predicted = problem.value(there), model.predicted(step)
        actual = model.cost - cost if np.isfinite(cost) else -np.inf
        ratio = actual / predicted if predicted > 0 else -1.0
        if ratio < 0.25:
            shrink = _shrinkage(model, step, cost)
            region.radius = shrink * min(region.radius, 10.0 * length)
        elif ratio > 0.75 or region.damping == 0.0:
            region.radius = max(region.radius, 2.0 * length)
        if ratio > 1e-4:
            following = problem.linearise(there)
            if np.all(np.isfinite(following.gradient)) and np.all(
                np.isfinite(following.column_norms)
            ):
                return there, following
            region.radius = 0.25 * length
    return None


def _shrinkage(model: Linearisation, step: Vector, cost: float) -> float:
    """The minimiser of the parabola along the step, within [0.1, 0.5]."""
    slope = float(model.gradient @ step)
    if not np.isfinite(cost) or cost >= 100.0 * model.cost or slope >= 0:
        return 0.1
    return min(max(-0.5 * slope / (cost - model.cost - slope), 0.1), 0.5)


def _within(step_of: Callable[[float], Vector], region: _Region) -> tuple[Vector, float]:
    """The step of the trust region: λ with ‖D·p(λ)‖ = Δ to ten per cent, or λ = 0."""
    step = step_of(0.0)
    length = float(np.linalg.norm(region.scale * step))
    if length <= 1.1 * region.radius:
        return step, 0.0
    low, high, lam = 0.0, np.inf, region.damping or 1e-3
    for _ in range(60):
        step = step_of(lam)
        length = float(np.linalg.norm(region.scale * step))
        if 0.9 * region.radius <= length <= 1.1 * region.radius:
            break
        if length > region.radius:
            low = lam
        else:
            high = lam
        lam = lam * (length / region.radius) ** 2 if np.isfinite(length) else 10.0 * lam
        if not low < lam < high:
            lam = np.sqrt(max(low, 1e-3 * high) * high) if np.isfinite(high) else 10.0 * low
    return step, lam


def _finish(problem: Problem, x: Vector, model: Linearisation, tol: float) -> Status:
    """Undamped, refined Gauss-Newton steps for as long as they shrink."""
    objective = problem.objective
    assert isinstance(objective, LeastSquares)
    last, free = np.inf, problem.bounds.free(x, model.gradient)
    for _ in range(50):
        step = objective.polish(x) if free.all() else None
        if step is None:
            step = _plain_step(model, free)
        problem.run.evaluated(slopes=1)
        size = float(np.max(np.abs(step) / (np.abs(x) + 1e-300 + EPS * np.max(np.abs(x)))))
        there = problem.bounds.project(x + step)
        if not size < 0.7 * last or not np.any(there != x):
            break
        cost = problem.value(there)
        if not cost <= model.cost * (1.0 + 1e-9) + 1e-300:
            break
        x, last, model = there, size, problem.linearise(there)
    measure = _measure(problem, x, model)
    step = _plain_step(model, free)
    promise = model.predicted(step) / model.cost if model.cost > 0 else 0.0
    problem.run.conclude(Point(x, model.cost, min(measure, np.sqrt(max(promise, 0.0)))))
    if min(measure, promise) <= max(tol, 1e-12) or model.cost == 0.0:
        return Status.CONVERGED
    return Status.STEP_TOO_SMALL


def _plain_step(model: Linearisation, free: Mask) -> Vector:
    scale = np.where(model.column_norms > 0, model.column_norms, 1.0)
    return model.prepare(scale, free)(0.0)
