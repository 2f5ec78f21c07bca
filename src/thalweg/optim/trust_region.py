"""The loop of the trust-region methods: a quadratic model, a ball in which it is believed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from thalweg.optim.descent import begin, largest, small_enough
from thalweg.optim.direction.saddle import loose, lowest_along
from thalweg.optim.layout import Vector, norm
from thalweg.optim.problem import Bounds, Mask, Problem
from thalweg.optim.result import Status
from thalweg.optim.run import Point
from thalweg.optim.search.line import Trial
from thalweg.optim.search.trust import Quadratic, Subproblem, cauchy

__all__ = ["exact_model", "product_model", "trust"]

Model = Callable[[Problem, Trial], Quadratic]

ROUNDS = 20  # of the subproblem, where bounds come in
NOISE = 1e-11  # relative differences of f below this say less than gradients do


def exact_model(problem: Problem, here: Trial) -> Quadratic:
    """The second-order Taylor polynomial, with the Hessian as a matrix."""
    return Quadratic(here.gradient, problem.hessian(here.x))


def product_model(problem: Problem, here: Trial) -> Quadratic:
    """The same by products H·v alone."""
    return Quadratic(here.gradient, multiply=lambda v: problem.hessian_product(here.x, v))


def trust(
    problem: Problem, x: Vector, model_of: Model, subproblem: Subproblem, tol: float
) -> Status:
    """Minimise by a model and a trust-region subproblem.

    Notes
    -----
    Algorithm 4.1 of Nocedal and Wright (2006). Bounds: entries held by a bound leave the
    subproblem; where its step meets further bounds, it is projected and the subproblem solved
    again among the entries that are free there, until the model is minimal within the bounds
    (C.-J. Lin and J. J. Moré, Newton's method for large bound-constrained optimization problems,
    SIAM J. Optimization 9 (1999) 1100-1127). Where both reductions are within rounding, a step
    is accepted if it lowers the gradient.
    """
    here, bounds = begin(problem, x), problem.bounds
    radius = _first_radius(here.x)
    model: Quadratic | None = None
    while True:
        projected = bounds.projected_gradient(here.x, here.gradient)
        measure = largest(projected)
        point = Point(here.x, here.value, measure)
        free = bounds.free(here.x, here.gradient)
        if model is None:
            model = model_of(problem, here)
        ended = small_enough(projected, here.x, measure, here.value, tol)
        if ended and not _saddle(model, free):
            beside = _off_bounds(problem, here, model, free)
            if beside is None:
                problem.run.conclude(point)
                return Status.CONVERGED
            here, model, radius = beside, None, _first_radius(beside.x)
            continue
        problem.run.iterate(point)
        there, ratio, length = None, 0.0, radius
        while there is None:
            step = _step(problem, here, model, free, subproblem, radius)
            length = norm(step)
            if length <= 1e-16 * (1e-16 + norm(here.x)):
                problem.run.conclude(point)
                return Status.STEP_TOO_SMALL
            there, ratio = _try(problem, here, model, step)
            if there is None:
                radius = 0.25 * min(radius, length)
        if ratio < 0.25:
            radius = 0.5 * length
        elif ratio > 0.75 and length > 0.8 * radius:
            radius = min(2.5 * radius, 1e20)
        here, model = there, None


def _first_radius(x: Vector) -> float:
    """The region in which the model is believed at first."""
    return max(1.0, 0.1 * norm(x))


def _off_bounds(problem: Problem, here: Trial, model: Quadratic, free: Mask) -> Trial | None:
    """A lower point, where entries rest at bounds that nothing presses them to: a saddle point."""
    entries = loose(problem.bounds, here.x, here.gradient)
    if model.matrix is None or np.array_equal(entries, free) or not _saddle(model, entries):
        return None
    along = np.zeros_like(here.x)
    along[entries] = np.linalg.eigh(model.matrix[np.ix_(entries, entries)])[1][:, 0]
    x = lowest_along(problem, here.x, along, entries)
    if x is None:
        return None
    value, gradient = problem.value_and_gradient(x)
    there = Trial(0.0, value, 0.0, x, gradient)
    return there if there.finite else None


def _saddle(model: Quadratic, free: Mask) -> bool:
    """Whether a known Hessian has clearly negative curvature among the free entries."""
    if model.matrix is None or not free.any():
        return False
    values = np.linalg.eigvalsh(model.matrix[np.ix_(free, free)])
    return bool(values[0] < -1e-8 * max(1e-8, float(np.max(np.abs(values)))))


def _step(
    problem: Problem,
    here: Trial,
    model: Quadratic,
    free: Mask,
    subproblem: Subproblem,
    radius: float,
) -> Vector:
    """The step of the subproblem within the bounds, at least as good as Cauchy's."""
    bounds, none = problem.bounds, np.zeros_like(here.x)
    inner, step = _restricted(model, free), none.copy()
    if inner.matrix is None or np.isfinite(inner.matrix).all():
        step[free] = subproblem(inner, radius)
    there = here.x + step
    if not bounds.any or np.array_equal(bounds.project(there), there):
        return step
    step = _searched(bounds, here.x, model, none, step)
    simple = none.copy()
    simple[free] = cauchy(inner, radius)
    if model.reduction(step) < 0.1 * inner.reduction(simple[free]):
        simple = _searched(bounds, here.x, model, none, simple)
        step = simple if model.reduction(simple) > model.reduction(step) else step
    return _refined(bounds, here, model, step, subproblem, radius)


