"""From a node of the graph to the formula people read.

Broadcasts and reshapes are left out, as they are on paper; nodes that have a name are written
by it instead of being opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from thalweg.explanation.notation.tree import (
    Math,
    add,
    call,
    divide,
    hadamard,
    matmul,
    negative,
    number,
    power,
    subtract,
    symbol,
    times,
    total,
    transpose,
)
from thalweg.graph import Node, scalar_value
from thalweg.graph.graph import _needed

__all__ = ["from_node"]

Parts = Sequence[Math]

_SIGNS = {
    "less": "<",
    "less_equal": "≤",
    "greater": ">",
    "greater_equal": "≥",
    "equal": "=",
    "not_equal": "≠",
    "logical_and": "∧",
    "logical_or": "∨",
}


def _multiply(node: Node, parts: Parts) -> Math:
    """A product of numbers, or entry by entry where both factors are arrays."""
    if not node.shape and node.inputs[0] is node.inputs[1]:
        return power(parts[0], 2.0)
    alone = not node.shape or any(scalar_value(i) is not None for i in node.inputs)
    return times(*parts) if alone else hadamard(*parts)


def _same(node: Node, parts: Parts) -> Math:
    return parts[0]


def _reshape(node: Node, parts: Parts) -> Math:
    """A vector laid down as a row is its transpose; other reshapes change nothing on paper."""
    (vector,) = node.inputs
    row = vector.ndim == 1 and vector.size > 1 and node.shape == (1, vector.size)
    return transpose(parts[0]) if row else parts[0]


_FORMS: dict[str, Callable[[Node, Parts], Math]] = {
    "add": lambda node, parts: add(*parts),
    "subtract": lambda node, parts: subtract(*parts),
    "multiply": _multiply,
    "divide": lambda node, parts: divide(*parts),
    "negative": lambda node, parts: negative(parts[0]),
    "power": lambda node, parts: power(*parts),
    "matmul": lambda node, parts: matmul(*parts),
    "transpose": lambda node, parts: transpose(parts[0]),
    "reshape": _reshape,
    "broadcast_to": _same,
    "cast": _same,
    "stop_gradient": _same,
    "sum": lambda node, parts: total(parts[0]) if node.inputs[0].size > 1 else parts[0],
    "where": lambda node, parts: Math("cases", tuple(parts)),
    "maximum": lambda node, parts: call("max", *parts),
    "minimum": lambda node, parts: call("min", *parts),
    **{
        name: lambda node, parts, sign=sign: Math("compare", (sign, *parts))  # type: ignore[misc]
        for name, sign in _SIGNS.items()
    },
}


def from_node(node: Node, names: Mapping[Node, Math]) -> Math:
    """Write a node as a formula.

    Parameters
    ----------
    node : Node
    names : mapping of Node to Math
        Nodes that are written by name.

    Returns
    -------
    Math

    Examples
    --------
    >>> from thalweg.graph import variable
    >>> w, x = variable((), "float64"), variable((), "float64")
    >>> str(from_node(2.0 * (w - x) ** 3, {w: symbol("w"), x: symbol("x")}))
    '2 · (w - x)³'
    """
    written = dict(names)
    for current in _needed([node], written):
        written[current] = _written(current, [written[i] for i in current.inputs])
    return written[node]


def opened(node: Node, names: Mapping[Node, Math]) -> Math:
    """Write a node as a formula of its inputs, although it has a name itself."""
    return from_node(node, {other: name for other, name in names.items() if other is not node})


def _written(node: Node, parts: Parts) -> Math:
    if node.is_constant:
        value = node.attributes["value"]
        if value.size and np.all(value == value.flat[0]):
            return number(float(value.flat[0]))
        return symbol("c")
    if node.primitive is None:
        return symbol(f"x{node.serial}")
    form = _FORMS.get(node.name)
    return call(node.name, *parts) if form is None else form(node, parts)
