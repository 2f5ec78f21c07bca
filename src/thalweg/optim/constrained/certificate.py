"""Multipliers of a point, whatever the path that led to it.

Where constraints leave no interior (equations whose only solution lies on a bound, say), or where
their gradients depend on each other, the multipliers of a barrier method grow without limit
while the point itself is long found. Multipliers are then asked of the point alone:

min over y, z ≥ 0 of  ‖∇f + Jᵀy - z_l + z_u‖,  z = 0 away from the bounds,

a nonnegative least-squares problem (C. L. Lawson, R. J. Hanson, Solving Least Squares Problems,
1974, chapter 23). The point is optimal if these satisfy its optimality conditions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from thalweg.optim.constrained.barrier import Barrier, Iterate

__all__ = ["with_own_multipliers"]

MANY = 500  # columns beyond which the search would take longer than many iterations


def with_own_multipliers(barrier: Barrier, it: Iterate, near: float) -> Iterate | None:
    """The same point with multipliers of its own; None where they are too many to be found.

    Parameters
    ----------
    barrier : Barrier
    it : Iterate
    near : float
        Bounds at most so far away, relative to their size, may have multipliers.
    """
    from scipy.optimize import nnls

    program, (below, above) = barrier.program, barrier.gaps(it.w)
    with np.errstate(invalid="ignore"):
        low = np.flatnonzero(barrier.has_lower & (below <= near * (1 + np.abs(program.lower))))
        high = np.flatnonzero(barrier.has_upper & (above <= near * (1 + np.abs(program.upper))))
    jacobian, eye = it.slopes.jacobian, np.eye(it.w.size)
    columns = np.concatenate([jacobian, -jacobian, -eye[low], eye[high]]).T
    if not 0 < columns.shape[1] <= MANY:
        return None
    size = np.maximum(np.sqrt(np.sum(columns**2, axis=0)), 1e-300)
    try:
        found = nnls(columns / size, -it.slopes.g)[0] / size
    except RuntimeError:  # too many iterations
        return None
    plus, minus, zl, zu = np.split(found, np.cumsum([program.m, program.m, low.size]))
    lower, upper = np.zeros_like(it.w), np.zeros_like(it.w)
    lower[low], upper[high] = zl, zu
    return replace(it, y=plus - minus, zl=lower, zu=upper)
