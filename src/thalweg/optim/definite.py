"""Symmetric positive definite systems of one size, solved again and again."""

from __future__ import annotations

from functools import lru_cache
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.compiler.cholesky import GATHERED, cholesky_code, panel_rows, work_bytes
from thalweg.compiler.crew import NativeTask, run_on_threads
from thalweg.compiler.memory import workspace
from thalweg.compiler.native import NativeCode
from thalweg.compiler.once import once
from thalweg.compiler.pace import Pace
from thalweg.compiler.target import available_threads
from thalweg.optim.blas import single_threaded_blas

__all__ = ["DefiniteSystem"]

Array = NDArray[Any]

NATIVE_FROM = 96
"""Rows from which the native factorisation is quicker than LAPACK's and a call of it,"""

THREADS_FROM = 320
"""and those from which threads share it."""


class DefiniteSystem:
    r"""Solves :math:`(A + D)\,x = b` by Cholesky's factors; D is diagonal.

    The lower triangle of A is kept in `panels`. They are filled from a matrix by `load`, or by
    `solve` itself straight from what the matrix is made of, at the panels' `entries`.

    Parameters
    ----------
    n : int
    native : bool
        Whether native code may be used; else LAPACK is, for which the matrix is one panel.

    Attributes
    ----------
    panels : array of float64
        Entries of A; `solve` overwrites them.

    Examples
    --------
    >>> system = DefiniteSystem(2)
    >>> system.load(np.array([[3.0, 2.0], [2.0, 4.0]]))
    >>> system.solve(np.ones(2), np.array([8.0, 9.0]))
    array([1.375, 1.25 ])
    """

    def __init__(self, n: int, native: bool = True) -> None:
        self.n = n
        self.native = native and n >= NATIVE_FROM
        self.height = panel_rows() if self.native else max(n, 1)
        self.count = -(-n // self.height)
        sizes = self.height**2 * np.arange(1, self.count + 1)
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.panels = workspace(8 * int(self.starts[-1])).view(np.float64)
        self.diagonal = self._places(np.arange(self.count * self.height))
        if self.native:
            threads = available_threads() if n >= THREADS_FROM else 1
            self.pace = Pace(threads)
            self.work = workspace(work_bytes(threads))
            self.right = workspace(8 * (len(self.diagonal) + 1)).view(np.float64)
            self.added = np.ones(len(self.diagonal))

    def _places(self, i: Array) -> Array:
        """Where diagonal entries are."""
        panel, row = np.divmod(i, self.height)
        return np.asarray(self.starts[panel] + i * self.height + row)

    @property
    def entries(self) -> tuple[Array, Array]:
        """Row and column of every entry of `panels`; those beside the matrix repeat its last."""
        rows, columns = [], []
        for first in range(0, len(self.diagonal), self.height):
            last = first + self.height
            rows.append(np.tile(np.arange(first, last), last))
            columns.append(np.repeat(np.arange(last), self.height))
        i, j = (np.concatenate([*parts, []]).astype(np.intp) for parts in (rows, columns))
        return np.minimum(i, self.n - 1), np.minimum(j, self.n - 1)

    def load(self, matrix: Array) -> None:
        """Fill `panels` with the lower triangle of a matrix."""
        for k, start in enumerate(self.starts[:-1]):
            first, last = k * self.height, (k + 1) * self.height
            part = self.panels[start : self.starts[k + 1]].reshape(last, self.height).T
            rows = matrix[first:last]
            part[: len(rows), : self.n] = rows[:, :last]

    def solve(
        self, diagonal: Array, right: Array, source: tuple[Array, Array] | None = None
    ) -> Array | None:
        """The solution x; None where A + D is not positive definite, or x not finite.

        Parameters
        ----------
        diagonal, right : array of shape (n,)
        source : pair of array, optional
            Numbers, and for every entry of `panels` the place of A's among them; both contiguous.
        """
        if self.native:
            return self._native(diagonal, right, source)
        if source is not None:
            np.take(*source, out=self.panels, mode="clip")  # the quickest way
        self.panels[self.diagonal[: self.n]] += diagonal
        return self._lapack(right)

    def _lapack(self, right: Array) -> Array | None:
        from thalweg.optim.lapack import lapack

        matrix = self.panels.reshape(self.n, self.n).T
        with single_threaded_blas():
            _, solution, failed = lapack.dposv(matrix, right, lower=1, overwrite_a=1)
        return None if failed else _finite(solution)

    def _native(
        self, diagonal: Array, right: Array, source: tuple[Array, Array] | None
    ) -> Array | None:
        task, pace = self._task, self.pace
        self.right[: self.n], self.right[self.n :] = right, 0.0
        self.added[: self.n] = diagonal
        task.words[GATHERED] = source is not None
        if source is not None:
            self.pointers[-2:] = [a.ctypes.data for a in source]
        threads, began = pace.threads, perf_counter()
        run_on_threads(task, threads)
        pace.note(threads, 1, perf_counter() - began)
        return _finite(self.right[: self.n].copy()) if self.right[-1] else None

    @once
    def _task(self) -> NativeTask:
        return self.task(_factorisation())

    def task(self, code: NativeCode) -> NativeTask:
        """What factorises and solves, in this system's memory."""
        arrays = (self.panels, self.right, self.work, self.added)
        self.pointers = np.array([*(a.ctypes.data for a in arrays), 0, 0], np.int64)
        last = self.n - (self.count - 1) * self.height
        words = (self.pointers.ctypes.data, self.count, last, 0, 0, 0, 1, 0)
        return NativeTask(code.address, words, (code, self.pointers, arrays))


def _finite(solution: Array) -> Array | None:
    return solution if np.isfinite(solution).all() else None


@lru_cache(maxsize=1)
def _factorisation() -> NativeCode:
    return cholesky_code()
