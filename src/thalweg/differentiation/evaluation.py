"""The end of every transform: numbers in, numbers out; traced arrays in, traced arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from thalweg.graph import Graph, Node, as_node, free_variables, substitute
from thalweg.graph.form import Form
from thalweg.interpreter import Plan, interpret, plan
from thalweg.tracing import adopt, tracing

__all__ = ["evaluate", "finish"]

Derive = Callable[[Sequence[Node], Sequence[Node]], Sequence[Node]]


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


def evaluate(graph: Graph, derive: Derive, values: Sequence[Any]) -> list[Any]:
    """What is derived from a graph, at values of its inputs; derived once for equal graphs.

    Parameters
    ----------
    graph : Graph
    derive : callable
        From outputs and inputs to nodes; the same object at every call.
    values : sequence of array
        One for each input.

    Returns
    -------
    list of array
    """
    form = Form(graph, apart=True)
    arrays = [node.attributes["value"] for node in form.arrays]
    run = (_kept if form.light else _planned)(form, derive)
    return run([*values, *arrays])


def _planned(form: Form, derive: Derive) -> Plan:
    count, graph = len(form.graph.inputs), form.take()
    return plan(Graph(graph.inputs, tuple(derive(graph.outputs, graph.inputs[:count]))))


_kept = lru_cache(maxsize=64)(_planned)
