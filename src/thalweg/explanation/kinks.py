"""Where a derivative is a convention: kinks, and steps that have no derivative.

ReLU'(0) = 0 and leaky ReLU'(0) = 0.01 are conventions of the documents; ties in a maximum are
shared. Where the point at hand lies on such a place, a sentence says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from thalweg.explanation.notation import Math, symbol
from thalweg.explanation.notation.graph import opened
from thalweg.explanation.records import Array, Sentence
from thalweg.graph import Graph, Node, scalar_value

__all__ = ["find", "is_constant", "kinked"]

_COMPARISONS = ("less", "less_equal", "greater", "greater_equal")


def _equal(node: Node, values: Mapping[Node, Array]) -> bool:
    a, b = (values[i] for i in node.inputs[:2])
    return bool(np.any(a == b))


def _at_whole(node: Node, values: Mapping[Node, Array]) -> bool:
    x = values[node.inputs[0]]
    return bool(np.any(x == np.rint(x)))


def _at_zero(node: Node, values: Mapping[Node, Array]) -> bool:
    return bool(np.any(values[node.inputs[0]] == 0))


def _on_border(node: Node, values: Mapping[Node, Array]) -> bool:
    condition = node.inputs[0]
    while condition.name in ("broadcast_to", "reshape", "logical_not"):
        condition = condition.inputs[0]
    return condition.name in _COMPARISONS and _equal(condition, values)


_KINKS: dict[str, Callable[[Node, Mapping[Node, Array]], bool]] = {
    "abs": _at_zero,
    "sqrt": _at_zero,
    "norm": _at_zero,
    "maximum": _equal,
    "minimum": _equal,
    "where": _on_border,
}
_JUMPS = {"sign": _at_zero, "floor": _at_whole, "ceil": _at_whole}


def find(graph: Graph, names: Mapping[Node, Math], values: Mapping[Node, Array]) -> list[Sentence]:
    """Sentences about kinks at this point and about steps without derivative.

    Parameters
    ----------
    graph : Graph
    names : mapping of Node to Math
    values : mapping of Node to array
        Of every node of the graph.

    Returns
    -------
    list of Sentence
    """
    found = []
    for node in graph.nodes():
        name = names.get(node, symbol(node.name))
        formula = opened(node, names) if node in names else name
        if kinked(node, values):
            found.append(Sentence("kink", {"name": name, "formula": formula}))
        if node.name in _JUMPS or _is_step(node):
            found.append(Sentence("no_slope", {"name": name, "formula": formula}))
    return found


def kinked(node: Node, values: Mapping[Node, Array]) -> bool:
    """Whether an operation is at a kink, given the values of its inputs."""
    return node.name in _KINKS and _KINKS[node.name](node, values)


def _is_step(node: Node) -> bool:
    """Whether a choice between constants, such as the step function."""
    if node.name != "where" or node.inputs[0].is_constant:
        return False
    return all(is_constant(i) for i in node.inputs[1:])


def is_constant(node: Node) -> bool:
    """Whether a node has one value whatever the inputs are, such as ``0 * z``."""
    while node.name in ("broadcast_to", "reshape", "cast"):
        node = node.inputs[0]
    if node.name == "multiply":
        return any(scalar_value(i) == 0.0 for i in node.inputs)
    return node.is_constant
