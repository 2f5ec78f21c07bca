r"""Intervals that surely hold the outputs over a region: bounds of outputs without any points.

The inputs of a box have a centre c and reach as far as r from it. A weighted sum then reaches
:math:`|W| r` from :math:`W c + b`, and behind an activation that rises it lies between the values
at both ends. What comes out encloses all outputs (R. E. Moore, Interval Analysis, 1966). The
enclosure takes neurons to be independent of each other, which a box of as many inputs nearly allows
and one of fewer does not: it is where training under bounds of outputs begins, not where it ends.

A weight whose sign is given has :math:`|w| = ±w`; of others :math:`\sqrt{w^2 + ε^2}` is taken,
which is no less, so that solvers meet no kink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import thalweg.numpy as tnp
from thalweg.optim.functions import Smooth, Traced
from thalweg.training.constraints.bound import Condition
from thalweg.training.constraints.frame import Frame, Vector
from thalweg.training.constraints.region import Region
from thalweg.training.constraints.signs import rises

__all__ = ["Enclosure", "enclosable"]

Matrix = NDArray[np.float64]

SMALL = 1e-3
"""The ε of the formula above; weights see scaled inputs."""


def enclosable(conditions: Sequence[Condition], frame: Frame) -> list[Condition]:
    """The bounds of outputs over regions, where intervals pass through all layers and say enough.

    Neurons of the first layer can be anything at once only where they are no more than the inputs.
    """
    layers = frame.network.layers
    if not all(rises(layer.g) for layer in layers):
        return []
    neurons = layers[0].outputs if len(layers) > 1 else 0
    bounds = (c for c in conditions if c.stated.quantity.order == 0)
    return [c for c in bounds if c.region is not None and c.region.freedom >= neurons]


class Enclosure(Smooth):
    """By how much enclosures pass bounds of outputs, less some gaps: one number for each bound.

    Parameters
    ----------
    conditions : sequence of Condition
        As `enclosable` gives them.
    frame : Frame
    lower, upper : array of shape (P,)
        Bounds of the parameters, which give some of them their signs.
    margin : float
        By how much the bounds of outputs are tightened.

    Attributes
    ----------
    gaps : array of shape (m,)
        By how much enclosures may pass the bounds: as far as they are known to be too wide.
    prices : array of shape (m,)
        Multipliers of the last round.
    """

    has_curvature = True

    def __init__(
        self,
        conditions: Sequence[Condition],
        frame: Frame,
        lower: Vector,
        upper: Vector,
        margin: float = 0.0,
    ) -> None:
        self.conditions, self.frame, self.margin = tuple(conditions), frame, margin
        signs = np.where(lower >= 0.0, 1.0, np.where(upper <= 0.0, -1.0, 0.0))
        self.signs = [np.asarray(own["W"]) for own in frame.params(signs)]
        self._wide = Traced(self._excess, frame.network.count)
        self.n, self.m = self._wide.n, self._wide.m
        self.gaps, self.prices = np.full(self.m, -margin), np.full(self.m, np.nan)

    def value(self, x: Vector) -> Vector:
        """F(x), shape (m,)."""
        return np.asarray(self._wide.value(x) - self.gaps)

    def derivative(self, x: Vector) -> tuple[Vector, Matrix]:
        """F(x) and its Jacobian."""
        value, slopes = self._wide.derivative(x)
        return value - self.gaps, slopes

    def curvature(self, x: Vector, u: Vector) -> Matrix:
        """Σ uᵢ∇²Fᵢ(x)."""
        return self._wide.curvature(x, u)

    def pull(self, x: Vector, u: Vector) -> tuple[Vector, Vector]:
        """F(x) and Jᵀu."""
        value, pulled = self._wide.pull(x, u)
        return value - self.gaps, pulled

    def curvature_product(self, x: Vector, u: Vector, v: Vector) -> Vector:
        """Σ uᵢ∇²Fᵢ(x) times v."""
        return self._wide.curvature_product(x, u, v)

    def learn(self, x: Vector, worst: Vector) -> None:
        """Take the gaps from what the largest violations (or least rooms) at x truly are."""
        self.gaps = self._wide.value(x) - worst - self.margin

    def _excess(self, theta: Any) -> list[Any]:
        params, found = self.frame.params(theta), []
        for one in self.conditions:
            assert one.region is not None
            low, high = self._ends(params, one.region, one.stated.quantity.output)
            limit = float(one.limits[0])
            found.append(high - limit if one.sign > 0.0 else limit - low)
        return found

    def _ends(self, params: Any, region: Region, output: int) -> tuple[Any, Any]:
        """Between which an output lies, or its link, as the conditions measure it."""
        inside: tuple[Any, Any] | None = None
        for layer, own, signs in zip(self.frame.network.layers, params, self.signs, strict=True):
            size = _size(own["W"], signs)
            sums = self._summed(own["W"], size, own.get("b", 0.0), region, inside)
            inside = layer.g(sums[0]), layer.g(sums[1])
        if self.frame.link is not None:  # what enters the last activation
            return sums[0][output], sums[1][output]
        assert inside is not None
        zero = self.frame.output_zeros[output] / self.frame.output_sizes[output]
        return inside[0][output] + zero, inside[1][output] + zero

    def _summed(
        self, W: Any, size: Any, b: Any, region: Region, inside: tuple[Any, Any] | None
    ) -> tuple[Any, Any]:
        """Between which W·a + b lies, where a lies inside some ends, or in the region itself."""
        if inside is None:
            return self._first(W, size, b, region)
        low, high = inside
        middle, reach = W @ (0.5 * (low + high)) + b, size @ (0.5 * (high - low))
        return middle - reach, middle + reach

    def _first(self, W: Any, size: Any, b: Any, region: Region) -> tuple[Any, Any]:
        """Between which W·x + b lies over a region; of a category only one indicator is set."""
        apply = self.frame.encoding.input_scaling.apply
        ends = np.stack([apply(region.low), apply(region.high)])
        middle, reach = ends.mean(axis=0), 0.5 * np.ptp(ends, axis=0)
        for block in region.blocks:
            middle[list(block)] = reach[list(block)] = 0.0
        centre, spread = W @ middle + b, size @ reach
        low, high = centre - spread, centre + spread
        for block in region.blocks:
            own = apply(np.eye(len(middle))[list(block)])[:, list(block)]
            sums = tnp.take(W, list(block), axis=1) @ own.T
            low, high = low + tnp.min(sums, axis=1), high + tnp.max(sums, axis=1)
        return low, high


def _size(W: Any, signs: Matrix) -> Any:
    """|W|, or a little more where signs are not known."""
    return tnp.where(signs == 0.0, tnp.sqrt(W * W + SMALL * SMALL), signs * W)
