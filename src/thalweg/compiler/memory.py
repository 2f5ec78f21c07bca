"""Where temporaries live: one workspace, planned once, places reused when a value is dead.

Nothing is allocated while a program runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.compiler.loops import Buffer, Nest

__all__ = ["MemoryPlan", "plan_memory", "workspace"]

Array = NDArray[Any]
ALIGNMENT = 64


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
        for access in nest.accesses():  # in an order that is the same in every process
            buffer = access.buffer
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
    room = np.zeros(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size]
