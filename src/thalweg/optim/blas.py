"""BLAS on one thread: its sums are then always the same, and it never waits for a busy core.

The matrices of solvers are small; several threads would save little, and where other work is
running they cost a hundred times what they save.

Examples
--------
>>> import numpy as np
>>> with single_threaded_blas():
...     product = np.ones((3, 3)) @ np.ones((3, 3))
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

__all__ = ["single_threaded_blas"]


@lru_cache(maxsize=1)
def _libraries() -> Any:
    import scipy.linalg.lapack  # noqa: F401  (only libraries that are loaded are found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def single_threaded_blas() -> Any:
    """A context in which BLAS runs on the calling thread alone."""
    return _libraries().limit(limits=1, user_api="blas")
