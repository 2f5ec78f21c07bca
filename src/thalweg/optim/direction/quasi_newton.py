"""Quasi-Newton directions: curvature learned from changes of the gradient.

Examples
--------
>>> import numpy as np
>>> from thalweg.optim.direction.base import Move
>>> bfgs, free = BFGS(), np.ones(2, dtype=bool)
>>> for s in np.eye(2):                      # two steps on f = x² + 2y² teach its Hessian
...     y = np.array([2.0, 4.0]) * s
...     bfgs.learn(Move(s, y, s, s, s))
>>> bfgs.propose(np.zeros(2), np.array([2.0, 4.0]), free)
array([-1., -1.])
"""

from __future__ import annotations

from collections import deque

import numpy as np

from thalweg.optim.direction.base import Direction, Move
from thalweg.optim.layout import Matrix, Vector
from thalweg.optim.problem import Mask

__all__ = ["BFGS", "LBFGS"]


ROWS_BYTES = 1 << 17
"""About the size of what is added to a matrix at once."""


def _curved(move: Move) -> bool:
    """Whether a step shows enough positive curvature to learn from."""
    product = float(move.s @ move.y)
    lengths = float(np.linalg.norm(move.s) * np.linalg.norm(move.y))
    return float(move.y @ move.y) > 0 and product > 1e-14 * lengths


class BFGS(Direction):
    """d = -H·∇f with the inverse Hessian approximated by the BFGS formula.

    H ← (I - ρsyᵀ)H(I - ρysᵀ) + ρssᵀ, ρ = 1/yᵀs, first scaled to (sᵀy/yᵀy)·I.
    Broyden, Fletcher, Goldfarb, Shanno (1970); Nocedal and Wright, section 6.1. For smooth
    functions of up to a thousand or so parameters: superlinear from gradients alone.
    """

    def __init__(self) -> None:
        self.inverse: Matrix | None = None

    @property
    def has_length(self) -> bool:
        return self.inverse is not None

    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        g = np.where(free, gradient, 0.0)
        if self.inverse is None:
            return -g
        d = -(self.inverse @ g)
        if free.all():
            return d
        held = ~free  # the Newton direction within the free entries: a Schur complement
        correction = np.linalg.solve(self.inverse[np.ix_(held, held)], d[held])
        d = d - self.inverse[:, held] @ correction
        return np.where(free, d, 0.0)

    def learn(self, move: Move) -> None:
        if not _curved(move):
            return
        s, y = move.s, move.y
        rho = 1.0 / float(s @ y)
        if self.inverse is None:
            self.inverse = np.eye(s.size) / (rho * float(y @ y))
        hy = self.inverse @ y
        v = rho * (0.5 * (1.0 + rho * float(y @ hy)) * s - hy)
        _add_symmetric(self.inverse, s, v)

    def reset(self) -> None:
        self.inverse = None


def _add_symmetric(matrix: Matrix, s: Vector, v: Vector) -> None:
    """Add svᵀ + vsᵀ in place, a few rows at a time, so that what is added stays in the cache."""
    step = max(1, ROWS_BYTES // (8 * s.size))
    for start in range(0, s.size, step):
        rows = slice(start, start + step)
        part = np.outer(s[rows], v)
        part += np.outer(v[rows], s)
        matrix[rows] += part


class LBFGS(Direction):
    """BFGS from the last `memory` steps only, by the two-loop recursion: O(memory·n) a step.

    J. Nocedal, Mathematics of Computation 35 (1980) 773-782. For many parameters.
    """

    def __init__(self, memory: int = 20) -> None:
        self.pairs: deque[tuple[Vector, Vector]] = deque(maxlen=memory)

    @property
    def has_length(self) -> bool:
        return bool(self.pairs)

    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        pairs = list(self.pairs)
        q = np.where(free, -gradient, 0.0)
        if not free.all():  # curvature within the free entries
            pairs = [(np.where(free, s, 0.0), np.where(free, y, 0.0)) for s, y in pairs]
            pairs = [(s, y) for s, y in pairs if s @ y > 1e-14 * np.sqrt((s @ s) * (y @ y))]
        weights = []
        for s, y in reversed(pairs):
            product = float(s @ y)
            a = float(s @ q) / product
            q -= a * y
            weights.append((product, a))
        if pairs:
            y = pairs[-1][1]
            q *= weights[0][0] / float(y @ y)
        for (s, y), (product, a) in zip(pairs, reversed(weights), strict=True):
            q += (a - float(y @ q) / product) * s
        return np.where(free, q, 0.0)

    def learn(self, move: Move) -> None:
        if _curved(move):
            self.pairs.append((move.s, move.y))

    def reset(self) -> None:
        self.pairs.clear()
