"""Memory for results.

A large array is given fresh pages by the operating system, one fault each, which takes longer
than many a computation. So memory of earlier results that nobody refers to any more is used again.

Examples
--------
>>> results, shape, dtype = Results(), (300, 300), np.dtype("float64")
>>> first = results.array(shape, dtype)
>>> place, row = first.ctypes.data, first[7]
>>> del first
>>> results.array(shape, dtype).ctypes.data == place  # the row needs it
False
>>> del row
>>> place in [a.ctypes.data for a in (results.array(shape, dtype), results.array(shape, dtype))]
True
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Results"]

Array = NDArray[Any]

LARGE = 1 << 18
"""Bytes from which the memory of an array is worth keeping,"""

KEPT = 1 << 26
"""and the most that is kept, whether or not it is in use."""


def _references(rooms: Sequence[Array]) -> list[int]:
    """How many there are to each of some arrays that hold the memory of others."""
    return [sys.getrefcount(room) for room in rooms]


class Results:
    """Arrays for results, in memory that is used again."""

    def __init__(self) -> None:
        self._rooms: list[Array] = []  # the one that was used last comes last
        self._lock = threading.Lock()

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array with anything in it."""
        size = prod(shape) * dtype.itemsize
        if not COUNTED or not LARGE <= size <= KEPT // 2:
            return np.empty(shape, dtype)
        if not self._lock.acquire(blocking=False):  # also in a child that was forked just then
            return np.empty(shape, dtype)
        try:
            return self._room(size).view(dtype).reshape(shape)
        finally:
            self._lock.release()

    def _room(self, size: int) -> Array:
        counts = _references(self._rooms)
        free = [k for k, room in enumerate(self._rooms) if counts[k] == UNUSED]
        fits = [k for k in free if self._rooms[k].nbytes == size]
        room = self._rooms.pop(fits[-1]) if fits else np.empty(size, np.uint8)
        self._rooms.append(room)
        while sum(r.nbytes for r in self._rooms) > KEPT:
            del self._rooms[0]
        return room


UNUSED = _references([np.empty(1)])[0]
COUNTED = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
