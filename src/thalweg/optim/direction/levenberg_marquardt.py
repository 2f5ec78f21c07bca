"""Levenberg-Marquardt: linearised residuals, a trust region, last steps undamped and refined.

At each point the step p minimises ‖r + J·p‖² within ‖D·p‖ ≤ Δ, that is, ‖r + J·p‖² + λ‖D·p‖²
for some λ ≥ 0. Where the residuals' second derivative along p is known, the step is bent to
follow the curved surface of residuals (geodesic acceleration).

Near the solution the steps are undamped Gauss-Newton steps with an orthogonal factorisation and
iterative refinement, until they no longer shrink: that is where the last digits come from. Where
residuals stay large, so that Gauss-Newton steps do not contract, Newton's method with the exact
Hessian of ½‖r‖² does the rest.

D = I suits parameters of like size and far starts; D = column norms of J makes units irrelevant.
The first is tried first; if it gets stuck, runs away, or has not arrived after `PATIENCE`
iterations, or has come to where some parameters no longer matter, the second starts afresh; then
both again in a small first trust region, which long first steps cannot leave for a far plateau.
The best of these goes on. Saddle points are left (see `saddle`).

K. Levenberg (1944), D. W. Marquardt (1963); J. J. Moré, The Levenberg-Marquardt algorithm:
implementation and theory, Lecture Notes in Mathematics 630 (1978); M. K. Transtrum and J. P.
Sethna, Improvements to the Levenberg-Marquardt algorithm (arXiv:1201.5885, 2012).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count

import numpy as np

from thalweg.errors import OptionError, suggest
from thalweg.optim.descent import begin, largest
from thalweg.optim.direction.saddle import beside_saddle
from thalweg.optim.layout import Vector, norm
from thalweg.optim.problem import LeastSquares, Linearisation, Mask, Problem, StepOf
from thalweg.optim.result import Status
from thalweg.optim.run import Point
from thalweg.optim.search.trust import more_sorensen
from thalweg.optim.trust_region import exact_model, trust

__all__ = ["levenberg_marquardt"]

EPS = float(np.finfo(np.float64).eps)
SWITCH = 1e-10  # relative reduction of the cost below which only polishing is left
ARRIVED = 1e-6  # the optimality measure with which an attempt has not got stuck
RUNAWAY = 1e8  # so far from the start another attempt is made
LOST = 1e30  # and so far this one ends
DEAD = 1e-8  # columns of J that have shrunk so much more than others belong to a plateau
VANISHED = 1e-16  # residuals so much smaller than at the start may be rounding
ESCAPES = 3  # from saddle points
PATIENCE = 300
BEND = 0.75  # the longest acceleration, relative to the step
FEW = 200  # up to so many parameters the exact Hessian is worth its price


@dataclass
class _Region:
    """Δ, the λ that belongs to it, D, whether D follows the columns of J and steps are bent."""

    radius: float
    damping: float
    scale: Vector
    columns: bool
    bent: bool

    def rescale(self, model: Linearisation) -> None:
        """D: the largest norm each column has had."""
        if self.columns:
            self.scale = np.maximum(self.scale, _norms(model))


@dataclass(frozen=True)
class _Place:
    """Where an attempt has come to."""

    x: Vector
    model: Linearisation
    columns: bool
    arrived: bool = False
    moving: bool = False


def _ran_away(x: Vector, start: Vector, reach: float = RUNAWAY) -> bool:
    """Whether a point lies where residuals often level off without being least."""
    return largest(x) > reach * max(1.0, largest(start))


def _on_plateau(model: Linearisation, norms: Vector) -> bool:
    """Whether some columns of J have all but vanished since they had these norms."""
    left = _norms(model)[norms > 0] / norms[norms > 0]
    return bool(left.size) and float(np.min(left)) <= DEAD * float(np.max(left))


def _cost(place: _Place) -> float:
    return place.model.cost


def levenberg_marquardt(problem: Problem, x: Vector, tol: float, scaling: str = "auto") -> Status:
    """Minimise ½‖r‖².

    Parameters
    ----------
    problem : Problem
        Its objective is a `LeastSquares`.
    x : vector
    tol : float
        Of the optimality measure: the largest cosine between the residual and a column of J,
        or the relative reduction of the cost that a full Gauss-Newton step still promises.
    scaling : {"auto", "none", "columns"}
        D: the identity, the column norms of J, or both in turn.

    Notes
    -----
    Bounds are kept by projection; entries held by a bound leave the linear problem.
    """
    if scaling not in SCALINGS:
        raise OptionError(
            "unknown scaling {scaling!r}.{hint}", scaling=scaling, hint=suggest(scaling, SCALINGS)
        )
    start = begin(problem, x).x
    best = _best_attempt(problem, start, tol, SCALINGS[scaling])
    x, model = best.x, best.model
    for left in reversed(range(ESCAPES + 1)):
        x, model, measure = _finished(problem, x, model, tol)
        beside = beside_saddle(problem, x, model) if left and _newton_pays(problem, x) else None
        if beside is None:
            break
        best = _attempt(problem, beside, tol, True, PATIENCE, NEAR)
        x, model = best.x, best.model
    problem.run.conclude(Point(x, model.cost, measure))
    return Status.CONVERGED if measure <= tol else Status.STEP_TOO_SMALL


def _best_attempt(
    problem: Problem, start: Vector, tol: float, scalings: tuple[tuple[bool, float], ...]
) -> _Place:
    """Where the attempts with one D after the other lead."""
    places: list[_Place] = []
    for columns, reach in scalings:
        places.append(_attempt(problem, start, tol, columns, PATIENCE, reach))
        if places[-1].arrived and not _ran_away(places[-1].x, start):
            break
    moving = [place for place in places if place.moving]
    if moving and not places[-1].arrived:
        best = min(moving, key=_cost)
        places.append(_attempt(problem, best.x, tol, best.columns, None))
    return min(places, key=_cost)


FAR, NEAR = 100.0, 0.1  # the first trust region, relative to the start
SCALINGS = {
    "auto": ((False, FAR), (True, FAR), (False, NEAR), (True, NEAR)),
    "none": ((False, FAR),),
    "columns": ((True, FAR),),
}


def _attempt(
    problem: Problem,
    x: Vector,
    tol: float,
    columns: bool,
    patience: int | None,
    reach: float = FAR,
) -> _Place:
    """Damped steps until only polishing is left, none is accepted, or patience ends."""
    model, start = problem.linearise(x), x
    norms, first_cost = _norms(model), model.cost
    region = _Region(0.0, 0.0, np.where(norms > 0, norms, 1.0), columns, not columns)
    if not columns:
        region.scale = np.ones_like(x)
    region.radius = reach * (norm(region.scale * x) or 1.0)
    for step in count() if patience is None else range(patience):
        free = problem.bounds.free(x, model.gradient)
        measure = _measure(problem, x, model)
        if model.cost == 0.0 or not free.any():
            return _Place(x, model, columns, arrived=True)
        vanished = model.cost <= VANISHED * first_cost and _rounding(x, model) >= 1.0
        if measure <= tol or vanished or _ran_away(x, start, LOST):
            break
        step_of = model.prepare(region.scale, free)
        if model.predicted(step_of(0.0)) <= max(SWITCH, tol) * model.cost:
            break
        problem.run.iterate(Point(x, model.cost, measure))
        found = _accepted_step(problem, x, model, region, step_of, step == 0)
        if found is None:
            break
        x, model = found
        region.rescale(model)
    else:
        return _Place(x, model, columns, moving=True)
    arrived = not _on_plateau(model, norms) and _optimality(problem, x, model) <= ARRIVED
    return _Place(x, model, columns, arrived)


def _norms(model: Linearisation) -> Vector:
    return np.where(np.isfinite(model.column_norms), model.column_norms, 0.0)


def _measure(problem: Problem, x: Vector, model: Linearisation) -> float:
    """The largest cosine between the residual and a column of J, of entries that are free."""
    free = problem.bounds.free(x, model.gradient)
    norms = np.where(model.column_norms > 0, model.column_norms, 1.0)
    cosines = np.abs(model.gradient) / (math.sqrt(2.0 * model.cost) * norms)
    return float(cosines[free].max(initial=0.0))


def _accepted_step(
    problem: Problem,
    x: Vector,
    model: Linearisation,
    region: _Region,
    step_of: StepOf,
    first: bool,
) -> tuple[Vector, Linearisation] | None:
    """Try steps in shrinking regions until one lowers the cost; None if none does."""
    for _ in range(200):
        step, region.damping = _within(step_of, region, model.gradient)
        length = norm(region.scale * step)
        if first:
            region.radius, first = min(region.radius, length), False
        there = problem.bounds.project(x + step + _bend(problem, x, step, region, step_of))
        straight = problem.bounds.project(x + step) - x
        if _same(x, there):
            return None
        cost, predicted = problem.value(there), model.predicted(straight)
        actual = model.cost - cost if np.isfinite(cost) else -np.inf
        ratio = actual / predicted if predicted > 0 else -1.0
        if ratio < 0.25:
            shrink = _shrinkage(model, straight, cost)
            region.radius = shrink * min(region.radius, 10.0 * length)
        elif ratio > 0.75 or region.damping == 0.0:
            region.radius = 2.0 * length
        if ratio > 1e-4:
            following = problem.linearise(there)
            if np.isfinite(following.gradient).all() and np.isfinite(following.column_norms).all():
                return there, following
            region.radius = 0.25 * length
    return None


def _same(x: Vector, there: Vector) -> bool:
    """Whether two points differ by rounding alone, entry by entry."""
    return bool((np.abs(there - x) <= 1e-16 * np.abs(x) + 1e-20 * largest(x)).all())


def _bend(problem: Problem, x: Vector, step: Vector, region: _Region, step_of: StepOf) -> Vector:
    """The geodesic acceleration -½(JᵀJ + λD²)⁻¹Jᵀ r_pp, none where it is too long to be true."""
    if not region.bent:
        return np.zeros_like(step)
    assert isinstance(problem.objective, LeastSquares)
    second = problem.objective.second_along(x, step)
    if second is None or not np.isfinite(second).all():
        return np.zeros_like(step)
    bend = 0.5 * step_of(region.damping, second)
    short = norm(region.scale * bend) <= BEND * norm(region.scale * step)  # not if it is not finite
    return bend if short else np.zeros_like(step)


def _shrinkage(model: Linearisation, step: Vector, cost: float) -> float:
    """The minimiser of the parabola along the step, within [0.1, 0.5]."""
    slope = float(model.gradient @ step)
    if not np.isfinite(cost) or cost >= 100.0 * model.cost or slope >= 0:
        return 0.1
    rise = cost - model.cost - slope
    return min(max(-0.5 * slope / rise, 0.1), 0.5) if rise > 0 else 0.5


def _within(step_of: StepOf, region: _Region, gradient: Vector) -> tuple[Vector, float]:
    """The step of the trust region: λ with ‖D·p(λ)‖ = Δ to ten per cent, or λ = 0.

    ‖D·p(λ)‖ falls with λ, and is at most ‖D⁻¹g‖/λ; log against log it is nearly straight.
    """
    step = step_of(0.0)
    length = norm(region.scale * step)
    if length <= 1.1 * region.radius:
        return step, 0.0
    high = norm(gradient / region.scale) / region.radius
    low, lam = 0.0, min(region.damping or 1e-3 * high, high)
    for _ in range(80):
        step = step_of(lam)
        length = norm(region.scale * step)
        if 0.9 * region.radius <= length <= 1.1 * region.radius or not 0 < lam < np.inf:
            break
        if length > region.radius or not np.isfinite(length):
            low = lam
        else:
            high = lam
        lam = lam * (length / region.radius) ** 1.5 if np.isfinite(length) else high
        if not low < lam < high:
            lam = math.sqrt(max(low, 1e-6 * high)) * math.sqrt(high)
    return step, lam


def _finished(
    problem: Problem, x: Vector, model: Linearisation, tol: float
) -> tuple[Vector, Linearisation, float]:
    """Undamped, refined Gauss-Newton steps for as long as they shrink; Newton where need be."""
    x, model = _polished(problem, x, model)
    measure = _optimality(problem, x, model)
    if measure > tol and _newton_pays(problem, x):
        problem.run.iterate(Point(x, model.cost, measure))
        trust(problem, x, exact_model, more_sorensen, 1e-3 * tol)
        assert problem.run.best is not None
        x = problem.run.best.x
        x, model = _polished(problem, x, problem.linearise(x))
        measure = _optimality(problem, x, model)
    return x, model, measure


def _newton_pays(problem: Problem, x: Vector) -> bool:
    return problem.objective.has_hessian and x.size <= FEW


def _polished(problem: Problem, x: Vector, model: Linearisation) -> tuple[Vector, Linearisation]:
    objective = problem.objective
    assert isinstance(objective, LeastSquares)
    last, free = np.inf, problem.bounds.free(x, model.gradient)
    for _ in range(50):
        step = objective.polish(x) if free.all() else None
        if step is None:
            step = _plain_step(model, free)
        problem.run.evaluated(slopes=1)
        size = float((np.abs(step) / (np.abs(x) + 1e-300 + EPS * largest(x))).max())
        there = problem.bounds.project(x + step)
        if not size < 0.7 * last or not (there != x).any():
            break
        following = problem.linearise(there)
        if not following.cost <= model.cost * (1.0 + 1e-9) + 1e-300:
            break
        x, last, model = there, size, following
    return x, model


def _optimality(problem: Problem, x: Vector, model: Linearisation) -> float:
    """The smaller of the cosine measure and of what a Gauss-Newton step still promises.

    Less what rounding alone makes of the measure: where residuals are zero, all of it.
    """
    if model.cost == 0.0:
        return 0.0
    free = problem.bounds.free(x, model.gradient)
    promise = model.predicted(_plain_step(model, free)) / model.cost if free.any() else 0.0
    return max(min(_measure(problem, x, model), max(promise, 0.0)) - _rounding(x, model), 0.0)


def _rounding(x: Vector, model: Linearisation) -> float:
    """How much of ‖r‖ may be rounding: what a few last bits of every entry of x move r by."""
    moved = 10.0 * EPS * float(_norms(model) @ np.abs(x))
    return moved / math.sqrt(2.0 * model.cost) if math.isfinite(moved) else 0.0


def _plain_step(model: Linearisation, free: Mask) -> Vector:
    scale = np.where(model.column_norms > 0, model.column_norms, 1.0)
    return model.prepare(scale, free)(0.0)
