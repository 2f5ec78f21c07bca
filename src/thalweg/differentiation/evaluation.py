"""The end of every transform: numbers in, numbers out; traced arrays in, traced arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thalweg.graph import Graph, Node, as_node, free_variables, substitute
from thalweg.interpreter import interpret
from thalweg.tracing import adopt, tracing

__all__ = ["finish"]


def finish(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    values: Sequence[Any],
    labels: Mapping[str, Node] | None = None,
) -> list[Any]:
    """Evaluate outputs at the values, or put the values in where they are traced themselves.

    The second happens inside another transform, when `values` are its stand-ins or when the
    function has closed over them.

    Parameters
    ----------
    outputs, inputs : sequence of Node
    values : sequence of array or Node
        One for each input.
    labels : mapping of str to Node, optional
        What nodes are called; joins the trace that is under way, if there is one.

    Returns
    -------
    list
        Arrays, or nodes.
    """
    inside = any(isinstance(v, Node) for v in values)
    if inside or (tracing() and free_variables(outputs, inputs)):
        labels = labels or {}
        replacements = {i: as_node(v) for i, v in zip(inputs, values, strict=True)}
        image = substitute([*outputs, *labels.values()], replacements)
        adopt({name: image[node] for name, node in labels.items()})
        return [image[node] for node in outputs]
    return interpret(Graph(tuple(inputs), tuple(outputs)), values)
