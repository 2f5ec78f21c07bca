"""The Hessian of the Lagrangian learned from its gradients, where it is not known or not wanted.

B starts as σI with the curvature σ = yᵀy/sᵀy of the last step and is updated by the BFGS formula
with the last steps s and changes of gradient y, damped as Powell does so that it stays positive
definite: of many variables at most `MEMORY` steps, as a limited-memory method.

M. J. D. Powell, A fast algorithm for nonlinearly constrained optimization calculations, Lecture
Notes in Mathematics 630 (1978) 144-157; J. Nocedal and S. J. Wright, Numerical Optimization
(2006), procedure 18.2.

Examples
--------
>>> import numpy as np
>>> learned = LearnedHessian(2)
>>> for s in np.eye(2):
...     learned.learn(s, np.array([2.0, 4.0]) * s)
>>> learned.matrix
array([[2., 0.],
       [0., 4.]])
"""

from __future__ import annotations

from collections import deque

import numpy as np

from thalweg.optim.layout import Matrix, Vector

__all__ = ["LearnedHessian"]

MEMORY, FEW = 30, 50  # steps that are kept; so many variables keep all they need


class LearnedHessian:
    """A positive definite approximation of an n x n Hessian.

    Attributes
    ----------
    matrix : matrix
    """

    def __init__(self, n: int) -> None:
        self.matrix: Matrix = np.eye(n)
        self.pairs: deque[tuple[Vector, Vector]] = deque(maxlen=max(MEMORY, 2 * min(n, FEW)))

    def learn(self, s: Vector, y: Vector) -> None:
        """Take note of a step and of the change of the Lagrangian's gradient along it."""
        if not (np.all(np.isfinite(s)) and np.all(np.isfinite(y)) and np.any(s)):
            return
        full = len(self.pairs) == self.pairs.maxlen
        self.pairs.append((s, y))
        if full or len(self.pairs) == 1:
            self.matrix = self._scaled(s, y)
            for pair in self.pairs:
                self._update(*pair)
        else:
            self._update(s, y)

    def _scaled(self, s: Vector, y: Vector) -> Matrix:
        curvature = float(s @ y)
        scale = float(y @ y) / curvature if curvature > 0 else 1.0
        return np.eye(s.size) * min(max(scale, 1e-8), 1e8)

    def _update(self, s: Vector, y: Vector) -> None:
        bs = self.matrix @ s
        curvature, expected = float(s @ y), float(s @ bs)
        if expected <= 0:
            return
        if curvature < 0.2 * expected:
            theta = 0.8 * expected / (expected - curvature)
            y = theta * y + (1.0 - theta) * bs
            curvature = float(s @ y)
        self.matrix = self.matrix - np.outer(bs, bs) / expected + np.outer(y, y) / curvature
