"""The loops of a nest over its reduced axes, and how partial results become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.compiler.assembly import Assembly, Builder, Value
from thalweg.compiler.loops import PANELS, Apply, Reduction
from thalweg.compiler.lowering import identity
from thalweg.compiler.whole import Whole

if TYPE_CHECKING:
    from thalweg.compiler.llvm import NestWriter

__all__ = ["ReductionWriter", "across_all", "combine"]

Offsets = tuple[int, ...]


@dataclass(frozen=True)
class Sum:
    """What is kept in a register while a reduction runs.

    Attributes
    ----------
    number : int
        Of the reduction.
    member : tuple of int
        Of the tile: where its terms are taken from.
    members : list of tuple of int
        All those that it is the result of.
    """

    number: int
    member: Offsets
    members: list[Offsets]


class ReductionWriter:
    """The loops over the reduced axes, with the sums of every member of the tile in registers.

    Sums of lanes are kept apart until the end where the vector axis is reduced itself; what is
    left over of that axis is added in shorter vectors with sums of their own. With unrolling,
    several sums are kept and added up at the end, in a fixed order.
    """

    def __init__(self, writer: NestWriter, members: Sequence[Offsets]) -> None:
        self.w = writer
        self.nest = writer.nest
        self.members = members
        self.sums = self._sums()
        self.panel: Value | None = None
        nest = self.nest
        count = len(nest.axes)
        self.horizontal = nest.vector is not None and nest.vector >= count
        order = list(range(count, len(nest.extents)))
        if self.horizontal and nest.vector is not None:
            order.remove(nest.vector)
            order.append(nest.vector)
        self.order = order
        self.wide = nest.width if self.horizontal else writer.width
        last = order[-1]
        extent = nest.extents[last]
        step = self.wide if self.horizontal else 1
        self.unroll = max(1, min(nest.unroll, extent // step if extent != PANELS else 1))
        self.rest = _powers(extent % step) if self.horizontal else []

    def _sums(self) -> list[Sum]:
        """One for each reduction and member, or for several members that it does not tell apart."""
        found: dict[tuple[int, Offsets], Sum] = {}
        for number, reduction in enumerate(self.nest.reductions):
            axes = reduction.value.axes
            for member in self.members:
                own = tuple(o if axis in axes else 0 for axis, o in enumerate(member))
                found.setdefault((number, own), Sum(number, member, [])).members.append(member)
        return list(found.values())

    def _note(self, totals: Sequence[Value]) -> None:
        """Leave what the sums have come to where the stores look for it."""
        for one, total in zip(self.sums, totals, strict=True):
            for member in one.members:
                self.w.results[one.number, member[: self.w.count]] = total

    def write(self) -> None:
        """Write loops and the final combination."""
        nest, w = self.nest, self.w
        kinds = [nest.reductions[one.number].kind for one in self.sums]
        initial = [
            identity(w.code, kind, nest.reductions[one.number].value.dtype, width)
            for width, _ in self._sets()
            for kind, one in zip(kinds, self.sums, strict=True)
        ]
        sums = self._loops(0, initial)
        size = len(self.sums)
        groups = [sums[k : k + size] for k in range(0, len(sums), size)]
        columns = list(zip(*groups[: self.unroll], strict=True))
        totals = [combine(w.code, kind, c) for kind, c in zip(kinds, columns, strict=True)]
        if self.horizontal and not self.rest and (w.code.unrolling or len(self.members) > 1):
            totals = self._across_jointly(totals)
        elif self.horizontal:
            totals = [_across(w.code, kind, t) for kind, t in zip(kinds, totals, strict=True)]
        for group in groups[self.unroll :]:
            short = [_across(w.code, kind, s) for kind, s in zip(kinds, group, strict=True)]
            pairs = zip(totals, short, strict=True)
            totals = [combine(w.code, kind, p) for kind, p in zip(kinds, pairs, strict=True)]
        self._note(totals)

    def _across_jointly(self, wide: Sequence[Value]) -> list[Value]:
        """The sums of the whole tile; what is stored side by side comes to lie side by side."""
        totals: list[Value] = []
        for number, reduction in enumerate(self.nest.reductions):
            own = [v for v, one in zip(wide, self.sums, strict=True) if one.number == number]
            totals += across_all(self.w.code, reduction.kind, own)
        return totals

    def _sets(self) -> list[tuple[int, int]]:
        """Width and number of every set of sums: the unrolled ones, then those of the rest."""
        sets = [(self.wide, k) for k in range(self.unroll)]
        return [*sets, *((width, -1) for width in self.rest)]

    def _loops(self, level: int, sums: list[Value]) -> list[Value]:
        axis = self.order[level]
        extent = self.nest.extents[axis]
        if level < len(self.order) - 1:
            start, stop = Value("0", "i64"), Value(str(extent), "i64")
            if extent == PANELS:
                start, stop = self.w.share.panels

            def body(index: Value, carried: Sequence[Value]) -> Sequence[Value]:
                self.panel = index if extent == PANELS else self.panel
                with self.w.at(axis, index):
                    return self._loops(level + 1, list(carried))

            return self.w.code.loop(start, stop, 1, body, sums)
        return self._innermost(axis, extent, sums)

    def _innermost(self, axis: int, extent: int, sums: list[Value]) -> list[Value]:
        size = len(self.sums)
        main, rest = sums[: size * self.unroll], sums[size * self.unroll :]
        step = self.wide if self.horizontal else 1
        if extent == PANELS:
            start, stop = self.w.share.panels
            return self._run(axis, start, stop, (step, 1, self.wide), main)
        samples = self.w.share.samples
        if self.panel is not None and samples is not None and step == self.unroll == 1:
            zero, stop = Value("0", "i64"), self._left(samples, extent)
            return self._run(axis, zero, stop, (1, 1, self.wide), main)
        cut = extent // (step * self.unroll) * step * self.unroll
        full = extent // step * step
        zero, middle, end = (Value(str(n), "i64") for n in (0, cut, full))
        main = self._run(axis, zero, middle, (step, self.unroll, self.wide), main)
        if full > cut:
            first = self._run(axis, middle, end, (step, 1, self.wide), main[:size])
            main = [*first, *main[size:]]
        for width in self.rest:
            own, rest = rest[:size], rest[size:]
            stop = Value(str(full + width), "i64")
            main += self._run(axis, Value(str(full), "i64"), stop, (width, 1, width), own)
            full += width
        return main

    def _left(self, samples: Value, lanes: int) -> Value:
        """How many samples there are in this panel."""
        whole = Whole(self.w.code)
        assert self.panel is not None
        left = whole.minus(samples, whole.times(self.panel, lanes))
        return whole.smaller(left, Value(str(lanes), "i64"))

    def _run(
        self,
        axis: int,
        start: Value,
        stop: Value,
        shape: tuple[int, int, int],
        sums: list[Value],
    ) -> list[Value]:
        """A loop over part of the innermost axis: (step, unrolled steps, vector width)."""
        step, unroll, width = shape
        if start.text == stop.text:
            return sums

        def body(index: Value, carried: Sequence[Value]) -> list[Value]:
            with self.w.at(axis, index):
                return self._step(axis, step, unroll, width, carried)

        single = (
            start.text.isdigit()
            and stop.text.isdigit()
            and (int(stop.text) - int(start.text) == step * unroll)
        )
        if single:
            return body(start, sums)
        return self.w.code.loop(start, stop, step * unroll, body, sums)

    def _step(
        self, axis: int, step: int, unroll: int, width: int, sums: Sequence[Value]
    ) -> list[Value]:
        w, nest = self.w, self.nest
        w.forget()
        results: list[Value] = []
        for k in range(unroll):
            for one in self.sums:
                at = list(one.member)
                at[axis] += k * step
                so_far = sums[len(results)]
                results.append(
                    self._accumulate(nest.reductions[one.number], tuple(at), width, so_far)
                )
            if nest.inner:  # they may store what the reductions have so far
                self._note(results[-len(self.sums) :])
            for store in nest.inner:
                for member in self.members:
                    at = list(member)
                    at[axis] += k * step
                    value = w.value(store.value, tuple(at), width)
                    w.store(store.access, value, tuple(at), width)
        return results

    def _accumulate(self, reduction: Reduction, at: Offsets, width: int, total: Value) -> Value:
        w = self.w
        kind, value = reduction.kind, reduction.value
        floating = value.dtype in ("float32", "float64")
        if kind == "sum" and floating and isinstance(value, Apply) and value.op == "multiply":
            a, b = (w.value(x, at, width) for x in value.args)
            return Builder(w.code, width, value.dtype).fma(a, b, total)
        return combine(w.code, kind, [total, w.value(value, at, width)])


def _powers(count: int) -> list[int]:
    """The powers of two whose sum it is, the largest first.

    Examples
    --------
    >>> _powers(13)
    [8, 4, 1]
    """
    return [1 << k for k in reversed(range(count.bit_length())) if count >> k & 1]


def combine(code: Assembly, kind: str, values: Sequence[Value]) -> Value:
    """Pairwise: (a + b) + (c + d)."""
    values = list(values)
    while len(values) > 1:
        pairs = [
            _combine_two(code, kind, a, b) for a, b in zip(values[::2], values[1::2], strict=False)
        ]
        values = pairs + ([values[-1]] if len(values) % 2 else [])
    return values[0]


def _across(code: Assembly, kind: str, value: Value) -> Value:
    """Combine the lanes of a vector, halves first."""
    (total,) = across_all(code, kind, [value])
    return total


def across_all(code: Assembly, kind: str, vectors: Sequence[Value]) -> list[Value]:
    """Combine the lanes of each of several vectors, halves first.

    With each step vectors get shorter, and two become one: ``[a b]`` of the halves of a and of
    b, then ``[a b c d]`` of the halves of each part of ``[a b]`` and ``[c d]``.

    Parameters
    ----------
    code : Assembly
    kind : str
        Of the reduction.
    vectors : sequence of Value
        Of one type.

    Returns
    -------
    list of Value
        One for each, a vector of width one.
    """
    width = _lanes(vectors[0])
    totals: list[Value] = []
    for start in range(0, len(vectors), width):
        some = list(vectors[start : start + width])
        count, part = len(some), width
        while part > 1:
            part //= 2
            pairs = [(*some[k : k + 2], some[-1])[:2] for k in range(0, len(some), 2)]
            some = [_halved(code, kind, pair[: len(some)], part) for pair in pairs]
        totals += [_picked(code, some, [k]) for k in range(count)]
    return totals


def _halved(code: Assembly, kind: str, pair: Sequence[Value], half: int) -> Value:
    """The halves of each part of one or two vectors combined, for parts of twice that length."""
    lanes = range(len(pair) * _lanes(pair[0]))
    lower = [k for k in lanes if not k & half]
    parts = (_picked(code, pair, side) for side in (lower, [k + half for k in lower]))
    return _combine_two(code, kind, *parts)


def _lanes(vector: Value) -> int:
    return int(vector.type[1:].split(" x ")[0])


def _picked(code: Assembly, pair: Sequence[Value], lanes: Sequence[int]) -> Value:
    """Some lanes of one or two vectors, counted through both."""
    first = pair[0]
    other = pair[1].text if len(pair) > 1 else "poison"
    places = ", ".join(f"i32 {lane}" for lane in lanes)
    element = first.type[1:-1].split(" x ")[1]
    return code.emit(
        f"<{len(lanes)} x {element}>",
        f"shufflevector {first}, {first.type} {other}, <{len(lanes)} x i32> <{places}>",
    )


def _combine_two(code: Assembly, kind: str, a: Value, b: Value) -> Value:
    return _COMBINERS[kind](code, a, b)


def _arithmetic(float_op: str, int_op: str) -> Callable[[Assembly, Value, Value], Value]:
    def combine(code: Assembly, a: Value, b: Value) -> Value:
        name = float_op if _is_float(a) else int_op
        return code.emit(a.type, f"{name} {a}, {b.text}")

    return combine


def _extreme(float_name: str, int_name: str) -> Callable[[Assembly, Value, Value], Value]:
    def combine(code: Assembly, a: Value, b: Value) -> Value:
        count, element = a.type[1:-1].split(" x ")
        if not _is_float(a):
            return code.call(a.type, f"llvm.{int_name}.v{count}{element}", a, b)
        suffix = {"float": "f32", "double": "f64"}[element]
        return code.call(a.type, f"llvm.{float_name}.v{count}{suffix}", a, b, flags="nsz")

    return combine


def _is_float(value: Value) -> bool:
    return "float" in value.type or "double" in value.type


_COMBINERS: dict[str, Callable[[Assembly, Value, Value], Value]] = {
    "sum": _arithmetic("fadd", "add"),
    "max": _extreme("maximum", "smax"),
    "min": _extreme("minimum", "smin"),
    "any": _arithmetic("", "or"),
    "all": _arithmetic("", "and"),
}
