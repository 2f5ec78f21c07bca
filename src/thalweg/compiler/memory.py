"""Where temporaries live: one workspace, planned once, places reused when a value is dead.

Nothing is allocated while a program runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.compiler.loops import Buffer, Nest

__all__ = ["MemoryPlan", "plan_memory"]

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
        for buffer in nest.reads() | nest.writes():
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
    placed: dict[Buffer, int] = {}
    size = 0
    for buffer in sorted(buffers, key=lambda b: (-b.bytes, first[b])):
        length = _rounded(buffer.bytes)
        busy = sorted(
            (placed[other], placed[other] + _rounded(other.bytes))
            for other in placed
            if not reuse or (first[other] <= last[buffer] and first[buffer] <= last[other])
        )
        at = 0
        for start, stop in busy:
            if at + length <= start:
                break
            at = max(at, stop)
        placed[buffer] = at
        size = max(size, at + length)
    return placed, size


def _rounded(count: int) -> int:
    return -(-max(count, 1) // ALIGNMENT) * ALIGNMENT
