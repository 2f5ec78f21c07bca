"""Trust-region subproblems: minimise a quadratic model within a ball.

min over p of  gᵀp + ½pᵀBp  subject to ‖p‖ ≤ radius. Each solver is a function
``subproblem(model, radius) -> p`` of a `Quadratic`.

================  ==============================================================================
`more_sorensen`   the exact solution, also where B is indefinite: few variables, hard functions
`dogleg`          along the path Cauchy point - Newton point: one factorisation, cheap
`steihaug`        conjugate gradients that stop at the ball or at negative curvature: products
                  B·v only, for many variables
================  ==============================================================================

Examples
--------
>>> import numpy as np
>>> model = Quadratic(np.array([1.0, 0.0]), np.diag([2.0, -1.0]))
>>> p = more_sorensen(model, 1.0)
>>> bool(np.isclose(np.linalg.norm(p), 1.0))
True
>>> p = steihaug(Quadratic(np.array([1.0, 4.0]), np.diag([2.0, 2.0])), 10.0)
>>> bool(np.allclose(p, [-0.5, -2.0]))
True
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thalweg.optim.layout import Matrix, Vector, norm

__all__ = ["Quadratic", "Subproblem", "dogleg", "more_sorensen", "steihaug"]


@dataclass(frozen=True)
class Quadratic:
    """A model gᵀp + ½pᵀBp; B as a matrix or as a function v -> B·v."""

    gradient: Vector
    matrix: Matrix | None = None
    multiply: Callable[[Vector], Vector] | None = None

    def product(self, v: Vector) -> Vector:
        """B·v."""
        if self.matrix is not None:
            return self.matrix @ v
        assert self.multiply is not None
        return self.multiply(v)

    def dense(self) -> Matrix:
        """B as a matrix."""
        if self.matrix is None:
            return np.stack([self.product(e) for e in np.eye(self.gradient.size)], axis=1)
        return self.matrix

    def reduction(self, p: Vector) -> float:
        """How much lower the model is at p than at 0."""
        return -float(self.gradient.dot(p) + 0.5 * p.dot(self.product(p)))


LARGE = 30  # rows from which one eigendecomposition costs more than a few Cholesky factors

Subproblem = Callable[[Quadratic, float], Vector]


def more_sorensen(model: Quadratic, radius: float) -> Vector:
    """Solve the subproblem exactly: (B + λI)p = -g with λ ≥ 0, B + λI ≥ 0, λ(‖p‖ - radius) = 0.

    Notes
    -----
    The characterisation and the hard case are those of J. J. Moré and D. C. Sorensen, Computing
    a trust region step, SIAM J. Sci. Stat. Comput. 4 (1983) 553-572. With the eigenvalues of B
    at hand 1/‖p(λ)‖ is nearly linear in λ and Newton's method on it takes a few divisions. Of
    larger matrices eigenvalues are asked for only in the hard case; else a few Cholesky factors
    do, as in their Algorithm 3.14.
    """
    matrix = model.dense()
    if model.gradient.size > LARGE:
        found = _by_cholesky(matrix, model.gradient, radius)
        if found is not None:
            return found
    values, basis = np.linalg.eigh(matrix)
    g = model.gradient.dot(basis)
    lowest = float(values[0])
    size = max(-lowest, float(values[-1]), 1e-300)
    if lowest > 1e-14 * size:
        p = -g / values
        if norm(p) <= radius:
            return np.asarray(basis.dot(p))
    flat = values - lowest <= 1e-12 * size
    if lowest <= 1e-14 * size and norm(g[flat]) <= 1e-14 * norm(g):
        p = np.where(flat, 0.0, -g / np.where(flat, 1.0, values - lowest))
        rest = radius**2 - float(p @ p)
        if rest >= 0:  # the hard case: any step along the lowest eigenvector to the boundary
            p[0] += np.sqrt(rest) if lowest < -1e-14 * size else 0.0
            return np.asarray(basis @ p)
    return np.asarray(basis.dot(_on_boundary(g, values, radius)))


def _by_cholesky(matrix: Matrix, g: Vector, radius: float) -> Vector | None:
    """The same from factors of B + λI; None where they do not settle it."""
    from thalweg.optim.lapack import lapack

    steep, size = norm(g) / radius, float(np.max(np.sum(np.abs(matrix), axis=1)))
    low = max(0.0, -float(np.min(np.diag(matrix))), steep - size)
    high, lam = steep + size, low
    for _ in range(20):
        shifted = np.array(matrix, order="F")
        np.einsum("ii->i", shifted)[:] += lam
        factor, failed = lapack.dpotrf(shifted, lower=1, clean=0, overwrite_a=1)
        if failed:
            low, lam = lam, max(float(np.sqrt(lam * high)), lam + 0.01 * (high - lam))
            continue
        p = -lapack.dpotrs(factor, g[:, None], lower=1)[0][:, 0]
        length = norm(p)
        if abs(length - radius) <= 1e-7 * radius or (lam == 0.0 and length <= radius):
            return np.asarray(p)
        low, high = (lam, high) if length > radius else (low, lam)
        q = lapack.dtrtrs(factor, p[:, None], lower=1)[0]
        lam += length**2 / float(np.sum(q**2)) * (length - radius) / radius
        if not low <= lam <= high:
            lam = max(float(np.sqrt(low * high)), low + 0.01 * (high - low))
    return None


def _on_boundary(g: Vector, values: Vector, radius: float) -> Vector:
    """The root λ > max(0, -λ₁) of 1/‖p(λ)‖ = 1/radius, by Newton's method with bisection."""
    lowest, steep = float(values[0]), norm(g) / radius
    low = max(0.0, -lowest)
    high = steep + low + max(abs(lowest), abs(float(values[-1])))
    lam = max(low, steep - lowest, 1e-12 * high)
    p = np.zeros_like(g)
    for _ in range(100):
        if lowest + lam <= 0:
            low, lam = max(low, lam), 0.5 * (max(low, lam) + high)
            continue
        shifted = values + lam
        p = -g / shifted
        length = norm(p)
        if abs(length - radius) <= 1e-10 * radius:
            break
        if length > radius:
            low = lam
        else:
            high = lam
        slope = float(p.dot(p / shifted))
        lam += length**2 / slope * (length - radius) / radius if slope > 0 else 0.0
        if not low < lam < high:
            lam = 0.5 * (low + high)
    return p


