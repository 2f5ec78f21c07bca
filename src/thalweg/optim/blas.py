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

import threading
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

__all__ = ["single_threaded_blas"]


@lru_cache(maxsize=1)
def _libraries() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    import thalweg.optim.lapack  # noqa: F401  (only libraries that are loaded are found)

    found = ThreadpoolController().lib_controllers
    return [library for library in found if library.user_api == "blas"]


class _SingleThreaded:
    """Counts who is inside: the first one takes the threads away, the last one gives them back."""

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.before: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                threads = [(library, library.get_num_threads()) for library in _libraries()]
                self.before = [(library, n) for library, n in threads if n not in (None, 1)]
                for library, _ in self.before:
                    library.set_num_threads(1)

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                for library, count in self.before:
                    library.set_num_threads(count)


_single_threaded = _SingleThreaded()


def single_threaded_blas(seek: bool = True) -> AbstractContextManager[None]:
    """A context in which BLAS runs on the calling thread alone.

    A small solver enters here at every step: inside another such context it costs next to
    nothing, and threadpoolctl's own takes longer than such a step.

    Parameters
    ----------
    seek : bool
        Whether to look for BLAS if nobody has, which takes a moment. Where it is not worth that,
        its threads may be used, and hold a processor for some 20 ms after they have been.
    """
    return _single_threaded if seek or _libraries.cache_info().currsize else nullcontext()
