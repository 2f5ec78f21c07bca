"""Nodes and graphs as text: one line for an expression, a table for a whole graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.graph.node import Node

if TYPE_CHECKING:
    from thalweg.graph.graph import Graph

__all__ = ["expression", "number", "render", "slices_text", "table"]

ATOM = 1000


def number(value: Any) -> str:
    """Write a number as Python reads it back, integers of float type as ``2.0``."""
    value = np.asarray(value)
    if value.dtype.kind == "b":
        return str(bool(value))
    if value.dtype.kind == "i":
        return str(int(value))
    if value.dtype == np.float32:
        return str(value[()])
    return repr(float(value))


def render(
    node: Node,
    operand: Callable[[Node], tuple[str, int]],
    form: str = "source",
) -> tuple[str, int]:
    """Write one operation with its operands already written.

    Parameters
    ----------
    node : Node
        An operation, not a variable or constant.
    operand : callable
        Gives text and precedence of an input.
    form : {"source", "latex"}
        Which of the primitive's written forms to use.

    Returns
    -------
    str, int
        The text and its precedence.
    """
    primitive = node.primitive
    assert primitive is not None
    template = getattr(primitive, form)
    parts = []
    for position, child in enumerate(node.inputs):
        text, precedence = operand(child)
        tight = (
            precedence <= primitive.precedence if position else precedence < primitive.precedence
        )
        if position == 0 and (primitive.name == "power" or primitive.precedence <= 10):
            tight = precedence <= primitive.precedence
        if primitive.precedence < 100 and tight and form == "source":
            text = f"({text})"
        elif primitive.precedence < 100 and tight:
            text = rf"\left({text}\right)"
        parts.append(text)
    if not template:
        template = f"{primitive.name}({{args}})"
    attributes = {key: _attribute(value) for key, value in node.attributes.items()}
    if "{slices}" in template:
        attributes["slices"] = slices_text(node)
    if "{indices}" in template:
        attributes["indices"] = ", ".join(parts[1:])
    text = template.format(*parts, args=", ".join(parts), **attributes)
    return text, primitive.precedence


def slices_text(node: Node, whole: bool = False) -> str:
    """The index of a slice (or its transpose) as it is written in brackets: ``1:3, ::2``.

    Trailing ``:`` are left out unless the `whole` index is wanted.
    """
    texts = []
    a = node.attributes
    lengths = a.get("shape", node.inputs[0].shape)
    for length, start, stop, step in zip(lengths, a["starts"], a["stops"], a["steps"], strict=True):
        text = f"{start or ''}:{'' if stop >= length else stop}"
        texts.append(text if step == 1 else f"{text}:{step}")
    while not whole and len(texts) > 1 and texts[-1] == ":":
        texts.pop()
    return ", ".join(texts)


def _attribute(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 1:
        return f"({value[0]},)"
    return str(value)


def expression(node: Node, names: Mapping[Node, str] | None = None, limit: int = 200) -> str:
    """Write a node as one formula, broadcasts left out as NumPy leaves them out.

    Parameters
    ----------
    node : Node
    names : mapping of Node to str, optional
        Nodes that are written by name instead of being opened.
    limit : int
        Nodes deeper than this many operations are written as ``...``.

    Returns
    -------
    str

    Examples
    --------
    >>> from thalweg.graph import variable
    >>> w, x = variable((), "float64"), variable((), "float64")
    >>> expression(2.0 * (w - x) ** 3, {w: "w", x: "x"})
    '2.0 * (w - x) ** 3.0'
    """
    from thalweg.graph.graph import topological

    names = names or {}
    written: dict[Node, tuple[str, int]] = {}
    nodes = topological([node])
    for current in nodes[:-limit]:
        written[current] = ("...", ATOM)
    for current in nodes:
        if current not in written:
            written[current] = _written(current, names, written)
    return written[node][0]


def _written(
    node: Node, names: Mapping[Node, str], written: Mapping[Node, tuple[str, int]]
) -> tuple[str, int]:
    if node in names:
        return names[node], ATOM
    if node.is_variable:
        return "x" + str(node.serial), ATOM
    if node.is_constant:
        value = node.attributes["value"]
        if value.size == 1:
            text = number(value.reshape(()))
            return text, (30 if text.startswith("-") else ATOM)
        return np.array2string(value, threshold=4, separator=", ").replace("\n", ""), ATOM
    if node.name == "broadcast_to":
        return written[node.inputs[0]]
    text, precedence = render(node, lambda child: written[child])
    return (text if len(text) <= 2000 else text[:1997] + "..."), precedence


def table(graph: Graph) -> str:
    """Write a graph as one line a node.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    str
    """
    names = graph.label_of()
    for position, node in enumerate(graph.inputs):
        names.setdefault(node, f"in{position}")
    count = 0
    lines = ["inputs   " + ", ".join(f"{names[n]} {_type(n)}" for n in graph.inputs)]
    for node in graph.nodes():
        if node.primitive is None:
            if node.is_constant:
                names.setdefault(node, _written(node, {}, {})[0])
            continue
        count += 1
        name = names.setdefault(node, f"%{count}")
        arguments = [names.get(i, "?") for i in node.inputs]
        arguments += [f"{k}={v}" for k, v in node.attributes.items()]
        call = f"{node.name}({', '.join(arguments)})"
        lines.append(f"{name:<8} {call:<50} {_type(node)}")
    lines.append("outputs  " + ", ".join(names.get(n, "?") for n in graph.outputs))
    return "\n".join(lines)


def _type(node: Node) -> str:
    return f"{node.dtype}{list(node.shape)}"
