"""Epochs as one native function: the loop over batches around the nests of a step.

How the samples of a batch are worked off is one of four ways:

unrolled
    All at once, as one panel; see `thalweg.compiler.unrolled`.
whole
    All at once. Threads share panels, then the rows of the sums over samples.
blocked
    Block by block, each small enough for the cache; sums are added up from block to block.
chunked
    As a fixed number of chunks, each block by block, with sums and workspace of its own;
    threads take whole chunks, and the chunks' sums are added up in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from thalweg.compiler.assembly import Assembly, Value, llvm_type
from thalweg.compiler.clock import Clock, ClockWriter
from thalweg.compiler.denormals import without_denormals
from thalweg.compiler.llvm import MANY_NESTS, WHOLE, Share, write_nest
from thalweg.compiler.loops import ITEM_BYTES, PANELS, Buffer, Nest
from thalweg.compiler.memory import MemoryPlan
from thalweg.compiler.rows import Given, RowWriter
from thalweg.compiler.threads import BARRIER_BYTES, write_barrier, write_nests
from thalweg.compiler.whole import Whole

__all__ = ["ARGUMENTS", "GIVE_UP", "Layout", "write_epoch"]

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

FAR_BYTES = 1 << 20
"""Size of a table from which rows in random order are asked for ahead of time."""

ZERO = Value("0", "i64")
THREAD, THREADS = Value("%thread", "i64"), Value("%threads", "i64")


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
        For a sum of one chunk, the sums of all chunks.
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
    samples: Sequence[Buffer]
    keys: Sequence[Buffer]
    total: Buffer
    inverse: Buffer
    keep: Buffer
    clock: Clock | None
    losses: Sequence[Buffer]
    stacks: dict[Buffer, Buffer]
    chunks: int
    threaded: bool
    blocked: bool
    unrolled: bool

    @property
    def table(self) -> list[Buffer | str]:
        """What the caller's table points to, in this order."""
        own = ("weights", "order", "keys", "table", "rates", "losses", "trail", "work")
        return [*self.state, *self.sources, *own, *self.constants]

    @property
    def panel_inputs(self) -> list[Buffer]:
        """What is gathered for every panel."""
        return [self.rows, self.weight, *self.samples]

    @property
    def panel_bytes(self) -> int:
        """Workspace of one panel."""
        return sum(_rounded(b.bytes) for b in self.panel_inputs) + self.memory.per_panel

    def workspace_bytes(self, samples: int, threads: int) -> int:
        """Workspace for so many samples at once (a batch, or a block)."""
        panels = -(-samples // self.lanes)
        each = self.panel_bytes * panels + LINE
        stacks = sum(_rounded(b.bytes) for b in self.stacks.values())
        shared = BARRIER_BYTES + 3 * LINE + self.memory.fixed + stacks
        return shared + each * (threads if self.chunks else 1)


def write_epoch(nests: Sequence[Nest], layout: Layout, triple: str) -> Assembly:
    """Write the body of the function.

    Parameters
    ----------
    nests : sequence of Nest
        Of one step, in order.
    layout : Layout
    triple : str
        The kind of machine.

    Returns
    -------
    Assembly
    """
    code = Assembly(unrolling=layout.unrolled)
    without_denormals(code, triple, EpochWriter(code, nests, layout).write)
    return code


class Places(dict[Buffer, Value]):
    """Where buffers are; pointers that are made anew where they are needed keep no register."""

    def __init__(self) -> None:
        super().__init__()
        self.later: dict[Buffer, Callable[[], Value]] = {}

    def __missing__(self, buffer: Buffer) -> Value:
        return self.later[buffer]()


class EpochWriter:
    """Writes the loop over batches, and in it what is done for one."""

    def __init__(self, code: Assembly, nests: Sequence[Nest], layout: Layout) -> None:
        self.code, self.whole = code, Whole(code)
        self.layout = layout
        self.places = Places()
        self.early, self.sampled, self.late = phases(nests, set(layout.stacks.values()))
        self.apart = len(nests) > MANY_NESTS and not layout.unrolled
        given = {}
        for k, entry in enumerate(layout.table):
            if isinstance(entry, Buffer):
                self.places.later[entry] = partial(self._argument, k)
            else:
                given[entry] = self._argument(k)
        self.given = Given(given["weights"], given["order"], given["keys"])
        self.losses, self.trail, self.work = given["losses"], given["trail"], given["work"]
        self.clock = self._clock(layout.clock, given) if layout.clock else None
        if layout.unrolled:
            self._place_inside()
        else:
            self._place()

    def write(self) -> None:
        """Write everything."""
        self.batches = self.whole.parts(Value("%count", "i64"), Value("%size", "i64"))
        state = self.layout.state if self.layout.unrolled else ()
        outside = {buffer: self.places[buffer] for buffer in state}
        self.places |= {buffer: self._variable(buffer) for buffer in state}
        for buffer, place in outside.items():
            self._copy(buffer, place, self.places[buffer])
        if self.clock:
            self.clock.write_once()
        self.code.loop(Value("%first", "i64"), Value("%last", "i64"), 1, self._batch)
        for buffer, place in outside.items():
            self._copy(buffer, self.places[buffer], place)

    # -- where things are -------------------------------------------------------------------
    def _argument(self, number: int) -> Value:
        place = self.code.emit("ptr", f"getelementptr ptr, ptr %arguments, i64 {number}")
        return self.code.emit("ptr", f"load ptr, {place}", "b")

    def _clock(self, clock: Clock, given: Mapping[str, Value]) -> ClockWriter:
        for k, buffer in enumerate(clock.settings, start=1):
            self.places[buffer] = self._inside(given["table"], k * buffer.bytes)
        for buffer in clock.variables:
            self.places[buffer] = self._variable(buffer)
        return ClockWriter(self.code, clock, given["table"], given["rates"], self.places)

    def _place_inside(self) -> None:
        """Let everything that is not the caller's be a variable of the function."""
        layout = self.layout
        shared = (layout.inverse, layout.total)
        for buffer in (*layout.panel_inputs, *shared, *layout.memory.offsets):
            self.places[buffer] = self._variable(buffer)

    def _variable(self, buffer: Buffer) -> Value:
        element = llvm_type(buffer.dtype)
        return self.code.emit("ptr", f"alloca [{buffer.size} x {element}], align {LINE}", "x")

    def _copy(self, buffer: Buffer, source: Value, target: Value) -> None:
        name = "llvm.memcpy.p0.p0.i64"
        self.code.declared[name] = f"declare void @{name}(ptr, ptr, i64, i1)"
        self.code.do(f"call void @{name}({target}, {source}, i64 {buffer.bytes}, i1 false)")

    def _place(self) -> None:
        """Lay out the workspace: barrier, what is shared, then panels (of each thread)."""
        layout = self.layout
        self.room = Value("%block" if layout.blocked else "%size", "i64")
        self.most = self.whole.parts(self.room, layout.lanes)
        at = BARRIER_BYTES
        for buffer in (layout.inverse, layout.total):
            self.places[buffer] = self._inside(self.work, at)
            at += LINE
        for part, stack in layout.stacks.items():
            self.places.later[stack] = partial(self._inside, self.work, at)
            self.places.later[part] = partial(self._part, part, at)
            at += _rounded(stack.bytes)
        for buffer, (offset, _) in layout.memory.offsets.items():
            if not buffer.panels:
                self.places.later[buffer] = partial(self._inside, self.work, at + offset)
        at += layout.memory.fixed
        own = self._inside(self.work, at)
        if layout.chunks:
            each = self.whole.plus(self.whole.times(self.most, layout.panel_bytes), LINE)
            own = self._inside(own, self.whole.times(THREAD, each))
        self.places[layout.keep] = own
        own = self._inside(own, LINE)
        size = 0
        for buffer in layout.panel_inputs:
            self.places[buffer] = self._of_panels(own, size)
            size += _rounded(buffer.bytes)
        for buffer, (_, offset) in layout.memory.offsets.items():
            if buffer.panels:
                self.places.later[buffer] = partial(self._of_panels, own, size + offset)

    def _of_panels(self, base: Value, offset: int) -> Value:
        """An array of all panels that begins after `offset` bytes for each of them."""
        return self._inside(base, self.whole.times(self.most, offset))

    def _part(self, part: Buffer, at: int) -> Value:
        """The sum of the chunk at work."""
        distance = self.whole.plus(self.whole.times(self.chunk, part.bytes), at)
        return self._inside(self.work, distance)

    def _inside(self, base: Value, distance: int | Value) -> Value:
        text = f"i64 {distance}" if isinstance(distance, int) else str(distance)
        return self.code.emit("ptr", f"getelementptr i8, {base}, {text}")

    # -- one batch ----------------------------------------------------------------------------
    def _batch(self, index: Value, carried: Sequence[Value]) -> list[Value]:
        size, count = Value("%size", "i64"), Value("%count", "i64")
        epoch = self.whole.quotient(index, self.batches)
        first = self.whole.times(
            self.whole.minus(index, self.whole.times(epoch, self.batches)), size
        )
        begin = self.whole.plus(self.whole.times(epoch, count), first)
        self.left = self.whole.minus(count, first)
        samples = self.whole.smaller(self.left, size)
        total = self._numbers(index)
        rows = self._row_writer(total)
        if self.layout.unrolled:
            rows.write_panel(self.given, begin, samples)
            self._fetch(rows, begin, (ZERO, Value("1", "i64")))
            self._nests([*self.early, *self.late], WHOLE)
        else:
            rows.write_sum(self.given, begin, samples)
            self._all_samples(rows, begin, samples)
        if self.layout.trained:
            self._leave_trail(epoch)
        return []

    def _all_samples(self, rows: RowWriter, begin: Value, samples: Value) -> None:
        if self.layout.chunks:
            self._chunks(rows, begin, samples)
        elif self.layout.blocked:
            self._blocks(rows, begin, samples)
        else:
            nests = [*self.early, *self.sampled, *self.late]
            self._block(rows, begin, samples, nests)
        self._barrier()

    def _leave_trail(self, epoch: Value) -> None:
        """Copy the parameters after the last batch of an epoch, if the caller wants them."""
        code = self.code
        ended = code.emit("i1", f"icmp sle i64 {self.left.text}, %size")
        wanted = code.emit("i1", f"icmp ne {self.trail}, null")
        here = code.emit("i1", f"and i1 {ended.text}, {wanted.text}")

        def leave() -> None:
            parameters = self.layout.state[: self.layout.trained]
            row = self.whole.times(epoch, sum(b.bytes for b in parameters))
            for buffer in parameters:
                self._copy(buffer, self.places[buffer], self._inside(self.trail, row))
                row = self.whole.plus(row, buffer.bytes)

        def by_one() -> None:
            code.when(code.emit("i1", f"icmp eq {THREAD}, 0"), leave)
            self._barrier()

        code.when(here, by_one if self.layout.threaded else leave)

    def _block(self, rows: RowWriter, begin: Value, samples: Value, nests: Sequence[Nest]) -> None:
        """Gather some samples and run nests over them; threads share the panels."""
        panels = self.whole.parts(samples, self.layout.lanes)
        own = (ZERO, panels)
        if self.layout.threaded:
            own = self.whole.share(panels, THREAD, THREADS)
        rows.write_lanes(self.given, begin, samples, own)
        if not self.layout.blocked:
            self._fetch(rows, begin, own)
        self._nests(nests, Share((ZERO, panels), own))

    def _fetch(self, rows: RowWriter, begin: Value, own: tuple[Value, Value]) -> None:
        """Ask for the rows of the next batch, if the table is larger than the caches."""
        code, layout = self.code, self.layout
        sizes = [buffer.shape[1] * ITEM_BYTES[layout.dtype] for buffer in layout.sources]
        size = Value("%size", "i64")
        following = self.whole.plus(begin, size)
        left = self.whole.smaller(self.whole.minus(self.left, size), size)
        large = code.emit("i1", f"icmp sgt i64 %count, {FAR_BYTES // sum(sizes)}")

        def fetch() -> None:
            tables = [(self.places[b], size) for b, size in zip(layout.sources, sizes, strict=True)]
            rows.write_fetch(self.given, tables, following, left, own)

        code.when(large, fetch)

    def _blocks(self, rows: RowWriter, begin: Value, samples: Value) -> None:
        def block(start: Value, carried: Sequence[Value]) -> list[Value]:
            number = self.whole.smaller(self.whole.minus(samples, start), self.room)
            number = self._unless(GIVEN_UP, number)
            self._note_begin(start, ZERO)
            self._block(rows, self.whole.plus(begin, start), number, self.sampled)
            self.code.when(first, self._give_up)
            self._barrier()
            return []

        first = self.code.emit("i1", f"icmp eq {THREAD}, 0")

        self._nests(self.early, WHOLE)
        if self.early:
            self._barrier()
        self.code.loop(ZERO, samples, self.room, block)
        self._nests(self.late, WHOLE)

    def _chunks(self, rows: RowWriter, begin: Value, samples: Value) -> None:
        layout, code = self.layout, self.code
        count = Value(str(layout.chunks), "i64")
        self._nests(self.early, WHOLE)
        if self.early:
            self._barrier()
        panels = self.whole.parts(samples, self.layout.lanes)

        def chunk(number: Value, carried: Sequence[Value]) -> list[Value]:
            self.chunk = number
            ends = self.whole.share(panels, number, count)
            first, last = (self.whole.times(e, layout.lanes) for e in ends)
            last = self.whole.smaller(last, samples)

            def block(start: Value, carried: Sequence[Value]) -> list[Value]:
                left = self.whole.smaller(self.whole.minus(last, start), self.room)
                left = self._unless(GIVE_UP, left)
                self._note_begin(start, first)
                number = self.whole.parts(left, self.layout.lanes)
                rows.write_lanes(self.given, self.whole.plus(begin, start), left, (ZERO, number))
                for nest in self.sampled:
                    share = Share((ZERO, number), (ZERO, number))
                    write_nest(code, nest, self.places, share, self.apart)
                return []

            # A chunk without samples is run once, so that its sums are zero.
            code.loop(first, self.whole.larger(last, self.whole.plus(first, 1)), self.room, block)
            return []

        own = self.whole.share(count, THREAD, THREADS) if layout.threaded else (ZERO, count)
        code.loop(*own, 1, chunk)
        self._barrier()
        self._nests(self.late, WHOLE)

    def _unless(self, flag: int, samples: Value) -> Value:
        """So many samples, or none once the batch is no longer wanted."""
        value = self._flag(flag)
        wanted = self.code.emit("i1", f"icmp eq {value}, 0")
        return self.code.emit("i64", f"select {wanted}, {samples}, {ZERO}")

    def _give_up(self) -> None:
        """Tell all threads, which must agree, that there was a wish to give up, or none."""
        wish, place = self._flag(GIVE_UP), self._inside(self.work, GIVEN_UP)
        self.code.do(f"store atomic {wish}, {place} monotonic, align 1")

    def _flag(self, place: int) -> Value:
        return self.code.emit(
            "i8", f"load atomic i8, {self._inside(self.work, place)} monotonic, align 1"
        )

    def _nests(self, nests: Sequence[Nest], share: Share) -> None:
        barrier = self.work if self.layout.threaded else None
        write_nests(self.code, nests, self.places, share, self.apart, barrier)

    def _barrier(self) -> None:
        if self.layout.threaded:
            write_barrier(self.code, self.work, THREADS)

    def _note_begin(self, start: Value, first: Value) -> None:
        """Say whether sums are continued (1) or begun (0) in this block."""
        element = llvm_type(self.layout.dtype)
        begun = self.code.emit("i1", f"icmp eq i64 {start.text}, {first.text}")
        flag = self.code.emit(element, f"select {begun}, {element} 0.0, {element} 1.0")
        self.code.do(f"store {flag}, {self.places[self.layout.keep]}")

    def _row_writer(self, total: Value) -> RowWriter:
        layout = self.layout
        return RowWriter(
            self.code,
            layout.dtype,
            layout.lanes,
            rows=self.places[layout.rows],
            weight=self.places[layout.weight],
            keys=[self.places[key] for key in layout.keys],
            totals=[self.places[layout.total], total],
            inverse=self.places[layout.inverse],
        )

    def _numbers(self, index: Value) -> Value:
        """The step's numbers, and where its losses are put; the total's place."""
        layout, code = self.layout, self.code
        element = llvm_type(layout.dtype)

        if self.clock:
            self.clock.write_step(index)
        row = self.whole.times(index, 3)
        *losses, total = (
            code.emit("ptr", f"getelementptr {element}, {self.losses}, {self.whole.plus(row, k)}")
            for k in range(3)
        )
        self.places |= dict(zip(layout.losses, losses, strict=True))
        return total


def phases(nests: Sequence[Nest], stacks: set[Buffer]) -> tuple[list[Nest], list[Nest], list[Nest]]:
    """Nests before the samples, of the samples, and after all sums over samples."""
    early: list[Nest] = []
    sampled: list[Nest] = []
    late: list[Nest] = []
    summed = set(stacks)
    for nest in nests:
        if PANELS in nest.extents:
            sampled.append(nest)
            if PANELS in nest.reduced:
                summed |= nest.writes()
        elif nest.reads() & summed or any(b.role == "state" for b in nest.writes()):
            late.append(nest)
            summed |= nest.writes()
        else:
            early.append(nest)
    return early, sampled, late


def _rounded(count: int) -> int:
    return -(-count // LINE) * LINE
