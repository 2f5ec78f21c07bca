"""Sums of arrays that are zero but for a slice: gradients of what is used slice by slice.

``place`` puts an array into a larger one of zeros. A sum of such arrays is cut into boxes, in each
of which certain terms have entries and all others are zero, and every box is written once:

    place(u, 1:9) + place(v, 0:8)    0: v[0]    1..7: u[i-1] + v[i]    8: u[7]    9: 0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise, product
from math import prod
from typing import TYPE_CHECKING

from thalweg.compiler.loops import PANELS, Apply, Expr, Nest, Number, Store
from thalweg.compiler.views import View
from thalweg.graph import Node

if TYPE_CHECKING:
    from thalweg.compiler.fuse import Fusion

__all__ = ["assemble_pieces", "inlined_pieces", "is_piece"]

MOST_BOXES = 128
"""Into which a sum is cut; each becomes a nest."""

Box = tuple[tuple[int, int], ...]
"""Where it begins and ends along each axis."""


def is_piece(node: Node) -> bool:
    """Whether it is a slice of zeros, without steps between the entries."""
    return node.name == "place" and all(step == 1 for step in node.attributes["steps"])


def inlined_pieces(nodes: Sequence[Node], outputs: Collection[Node]) -> set[Node]:
    """Pieces, and sums of them, that are terms of larger sums and need not be in memory.

    Parameters
    ----------
    nodes : sequence of Node
        In topological order.
    outputs : collection of Node
    """
    uses = Counter(i for node in nodes for i in node.inputs)
    into = {i: node for node in nodes for i in node.inputs}
    found: dict[Node, frozenset[Box]] = {}
    for node in nodes:
        boxes = frozenset({_own_box(node)}) if is_piece(node) else frozenset()
        if node.name == "add":
            boxes = frozenset().union(*(found.get(i, frozenset()) for i in node.inputs))
        once = uses[node] == 1 and node not in outputs and into[node].name == "add"
        if boxes and once and _count(node.shape, boxes) <= MOST_BOXES:
            found[node] = boxes
    return set(found)


def _own_box(node: Node) -> Box:
    return tuple(zip(node.attributes["starts"], node.attributes["stops"], strict=True))


def _cuts(shape: Sequence[int], boxes: Collection[Box]) -> list[list[int]]:
    """Where each axis is cut so that no box ends within a part."""
    return [sorted({0, n, *(e for box in boxes for e in box[k])}) for k, n in enumerate(shape)]


def _count(shape: Sequence[int], boxes: Collection[Box]) -> int:
    return prod(len(cuts) - 1 for cuts in _cuts(shape, boxes))


def assemble_pieces(fusion: Fusion, node: Node) -> None:
    """Write the nests of a sum of pieces, one for each box."""
    buffer = fusion.buffer_for(node)
    boxes = {_own_box(term) for term in _terms(fusion, node) if _is_open(fusion, term, node)}
    for box in product(*(pairwise(cuts) for cuts in _cuts(node.shape, boxes))):
        kept = [k for k, (start, stop) in enumerate(box) if stop - start != 1]
        sampled = node in fusion.sampled
        lead, tail = ([PANELS], [fusion.lanes]) if sampled else ([], [])
        extents = (*lead, *(box[k][1] - box[k][0] for k in kept), *tail)
        view = _shifted(fusion.view(node, kept, len(lead), len(extents)), [b[0] for b in box])
        fusion._lane_axis = len(extents) - 1
        value = _value(fusion, node, node, box, view, len(extents))
        fusion._lane_axis = len(extents) - 1
        value = Number(0.0, node.dtype.name) if value is None else value
        access = fusion.place(buffer, view, len(extents))
        fusion.nests.append(Nest(extents, [Store(access, value)]))
    fusion.buffers[node] = buffer


def _is_open(fusion: Fusion, term: Node, top: Node) -> bool:
    return is_piece(term) and (term is top or term not in fusion.buffers)


def _terms(fusion: Fusion, node: Node) -> Iterator[Node]:
    """The terms of a sum, those of its inlined terms among them."""
    waiting = [node]
    while waiting:
        term = waiting.pop()
        if term.name == "add" and (term is node or term in fusion.inlined):
            waiting.extend(term.inputs)
        else:
            yield term


def _value(fusion: Fusion, node: Node, top: Node, box: Box, view: View, count: int) -> Expr | None:
    """The value within a box, or None where there are only zeros."""
    if _is_open(fusion, node, top):
        own = _own_box(node)
        if not all(a <= start < b for (a, b), (start, _) in zip(own, box, strict=True)):
            return None
        return fusion.expression(node.inputs[0], _shifted(view, [-a for a, _ in own]), count)
    if node.name != "add" or not (node is top or node in fusion.inlined):
        return fusion.expression(node, view, count)
    terms = [_value(fusion, term, top, box, view, count) for term in node.inputs]
    found = [term for term in terms if term is not None]
    if len(found) < 2:
        return found[0] if found else None
    return Apply("add", tuple(found), node.dtype.name)


def _shifted(view: View, starts: Sequence[int]) -> View:
    return tuple(index.scaled(1, start) for index, start in zip(view, starts, strict=True))
