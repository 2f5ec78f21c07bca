"""The loop IR: a function as a list of loop nests over buffers.

::

    Nest    := for every index of `axes`:                      (the domain)
                   reductions over every index of `reduced`    (possibly none)
                   stores of expressions
    Expr    := Number | Load(access) | Apply(op, exprs) | Reduced(k) | Position(axis)
    Access  := buffer[offset + Σ strides·index + Σ stride·pick]

An axis has a fixed extent, except `PANELS`, the number of panels of samples in a batch, which
is known when the program runs. An access is affine in the indices of its nest; transposes,
slices, flips and broadcasts are strides and offsets and cost nothing. A matrix product is a
reduction like any other: ``Σ_k a[i, k]·b[k, j]``; what makes it fast is the tile of (i, j) that
is kept in registers, which a later pass chooses.

The passes are, in this order: `fuse` (graph to nests), `merge` (nests of one domain become
one), `vectorise` (which axis is laid along vector lanes, and how large a tile is unrolled),
`memory` (where temporaries live); `llvm` writes the result. `verify` is called between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from thalweg.compiler.once import once

__all__ = [
    "PANELS",
    "Access",
    "Apply",
    "Buffer",
    "Expr",
    "Load",
    "Nest",
    "Number",
    "Position",
    "Reduced",
    "Reduction",
    "Skipping",
    "Store",
    "postorder",
    "rebuilt",
    "rewrite",
    "row_major",
]

LONGEST_TEXT = 88

PANELS = -1
"""The extent of the axis of panels, known when the program runs."""

ITEM_BYTES = {"float32": 4, "float64": 8, "int64": 8, "int32": 4, "bool": 1}


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of an array whose last axis is contiguous.

    Examples
    --------
    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    strides = []
    step = 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


@dataclass(frozen=True, eq=False)
class Buffer:
    """Memory for one array.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
    role : {"input", "output", "state", "constant", "temporary", "room"}
        A state is read and written in place; of a room each thread has its own.
    panels : bool
        One copy for every panel of samples; the last axis then counts the lanes of a panel.
    pitch : int
        Distance of two rows (entries of the axis before the last one) in elements.
    value : array, optional
        Of a constant.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    panels: bool = False
    pitch: int = 0
    value: Any = None

    @once
    def strides(self) -> tuple[int, ...]:
        """Distance of neighbours along each axis, in elements."""
        if not self.pitch:
            return row_major(self.shape)
        return row_major((*self.shape[:-1], self.pitch))

    @once
    def size(self) -> int:
        """Elements of one copy."""
        size = 1
        for extent in (*self.shape[:-1], self.pitch or (self.shape or (1,))[-1]):
            size *= extent
        return size

    @property
    def bytes(self) -> int:
        """Bytes of one copy."""
        return self.size * ITEM_BYTES[self.dtype]

    def __repr__(self) -> str:
        return self.name


class Expr:
    """A value computed at every index of a nest."""

    dtype: str
    axes: frozenset[int]


@dataclass(frozen=True, eq=False)
class Number(Expr):
    """A known number."""

    value: float
    dtype: str
    axes: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, eq=False)
class Access:
    """A place in a buffer, affine in the indices of the nest.

    Attributes
    ----------
    buffer : Buffer
    strides : tuple of int
        For every axis of the nest (domain, then reduced), in elements.
    offset : int
    picks : tuple of (Expr, int)
        Integers computed at run time and their strides.
    """

    buffer: Buffer
    strides: tuple[int, ...]
    offset: int = 0
    picks: tuple[tuple[Expr, int], ...] = ()

    @once
    def axes(self) -> frozenset[int]:
        """The axes that the place depends on."""
        own = {axis for axis, stride in enumerate(self.strides) if stride}
        return frozenset(own.union(*(expr.axes for expr, _ in self.picks)))

    def same_place(self, other: Access) -> bool:
        """Whether both name the same element at every index of their nests' common axes."""
        count = min(len(self.strides), len(other.strides))
        return (
            self.buffer is other.buffer
            and self.offset == other.offset
            and not self.picks
            and not other.picks
            and self.strides[:count] == other.strides[:count]
            and not any(self.strides[count:])
            and not any(other.strides[count:])
        )

    def __str__(self) -> str:
        terms = [f"{s}*i{a}" if s != 1 else f"i{a}" for a, s in enumerate(self.strides) if s]
        terms += [f"{stride}*{expr}" for expr, stride in self.picks]
        if self.offset or not terms:
            terms.append(str(self.offset))
        return f"{self.buffer}[{' + '.join(terms)}]"


@dataclass(frozen=True, eq=False)
class Load(Expr):
    """An element of a buffer."""

    access: Access

    @property
    def dtype(self) -> str:  # type: ignore[override]
        """Of the buffer."""
        return self.access.buffer.dtype

    @property
    def axes(self) -> frozenset[int]:  # type: ignore[override]
        """The axes that the place depends on."""
        return self.access.axes

    def __str__(self) -> str:
        return str(self.access)


