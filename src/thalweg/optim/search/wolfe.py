"""The line search of Moré and Thuente, for the strong Wolfe conditions.

φ(a) ≤ φ(0) + c₁·a·φ'(0)  and  |φ'(a)| ≤ c₂·|φ'(0)|,  c₁ = 10⁻⁴, with c₂ = 0.9 for quasi-Newton
methods (`strong_wolfe`) and c₂ = 0.1 for conjugate gradients (`near_exact`).

J. J. Moré and D. J. Thuente, Line search algorithms with guaranteed sufficient decrease, ACM
Transactions on Mathematical Software 20 (1994) 286-307; section and case numbers below are
theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thalweg.optim.search.line import Trial

__all__ = ["near_exact", "strong_wolfe"]

C1 = 1e-4


class _End(NamedTuple):
    """One end of the interval: step, value and slope of φ or of the auxiliary function."""

    a: float
    f: float
    g: float


def strong_wolfe(
    phi: Callable[[float], Trial], start: Trial, first: float, longest: float, c2: float = 0.9
) -> Trial | None:
    """Find a step that meets the strong Wolfe conditions.

    Parameters
    ----------
    phi, start, first, longest
        See `thalweg.optim.search.line`.

    Returns
    -------
    Trial or None
        Also a step at the longest allowed that decreases enough while φ still falls, and, when
        the interval has shrunk to rounding, the best step with sufficient decrease.
    """
    best_end = other = _End(0.0, start.value, start.slope)
    bracketed, stage_one = False, True
    width, last_width = longest, 2 * longest
    step, accepted = min(first, longest), None
    for _ in range(60):
        low, high = _limits(best_end, other, bracketed, step)
        trial = phi(step)
        if not trial.finite:
            longest = step = _retreat(best_end, step)
            if step <= best_end.a:
                break
            continue
        bound = start.value + C1 * trial.step * start.slope
        if trial.value <= bound and (accepted is None or trial.value < accepted.value):
            accepted = trial
        if trial.value <= bound and abs(trial.slope) <= -c2 * start.slope:
            return trial
        if step >= longest and trial.value <= bound and trial.slope <= C1 * start.slope:
            return trial
        if stage_one and trial.value <= bound and trial.slope >= 0:
            stage_one = False
        shift = C1 * start.slope if stage_one and trial.value > bound else 0.0
        here = _End(*np.array([step, trial.value, trial.slope]))  # divides by zero in peace
        ends, bracketed, step = _next_step(
            [_lowered(e, shift) for e in (best_end, other, here)], bracketed, low, high
        )
        best_end, other = (_lowered(e, -shift) for e in ends)
        if bracketed:
            if abs(other.a - best_end.a) >= 0.66 * last_width:
                step = best_end.a + 0.5 * (other.a - best_end.a)
            last_width, width = width, abs(other.a - best_end.a)
            if width <= 1e-15 * max(abs(best_end.a), abs(other.a)):
                break
        if not np.isfinite(step):
            step = 0.5 * (best_end.a + other.a) if bracketed else high
        step = min(max(float(step), 0.0), longest)
        if step == best_end.a:
            break
    return accepted


def near_exact(
    phi: Callable[[float], Trial], start: Trial, first: float, longest: float
) -> Trial | None:
    """The same with c₂ = 0.1: close to the minimum along the line, as conjugacy wants it."""
    return strong_wolfe(phi, start, first, longest, 0.1)


def _lowered(end: _End, shift: float) -> _End:
    """From φ to ψ(a) = φ(a) - c₁·a·φ'(0) (section 3), or back."""
    return _End(end.a, end.f - shift * end.a, end.g - shift)


def _retreat(best_end: _End, step: float) -> float:
    """Half way back from a step where φ is not finite."""
    back = best_end.a + 0.25 * (step - best_end.a)
    return back if back > best_end.a * (1 + 1e-15) else best_end.a


def _limits(best_end: _End, other: _End, bracketed: bool, step: float) -> tuple[float, float]:
    if bracketed:
        return min(best_end.a, other.a), max(best_end.a, other.a)
    return best_end.a, step + 4.0 * (step - best_end.a)


def _next_step(
    ends: list[_End], bracketed: bool, low: float, high: float
) -> tuple[tuple[_End, _End], bool, float]:
    """The trial value selection of section 4 and the interval update of section 2."""
    x, y, t = ends
    if t.f > x.f:  # case 1: higher value, the minimum is bracketed
        cubic, quadratic = _cubic(x, t), x.a + _secant_ratio(x, t) * (t.a - x.a)
        near = abs(cubic - x.a) < abs(quadratic - x.a)
        step = cubic if near else cubic + 0.5 * (quadratic - cubic)
        return (x, t), True, step
    if t.g * x.g < 0:  # case 2: lower value, slopes of opposite sign
        cubic, secant = _cubic(t, x), t.a + t.g / (t.g - x.g) * (x.a - t.a)
        step = cubic if abs(cubic - t.a) > abs(secant - t.a) else secant
        return (t, x), True, step
    if abs(t.g) < abs(x.g):  # case 3: lower value, slope of the same sign that flattens
        step = _flattening(x, y, t, bracketed, low, high)
    elif bracketed:  # case 4: lower value, slope of the same sign that does not flatten
        step = _cubic(t, y)
    else:
        step = high if t.a > x.a else low
    return (t, y), bracketed, step


def _flattening(x: _End, y: _End, t: _End, bracketed: bool, low: float, high: float) -> float:
    secant = t.a + t.g / (t.g - x.g) * (x.a - t.a)
    cubic = _cubic(t, x, beyond=high if t.a > x.a else low)
    if bracketed:
        step = cubic if abs(t.a - cubic) < abs(t.a - secant) else secant
        edge = t.a + 0.66 * (y.a - t.a)
        return min(edge, step) if t.a > x.a else max(edge, step)
    step = cubic if abs(t.a - cubic) > abs(t.a - secant) else secant
    return min(max(step, low), high)


def _secant_ratio(x: _End, t: _End) -> float:
    return 0.5 * x.g / ((x.f - t.f) / (t.a - x.a) + x.g)


def _cubic(p: _End, q: _End, beyond: float | None = None) -> float:
    """The minimiser of the cubic through two values and slopes, from p towards q."""
    theta = 3.0 * (p.f - q.f) / (q.a - p.a) + p.g + q.g
    size = max(abs(theta), abs(p.g), abs(q.g))
    if size == 0.0:
        return 0.5 * (p.a + q.a)
    inner = (theta / size) ** 2 - (p.g / size) * (q.g / size)
    gamma = size * float(np.sqrt(max(0.0, inner)))
    if q.a < p.a:
        gamma = -gamma
    ratio = (gamma - p.g + theta) / ((gamma - p.g) + gamma + q.g or np.inf)
    if beyond is not None and (ratio >= 0 or gamma == 0):
        return beyond
    return p.a + ratio * (q.a - p.a)
