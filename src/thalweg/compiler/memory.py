"""Where temporaries live: one workspace, planned once, places reused when a value is dead.

Nothing is allocated while a program runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.compiler.loops import Buffer, Nest

__all__ = ["MemoryPlan", "copied", "line_pitch", "pitch_of", "plan_memory", "spread", "workspace"]

Array = NDArray[Any]
ALIGNMENT = 64
"""Bytes of a cache line."""

ALIASED = 32
"""Cache lines from one row to the next from which these may displace each other: the first cache
has 64 sets of lines."""

LONG_ROW = 512
"""Bytes of a matrix's row from which every row begins at a cache line."""

LITTLE = 1 << 14
"""Bytes of arrays that are copied as they are."""


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets of temporaries in the workspace, in bytes.

    Attributes
    ----------
    offsets : dict of Buffer to (int, int)
        A fixed part, and a part to be multiplied by the number of panels.
    fixed, per_panel : int
        Size of the workspace.
    """

    offsets: dict[Buffer, tuple[int, int]]
    fixed: int
    per_panel: int

    def size(self, panels: int = 0) -> int:
        """Bytes needed for a number of panels."""
        return self.fixed + self.per_panel * panels


def plan_memory(nests: Sequence[Nest], reuse: bool = True) -> MemoryPlan:
    """Place the temporaries of a list of nests.

    Parameters
    ----------
    nests : sequence of Nest
    reuse : bool
        Whether places of dead values are used again.

    Returns
    -------
    MemoryPlan
    """
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for position, nest in enumerate(nests):
        for buffer in nest.buffers():
            if buffer.role == "temporary":
                first.setdefault(buffer, position)
                last[buffer] = position
    single = [b for b in first if not b.panels]
    per_sample = [b for b in first if b.panels]
    fixed, fixed_size = _place(single, first, last, reuse)
    panel, panel_size = _place(per_sample, first, last, reuse)
    offsets = {b: (at, 0) for b, at in fixed.items()}
    offsets |= {b: (fixed_size, at) for b, at in panel.items()}
    return MemoryPlan(offsets, fixed_size, panel_size)


def _place(
    buffers: Sequence[Buffer], first: dict[Buffer, int], last: dict[Buffer, int], reuse: bool
) -> tuple[dict[Buffer, int], int]:
    """First fit, largest first: every buffer at the lowest place free during its life."""
    ordered = sorted(buffers, key=lambda b: (-b.bytes, first[b]))
    begins, ends, starts, stops = np.zeros((4, len(ordered)), np.int64)
    placed: dict[Buffer, int] = {}
    for count, buffer in enumerate(ordered):
        begin, end, length = first[buffer], last[buffer], _rounded(buffer.bytes)
        busy = (begins[:count] <= end) & (begin <= ends[:count]) | (not reuse)
        at = _lowest_gap(starts[:count][busy], stops[:count][busy], length)
        begins[count], ends[count], starts[count], stops[count] = begin, end, at, at + length
        placed[buffer] = at
    return placed, int(stops.max(initial=0))


def _lowest_gap(starts: Array, stops: Array, length: int) -> int:
    """The lowest place for so many bytes beside intervals that are taken."""
    order = np.argsort(starts, kind="stable")
    reached = np.maximum.accumulate(np.append(0, stops[order]))  # before each interval
    fits = reached[:-1] + length <= starts[order]
    return int(reached[np.argmax(fits)] if fits.any() else reached[-1])


def _rounded(count: int) -> int:
    return -(-max(count, 1) // ALIGNMENT) * ALIGNMENT


def workspace(size: int) -> Array:
    """Bytes of zeros that begin at a cache line."""
    return _aligned(np.zeros(size + ALIGNMENT, np.uint8))


def _aligned(room: Array) -> Array:
    """All but a line of some bytes, from the first cache line on."""
    start = -room.__array_interface__["data"][0] % ALIGNMENT
    return room[start : start + room.size - ALIGNMENT]


def spread(pitch: int, item_bytes: int) -> int:
    """A distance of rows, in elements, at which they do not displace each other in the caches.

    Of 32 rows, parts of some thirteen lines then lie in each set about equally often.

    Examples
    --------
    >>> spread(784, 4), spread(1008, 4), spread(1024, 4), spread(512, 8)
    (784, 1056, 1056, 528)
    """
    lines, rest = divmod(pitch * item_bytes, ALIGNMENT)
    if rest or lines < ALIASED:
        return pitch
    while lines % ALIASED == 0 or lines % (2 * ALIASED) in (1, 2 * ALIASED - 1):
        lines += 1
    return lines * ALIGNMENT // item_bytes


def line_pitch(width: int, item_bytes: int) -> int:
    """The distance, in elements, of rows that begin at cache lines and do not displace each other.

    Examples
    --------
    >>> line_pitch(300, 4), line_pitch(1024, 4)
    (304, 1056)
    """
    return spread(_rounded(width * item_bytes) // item_bytes, item_bytes)


def pitch_of(shape: Sequence[int], item_bytes: int) -> int:
    """The distance of a matrix's rows, in elements, or 0 where they follow each other.

    Examples
    --------
    >>> pitch_of((300, 300), 4), pitch_of((1024, 1024), 4), pitch_of((64, 64), 4)
    (304, 1056, 0)
    """
    if len(shape) != 2 or shape[0] == 1 or prod(shape) * item_bytes < LITTLE:
        return 0
    if shape[1] * item_bytes < LONG_ROW:
        return 0
    pitch = line_pitch(shape[1], item_bytes)
    return pitch if pitch > shape[1] else 0


def copied(arrays: Sequence[Array], dtype: np.dtype[Any]) -> list[Array]:
    """Copies that native code may change: from a cache line on, with rows `pitch_of` apart.

    Parameters
    ----------
    arrays : sequence of array
    dtype : dtype

    Returns
    -------
    list of array
        In one room, or each by itself where they are small.
    """
    if sum(a.size for a in arrays) * dtype.itemsize < LITTLE:
        return [np.array(a, dtype, order="C") for a in arrays]
    size, places = _places(tuple(a.shape for a in arrays), dtype.itemsize)
    room = _aligned(np.empty(size + ALIGNMENT, np.uint8)).view(dtype)
    copies = []
    for array, (start, stop, shape, width) in zip(arrays, places, strict=True):
        copy = room[start:stop].reshape(shape)
        copies.append(copy[:, :width] if width else copy)
        copies[-1][...] = array
    return copies


Place = tuple[int, int, tuple[int, ...], int]
"""Where an array begins and ends, its shape with what is between its rows, and their width."""


@lru_cache(maxsize=64)
def _places(shapes: Sequence[tuple[int, ...]], item_bytes: int) -> tuple[int, list[Place]]:
    """Bytes of a room for arrays of some shapes, and their places in it, in elements."""
    places, at = [], 0
    for shape in shapes:
        pitch = pitch_of(shape, item_bytes)
        padded = (shape[0], pitch) if pitch else shape
        places.append((at, at + prod(padded), padded, shape[1] if pitch else 0))
        at += _rounded(prod(padded) * item_bytes) // item_bytes
    return at * item_bytes, places
