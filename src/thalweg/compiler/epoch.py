"""Epochs as one native function: the loop over batches around the nests of a step.

How the samples of a batch are worked off is one of five ways:

unrolled
    All at once, as one panel; see `thalweg.compiler.unrolled`.
whole
    All at once. Threads share panels, then the rows of the sums over samples.
halved
    The same with sums over half of the samples each; see `thalweg.compiler.halves`.
blocked
    Block by block, each small enough for the cache; sums are added up from block to block.
chunked
    As a fixed number of chunks, each block by block, with sums and workspace of its own;
    threads take whole chunks, and the chunks' sums are added up in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from math import prod

from thalweg.compiler.assembly import Assembly, Value, llvm_type
from thalweg.compiler.clock import Clock, ClockWriter
from thalweg.compiler.denormals import without_denormals
from thalweg.compiler.halves import Halves
from thalweg.compiler.kept import KeptRows
from thalweg.compiler.layout import GIVE_UP, GIVEN_UP, LINE, Layout, rounded
from thalweg.compiler.llvm import MANY_NESTS, NONE, WHOLE, Share, write_nest
from thalweg.compiler.loops import ITEM_BYTES, Buffer, Nest
from thalweg.compiler.phases import phases
from thalweg.compiler.progress import Progress, pieces_of
from thalweg.compiler.rows import Given, RowWriter
from thalweg.compiler.threads import (
    BARRIER_BYTES,
    Barriers,
    Order,
    write_barrier,
    write_nests,
)
from thalweg.compiler.whole import Whole

__all__ = ["write_epoch"]

FAR_BYTES = 1 << 20
"""Size of a table from which rows in random order are asked for ahead of time."""

Panels = tuple[Value, Value]
ZERO, ONE, TWO = (Value(str(n), "i64") for n in range(3))
THREAD, THREADS = Value("%thread", "i64"), Value("%threads", "i64")


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
        nests = layout.ungathered(nests)
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
        self.shared, self.kept_place = self.work, given["kept"]
        self.thread, self.threads = (THREAD, THREADS) if layout.threaded else (ZERO, ONE)
        self.clock = self._clock(layout.clock, given) if layout.clock else None
        for buffer in (layout.inverse, layout.total, layout.keep):  # every thread has its own
            self.places[buffer] = self._variable(buffer)
        self.progress = self._marks() if layout.marked else None
        if layout.unrolled:
            self._place_inside()
        else:
            self._place()
            self.own = {buffer: self.places[buffer] for buffer in layout.kept}

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
        self.kept = KeptRows(self.code, self.layout, self.kept_place, self.threads)
        if self.progress:
            self.progress.write_start()
            write_barrier(self.code, self.work, THREADS)
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

    def _marks(self) -> Progress:
        halved = self.layout.halves is not None
        marks = self._inside(self.work, BARRIER_BYTES)
        pieces = pieces_of(self.layout, (*self.early, *self.sampled, *self.late))
        return Progress(self.code, marks, pieces, self._of_two if halved else None)

    def _around(self, nest: Nest | None = None) -> AbstractContextManager[None]:
        """Inside, a piece of work is written."""
        return self.progress.around(nest) if self.progress else nullcontext()

    def _place_inside(self) -> None:
        """Let everything that is not the caller's be a variable of the function."""
        for buffer in (*self.layout.panel_inputs, *self.layout.memory.offsets):
            self.places[buffer] = self._variable(buffer)

    def _variable(self, buffer: Buffer) -> Value:
        element = llvm_type(buffer.dtype)
        return self.code.emit("ptr", f"alloca [{buffer.size} x {element}], align {LINE}", "x")

    def _copy(self, buffer: Buffer, source: Value, target: Value) -> None:
        name = "llvm.memcpy.p0.p0.i64"
        self.code.declared[name] = f"declare void @{name}(ptr, ptr, i64, i1)"
        self.code.do(f"call void @{name}({target}, {source}, i64 {buffer.bytes}, i1 false)")

    def _place(self) -> None:
        """Lay out the workspace: barrier, what is shared, then panels (of each thread).

        Threads that need no panels of each other have them apart: where those of one end, the
        processor would fetch ahead what the other is about to write.
        """
        layout = self.layout
        self.room = Value("%block" if layout.blocked else "%size", "i64")
        self.most = self.whole.parts(self.room, layout.lanes)
        at = BARRIER_BYTES
        if layout.marked or layout.rooms:
            given = layout.mark_bytes + layout.room_bytes
            self.shared = self._inside(self.work, self.whole.times(self.threads, given))
            rooms = self._inside(self.work, self.whole.times(self.threads, layout.mark_bytes))
            rooms = self._inside(rooms, self.whole.times(self.thread, layout.room_bytes))
            self.places |= dict.fromkeys(layout.rooms, self._inside(rooms, at))
        for part, stack in layout.stacks.items():
            self.places.later[stack] = partial(self._inside, self.shared, at)
            self.places.later[part] = partial(self._part, part, at)
            at += rounded(stack.bytes)
        for buffer, (offset, _) in layout.memory.offsets.items():
            if not buffer.panels:
                self.places.later[buffer] = partial(self._inside, self.shared, at + offset)
        at += layout.memory.fixed
        own = self._inside(self.shared, at)
        if layout.chunks or layout.halves:
            each = self.whole.plus(self.whole.times(self.most, layout.panel_bytes), LINE)
            number = THREAD if layout.chunks else self._of_two(THREAD, ZERO)
            own = self._inside(own, self.whole.times(number, each))
        size = 0
        for buffer in layout.panel_inputs:
            self.places[buffer] = self._of_panels(own, size)
            size += rounded(buffer.bytes)
        for buffer, (_, offset) in layout.memory.offsets.items():
            if buffer.panels:
                self.places.later[buffer] = partial(self._of_panels, own, size + offset)

    def _of_two(self, then: Value, otherwise: Value) -> Value:
        """One of two numbers: for exactly two threads, and for any other number of them."""
        if not self.layout.threaded:
            return otherwise
        two = self.code.emit("i1", f"icmp eq {THREADS}, 2")
        return self.code.emit("i64", f"select {two}, {then}, {otherwise}")

    def _of_panels(self, base: Value, offset: int) -> Value:
        """An array of all panels that begins after `offset` bytes for each of them."""
        return self._inside(base, self.whole.times(self.most, offset))

    def _part(self, part: Buffer, at: int) -> Value:
        """The sum of the chunk at work."""
        distance = self.whole.plus(self.whole.times(self.chunk, part.bytes), at)
        return self._inside(self.shared, distance)

    def _inside(self, base: Value, distance: int | Value) -> Value:
        text = f"i64 {distance}" if isinstance(distance, int) else str(distance)
        return self.code.emit("ptr", f"getelementptr i8, {base}, {text}")

    def _copy_rows(self, buffer: Buffer, target: Value) -> None:
        """Copy an array without what there is between its rows."""
        if not buffer.pitch:
            self._copy(buffer, self.places[buffer], target)
            return
        item, (rows, width) = ITEM_BYTES[buffer.dtype], buffer.shape
        row = Buffer("row", (width,), buffer.dtype, "state")
        source = self.places[buffer]

        def copy(index: Value, carried: Sequence[Value]) -> list[Value]:
            steps = (self.whole.times(index, n * item) for n in (buffer.pitch, width))
            places = map(self._inside, (source, target), steps)
            self._copy(row, *places)
            return []

        self.code.loop(ZERO, Value(str(rows), "i64"), 1, copy)

    # -- one batch ----------------------------------------------------------------------------
    def _batch(self, index: Value, carried: Sequence[Value]) -> list[Value]:
        size, count = Value("%size", "i64"), Value("%count", "i64")
        epoch = self.whole.quotient(index, self.batches)
        first = self.whole.times(
            self.whole.minus(index, self.whole.times(epoch, self.batches)), size
        )
        begin = self.whole.plus(self.kept.unless_same(self.whole.times(epoch, count)), first)
        self.left = self.whole.minus(count, first)
        samples = self.whole.smaller(self.left, size)
        total = self._numbers(index)
        rows = self._row_writer()
        if self.layout.unrolled:
            rows.write_panel(self.given, begin, samples)
            self._leave_total(total)
            self._fetch(rows, begin, (ZERO, Value("1", "i64")))
            self._nests([*self.early, *self.late], WHOLE)
        else:
            self.kept.write_batch(index)
            self.kept.unless_repeated(partial(rows.write_sum, self.given, begin, samples))
            self._by_first(partial(self._leave_total, total))
            self._all_samples(rows, begin, samples)
            self.kept.write_note(self._by_first)
        if self.layout.trained:
            self._leave_trail(epoch)
        return []

    def _all_samples(self, rows: RowWriter, begin: Value, samples: Value) -> None:
        if self.layout.chunks:
            self._chunks(begin, samples)
        elif self.layout.halves:
            self._halves(self.layout.halves, rows, begin, samples)
        elif self.layout.blocked:
            self._blocks(begin, samples)
        else:
            nests = [*self.early, *self.sampled, *self.late]
            self._block(rows, begin, samples, nests)
        if not self.progress:
            self._barrier()

    def _leave_trail(self, epoch: Value) -> None:
        """Copy the parameters after the last batch of an epoch, if the caller wants them."""
        code = self.code
        ended = code.emit("i1", f"icmp sle i64 {self.left.text}, %size")
        wanted = code.emit("i1", f"icmp ne {self.trail}, null")
        here = code.emit("i1", f"and i1 {ended.text}, {wanted.text}")

        def leave() -> None:
            parameters = self.layout.state[: self.layout.trained]
            sizes = [prod(b.shape) * ITEM_BYTES[b.dtype] for b in parameters]
            at = self.whole.times(epoch, sum(sizes))
            for buffer, size in zip(parameters, sizes, strict=True):
                self._copy_rows(buffer, self._inside(self.trail, at))
                at = self.whole.plus(at, size)

        def by_first() -> None:
            if self.progress:
                self._barrier()
            self._by_first(leave)
            self._barrier()

        code.when(here, by_first)

    def _leave_total(self, place: Value) -> None:
        """Note the sum of the weights of a batch where the caller wants it."""
        element = llvm_type(self.layout.dtype)
        total = self.code.emit(element, f"load {element}, {self.places[self.layout.total]}")
        self.code.do(f"store {total}, {place}")

    def _by_first(self, body: Callable[[], None]) -> None:
        """What only the first thread does."""
        if self.layout.threaded:
            self.code.when(self.code.emit("i1", f"icmp eq {THREAD}, 0"), body)
        else:
            body()

    def _block(self, rows: RowWriter, begin: Value, samples: Value, nests: Sequence[Nest]) -> None:
        """Gather some samples and run nests over them; threads share the panels."""
        panels = self.whole.parts(samples, self.layout.lanes)
        own = (ZERO, panels)
        if self.layout.threaded:
            own = self.whole.share(panels, THREAD, THREADS)
        barriers = None if self.progress else self._barriers()
        self._gather(rows, begin, samples, own, barriers)
        if not self.layout.blocked:
            self._fetch(rows, begin, own)
        share, order = Share((ZERO, panels), own, samples=samples), self.progress or barriers
        write_nests(self.code, nests, self.places, share, self.apart, order)

    def _gather(
        self, rows: RowWriter, begin: Value, samples: Value, own: Panels, order: Order | None = None
    ) -> None:
        """Bring the rows of some panels there, unless they are there."""
        new = self.kept.unless_there(*own)
        share = Share(NONE, new, samples=samples)
        with self._around():
            rows.write_lanes(self.given, begin, samples, new)
            write_nests(self.code, self.layout.gathers, self.places, share, self.apart, order)

    def _fetch(self, rows: RowWriter, begin: Value, own: Panels) -> None:
        """Ask for the rows of the next batch, if the table is larger than the caches."""
        code, layout = self.code, self.layout
        sizes = [buffer.shape[1] * ITEM_BYTES[layout.dtype] for buffer in layout.sources]
        size = Value("%size", "i64")
        following = self.whole.plus(begin, size)
        left = self.whole.smaller(self.whole.minus(self.left, size), size)
        large = code.emit("i1", f"icmp sgt i64 %count, {FAR_BYTES // sum(sizes)}")
        large = code.emit("i1", f"and {large}, {self.kept.different.text}")

        def fetch() -> None:
            tables = [(self.places[b], size) for b, size in zip(layout.sources, sizes, strict=True)]
            rows.write_fetch(self.given, tables, following, left, own)

        code.when(large, fetch)

    def _halves(self, halves: Halves, rows: RowWriter, begin: Value, samples: Value) -> None:
        """Of two threads each has half of the samples, and begins with the rows of the other."""
        code, whole = self.code, self.whole
        thread, threads = self.thread, self.threads
        self._block(rows, begin, samples, self.layout.ungathered(halves.before))
        panels = whole.parts(samples, self.layout.lanes)

        def half(number: Value, carried: Sequence[Value]) -> list[Value]:
            self.chunk = number
            share = Share(whole.share(panels, number, 2), NONE, samples=samples)
            write_nests(code, halves.small, self.places, share, self.apart)
            return []

        with self._around():
            code.loop(*whole.share(TWO, thread, threads), 1, half)
        first, second = (whole.share(panels, self._of_two(thread, n), 2) for n in (ZERO, ONE))
        rest = self._of_two(whole.minus(1, thread), thread)
        split = (rest, threads) if self.layout.threaded else None
        for nest in halves.first:
            share = Share(first, NONE, split, samples)
            with self._around(nest):
                write_nest(code, nest, self.places, share, self.apart)
        self._nests(halves.after, Share(second, NONE, samples=samples))

    def _blocks(self, begin: Value, samples: Value) -> None:
        def block(start: Value, carried: Sequence[Value]) -> list[Value]:
            number = self.whole.smaller(self.whole.minus(samples, start), self.room)
            number = self._unless(GIVEN_UP, number)
            self._note_begin(start, ZERO)
            self.places |= self.kept.places(start, self.own)
            self._block(self._row_writer(), self.whole.plus(begin, start), number, self.sampled)
            self.code.when(first, self._give_up)
            self._barrier()
            return []

        first = self.code.emit("i1", f"icmp eq {THREAD}, 0")

        self._nests(self.early, WHOLE)
        if self.early:
            self._barrier()
        self.code.loop(ZERO, samples, self.room, block)
        self._nests(self.late, WHOLE)

    def _chunks(self, begin: Value, samples: Value) -> None:
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
                self.places |= self.kept.places(start, self.own)
                rows, at = self._row_writer(), self.whole.plus(begin, start)
                self._gather(rows, at, left, (ZERO, number))
                for nest in self.sampled:
                    share = Share((ZERO, number), (ZERO, number), samples=left)
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
        order = self.progress or self._barriers()
        write_nests(self.code, nests, self.places, share, self.apart, order)

    def _barriers(self) -> Barriers | None:
        return Barriers(self.code, self.work) if self.layout.threaded else None

    def _barrier(self) -> None:
        if self.progress:
            self.progress.write_meeting()
        elif self.layout.threaded:
            write_barrier(self.code, self.work, THREADS)

    def _note_begin(self, start: Value, first: Value) -> None:
        """Say whether sums are continued (1) or begun (0) in this block."""
        element = llvm_type(self.layout.dtype)
        begun = self.code.emit("i1", f"icmp eq i64 {start.text}, {first.text}")
        flag = self.code.emit(element, f"select {begun}, {element} 0.0, {element} 1.0")
        self.code.do(f"store {flag}, {self.places[self.layout.keep]}")

    def _row_writer(self) -> RowWriter:
        layout = self.layout
        return RowWriter(
            self.code,
            layout.dtype,
            layout.lanes,
            rows=self.places[layout.rows],
            weight=self.places[layout.weight],
            keys=[self.places[key] for key in layout.keys],
            total=self.places[layout.total],
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
