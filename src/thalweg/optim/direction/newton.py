"""Newton directions for line searches: the exact Hessian, made positive definite where it is not.

Examples
--------
>>> import numpy as np
>>> step = modified_newton_step(np.diag([2.0, -4.0]), np.array([2.0, 4.0]))
>>> step                                        # downhill also along negative curvature
array([-1., -1.])
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.optim.direction.base import Direction
from thalweg.optim.layout import Matrix, Vector
from thalweg.optim.problem import Mask

__all__ = ["ModifiedNewton", "modified_newton_step"]


def modified_newton_step(hessian: Matrix, gradient: Vector) -> Vector:
    """-(H + E)⁻¹g with E such that H + E is positive definite, from the factors LDLᵀ.

    Notes
    -----
    The eigenvalues of the 1x1 and 2x2 blocks of D are replaced by their moduli, bounded away
    from zero (S. H. Cheng and N. J. Higham, SIAM J. Matrix Anal. 19 (1998) 1097-1110).
    """
    from scipy.linalg import ldl, solve_triangular

    factor, blocks, order = ldl(hessian, lower=True)
    values, basis = np.linalg.eigh(blocks)
    size = float(np.max(np.abs(values), initial=0.0)) or 1.0
    values = np.maximum(np.abs(values), 1e-10 * size)
    unit = factor[order]
    inner = solve_triangular(unit, gradient[order], lower=True, unit_diagonal=True)
    inner = basis @ ((basis.T @ inner) / values)
    outer = solve_triangular(unit, inner, lower=True, unit_diagonal=True, trans="T")
    step = np.empty_like(outer)
    step[order] = -outer
    return step


class ModifiedNewton(Direction):
    """The Newton direction of the exact Hessian, made to descend by a modified LDLᵀ.

    For up to about a thousand parameters; quadratic near the solution.
    """

    has_length = True

    def __init__(self, hessian: Callable[[Vector], Matrix]) -> None:
        self.hessian = hessian

    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        d = np.zeros_like(gradient)
        matrix = self.hessian(x)
        if free.any() and np.all(np.isfinite(matrix)):
            d[free] = modified_newton_step(matrix[np.ix_(free, free)], gradient[free])
        return d
