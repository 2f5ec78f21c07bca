"""What was asked for, on one network and its table: constraints as functions of the parameters.

Everything is measured in its own size (a slope in deviations of the output per deviation of the
input), so that one margin serves all; reports turn it back into own units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import OptionError, ShapeError, TracingError
from thalweg.optim.functions import Smooth, Traced
from thalweg.training.constraints.families import Family, Pointwise, Quantity
from thalweg.training.constraints.frame import Frame, Vector
from thalweg.training.constraints.kinds import (
    Constraint,
    Custom,
    Derivative,
    Limits,
    Output,
    Points,
    Weights,
)
from thalweg.training.constraints.pointwise import PointConstraint, limited
from thalweg.training.constraints.region import Region

__all__ = ["HELD", "Condition", "ConstraintSet"]

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]

HELD = 1e-9
"""The violation, in the size of the quantity, that is rounding."""


@dataclass(frozen=True, eq=False)
class Condition:
    """A limit to one quantity, over a region or at points.

    Attributes
    ----------
    asked : int
        Which of the constraints it belongs to.
    quantity : Pointwise
        In the form that it is solved in: where it can be, of the output's link.
    sign : float
        1 for "at most", -1 for "at least", 0 for "equal".
    limits : array of shape (1,) or (m,)
        In the quantity's size.
    stated : Pointwise
    stated_limits : array
        As it was asked.
    region : Region or None
    points : array of shape (m, n[0])
        Of a condition at points.
    """

    asked: int
    quantity: Pointwise
    sign: float
    limits: Vector
    stated: Pointwise
    stated_limits: Vector
    region: Region | None
    points: Matrix

    def excess(self, theta: Vector, X: Matrix) -> Vector:
        """By how much it is violated at points; negative where it holds."""
        found = self.quantity.values(theta, X) - self.limits
        return _or_infinite(np.abs(found) if self.sign == 0 else self.sign * found)

    def at(self, X: Matrix, margin: float) -> PointConstraint:
        """The constraint at points, as a solver takes it."""
        limits = np.broadcast_to(self.limits, (len(X),))
        sign, margin = (self.sign, margin) if self.sign else (1.0, 0.0)
        return limited(self.quantity, X, sign, limits, margin)

    def climb(self, theta: Vector, X: Matrix, tight: float) -> Matrix:
        """Where it is violated most near points of its region, without derivatives."""
        assert self.region is not None
        return self.region.climb(lambda points: self.excess(theta, points), X, tight)

    # -- as it was asked, in the output's own unit --------------------------------------------
    def violation(self, theta: Vector, X: Matrix) -> float:
        """The largest at points, in the unit in which it was asked; 0 where it is rounding."""
        found = self.stated.values(theta, X) - self.stated_limits
        excess = _or_infinite(np.abs(found) if self.sign == 0 else self.sign * found)
        largest = float(np.max(excess, initial=0.0))
        return largest * self.stated.size if largest > HELD else 0.0

    def price(self, theta: Vector, X: Matrix, price: Vector) -> Vector:
        """Multipliers at points for a limit in the unit in which it was asked.

        Infinite where the last activation has no slope left.
        """
        family = self.quantity.family
        linked = family.frame.link_slopes(theta, X, family.output) if family.linked else 1.0
        with np.errstate(divide="ignore"):
            return price / (self.quantity.size * linked)


class ConstraintSet:
    """All constraints of a network.

    Parameters
    ----------
    frame : Frame
    asked : sequence of Constraint
    start_given : bool
        Whether weights to start from were given, which are not to be trained without constraints.

    Attributes
    ----------
    conditions : list of Condition
    customs : list of (int, Smooth, bool)
        Your own functions: the constraint they belong to, and whether they are equalities.
    lower, upper : array of shape (P,)
        Bounds of the parameters.

    Raises
    ------
    OptionError, ShapeError, TracingError
        If a constraint does not fit the network or the table.
    """

    def __init__(
        self, frame: Frame, asked: Sequence[Constraint], start_given: bool = False
    ) -> None:
        self.frame, self.asked, self.start_given = frame, tuple(asked), start_given
        self.conditions: list[Condition] = []
        self.customs: list[tuple[int, Smooth, bool]] = []
        self.lower = np.full(frame.network.count, -np.inf)
        self.upper = np.full(frame.network.count, np.inf)
        self._regions: dict[Limits, Region] = {}
        self._families: dict[tuple[int, int, bool], Family] = {}
        for number, one in enumerate(self.asked):
            self._bind(number, one)
        if np.any(self.lower > self.upper):
            raise OptionError("constraint: the bounds of the weights leave nothing between them.")

    @property
    def bounded(self) -> bool:
        """Whether there are bounds of weights."""
        return bool(np.any(np.isfinite(self.lower)) or np.any(np.isfinite(self.upper)))

    def custom_violations(self, theta: Vector) -> list[tuple[int, float]]:
        """For every function of one's own its constraint, and by how much it is violated."""
        found = []
        for number, function, equal in self.customs:
            values = function.value(theta)
            excess = _or_infinite(np.abs(values) if equal else values)
            found.append((number, float(np.max(excess, initial=0.0))))
        return found

    def _bind(self, number: int, one: Constraint) -> None:
        match one:
            case Derivative():
                self._derivative(number, one)
            case Output():
                self._output(number, one)
            case Points():
                self._points(number, one)
            case Weights():
                self._weights(one)
            case Custom():
                self._custom(number, one)
            case _:
                raise OptionError(
                    "constraints: {found!r} is no constraint: write monotone('age'), "
                    "output_between(0, 1), ...",
                    found=one,
                )

    def _quantity(self, order: int, along: int, output: int, linked: bool = False) -> Pointwise:
        key = (order, output, linked)
        if key not in self._families:
            self._families[key] = Family(*key, self.frame)
        return Pointwise(Quantity(order, along, output, linked), self._families[key])

    def _form(self, stated: Pointwise, limits: Vector) -> tuple[Pointwise, Vector]:
        """The quantity and the limits that are solved: of the link, where that says the same."""
        one = stated.quantity
        if self.frame.link is None or one.order > 1 or (one.order and limits.any()):
            return stated, limits
        linked = self._quantity(one.order, one.input, one.output, linked=True)
        if one.order:
            return linked, limits
        return linked, np.array([self.frame.linked_limit(v, one.output) for v in limits.tolist()])

    def _keep(
        self,
        number: int,
        stated: Pointwise,
        sign: float,
        limits: Vector,
        region: Region | None,
        points: Matrix,
    ) -> None:
        """Keep a condition; limits in the unit in which they were given."""
        solved, own = self._form(stated, limits)
        sized, as_stated = own / solved.size, limits / stated.size
        one = Condition(number, solved, sign, sized, stated, as_stated, region, points)
        self.conditions.append(one)

    def _says_something(self, sign: float, limits: Vector, output: int) -> Mask:
        """Which limits of an output say more than the range of its activation.

        Raises
        ------
        OptionError
            If one cannot be held within that range.
        """
        low, high = self.frame.output_range(output)
        reached = self.frame.link is None  # a link leads to infinity at the ends
        above, below = (limits > high, limits < low) if reached else (limits >= high, limits <= low)
        beyond = (above & (sign <= 0)) | (below & (sign >= 0))
        if beyond.any():
            raise OptionError(
                "constraint: outputs of {activation} lie between {low:g} and {high:g}: "
                "{limit:g} cannot be held.",
                activation=self.frame.network.layers[-1].g,
                low=low,
                high=high,
                limit=float(limits[beyond][0]),
            )
        return limits < high if sign > 0 else limits > low if sign < 0 else ~beyond

    def _region(self, limits: Limits) -> Region:
        if limits not in self._regions:
            self._regions[limits] = self._made_region(limits)
        return self._regions[limits]

    def _made_region(self, limits: Limits) -> Region:
        low, high = self.frame.low.copy(), self.frame.high.copy()
        for name, first, last in limits:
            place = self.frame.input(name)
            low[place], high[place] = first, last
        return Region(low, high, self.frame.blocks)

    def _derivative(self, number: int, one: Derivative) -> None:
        region = self._region(one.region)
        jumping = self.frame.jumping(one.sign) if one.order == 2 else None
        if jumping is not None:
            raise OptionError(
                "constraint: the slope of {activation} jumps, and no second derivative tells of "
                "it: take another activation, such as softplus or tanh, for convex and concave.",
                activation=jumping,
            )
        for output in self.frame.outputs(one.output):
            for name in one.inputs:
                stated = self._quantity(one.order, self.frame.input(name), output)
                self._keep(number, stated, -float(one.sign), np.zeros(1), region, region.nowhere)

    def _output(self, number: int, one: Output) -> None:
        region = self._region(one.region)
        for output in self.frame.outputs(one.output):
            stated = self._quantity(0, 0, output)
            for sign, limit in ((-1.0, np.array([one.low])), (1.0, np.array([one.high]))):
                if np.isfinite(limit).all() and self._says_something(sign, limit, output).all():
                    self._keep(number, stated, sign, limit, region, region.nowhere)

    def _points(self, number: int, one: Points) -> None:
        X = self.frame.rows(one.points)
        sides = [np.array(side) for side in (one.low, one.high)]
        for side in sides:
            if len(side) not in (1, len(X)):
                raise ShapeError(
                    "constraint: {bounds} values for {points} points.",
                    bounds=len(side),
                    points=len(X),
                )
        low, high = (np.broadcast_to(side, (len(X),)) for side in sides)
        along = 0 if one.input is None else self.frame.input(one.input)
        for output in self.frame.outputs(one.output):
            stated = self._quantity(int(one.input is not None), along, output)
            equal = low == high
            for sign, limits, rows in (
                (0.0, low, equal),
                (-1.0, low, ~equal & np.isfinite(low)),
                (1.0, high, ~equal & np.isfinite(high)),
            ):
                if one.input is None and rows.any():
                    rows = rows.copy()
                    rows[rows] = self._says_something(sign, limits[rows], output)
                if rows.any():
                    self._keep(number, stated, sign, limits[rows], None, X[rows])

    def entries(self, one: Weights) -> Mask:
        """Which parameters are meant by bounds of weights, shape (P,)."""
        layers = enumerate(self.frame.network.layers, start=1)
        parts = [
            np.full(
                int(np.prod(shape)),
                (one.layers is None or number in one.layers) and (name == "W" or one.biases),
            )
            for number, layer in layers
            for name, shape in layer.shapes.items()
        ]
        return np.concatenate(parts)

    def _weights(self, one: Weights) -> None:
        layers, own = self.frame.network.layers, self.entries(one)
        for number in one.layers or ():
            if not 1 <= number <= len(layers):
                raise OptionError(
                    "constraint: there is no layer {number}; layers are counted from 1 to {last}.",
                    number=number,
                    last=len(layers),
                )
        self.lower[own] = np.maximum(self.lower[own], one.low)
        self.upper[own] = np.minimum(self.upper[own], one.high)

    def _custom(self, number: int, one: Custom) -> None:
        function = one.function
        if function is None:
            raise OptionError(
                "constraint {name!r} was read from a file, which keeps no code: give it anew.",
                name=one.name,
            )

        def of_theta(theta: Any) -> Any:
            params = self.frame.params(theta)
            return function(self.frame.function(params), params)

        try:
            traced = Traced(of_theta, self.frame.network.count)
        except Exception as error:
            raise TracingError(
                "constraint {name!r} cannot be traced: {error} Write it with thalweg.numpy, as "
                "g(f, params).",
                name=one.name,
                error=error,
            ) from error
        if not traced.m:
            raise OptionError(
                "constraint {name!r} returns no number: return what is to be held.", name=one.name
            )
        self.customs.append((number, traced, one.equal))


def _or_infinite(excess: Vector) -> Vector:
    """What is not a number is not held."""
    return np.where(np.isnan(excess), np.inf, excess)
