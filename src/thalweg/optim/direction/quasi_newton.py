"""Quasi-Newton directions: curvature learned from changes of the gradient.

Examples
--------
>>> import numpy as np
>>> from thalweg.optim.direction.base import Move
>>> bfgs, free = BFGS(), np.ones(2, dtype=bool)
>>> for s in np.eye(2):                      # two steps on f = x² + 2y² teach its Hessian
...     y = np.array([2.0, 4.0]) * s
...     bfgs.learn(Move(s, y, 0 * y, y, s))
>>> bfgs.propose(np.zeros(2), np.array([2.0, 4.0]), free)
array([-1., -1.])
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.errors import OptionError
from thalweg.optim.direction.base import Direction, Move
from thalweg.optim.layout import Matrix, Vector
from thalweg.optim.problem import Mask

__all__ = ["BFGS", "LBFGS"]


FLAT = 1e-14
"""Curvature below so many lengths of step and change is rounding."""

ROWS_BYTES = 1 << 17
"""About the size of what is added to a matrix at once."""


def _curved(s: Vector, y: Vector) -> bool:
    """Whether a step shows enough positive curvature to learn from."""
    square = float(y.dot(y))
    return square > 0 and float(s.dot(y)) > FLAT * math.sqrt(s.dot(s)) * math.sqrt(square)


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
        whole = free.all()
        g = gradient if whole else np.where(free, gradient, 0.0)
        if self.inverse is None:
            return -g
        d: Vector = -(self.inverse @ g)
        if whole:
            return d
        held = ~free  # the Newton direction within the free entries: a Schur complement
        correction = np.linalg.solve(self.inverse[np.ix_(held, held)], d[held])
        d = d - self.inverse[:, held] @ correction
        return np.where(free, d, 0.0)

    def learn(self, move: Move) -> None:
        s, y = move.s, move.y
        if not _curved(s, y):
            return
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
        part = s[rows, None] * v
        part += v[rows, None] * s
        matrix[rows] += part


class LBFGS(Direction):
    """BFGS from the last `memory` steps only: O(memory·n) a step. For many parameters.

    With the steps as the rows of S, the changes of the gradient as those of Y, U the inverse of
    the upper triangle of SYᵀ, D its diagonal and γ = sᵀy/yᵀy of the last step, the inverse
    Hessian is

    H = γI + [Sᵀ γYᵀ] [[Uᵀ(D + γYYᵀ)U, -Uᵀ], [-U, 0]] [S; γY],

    which is the two-loop recursion in a few products with matrices. A new step adds a column to
    U, and the oldest one leaves with its row and column; so the pairs need not lie in order, and
    each new one takes the place of the oldest.

    The products [S; Y]·g of the new gradient serve twice: less those of the old one they are the
    products with y. What this rounds off is no more than what y has lost itself.

    J. Nocedal, Mathematics of Computation 35 (1980) 773-782. R. H. Byrd, J. Nocedal and
    R. B. Schnabel, Mathematical Programming 63 (1994) 129-156.
    """

    def __init__(self, memory: Any = 20) -> None:
        number = isinstance(memory, int | float | np.integer) and not isinstance(memory, bool)
        if not number or memory % 1 or memory < 1:
            raise OptionError("memory={memory!r} is no number of steps from 1.", memory=memory)
        self.memory = memory = int(memory)
        self.count = 0
        self.rows = np.zeros((2 * memory, 0))  # S, and Y below
        self.inverse, self.squares = np.zeros((memory, memory)), np.zeros((memory, memory))
        self.inner = np.zeros((memory, memory))  # D + γYYᵀ
        self.diagonal, self.gamma = np.zeros(memory), 1.0
        self.known: tuple[Vector | None, Vector] = (None, np.zeros(2 * memory))  # g, [S; Y]·g
        self.whole: Mask | None = None  # which was all True

    @property
    def has_length(self) -> bool:
        return self.count > 0

    @property
    def pairs(self) -> list[tuple[Vector, Vector]]:
        """Steps and changes of the gradient, the oldest first."""
        return [(self.rows[k], self.rows[self.memory + k]) for k in self._places()]

    def _places(self) -> list[int]:
        """Where the pairs lie, the oldest first."""
        return [k % self.memory for k in range(max(0, self.count - self.memory), self.count)]

    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        if free is self.whole or free.all():
            self.whole = free
            if not self.count:
                return -gradient
            products = self._products(gradient)
            return _newton(self.rows, self.inverse, self.inner, self.gamma, gradient, products)
        g, pairs = np.where(free, gradient, 0.0), np.array(self.pairs)
        if self.count:  # curvature within the free entries
            pairs = np.where(free, pairs, 0.0)
            pairs = pairs[[_curved(s, y) for s, y in pairs]]
        if not len(pairs):
            return -g
        S, Y = pairs[:, 0], pairs[:, 1]
        upper, squares = np.triu(S @ Y.T), Y @ Y.T
        gamma = float(upper[-1, -1] / squares[-1, -1])
        inner = gamma * squares + np.diag(upper.diagonal())
        rows = np.concatenate([S, Y])
        return _newton(rows, np.linalg.inv(upper), inner, gamma, g, rows.dot(g))

    def learn(self, move: Move) -> None:
        if not _curved(move.s, move.y):
            return
        m, k = self.memory, self.count % self.memory
        if self.rows.shape[1] != move.y.size:
            self.rows = np.zeros((2 * m, move.y.size))
        before = self._products(move.old)
        self.rows[k], self.rows[m + k] = move.s, move.y
        products = self._products(move.new) - before
        products[k], products[m + k] = move.s.dot(move.y), move.y.dot(move.y)
        self.squares[k] = self.squares[:, k] = products[m:]
        curvature, square = float(products[k]), float(products[m + k])
        products[k], self.inverse[k] = 0.0, 0.0  # the pair that was here has left
        self.inverse[:, k] = self.inverse.dot(products[:m]) / -curvature
        self.inverse[k, k] = 1.0 / curvature
        self.diagonal[k], self.gamma = curvature, curvature / square
        self.inner = self.gamma * self.squares
        self.inner.ravel()[:: m + 1] += self.diagonal
        self.count += 1

    def _products(self, gradient: Vector) -> Vector:
        """[S; Y]·g; of the gradient that was asked for last without further work."""
        if self.known[0] is not gradient:
            self.known = gradient, self.rows.dot(gradient)
        return self.known[1]

    def reset(self) -> None:
        self.count, self.known = 0, (None, self.known[1])
        for a in (self.rows, self.inverse, self.squares, self.diagonal):
            a[...] = 0.0


def _newton(
    rows: Matrix, inverse: Matrix, inner: Matrix, gamma: float, gradient: Vector, products: Vector
) -> Vector:
    """-H·g by the compact formula; `rows` are [S; Y], `inverse` is U, `inner` D + γYYᵀ.

    By `dot` and not by @, which takes longer to begin than to compute.
    """
    count = len(inverse)
    p = inverse.dot(products[:count])
    factors = np.empty(2 * count)
    factors[:count] = (gamma * products[count:] - inner.dot(p)).dot(inverse)
    factors[count:] = gamma * p
    d: Vector = factors.dot(rows)
    d -= gamma * gradient
    return d
