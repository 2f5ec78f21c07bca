"""The primal-dual interior-point method with a filter line search.

For a sequence μ → 0 (see `barrier_update`) it takes damped Newton steps on the optimality
conditions of the barrier problem (see `barrier`), each from one factorisation (see `kkt`). A
step must reduce either the violation or the barrier objective (see `filter`); a second-order
correction helps where curved constraints spoil a full step, and restoration (see `restoration`)
where no step is acceptable.

A. Wächter and L. T. Biegler, On the implementation of an interior-point filter line-search
algorithm for large-scale nonlinear programming, Mathematical Programming 106 (2006) 25-57: the
equation numbers and the names of constants below are theirs. Unlike their code this one never
relaxes bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from thalweg.optim.constrained.barrier import (
    Barrier,
    Iterate,
    Step,
    inside,
    least_squares_multipliers,
)
from thalweg.optim.constrained.barrier_update import BarrierUpdate, Monotone, lower
from thalweg.optim.constrained.certificate import with_own_multipliers
from thalweg.optim.constrained.filter import MARGIN_OBJECTIVE, MARGIN_VIOLATION, Filter
from thalweg.optim.constrained.kkt import Factor, KKTSystem, Regulariser
from thalweg.optim.constrained.program import Program, Values
from thalweg.optim.constrained.restoration import WEIGHT, Restoration
from thalweg.optim.layout import Vector

__all__ = ["ENOUGH", "InteriorPoint", "Outcome"]

EPS = float(np.finfo(np.float64).eps)
TAU_MIN = 0.995
DELTA, ETA_PHI, GAMMA_ALPHA = 1.0, 1e-8, 0.05
S_THETA, S_PHI = np.float64(1.1), np.float64(2.3)  # by which powers become infinite, not errors
CORRECTIONS, KAPPA_SOC, CEILING = 4, 0.99, 1e4
IDLE, ENOUGH = 15, 100.0  # iterations without progress; times the tolerance, then accepted
SHORT, SHORT_STEPS = 0.01, 4  # more such steps in a row far from feasible: restoration
CAUTIOUS = 2  # such steps in a row, after which the Hessian is made steeper
LARGE, OFTEN = 1e8, 5  # multipliers that lead nowhere; how often the point is asked for its own


class Outcome(Enum):
    """How the loop ended."""

    CONVERGED = "converged"
    STUCK = "stuck"
    INFEASIBLE = "infeasible"
    ENOUGH = "enough"


@dataclass(frozen=True)
class _Accepted:
    """A step the line search has accepted."""

    w: Vector
    values: Values
    dw: Vector
    dy: Vector
    alpha: float


class InteriorPoint:
    """The method on one program.

    Parameters
    ----------
    program : Program
    tol : float
        Of the scaled residual of the optimality conditions.
    watch : callable
        ``watch(iterate, error)`` at every iterate; may raise `Halt`.
    until : callable, optional
        Ends the loop when true of an iterate (used by the restoration).
    mu : float
        The first barrier parameter.
    update : BarrierUpdate, optional
        How it goes down.
    ceiling : float
        So many times the first violation, or one if that is less, no point may violate.
    """

    def __init__(
        self,
        program: Program,
        tol: float,
        watch: Callable[[Iterate, float], None],
        until: Callable[[Iterate], bool] | None = None,
        mu: float = 0.1,
        update: BarrierUpdate | None = None,
        ceiling: float = CEILING,
    ) -> None:
        self.program, self.tol, self.watch, self.until = program, tol, watch, until
        self.barrier = Barrier(program)
        self.regulariser = Regulariser()
        self.smallest_mu = 0.1 * tol
        self.mu, self.update, self.ceiling = mu, update or Monotone(), ceiling
        self.restorations, self.least_violation = 0, np.inf
        self.tiny_steps = 0
        self.short_steps = 0
        self.least_error, self.idle, self.asked = np.inf, 0, 0
        self.filter = Filter(np.inf)
        self.theta_small = 0.0

    # -- the loop ---------------------------------------------------------------------------
    def solve(
        self, w: Vector, z: tuple[Vector, Vector] | None = None, y: Vector | None = None
    ) -> tuple[Outcome, Iterate]:
        """Run from a point, which is pushed inside its bounds unless multipliers come with it."""
        it = self._first(w, z, y)
        self.theta_small = 1e-4 * max(1.0, it.theta)
        self.filter = Filter(self.ceiling * max(1.0, it.theta))
        while True:
            error = self.barrier.error(it, 0.0)
            if error <= self.tol:
                return Outcome.CONVERGED, it
            if self._multipliers_lead_nowhere(it):
                own, proved = self.certified(it, error)
                if proved <= self.tol:
                    return Outcome.CONVERGED, own
            self.watch(it, error)
            if self._at_rest(error):
                return Outcome.STUCK, it
            if self.until is not None and self.until(it):
                return Outcome.ENOUGH, it
            self.update.between(self, it, error)
            following = self._advance(it)
            if isinstance(following, Outcome):
                return following, it
            if self.program.m == 0 or following is not it:
                self.program.learn(it.w, following.w, following.y)
            it = following

    def _at_rest(self, error: float) -> bool:
        """Whether the error is small and has not got smaller for long: the rest is rounding."""
        if error < 0.9 * self.least_error:
            self.least_error, self.idle = error, 0
        else:
            self.idle += 1
        return self.idle >= IDLE and error <= ENOUGH * self.tol

    def _multipliers_lead_nowhere(self, it: Iterate) -> bool:
        """Whether the point holds all constraints and yet its multipliers grow and grow."""
        sizes = [float(np.max(np.abs(v), initial=0.0)) for v in (it.y, it.zl, it.zu)]
        if max(sizes) <= LARGE or it.theta > self.tol:
            return False
        self.asked += 1
        return self.asked % OFTEN == 1

    def certified(self, it: Iterate, error: float) -> tuple[Iterate, float]:
        """The point with multipliers of its own where these prove more, and the error."""
        own = with_own_multipliers(self.barrier, it, np.sqrt(self.tol))
        proved = np.inf if own is None else self.barrier.error(own, 0.0)
        return (it, error) if own is None or proved >= error else (own, proved)

    def _first(self, w: Vector, z: tuple[Vector, Vector] | None, y: Vector | None) -> Iterate:
        w = inside(self.program, w) if z is None else w
        if z is None:
            z = (self.barrier.has_lower * 1.0, self.barrier.has_upper * 1.0)
        slopes = self.program.derivatives(w)
        if y is None:
            y = least_squares_multipliers(slopes, *z)
        return Iterate(w, y, *z, self.program.values(w), slopes)

    def new_filter(self) -> None:
        """Forget the pairs of another μ."""
        self.filter = Filter(self.filter.ceiling)

    def _advance(self, it: Iterate) -> Iterate | Outcome:
        """One iteration: direction, line search, or what is done where they fail."""
        factor = self._factor(it)
        if factor is None:
            return self._restored(it)
        self.update.within(self, it, factor)
        step = self.direction(it, factor, self.mu)
        if not np.all(np.isfinite(step.w)) or not np.all(np.isfinite(step.y)):
            return self._restored(it)
        tau = max(TAU_MIN, 1.0 - self.mu)
        primal, dual = self.barrier.longest(it, step, tau)
        tiny = float(np.max(np.abs(step.w) / (1.0 + np.abs(it.w)), initial=0.0)) < 10 * EPS
        if tiny:
            return self._tiny(it, step, primal, dual)
        self.tiny_steps = 0
        accepted = self._search(it, step, factor, primal, tau)
        if accepted is None:
            softer = self._stepped(it, step.w, step.y, step, primal, min(primal, dual))
            if softer is not None and self.barrier.error(softer, self.mu) <= 0.99 * (
                self.barrier.error(it, self.mu)
            ):
                return softer
            return self._restored(it)
        self.short_steps = self.short_steps + 1 if accepted.alpha < SHORT * primal else 0
        self.regulariser.be_cautious(self.short_steps >= CAUTIOUS)
        if self.short_steps > SHORT_STEPS and it.theta > self.theta_small:
            self.short_steps = 0
            return self._restored(it)
        if accepted.dw is not step.w:
            dz = self.barrier.multiplier_steps(it, accepted.dw, self.mu)
            step = Step(accepted.dw, accepted.dy, *dz)
            dual = self.barrier.longest(it, step, tau)[1]
        following = self._stepped(it, accepted.dw, accepted.dy, step, accepted.alpha, dual)
        return self._restored(it) if following is None else following

    def _tiny(self, it: Iterate, step: Step, primal: float, dual: float) -> Iterate | Outcome:
        """Steps at rounding level are taken as they are, and μ goes down; twice is the end."""
        self.tiny_steps += 1
        following = self._stepped(it, step.w, step.y, step, primal, dual)
        if following is None or (self.tiny_steps > 2 and not lower(self)):
            return Outcome.STUCK
        lower(self)
        return following

    # -- directions -------------------------------------------------------------------------
    def _factor(self, it: Iterate) -> Factor | None:
        block, diagonal = self.program.hessian(it.w, it.y)
        sigma, k = self.barrier.curvature(it), self.program.dense
        if not np.all(np.isfinite(block)) or not np.all(np.isfinite(sigma)):
            return None
        block = np.array(block)
        np.einsum("ii->i", block)[:] += sigma[:k]
        system = KKTSystem(block, diagonal + sigma[k:], it.slopes.jacobian)
        return self.regulariser.factor(system, self.mu)

    def direction(self, it: Iterate, factor: Factor, mu: float) -> Step:
        """(11), (12): Newton on the optimality conditions of the barrier problem of μ."""
        gradient = self.barrier.phi_gradient(it.w, it.slopes.g, mu)
        dw, dy = factor.solve(-(gradient + it.slopes.jacobian.T @ it.y), -it.values.c)
        return Step(dw, dy, *self.barrier.multiplier_steps(it, dw, mu))

    def _stepped(
        self, it: Iterate, dw: Vector, dy: Vector, step: Step, primal: float, dual: float
    ) -> Iterate | None:
        """The next iterate; None if it is not finite."""
        w, values = self.program.trial(self._kept_inside(it.w + primal * dw))
        zl, zu = self.barrier.banded(w, it.zl + dual * step.zl, it.zu + dual * step.zu, self.mu)
        slopes = self.program.derivatives(w)
        if not (values.finite and slopes.finite):
            return None
        following = Iterate(w, it.y + primal * dy, zl, zu, values, slopes)
        far = following.theta > self.theta_small
        if far and np.max(np.abs(following.y), initial=0.0) > LARGE:  # no use for the Hessian
            return replace(following, y=least_squares_multipliers(slopes, zl, zu))
        return following

    def _kept_inside(self, w: Vector) -> Vector:
        """Strictly within the bounds, also after rounding."""
        lower, upper = self.program.lower, self.program.upper
        w = np.where(w <= lower, np.nextafter(lower, np.inf), w)
        return np.asarray(np.where(w >= upper, np.nextafter(upper, -np.inf), w))

    # -- line search --------------------------------------------------------------------------
    def _search(
        self, it: Iterate, step: Step, factor: Factor, longest: float, tau: float
    ) -> _Accepted | None:
        """Algorithm A, step A-5: backtrack until the filter and the decrease tests accept."""
        test = _Test(self, it, step.w)
        alpha = longest
        shortest = test.shortest()
        first = True
        while alpha >= shortest:
            w, values = self.program.trial(self._kept_inside(it.w + alpha * step.w))
            if values.finite:
                if test.passes(w, values, alpha):
                    return _Accepted(w, values, step.w, step.y, alpha)
                if first and self.program.m and test.theta_of(values) >= it.theta:
                    corrected = self._corrected(it, factor, alpha, values, test, tau)
                    if corrected is not None:
                        return corrected
            first = False
            alpha *= 0.5
        return None

    def _corrected(
        self,
        it: Iterate,
        factor: Factor,
        alpha: float,
        values: Values,
        test: _Test,
        tau: float,
    ) -> _Accepted | None:
        """Second-order corrections (26), (27): the same matrix, the curvature of c on the right."""
        gradient = self.barrier.phi_gradient(it.w, it.slopes.g, self.mu)
        right = -(gradient + it.slopes.jacobian.T @ it.y)
        c, last = it.values.c, it.theta
        for _ in range(CORRECTIONS):
            theta = test.theta_of(values)
            if theta > KAPPA_SOC * last and c is not it.values.c:
                return None
            last, c = theta, alpha * c + values.c
            dw, dy = factor.solve(right, -c)
            if not np.all(np.isfinite(dw)):
                return None
            none = np.zeros_like(it.zl)
            alpha = self.barrier.longest(it, Step(dw, dy, none, none), tau)[0]
            w, values = self.program.trial(self._kept_inside(it.w + alpha * dw))
            if not values.finite:
                return None
            if test.passes(w, values, test.alpha):
                return _Accepted(w, values, dw, dy, alpha)
        return None

    # -- restoration ----------------------------------------------------------------------------
    def _restored(self, it: Iterate) -> Iterate | Outcome:
        """Leave for a point that violates less and that the filter accepts."""
        self.restorations += 1
        nested = isinstance(self.program, Restoration)
        if self.program.m == 0 or nested or it.theta <= 1e-2 * self.tol or self.restorations > 20:
            return Outcome.STUCK
        self.filter.add(it.theta, self.barrier.phi(it.w, it.values.f, self.mu))
        mu = max(self.mu, float(np.max(np.abs(it.values.c))))
        program = Restoration(self.program, it.w, mu)
        inner = InteriorPoint(
            program,
            self.tol,
            lambda inner_it, error: self.watch(self._outer(inner_it, it), error),
            lambda inner_it: self._good_enough(inner_it, it),
            mu,
        )
        w = program.begin(it.w, it.values.c, mu)
        p_n = mu / np.maximum(w[it.w.size :], 1e-12)
        z = (
            np.concatenate([np.minimum(WEIGHT, it.zl), p_n]),
            np.concatenate([np.minimum(WEIGHT, it.zu), 0.0 * p_n]),
        )
        outcome, inner_it = inner.solve(w, z)
        found = self._outer(inner_it, it)
        at_minimum = outcome is Outcome.CONVERGED or inner.barrier.error(inner_it, 0.0) < 1e-5
        if outcome is not Outcome.ENOUGH and found.theta > max(1e-8, 0.5 * it.theta):
            self.watch(found, self.barrier.error(found, 0.0))
            return Outcome.INFEASIBLE if at_minimum else Outcome.STUCK
        if outcome is not Outcome.ENOUGH:
            if (
                at_minimum
                and 1e-8 < found.theta < np.inf
                and (found.theta > 0.99 * self.least_violation)
            ):
                self.watch(found, self.barrier.error(found, 0.0))
                return Outcome.INFEASIBLE
            self.least_violation = min(self.least_violation, found.theta)
            self.new_filter()
        return found

    def _good_enough(self, inner: Iterate, it: Iterate) -> bool:
        w = inner.w[: it.w.size]
        values = self.program.values(w)
        theta = float(np.sum(np.abs(values.c)))
        enough = 0.9 * 0.5 ** (self.restorations - 1)  # each time more, lest it come back here
        if not values.finite or theta > enough * it.theta:
            return False
        return self.filter.accepts(theta, self.barrier.phi(w, values.f, self.mu))

    def _outer(self, inner: Iterate, it: Iterate) -> Iterate:
        """The iterate of this program at a point of the restoration, with new multipliers."""
        w = inner.w[: it.w.size]
        below, above = self.barrier.gaps(w)
        zl, zu = self.barrier.banded(
            w,
            np.minimum(it.zl, 1e3 + self.mu / below),
            np.minimum(it.zu, 1e3 + self.mu / above),
            self.mu,
        )
        slopes = self.program.derivatives(w)
        y = least_squares_multipliers(slopes, zl, zu)
        return replace(it, w=w, y=y, zl=zl, zu=zu, values=self.program.values(w), slopes=slopes)


class _Test:
    """The acceptance tests of one line search (18)-(20)."""

    def __init__(self, method: InteriorPoint, it: Iterate, dw: Vector) -> None:
        self.method, self.it, self.mu = method, it, method.mu
        barrier = method.barrier
        self.phi = barrier.phi(it.w, it.values.f, self.mu)
        self.slope = float(barrier.phi_gradient(it.w, it.slopes.g, self.mu) @ dw)
        self.alpha = 1.0

    @staticmethod
    def theta_of(values: Values) -> float:
        return float(np.sum(np.abs(values.c)))

    def shortest(self) -> float:
        """(23): below this step length restoration takes over."""
        theta, slope = self.it.theta, self.slope
        least = MARGIN_VIOLATION
        if slope < 0:
            least = min(least, MARGIN_OBJECTIVE * theta / -slope)
            if theta <= self.method.theta_small:
                least = min(least, DELTA * theta**S_THETA / (-slope) ** S_PHI)
        return max(GAMMA_ALPHA * least, 1e-14)

    def passes(self, w: Vector, values: Values, alpha: float) -> bool:
        """Whether the trial is progress; enters the current point into the filter if due."""
        self.alpha = alpha
        theta, phi = self.theta_of(values), self.method.barrier.phi(w, values.f, self.mu)
        if not np.isfinite(phi):
            return False
        noise = 10 * EPS * abs(self.phi)
        if not self.method.filter.accepts(theta, phi - noise):
            return False
        it = self.it
        by_objective = self.slope < 0 and (
            alpha * (-self.slope) ** S_PHI > DELTA * it.theta**S_THETA
        )
        armijo = phi - self.phi - noise <= ETA_PHI * alpha * self.slope
        if by_objective and it.theta <= self.method.theta_small:
            return armijo
        enough = theta <= (1 - MARGIN_VIOLATION) * it.theta or (
            phi - noise <= self.phi - MARGIN_OBJECTIVE * it.theta
        )
        if enough and not (by_objective and armijo):
            self.method.filter.add(it.theta, self.phi)
        return enough
