"""How the barrier parameter μ goes to zero.

==============  ==============================================================================
`Monotone`      μ stays until its barrier problem is solved to 10μ, then falls faster than
                linearly (Fiacco and McCormick 1968; Wächter and Biegler 2006, eq. 7): careful
`Adaptive`      μ = σ·(mean complementarity) in every iteration, with Mehrotra's σ: the cube of
                what the step with μ = 0 leaves of it. Linear and quadratic programs take half
                the iterations. Where the optimality conditions do not improve, it falls back
                on the monotone update until they do
==============  ==============================================================================

S. Mehrotra, On the implementation of a primal-dual interior point method, SIAM J. Optimization 2
(1992) 575-601; J. Nocedal, A. Wächter, R. A. Waltz, Adaptive barrier update strategies for
nonlinear interior methods, SIAM J. Optimization 19 (2009) 1674-1693.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from thalweg.optim.constrained.barrier import Iterate
from thalweg.optim.constrained.kkt import Factor

if TYPE_CHECKING:
    from thalweg.optim.constrained.interior_point import InteriorPoint

__all__ = ["BARRIER_UPDATES", "Adaptive", "BarrierUpdate", "Monotone"]

KAPPA_EPS, KAPPA_MU, THETA_MU = 10.0, 0.2, 1.5
REFERENCES, PROGRESS = 4, 0.9999  # the error must fall below the largest of the last four
RESTART = 0.8  # of the mean complementarity, when the monotone update takes over
SMALLEST_SHARE, LARGEST_SHARE = 1e-6, 100.0


class BarrierUpdate(ABC):
    """Lowers `mu` of a method."""

    @abstractmethod
    def between(self, method: InteriorPoint, it: Iterate, error: float) -> None:
        """Before the iteration's matrix is factored."""

    def within(self, method: InteriorPoint, it: Iterate, factor: Factor) -> None:  # noqa: B027
        """When it is factored, before the step is taken."""


class Monotone(BarrierUpdate):
    """μ ← min(0.2μ, μ^1.5) whenever the barrier problem is solved to 10μ."""

    def between(self, method: InteriorPoint, it: Iterate, error: float) -> None:
        while method.barrier.error(it, method.mu) <= KAPPA_EPS * method.mu:
            if not lower(method):
                break
            method.new_filter()


class Adaptive(BarrierUpdate):
    """Mehrotra's μ for as long as the optimality conditions improve."""

    def __init__(self) -> None:
        self.free = True
        self.errors: deque[float] = deque(maxlen=REFERENCES)
        self.monotone = Monotone()

    def between(self, method: InteriorPoint, it: Iterate, error: float) -> None:
        improves = len(self.errors) < REFERENCES or error <= PROGRESS * max(self.errors)
        if improves:
            self.errors.append(error)
            self.free = True
        elif self.free:
            self.free = False
            method.mu = max(method.smallest_mu, RESTART * method.barrier.mean_product(it))
            method.new_filter()
        if not self.free:
            self.monotone.between(method, it, error)

    def within(self, method: InteriorPoint, it: Iterate, factor: Factor) -> None:
        if not self.free:
            return
        barrier = method.barrier
        mean = barrier.mean_product(it)
        step = method.direction(it, factor, 0.0)
        if mean == 0.0 or not (np.all(np.isfinite(step.w)) and np.all(np.isfinite(step.zl))):
            return
        primal, dual = barrier.longest(it, step, 1.0)
        below, above = barrier.gaps(it.w + primal * step.w)
        zl, zu = it.zl + dual * step.zl, it.zu + dual * step.zu
        left = barrier.mean_of(below, above, zl, zu) / mean
        share = float(np.clip(left**3, SMALLEST_SHARE, LARGEST_SHARE))
        method.mu = max(method.smallest_mu, share * mean)
        method.new_filter()


BARRIER_UPDATES: dict[str, type[BarrierUpdate]] = {"monotone": Monotone, "adaptive": Adaptive}


def lower(method: InteriorPoint) -> bool:
    """Equation (7); whether μ went down."""
    mu = max(method.smallest_mu, min(KAPPA_MU * method.mu, method.mu**THETA_MU))
    falls = mu < method.mu
    method.mu = mu
    return bool(falls)
