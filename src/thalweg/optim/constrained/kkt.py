"""The linear systems of the interior-point method: symmetric, indefinite, of known inertia.

[ H + Σ + δw   Jᵀ  ] [dw]     [a]
[ J           -δc  ] [dy]  =  [b]

Slacks are eliminated, and where constraints are many, those that are far from active with them
(each leaves a term JᵢᵀJᵢ/wᵢ in the block of the variables, wᵢ = s/z of its slack); the rest is
factored as LDLᵀ with Bunch-Kaufman pivoting (LAPACK dsytrf) after a symmetric scaling. At a
descent direction the matrix has exactly as many positive eigenvalues as variables and as many
negative ones as constraints. If not, δw is raised until it has; δc > 0 makes it regular where
constraints depend on each other. (Wächter and Biegler,
Mathematical Programming 106 (2006) 25-57, section 3.1, Algorithm IC.)

Examples
--------
>>> import numpy as np
>>> system = KKTSystem(np.diag([2.0, -1.0]), np.zeros(0), np.array([[0.0, 1.0]]))
>>> solver = Regulariser()
>>> dw, dy = solver.factor(system, mu=0.1).solve(np.array([2.0, 0.0]), np.array([1.0]))
>>> dw, dy
(array([1., 1.]), array([1.]))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from thalweg.optim.layout import Matrix, Vector

__all__ = ["Factor", "KKTSystem", "Regulariser"]

FIRST, SMALLEST, LARGEST = 1e-4, 1e-20, 1e40
DENSE = 50  # constraints up to which neither sparse matrices nor eliminated rows save time
STEEP = 1e4  # rows that would add more than so many times the block's largest entry are kept
SLACK, OFTEN = 1e-8, 3
GROW_FIRST, GROW, SHRINK = 100.0, 8.0, 1.0 / 3.0
CAUTION = 10.0


@dataclass(frozen=True)
class KKTSystem:
    """The parts of the matrix.

    Attributes
    ----------
    block : matrix
        H + Σ of the dense variables.
    diagonal : vector
        H + Σ of the others.
    jacobian : matrix
        Of all variables.
    """

    block: Matrix
    diagonal: Vector
    jacobian: Matrix

    @cached_property
    def rest(self) -> Any:
        """The columns of the Jacobian that belong to the other variables: sparse where large."""
        rest = self.jacobian[:, self.block.shape[0] :]
        if rest.shape[0] <= DENSE:
            return rest
        from scipy.sparse import csr_array

        return csr_array(rest)

    @cached_property
    def squares(self) -> tuple[Any, bool]:
        """The entries of `rest`, squared, and whether no column has two of them."""
        if isinstance(self.rest, np.ndarray):
            return self.rest**2, False
        lone = np.bincount(self.rest.indices, minlength=1).max(initial=0) <= 1
        return self.rest.power(2), bool(lone)

    def times(self, dw: Vector, dy: Vector, shift: float, slack: float) -> tuple[Vector, Vector]:
        """The matrix times a vector."""
        k = self.block.shape[0]
        top = np.concatenate([self.block @ dw[:k], self.diagonal * dw[k:]])
        return top + shift * dw + self.jacobian.T @ dy, self.jacobian @ dw - slack * dy


class Factor:
    """LDLᵀ of a regularised system; LLᵀ where no constraints are left.

    Attributes
    ----------
    positive, negative, zero : int
        The inertia of the system without its diagonal part.
    """

    def __init__(self, system: KKTSystem, shift: float, slack: float) -> None:
        self.system, self.shift, self.slack = system, shift, slack
        k = system.block.shape[0]
        self.dense, self.rest = system.jacobian[:, :k], system.rest
        self.weights = 1.0 / (system.diagonal + shift)
        block = system.block.copy()
        np.einsum("ii->i", block)[:] += shift
        squares, lone = system.squares
        self.bend = squares @ self.weights + slack if lone else np.zeros(len(self.dense))
        self.gone = self._far_from_active(block)
        self.kept = np.flatnonzero(~self.gone)
        if self.gone.any():
            self.far = self.dense[self.gone]
            self.scaled = self.far / self.bend[self.gone, None]
            block += self.far.T @ self.scaled
        if self.kept.size:
            self._factor_indefinite(self._matrix(block))
        else:
            self._factor_definite(block)
        self.negative += int(self.gone.sum())

    def _far_from_active(self, block: Matrix) -> Any:
        """The rows that are eliminated: each has slacks of its own, and adds little."""
        size = float(np.max(np.abs(np.diag(block)), initial=0.0))
        steepest = np.max(self.dense**2, axis=1, initial=0.0)
        return (self.bend > 0.0) & (steepest <= STEEP * size * self.bend)

    def _matrix(self, block: Matrix) -> Matrix:
        k, m = block.shape[0], self.kept.size
        matrix = np.zeros((k + m, k + m))
        matrix[:k, :k] = block
        matrix[k:, :k] = self.dense[self.kept]
        matrix[:k, k:] = matrix[k:, :k].T
        rest = self.rest[self.kept]
        squares = (rest * self.weights[None, :]) @ rest.T
        matrix[k:, k:] = -(squares if isinstance(squares, np.ndarray) else squares.toarray())
        np.einsum("ii->i", matrix)[k:] -= self.slack
        return matrix

    def _factor_indefinite(self, matrix: Matrix) -> None:
        from thalweg.optim.lapack import lapack

        self.scale = _equilibrate(matrix)
        matrix *= self.scale
        matrix *= self.scale[:, None]
        # Symmetric, so its transpose, which LAPACK can overwrite, is the same matrix.
        self.factors, self.pivots, info = lapack.dsytrf(
            matrix.T, lower=1, lwork=64 * matrix.shape[0], overwrite_a=1
        )
        self.positive, self.negative, self.zero = _inertia(self.factors, self.pivots)
        if info < 0 or not np.all(np.isfinite(self.factors)):
            self.zero += 1

    def _factor_definite(self, matrix: Matrix) -> None:
        from thalweg.optim.lapack import lapack

        n = matrix.shape[0]
        self.factors, failed = lapack.dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
        bad = failed != 0 or not np.all(np.isfinite(np.diag(self.factors)))
        self.positive, self.negative, self.zero = (n - 1, 1, 0) if bad else (n, 0, 0)

    def solve(self, a: Vector, b: Vector) -> tuple[Vector, Vector]:
        """Solve, with iterative refinement on the whole system."""
        dw, dy = self._once(a, b)
        size = max(float(np.max(np.abs(a), initial=0.0)), float(np.max(np.abs(b), initial=0.0)))
        for _ in range(4):
            top, bottom = self.system.times(dw, dy, self.shift, self.slack)
            ra, rb = a - top, b - bottom
            error = max(float(np.max(np.abs(ra), initial=0)), float(np.max(np.abs(rb), initial=0)))
            if not np.isfinite(error) or error <= 1e-15 * size:
                break
            cw, cy = self._once(ra, rb)
            dw, dy = dw + cw, dy + cy
        return dw, dy

    def _once(self, a: Vector, b: Vector) -> tuple[Vector, Vector]:
        k, gone, kept = self.dense.shape[1], self.gone, self.kept
        top = a[:k]
        if b.size:
            b = b - self.rest @ (self.weights * a[k:])
        if gone.any():
            top = top + self.scaled.T @ b[gone]
        found = self._solved(np.concatenate([top, b[kept]]))
        dx, dy = found[:k], np.empty(b.size)
        dy[kept] = found[k:]
        if gone.any():
            dy[gone] = self.scaled @ dx - b[gone] / self.bend[gone]
        return np.concatenate([dx, self.weights * (a[k:] - self.rest.T @ dy)]), dy

    def _solved(self, right: Vector) -> Vector:
        """By the factors of what was left."""
        from thalweg.optim.lapack import lapack

        if not self.kept.size:
            return np.asarray(lapack.dpotrs(self.factors, right[:, None], lower=1)[0][:, 0])
        right = (right * self.scale)[:, None]
        found, _ = lapack.dsytrs(self.factors, self.pivots, right, lower=1)
        return np.asarray(found[:, 0] * self.scale)


def _equilibrate(matrix: Matrix) -> Vector:
    """Powers of two that bring the largest entry of every row near one."""
    size, scale = np.abs(matrix), np.ones(matrix.shape[0])
    for _ in range(3):
        largest = np.max(size * scale, axis=1, initial=0.0) * scale
        scale = scale / np.sqrt(np.where(largest > 0, largest, 1.0))
    exponents = np.round(np.log2(np.clip(scale, 1e-150, 1e150)))
    return np.asarray(np.exp2(exponents))


def _inertia(factors: Matrix, pivots: Vector) -> tuple[int, int, int]:
    """Signs of the eigenvalues of D; its 2x2 blocks have one of each."""
    positive = negative = zero = 0
    tiny = 1e-15 * factors.shape[0]
    k = 0
    while k < factors.shape[0]:
        if pivots[k] < 0:
            positive, negative, k = positive + 1, negative + 1, k + 2
            continue
        value = factors[k, k]
        positive += value > tiny
        negative += value < -tiny
        zero += not abs(value) > tiny
        k += 1
    return int(positive), int(negative), int(zero)


class Regulariser:
    """Algorithm IC: remembers the last δw that was needed, and how often δc was.

    Rounding can hide that constraints depend on each other; where it has been seen often, δc is
    there from the first try. Where steps are cut short again and again, because they run far
    along directions in which the Lagrangian is flat and constraints are not, a δw shortens them.
    """

    def __init__(self) -> None:
        self.last, self.dependent, self.least = 0.0, 0, 0.0

    def be_cautious(self, needed: bool) -> None:
        """Raise the least δw, or lower it again."""
        if needed:
            self.least = max(FIRST, CAUTION * self.least)
        else:
            self.least = SHRINK * self.least if self.least > FIRST * SHRINK**9 else 0.0

    def factor(self, system: KKTSystem, mu: float) -> Factor | None:
        """Factor with as little regularisation as gives the right inertia; None if none does."""
        right = system.block.shape[0], system.jacobian.shape[0]
        slack = SLACK * mu**0.25 if self.dependent >= OFTEN else 0.0
        factor = Factor(system, self.least, slack)
        if (factor.positive, factor.negative) == right:
            return factor
        if slack == 0.0 and _dependent(factor, right):
            slack = SLACK * mu**0.25
            self.dependent += 1
            factor = Factor(system, self.least, slack)
            if (factor.positive, factor.negative) == right:
                return factor
        shift = FIRST if self.last == 0.0 else max(SMALLEST, SHRINK * self.last)
        shift = max(shift, 2.0 * self.least)
        while shift <= LARGEST:
            factor = Factor(system, shift, slack)
            if (factor.positive, factor.negative) == right:
                self.last = shift
                return factor
            if slack == 0.0 and _dependent(factor, right):
                slack = SLACK * mu**0.25
            shift *= GROW_FIRST if self.last == 0.0 else GROW
        return None


def _dependent(factor: Factor, right: tuple[int, int]) -> bool:
    """Whether constraints depend on each other: J of full rank gives m negative eigenvalues."""
    return factor.zero > 0 or factor.negative < right[1]
