"""Nests for operations that put an array together or look for places in it.

Concatenation, scattering and gathering need their operands in memory and store to places of
their own; a running total and the place of an extreme are reductions with a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

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
    Reduction,
    Store,
)
from thalweg.compiler.pieces import assemble_pieces, is_piece
from thalweg.compiler.views import Index, View, unit
from thalweg.graph import Node

if TYPE_CHECKING:
    from thalweg.compiler.fuse import Fusion

__all__ = ["ASSEMBLERS"]


def _fill(fusion: Fusion, node: Node, buffer: Buffer, value: float) -> None:
    extents, view, _ = fusion._frame(node)
    fusion._lane_axis = len(extents) - 1
    number = Number(value, node.dtype.name)
    access = fusion.place(buffer, view, len(extents))
    fusion.nests.append(Nest(extents, [Store(access, number)]))


def _copy_into(
    fusion: Fusion, source: Node, node: Node, buffer: Buffer, move: Callable[[View], View]
) -> None:
    """Store a node at the places of another buffer that `move` gives."""
    kept = [a for a, n in enumerate(source.shape) if n != 1]
    sampled = node in fusion.sampled
    lead, tail = ([PANELS], [fusion.lanes]) if sampled else ([], [])
    extents = (*lead, *(source.shape[a] for a in kept), *tail)
    view = fusion.view(source, kept, len(lead), len(extents))
    fusion._lane_axis = len(extents) - 1
    value = fusion.expression(source, view, len(extents))
    fusion._lane_axis = len(extents) - 1
    access = fusion.place(buffer, move(view), len(extents))
    fusion.nests.append(Nest(extents, [Store(access, value)]))


def _assemble_concatenate(fusion: Fusion, node: Node) -> None:
    buffer = fusion.buffer_for(node)
    axis = node.attributes["axis"]
    start = 0
    for part in node.inputs:

        def move(view: View, at: int = start) -> View:
            return tuple(i.scaled(1, at) if k == axis else i for k, i in enumerate(view))

        if part.size:
            _copy_into(fusion, part, node, buffer, move)
        start += part.shape[axis]
    fusion.buffers[node] = buffer


def _assemble_place(fusion: Fusion, node: Node) -> None:
    if is_piece(node):
        assemble_pieces(fusion, node)
        return
    buffer = fusion.buffer_for(node)
    a = node.attributes
    _fill(fusion, node, buffer, 0.0)

    def move(view: View) -> View:
        return tuple(
            i.scaled(step, start)
            for i, start, step in zip(view, a["starts"], a["steps"], strict=True)
        )

    _copy_into(fusion, node.inputs[0], node, buffer, move)
    fusion.buffers[node] = buffer


def _picked(
    fusion: Fusion, indices: Sequence[Node], view: View, buffer: Buffer, count: int
) -> tuple[tuple[Expr, int], ...]:
    """Index arrays as run-time picks; negative ones count from the end."""
    picks = []
    for position, index in enumerate(indices):
        length = buffer.shape[position]
        value = fusion.expression(index, view, count)
        if value.dtype != "int64":
            value = Apply("cast", (value,), "int64")
        zero, end, last = (Number(n, "int64") for n in (0, length, length - 1))
        negative = Apply("less", (value, zero), "bool")
        wrapped = Apply("where", (negative, Apply("add", (value, end), "int64"), value), "int64")
        if not index.is_constant:  # `guards` raises; memory is not touched outside
            wrapped = Apply("maximum", (wrapped, zero), "int64")
            wrapped = Apply("minimum", (wrapped, last), "int64")
        picks.append((wrapped, buffer.strides[position]))
    return tuple(picks)


def _assemble_gather(fusion: Fusion, node: Node) -> None:
    buffer = fusion.buffer_for(node)
    extents, view, _ = fusion._frame(node)
    count = len(extents)
    fusion._lane_axis = count - 1
    value = gathered(fusion, node, view, count)
    fusion.nests.append(Nest(extents, [Store(fusion.place(buffer, view, count), value)]))
    fusion.buffers[node] = buffer


def gathered(fusion: Fusion, node: Node, view: View, count: int) -> Load:
    """An entry of what a gather picks, from where it is picked."""
    x, *indices = node.inputs
    source = _memory(fusion, x)
    rank = indices[0].ndim
    zero = tuple(Index((0,) * count) for _ in indices)
    plain = fusion.place(source, (*zero, *view[rank:]), count)
    picks = _picked(fusion, indices, view[:rank], source, count)
    return Load(Access(source, plain.strides, plain.offset, picks))


def _memory(fusion: Fusion, node: Node) -> Buffer:
    if node not in fusion.buffers:
        if node.is_constant:
            fusion._constant(node)
        else:
            lane = fusion._lane_axis
            fusion._root(node)
            fusion._lane_axis = lane
    return fusion.buffers[node]


def _assemble_scatter(fusion: Fusion, node: Node) -> None:
    updates, *indices = node.inputs
    buffer = fusion.buffer_for(node)
    _fill(fusion, node, buffer, 0.0)
    kept = list(range(updates.ndim))
    sampled = node in fusion.sampled
    lead, tail = ([PANELS], [fusion.lanes]) if sampled else ([], [])
    extents = (*lead, *updates.shape, *tail)
    count = len(extents)
    view = fusion.view(updates, kept, len(lead), count)
    fusion._lane_axis = count - 1
    value = fusion.expression(updates, view, count)
    rank = indices[0].ndim
    zero = tuple(Index((0,) * count) for _ in indices)
    plain = fusion.place(buffer, (*zero, *view[rank:]), count)
    picks = _picked(fusion, indices, view[:rank], buffer, count)
    access = Access(buffer, plain.strides, plain.offset, picks)
    total = Apply("add", (Load(access), value), node.dtype.name)
    nest = Nest(extents, [Store(access, total)])
    nest.vector, nest.width, nest.tiles = -1, 1, (1,) * count  # one after the other, in order
    fusion.nests.append(nest)
    fusion.buffers[node] = buffer


def _assemble_cumsum(fusion: Fusion, node: Node) -> None:
    """A running sum: a reduction that stores what it has so far."""
    (x,) = node.inputs
    axis = node.attributes["axis"]
    buffer = fusion.buffer_for(node)
    sampled = node in fusion.sampled
    lead, tail = ([PANELS], [fusion.lanes]) if sampled else ([], [])
    kept = [a for a, n in enumerate(node.shape) if n != 1 and a != axis]
    extents = (*lead, *(node.shape[a] for a in kept), *tail)
    count = len(extents) + 1
    fusion._lane_axis = len(extents) - 1
    view = list(fusion.view(node, kept, len(lead), count))
    view[axis] = Index(unit(count - 1, count))
    value = fusion.expression(x, tuple(view), count)
    so_far = Reduced(0, node.dtype.name, frozenset(range(len(extents))))
    store = Store(fusion.place(buffer, tuple(view), count), so_far)
    length = (node.shape[axis],)
    fusion.nests.append(Nest(extents, [], length, [Reduction("sum", value)], [store]))
    fusion.buffers[node] = buffer


def _assemble_arg(fusion: Fusion, node: Node) -> None:
    """The first index at which the extreme value is met."""
    (x,) = node.inputs
    (axis,) = node.attributes["axes"]
    kind = "max" if node.name == "argmax" else "min"
    buffer = fusion.buffer_for(node)
    extents, own, kept = fusion._frame(node)
    count = len(extents) + 1
    lead = 1 if node in fusion.sampled else 0
    fusion._lane_axis = len(extents) - 1
    rest = list(fusion.view(node, kept, lead, count))
    view = (*rest[:axis], Index(unit(count - 1, count)), *rest[axis:])
    extreme = fusion.buffer_for(node, x.dtype.name)
    value = fusion.expression(x, view, count)
    best = Reduced(0, x.dtype.name, frozenset(range(len(extents))))
    access = fusion.place(extreme, own, len(extents))
    fusion.nests.append(
        Nest(extents, [Store(access, best)], (x.shape[axis],), [Reduction(kind, value)])
    )
    known = Load(fusion.place(extreme, tuple(rest), count))
    value = fusion.expression(x, view, count)
    hit = Apply("equal", (value, known), "bool")
    if x.dtype.kind == "f":  # the first NaN is the extreme
        hit = Apply("logical_or", (hit, Apply("isnan", (value,), "bool")), "bool")
    far = Number(x.shape[axis], "int64")
    first = Apply("where", (hit, Position(count - 1), far), "int64")
    result = Reduced(0, "int64", frozenset(range(len(extents))))
    store = Store(fusion.place(buffer, own, len(extents)), result)
    fusion.nests.append(Nest(extents, [store], (x.shape[axis],), [Reduction("min", first)]))
    fusion.buffers[node] = buffer


ASSEMBLERS: dict[str, Callable[[Fusion, Node], None]] = {
    "concatenate": _assemble_concatenate,
    "place": _assemble_place,
    "gather": _assemble_gather,
    "scatter_add": _assemble_scatter,
    "cumsum": _assemble_cumsum,
    "argmax": _assemble_arg,
    "argmin": _assemble_arg,
}
