"""The points that stand for the regions of constraints, and the search for those that are missing.

A constraint over a region is infinitely many constraints, one at every point. A solver is given
those of a working set; then the region is searched for the worst violations of what it found, which
join the set (the exchange method of semi-infinite programming: R. Hettich and K. O. Kortanek, SIAM
Review 35 (1993) 380-429). Because near a local maximum the violation grows with the square of the
distance, the points close in on the maxima in a few rounds, and a small margin makes up for the
rest. Every point keeps its multiplier from one round to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from thalweg.optim.functions import Smooth
from thalweg.optim.result import Multipliers
from thalweg.training.constraints.bound import HELD, Condition, ConstraintSet
from thalweg.training.constraints.climbing import climbed
from thalweg.training.constraints.enclosure import Enclosure
from thalweg.training.constraints.pointwise import Stack

__all__ = ["FINAL", "LOOKED", "Spot", "WorkingSet"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

FIRST, MOST_FIRST, LOOKED, FINAL = 32, 128, 2048, 16384
"""Points at the start for each input, and the most of them; looked at in each round, and before a
solution is accepted."""
CLIMBS, EVERY = 24, 32
"""How many of the worst points are climbed from, and which part of all: the summits of narrow
peaks lie above what is seen of them, often also above what is seen of broad ones."""
ADDED, MANY = 16, 300
"""Points added in a round, and points that are too many, for a region."""
BEGUN, JOINED, IN_ALL, FEW = 512, 128, 2400, 16
"""The first points, those added in a round and those that are too many, for all regions together;
and how many each may have at least."""
GOLDEN = 0.3819660113


def _shift(number: int) -> float:
    """Another one for every round, so that each looks at other points."""
    return (0.5 + GOLDEN * number) % 1.0


@dataclass
class Spot:
    """A condition, the points that stand for its region, and their multipliers.

    Attributes
    ----------
    condition : Condition
    points : array of shape (m, n[0])
    prices : array of shape (m,)
        As the last round left them, in the quantity's size; nan of a point that is new.
    worst : float
        The largest violation that the last look has seen; negative where there is none.
    violated_at : array of shape (k, n[0])
        Where it has seen one.
    looked_at : int
        At how many points.
    """

    condition: Condition
    points: Matrix
    prices: Vector = field(default_factory=lambda: np.zeros(0))
    worst: float = 0.0
    violated_at: Matrix = field(default_factory=lambda: np.zeros((0, 0)))
    looked_at: int = 0

    def __post_init__(self) -> None:
        self.prices = np.full(len(self.points), np.nan)

    @property
    def everywhere(self) -> bool:
        """Whether it is to hold over a region."""
        return self.condition.region is not None

    def join(self, points: Matrix) -> None:
        """Take in points."""
        self.points = np.concatenate([self.points, points])
        self.prices = np.concatenate([self.prices, np.full(len(points), np.nan)])

    def highest(self, theta: Vector, X: Matrix) -> Matrix:
        """Some of the points that violate most, no two of them close together."""
        assert self.condition.region is not None
        return self.condition.region.distinct(X, self.condition.excess(theta, X), CLIMBS)

    def thin(self, theta: Vector, share: int) -> None:
        """Forget points far from being active once there are many, or more than its share."""
        if len(self.points) > (most := min(MANY, share)):
            order = np.argsort(-self.condition.excess(theta, self.points), kind="stable")
            kept = np.sort(order[: most // 2])
            self.points, self.prices = self.points[kept], self.prices[kept]


class WorkingSet:
    """What a solver is given in place of conditions over regions.

    Parameters
    ----------
    constraints : ConstraintSet

    Attributes
    ----------
    spots : list of Spot
    enclosure : Enclosure or None
        What stands for some of the regions in place of points.
    """

    def __init__(self, constraints: ConstraintSet) -> None:
        self.constraints = constraints
        self.spots = [Spot(c, c.points) for c in constraints.conditions]
        self.own = [np.full(function.m, np.nan) for _, function, _ in constraints.customs]
        self.bounds = np.full((2, len(constraints.lower)), np.nan)
        self.enclosure: Enclosure | None = None

    @property
    def size(self) -> int:
        """How many points stand for regions."""
        return sum(len(spot.points) for spot in self._everywhere)

    @property
    def regions(self) -> int:
        """How many conditions are to hold over regions."""
        return sum(1 for _ in self._everywhere)

    @property
    def worst(self) -> float:
        """The largest violation over regions that the last look has seen."""
        return max((spot.worst for spot in self._everywhere), default=0.0)

    @property
    def _everywhere(self) -> Iterator[Spot]:
        return (spot for spot in self.spots if spot.everywhere)

    # -- as a solver takes it -------------------------------------------------------------------
    def functions(self, margin: float) -> tuple[Stack | None, Stack | None]:
        """Equalities and inequalities, with a margin where they stand for a region."""
        sides: dict[bool, list[Smooth]] = {True: [], False: []}
        for spot in self.spots:
            if len(spot.points):
                one = spot.condition.at(spot.points, margin if spot.everywhere else 0.0)
                sides[spot.condition.sign == 0].append(one)
        for _, function, equal in self.constraints.customs:
            sides[equal].append(function)
        if self.enclosure is not None:
            sides[False].append(self.enclosure)
        equal_ones, unequal = (Stack(sides[key]) if sides[key] else None for key in (True, False))
        return equal_ones, unequal

    def _in_order(self, equal: bool) -> list[tuple[Sequence[Vector], int]]:
        """Where the multipliers of equalities or inequalities are kept, in the solver's order."""
        prices = [spot.prices for spot in self.spots]
        found: list[tuple[Sequence[Vector], int]] = []
        for number, spot in enumerate(self.spots):
            if len(spot.points) and (spot.condition.sign == 0) == equal:
                found.append((prices, number))
        for number, (_, _, equality) in enumerate(self.constraints.customs):
            if equality == equal:
                found.append((self.own, number))
        if self.enclosure is not None and not equal:
            found.append(([self.enclosure.prices], 0))
        return found

    def prices(self) -> Multipliers:
        """The multipliers of the last round, nan for what is new."""
        sides = []
        for equal in (True, False):
            parts = [kept[number] for kept, number in self._in_order(equal)]
            sides.append(np.concatenate(parts) if parts else np.zeros(0))
        return Multipliers(*sides, *self.bounds)

    def take(self, found: Multipliers) -> None:
        """Keep the multipliers of a round; none, where the solver did not get far enough."""
        for equal, values in ((True, found.equalities), (False, found.inequalities)):
            places = self._in_order(equal)
            sizes = [len(kept[number]) for kept, number in places]
            if sum(sizes) != len(values):
                return
            for (kept, number), part in zip(places, _cut(values, sizes), strict=True):
                kept[number][:] = part
        self.bounds = np.stack([found.lower, found.upper])

    # -- between the points -----------------------------------------------------------------------
    def begin(self, left_out: Sequence[Condition] = ()) -> None:
        """Spread the first points over every region that has none, but for some."""
        for number, spot in enumerate(self.spots):
            region = spot.condition.region
            if region is not None and not len(spot.points) and spot.condition not in left_out:
                count = min(MOST_FIRST, FIRST * (1 + len(region.moving)), self._share(BEGUN, FEW))
                spot.join(np.unique(region.spread(count, 0.5 + 0.1 * number), axis=0))

    def _share(self, whole: int, least: int) -> int:
        """What every region gets of a number of points."""
        return max(least, whole // max(1, self.regions))

    def learn(self, theta: Vector) -> None:
        """Let the enclosure know what the last look, at these weights, has seen."""
        if self.enclosure is not None:
            worst = {id(spot.condition): spot.worst for spot in self.spots}
            seen = np.array([worst[id(one)] for one in self.enclosure.conditions])
            self.enclosure.learn(theta, seen)

    def forget_bounds(self) -> None:
        """Forget the multipliers of bounds, which are others from now on."""
        self.bounds[:] = np.nan

    def holds(self, theta: Vector, number: int, slack: float = 0.0) -> bool:
        """Whether a quick look, without climbing, finds no violation above some slack."""
        for spot in self._everywhere:
            region = spot.condition.region
            assert region is not None
            if np.max(spot.condition.excess(theta, region.spread(LOOKED, _shift(number)))) > slack:
                return False
        return True

    def holds_at_points(self, theta: Vector, slack: float) -> bool:
        """Whether all that a solver is given holds, without the margin.

        A slack is for what is asked at points, and for your own functions.
        """
        for spot in self.spots:
            allowed = HELD if spot.everywhere else slack
            if np.max(spot.condition.excess(theta, spot.points), initial=0.0) > allowed:
                return False
        return all(v <= slack for _, v in self.constraints.custom_violations(theta))

    def look(self, theta: Vector, count: int, number: int) -> bool:
        """Look at so many points and climb from the worst; what violates joins the set.

        Returns whether nothing did. Looks of other numbers see other points.
        """
        clean = True
        pairs = zip(self._everywhere, self._seen(theta, count, number), strict=True)
        for spot, (X, values) in pairs:
            spot.worst, spot.looked_at = float(np.max(values)), len(X)
            bad = values > HELD
            spot.violated_at = X[bad]
            if bad.any():
                clean = False
                spot.thin(theta, self._share(IN_ALL, 2 * FEW))
                assert spot.condition.region is not None
                most = min(ADDED, self._share(JOINED, 4))
                spot.join(spot.condition.region.distinct(X[bad], values[bad], most, spot.points))
        return clean

    def _seen(self, theta: Vector, count: int, number: int) -> list[tuple[Matrix, Vector]]:
        """For each spot points of its region, maxima near the worst, and how much they violate."""
        spots, looked, worst, starts = list(self._everywhere), [], [], []
        for spot in spots:
            region = spot.condition.region
            assert region is not None
            X = np.concatenate([region.spread(count, _shift(number)), spot.points])
            looked.append((X, spot.condition.excess(theta, X)))
            worst.append(region.distinct(*looked[-1], CLIMBS))
            starts.append(np.concatenate([worst[-1], X[:count:EVERY]]))
        tops = self._tops(theta, spots, starts, False)
        if count == FINAL:
            seen = zip(spots, worst, tops, strict=True)
            starts = [np.concatenate([low, s.highest(theta, top)]) for s, low, top in seen]
            tops = self._tops(theta, spots, starts, True)
        found = []
        for spot, top, (X, values) in zip(spots, tops, looked, strict=True):
            own = spot.condition.excess(theta, top)
            found.append((np.concatenate([top, X]), np.concatenate([own, values])))
        return found

    def _tops(
        self, theta: Vector, spots: Sequence[Spot], starts: Sequence[Matrix], final: bool
    ) -> list[Matrix]:
        """The maxima near points of every spot; those of one family are climbed to together."""
        found: list[Matrix] = []
        pairs = zip(spots, starts, strict=True)
        for _, group in groupby(pairs, lambda pair: pair[0].condition.quantity.family):
            own, points = zip(*group, strict=True)
            found += climbed([s.condition for s in own], theta, points, final)
        return found


def _cut(values: Vector, sizes: Sequence[int]) -> list[Vector]:
    return list(np.split(values, np.cumsum(sizes)[:-1])) if sizes else []