def _refined(
    bounds: Bounds, here: Trial, model: Quadratic, step: Vector, subproblem: Subproblem,
    radius: float,
) -> Vector:  # fmt: skip
    """The subproblem again from the projected step, until no bound that matters changes."""
    first = float(np.max(np.abs(bounds.projected_gradient(here.x, here.gradient))))
    for _ in range(ROUNDS):
        slope, x = model.gradient + model.product(step), here.x + step
        free = bounds.free(x, slope)
        rest = float(np.max(np.abs(bounds.projected_gradient(x, slope))))
        if rest <= 1e-3 * first or not free.any():
            break
        onward = np.zeros_like(step)
        onward[free] = subproblem(
            _restricted(Quadratic(slope, model.matrix, model.multiply), free), radius
        )
        better = _searched(bounds, here.x, model, step, onward)
        if norm(better) > 2.0 * radius or (
            model.reduction(better) <= (1.0 + 1e-6) * model.reduction(step)
        ):
            break
        step = better
    return step


def _searched(bounds: Bounds, x: Vector, model: Quadratic, base: Vector, step: Vector) -> Vector:
    """The first point of the projected path P(x + base + a·step), a = 1, ½ ..., that is lower."""
    slope, before = model.gradient + model.product(base), model.reduction(base)
    for _ in range(30):
        trial = bounds.project(x + base + step) - x
        if model.reduction(trial) - before >= 1e-2 * -float(slope @ (trial - base)) > 0:
            return trial
        step = 0.5 * step
    return base


def _restricted(model: Quadratic, free: Mask) -> Quadratic:
    if free.all():
        return model
    if model.matrix is not None:
        return Quadratic(model.gradient[free], model.matrix[np.ix_(free, free)])

    def multiply(v: Vector) -> Vector:
        whole = np.zeros(free.size)
        whole[free] = v
        return model.product(whole)[free]

    return Quadratic(model.gradient[free], multiply=multiply)


def _try(
    problem: Problem, here: Trial, model: Quadratic, step: Vector
) -> tuple[Trial | None, float]:
    """The point at a step and actual over predicted reduction; None if it is not accepted."""
    x = here.x + step
    value, gradient = problem.value_and_gradient(x)
    if not math.isfinite(value) or not np.isfinite(gradient).all():
        return None, 0.0
    predicted = model.reduction(step)
    there = Trial(0.0, value, 0.0, x, gradient)
    noise = NOISE * max(abs(here.value), abs(value))
    if abs(predicted) <= noise and value <= here.value + noise:
        project = problem.bounds.projected_gradient
        after, before = (np.abs(project(p.x, p.gradient)) for p in (there, here))
        lower = float(np.max(after)) < float(np.max(before))
        return (there if lower else None), 1.0
    ratio = (here.value - value) / predicted if predicted > 0 else -1.0
    return (there if ratio > 1e-4 else None), ratio
