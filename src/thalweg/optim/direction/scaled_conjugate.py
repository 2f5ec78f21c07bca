"""Møller's scaled conjugate gradient: no line search, a curvature estimate with damping instead.

The step along d is μ/δ with μ = -dᵀg and δ = dᵀHd + λ‖d‖²; H·d comes from one product (or one
difference of gradients), and λ rises or falls with the ratio of actual to predicted reduction.

M. F. Møller, A scaled conjugate gradient algorithm for fast supervised learning, Neural Networks
6 (1993) 525-533; the constants σ, λ and the tests are his.
"""

from __future__ import annotations

import numpy as np

from thalweg.optim.descent import begin, largest, small_enough
from thalweg.optim.layout import Vector
from thalweg.optim.problem import Mask, Problem
from thalweg.optim.result import Status
from thalweg.optim.run import Point
from thalweg.optim.search.line import Trial
from thalweg.optim.second_look import with_second_look

__all__ = ["scaled_conjugate_gradient"]


def _curvature(problem: Problem, here: Trial, d: Vector) -> float:
    """dᵀHd, from second derivatives if there are any, else from two gradients."""
    if problem.objective.has_hessian:
        return float(d @ problem.hessian_product(here.x, d))
    sigma = 1e-5 * (1.0 + float(np.linalg.norm(here.x))) / float(np.linalg.norm(d))
    ahead = problem.value_and_gradient(here.x + sigma * d)[1]
    return float(d @ (ahead - here.gradient)) / sigma


def scaled_conjugate_gradient(problem: Problem, x: Vector, tol: float) -> Status:
    """Minimise; bounds by projection, with held entries left out of the direction.

    Parameters
    ----------
    problem : Problem
    x : vector
    tol : float
        Of the projected gradient.
    """
    return with_second_look(lambda problem, x: _descend(problem, x, tol), problem, x, tol)


def _descend(problem: Problem, x: Vector, tol: float) -> Status:
    here, bounds, lam = begin(problem, x), problem.bounds, 1e-6
    free = bounds.free(here.x, here.gradient)
    d = np.where(free, -here.gradient, 0.0)
    curvature, count, moved = None, 0, True
    while True:
        projected = bounds.projected_gradient(here.x, here.gradient)
        measure = largest(projected)
        if small_enough(projected, here.x, measure, here.value, tol):
            problem.run.conclude(Point(here.x, here.value, measure))
            return Status.CONVERGED
        if moved:  # a refused trial is an evaluation, not an iteration
            problem.run.iterate(Point(here.x, here.value, measure))
        moved = False
        length = float(d @ d)
        if not np.isfinite(length) or float(d @ here.gradient) >= 0:
            d, count, curvature = np.where(free, -here.gradient, 0.0), 0, None
            length = float(d @ d)
        if curvature is None:
            curvature = _curvature(problem, here, d)
        if not np.isfinite(curvature):
            curvature = 0.0
        delta = curvature + lam * length
        if delta <= 0:  # make the Hessian positive along d
            lam = 2.0 * (lam - delta / length)
            delta = -delta + lam * length
        step = -float(d @ here.gradient) / delta
        there, ratio = _try(problem, here, step, d, delta)
        if there is None:
            lam = 4.0 * lam if np.isfinite(ratio) else 100.0 * lam
            if step * float(np.max(np.abs(d))) <= 1e-17 * float(np.max(np.abs(here.x)) + 1e-17):
                problem.run.conclude(Point(here.x, here.value, measure))
                return Status.STEP_TOO_SMALL
            continue
        last, here, curvature, moved = here, there, None, True
        count += 1
        following = bounds.free(here.x, here.gradient)
        d = _next(last, here, d, following, bool(np.array_equal(free, following)), count)
        count = 0 if count >= here.x.size else count
        free = following
        if ratio > 0.75:
            lam = max(0.25 * lam, 1e-15)
        elif ratio < 0.25:
            lam = min(lam + delta * (1.0 - ratio) / length, 1e20)


def _try(
    problem: Problem, here: Trial, step: float, d: Vector, delta: float
) -> tuple[Trial | None, float]:
    x = problem.bounds.project(here.x + step * d)
    value, gradient = problem.value_and_gradient(x)
    if not np.isfinite(value) or not np.all(np.isfinite(gradient)):
        return None, float("nan")
    predicted = 0.5 * step**2 * delta
    ratio = (here.value - value) / predicted if predicted > 0 else -1.0
    noise = 1e-14 * max(abs(here.value), abs(value))
    falls = ratio > 0 and value < here.value
    within_noise = abs(here.value - value) <= noise and (
        np.max(np.abs(gradient)) < np.max(np.abs(here.gradient))
    )
    there = Trial(step, value, 0.0, x, gradient)
    return (there if falls or within_noise else None), ratio


def _next(last: Trial, here: Trial, d: Vector, free: Mask, same: bool, count: int) -> Vector:
    """Møller's conjugate direction, restarted every n steps and when the free entries change."""
    g = np.where(free, here.gradient, 0.0)
    if not same or count >= here.x.size:
        return -g
    old = np.where(free, last.gradient, 0.0)
    beta = float(g @ g - g @ old) / max(-float(d @ old), 1e-300)
    return -g + beta * np.where(free, d, 0.0)
