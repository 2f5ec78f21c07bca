"""From loop nests to LLVM assembly.

`NestWriter` writes one nest: loops over the domain in steps of a tile, sums in registers, the
expressions of every member of the tile, stores. Values that do not depend on the vector axis
are computed once as scalars and spread over the lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from operator import itemgetter
from typing import Any

from thalweg.compiler.ahead import Ahead
from thalweg.compiler.assembly import Assembly, Value, llvm_type
from thalweg.compiler.elementary import ELEMENTARY
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
    Store,
    postorder,
)
from thalweg.compiler.lowering import convert, lower
from thalweg.compiler.reductions import ReductionWriter
from thalweg.compiler.segments import Segment, segments
from thalweg.compiler.skipping import SkippingWriter
from thalweg.compiler.turn import is_turnable, transposed
from thalweg.compiler.whole import Whole

__all__ = ["MANY_NESTS", "NestWriter", "Share", "write_nest"]

STORED_TOGETHER = 4
"""Members of a tile whose stores are written buffer by buffer: of lines that another core must let
go of first, several are then on their way at once."""

MANY_NESTS = 30
"""Nests from which each is a function of its own."""

Offsets = tuple[int, ...]


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
    samples : Value or None
        How many there are in all panels; the last one may not be full.
    """

    panels: tuple[Value, Value]
    own: tuple[Value, Value]
    rows: tuple[Value, Value] | None = None
    samples: Value | None = None


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

    own = {buffer: pointers[buffer] for buffer in nest.buffers()}
    places = {buffer: inside(pointer) for buffer, pointer in own.items()}
    panels = (inside(share.panels[0]), inside(share.panels[1]))
    mine = (inside(share.own[0]), inside(share.own[1]))
    rows = None if share.rows is None else (inside(share.rows[0]), inside(share.rows[1]))
    body = Assembly(declared=code.declared, defined=code.defined, sharing=code.sharing)
    samples = None if share.samples is None else inside(share.samples)
    NestWriter(body, nest, places, Share(panels, mine, rows, samples)).write()
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
        self.forget()
        self.orders: dict[tuple[int, bool], Sequence[Expr]] = {}
        self.results: dict[tuple[int, Offsets], Value] = {}
        accesses = list(nest.accesses())
        self.bases = {b: pointers[b] for b in nest.buffers()}
        self.places = {id(a): self._start(a, self.bases) for a in accesses}
        self.accesses = {id(a): a for a in accesses}
        self.repeatable = _repeatable(nest)
        self.ahead = Ahead(self)
        self.full = [s for s in nest.stores if not _lacking(s, nest)]
        self.partial = [s for s in nest.stores if _lacking(s, nest)]

    def _start(self, access: Access, pointers: Mapping[Buffer, Value]) -> Value:
        pointer = pointers[access.buffer]
        return self.moved(pointer, access, Value(str(access.offset), "i64"), 1)

    def moved(self, pointer: Value, access: Access, index: Value, stride: int) -> Value:
        """The pointer `stride · index` elements further on."""
        if index.text == "0" or stride == 0:
            return pointer
        element = llvm_type(access.buffer.dtype)
        if index.text.lstrip("-").isdigit():
            distance = Value(str(int(index.text) * stride), "i64")
        elif stride == 1:
            distance = index
        else:
            distance = Whole(self.code).times(index, stride)
        return self.code.emit("ptr", f"getelementptr {element}, {pointer}, {distance}", "p")

    # -- loops ----------------------------------------------------------------------------
    def write(self) -> None:
        """Write the whole nest."""
        if self.nest.skipping:
            SkippingWriter(self).write()
        else:
            self._domain(0)

    @contextmanager
    def at(self, axis: int, index: Value) -> Iterator[None]:
        """Inside: the index of an axis is known and every access has moved there."""
        before_places, before_index = dict(self.places), self.index[axis]
        self.index[axis] = index
        for key, access in self.accesses.items():
            if len(access.strides) > axis and access.strides[axis]:
                self.places[key] = self.moved(self.places[key], access, index, access.strides[axis])
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
        overlap = self.repeatable and not shared and not self.code.unrolling
        extent, tile, whole = self.nest.axes[axis], self.nest.tiles[axis], axis == self.nest.turned
        for part in segments(extent, tile, width, overlap, whole, shared):
            self.tile[axis] = part.tile
            if axis == self.nest.vector:
                self.width = part.width
            start, stop = Value(str(part.start), "i64"), Value(str(part.stop), "i64")
            if shared and self.share.rows is not None:
                self._loop_over(axis, *self.own_part(part, self.share.rows), part.step)
            elif part.stop - part.start == part.step:
                with self.at(axis, start):
                    self._domain(axis + 1)
            else:
                self._loop_over(axis, start, stop, part.step, part.last)

    def own_part(self, part: Segment, rows: tuple[Value, Value]) -> tuple[Value, Value]:
        """Where this thread's iterations of a part of the first axis start and end."""
        whole, count = Whole(self.code), (part.stop - part.start) // part.step
        first, last = (whole.times(n, part.step) for n in whole.share(count, *rows))
        return whole.plus(first, part.start), whole.plus(last, part.start)

    def _loop_over(
        self, axis: int, start: Value, stop: Value, step: int, last: int | None = None
    ) -> None:
        def body(index: Value, carried: Sequence[Value]) -> list[Value]:
            if last is not None and (int(stop.text) - int(start.text)) % step:
                index = Whole(self.code).smaller(index, Value(str(last), "i64"))
            with self.at(axis, index):
                self._domain(axis + 1)
            return []

        self.code.loop(start, stop, step, body)

    def forget(self) -> None:
        """Drop what was written for another place."""
        self.memo: dict[tuple[int, Any, int], Value] = {}
        self.squares: dict[tuple[int, Offsets], list[Value]] = {}

    # -- one tile -------------------------------------------------------------------------
    def members(self) -> list[Offsets]:
        """The index offsets of the members of the tile."""
        ranges = []
        for axis in range(self.count):
            step = self.width if axis == self.nest.vector else 1
            ranges.append([k * step for k in range(self.tile[axis])])
        zeros = (0,) * len(self.nest.reduced)
        return [(*offsets, *zeros) for offsets in product(*ranges)]

    def _body(self) -> None:
        members = self.members()
        if self.nest.reductions or self.nest.inner:
            self._reduce(members)
        self.finish(members)

    def finish(self, members: Sequence[Offsets]) -> None:
        """The stores of a tile, once its sums are known."""
        self.forget()
        horizontal = self.nest.vector is not None and self.nest.vector >= self.count
        width = 1 if horizontal else self.width
        first_late = len(self.full) - self.nest.late
        late: list[tuple[Access, Value, Offsets]] = []
        for start in range(0, len(members), STORED_TOGETHER):
            some = members[start : start + STORED_TOGETHER]
            # All values before any store: a state is changed in place.
            values = [self._values(s.value, some, width) for s in self.full]
            for number, (store, row) in enumerate(zip(self.full, values, strict=True)):
                for member, value in zip(some, row, strict=True):
                    if number < first_late:
                        self.store(store.access, value, member, width)
                    else:
                        late.append((store.access, value, member))
            self.ahead.ask(some)
        for access, value, member in late:
            self.store(access, value, member, width)
        for store in self.partial:
            self._store_once(store, members, width)

    def _store_once(self, store: Store, members: Sequence[Offsets], width: int) -> None:
        """A store that lacks some axes is done where their indices are zero."""
        lacking = _lacking(store, self.nest)
        some = [m for m in members if not any(m[axis] for axis in lacking)]
        conditions = [
            self.code.emit("i1", f"icmp eq {self.index[axis]}, 0") for axis in sorted(lacking)
        ]
        here = conditions[0]
        for other in conditions[1:]:
            here = self.code.emit("i1", f"and {here}, {other.text}")

        def write() -> None:
            self.forget()
            for member in some:
                self.store(store.access, self.value(store.value, member, width), member, width)

        self.code.when(here, write)
        self.forget()

    def store(self, access: Access, value: Value, member: Offsets, width: int) -> None:
        """Put a value, a vector of `width` lanes, where a member of the tile belongs."""
        element = llvm_type(access.buffer.dtype)
        if access.buffer.dtype == "bool":
            value = self.code.emit(f"<{width} x i8>", f"zext {value} to <{width} x i8>")
        vector = self.nest.vector
        stride = access.strides[vector] if vector is not None and width > 1 else 1
        if access.picks or (width > 1 and stride != 1):
            for lane in range(width):
                one = self.code.emit(element, f"extractelement {value}, i32 {lane}")
                place = self.address(access, member, lane if width > 1 else 0)
                self.code.do(f"store {one}, {place}")
            return
        size = _alignment(access)
        self.code.do(f"store {value}, {self.address(access, member, 0)}, align {size}")

    def address(self, access: Access, member: Offsets, lane: int) -> Value:
        """Where an access goes for a member of the tile, and for one of its lanes."""
        distance = sum(s * o for s, o in zip(access.strides, member, strict=False))
        vector = self.nest.vector
        if lane and vector is not None and vector < len(access.strides):
            distance += lane * access.strides[vector]
        place = self.places[id(access)]
        if distance:
            place = self.moved(place, access, Value(str(distance), "i64"), 1)
        for expr, stride in access.picks:
            at = self.value(expr, self._shifted(member, lane), 1)
            number = self.code.emit("i64", f"extractelement {at}, i32 0")
            place = self.moved(place, access, number, stride)
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

    def _values(self, expr: Expr, members: Sequence[Offsets], width: int) -> list[Value]:
        """Write what is needed of an expression at several members; long functions in turn."""
        for part in self._order(expr, width):
            if isinstance(part, Apply) and part.op in ELEMENTARY and not self._invariant(part):
                for operand, member in product(part.args, members):
                    self.value(operand, member, width)
                self.code.side_by_side(partial(self._part, part, m, width) for m in members)
        return [self.value(expr, member, width) for member in members]

    def _order(self, expr: Expr, width: int) -> Sequence[Expr]:
        """What has to be written for an expression, operands first."""
        known = self.orders.get((id(expr), width > 1))
        if known is None:
            leaf = self._invariant if width > 1 else None
            known = self.orders[id(expr), width > 1] = postorder([expr], leaf)
        return known

    def _invariant(self, expr: Expr) -> bool:
        return self.nest.vector is None or self.nest.vector not in expr.axes

    def _key(self, expr: Expr, member: Offsets, width: int) -> tuple[int, Any, int]:
        return id(expr), _picked(expr.axes)(member), width

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
        apart = any(vector in expr.axes for expr, _ in access.picks)
        if width > 1 and self._is_turned(access, width):
            return self._turned(access, member, width)
        if width > 1 and (apart or stride != 1):
            loaded = Value("undef", f"<{width} x {element}>")
            for lane in range(width):
                one = self.code.emit(
                    element, f"load {element}, {self.address(access, member, lane)}"
                )
                loaded = self.code.emit(loaded.type, f"insertelement {loaded}, {one}, i32 {lane}")
        else:
            type = f"<{width} x {element}>"
            place = self.address(access, member, 0)
            loaded = self.code.emit(type, f"load {type}, {place}, align {_alignment(access)}")
        if access.buffer.dtype != "bool":
            return loaded
        return self.code.emit(f"<{width} x i1>", f"trunc {loaded} to <{width} x i1>")

    def _is_turned(self, access: Access, width: int) -> bool:
        """Whether vectors are loaded along another axis of the tile and transposed."""
        turned, vector = self.nest.turned, self.nest.vector
        return (
            turned is not None
            and vector is not None
            and self.tile[turned] == width
            and is_turnable(access, vector, turned)
        )

    def _turned(self, access: Access, member: Offsets, width: int) -> Value:
        turned = self.nest.turned
        assert turned is not None
        corner = (*member[:turned], 0, *member[turned + 1 :])
        key = (id(access), corner)
        if key not in self.squares:
            type = f"<{width} x {llvm_type(access.buffer.dtype)}>"
            places = [self.address(access, corner, lane) for lane in range(width)]
            size = _alignment(access)
            rows = [self.code.emit(type, f"load {type}, {p}, align {size}") for p in places]
            self.squares[key] = transposed(self.code, rows)
        return self.squares[key][member[turned]]

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
        ReductionWriter(self, members).write()


def _repeatable(nest: Nest) -> bool:
    """Whether an index can be run twice: nothing is changed in place, no store hides another."""
    stores = [s.access.buffer for s in (*nest.inner, *nest.stores)]
    return len(set(stores)) == len(stores) and not set(stores) & nest.reads()


def _lacking(store: Store, nest: Nest) -> set[int]:
    """The axes with several indices at which a store puts something at the same place."""
    several = {axis for axis, extent in enumerate(nest.axes) if extent != 1}
    return several - store.access.axes


@lru_cache(maxsize=256)
def _picked(axes: frozenset[int]) -> Callable[[Offsets], Any]:
    """What picks the offsets along some axes."""
    return itemgetter(*axes) if axes else lambda member: ()


def _alignment(access: Access) -> int:
    return {"float64": 8, "int64": 8, "bool": 1}.get(access.buffer.dtype, 4)