@dataclass(frozen=True, eq=False)
class Position(Expr):
    """The index along one axis, as an integer."""

    axis: int
    scale: int = 1
    offset: int = 0
    dtype: str = "int64"

    @property
    def axes(self) -> frozenset[int]:  # type: ignore[override]
        """Just that axis."""
        return frozenset({self.axis})

    def __str__(self) -> str:
        return f"({self.scale}*i{self.axis} + {self.offset})"


@dataclass(frozen=True, eq=False)
class Apply(Expr):
    """A primitive operation on values."""

    op: str
    args: tuple[Expr, ...]
    dtype: str
    axes: frozenset[int] = field(init=False)
    """All axes that any operand depends on."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", frozenset().union(*(a.axes for a in self.args)))

    def __str__(self) -> str:
        return _assignments([("", self)], "")[-1].lstrip()


@dataclass(frozen=True, eq=False)
class Reduced(Expr):
    """The result of one of the nest's reductions; in an inner store, what it has so far."""

    number: int
    dtype: str
    axes: frozenset[int]

    def __str__(self) -> str:
        return f"r{self.number}"


@dataclass(frozen=True, eq=False)
class Reduction:
    """``kind`` over the reduced axes of an expression; kinds: sum max min any all."""

    kind: str
    value: Expr


@dataclass(frozen=True, eq=False)
class Store:
    """Put a value into a buffer."""

    access: Access
    value: Expr


@dataclass(frozen=True, eq=False)
class Skipping:
    """Terms of a sum that are passed over: those in which a factor is zero.

    Attributes
    ----------
    factor : Load
        Of the product that is summed up. It does not depend on the nest's vector axis and is
        contiguous along the last reduced one.
    columns : int
        Sums in a row: of whole vectors where the other factor's rows are long enough.
    room : Buffer
        Where a thread keeps rows of sums over samples while others are at work.
    """

    factor: Load
    columns: int
    room: Buffer


@dataclass(eq=False)
class Nest:
    """Loops over a domain, with reductions inside and stores at the end.

    Attributes
    ----------
    axes : tuple of int
        Extents of the domain.
    reduced : tuple of int
        Extents of the reduced axes, which follow the domain's in every access.
    reductions : list of Reduction
    stores : list of Store
        At every index of the domain.
    inner : list of Store
        At every index of domain and reduced axes.
    vector : int or None
        The axis that is laid along vector lanes, and
    width : int
        how many lanes.
    turned : int or None
        The axis along which strided loads are contiguous: squares of vectors are loaded along
        it and transposed in registers.
    tiles : tuple of int
        For every axis of the domain how many indices (vectors, for the vector axis) are
        unrolled and kept in registers.
    unroll : int
        How many steps of the last reduced axis are unrolled with accumulators of their own.
    late : int
        How many of the stores, the last ones, are done at the end of a tile.
    skipping : Skipping or None
        Which terms of its sum are passed over.
    """

    axes: tuple[int, ...]
    stores: list[Store]
    reduced: tuple[int, ...] = ()
    reductions: list[Reduction] = field(default_factory=list)
    inner: list[Store] = field(default_factory=list)
    vector: int | None = None
    width: int = 1
    turned: int | None = None
    tiles: tuple[int, ...] = ()
    unroll: int = 1
    late: int = 0
    skipping: Skipping | None = None

    @property
    def plain(self) -> bool:
        """Whether it stores a sum as it is, and nothing else."""
        return len(self.stores) == 1 and isinstance(self.stores[0].value, Reduced)

    @property
    def running(self) -> bool:
        """Whether what a reduction has so far is stored, so that its order counts."""
        parts = postorder([s.value for s in self.inner])
        return any(isinstance(e, Reduced) for e in parts)

    @property
    def extents(self) -> tuple[int, ...]:
        """Of all axes, domain and reduced."""
        return (*self.axes, *self.reduced)

    def expressions(self) -> Iterator[Expr]:
        """All root expressions."""
        yield from (r.value for r in self.reductions)
        yield from (s.value for s in (*self.inner, *self.stores))

    def accesses(self) -> Iterator[Access]:
        """All accesses, stores included."""
        for expr in self.walk():
            if isinstance(expr, Load):
                yield expr.access
        yield from (s.access for s in (*self.inner, *self.stores))

    def buffers(self) -> list[Buffer]:
        """All that it touches, in an order that is the same in every process."""
        room = (self.skipping.room,) if self.skipping else ()
        return list(dict.fromkeys((*(a.buffer for a in self.accesses()), *room)))

    def walk(self) -> list[Expr]:
        """All expressions, each once."""
        seen: dict[int, Expr] = {}
        stack = list(self.expressions())
        stack += [e for s in (*self.inner, *self.stores) for e, _ in s.access.picks]
        while stack:
            expr = stack.pop()
            if id(expr) not in seen:
                seen[id(expr)] = expr
                stack += _children(expr)
        return list(seen.values())

    def reads(self) -> set[Buffer]:
        """The buffers it loads from."""
        return {e.access.buffer for e in self.walk() if isinstance(e, Load)}

    def writes(self) -> set[Buffer]:
        """The buffers it stores to."""
        return {s.access.buffer for s in (*self.inner, *self.stores)}

    def __str__(self) -> str:
        lines = [f"for {_loops_text(self.axes, 0)}:"]
        if self.vector is not None:
            lines[0] += f"  # lanes: i{self.vector} x {self.width}, tiles {self.tiles}"
            lines[0] += "" if self.turned is None else f", transposed from i{self.turned}"
            lines[0] += f", where {self.skipping.factor} is not 0" if self.skipping else ""
        if self.reduced:
            lines.append(f"    for {_loops_text(self.reduced, len(self.axes))}:")
            inside = [(f"r{k} = {r.kind}", r.value) for k, r in enumerate(self.reductions)]
            inside += [(f"{s.access} =", s.value) for s in self.inner]
            lines += _assignments(inside, " " * 8)
        lines += _assignments([(f"{s.access} =", s.value) for s in self.stores], " " * 4)
        return "\n".join(lines)


