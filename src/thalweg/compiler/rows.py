"""Which row of the data is in which lane of a batch, and with what weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.compiler.assembly import Assembly, Value, llvm_type
from thalweg.compiler.loops import ITEM_BYTES
from thalweg.compiler.reductions import across_all, combine
from thalweg.compiler.whole import Whole

__all__ = ["Given", "RowWriter"]


LINE = 64
"""Bytes of a cache line."""

SUMS = 8
"""Of weights, so that one addition need not wait for the other."""

MOST_LINES = 4
"""Of a long row that are asked for; the processor itself sees where that leads."""


@dataclass(frozen=True)
class Given:
    """Pointers to what the caller passes: weights of rows, the order of rows, their keys."""

    weights: Value
    order: Value
    keys: Value


@dataclass(frozen=True)
class RowWriter:
    """Writes the code that chooses the rows of a batch.

    Attributes
    ----------
    code : Assembly
    dtype : str
        Of weights.
    lanes : int
        In a panel.
    rows, weight : Value
        Pointers: a row and a weight for each lane of each panel.
    keys : sequence of Value
        A pointer to the keys of the lanes, or none.
    total : Value
        Pointer to where the sum of the weights is put,
    inverse : Value
        and one divided by it.
    """

    code: Assembly
    dtype: str
    lanes: int
    rows: Value
    weight: Value
    keys: Sequence[Value]
    total: Value
    inverse: Value

    @property
    def whole(self) -> Whole:
        """Arithmetic of places."""
        return Whole(self.code)

    def write_sum(self, given: Given, begin: Value, samples: Value) -> None:
        """The total weight of the samples from `begin`, and one divided by it."""
        code, whole, element = self.code, self.whole, llvm_type(self.dtype)

        def add(index: Value, sums: Sequence[Value]) -> list[Value]:
            places = [whole.plus(begin, whole.plus(index, k)) for k in range(len(sums))]
            rows = [self._load("i64", given.order, place) for place in places]
            weights = [self._load(element, given.weights, row) for row in rows]
            return [self._sum(a, b) for a, b in zip(sums, weights, strict=True)]

        zero = Value("0.0", element)
        even = whole.times(whole.quotient(samples, SUMS), SUMS)
        sums = code.loop(Value("0", "i64"), even, SUMS, add, [zero] * SUMS)
        while len(sums) > 1:
            sums = [self._sum(a, b) for a, b in zip(sums[::2], sums[1::2], strict=True)]
        self._write_total(*code.loop(even, samples, 1, add, sums))

    def _sum(self, a: Value, b: Value) -> Value:
        return self.code.emit(a.type, f"fadd {a}, {b.text}")

    def _write_total(self, total: Value) -> None:
        code, element = self.code, llvm_type(self.dtype)
        positive = code.emit("i1", f"fcmp ogt {total}, 0.0")
        divisor = code.emit(element, f"select {positive}, {total}, {element} 1.0")
        inverse = code.emit(element, f"fdiv {element} 1.0, {divisor.text}")
        code.do(f"store {total}, {self.total}")
        code.do(f"store {inverse}, {self.inverse}")

    def write_panel(self, given: Given, begin: Value, samples: Value) -> None:
        """Total weight, rows, weights and keys of a batch that is a single panel."""
        code = self.code
        width = self.lanes & -self.lanes
        last = self.whole.minus(samples, 1)
        weights = []
        for start in range(0, self.lanes, width):
            lanes = range(start, start + width)
            loaded = self._loaded(given, begin, last, lanes)
            weights.append(self._only(loaded, lanes, samples))
            place = code.emit(
                "ptr", f"getelementptr {llvm_type(self.dtype)}, {self.weight}, i64 {start}"
            )
            code.do(f"store {weights[-1]}, {place}, align {ITEM_BYTES[self.dtype]}")
        (total,) = across_all(code, "sum", [combine(code, "sum", weights)])
        self._write_total(code.emit(llvm_type(self.dtype), f"extractelement {total}, i32 0"))

    def _loaded(self, given: Given, begin: Value, last: Value, lanes: range) -> Value:
        """The weights of some lanes; their rows and keys are stored."""
        code, element = self.code, llvm_type(self.dtype)
        loaded = Value("poison", f"<{len(lanes)} x {element}>")
        for k, lane in enumerate(lanes):
            index = Value(str(lane), "i64")
            at = self.whole.plus(begin, self.whole.smaller(index, last))
            row = self._load("i64", given.order, at)
            self._store(row, self.rows, index)
            for place in self.keys:
                self._store(self._load("i64", given.keys, at), place, index)
            weight = self._load(element, given.weights, row)
            loaded = code.emit(loaded.type, f"insertelement {loaded}, {weight}, i32 {k}")
        return loaded

    def _only(self, weights: Value, lanes: range, samples: Value) -> Value:
        """The weights of the lanes that have a sample of their own, and zeros."""
        code, width = self.code, len(lanes)
        type = f"<{width} x i64>"
        one = code.emit(type, f"insertelement {type} poison, {samples}, i32 0")
        all_ = code.emit(
            type, f"shufflevector {one}, {type} poison, <{width} x i32> zeroinitializer"
        )
        numbers = ", ".join(f"i64 {lane}" for lane in lanes)
        inside = code.emit(f"<{width} x i1>", f"icmp slt {type} <{numbers}>, {all_.text}")
        return code.emit(
            weights.type, f"select {inside}, {weights}, {weights.type} zeroinitializer"
        )

    def write_lanes(
        self, given: Given, begin: Value, samples: Value, panels: tuple[Value, Value]
    ) -> None:
        """Row, weight and key of every lane of some panels; lanes too many repeat the last
        sample with weight zero.
        """
        code, element = self.code, llvm_type(self.dtype)
        start, stop = (self._lanes_of(p) for p in panels)
        last = self.whole.minus(samples, 1)

        def lane(index: Value, carried: Sequence[Value]) -> list[Value]:
            inside = code.emit("i1", f"icmp slt i64 {index.text}, {samples.text}")
            safe = code.emit("i64", f"select {inside}, {index}, {last}")
            at = self.whole.plus(begin, safe)
            row = self._load("i64", given.order, at)
            self._store(row, self.rows, index)
            for place in self.keys:
                self._store(self._load("i64", given.keys, at), place, index)
            weight = self._load(element, given.weights, row)
            used = code.emit(element, f"select {inside}, {weight}, {element} 0.0")
            self._store(used, self.weight, index)
            return []

        code.loop(start, stop, 1, lane)

    def write_fetch(
        self,
        given: Given,
        tables: Sequence[tuple[Value, int]],
        begin: Value,
        samples: Value,
        panels: tuple[Value, Value],
    ) -> None:
        """Ask for the rows of some panels that will be needed soon, where a row is seldom near.

        Parameters
        ----------
        given : Given
        tables : sequence of (Value, int)
            Pointers to arrays of rows, and bytes of a row.
        begin, samples : Value
            Place of the first sample in the order, and how many there are.
        panels : (Value, Value)
        """
        code = self.code
        start, stop = (self._lanes_of(p) for p in panels)
        stop = self.whole.smaller(stop, samples)

        def sample(index: Value, carried: Sequence[Value]) -> list[Value]:
            row = self._load("i64", given.order, self.whole.plus(begin, index))
            for table, size in tables:
                first = self.whole.times(row, size)
                for line in range(0, min(size, MOST_LINES * LINE), LINE):
                    at = self.whole.plus(first, line)
                    code.prefetch(code.emit("ptr", f"getelementptr i8, {table}, {at}"))
            return []

        code.loop(start, stop, 1, sample)

    def _lanes_of(self, panels: Value) -> Value:
        if panels.known:
            return Value(str(int(panels.text) * self.lanes), "i64")
        return self.whole.times(panels, self.lanes)

    def _load(self, type: str, pointer: Value, index: Value) -> Value:
        place = self.code.emit("ptr", f"getelementptr {type}, {pointer}, {index}")
        return self.code.emit(type, f"load {type}, {place}")

    def _store(self, value: Value, pointer: Value, index: Value) -> None:
        place = self.code.emit("ptr", f"getelementptr {value.type}, {pointer}, {index}")
        self.code.do(f"store {value}, {place}")
