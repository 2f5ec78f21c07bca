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

import numpy as np

from thalweg.optim.direction.base import Direction, Move
from thalweg.optim.layout import Matrix, Vector
from thalweg.optim.problem import Mask

__all__ = ["BFGS", "LBFGS"]


FLAT = 1e-14
"""Curvature below so many lengths of step and change is rounding."""

ROWS_BYTES = 1 << 17
"""About the size of what is added to a matrix at once."""


def _curved(move: Move) -> bool:
    """Whether a step shows enough positive curvature to learn from."""
    product = float(move.s @ move.y)
    lengths = float(np.linalg.norm(move.s) * np.linalg.norm(move.y))
    return float(move.y @ move.y) > 0 and product > FLAT * lengths


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
    """BFGS from the last `memory` steps only: O(memory·n) a step. For many parameters.

    With the steps as the rows of S, the changes of the gradient as those of Y, R the upper
    triangle of SYᵀ, D its diagonal and γ = sᵀy/yᵀy of the last step, the inverse Hessian is

    H = γI + [Sᵀ γYᵀ] [[R⁻ᵀ(D + γYYᵀ)R⁻¹, -R⁻ᵀ], [-R⁻¹, 0]] [S; γY],

    which is the two-loop recursion in a few products with matrices.

    J. Nocedal, Mathematics of Computation 35 (1980) 773-782. R. H. Byrd, J. Nocedal and
    R. B. Schnabel, Mathematical Programming 63 (1994) 129-156.
    """

    def __init__(self, memory: int = 20) -> None:
        self.memory, self.count = memory, 0
        self.S = self.Y = np.zeros((0, 0))  # twice as long as the memory, which moves along them
        self.end = 0
        self.upper, self.squares = np.zeros((memory, memory)), np.zeros((memory, memory))

    @property
    def has_length(self) -> bool:
        return self.count > 0

    @property
    def pairs(self) -> list[tuple[Vector, Vector]]:
        """Steps and changes of the gradient, the oldest first."""
        return list(zip(*self._window(), strict=True))

    def _window(self) -> tuple[Matrix, Matrix]:
        rows = slice(self.end - self.count, self.end)
        return self.S[rows], self.Y[rows]

    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        g = np.where(free, gradient, 0.0)
        if not self.count:
            return -g
        S, Y = self._window()
        upper, squares = (a[: self.count, : self.count] for a in (self.upper, self.squares))
        if not free.all():  # curvature within the free entries
            S, Y = np.where(free, S, 0.0), np.where(free, Y, 0.0)
            lengths = np.sqrt(np.sum(S * S, axis=1) * np.sum(Y * Y, axis=1))
            curved = np.sum(S * Y, axis=1) > FLAT * lengths
            S, Y = S[curved], Y[curved]
            upper, squares = np.triu(S @ Y.T), Y @ Y.T
        return -_product(S, Y, upper, squares, g) if len(S) else -g

    def learn(self, move: Move) -> None:
        if not _curved(move):
            return
        if self.S.shape[1] != move.s.size:
            self.S, self.Y = (np.zeros((2 * self.memory, move.s.size)) for _ in range(2))
        if self.count == self.memory:
            for a in (self.upper, self.squares):
                a[:-1, :-1] = a[1:, 1:]
            self.count -= 1
        if self.end == len(self.S):
            for a in (self.S, self.Y):
                a[: self.count] = a[self.end - self.count : self.end].copy()
            self.end = self.count
        self.S[self.end], self.Y[self.end] = move.s, move.y
        self.end, self.count = self.end + 1, self.count + 1
        S, Y = self._window()
        k = self.count
        self.upper[:k, k - 1] = S @ move.y
        self.squares[:k, k - 1] = self.squares[k - 1, :k] = Y @ move.y

    def reset(self) -> None:
        self.count = self.end = 0


def _product(S: Matrix, Y: Matrix, upper: Matrix, squares: Matrix, g: Vector) -> Vector:
    """H·g by the compact formula; `upper` is R, `squares` is YYᵀ."""
    from scipy.linalg.lapack import dtrtrs

    gamma = float(upper[-1, -1] / squares[-1, -1])
    p = dtrtrs(upper, S @ g)[0]
    inner = upper.diagonal() * p + gamma * (squares @ p - Y @ g)
    q = dtrtrs(upper, inner, trans=1)[0]
    found: Vector = gamma * g
    found += q @ S
    found -= (gamma * p) @ Y
    return found
