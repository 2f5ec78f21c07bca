"""The end of every transform: numbers in, numbers out; traced arrays in, traced arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thalweg.graph import Graph, Node, as_node, free_variables, substitute
from thalweg.interpreter import interpret

__all__ = ["finish"]


def finish(outputs: Sequence[Node], inputs: Sequence[Node], values: Sequence[Any]) -> list[Any]:
    """Evaluate outputs at the values, or put the values in where they are traced themselves.

    The second happens inside another transform, when `values` are its stand-ins or when the
    function has closed over them.

    Parameters
    ----------
    outputs, inputs : sequence of Node
    values : sequence of array or Node
        One for each input.

    Returns
    -------
    list
        Arrays, or nodes.
    """
    if any(isinstance(v, Node) for v in values) or free_variables(outputs, inputs):
        image = substitute(outputs, {i: as_node(v) for i, v in zip(inputs, values, strict=True)})
        return [image[node] for node in outputs]
    return interpret(Graph(tuple(inputs), tuple(outputs)), values)
