"""How far each thread has come, so that others wait for what they need and for nothing more.

At a barrier, threads lose what one of them is late by and the time that a cache line takes between
them. But what a piece of work needs of other threads was usually done some pieces ago. So each
thread says on a cache line of its own how many of the pieces it has done that others may wait for;
before a piece it is looked whether all have come far enough.

Examples
--------
>>> W, a, g = (Buffer(name, (9,), "float32", "state", panels=name == "a") for name in "Wag")
>>> forward, backward = Piece("panels", {W}, {a}), Piece("rows", {a}, {g})
>>> waits([forward, backward, Piece("rows", {g}, {W})])
[-1, 0, 1]
>>> waits([forward, backward, Piece("rows", {g}, {W})], alone=True)
[-1, None, 1]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.loops import Buffer, Nest
from thalweg.compiler.threads import split_kind, write_spin
from thalweg.compiler.whole import Whole

if TYPE_CHECKING:
    from thalweg.compiler.layout import Layout

__all__ = ["MARK_BYTES", "Piece", "Progress", "pieces_of", "waits"]

MARK_BYTES = 128
"""From one thread's mark to the next: processors fetch cache lines in pairs."""

NONE, ALL_DONE = Value("0", "i64"), Value(str(1 << 40), "i64")


@dataclass(frozen=True)
class Piece:
    """A piece of a step's work: how threads share it, and what it reads and writes.

    Kinds are those of `thalweg.compiler.threads.split_kind`, and ``half`` for a loop over the
    halves of a batch, which are always dealt out alike.
    """

    kind: str
    reads: set[Buffer]
    writes: set[Buffer]


def pieces_of(layout: Layout, nests: Sequence[Nest]) -> list[Piece]:
    """What is done for a batch, in the order in which it is written: rows, then these nests.

    With sums in halves, the nests are those of the halves.
    """

    def piece(nest: Nest) -> Piece:
        # What is stored in a part of a stack is stored in the stack.
        writes = {layout.stacks.get(b, b) for b in nest.writes()}
        return Piece(split_kind(nest), nest.reads(), writes)

    gathered = set().union(*(nest.writes() for nest in layout.gathers))
    rows = Piece("panels", set(), {layout.rows, layout.weight, *layout.keys} | gathered)
    halves = layout.halves
    if not halves:
        return [rows, *map(piece, nests)]
    small = [piece(nest) for nest in halves.small]
    reads = set().union(*(p.reads for p in small))
    writes = set().union(*(p.writes for p in small))
    before, after = layout.ungathered(halves.before), [*halves.first, *halves.after]
    return [rows, *map(piece, before), Piece("half", reads, writes), *map(piece, after)]


def waits(pieces: Sequence[Piece], alone: bool = False) -> list[int | None]:
    """How far all threads must be before each piece of a step that follows another such step.

    Parameters
    ----------
    pieces : sequence of Piece
        In the order in which every thread comes to them.
    alone : bool
        Whether no thread touches the panels of another.

    Returns
    -------
    list of int or None
        The last piece that they must have done, where a negative one is of the step before,
        counted from its end; None where that is known already.
    """
    touched: dict[Buffer, dict[tuple[str, bool, bool], int]] = {}
    found: list[int | None] = []
    known = -1
    for position, piece in enumerate([*pieces, *pieces]):
        again = position >= len(pieces)
        uses = [(b, False) for b in piece.reads] + [(b, True) for b in piece.writes]
        uses = [(b, writes) for b, writes in uses if not (alone and b.panels)]
        last = max(
            (
                at
                for buffer, writes in uses
                for (kind, written, before), at in touched.get(buffer, {}).items()
                if (writes or written) and not _own(piece.kind, kind, before == again)
            ),
            default=-1,
        )
        for buffer, writes in uses:
            touched.setdefault(buffer, {})[piece.kind, writes, again] = position
        found.append(last - len(pieces) if last > known else None)
        known = max(known, last)
    return found[len(pieces) :]


