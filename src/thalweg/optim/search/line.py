"""Line searches: a step length along a direction of descent.

Each is a function ``search(phi, start, first, longest) -> Trial | None``. ``phi(a)`` evaluates
the objective at step a and returns a `Trial`; `start` is the trial at a = 0; `first` the step to
try first, `longest` the longest allowed. None means that no acceptable step was found.

======================  ======================================================================
`armijo`                sufficient decrease only, by backtracking with interpolation: cheap,
                        for Newton-like directions whose natural step is one
`wolfe` (module)        strong Wolfe conditions, Moré-Thuente: for quasi-Newton methods
`hager_zhang` (module)  approximate Wolfe conditions, exact to rounding: for conjugate gradients
======================  ======================================================================

Examples
--------
>>> import numpy as np
>>> def phi(a):
...     return Trial(a, (a - 1.0) ** 2, 2.0 * (a - 1.0), np.array([a]), np.array([2.0 * (a - 1.0)]))
>>> armijo(phi, phi(0.0), 4.0, np.inf).step
1.0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thalweg.optim.layout import Vector

__all__ = ["LineSearch", "Trial", "armijo"]

DECREASE = 1e-4


class Trial(NamedTuple):
    """The objective at one step length.

    Attributes
    ----------
    step : float
    value : float
        φ(a) = f(x + a·d).
    slope : float
        φ'(a) = ∇f(x + a·d)ᵀd.
    x, gradient : vector
    """

    step: float
    value: float
    slope: float
    x: Vector
    gradient: Vector

    @property
    def finite(self) -> bool:
        """Whether value and slope are numbers; the slope is one only if all of ∇f is (0·inf is
        none).
        """
        return math.isfinite(self.value) and math.isfinite(self.slope)


LineSearch = Callable[[Callable[[float], Trial], Trial, float, float], Trial | None]


def armijo(
    phi: Callable[[float], Trial], start: Trial, first: float, longest: float
) -> Trial | None:
    """Backtrack until φ(a) ≤ φ(0) + c·a·φ'(0), c = 10⁻⁴.

    Notes
    -----
    The next step minimises the parabola through φ(0), φ'(0) and φ(a), held within
    [0.1a, 0.5a] (Nocedal and Wright, Numerical Optimization, 2006, section 3.5); where φ(a) is
    not finite the step is divided by ten.
    """
    step = min(first, longest)
    for _ in range(60):
        trial = phi(step)
        if trial.finite and trial.value <= start.value + DECREASE * step * start.slope:
            return trial
        if not np.isfinite(trial.value):
            step *= 0.1
            continue
        rise = trial.value - start.value - step * start.slope
        parabola = -0.5 * start.slope * step**2 / rise if rise > 0 else 0.5 * step
        step = min(max(parabola, 0.1 * step), 0.5 * step)
        if step * np.max(np.abs(start.gradient)) == 0.0:
            return None
    return None
