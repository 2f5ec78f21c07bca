"""What native code for an epoch is given, and where in the workspace it keeps what.

The caller passes a table of pointers. The workspace begins with a barrier; then come the marks of
the threads, what is shared, and what there is for every panel of samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.compiler.clock import Clock
from thalweg.compiler.halves import Halves
from thalweg.compiler.loops import Buffer, Nest
from thalweg.compiler.memory import MemoryPlan
from thalweg.compiler.progress import MARK_BYTES
from thalweg.compiler.threads import BARRIER_BYTES

__all__ = ["ARGUMENTS", "GIVEN_UP", "GIVE_UP", "LINE", "Layout", "rounded"]

ARGUMENTS = (
    "ptr noalias %arguments, i64 %first, i64 %last, i64 %count, i64 %size, "
    "i64 %thread, i64 %threads, i64 %block"
)
"""Pointers (see `Layout.table`); batches from and to, counted through all epochs; samples in an
epoch and in a batch; which thread of how many; samples in a block."""

LINE = 64
"""Bytes of a cache line; every array begins at one."""

GIVE_UP = 72
"""The byte of the workspace that another thread sets when a batch is no longer wanted,"""

GIVEN_UP = 73
"""and the one by which the first thread tells the others before they go on together."""


@dataclass(frozen=True)
class Layout:
    """What the nests of a step work on.

    Attributes
    ----------
    dtype : str
    lanes : int
        Samples in a panel.
    memory : MemoryPlan
        Of the temporaries.
    state, sources, constants : sequence of Buffer
        Passed by the caller: what is changed in place, X and T, constants.
    trained : int
        Of the state so many, the first, are parameters that move.
    rows, weight : Buffer
        Row and weight of every lane.
    gathers : sequence of Nest
        What brings the rows of a batch into panels,
    gathered : sequence of Buffer
        and what other nests read of it.
    samples : sequence of Buffer
        Other values of samples that are gathered: x, t, and keys.
    keys : sequence of Buffer
        The keys among them, or none.
    total, inverse, keep : Buffer
        Sum of the weights of a batch, one divided by it, and whether sums are continued.
    clock : Clock or None
        The step's own numbers, if it has any.
    losses : sequence of Buffer
        Mean loss and penalty.
    stacks : mapping of Buffer to Buffer
        For a sum of one chunk or half, the sums of all of them.
    rooms : sequence of Buffer
        What each thread has of its own while a nest is at work; all begin at the same place.
    halves : Halves or None
        The nests, if sums over samples come in halves.
    chunks : int
        0 if the batch is not chunked.
    threaded, blocked, unrolled : bool
    """

    dtype: str
    lanes: int
    memory: MemoryPlan
    state: Sequence[Buffer]
    trained: int
    sources: Sequence[Buffer]
    constants: Sequence[Buffer]
    rows: Buffer
    weight: Buffer
    gathers: Sequence[Nest]
    gathered: Sequence[Buffer]
    samples: Sequence[Buffer]
    keys: Sequence[Buffer]
    total: Buffer
    inverse: Buffer
    keep: Buffer
    clock: Clock | None
    losses: Sequence[Buffer]
    stacks: dict[Buffer, Buffer]
    rooms: Sequence[Buffer]
    halves: Halves | None
    chunks: int
    threaded: bool
    blocked: bool
    unrolled: bool

    @property
    def marked(self) -> bool:
        """Whether threads wait for what they need, and not at barriers."""
        return self.threaded and not self.blocked

    @property
    def table(self) -> list[Buffer | str]:
        """What the caller's table points to, in this order."""
        own = ("weights", "order", "keys", "table", "rates", "losses", "trail", "work", "kept")
        return [*self.state, *self.sources, *own, *self.constants]

    @property
    def panel_inputs(self) -> list[Buffer]:
        """What is gathered for every panel."""
        return [self.rows, self.weight, *self.samples]

    def ungathered(self, nests: Sequence[Nest]) -> list[Nest]:
        """All but those that gather rows."""
        return [nest for nest in nests if nest not in self.gathers]

    @property
    def kept(self) -> list[Buffer]:
        """What need not be gathered again for a batch of the same samples in the same order."""
        return [self.weight, *self.gathered]

    def kept_bytes(self, samples: int) -> int:
        """Memory for a note and, of samples that are worked off in blocks, for what is kept."""
        panels = -(-samples // self.lanes) if self.blocked else 0
        return LINE + panels * sum(rounded(b.bytes) for b in self.kept)

    @property
    def panel_bytes(self) -> int:
        """Workspace of one panel."""
        return sum(rounded(b.bytes) for b in self.panel_inputs) + self.memory.per_panel

    @property
    def mark_bytes(self) -> int:
        """Workspace for the mark of a thread, if it has one."""
        return MARK_BYTES if self.marked else 0

    @property
    def room_bytes(self) -> int:
        """Workspace for the rooms of a thread."""
        return max((rounded(buffer.bytes) for buffer in self.rooms), default=0)

    def workspace_bytes(self, samples: int, threads: int) -> int:
        """Workspace for so many samples at once (a batch, or a block)."""
        panels = -(-samples // self.lanes)
        each = self.panel_bytes * panels + LINE
        stacks = sum(rounded(b.bytes) for b in self.stacks.values())
        shared = BARRIER_BYTES + LINE + self.memory.fixed + stacks
        shared += threads * (self.mark_bytes + self.room_bytes)
        regions = threads if self.chunks else min(threads, 2) if self.halves else 1
        return shared + each * regions


def rounded(count: int) -> int:
    """The next multiple of a cache line."""
    return -(-count // LINE) * LINE
