"""Regions of inputs, points spread over them, and the search for the worst of all points.

A region is a box of the numeric inputs; an input that is a category takes each of its values. What
is to hold everywhere is looked at on points spread evenly (the additive recurrence of M. Roberts,
which has low discrepancy in every dimension), half of them moved to faces, edges and corners; from
the worst of them a search climbs to local maxima: along gradients (`climbing`), or along the axes
where gradients jump. Nothing between the points is proved: the more inputs there are, the less the
points say.

Examples
--------
>>> region = Region(np.array([0.0, -1.0]), np.array([2.0, 1.0]))
>>> points = region.spread(100)
>>> points.shape, bool(np.all((points >= region.low) & (points <= region.high)))
((100, 2), True)
>>> def bump(X):
...     return -((X[:, 0] - 0.3) ** 2) - (X[:, 1] - 2.0) ** 2
>>> best = region.climb(bump, points[:3])
>>> np.round(best, 6).tolist()
[[0.3, 1.0], [0.3, 1.0], [0.3, 1.0]]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Region"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

TIGHT, LOOSE = 1e-9, 0.1  # steps of the search, as parts of the box
LONGER, SHORTER = 1.5, 0.4  # what becomes of a step that leads up, and of one that does not
LONGEST = 300  # steps of one climb
APART = 0.02  # points closer than this part of the box are one


@dataclass(frozen=True, eq=False)
class Region:
    """A box of inputs before scaling.

    Attributes
    ----------
    low, high : array of shape (n[0],)
    blocks : sequence of tuple of int
        Places of the indicators of each category.
    """

    low: Vector
    high: Vector
    blocks: Sequence[tuple[int, ...]] = ()

    @property
    def moving(self) -> NDArray[np.int64]:
        """Places of the numeric inputs that vary."""
        fixed = {place for block in self.blocks for place in block}
        wide = np.flatnonzero(self.high > self.low)
        return np.array([place for place in wide.tolist() if place not in fixed], np.int64)

    @property
    def freedom(self) -> int:
        """How many columns can be chosen independently of each other."""
        return len(self.moving) + len(self.blocks)

    @property
    def nowhere(self) -> Matrix:
        """No points."""
        return np.zeros((0, len(self.low)))

    @property
    def box(self) -> tuple[Vector, Vector]:
        """The ends between which points may move: where a category stands there is no room."""
        free = np.zeros(len(self.low), bool)
        free[self.moving] = True
        return np.where(free, self.low, 0.0), np.where(free, self.high, 0.0)

    def spread(self, count: int, shift: float = 0.5) -> Matrix:
        """Points spread over the region, shape (count, n[0]); another `shift` gives others."""
        return self._lately(count, shift)

    @cached_property
    def _lately(self) -> Callable[[int, float], Matrix]:
        """The points of the last few looks: those of one round share them."""
        return lru_cache(maxsize=4)(self._spread)

    def _spread(self, count: int, shift: float) -> Matrix:
        width, moving = len(self.low), self.moving
        uniform = _recurrence(count, len(moving) + len(self.blocks) + 1, shift)
        part = uniform[:, : len(moving)].copy()
        _to_the_faces(part, uniform[:, -1])
        X = np.tile(self.low, (count, 1))
        X[:, moving] = self.low[moving] + part * (self.high - self.low)[moving]
        for number, block in enumerate(self.blocks, start=len(moving)):
            chosen = np.minimum((uniform[:, number] * len(block)).astype(int), len(block) - 1)
            X[:, list(block)] = np.eye(len(block))[chosen]
        assert X.shape[1] == width
        X.flags.writeable = False
        return X

    def climb(
        self, function: Callable[[Matrix], Vector], X: Matrix, tight: float = TIGHT
    ) -> Matrix:
        """Local maxima of a function near each of some points, by compass search.

        It ends when steps are as small a part of the box as `tight`.
        """
        X, moving = X.copy(), self.moving
        if not len(moving) or not len(X):
            return X
        box = (self.high - self.low)[moving]
        values, steps = function(X), np.full(len(X), LOOSE)
        arms = np.concatenate([np.eye(len(moving)), -np.eye(len(moving))])
        climbing = np.arange(len(X))
        for _ in range(LONGEST):
            tried = np.repeat(X[climbing, None, :], len(arms), axis=1)
            tried[:, :, moving] += steps[climbing, None, None] * arms * box
            tried = np.clip(tried, self.low, self.high)
            found = function(tried.reshape(-1, X.shape[1])).reshape(len(climbing), len(arms))
            best = np.argmax(np.where(np.isfinite(found), found, -np.inf), axis=1)
            rows = np.arange(len(climbing))
            better = found[rows, best] > values[climbing]
            up = climbing[better]
            X[up], values[up] = tried[rows, best][better], found[rows, best][better]
            steps[climbing] *= np.where(better, LONGER, SHORTER)
            climbing = climbing[steps[climbing] > tight]
            if not climbing.size:
                break
        return X

    def distinct(self, X: Matrix, values: Vector, most: int, known: Matrix | None = None) -> Matrix:
        """The points of the largest values, no two of them (nor a known one) close together."""
        box = np.where(self.high > self.low, self.high - self.low, 1.0)
        taken = np.zeros((0, len(box))) if known is None else known / box
        own, kept = np.zeros((0, len(box))), []
        for place in np.argsort(-values, kind="stable").tolist():
            point = X[place] / box
            if _near(taken, point, 1e-4 * APART) or _near(own, point, APART):
                continue
            own = np.concatenate([own, point[None]])
            kept.append(place)
            if len(kept) == most:
                break
        return X[kept]


def _near(points: Matrix, point: Vector, limit: float) -> bool:
    """Whether one of some points is closer to a point than a limit, in every entry."""
    return len(points) > 0 and bool(np.min(np.max(np.abs(points - point), axis=1)) < limit)


def _recurrence(count: int, dimensions: int, shift: float) -> Matrix:
    """The points (shift + i·α) mod 1, αⱼ = φ⁻ʲ, where φ is the root of φᵈ⁺¹ = φ + 1."""
    phi = 2.0
    for _ in range(64):
        phi = (1.0 + phi) ** (1.0 / (dimensions + 1.0))
    steps = phi ** -np.arange(1.0, dimensions + 1.0)
    return np.asarray((shift + np.arange(1.0, count + 1.0)[:, None] * steps) % 1.0)


def _to_the_faces(part: Matrix, chance: Vector) -> None:
    """Move half of the points to faces: extremes like to lie there."""
    count, width = part.shape
    if not width:
        return
    on_face = chance < 0.5
    bits = (chance * 2.0**20).astype(np.int64)
    for place in range(width):
        moved = on_face & ((bits >> (place % 16)) & 1 == 1)
        part[moved, place] = np.rint(part[moved, place])
    corners = min(2**width, count // 4) if width < 16 else 0
    for corner in range(corners):
        part[corner] = [(corner >> place) & 1 for place in range(width)]
