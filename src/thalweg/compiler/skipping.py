"""Sums whose terms are zero where a factor is: only the others are added up.

Half of what comes out of a layer of ReLU is zero, and so is half of the derivatives that go back
through it. In a product with them, ``Σ_k a[i, k]·b[k, j]``, one row of sums stays in registers and
goes through the entries of its row of `a` that are not zero; each is multiplied with a row of `b`.
That row comes from memory every time, so a block of `b` (some entries k, some vectors j) has to
stay in the nearest cache until all rows i are through with it, and what their sums have come to
is kept for the next block.

Which numbers are not zero is seen as the bits of an integer; to find the next of them are two
instructions. The bits of the next row are there before this one is done: how many terms a row has
cannot be foreseen, so the processor starts anew with each of them, and should not have to wait
then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from thalweg.compiler.assembly import Builder, Value, llvm_type
from thalweg.compiler.loops import ITEM_BYTES, PANELS, Apply
from thalweg.compiler.segments import Segment, strips
from thalweg.compiler.whole import Whole

if TYPE_CHECKING:
    from thalweg.compiler.llvm import NestWriter

__all__ = ["BLOCK", "GROUP", "SkippingWriter"]

BLOCK = 32
"""Entries of a row that are looked at together, where they are not those of a panel."""

GROUP = 128
"""Rows whose sums over samples are kept from block to block, in the second cache."""

Offsets = tuple[int, ...]
ZERO = Value("0", "i64")


class SkippingWriter:
    """Writes the loops of a nest whose sum has a factor that is often zero.

    The rows are those of a sum over samples, or they are samples and the sum is that of one
    product for each of them, stored as it is.
    """

    def __init__(self, writer: NestWriter) -> None:
        self.w, self.nest, self.code = writer, writer.nest, writer.code
        self.whole = Whole(self.code)
        assert self.nest.skipping is not None
        self.factor, self.room = self.nest.skipping.factor.access, self.nest.skipping.room
        self.summed = self.nest.skipping.columns
        self.columns, self.terms = len(self.nest.axes) - 1, len(self.nest.extents) - 1
        self.rows = self.columns - 1
        (self.reduction,) = self.nest.reductions
        self.dtype = self.reduction.value.dtype
        self.element, self.size = llvm_type(self.dtype), ITEM_BYTES[self.dtype]

    def write(self) -> None:
        """Strip by strip of vectors, then block by block of terms, row by row."""
        over_samples = PANELS in self.nest.reduced
        body = self._groups if over_samples else self._blocks
        for part in strips(self.summed, self.nest.tiles[self.columns], self.nest.width):
            self.w.tile[self.columns], self.w.width = part.tile, part.width
            self.members = self.w.members()
            stop = part.stop
            if over_samples and stop > self.nest.axes[self.columns]:
                stop -= part.step
            start, self.left = part.start, part.step
            if stop > start:
                self._loop(self.columns, _number(start), _number(stop), part.step, body)
            if part.stop > stop:
                self.left = self.nest.axes[self.columns] - stop
                self._loop(self.columns, _number(stop), _number(part.stop), part.step, body)

    def _loop(
        self, axis: int, start: Value, stop: Value, step: int, body: Callable[[Value], None]
    ) -> None:
        """Run a body for some indices of an axis."""

        def inside(index: Value, carried: Sequence[Value]) -> list[Value]:
            with self.w.at(axis, index):
                body(index)
            return []

        if start.known and stop.known and int(start.text) + step == int(stop.text):
            inside(start, [])
        else:
            self.code.loop(start, stop, step, inside)

    # -- sums over samples ----------------------------------------------------------------------
    def _groups(self, _: Value) -> None:
        """Group by group of rows, each with all panels."""
        start, stop = ZERO, _number(self.nest.axes[self.rows])
        if self.w.share.rows is not None:
            start, stop = self.w.own_part(Segment(0, int(stop.text), 1, 1), self.w.share.rows)

        def group(first: Value, carried: Sequence[Value]) -> list[Value]:
            self._panels(first, self.whole.smaller(self.whole.plus(first, GROUP), stop))
            return []

        self.code.loop(start, stop, GROUP, group)

    def _panels(self, start: Value, stop: Value) -> None:
        """Some rows; where there are no samples, one panel is looked at and passed over."""
        code, (first, last) = self.code, self.w.share.panels
        some = code.emit("i1", f"icmp slt {first}, {last.text}")
        wanted = code.emit("i64", f"sext {some} to i64")
        final = self.whole.larger(self.whole.minus(last, 1), first)

        def panel(use: Callable[[Value, Sequence[Value]], None], index: Value) -> None:
            begin = code.emit("i1", f"icmp eq {index}, {first.text}")

            def row(index: Value, bits: Value) -> None:
                place = self._in_room(self.whole.minus(index, start))
                use(place, self._added(bits, begin, place))

            lanes = self.nest.extents[self.terms]
            self._each_row(start, stop, row, partial(self._bits, lanes, wanted))

        axis = self.terms - 1
        self._loop(axis, first, final, 1, partial(panel, self._keep))
        with self.w.at(axis, final):
            panel(lambda place, sums: self._finish(sums), final)

    def _in_room(self, row: Value) -> Value:
        return self._moved(self.w.bases[self.room], self.whole.times(row, self.room.shape[1]))

    def _finish(self, sums: Sequence[Value]) -> None:
        """Store what depends on a row's sums; those at its end in narrower vectors."""
        w, width = self.w, self.w.width
        whole = self.left // width
        parts = [(member, total, width) for member, total in zip(self.members, sums, strict=True)]
        groups = [parts[:whole]]
        if whole < len(parts):
            groups += [[part] for part in self._narrow(*parts[whole])]
        for group in groups:
            for member, total, _ in group:
                w.results[0, member[: w.count]] = total
            if group:
                w.width = group[0][2]
                w.finish([member for member, _, _ in group])
        w.width = width

    def _narrow(
        self, member: Offsets, total: Value, width: int
    ) -> Iterator[tuple[Offsets, Value, int]]:
        """What counts of the last vector, in vectors of ever fewer lanes."""
        at, left = 0, self.left % width
        while left:
            width //= 2
            if left >= width:
                lanes = ", ".join(f"i32 {at + k}" for k in range(width))
                part = self.code.emit(
                    f"<{width} x {self.element}>",
                    f"shufflevector {total}, {total.type} poison, <{width} x i32> <{lanes}>",
                )
                shifted = (*member[: self.columns], member[self.columns] + at)
                yield (*shifted, *member[self.columns + 1 :]), part, width
                at, left = at + width, left - width

    # -- products for each sample -------------------------------------------------------------
    def _blocks(self, _: Value) -> None:
        """Block by block of terms, each with all samples; their sums are where they are stored."""
        extent = self.nest.extents[self.terms]
        full = _number(extent // BLOCK * BLOCK)

        def block(length: int, start: Value) -> None:
            begin = self.code.emit("i1", f"icmp eq {start}, 0")
            first, last = self.w.share.own
            self._loop(0, first, last, 1, partial(self._samples, begin, length))

        self._loop(self.terms, ZERO, full, BLOCK, partial(block, BLOCK))
        if extent % BLOCK:
            with self.w.at(self.terms, full):
                block(extent % BLOCK, full)

    def _samples(self, begin: Value, length: int, _: Value) -> None:
        (store,) = self.nest.stores

        def row(_: Value, bits: Value) -> None:
            place = self.w.address(store.access, self.members[0], 0)
            self._keep(place, self._added(bits, begin, place))

        lanes = _number(self.nest.axes[self.rows])
        self._each_row(ZERO, lanes, row, partial(self._bits, length, None))

    # -- rows -----------------------------------------------------------------------------------
    def _each_row(
        self,
        start: Value,
        stop: Value,
        body: Callable[[Value, Value], None],
        bits: Callable[[], Value],
    ) -> None:
        """Run a body for some rows, with the bits that were found during the row before."""
        last = _number(self.nest.axes[self.rows] - 1)

        def found(index: Value) -> list[Value]:
            with self.w.at(self.rows, self.whole.smaller(index, last)):
                return [bits()]

        def row(index: Value, carried: Sequence[Value]) -> list[Value]:
            following = found(self.whole.plus(index, 1))
            with self.w.at(self.rows, index):
                body(index, carried[0])
            return following

        self.code.loop(start, stop, 1, row, found(start))

    def _bits(self, length: int, wanted: Value | None) -> Value:
        """Which entries of a row of the factor are not zero."""
        code, place = self.code, self.w.address(self.factor, (0,) * len(self.nest.extents), 0)
        width = 1 << (length - 1).bit_length()
        type = f"<{width} x {self.element}>"
        entries = code.emit(type, f"load {type}, {place}, align {self.size}")
        different = code.emit(f"<{width} x i1>", f"fcmp une {entries}, zeroinitializer")
        bits = code.emit(f"i{width}", f"bitcast {different} to i{width}")
        if width < 64:
            bits = code.emit("i64", f"zext {bits} to i64")
        if length < width:
            bits = code.emit("i64", f"and {bits}, {(1 << length) - 1}")
        return bits if wanted is None else code.emit("i64", f"and {bits}, {wanted.text}")

    def _added(self, bits: Value, begin: Value, place: Value) -> list[Value]:
        """What a row's sums, at a place, come to with the terms of a block that are not zero."""
        code, w = self.code, self.w
        sums = self._load(code.emit("ptr", f"select {begin}, ptr {self._zeros()}, {place}"))

        def term(_: Value, carried: Sequence[Value]) -> list[Value]:
            left, *sums = carried
            lane = code.emit("i64", f"call i64 @llvm.cttz.i64({left}, i1 true)")
            rest = code.emit("i64", f"and {left}, {self.whole.minus(left, 1).text}")
            with w.at(self.terms, lane):
                w.forget()
                return [rest, *map(self._term, self.members, sums)]

        code.declared["llvm.cttz.i64"] = "declare i64 @llvm.cttz.i64(i64, i1)"
        count = code.call("i64", "llvm.ctpop.i64", bits)
        _, *sums = code.loop(ZERO, count, 1, term, [bits, *sums])
        return sums

    def _term(self, member: Offsets, total: Value) -> Value:
        product = self.reduction.value
        assert isinstance(product, Apply)
        a, b = (self.w.value(x, member, self.w.width) for x in product.args)
        return Builder(self.code, self.w.width, self.dtype).fma(a, b, total)

    # -- where sums are ---------------------------------------------------------------------------
    def _zeros(self) -> str:
        """Where they begin."""
        count = self.room.shape[1]
        name = f"zeros{count}.{self.element}"
        zeros = f"constant [{count} x {self.element}] zeroinitializer, align 64"
        self.code.defined[name] = f"@{name} = internal {zeros}"
        return f"@{name}"

    def _moved(self, place: Value, step: Value) -> Value:
        return self.code.emit("ptr", f"getelementptr {self.element}, {place}, {step}")

    def _places(self, place: Value) -> list[Value]:
        steps = (_number(k * self.w.width) for k in range(len(self.members)))
        return [self._moved(place, step) for step in steps]

    def _load(self, place: Value) -> list[Value]:
        type = f"<{self.w.width} x {self.element}>"
        return [
            self.code.emit(type, f"load {type}, {p}, align {self.size}")
            for p in self._places(place)
        ]

    def _keep(self, place: Value, sums: Sequence[Value]) -> None:
        for total, where in zip(sums, self._places(place), strict=True):
            self.code.do(f"store {total}, {where}, align {self.size}")


def _number(n: int) -> Value:
    return Value(str(n), "i64")
