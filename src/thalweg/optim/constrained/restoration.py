"""Feasibility restoration: forget the objective for a while and reduce the violation.

min over (w, p, n) of  ρ Σ(p + n) + ½ζ‖D(w - w₀)‖²,  c(w) - p + n = 0,  p, n ≥ 0,  l ≤ w ≤ u,

the ℓ₁ norm of c with a faint pull towards where the search got stuck. It is a program like any
other and is solved by the same method. Where it converges to a point that still violates the
constraints, they cannot be met near by.
(Wächter and Biegler 2006, section 3.3.)
"""

from __future__ import annotations

import numpy as np

from thalweg.optim.constrained.program import Derivatives, Program, Values
from thalweg.optim.layout import Matrix, Vector

__all__ = ["Restoration"]

WEIGHT = 1000.0


class Restoration(Program):
    """The restoration program of another program.

    Parameters
    ----------
    parent : Program
        With a method ``constraint_hessian``.
    reference : vector
        w₀.
    mu : float
        The barrier parameter at which the restoration starts.
    """

    def __init__(self, parent: Program, reference: Vector, mu: float) -> None:
        self.parent, self.reference = parent, reference
        self.count, self.m = parent.n, parent.m
        self.n, self.dense = parent.n + 2 * parent.m, parent.dense
        self.zeta = float(np.sqrt(mu))
        self.weights = np.minimum(1.0, 1.0 / np.maximum(np.abs(reference), 1e-300)) ** 2
        none = np.zeros(2 * self.m)
        self.lower = np.concatenate([parent.lower, none])
        self.upper = np.concatenate([parent.upper, none + np.inf])

    def begin(self, w: Vector, c: Vector, mu: float) -> Vector:
        """(w, p, n) with p and n optimal for the barrier problem in them."""
        half = (mu - WEIGHT * c) / (2.0 * WEIGHT)
        n = half + np.sqrt(half**2 + mu * c / (2.0 * WEIGHT))
        n = np.maximum(n, 1e-12)
        p = np.maximum(c + n, 1e-12)
        return np.concatenate([w, p, n])

    def values(self, w: Vector) -> Values:
        inner = self.parent.values(w[: self.count])
        p, n = np.split(w[self.count :], 2)
        away = w[: self.count] - self.reference
        f = WEIGHT * float(np.sum(p) + np.sum(n))
        f += 0.5 * self.zeta * float(np.sum(self.weights * away**2))
        finite = 0.0 if np.isfinite(inner.f) else float("nan")
        return Values(f + finite, inner.c - p + n)

    def derivatives(self, w: Vector) -> Derivatives:
        inner = self.parent.derivatives(w[: self.count])
        g = np.full(self.n, WEIGHT)
        g[: self.count] = self.zeta * self.weights * (w[: self.count] - self.reference)
        eye = np.eye(self.m)
        return Derivatives(g, np.concatenate([inner.jacobian, -eye, eye], axis=1))

    def hessian(self, w: Vector, y: Vector) -> tuple[Matrix, Vector]:
        block, diagonal = self.parent.constraint_hessian(w[: self.count], y)
        pull = self.zeta * self.weights
        whole = np.concatenate([diagonal + pull[self.dense :], np.zeros(2 * self.m)])
        return block + np.diag(pull[: self.dense]), whole

    def constraint_hessian(self, w: Vector, y: Vector) -> tuple[Matrix, Vector]:
        block, diagonal = self.parent.constraint_hessian(w[: self.count], y)
        return block, np.concatenate([diagonal, np.zeros(2 * self.m)])
