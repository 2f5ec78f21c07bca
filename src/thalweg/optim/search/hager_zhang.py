"""The line search of Hager and Zhang: Wolfe conditions that survive rounding.

Near a minimum φ(a) - φ(0) drowns in rounding while slopes are still exact. The approximate Wolfe
conditions (2δ-1)φ'(0) ≥ φ'(a) ≥ σφ'(0) with φ(a) ≤ φ(0) + ε need slopes only.

W. W. Hager and H. Zhang, Algorithm 851: CG_DESCENT, ACM Transactions on Mathematical Software
32 (2006) 113-137; step names (B, U, S) are theirs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.optim.search.line import Trial

__all__ = ["hager_zhang"]

DELTA, SIGMA, EPSILON, THETA, GAMMA, RHO = 0.1, 0.9, 1e-12, 0.5, 0.66, 5.0


class _Accepted(Exception):
    def __init__(self, trial: Trial) -> None:
        self.trial = trial


class _Search:
    """φ with its tests; every evaluation that meets the conditions ends the search."""

    def __init__(self, phi: Callable[[float], Trial], start: Trial) -> None:
        self.phi, self.start = phi, start
        self.ceiling = start.value + EPSILON * abs(start.value)
        self.best: Trial | None = None
        self.left = 80

    def __call__(self, step: float) -> Trial:
        self.left -= 1
        trial = self.phi(step)
        if not trial.finite:
            return trial
        rise, slope0 = trial.value - self.start.value, self.start.slope
        wolfe = rise <= DELTA * step * slope0 and trial.slope >= SIGMA * slope0
        approximate = (
            2 * DELTA - 1
        ) * slope0 >= trial.slope >= SIGMA * slope0 and trial.value <= self.ceiling
        if wolfe or approximate:
            raise _Accepted(trial)
        if rise <= DELTA * 1e-3 * step * slope0 and (
            self.best is None or trial.value < self.best.value
        ):
            self.best = trial
        return trial

    def update(self, a: Trial, b: Trial, c: Trial) -> tuple[Trial, Trial]:
        """U0-U3: a smaller interval from [a, b] and a point within."""
        if not a.step < c.step < b.step:
            return a, b
        if c.slope >= 0:
            return a, c
        if c.value <= self.ceiling:
            return c, b
        return self.bisect(a, c)

    def bisect(self, a: Trial, b: Trial) -> tuple[Trial, Trial]:
        """U3: φ(a) low with negative slope, φ(b) high with negative slope, or not finite."""
        while self.left > 0 and b.step - a.step > 1e-16 * b.step:
            middle = self((1 - THETA) * a.step + THETA * b.step)
            if not np.isfinite(middle.value) or (middle.slope < 0 and middle.value > self.ceiling):
                b = middle
            elif middle.slope >= 0:
                return a, middle
            else:
                a = middle
        return a, b

    def bracket(self, step: float, longest: float) -> tuple[Trial, Trial]:
        """B0-B3: an interval with opposite slopes."""
        low, step = self.start, min(step, longest)
        while self.left > 0:
            trial = self(step)
            if trial.finite and trial.slope >= 0:
                return low, trial
            if not trial.finite or trial.value > self.ceiling:
                return self.bisect(self.start if trial.finite else low, trial)
            if step >= longest:
                self.best = trial
                break
            low, step = trial, min(RHO * step, longest)
        return low, low

    def secant_twice(self, a: Trial, b: Trial) -> tuple[Trial, Trial]:
        """S1-S4: two secant steps on the slopes."""
        c = _secant(a, b)
        first = self(c) if a.step < c < b.step else None
        if first is None or not first.finite:
            return a, b
        lower, upper = self.update(a, b, first)
        again = np.nan
        if first is upper:
            again = _secant(b, upper)
        elif first is lower:
            again = _secant(a, lower)
        if lower.step < again < upper.step:
            second = self(float(again))
            if second.finite:
                return self.update(lower, upper, second)
        return lower, upper


def _secant(a: Trial, b: Trial) -> float:
    fall = b.slope - a.slope
    return (a.step * b.slope - b.step * a.slope) / fall if fall else float("nan")


def hager_zhang(
    phi: Callable[[float], Trial], start: Trial, first: float, longest: float
) -> Trial | None:
    """Find a step that meets the Wolfe or the approximate Wolfe conditions.

    Parameters
    ----------
    phi, start, first, longest
        See `thalweg.optim.search.line`.
    """
    search = _Search(phi, start)
    try:
        a, b = search.bracket(first, longest)
        while search.left > 0 and b.step - a.step > 1e-15 * b.step:
            lower, upper = search.secant_twice(a, b)
            if upper.step - lower.step > GAMMA * (b.step - a.step):
                middle = search(0.5 * (lower.step + upper.step))
                if not middle.finite:
                    break
                lower, upper = search.update(lower, upper, middle)
            if (lower.step, upper.step) == (a.step, b.step):
                break
            a, b = lower, upper
    except _Accepted as found:
        return found.trial
    return search.best
