"""The iterate of the interior-point method and what is measured of it.

φ_μ(w) = f(w) - μ Σ ln(w - l) - μ Σ ln(u - w), with c(w) = 0. Its optimality conditions, with
multipliers y of c and z of the bounds, are
∇f + Jᵀy - z_l + z_u = 0,  c = 0,  (w - l)z_l = μ,  (u - w)z_u = μ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.optim.constrained.program import Derivatives, Program, Values
from thalweg.optim.layout import Vector
from thalweg.optim.problem import Bounds

__all__ = ["Barrier", "Iterate", "Step", "inside", "least_squares_multipliers"]

DAMPING = 1e-5  # a faint pull towards the bound for variables with one bound only
MULTIPLIER_BAND = 1e10
LARGEST_MEAN = 1e6  # multipliers beyond are no excuse for a gradient that does not vanish


@dataclass(frozen=True)
class Iterate:
    """Primal and dual variables with values and derivatives there."""

    w: Vector
    y: Vector
    zl: Vector
    zu: Vector
    values: Values
    slopes: Derivatives

    @property
    def theta(self) -> float:
        """‖c‖₁."""
        return float(np.sum(np.abs(self.values.c)))


@dataclass(frozen=True)
class Step:
    """A search direction in all variables."""

    w: Vector
    y: Vector
    zl: Vector
    zu: Vector


class Barrier:
    """A program with its bounds; everything that involves μ."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.has_lower = np.isfinite(program.lower)
        self.has_upper = np.isfinite(program.upper)
        single_lower = self.has_lower & ~self.has_upper
        single_upper = self.has_upper & ~self.has_lower
        self.pull = single_lower.astype(np.float64) - single_upper.astype(np.float64)
        self.bound_count = int(self.has_lower.sum() + self.has_upper.sum())

    def gaps(self, w: Vector) -> tuple[Vector, Vector]:
        """The gaps w - l and u - w, one where there is no bound."""
        below = np.where(self.has_lower, w - self.program.lower, 1.0)
        above = np.where(self.has_upper, self.program.upper - w, 1.0)
        return below, above

    def phi(self, w: Vector, f: float, mu: float) -> float:
        """The barrier objective."""
        below, above = self.gaps(w)
        with np.errstate(all="ignore"):
            logs = float(np.log(below).sum() + np.log(above).sum())
            pulls = np.where(self.pull > 0, below, np.where(self.pull < 0, above, 0.0))
        return f - mu * logs + DAMPING * mu * float(pulls.sum())

    def phi_gradient(self, w: Vector, g: Vector, mu: float) -> Vector:
        """Its gradient."""
        below, above = self.gaps(w)
        return np.asarray(
            g - mu * self.has_lower / below + mu * self.has_upper / above + DAMPING * mu * self.pull
        )

    def curvature(self, it: Iterate) -> Vector:
        """Σ = z_l/(w - l) + z_u/(u - w)."""
        below, above = self.gaps(it.w)
        return np.asarray(it.zl / below + it.zu / above)

    def multiplier_steps(self, it: Iterate, dw: Vector, mu: float) -> tuple[Vector, Vector]:
        """The steps dz from the linearised complementarity conditions."""
        below, above = self.gaps(it.w)
        dzl = np.where(self.has_lower, mu / below - it.zl - it.zl / below * dw, 0.0)
        dzu = np.where(self.has_upper, mu / above - it.zu + it.zu / above * dw, 0.0)
        return dzl, dzu

    def mean_of(self, below: Vector, above: Vector, zl: Vector, zu: Vector) -> float:
        """The mean product of gap and multiplier over all bounds, zero if there are none."""
        total = (below * zl * self.has_lower).sum() + (above * zu * self.has_upper).sum()
        return float(total) / max(1, self.bound_count)

    def mean_product(self, it: Iterate) -> float:
        """The same at an iterate."""
        return self.mean_of(*self.gaps(it.w), it.zl, it.zu)

    def longest(self, it: Iterate, step: Step, tau: float) -> tuple[float, float]:
        """Fraction to the boundary: the longest primal and dual steps."""
        below, above = self.gaps(it.w)
        primal = min(
            _reach(below, np.where(self.has_lower, step.w, 0.0), tau),
            _reach(above, np.where(self.has_upper, -step.w, 0.0), tau),
        )
        dual = min(_reach(it.zl, step.zl, tau), _reach(it.zu, step.zu, tau))
        return primal, dual

    def banded(self, w: Vector, zl: Vector, zu: Vector, mu: float) -> tuple[Vector, Vector]:
        """Multipliers kept within a wide band around μ/(w - l)."""
        below, above = self.gaps(w)
        zl = np.clip(zl, mu / (MULTIPLIER_BAND * below), MULTIPLIER_BAND * mu / below)
        zu = np.clip(zu, mu / (MULTIPLIER_BAND * above), MULTIPLIER_BAND * mu / above)
        return np.where(self.has_lower, zl, 0.0), np.where(self.has_upper, zu, 0.0)

    def error(self, it: Iterate, mu: float) -> float:
        """The scaled residual of the optimality conditions at μ."""
        stationarity, violation, complementarity = self.residuals(it, mu)
        n, m = it.w.size, it.y.size
        z_sum = float(np.abs(it.zl).sum() + np.abs(it.zu).sum())
        y_sum = float(np.abs(it.y).sum())
        dual = _mean_scale((y_sum + z_sum) / max(1, m + n))
        product = _mean_scale(z_sum / max(1, self.bound_count))
        return max(stationarity / dual, violation, complementarity / product)

    def residuals(self, it: Iterate, mu: float) -> tuple[float, float, float]:
        """Largest entries of stationarity, constraints and complementarity."""
        below, above = self.gaps(it.w)
        rest = it.slopes.g + it.slopes.jacobian.T @ it.y - it.zl + it.zu
        low = np.where(self.has_lower, below * it.zl - mu, 0.0)
        high = np.where(self.has_upper, above * it.zu - mu, 0.0)
        return _largest(rest), _largest(it.values.c), max(_largest(low), _largest(high))


def _mean_scale(mean: float) -> float:
    """By how much the multipliers' size may loosen a test."""
    return min(max(mean, 100.0), LARGEST_MEAN) / 100.0


def _largest(v: Vector) -> float:
    """The largest modulus of an entry, zero if there is none."""
    return float(np.abs(v).max(initial=0.0))


def _reach(gap: Vector, change: Vector, tau: float) -> float:
    """The longest α ≤ 1 with gap + α·change ≥ (1 - τ)·gap."""
    shrinking = change < 0
    if not shrinking.any():
        return 1.0
    return min(1.0, float((-tau * gap[shrinking] / change[shrinking]).min()))


def inside(program: Program, w: Vector, push: float = 1e-2) -> Vector:
    """A point pushed off its bounds, by `push` relative to bound and width.

    Examples
    --------
    A start at a bound, or outside, comes to lie strictly between them.
    """
    return Bounds(program.lower, program.upper).inside(w, push)


def least_squares_multipliers(
    slopes: Derivatives, zl: Vector, zu: Vector, cap: float = 1e3
) -> Vector:
    """The y that makes the Lagrangian as stationary as can be; zero where that is unreasonable."""
    m = slopes.jacobian.shape[0]
    if m == 0:
        return np.zeros(0)
    y = np.asarray(np.linalg.lstsq(slopes.jacobian.T, -(slopes.g - zl + zu), rcond=None)[0])
    return y if np.max(np.abs(y)) <= cap else np.zeros(m)
