"""Reverse and forward mode on a graph, each one walk.

Reverse mode returns a `Derivation`: beside the gradient it keeps, for every node, its global
derivative (cotangent) and, for every edge, the local derivative and the contribution before
summing. Training uses the gradient, explanations read the rest: one derivative for both.

Examples
--------
>>> import thalweg as tw
>>> from thalweg.graph import expression
>>> graph = tw.trace(lambda w, x, b: w * x + b, 0.0, 0.0, 0.0)
>>> derivation = backward(graph.outputs[0], graph.inputs)
>>> names = graph.label_of()
>>> [expression(derivation.cotangents[i], names) for i in graph.inputs]
['x', 'w', '1.0']
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thalweg.errors import DifferentiationError
from thalweg.graph import (
    PRIMITIVES,
    Node,
    constant,
    is_scalar_constant,
    scalar_value,
    topological,
)
from thalweg.ops.families import broadcast, select

__all__ = ["Derivation", "Edge", "backward", "forward", "zeros_like"]


@dataclass(frozen=True, eq=False)
class Edge:
    """One step of the chain: from a node back to one of its inputs.

    Attributes
    ----------
    consumer : Node
        The operation.
    position : int
        Which of its inputs.
    source : Node
        That input.
    local : Node or None
        The local derivative ∂consumer/∂source, entry by entry; None for matrix products and
        other linear maps, which are not applied entry by entry.
    contribution : Node
        Upstream times local: what this use of `source` adds to its global derivative.
    """

    consumer: Node
    position: int
    source: Node
    local: Node | None
    contribution: Node


@dataclass(frozen=True, eq=False)
class Derivation:
    """What reverse mode found out on its way.

    Attributes
    ----------
    output : Node
        What was differentiated.
    cotangents : mapping of Node to Node
        The global derivative ∂output/∂node of every node on the way.
    edges : tuple of Edge
        In the order of the walk, from the output backwards.
    """

    output: Node
    cotangents: Mapping[Node, Node]
    edges: tuple[Edge, ...]

    def gradient(self, node: Node) -> Node:
        """∂output/∂node, zeros where the output does not depend on it."""
        found = self.cotangents.get(node)
        return zeros_like(node) if found is None else found

    def edges_into(self, node: Node) -> list[Edge]:
        """The uses of a node, one contribution each."""
        return [edge for edge in self.edges if edge.source is node]


def zeros_like(node: Node) -> Node:
    """Zeros of a node's shape and dtype."""
    return broadcast(constant(0.0, node.dtype), node.shape)


def _dependents(nodes: Sequence[Node], wanted: Sequence[Node]) -> set[Node]:
    """The nodes that depend on any of the wanted ones (and can carry a derivative)."""
    active = {node for node in wanted if node.dtype.kind == "f"}
    for node in nodes:
        if node not in active and node.dtype.kind == "f" and not active.isdisjoint(node.inputs):
            active.add(node)
    return active


def backward(output: Node, wanted: Sequence[Node], cotangent: Node | None = None) -> Derivation:
    """Differentiate a node with respect to others, by one walk backwards.

    Parameters
    ----------
    output : Node
        Of any shape; of none for a gradient.
    wanted : sequence of Node
    cotangent : Node, optional
        The derivative of the final result with respect to `output`; one by default.

    Returns
    -------
    Derivation

    Raises
    ------
    DifferentiationError
        If the output is no floating-point number.
    """
    if output.dtype.kind != "f":
        raise DifferentiationError(
            "the result has dtype {dtype}: only float32 and float64 have derivatives. "
            "Comparisons, counts and accuracies change in jumps; minimise a loss instead.",
            dtype=output.dtype,
        )
    if cotangent is None:
        cotangent = broadcast(constant(1.0, output.dtype), output.shape)
    nodes = topological([output])
    active = _dependents(nodes, wanted)
    cotangents: dict[Node, Node] = {output: cotangent}
    masks = _Masks()
    edges: list[Edge] = []
    for node in reversed(nodes):
        if node not in cotangents or node not in active or node.primitive is None:
            continue
        for position, source in enumerate(node.inputs):
            if source not in active:
                continue
            edge = _step(node, position, cotangents[node], masks)
            if edge is None:
                continue
            edges.append(edge)
            before = cotangents.get(source)
            total = edge.contribution if before is None else before + edge.contribution
            cotangents[source] = total
    return Derivation(output, cotangents, tuple(edges))


def _step(node: Node, position: int, upstream: Node, masks: _Masks) -> Edge | None:
    """One local application of the chain rule."""
    primitive, source = node.primitive, node.inputs[position]
    assert primitive is not None
    local, contribution = primitive.step(node, upstream, position)
    if contribution is None:
        return None
    mask = masks.through(node, position)
    if mask is not None and masks.matters(node, local):
        contribution = select(mask, contribution, 0.0)
    masks.note(node, source, mask)
    return Edge(node, position, source, local, contribution)


class _Masks:
    """Where cotangents are known to be zero because ``where`` or ``maximum`` chose otherwise.

    In those places a local derivative may be infinite or NaN; the product is zero all the same.
    A node is masked only if all its uses are. Products of a matrix with an infinite entry are
    left as they are: cleaning operands would cost every ReLU layer a pass over its weights,
    while a carried mask costs nothing unless an unbounded operation further back uses it.
    For the same reason bounded operations (tanh of NaN) use only masks that have not come
    through a matrix product.
    """

    def __init__(self) -> None:
        self.known: dict[Node, Node | None] = {}
        self.far: set[Node] = set()  # whose mask came through a matrix product

    def matters(self, node: Node, local: Node | None) -> bool:
        """Whether a local derivative may be infinite where it is masked."""
        factor = None if local is None else scalar_value(local)
        if factor is not None:
            return not math.isfinite(factor)
        assert node.primitive is not None
        return not node.primitive.bounded or (local is not None and node not in self.far)

    def through(self, node: Node, position: int) -> Node | None:
        """The mask of the contribution to one input."""
        primitive = node.primitive
        assert primitive is not None
        above = self.known.get(node)
        carried = None if above is None else primitive.carry_mask(node, above, position)
        own = primitive.mask(node, position)
        if own is None or carried is None:
            return carried if own is None else own
        return PRIMITIVES["logical_and"].bind(own, carried)

    def note(self, node: Node, source: Node, mask: Node | None) -> None:
        """Join the masks of several uses."""
        if node in self.far or bool(getattr(node.primitive, "carriers", None)):
            self.far.add(source)
        if source in self.known:
            before = self.known[source]
            if before is None or mask is None:
                mask = None
            else:
                mask = PRIMITIVES["logical_or"].bind(before, mask)
        self.known[source] = None if mask is None or is_scalar_constant(mask, 1.0) else mask


def forward(
    outputs: Sequence[Node], wanted: Sequence[Node], tangents: Sequence[Node]
) -> list[Node]:
    """Push tangents of some nodes through to the outputs, by one walk forwards.

    Parameters
    ----------
    outputs, wanted : sequence of Node
    tangents : sequence of Node
        One for each wanted node, of its shape.

    Returns
    -------
    list of Node
        The derivative of each output along the tangents.
    """
    known: dict[Node, Node] = dict(zip(wanted, tangents, strict=True))
    for node in topological(outputs):
        if node in known or node.primitive is None or node.dtype.kind != "f":
            continue
        incoming = [known.get(i) for i in node.inputs]
        if all(tangent is None for tangent in incoming):
            continue
        tangent = node.primitive.push(node, incoming)
        if tangent is not None:
            known[node] = tangent
    return [known[node] if node in known else zeros_like(node) for node in outputs]
