"""Limits to quantities at points, as functions of the parameters that a solver takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from thalweg.optim.functions import Smooth
from thalweg.training.constraints.families import Family, Pointwise
from thalweg.training.constraints.frame import Vector

__all__ = ["PointConstraint", "Stack", "limited"]

Matrix = NDArray[np.float64]

FAINT, LOUD = 0.01, 64  # of the largest weight, and after so many: left out of second derivatives
SMALL = 200  # parameters, up to which these are cheap


class PointConstraint(Smooth):
    """sign·(q(xᵢ) - limitᵢ) + margin at points, as a function of the parameters.

    Parameters
    ----------
    family : Family
    points, along : array of shape (m, n[0])
        With the direction of each.
    signs : array of shape (m,)
        1 for "at most", -1 for "at least".
    limits, margins : array of shape (m,)
        In the quantity's size.
    """

    has_curvature = True

    def __init__(
        self,
        family: Family,
        points: Matrix,
        along: Matrix,
        signs: Vector,
        limits: Vector,
        margins: Vector,
    ) -> None:
        self.family, self.points, self.along = family, points, along
        self.signs, self.limits, self.margins = signs, limits, margins
        self.n, self.m = family.parameters, len(points)

    def joined(self, *others: PointConstraint) -> PointConstraint:
        """Its points, and then those of others of the same family."""
        all_of_them = ((p.points, p.along, p.signs, p.limits, p.margins) for p in (self, *others))
        arrays = map(np.concatenate, zip(*all_of_them, strict=True))
        return PointConstraint(self.family, *arrays)

    def _of(self, q: Vector) -> Vector:
        return np.asarray(self.signs * (q - self.limits) + self.margins)

    def value(self, x: Vector) -> Vector:
        """F(x), shape (m,)."""
        return self._of(self.family.values(x, self.points, self.along))

    def derivative(self, x: Vector) -> tuple[Vector, Matrix]:
        """F(x) and its Jacobian."""
        value, slopes = self.family.jacobian(x, self.points, self.along)
        return self._of(value), self.signs[:, None] * slopes

    def pull(self, x: Vector, u: Vector) -> tuple[Vector, Vector]:
        """F(x) and Jᵀu."""
        return self.value(x), self.family.pull(x, self.points, self.along, self.signs * u)

    def curvature_product(self, x: Vector, u: Vector, v: Vector) -> Vector:
        """Σ uᵢ∇²Fᵢ(x) times v."""
        return np.asarray(self._products(x, u, v[None, :])[0])

    def curvature(self, x: Vector, u: Vector) -> Matrix:
        """Σ uᵢ∇²Fᵢ(x), from the points whose weight is not zero."""
        columns = self._products(x, u, np.eye(self.n))
        return np.asarray(0.5 * (columns + columns.T))

    def _products(self, x: Vector, u: Vector, V: Matrix) -> Matrix:
        own = np.flatnonzero(u)
        if not own.size:
            return np.zeros_like(V)
        weights = (self.signs * u)[own]
        return self.family.products(x, self.points[own], self.along[own], weights, V)


def limited(
    quantity: Pointwise, points: Matrix, sign: float, limits: Vector, margin: float = 0.0
) -> PointConstraint:
    """A limit to one quantity at points."""
    signs, margins = np.full(len(points), sign), np.full(len(points), margin)
    return PointConstraint(quantity.family, points, quantity.along(points), signs, limits, margins)


class Stack(Smooth):
    """Several functions one after the other; neighbours of one family are evaluated together."""

    has_curvature = True

    def __init__(self, parts: Sequence[Smooth]) -> None:
        self.parts = tuple(_together(parts))
        self.n, self.m = parts[0].n, sum(part.m for part in parts)

    def split(self, u: Vector) -> list[Vector]:
        """What belongs to each of the parts."""
        return np.split(u, np.cumsum([part.m for part in self.parts])[:-1])

    def value(self, x: Vector) -> Vector:
        """F(x), shape (m,)."""
        return np.concatenate([part.value(x) for part in self.parts])

    def derivative(self, x: Vector) -> tuple[Vector, Matrix]:
        """F(x) and its Jacobian."""
        values, slopes = zip(*(part.derivative(x) for part in self.parts), strict=True)
        return np.concatenate(values), np.concatenate(slopes)

    def pull(self, x: Vector, u: Vector) -> tuple[Vector, Vector]:
        """F(x) and Jᵀu."""
        pairs = [p.pull(x, own) for p, own in zip(self.parts, self.split(u), strict=True)]
        values, slopes = zip(*pairs, strict=True)
        return np.concatenate(values), np.sum(slopes, axis=0)

    def curvature(self, x: Vector, u: Vector) -> Matrix:
        """Σ uᵢ∇²Fᵢ(x) of the largest weights.

        Second derivatives at points far from active cost as much as all else and change no step
        to speak of.
        """
        sizes, most = np.sort(np.abs(u)), LOUD if self.n <= SMALL else LOUD // 2
        faint = max(FAINT * sizes[-1], sizes[-most - 1] if len(u) > most else 0.0)
        found = np.zeros((self.n, self.n))
        for part, own in zip(self.parts, self.split(u), strict=True):
            loud = np.where(np.abs(own) > faint, own, 0.0)
            if loud.any():
                found += part.curvature(x, loud)
        return found

    def curvature_product(self, x: Vector, u: Vector, v: Vector) -> Vector:
        """Σ uᵢ∇²Fᵢ(x) times v."""
        pairs = zip(self.parts, self.split(u), strict=True)
        return np.asarray(sum(part.curvature_product(x, own, v) for part, own in pairs))


def _together(parts: Sequence[Smooth]) -> list[Smooth]:
    """Neighbours of one family made one."""
    found: list[Smooth] = []
    for family, group in groupby(parts, lambda part: getattr(part, "family", None)):
        own = list(group)
        if family is None:
            found += own
            continue
        first, *others = (part for part in own if isinstance(part, PointConstraint))
        found.append(first.joined(*others))
    return found
