"""From some points up to local maxima of smooth functions, each in a box of its own.

Examples
--------
>>> import numpy as np
>>> def bump(rows, X):
...     away = X - np.array([0.3, 2.0])
...     return -np.sum(away**2, axis=1), -2.0 * away
>>> X, low, high = np.zeros((1, 2)), np.zeros((1, 2)), np.ones((1, 2))
>>> np.round(ascend(bump, X, low, high), 6).tolist()
[[0.3, 1.0]]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from thalweg.training.constraints.bound import Condition

__all__ = ["ascend", "climbed"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Slopes = Callable[[NDArray[np.int64], Matrix], tuple[Vector, Matrix]]

FIRST = 0.1
"""The longest entry of the first step, as a part of the box."""
LONGER, SHORTER = 4.0, 0.25
"""What becomes of a step that leads up where nothing bends, and of one that does not."""

ROUGH, FINE = (1e-4, 40), (1e-9, 1000)
"""How closely maxima are climbed to while there is more to come, and in the end; most steps."""


def ascend(
    slopes: Slopes, X: Matrix, low: Matrix, high: Matrix, tight: float = 1e-9, longest: int = 300
) -> Matrix:
    """Local maxima near each of some points, by projected gradients.

    Steps have the lengths of J. Barzilai and J. M. Borwein, IMA Journal of Numerical Analysis 8
    (1988) 141-148, and are shortened until they lead up.

    Parameters
    ----------
    slopes : callable
        ``slopes(rows, X)``: the values of the functions of some rows, and their gradients.
    X, low, high : array of shape (m, n)
        Where each climb begins, and its box; entries rest where that has no width.
    tight : float
        A climb ends where its steps are as small a part of the box.
    longest : int
        The most steps.
    """
    X, box, climbing = X.copy(), high - low, np.arange(len(X))
    wide = np.where(box > 0.0, box, 1.0)
    part = np.where(box > 0.0, (X - low) / wide, 0.0)
    values, upwards = slopes(climbing, X)
    upwards = upwards * box
    steps = FIRST / np.maximum(np.max(np.abs(upwards), axis=1), np.finfo(float).tiny)
    for _ in range(longest):
        tried = np.clip(part[climbing] + steps[climbing, None] * upwards[climbing], 0.0, 1.0)
        moves = tried - part[climbing]
        points = X[climbing] + moves * box[climbing]
        found, slope = slopes(climbing, points)
        slope = slope * box[climbing]
        better = found > values[climbing]
        curved = np.sum(moves * (upwards[climbing] - slope), axis=1)
        steps[climbing] *= np.where(better, LONGER, SHORTER)
        known = better & (curved > 0.0)
        steps[climbing[known]] = np.sum(moves[known] ** 2, axis=1) / curved[known]
        up = climbing[better]
        X[up], part[up] = points[better], tried[better]
        values[up], upwards[up] = found[better], slope[better]
        climbing = climbing[np.max(np.abs(moves), axis=1) > tight]
        if not climbing.size:
            break
    return np.clip(X, np.where(box > 0.0, low, X), np.where(box > 0.0, high, X))


def climbed(
    conditions: Sequence[Condition], theta: Vector, starts: Sequence[Matrix], final: bool
) -> list[Matrix]:
    """Where conditions over regions are violated most, near some points of each.

    Parameters
    ----------
    conditions : sequence of Condition
        Of one family.
    theta : array of shape (P,)
    starts : sequence of arrays of shape (m, n[0])
    final : bool
        Whether closely.
    """
    tight, longest = FINE if final else ROUGH
    family = conditions[0].quantity.family
    if not family.frame.smooth:
        return [c.climb(theta, X, tight) for c, X in zip(conditions, starts, strict=True)]
    counts = [len(X) for X in starts]
    boxes = [c.region.box for c in conditions if c.region is not None]
    low, high = (np.repeat([box[end] for box in boxes], counts, axis=0) for end in (0, 1))
    along = np.repeat([c.quantity.direction for c in conditions], counts, axis=0)
    signs = np.repeat([c.sign for c in conditions], counts)
    limits = np.repeat([float(c.limits[0]) for c in conditions], counts)

    def slopes(rows: NDArray[np.int64], X: Matrix) -> tuple[Vector, Matrix]:
        values, gradients = family.slopes(theta, X, along[rows])
        return signs[rows] * (values - limits[rows]), signs[rows, None] * gradients

    tops = ascend(slopes, np.concatenate(starts), low, high, tight, longest)
    return np.split(tops, np.cumsum(counts)[:-1])