def _own(kind: str, other: str, same_step: bool) -> bool:
    """Whether what is touched was touched by the same thread; batches may differ in panels."""
    return kind == other and (kind in ("single", "half") or (kind == "panels" and same_step))


class Progress:
    """Writes the code by which threads say how far they are, and wait for each other.

    Parameters
    ----------
    code : Assembly
        Of a function with ``%thread`` and ``%threads``.
    marks : Value
        Pointer to `MARK_BYTES` for each thread.
    pieces : sequence of Piece
        Of a step.
    of_two : callable, optional
        Chooses between a number for two threads, that have panels of their own, and one for
        any other number of threads.
    """

    def __init__(
        self,
        code: Assembly,
        marks: Value,
        pieces: Sequence[Piece],
        of_two: Callable[[Value, Value], Value] | None = None,
    ) -> None:
        self.code, self.whole = code, Whole(code)
        self.marks, self.threads = marks, Value("%threads", "i64")
        self.own = self._mark(Value("%thread", "i64"))
        self.count = code.emit("ptr", "alloca i64, align 8", "x")
        self.of_two = of_two
        self.plans = [waits(pieces, alone) for alone in ((True, False) if of_two else (False,))]
        self.pieces, self.length, self.at = pieces, len(pieces), 0
        wanted = {piece for plan in self.plans for piece in plan if piece is not None}
        self.said = {piece % self.length for piece in wanted}

    def _mark(self, thread: Value) -> Value:
        distance = self.whole.times(thread, MARK_BYTES)
        return self.code.emit("ptr", f"getelementptr i8, {self.marks}, {distance}")

    def write_start(self) -> None:
        """Begin to count; all threads must meet before they go on."""
        self.code.do(f"store {NONE}, {self.count}")
        self.code.do(f"store atomic {NONE}, {self.own} monotonic, align 8")

    @contextmanager
    def around(self, nest: Nest | None = None) -> Iterator[None]:
        """Inside, the next piece is written: before it threads wait, after it they say so."""
        assert nest is None or nest.reads() == self.pieces[self.at].reads
        now = self._times_said(self.at)
        found = [(plan[self.at], self.threads) for plan in self.plans]
        backs = [
            (ALL_DONE, NONE)
            if piece is None
            else (Value(str(now - self._times_said(piece + 1)), "i64"), threads)
            for piece, threads in found
        ]
        if any(threads is not NONE for _, threads in backs):
            back, threads = backs[0]
            if self.of_two and backs[0] != backs[1]:
                back, threads = (self.of_two(*pair) for pair in zip(*backs, strict=True))
            self._write_wait(back, threads)
        yield
        if self.at in self.said:
            self._write_done()
        self.at = (self.at + 1) % self.length

    def _times_said(self, piece: int) -> int:
        """How often it was said by the begin of a piece, counted from the begin of the step."""
        steps, rest = divmod(piece, self.length)
        return steps * len(self.said) + sum(k < rest for k in self.said)

    def write_meeting(self) -> None:
        """Wait until all threads have come here."""
        self._write_done()
        self._write_wait(NONE, self.threads)

    def _write_done(self) -> None:
        before = self.code.emit("i64", f"load i64, {self.count}")
        now = self.whole.plus(before, 1)
        self.code.do(f"store {now}, {self.count}")
        self.code.do(f"store atomic {now}, {self.own} release, align 8")

    def _write_wait(self, back: Value, threads: Value) -> None:
        """Wait until so many threads have said it as often as this one, but for so many times."""
        done = self.code.emit("i64", f"load i64, {self.count}")
        wanted = self.whole.minus(done, back)

        def look(thread: Value, carried: Sequence[Value]) -> list[Value]:
            write_spin(self.code, self._mark(thread), f"icmp sge i64 {{seen}}, {wanted.text}")
            return []

        self.code.loop(NONE, threads, 1, look)