def _loops_text(extents: Sequence[int], start: int) -> str:
    names = [f"i{start + k}<{'panels' if n == PANELS else n}" for k, n in enumerate(extents)]
    return ", ".join(names) or "once"


def _assignments(targets: Sequence[tuple[str, Expr]], indent: str) -> list[str]:
    """Lines that assign expressions; what is shared or long gets a name and a line before."""
    roots = [value for _, value in targets]
    order = postorder(roots)
    uses = Counter(id(child) for part in order for child in _children(part))
    uses.update(map(id, roots))
    lines: list[str] = []
    texts: dict[int, str] = {}
    for part in order:
        if not isinstance(part, Apply):
            text = str(part)
        else:
            text = f"{part.op}({', '.join(texts[id(a)] for a in part.args)})"
            if (uses[id(part)] > 1 or len(text) > LONGEST_TEXT) and part not in roots:
                lines.append(f"{indent}v{len(lines)} = {text}")
                text = f"v{len(lines) - 1}"
        texts[id(part)] = text
    return lines + [f"{indent}{target} {texts[id(value)]}" for target, value in targets]


def postorder(roots: Sequence[Expr], leaf: Callable[[Expr], bool] | None = None) -> list[Expr]:
    """All parts of expressions, operands before operations, without recursion.

    Parts for which `leaf` holds are not opened.
    """
    order: list[Expr] = []
    seen: set[int] = set()
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        expr, opened = stack.pop()
        if opened:
            order.append(expr)
        elif id(expr) not in seen:
            seen.add(id(expr))
            stack.append((expr, True))
            if leaf is None or not leaf(expr):
                stack.extend((child, False) for child in reversed(_children(expr)))
    return order


def _children(expr: Expr) -> Sequence[Expr]:
    if isinstance(expr, Apply):
        return expr.args
    if isinstance(expr, Load):
        return [e for e, _ in expr.access.picks]
    return ()


def _with_children(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    if isinstance(expr, Apply):
        return Apply(expr.op, parts, expr.dtype)
    assert isinstance(expr, Load)
    strides = (stride for _, stride in expr.access.picks)
    return Load(replace(expr.access, picks=tuple(zip(parts, strides, strict=True))))


def rewrite(roots: Sequence[Expr], change: Callable[[Expr], Expr | None]) -> list[Expr]:
    """Replace parts of expressions; what is shared stays shared.

    Parameters
    ----------
    roots : sequence of Expr
    change : callable
        Returns the replacement of a part, or None to keep the operation on new operands.

    Returns
    -------
    list of Expr
    """
    image: dict[int, Expr] = {}
    for expr in postorder(roots):
        new = change(expr)
        if new is None:
            children = _children(expr)
            parts = tuple(image[id(child)] for child in children)
            same = all(a is b for a, b in zip(parts, children, strict=True))
            new = expr if same else _with_children(expr, parts)
        image[id(expr)] = new
    return [image[id(root)] for root in roots]


def rebuilt(
    nest: Nest, change: Callable[[Expr], Expr | None], place: Callable[[Access], Access]
) -> Nest:
    """The nest with its expressions rewritten and its stores at other places.

    Parameters
    ----------
    nest : Nest
    change : callable
        See `rewrite`.
    place : callable
        From the access of a store to the new one.
    """
    values = iter(rewrite(list(nest.expressions()), change))
    sums = [Reduction(r.kind, next(values)) for r in nest.reductions]
    inner = [Store(place(s.access), next(values)) for s in nest.inner]
    stores = [Store(place(s.access), next(values)) for s in nest.stores]
    return replace(nest, reductions=sums, inner=inner, stores=stores)