def dogleg(model: Quadratic, radius: float) -> Vector:
    """Follow the path from the Cauchy point to the Newton point until it leaves the ball.

    Notes
    -----
    M. J. D. Powell, A hybrid method for nonlinear equations (1970). Where B is not positive
    definite, both points are those of B with the moduli of its eigenvalues (Nocedal and Wright
    2006, section 3.4): a long step also along negative curvature, where a multiple of I that
    makes B definite would shorten all steps alike.
    """
    from thalweg.optim.lapack import lapack

    g, matrix = model.gradient, model.dense()
    if not np.all(np.isfinite(matrix)):
        return cauchy(model, radius)
    definite, factor = _made_definite(matrix)
    newton: Vector = -lapack.dpotrs(factor, g[:, None], lower=1)[0][:, 0]
    if norm(newton) <= radius:
        return newton
    steepest = -(g @ g) / (g @ definite @ g) * g
    if norm(steepest) >= radius:
        return np.asarray(-radius / norm(g) * g)
    return steepest + _to_boundary(steepest, newton - steepest, radius) * (newton - steepest)


def _made_definite(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """B, or with the moduli of its eigenvalues where it is not positive definite; its factor."""
    from thalweg.optim.lapack import lapack

    factor, failed = lapack.dpotrf(matrix, lower=1)
    if not failed:
        return matrix, factor
    values, basis = np.linalg.eigh(matrix)
    moduli = np.abs(values)
    least = 1e-8 * (float(np.max(moduli)) or 1.0)
    definite = (basis * np.maximum(moduli, least)) @ basis.T
    return definite, lapack.dpotrf(definite, lower=1)[0]


def cauchy(model: Quadratic, radius: float) -> Vector:
    """The minimiser of the model along the steepest descent, within the ball."""
    g = model.gradient
    steep = norm(g)
    if steep == 0.0:
        return np.zeros_like(g)
    curvature = float(g @ model.product(g))
    longest = radius / steep
    step = min(longest, steep**2 / curvature) if curvature > 0 else longest
    return -step * g


def _to_boundary(p: Vector, d: Vector, radius: float) -> float:
    """The t ≥ 0 with ‖p + t·d‖ = radius."""
    a, b, c = float(d @ d), float(p @ d), float(p @ p) - radius**2
    root = np.sqrt(max(0.0, b * b - a * c))
    return float(-c / (b + root) if b > 0 else (root - b) / a)


def steihaug(model: Quadratic, radius: float) -> Vector:
    """Conjugate gradients on B·p = -g, truncated at the boundary or at negative curvature.

    Notes
    -----
    T. Steihaug, SIAM J. Numer. Anal. 20 (1983) 626-637; Ph. L. Toint (1981). They stop at a
    residual of min(½, √‖g‖)·‖g‖, which makes the outer iteration superlinear.
    """
    g = model.gradient
    p, r = np.zeros_like(g), g.copy()
    d, steep = -g, norm(g)
    target = min(0.5, math.sqrt(steep)) * steep
    for _ in range(2 * g.size + 10):
        if norm(r) <= max(target, 1e-150):
            break
        product = model.product(d)
        curvature = float(d @ product)
        if not np.isfinite(curvature):
            break
        if curvature <= 0:
            return p + _to_boundary(p, d, radius) * d
        step = float(r @ r) / curvature
        if norm(p + step * d) >= radius:
            return p + _to_boundary(p, d, radius) * d
        p = p + step * d
        following = r + step * product
        d = -following + float(following @ following) / float(r @ r) * d
        r = following
    return p
