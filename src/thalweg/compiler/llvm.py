"""From loop nests to LLVM assembly.

`NestWriter` writes one nest: loops over the domain in steps of a tile, sums in registers, the
expressions of every member of the tile, stores. Values that do not depend on the vector axis
are computed once as scalars and spread over the lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

from thalweg.compiler.assembly import Assembly, Builder, Value, llvm_type
from thalweg.compiler.loops import (
    PANELS,
    Access,
    Apply,
    Buffer,
    Expr,
    Load,
    Nest,
    Number,
    Position,
    Reduced,
    postorder,
)
from thalweg.compiler.lowering import convert, identity, lower

__all__ = ["MANY_NESTS", "NestWriter", "Share", "write_nest"]

MANY_NESTS = 30
"""Nests from which each is a function of its own."""

Offsets = tuple[int, ...]


@dataclass(frozen=True)
class Segment:
    """A part of an axis that is walked with one tile and one vector width.

    With `last`, steps overlap at the end: none starts after it, and the code is written once.
    """

    start: int
    stop: int
    tile: int
    width: int
    last: int | None = None

    @property
    def step(self) -> int:
        """How far one iteration goes."""
        return self.tile * self.width


def segments(extent: int, tile: int, width: int, overlap: bool = False) -> list[Segment]:
    """Cut an axis into parts whose tiles fit evenly, or let the last vectors overlap.

    Examples
    --------
    >>> [(s.start, s.stop, s.tile) for s in segments(29, 14, 1)]
    [(0, 20, 10), (20, 29, 9)]
    >>> [(s.start, s.stop, s.tile, s.width) for s in segments(45, 2, 16)]
    [(0, 32, 2, 16), (32, 45, 1, 1)]
    >>> [(s.start, s.stop, s.last) for s in segments(45, 2, 16, overlap=True)]
    [(0, 45, 13)]
    """
    if overlap and width > 1:
        tile = min(tile, extent // width)
        parts = [Segment(0, extent, tile, width, extent - tile * width)]
    elif width == 1:
        count = -(-extent // tile)
        large = -(-extent // max(count, 1))
        number = extent - count * (large - 1)
        cut = number * large
        parts = [Segment(0, cut, large, 1), Segment(cut, extent, large - 1, 1)]
    else:
        wide = extent // (tile * width) * tile * width
        full = extent // width * width
        parts = [Segment(0, wide, tile, width), Segment(wide, full, 1, width),
                 Segment(full, extent, 1, 1)]  # fmt: skip
    return [p for p in parts if p.stop > p.start]


@dataclass(frozen=True)
class Share:
    """The part of a nest's work that the running thread does.

    Attributes
    ----------
    panels : tuple of Value
        First panel of all and the one after the last; a sum over samples goes over these.
    own : tuple of Value
        The panels of this thread.
    rows : tuple of Value or None
        Number of the thread and number of threads, where the first axis is split.
    """

    panels: tuple[Value, Value]
    own: tuple[Value, Value]
    rows: tuple[Value, Value] | None = None


NONE = (Value("0", "i64"), Value("0", "i64"))
WHOLE = Share(NONE, NONE)
"""Of a function without samples, run by one thread."""


def write_nest(
    code: Assembly,
    nest: Nest,
    pointers: Mapping[Buffer, Value],
    share: Share = WHOLE,
    apart: bool = False,
) -> None:
    """Write one nest.

    Parameters
    ----------
    code : Assembly
    nest : Nest
    pointers : mapping of Buffer to Value
        Where each buffer is.
    share : Share
        Which part of it.
    apart : bool
        Whether it becomes a function of its own, so that compile time stays proportional to
        the number of nests.
    """
    if 0 in nest.axes:
        return
    if apart:
        _write_apart(code, nest, pointers, share)
    else:
        NestWriter(code, nest, pointers, share).write()


def _write_apart(
    code: Assembly, nest: Nest, pointers: Mapping[Buffer, Value], share: Share
) -> None:
    """Write the nest as a function of its own and call it."""
    outside: list[Value] = []

    def inside(value: Value) -> Value:
        if not value.text.startswith("%"):
            return value
        outside.append(value)
        return Value(f"%a{len(outside)}", value.type)

    buffers = dict.fromkeys(access.buffer for access in nest.accesses())
    own = {buffer: pointers[buffer] for buffer in buffers}
    places = {buffer: inside(pointer) for buffer, pointer in own.items()}
    panels = (inside(share.panels[0]), inside(share.panels[1]))
    mine = (inside(share.own[0]), inside(share.own[1]))
    rows = None if share.rows is None else (inside(share.rows[0]), inside(share.rows[1]))
    body = Assembly(declared=code.declared, defined=code.defined, sharing=code.sharing)
    NestWriter(body, nest, places, Share(panels, mine, rows)).write()
    name = f"nest{len(code.defined)}"
    parameters = ", ".join(f"{v.type} %a{k}" for k, v in enumerate(outside, start=1))
    head = f"define internal void @{name}({parameters}) #0 {{"
    code.defined[name] = "\n".join([head, "entry:", *body.lines, "  ret void", "}"])
    code.do(f"call void @{name}({', '.join(map(str, outside))})")


class NestWriter:
    """Writes the loops and the body of one nest."""

    def __init__(
        self,
        code: Assembly,
        nest: Nest,
        pointers: Mapping[Buffer, Value],
        share: Share,
    ) -> None:
        self.code = code
        self.nest = nest
        self.share = share
        self.count = len(nest.axes)
        self.tile = [1] * len(nest.extents)
        self.width = 1
        self.index: list[Value] = [Value("0", "i64")] * len(nest.extents)
        self.memo: dict[tuple[int, Offsets, int], Value] = {}
        self.orders: dict[tuple[int, bool], Sequence[Expr]] = {}
        self.results: dict[tuple[int, Offsets], Value] = {}
        bases = {b: pointers[b] for b in dict.fromkeys(a.buffer for a in nest.accesses())}
        self.places = {id(a): self._start(a, bases) for a in nest.accesses()}
        self.accesses = {id(a): a for a in nest.accesses()}
        self.repeatable = _repeatable(nest)

    def _start(self, access: Access, pointers: Mapping[Buffer, Value]) -> Value:
        pointer = pointers[access.buffer]
        return self._moved(pointer, access, Value(str(access.offset), "i64"), 1)

    def _moved(self, pointer: Value, access: Access, index: Value, stride: int) -> Value:
        """The pointer `stride · index` elements further on."""
        if index.text == "0" or stride == 0:
            return pointer
        element = llvm_type(access.buffer.dtype)
        if index.text.lstrip("-").isdigit():
            distance = Value(str(int(index.text) * stride), "i64")
        elif stride == 1:
            distance = index
        else:
            distance = self.code.emit("i64", f"mul nsw i64 {index.text}, {stride}")
        return self.code.emit("ptr", f"getelementptr {element}, {pointer}, {distance}", "p")

    # -- loops ----------------------------------------------------------------------------
    def write(self) -> None:
        """Write the whole nest."""
        self._domain(0)

    @contextmanager
    def _at(self, axis: int, index: Value) -> Iterator[None]:
        """Inside: the index of an axis is known and every access has moved there."""
        before_places, before_index = dict(self.places), self.index[axis]
        self.index[axis] = index
        for key, access in self.accesses.items():
            if len(access.strides) > axis and access.strides[axis]:
                self.places[key] = self._moved(
                    self.places[key], access, index, access.strides[axis]
                )
        yield
        self.places = before_places
        self.index[axis] = before_index

    def _domain(self, axis: int) -> None:
        if axis == self.count:
            self._body()
            return
        if self.nest.axes[axis] == PANELS:
            self._loop_over(axis, *self.share.own, 1)
            return
        width = self.nest.width if axis == self.nest.vector else 1
        shared = axis == 0 and self.share.rows is not None
        overlap = self.repeatable and not shared
        for part in segments(self.nest.axes[axis], self.nest.tiles[axis], width, overlap):
            self.tile[axis] = part.tile
            if axis == self.nest.vector:
                self.width = part.width
            start, stop = Value(str(part.start), "i64"), Value(str(part.stop), "i64")
            if shared and self.share.rows is not None:
                self._loop_over(axis, *self._own_part(part, self.share.rows), part.step)
            elif part.stop - part.start == part.step:
                with self._at(axis, start):
                    self._domain(axis + 1)
            else:
                self._loop_over(axis, start, stop, part.step, part.last)

    def _own_part(self, part: Segment, rows: tuple[Value, Value]) -> tuple[Value, Value]:
        """Where this thread's iterations of a part of the first axis start and end."""
        count = (part.stop - part.start) // part.step
        thread, threads = rows
        ends = []
        for number in (thread, self.code.emit("i64", f"add nsw i64 {thread.text}, 1")):
            scaled = self.code.emit("i64", f"mul nsw i64 {number.text}, {count}")
            share = self.code.emit("i64", f"udiv i64 {scaled.text}, {threads.text}")
            distance = self.code.emit("i64", f"mul nsw i64 {share.text}, {part.step}")
            ends.append(self.code.emit("i64", f"add nsw i64 {distance.text}, {part.start}"))
        return ends[0], ends[1]

    def _loop_over(
        self, axis: int, start: Value, stop: Value, step: int, last: int | None = None
    ) -> None:
        def body(index: Value, carried: Sequence[Value]) -> list[Value]:
            if last is not None and (int(stop.text) - int(start.text)) % step:
                index = self.code.call("i64", "llvm.smin.i64", index, Value(str(last), "i64"))
            with self._at(axis, index):
                self._domain(axis + 1)
            return []

        self.code.loop(start, stop, step, body)

    # -- one tile -------------------------------------------------------------------------
    def _members(self) -> list[Offsets]:
        """The index offsets of the members of the tile."""
        ranges = []
        for axis in range(self.count):
            step = self.width if axis == self.nest.vector else 1
            ranges.append([k * step for k in range(self.tile[axis])])
        zeros = (0,) * len(self.nest.reduced)
        return [(*offsets, *zeros) for offsets in product(*ranges)]

    def _body(self) -> None:
        members = self._members()
        if self.nest.reductions or self.nest.inner:
            self._reduce(members)
        self.memo = {}
        horizontal = self.nest.vector is not None and self.nest.vector >= self.count
        width = 1 if horizontal else self.width
        for member in members:  # all values before any store: a state is changed in place
            values = [self.value(s.value, member, width) for s in self.nest.stores]
            for store, value in zip(self.nest.stores, values, strict=True):
                self._store(store.access, value, member, width)

    def _store(self, access: Access, value: Value, member: Offsets, width: int) -> None:
        element = llvm_type(access.buffer.dtype)
        if access.buffer.dtype == "bool":
            value = self.code.emit(f"<{width} x i8>", f"zext {value} to <{width} x i8>")
        vector = self.nest.vector
        stride = access.strides[vector] if vector is not None and width > 1 else 1
        if access.picks or (width > 1 and stride != 1):
            for lane in range(width):
                one = self.code.emit(element, f"extractelement {value}, i32 {lane}")
                place = self._address(access, member, lane if width > 1 else 0)
                self.code.do(f"store {one}, {place}")
            return
        size = _alignment(access)
        self.code.do(f"store {value}, {self._address(access, member, 0)}, align {size}")

    def _address(self, access: Access, member: Offsets, lane: int) -> Value:
        distance = sum(s * o for s, o in zip(access.strides, member, strict=False))
        vector = self.nest.vector
        if lane and vector is not None and vector < len(access.strides):
            distance += lane * access.strides[vector]
        place = self._moved(self.places[id(access)], access, Value(str(distance), "i64"), 1)
        for expr, stride in access.picks:
            at = self.value(expr, self._shifted(member, lane), 1)
            number = self.code.emit("i64", f"extractelement {at}, i32 0")
            place = self._moved(place, access, number, stride)
        return place

    def _shifted(self, member: Offsets, lane: int) -> Offsets:
        """The member as seen from one of its lanes."""
        if not lane or self.nest.vector is None:
            return member
        changed = list(member)
        changed[self.nest.vector] += lane
        return tuple(changed)

    # -- expressions ------------------------------------------------------------------------
    def value(self, expr: Expr, member: Offsets, width: int) -> Value:
        """Write what is needed of an expression at one member of the tile."""
        key = self._key(expr, member, width)
        if key not in self.memo:
            for part in self._order(expr, width):
                self._part(part, member, width)
        return self.memo[key]

    def _order(self, expr: Expr, width: int) -> Sequence[Expr]:
        """What has to be written for an expression, operands first."""
        known = self.orders.get((id(expr), width > 1))
        if known is None:
            leaf = self._invariant if width > 1 else None
            known = self.orders[id(expr), width > 1] = postorder([expr], leaf)
        return known

    def _invariant(self, expr: Expr) -> bool:
        return self.nest.vector is None or self.nest.vector not in expr.axes

    def _key(self, expr: Expr, member: Offsets, width: int) -> tuple[int, Offsets, int]:
        return id(expr), tuple([member[a] for a in expr.axes]), width

    def _part(self, expr: Expr, member: Offsets, width: int) -> None:
        key = self._key(expr, member, width)
        if key in self.memo:
            return
        invariant = self._invariant(expr)
        if isinstance(expr, Number):
            self.memo[key] = convert(self.code, expr.value, expr.dtype, width)
        elif width > 1 and invariant:
            self.memo[key] = self._spread(self.value(expr, member, 1), width)
        elif isinstance(expr, Load):
            self.memo[key] = self._load(expr.access, member, width)
        elif isinstance(expr, Position):
            self.memo[key] = self._position(expr, member, width)
        elif isinstance(expr, Reduced):
            self.memo[key] = self.results[expr.number, member[: self.count]]
        elif isinstance(expr, Apply):
            args = [self.memo[self._key(a, member, width)] for a in expr.args]
            self.memo[key] = lower(self.code, expr, args, width)

    def _spread(self, value: Value, width: int) -> Value:
        element = value.type.split(" x ")[1][:-1]
        zeros = ", ".join(["i32 0"] * width)
        return self.code.emit(
            f"<{width} x {element}>",
            f"shufflevector {value}, {value.type} poison, <{width} x i32> <{zeros}>",
        )

    def _load(self, access: Access, member: Offsets, width: int) -> Value:
        element = llvm_type(access.buffer.dtype)
        vector = self.nest.vector
        stride = access.strides[vector] if vector is not None and width > 1 else 1
        if width > 1 and (access.picks or stride != 1):
            loaded = Value("undef", f"<{width} x {element}>")
            for lane in range(width):
                one = self.code.emit(
                    element, f"load {element}, {self._address(access, member, lane)}"
                )
                loaded = self.code.emit(loaded.type, f"insertelement {loaded}, {one}, i32 {lane}")
        else:
            type = f"<{width} x {element}>"
            place = self._address(access, member, 0)
            loaded = self.code.emit(type, f"load {type}, {place}, align {_alignment(access)}")
        if access.buffer.dtype != "bool":
            return loaded
        return self.code.emit(f"<{width} x i1>", f"trunc {loaded} to <{width} x i1>")

    def _position(self, expr: Position, member: Offsets, width: int) -> Value:
        one = self.index[expr.axis]
        base = self.code.emit("<1 x i64>", f"insertelement <1 x i64> undef, {one}, i32 0")
        wide = self._spread(base, width) if width > 1 else base
        step = 1 if self.nest.vector == expr.axis else 0
        lanes = ", ".join(f"i64 {member[expr.axis] + k * step}" for k in range(width))
        shifted = self.code.emit(wide.type, f"add {wide}, <{lanes}>")
        scale = ", ".join([f"i64 {expr.scale}"] * width)
        scaled = self.code.emit(wide.type, f"mul {shifted}, <{scale}>")
        offset = ", ".join([f"i64 {expr.offset}"] * width)
        return self.code.emit(wide.type, f"add {scaled}, <{offset}>")

    # -- reductions ---------------------------------------------------------------------------
    def _reduce(self, members: Sequence[Offsets]) -> None:
        """Write the loops over the reduced axes; results go to `results`."""
        _ReductionWriter(self, members).write()


