"""The objective of a network whose Hessian is made from a part of the rows.

The Hessian only says how long and in what direction to step; value and gradient, which say where
the solution is, are those of all rows. A few rows for each parameter say it well enough, and the
rest would cost most of the time of an iteration on a large table (R. H. Byrd, G. M. Chin, W.
Neveitt and J. Nocedal, On the use of stochastic Hessian information in optimization methods for
machine learning, SIAM J. Optimization 21 (2011) 977-995).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from thalweg.optim.direction.marquardt import Normal
from thalweg.optim.problem import LeastSquares
from thalweg.training.batches import Samples
from thalweg.training.gauss_newton import NormalEquations
from thalweg.training.hessian import ExactHessian
from thalweg.training.program import Program
from thalweg.training.solvers import NetworkProblem

__all__ = ["PartlyCurved", "spread_rows"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LEAST, EACH = 2000, 8
"""Rows that are always taken, and for each parameter."""


class PartlyCurved(NetworkProblem, LeastSquares):
    """`NetworkProblem` with the Hessian of some of its rows, and as a sum of squares.

    The linearised residuals are known by their normal equations: the generalised Gauss-Newton
    matrix of all rows, with the penalty.
    """

    rough = False

    def hessian(self, x: Vector) -> Matrix:
        """The Hessian of some rows; while that is `rough`, their Gauss-Newton matrix."""
        return self._few.at(x).matrix() if self.rough else super().hessian(x)

    def linearise(self, x: Vector) -> Normal:
        """The quadratic model of Levenberg-Marquardt; while `rough`, curved as some rows are."""
        if self.rough:
            return Normal(*self.value_and_gradient(x), self._few.at(x).matrix())
        model = self._normal.at(x)
        return Normal(model.value, model.gradient, model.matrix())

    @cached_property
    def _rows(self) -> Samples:
        return spread_rows(self.samples, max(LEAST, EACH * self.places.count))

    @cached_property
    def _few(self) -> NormalEquations:
        return NormalEquations(self.network_objective, *self._rows, self._native, "primal")

    @cached_property
    def _normal(self) -> NormalEquations:
        form = "primal"  # the one whose matrix is at hand
        return NormalEquations(self.network_objective, *self.samples, self._native, form)

    @property
    def _native(self) -> bool:
        return not isinstance(self.program, Program)

    @cached_property
    def _second(self) -> ExactHessian:
        return ExactHessian(self.network_objective, self._rows, native=self._native)


def spread_rows(samples: Samples, most: int) -> Samples:
    """At most so many rows, evenly taken from first to last; all if they have no more.

    Examples
    --------
    >>> rows = Samples(np.arange(10.0)[:, None], np.zeros((10, 1)), np.ones(10))
    >>> spread_rows(rows, 4).X.ravel().tolist()
    [1.0, 3.0, 6.0, 8.0]
    """
    count = len(samples.X)
    if count <= most:
        return samples
    own = ((np.arange(most) + 0.5) * (count / most)).astype(int)
    return Samples(*(a[own] for a in samples))
