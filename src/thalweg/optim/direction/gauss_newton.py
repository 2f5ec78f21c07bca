"""Residuals made linear: Gauss-Newton and Levenberg-Marquardt steps by orthogonal factors.

JᵀJ is never formed: its condition is that of J squared, and half of the digits would be lost.

Examples
--------
>>> import numpy as np
>>> model = Orthogonal(np.array([1.0, 2.0]), np.diag([1.0, 4.0]))
>>> step_of = model.prepare(np.ones(2), np.ones(2, dtype=bool))
>>> step_of(0.0)
array([-1. , -0.5])
>>> float(model.predicted(step_of(0.0)))
2.5
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np

from thalweg.optim.direction.base import Direction
from thalweg.optim.layout import Matrix, Vector
from thalweg.optim.problem import Linearisation, Mask, StepOf, half_square

__all__ = ["GaussNewton", "Orthogonal", "refined_step"]

EPS = float(np.finfo(np.float64).eps)
TINY = 1e-280
"""Squares below this have lost digits."""

WELL = 1e-5
"""A Jacobian is well conditioned if the smallest pivot is larger, relative to the largest."""

BLOCK = 64
"""Columns for which LAPACK is given room to work at once."""


class Orthogonal:
    """r + J·p by a singular value decomposition of the scaled Jacobian (after QR where m > n)."""

    def __init__(self, residual: Vector, jacobian: Matrix) -> None:
        self.residual, self.jacobian = residual, jacobian
        self.cost = half_square(residual)

    @cached_property
    def gradient(self) -> Vector:
        """Jᵀr."""
        return np.asarray(self.jacobian.T.dot(self.residual))

    @cached_property
    def column_norms(self) -> Vector:
        """‖Jₖ‖, free of overflow."""
        with np.errstate(all="ignore"):
            squares = (self.jacobian**2).sum(axis=0)
            if ((squares > TINY) & (squares < np.inf)).all():
                return np.asarray(np.sqrt(squares))
            top = np.max(np.abs(self.jacobian), axis=0, initial=0.0)
            safe = np.where(top > 0, top, 1.0)
            return np.asarray(top * np.sqrt(np.sum((self.jacobian / safe) ** 2, axis=0)))

    def prepare(self, scale: Vector, free: Mask) -> StepOf:
        """See `thalweg.optim.problem.Linearisation`."""
        if not free.any():
            return lambda damping, residual=None: np.zeros_like(scale)
        everything, scaled = bool(free.all()), self.jacobian / scale
        orthogonal, left, values, right = _factors(scaled if everything else scaled[:, free])
        floor = EPS * max(left.shape[0], right.shape[1]) * float(values[0])

        def projected(residual: Vector) -> Vector:
            rest = residual if orthogonal is None else orthogonal.T.dot(residual)
            return np.asarray(left.T.dot(rest))

        own = projected(self.residual)

        def step_of(damping: float, residual: Vector | None = None, /) -> Vector:
            onto = own if residual is None else projected(residual)
            if damping > 0:
                weights = values / (values * values + damping)
            else:
                weights = np.where(values > floor, 1.0 / np.where(values > floor, values, 1.0), 0.0)
            inner: Vector = (weights * onto).dot(right)
            if everything:
                return inner / -scale
            step = np.zeros_like(scale)
            step[free] = inner
            return step / -scale

        return step_of

    def predicted(self, step: Vector) -> float:
        """½‖r‖² - ½‖r + J·p‖²."""
        along = self.jacobian.dot(step)
        return -float(along.dot(self.residual + 0.5 * along))

    def product(self, step: Vector) -> Vector:
        """J·p."""
        return self.jacobian @ step

    def joined(self, residual: Vector, jacobian: Matrix) -> Orthogonal:
        """The same with further residuals."""
        return Orthogonal(
            np.concatenate([self.residual, residual]), np.concatenate([self.jacobian, jacobian])
        )


def _factors(matrix: Matrix) -> tuple[Matrix | None, Matrix, Vector, Matrix]:
    """Q, U, s and Vᵀ with the matrix QU·diag(s)·Vᵀ; no Q where it has no more rows than columns.

    LAPACK itself: for the few parameters of most fits SciPy's own functions take longer to look
    at their arguments than this takes.
    """
    from thalweg.optim.lapack import lapack

    orthogonal, (m, n) = None, matrix.shape
    if m > n:
        factors, tau, _, _ = lapack.dgeqrf(matrix, lwork=BLOCK * n)
        orthogonal, matrix = lapack.dorgqr(factors, tau, lwork=BLOCK * n)[0], _upper(factors)
    left, values, right, failed = lapack.dgesvd(matrix, full_matrices=0, lwork=BLOCK * (m + n))
    if failed:
        raise np.linalg.LinAlgError("the singular values did not converge")
    return orthogonal, left, values, right


def _pivoted(matrix: Matrix) -> tuple[Matrix, Matrix, Vector]:
    """Q, R and the order of columns with the matrix's columns in that order QR; as many rows.

    Of R the upper triangle counts.
    """
    from thalweg.optim.lapack import lapack

    n = matrix.shape[1]
    factors, order, tau, _, _ = lapack.dgeqp3(matrix, lwork=BLOCK * (n + 1))
    return lapack.dorgqr(factors, tau, lwork=BLOCK * n)[0], factors[:n], order - 1


def _upper(factors: Matrix) -> Matrix:
    """The upper triangle of as many rows as columns, zeros below."""
    n = factors.shape[1]
    return np.where(_on_or_above(n), factors[:n], 0.0)


@lru_cache(maxsize=8)
def _on_or_above(n: int) -> Mask:
    """Where the upper triangle of an n × n matrix is."""
    return np.triu(np.ones((n, n), np.bool_))


def refined_step(residual: Vector, jacobian: Matrix) -> Vector | None:
    """The undamped Gauss-Newton step by column-scaled, pivoted QR with iterative refinement.

    Returns
    -------
    vector or None
        None if the Jacobian has no full column rank, or is not finite.

    Notes
    -----
    The refinement is that of the augmented system [I J; Jᵀ 0] (Å. Björck, BIT 7 (1967)
    257-278), with its residuals accumulated in extended precision where NumPy has it. A round
    multiplies the error by about the condition times the rounding unit.
    """
    from thalweg.optim.lapack import lapack

    m, n = jacobian.shape
    scale = np.sqrt((jacobian**2).sum(axis=0))
    if m < n or not ((scale > 0) & (scale < np.inf)).all() or not np.isfinite(residual).all():
        return None
    scaled = jacobian / scale
    orthogonal, upper, order = _pivoted(scaled)
    diagonal = np.abs(upper.diagonal())
    if diagonal[-1] <= 1e-14 * diagonal[0]:
        return None
    exact, target = scaled[:, order].astype(np.longdouble), -residual.astype(np.longdouble)
    step = np.zeros(n, dtype=np.longdouble)
    left = np.zeros(m, dtype=np.longdouble)  # left + J·step = target, Jᵀ·left = 0
    for _ in range(2 if diagonal[-1] > WELL * diagonal[0] else 3):
        first = (target - left - exact.dot(step)).astype(np.float64)
        second = -left.dot(exact).astype(np.float64)
        across = orthogonal.T.dot(first) - lapack.dtrtrs(upper, second, trans=1)[0]
        step += lapack.dtrtrs(upper, across)[0]
        left += first - orthogonal.dot(across)
    refined = np.empty(n)
    refined[order] = step
    return np.asarray(refined / scale)


class GaussNewton(Direction):
    """The direction of the linear least-squares problem min ‖r + J·p‖, with a line search.

    Quadratic where residuals vanish, fast where they are small; Levenberg-Marquardt is more
    robust far away.
    """

    has_length = True

    def __init__(self, linearise: Callable[[Vector], Linearisation]) -> None:
        self.linearise = linearise

    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        model = self.linearise(x)
        if not np.all(np.isfinite(model.column_norms)):
            return np.where(free, -gradient, 0.0)
        scale = np.where(model.column_norms > 0, model.column_norms, 1.0)
        return model.prepare(scale, free)(0.0)