def _repeatable(nest: Nest) -> bool:
    """Whether an index can be run twice: nothing is changed in place, no store hides another."""
    stores = [s.access.buffer for s in (*nest.inner, *nest.stores)]
    return len(set(stores)) == len(stores) and not set(stores) & nest.reads()


def _alignment(access: Access) -> int:
    return {"float64": 8, "int64": 8, "bool": 1}.get(access.buffer.dtype, 4)


class _ReductionWriter:
    """The loops over the reduced axes, with the sums of every member of the tile in registers.

    Sums of lanes are kept apart until the end where the vector axis is reduced itself; what is
    left over of that axis is added by scalar sums of their own. With unrolling, several sums
    are kept and added up at the end, in a fixed order.
    """

    def __init__(self, writer: NestWriter, members: Sequence[Offsets]) -> None:
        self.w = writer
        self.nest = writer.nest
        self.members = members
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
        self.rest = self.horizontal and extent % step != 0

    def write(self) -> None:
        """Write loops and the final combination."""
        nest, w = self.nest, self.w
        initial = [
            identity(w.code, r.kind, r.value.dtype, width)
            for width, _ in self._sets()
            for r in nest.reductions
            for _ in self.members
        ]
        sums = self._loops(0, initial)
        size = len(nest.reductions) * len(self.members)
        groups = [sums[k : k + size] for k in range(0, len(sums), size)]
        position = 0
        for number, reduction in enumerate(nest.reductions):
            for member in self.members:
                wide = [g[position] for g in groups[: self.unroll]]
                total = _combine(w.code, reduction.kind, wide)
                if self.horizontal:
                    total = _across(w.code, reduction.kind, total)
                if self.rest:
                    total = _combine(w.code, reduction.kind, [total, groups[-1][position]])
                w.results[number, member[: w.count]] = total
                position += 1

    def _sets(self) -> list[tuple[int, int]]:
        """Width and number of every set of sums: the unrolled ones, then the scalar rest."""
        sets = [(self.wide, k) for k in range(self.unroll)]
        return [*sets, (1, -1)] if self.rest else sets

    def _loops(self, level: int, sums: list[Value]) -> list[Value]:
        axis = self.order[level]
        extent = self.nest.extents[axis]
        if level < len(self.order) - 1:
            start, stop = Value("0", "i64"), Value(str(extent), "i64")
            if extent == PANELS:
                start, stop = self.w.share.panels

            def body(index: Value, carried: Sequence[Value]) -> Sequence[Value]:
                with self.w._at(axis, index):
                    return self._loops(level + 1, list(carried))

            return self.w.code.loop(start, stop, 1, body, sums)
        return self._innermost(axis, extent, sums)

    def _innermost(self, axis: int, extent: int, sums: list[Value]) -> list[Value]:
        size = len(self.nest.reductions) * len(self.members)
        main, rest = sums[: size * self.unroll], sums[size * self.unroll :]
        step = self.wide if self.horizontal else 1
        if extent == PANELS:
            start, stop = self.w.share.panels
            return self._run(axis, start, stop, (step, 1, self.wide), main)
        cut = extent // (step * self.unroll) * step * self.unroll
        full = extent // step * step
        zero, middle, end = (Value(str(n), "i64") for n in (0, cut, full))
        main = self._run(axis, zero, middle, (step, self.unroll, self.wide), main)
        if full > cut:
            first = self._run(axis, middle, end, (step, 1, self.wide), main[:size])
            main = [*first, *main[size:]]
        if rest:
            last = Value(str(extent), "i64")
            rest = self._run(axis, end, last, (1, 1, 1), rest)
        return [*main, *rest]

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
            with self.w._at(axis, index):
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
        w.memo = {}
        results = []
        position = 0
        for k in range(unroll):
            for reduction in nest.reductions:
                for member in self.members:
                    at = list(member)
                    at[axis] += k * step
                    results.append(self._accumulate(reduction, tuple(at), width, sums[position]))
                    position += 1
            if nest.inner:  # they may store what the reductions have so far
                numbers = range(len(nest.reductions))
                size = len(nest.reductions) * len(self.members)
                pairs = product(numbers, self.members)
                for (number, member), so_far in zip(pairs, results[-size:], strict=True):
                    w.results[number, member[: w.count]] = so_far
            for store in nest.inner:
                for member in self.members:
                    at = list(member)
                    at[axis] += k * step
                    value = w.value(store.value, tuple(at), width)
                    w._store(store.access, value, tuple(at), width)
        return results

    def _accumulate(self, reduction: object, at: Offsets, width: int, total: Value) -> Value:
        w = self.w
        kind, value = reduction.kind, reduction.value  # type: ignore[attr-defined]
        fused = kind == "sum" and isinstance(value, Apply) and value.op == "multiply"
        if fused and value.dtype in ("float32", "float64"):
            a, b = (w.value(x, at, width) for x in value.args)
            return Builder(w.code, width, value.dtype).fma(a, b, total)
        return _combine(w.code, kind, [total, w.value(value, at, width)])


def _combine(code: Assembly, kind: str, values: Sequence[Value]) -> Value:
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
    count, element = value.type[1:-1].split(" x ")
    width = int(count)
    while width > 1:
        half = width // 2
        parts = []
        for start in (0, half):
            lanes = ", ".join(f"i32 {start + k}" for k in range(half))
            parts.append(
                code.emit(
                    f"<{half} x {element}>",
                    f"shufflevector {value}, {value.type} poison, <{half} x i32> <{lanes}>",
                )
            )
        value = _combine_two(code, kind, *parts)
        width = half
    return value


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
