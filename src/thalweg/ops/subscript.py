"""NumPy's indexing, taken apart into slices, flips, reshapes and gathers."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import PositionError, ShapeError
from thalweg.graph import Node, constant
from thalweg.graph.node import unmasked
from thalweg.ops import indexing, shape
from thalweg.ops.families import broadcast

__all__ = ["subscript"]


@dataclass(frozen=True)
class _Picked:
    """An axis indexed by an array of integers, or by a mask of some length."""

    index: Any
    length: int | None = None


def subscript(x: Node, index: Any) -> Node:
    """Apply an index to a traced array (see `thalweg.numpy.getitem`)."""
    if type(index) is int and x.shape:  # by far the most frequent one
        return _entry(x, index)
    items = _expand(x, index)
    if any(isinstance(item, _Picked) for item in items):
        items = [_Picked(np.asarray(i)) if isinstance(i, int) else i for i in items]
        return _advanced(x, items)
    return _basic(x, items)


def _entry(x: Node, index: int) -> Node:
    """One entry along the first axis."""
    length, *rest = x.shape
    start = _inside(index, 0, length)
    if length > 1:
        before, one = (0,) * len(rest), (1,) * x.ndim
        x = shape.take_slice.bind(x, starts=(start, *before), stops=(start + 1, *rest), steps=one)
    return shape.reshape.bind(x, shape=tuple(rest))


def _inside(index: int, axis: int, length: int) -> int:
    """An index counted from the beginning."""
    if not -length <= index < length:
        raise PositionError(
            "index {item} is outside axis {axis} of length {length}",
            item=index,
            axis=axis,
            length=length,
        )
    return index % length


def _expand(x: Node, index: Any) -> list[Any]:
    """One item for every axis (and for every new one): slice, int, None or `_Picked`."""
    items: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        items.extend(_item(item))
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > x.ndim:
        raise ShapeError("{used} indices for an array of shape {shape}", used=used, shape=x.shape)
    fill = [slice(None)] * (x.ndim - used)
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise ShapeError("an index can have only one '...'")
    at = dots[0] if dots else len(items)
    return items[:at] + fill + items[at + 1 :]


def _item(item: Any) -> list[Any]:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return [item]
    if isinstance(item, Node):
        if item.dtype.kind == "b":
            raise ShapeError(
                "a traced boolean mask as an index would give an unknown number of entries: "
                "write thalweg.numpy.where(mask, x, 0) and reduce that."
            )
        if item.dtype.kind != "i":
            raise ShapeError("an index must be an integer, not {dtype}", dtype=item.dtype)
        return [_Picked(item)]
    if isinstance(item, bool | np.bool_):
        raise ShapeError("True or False as an index: use slices, integers or integer arrays")
    array = unmasked(item)
    if array.dtype.kind == "b":
        places = zip(np.nonzero(array), array.shape, strict=True)
        return [_Picked(part, length) for part, length in places]
    if array.ndim or array.size == 0:
        if array.size and array.dtype.kind not in "iu":
            raise ShapeError("an index must be an integer, not {dtype}", dtype=array.dtype)
        return [_Picked(array.astype(np.int64))]
    return [operator.index(item)]


def _basic(x: Node, items: list[Any]) -> Node:
    starts, stops, steps, flips, kept = [], [], [], [], []
    axis = 0
    for item in items:
        if item is None:
            kept.append(1)
            continue
        length = x.shape[axis]
        if isinstance(item, int):
            start = _inside(item, axis, length)
            stop, step = start + 1, 1
        else:
            start, stop, step = item.indices(length)
            count = len(range(start, stop, step))
            if step < 0:
                flips.append(axis)
                last = start + (count - 1) * step
                start, stop, step = last, start + 1, -step
            if count == 0:
                start = stop = 0
            else:
                stop = start + (count - 1) * step + 1
            kept.append(count)
        starts.append(start)
        stops.append(stop)
        steps.append(step)
        axis += 1
    whole = all(a == 0 and b == n and c == 1 for a, b, c, n in zip(
        starts, stops, steps, x.shape, strict=True))  # fmt: skip
    if not whole:
        x = shape.take_slice.bind(x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))
    if flips:
        x = shape.flip.bind(x, axes=tuple(flips))
    return x if x.shape == tuple(kept) else shape.reshape.bind(x, shape=tuple(kept))


def _advanced(x: Node, items: list[Any]) -> Node:
    """Slices first, then the picked axes to the front, one gather, and the axes put in place."""
    axes = [item for item in items if item is not None]
    x = _basic(x, [slice(None) if isinstance(item, _Picked) else item for item in axes])
    picked = [a for a, item in enumerate(axes) if isinstance(item, _Picked)]
    rest = [a for a in range(x.ndim) if a not in picked]
    indices = _index_nodes(x, [axes[a] for a in picked], picked)
    order = (*picked, *rest)
    if order != tuple(range(x.ndim)):
        x = shape.transpose.bind(x, axes=order)
    out = indexing.gather.bind(x, *indices)
    return _arrange(out, items, indices[0].ndim)


def _index_nodes(x: Node, items: list[_Picked], picked: list[int]) -> list[Node]:
    nodes = []
    for item, axis in zip(items, picked, strict=True):
        index, length = item.index, x.shape[axis]
        if item.length not in (None, length):
            raise PositionError(
                "a mask of length {found} along an axis of length {length}",
                found=item.length,
                length=length,
            )
        if isinstance(index, Node):
            nodes.append(index)
            continue
        outside = (index < -length) | (index >= length)
        if outside.any():
            raise PositionError(
                "index {item} is outside axis {axis} of length {length}",
                item=int(index[outside].flat[0]),
                axis=axis,
                length=length,
            )
        nodes.append(constant(np.where(index < 0, index + length, index), np.int64))
    common = np.broadcast_shapes(*(node.shape for node in nodes))
    return [broadcast(node, common) for node in nodes]


def _arrange(out: Node, items: list[Any], picked_ndim: int) -> Node:
    """Put the gathered axes where NumPy puts them, and the new axes of length one."""
    places = [k for k, item in enumerate(items) if isinstance(item, _Picked)]
    together = places == list(range(places[0], places[-1] + 1))
    before = sum(isinstance(i, slice) for i in items[: places[0]]) if together else 0
    if before:
        front = list(range(picked_ndim, picked_ndim + before))
        tail = list(range(picked_ndim + before, out.ndim))
        out = shape.transpose.bind(out, axes=(*front, *range(picked_ndim), *tail))
    kept: list[int] = []
    lengths = iter(out.shape)
    gathered = False
    if not together:
        kept.extend(next(lengths) for _ in range(picked_ndim))
        gathered = True
    for item in items:
        if item is None:
            kept.append(1)
        elif isinstance(item, slice):
            kept.append(next(lengths))
        elif not gathered:
            kept.extend(next(lengths) for _ in range(picked_ndim))
            gathered = True
    return out if out.shape == tuple(kept) else shape.reshape.bind(out, shape=tuple(kept))
