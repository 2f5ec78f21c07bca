"""Saddle points of a sum of squares: noticed, and left along negative curvature.

Where two terms of a model start with equal parameters (all ones, say), their columns of J are
equal, every Gauss-Newton step keeps them equal, and the fit ends at a saddle point: ∇½‖r‖² = 0,
but ½‖r‖² falls to either side of the symmetry. J tells by its rank; the exact Hessian
JᵀJ + Σ rᵢ∇²rᵢ says which way to go.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> t = np.linspace(0.0, 4.0, 30)
>>> decay = lambda b: b[0] * np.exp(-b[1] * t) + b[2] * np.exp(-b[3] * t)
>>> data = decay(np.array([2.0, 0.5, 3.0, 4.0]))
>>> fit = tw.least_squares(lambda b: decay(b) - data, np.ones(4))
>>> np.sort(fit.x).round(6)
array([0.5, 2. , 3. , 4. ])
"""

from __future__ import annotations

import numpy as np

from thalweg.optim.direction.gauss_newton import Orthogonal
from thalweg.optim.layout import Matrix, Vector
from thalweg.optim.problem import Bounds, Linearisation, Mask, Problem

__all__ = ["beside_saddle", "loose", "lowest_along", "lowest_of"]

DEPENDENT = 1e-6  # singular values of the column-scaled J below this, relative to the largest
NEGATIVE = 1e-8  # eigenvalues of the scaled Hessian below minus this are no rounding
LOWER, HALVINGS = 1e-9, 30
SMALL = 1e-3  # of the largest entry: what is less counts as so much


def beside_saddle(problem: Problem, x: Vector, model: Linearisation) -> Vector | None:
    """A point of lower cost beside a stationary point that is no minimum; None if x is none.

    Parameters
    ----------
    problem : Problem
        Its objective has a Hessian.
    x : vector
    model : Linearisation
        At x. Where the Jacobian is not known entry by entry, nothing is looked for.
    """
    free = loose(problem.bounds, x, model.gradient)
    if not isinstance(model, Orthogonal) or not free.any() or not 0.0 < model.cost < np.inf:
        return None
    norms = model.column_norms
    scale = np.where((norms > 0) & np.isfinite(norms), norms, 1.0)
    if not _dependent((model.jacobian / scale)[:, free]):
        return None
    hessian = (problem.hessian(x) / np.outer(scale, scale))[np.ix_(free, free)]
    if not np.all(np.isfinite(hessian)):
        return None
    values, basis = np.linalg.eigh(hessian)
    if values[0] >= -NEGATIVE * max(1.0, float(values[-1])):
        return None
    along = np.zeros_like(x)
    along[free] = basis[:, 0]
    return lowest_along(problem, x, along / scale, free)


def loose(bounds: Bounds, x: Vector, gradient: Vector) -> Mask:
    """Entries that no bound holds, or one that nothing presses them to."""
    pressed = ((x <= bounds.lower) & (gradient > 0)) | ((x >= bounds.upper) & (gradient < 0))
    return np.asarray(~pressed & (bounds.lower < bounds.upper))


def _dependent(jacobian: Matrix) -> bool:
    if jacobian.shape[0] < jacobian.shape[1]:
        return True
    if not np.all(np.isfinite(jacobian)):
        return False
    values = np.linalg.svd(jacobian, compute_uv=False)
    return bool(values[-1] <= DEPENDENT * values[0])


def lowest_along(problem: Problem, x: Vector, along: Vector, free: Mask) -> Vector | None:
    """The lowest of a few points to either side of x."""
    least = SMALL * float(np.max(np.abs(x[free]))) or 1.0  # of entries at zero, and if all are
    sizes = np.abs(along[free]) / np.maximum(np.abs(x[free]), least)
    return lowest_of(problem, x, along / max(float(np.max(sizes)), 1e-300), HALVINGS)


def lowest_of(problem: Problem, x: Vector, step: Vector, halvings: int) -> Vector | None:
    """The lowest of the points at a step, half of it, a quarter, ... to either side of x."""
    cost = problem.value(x)
    best, cost = None, cost - LOWER * abs(cost)
    for k in range(halvings):
        for side in (step, -step):
            there = problem.bounds.project(x + 0.5**k * side)
            value = problem.value(there)
            if value < cost:
                best, cost = there, value
        if best is not None and k > 4:
            break
    return best
