"""Pictures laid out: computation graphs by depth, networks by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thalweg.explanation.notation import Math, partial, symbol, text
from thalweg.explanation.records import Picture, PictureEdge, PictureNode
from thalweg.graph import Node

if TYPE_CHECKING:
    from thalweg.explanation.expression import _Expression
    from thalweg.explanation.network.passes import Passes

__all__ = ["computation_picture", "network_picture"]

MOST_DRAWN = 10


def _single(value: object) -> float | None:
    array = np.asarray(value)
    return float(array) if array.ndim == 0 else None


def computation_picture(expression: _Expression) -> Picture:
    """The computation graph of an expression: inputs on the left, the result on the right."""
    inputs = dict.fromkeys(expression.point.graph.inputs)
    named = list(dict.fromkeys([*inputs, *expression.shown]))
    sources = {node: _sources(node, set(named)) for node in named}
    column = dict.fromkeys(inputs, 0)
    for node in named:
        if node not in column:
            column[node] = 1 + max((column[s] for s in sources[node]), default=0)
    for node in inputs:  # an input stands right before the first thing that uses it
        users = [column[n] for n in named if node in set(sources[n])]
        column[node] = max(0, min(users) - 1) if users else 0
    rows: dict[int, int] = {}
    nodes, heights = [], {c: list(column.values()).count(c) for c in set(column.values())}
    for node in named:
        place = rows.get(column[node], 0)
        rows[column[node]] = place + 1
        kind = "input" if node in inputs else "operation"
        cotangent = expression.derivation.cotangents.get(node)
        nodes.append(
            PictureNode(
                text(expression.names[node]),
                expression.names[node],
                "output" if node is expression.output else kind,
                float(column[node]),
                place - (heights[column[node]] - 1) / 2,
                _single(expression.values[node]),
                None if cotangent is None else _single(expression.values[cotangent]),
            )
        )
    edges = [_edge(expression, s, node) for node in named for s in sources[node]]
    return Picture("computation", tuple(nodes), tuple(edges))


def _sources(node: Node, named: set[Node]) -> list[Node]:
    """The named nodes that a node is computed from directly."""
    found: dict[Node, None] = {}
    stack = list(node.inputs)
    while stack:
        source = stack.pop(0)
        if source in named:
            found.setdefault(source)
        else:
            stack += source.inputs
    return list(found)


def _edge(expression: _Expression, source: Node, target: Node) -> PictureEdge:
    uses = [e for e in expression.derivation.edges if e.source is source and e.consumer is target]
    local = contribution = None
    if uses and all(e.local is not None for e in uses):
        locals_ = [expression.values[e.local] for e in uses if e.local is not None]
        if all(v.ndim == 0 for v in locals_):
            local = float(sum(locals_))
            contribution = float(sum(expression.values[e.contribution] for e in uses))
    return PictureEdge(
        text(expression.names[source]),
        text(expression.names[target]),
        partial(expression.names[target], expression.names[source]),
        local,
        contribution,
    )


# -- networks -------------------------------------------------------------------------------------
def network_picture(passes: Passes, sample: int) -> Picture:
    """The network with the numbers of one sample: layers in columns, tall ones with a gap."""
    nodes: list[PictureNode] = []
    drawn: dict[int, list[int]] = {}
    for layer, size in enumerate(passes.network.sizes):
        drawn[layer] = _drawn(size)
        places = [*drawn[layer]]
        if len(places) < size:
            places.insert(len(places) - 1, 0)
        for row, index in enumerate(places):
            height = row - (len(places) - 1) / 2
            nodes.append(_neuron(passes, sample, layer, index, height))
    edges = [
        _weight(passes, layer, j, i)
        for layer in range(1, passes.depth + 1)
        for j in drawn[layer]
        for i in drawn[layer - 1]
    ]
    return Picture("network", tuple(nodes), tuple(edges))


def _drawn(size: int) -> list[int]:
    """The neurons of a layer that are drawn: all, or the first ones and the last."""
    if size <= MOST_DRAWN:
        return list(range(1, size + 1))
    return [*range(1, MOST_DRAWN - 1), size]


def _neuron(passes: Passes, sample: int, layer: int, index: int, row: float) -> PictureNode:
    if index == 0:
        return PictureNode(f"{layer}.gap", symbol("⋮"), "gap", float(layer), row)
    kind = "input" if layer == 0 else "output" if layer == passes.depth else "hidden"
    name: Math = symbol(f"a[{layer}]", index) if layer else symbol("x", index)
    table = passes.dA if layer < passes.depth else {layer: passes.dA_plain}
    return PictureNode(
        f"{layer}.{index}",
        name,
        kind,
        float(layer),
        row,
        float(passes.A[layer][index - 1, sample - 1]),
        float(table[layer][index - 1, sample - 1]),
        _caption(passes, layer, index),
    )


def _caption(passes: Passes, layer: int, index: int) -> str:
    if layer == 0:
        return passes.columns.input(index)
    return passes.columns.output(index) if layer == passes.depth else ""


def _weight(passes: Passes, layer: int, j: int, i: int) -> PictureEdge:
    return PictureEdge(
        f"{layer - 1}.{i}",
        f"{layer}.{j}",
        symbol(f"w[{layer}]", j, i),
        float(passes.params[layer - 1]["W"][j - 1, i - 1]),
        float(passes.dW[layer][j - 1, i - 1]),
    )
