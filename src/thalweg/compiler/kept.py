"""Rows that stay gathered from step to step.

A batch of all samples is the same at every step, unless their order changes. Its rows, laid out for
vectors, are then gathered once and kept: where the batch is worked off in blocks in memory of
their own, which the caller passes; else they stay where they are in the workspace.

What the caller passes begins with a line for a note: how many threads the rows were gathered by.
Another number of threads may look for them at other places, and so gathers them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.layout import LINE, Layout, rounded
from thalweg.compiler.loops import Buffer
from thalweg.compiler.whole import Whole

__all__ = ["KeptRows"]


class KeptRows:
    """Writes what decides whether rows are there, and where.

    Parameters
    ----------
    code : Assembly
    layout : Layout
    place : Value
        Pointer to what the caller passes; null if batches differ.
    threads : Value

    Attributes
    ----------
    same : Value
        Whether all batches are the same; as all other answers of type ``i1``.
    repeated : Value
        Whether this batch is the same as the one before it in this call.
    there : Value
        Whether its rows have been gathered, now or in an earlier call.
    """

    def __init__(self, code: Assembly, layout: Layout, place: Value, threads: Value) -> None:
        self.code, self.layout, self.place, self.threads = code, layout, place, threads
        self.same = code.emit("i1", f"icmp ne {place}, null")
        self.met = code.choose(self.same, self._read_note, lambda: Value("false", "i1"))
        self.repeated = self.there = self.met

    def _read_note(self) -> Value:
        found = self.code.emit("i64", f"load i64, {self.place}")
        return self.code.emit("i1", f"icmp eq {found}, {self.threads.text}")

    def write_batch(self, index: Value) -> None:
        """Begin with the batch of this number."""
        later = self.code.emit("i1", f"icmp sgt i64 {index.text}, %first")
        self.repeated = self._both(later, self.same)
        self.there = self.code.emit("i1", f"or {self.repeated}, {self.met.text}")

    def write_note(self, by_first: Callable[[Callable[[], None]], None]) -> None:
        """Once all threads have gathered their rows, one of them writes that down."""

        def note() -> None:
            self.code.do(f"store {self.threads}, {self.place}")

        self.code.when(self._both(self.same, self.new), lambda: by_first(note))

    @property
    def new(self) -> Value:
        """Whether the rows of this batch must be gathered."""
        return self._not(self.there)

    @property
    def different(self) -> Value:
        """Whether batches differ."""
        return self._not(self.same)

    def unless_repeated(self, body: Callable[[], None]) -> None:
        """What has been done for the batch before, if this one is the same."""
        self.code.when(self._not(self.repeated), body)

    def unless_same(self, number: Value) -> Value:
        """A number, or zero where all batches are the same."""
        return self.code.emit("i64", f"select {self.same}, i64 0, {number}")

    def unless_there(self, first: Value, last: Value) -> tuple[Value, Value]:
        """The panels from and to, none of them where rows are there."""
        return first, self.code.emit("i64", f"select {self.there}, {first}, {last}")

    def places(self, start: Value, own: Mapping[Buffer, Value]) -> dict[Buffer, Value]:
        """Where the block that begins with a sample finds what is kept, or else its `own`."""
        whole, lanes = Whole(self.code), self.layout.lanes
        panel, panels = whole.quotient(start, lanes), whole.parts(Value("%size", "i64"), lanes)
        found, before = {}, 0
        for buffer, here in own.items():
            at = whole.plus(whole.times(panels, before), whole.times(panel, buffer.bytes))
            at = whole.plus(at, LINE)
            there = self.code.emit("ptr", f"getelementptr i8, {self.place}, {at}")
            found[buffer] = self.code.emit("ptr", f"select {self.same}, {there}, {here}")
            before += rounded(buffer.bytes)
        return found

    def _both(self, one: Value, other: Value) -> Value:
        return self.code.emit("i1", f"and {one}, {other.text}")

    def _not(self, value: Value) -> Value:
        return self.code.emit("i1", f"xor {value}, true")
