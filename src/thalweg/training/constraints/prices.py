"""From a working set and the last result of a solver to a report in own units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from thalweg.optim.result import KKT, Result
from thalweg.training.constraints.kinds import Weights
from thalweg.training.constraints.report import Active, ConstraintReport, Held, by_size
from thalweg.training.constraints.working_set import WorkingSet

__all__ = ["reported"]

Vector = NDArray[np.float64]

MOST_ACTIVE = 100
FAINT = 1e-6
"""Multipliers below this part of the largest (or of one) belong to constraints that do nothing."""


def reported(
    working: WorkingSet,
    theta: Vector,
    result: Result | None,
    rounds: int,
    unit: float,
    slack: float,
) -> ConstraintReport:
    """How well constraints hold at some weights, and what they cost where the solver ended.

    Parameters
    ----------
    working : WorkingSet
        After a last look at these weights.
    theta : array of shape (P,)
    result : Result or None
        Of the last round.
    rounds : int
    unit : float
        What a loss is multiplied by to be in the target's own unit.
    slack : float
        The violation up to which constraints at points count as held, in their own size.
    """
    constraints = working.constraints
    worst, looked = _violations(working, theta, slack)
    kkt = KKT(np.nan, np.nan, np.nan) if result is None else result.kkt
    where = theta if result is None else np.asarray(result.x)
    active = _active(working, where, unit, _barely(kkt.complementarity))
    held = [
        Held(one, float(max(w, 0.0)), int(n), by_size(own)[:MOST_ACTIVE])
        for one, w, n, own in zip(constraints.asked, worst, looked, active, strict=True)
    ]
    figures = kkt.stationarity, kkt.violation, kkt.complementarity
    first, second, third = (float(figure) for figure in figures)
    return ConstraintReport(tuple(held), first, second, third, rounds, working.size)


def _violations(
    working: WorkingSet, theta: Vector, slack: float
) -> tuple[Vector, NDArray[np.int64]]:
    """The worst violation of each constraint, and at how many points of a region it was sought."""
    asked = working.constraints.asked
    worst, looked = np.zeros(len(asked)), np.zeros(len(asked), np.int64)
    for spot in working.spots:
        own = spot.condition
        points = spot.violated_at if spot.everywhere else spot.points
        if spot.everywhere or _above(own.excess(theta, points), slack):
            worst[own.asked] = max(worst[own.asked], own.violation(theta, points))
        looked[own.asked] += spot.looked_at
    for number, violation in working.constraints.custom_violations(theta):
        worst[number] = violation if violation > slack else 0.0
    return worst, looked


def _above(violations: Vector, slack: float) -> float:
    """The largest, nothing if it is within the slack."""
    largest = float(np.max(violations, initial=0.0))
    return largest if largest > slack else 0.0


def _barely(complementarity: float) -> float:
    """The multiplier that is as large as its slack: a barrier leaves some to every constraint."""
    return float(np.sqrt(np.nan_to_num(complementarity)))


def _active(
    working: WorkingSet, theta: Vector, unit: float, barely: float
) -> Sequence[list[Active]]:
    """Multipliers in own units, where they are more than barely there."""
    constraints = working.constraints
    active: list[list[Active]] = [[] for _ in constraints.asked]
    all_prices = [*(spot.prices for spot in working.spots), *working.own]
    least = max(barely, _least(all_prices))
    for spot in working.spots:
        own = spot.condition
        loud = np.abs(spot.prices) > least
        prices = unit * own.price(theta, spot.points[loud], spot.prices[loud])
        for place, price in zip(spot.points[loud].tolist(), prices.tolist(), strict=True):
            if math.isfinite(price):  # where an output is flat to the last digit it has no price
                active[own.asked].append(Active(tuple(place), price))
    for (number, _, _), prices in zip(constraints.customs, working.own, strict=True):
        for place in np.flatnonzero(np.abs(prices) > least).tolist():
            active[number].append(Active((float(place),), float(prices[place]) * unit))
    lower, upper = np.nan_to_num(working.bounds)
    least = max(barely, _least([lower + upper]))
    for number, one in enumerate(constraints.asked):
        if isinstance(one, Weights):
            meant = constraints.entries(one)
            below = meant & (constraints.lower == one.low)
            above = meant & (constraints.upper == one.high)
            prices = lower * below + upper * above
            for place in np.flatnonzero(np.abs(prices) > least).tolist():
                name = constraints.frame.entry(place)
                active[number].append(Active(name, float(prices[place]) * unit))
    return active


def _least(parts: Sequence[Vector]) -> float:
    """The size of a multiplier from which it counts."""
    whole = np.abs(np.nan_to_num(np.concatenate(parts))) if parts else np.zeros(0)
    return FAINT * max(1.0, float(np.max(whole, initial=0.0)))
