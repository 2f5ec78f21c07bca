"""Moves are free: which index of an operand an index of the result corresponds to.

Transposes, slices, flips and broadcasts change indices, not entries; so does a reshape of what
is contiguous in memory. Each rule returns the operand's value at the index it works out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.compiler.loops import Access, Buffer, Expr, Load
from thalweg.graph import Node

if TYPE_CHECKING:
    from thalweg.compiler.fuse import Fusion

__all__ = ["VIEW_RULES", "Index", "View", "unit", "unit_reshape"]


@dataclass(frozen=True)
class Index:
    """An index that is affine in the nest's indices: ``offset + Σ strides·i``."""

    strides: tuple[int, ...]
    offset: int = 0

    def scaled(self, factor: int, offset: int) -> Index:
        """Factor · index + offset"""
        return Index(tuple(s * factor for s in self.strides), self.offset * factor + offset)


View = tuple[Index, ...]


def unit(axis: int, count: int) -> tuple[int, ...]:
    """Strides of the index that is one of `count` axes itself."""
    return tuple(int(k == axis) for k in range(count))


def unit_reshape(node: Node) -> bool:
    """Whether a reshape only adds or removes axes of length one."""
    before = [n for n in node.inputs[0].shape if n != 1]
    return before == [n for n in node.shape if n != 1]


def _view_broadcast(fusion: Fusion, node: Node, view: View, count: int) -> Expr:
    (x,) = node.inputs
    aligned = view[len(view) - x.ndim :]
    zero = Index((0,) * count)
    inner = tuple(zero if n == 1 else i for i, n in zip(aligned, x.shape, strict=True))
    return fusion.expression(x, inner, count)


def _view_transpose(fusion: Fusion, node: Node, view: View, count: int) -> Expr:
    inner = [view[0]] * len(view)
    for position, axis in enumerate(node.attributes["axes"]):
        inner[axis] = view[position]
    return fusion.expression(node.inputs[0], tuple(inner), count)


def _view_slice(fusion: Fusion, node: Node, view: View, count: int) -> Expr:
    a = node.attributes
    inner = tuple(
        i.scaled(step, start) for i, start, step in zip(view, a["starts"], a["steps"], strict=True)
    )
    return fusion.expression(node.inputs[0], inner, count)


def _view_flip(fusion: Fusion, node: Node, view: View, count: int) -> Expr:
    axes = node.attributes["axes"]
    inner = tuple(
        i.scaled(-1, n - 1) if k in axes else i
        for k, (i, n) in enumerate(zip(view, node.shape, strict=True))
    )
    return fusion.expression(node.inputs[0], inner, count)


def _view_reshape(fusion: Fusion, node: Node, view: View, count: int) -> Expr:
    (x,) = node.inputs
    if unit_reshape(node):
        kept = iter(i for i, n in zip(view, node.shape, strict=True) if n != 1)
        zero = Index((0,) * count)
        inner = tuple(zero if n == 1 else next(kept) for n in x.shape)
        return fusion.expression(x, inner, count)
    if x not in fusion.buffers:
        if x.is_constant:
            fusion._constant(x)
        else:
            lane = fusion._lane_axis
            fusion._root(x)
            fusion._lane_axis = lane
    buffer = fusion.buffers[x]
    # One flat index: the buffer is contiguous, so the reshaped array has row-major strides too.
    lanes = fusion.lanes if buffer.panels else 1
    flat = Buffer(buffer.name, (x.size, lanes)[: 2 if buffer.panels else 1], buffer.dtype,
                  buffer.role, buffer.panels)  # fmt: skip
    strides = [0] * count
    offset = 0
    step = 1
    for index, extent in zip(reversed(view), reversed(node.shape), strict=True):
        offset += index.offset * step
        strides = [a + b * step for a, b in zip(strides, index.strides, strict=True)]
        step *= extent
    access = fusion.place(flat, (Index(tuple(strides), offset),), count)
    return Load(Access(buffer, access.strides, access.offset))


VIEW_RULES: dict[str, Callable[[Fusion, Node, View, int], Expr]] = {
    "broadcast_to": _view_broadcast,
    "transpose": _view_transpose,
    "slice": _view_slice,
    "flip": _view_flip,
    "reshape": _view_reshape,
}
