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

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

__all__ = ["single_threaded_blas"]


@lru_cache(maxsize=1)
def _libraries() -> list[Any]:
    import scipy.linalg.lapack  # noqa: F401  (only libraries that are loaded are found)
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().lib_controllers
    return [library for library in found if library.user_api == "blas"]


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """A context in which BLAS runs on the calling thread alone.

    Libraries that do so anyway are left alone: a small solver enters here at every step, and
    threadpoolctl's own context takes longer than such a step.
    """
    threads = [(library, library.get_num_threads()) for library in _libraries()]
    changed = [(library, count) for library, count in threads if count not in (None, 1)]
    for library, _ in changed:
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, count in changed:
            library.set_num_threads(count)
