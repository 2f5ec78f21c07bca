"""Conjugate gradient directions: d = -g + β·d_before, two vectors of memory.

==========================  =============================================  ==================
`FORMULAS` key              β (g new gradient, y its change, d before)     paper
==========================  =============================================  ==================
``fr`` Fletcher-Reeves      gᵀg / g₋ᵀg₋                                    Computer J. 7, 1964
``pr`` Polak-Ribière+       max(0, gᵀy / g₋ᵀg₋)                            Polak, Ribière 1969
``hs`` Hestenes-Stiefel     gᵀy / dᵀy                                      J. NBS 49, 1952
``dy`` Dai-Yuan             gᵀg / dᵀy                                      SIAM J. Opt. 10, 1999
``hz`` Hager-Zhang          (y - 2d·yᵀy/dᵀy)ᵀg / dᵀy, bounded below        SIAM J. Opt. 16, 2005
==========================  =============================================  ==================

For many parameters when L-BFGS's memory is too much; ``hz`` is the best all-round choice, ``pr``
restarts itself when progress stops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.optim.direction.base import Direction, Move
from thalweg.optim.layout import Vector
from thalweg.optim.problem import Mask

__all__ = ["FORMULAS", "ConjugateGradient"]


def _hager_zhang(m: Move) -> Any:
    dy = m.d @ m.y
    beta = (m.y - 2.0 * m.d * ((m.y @ m.y) / dy)) @ m.new / dy
    floor = -1.0 / (np.linalg.norm(m.d) * np.minimum(0.01, np.linalg.norm(m.old)))
    return np.maximum(beta, floor)


# NumPy's divisions: by zero they give infinity or NaN, which restarts the method.
FORMULAS: dict[str, Callable[[Move], Any]] = {
    "fr": lambda m: (m.new @ m.new) / (m.old @ m.old),
    "pr": lambda m: np.maximum(0.0, (m.new @ m.y) / (m.old @ m.old)),
    "hs": lambda m: (m.new @ m.y) / (m.d @ m.y),
    "dy": lambda m: (m.new @ m.new) / (m.d @ m.y),
    "hz": _hager_zhang,
}


class ConjugateGradient(Direction):
    """A conjugate gradient direction by one of the `FORMULAS`.

    Restarted with the steepest descent every n + 5 steps, when the set of free entries
    changes, and by the descent loop when a direction does not descend.
    """

    has_length = False

    def __init__(self, formula: str) -> None:
        self.formula = FORMULAS[formula]
        self.last: Move | None = None
        self.free: Mask | None = None
        self.steps = 0

    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        whole = bool(free.all())
        steepest = -gradient if whole else np.where(free, -gradient, 0.0)
        same = self.free is free or (self.free is not None and np.array_equal(self.free, free))
        self.free = free
        self.steps += 1
        if self.last is None or not same or self.steps > gradient.size + 5:
            self.steps = 0
            return steepest
        last = self.last if whole else Move(*(np.where(free, v, 0.0) for v in self.last))
        with np.errstate(all="ignore"):
            beta = float(self.formula(last))
        return steepest + beta * last.d if math.isfinite(beta) else steepest

    def learn(self, move: Move) -> None:
        self.last = move

    def reset(self) -> None:
        self.last = None
