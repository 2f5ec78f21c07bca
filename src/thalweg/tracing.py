"""Tracing: run a Python function once on stand-ins, and keep the graph of what it did.

Labels given during the run (`label`) end up in the graph's side table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

import thalweg.numpy  # noqa: F401  (gives traced arrays their operators)
from thalweg.errors import ShapeError, TracingError
from thalweg.graph import Graph, Node, as_node, variable
from thalweg.graph.node import supported_dtype, unmasked
from thalweg.trees import Structure, flatten, paths, unflatten

__all__ = ["Traced", "as_array", "inline", "label", "trace", "trace_tree"]

_labels: ContextVar[dict[str, Node] | None] = ContextVar("labels", default=None)


def label(value: Any, name: str) -> Any:
    """Give a traced array a name in the graph being traced; ordinary arrays pass through.

    Parameters
    ----------
    value : array
    name : str
        For example ``"z[1]"``.

    Returns
    -------
    array
        The value.
    """
    table = _labels.get()
    if table is not None and isinstance(value, Node):
        table[name] = value
    return value


LARGEST_INTEGER = np.iinfo(np.int64).max


def as_array(value: Any) -> Any:
    """A leaf as an array: Python numbers become float64 (bool stays bool).

    Raises
    ------
    ShapeError
        For text and other things that are no numbers, and for numbers that would be changed.
    """
    if isinstance(value, Node):
        return value
    array = unmasked(value)
    if array.dtype == np.uint64 and np.any(array > LARGEST_INTEGER):
        raise ShapeError("integers of 2**63 and more cannot be traced: use x.astype(float).")
    if array.dtype.kind in "OUSV":
        raise ShapeError(
            "an argument must be an array of numbers, not {kind} {value!r:.40}",
            kind=type(value).__name__,
            value=value,
        )
    if isinstance(value, int) and not isinstance(value, bool):
        array = array.astype(np.float64)
    return array.astype(supported_dtype(array.dtype), copy=False)


@dataclass(frozen=True)
class Traced:
    """A traced function of trees.

    Attributes
    ----------
    graph : Graph
        Its inputs are the leaves of the arguments, its outputs the leaves of the result.
    arguments : Structure
    result : Structure
    labels : mapping of str to Node
        Those given during the run, without the names of the arguments.
    """

    graph: Graph
    arguments: Structure
    result: Structure
    labels: Mapping[str, Node]


def trace_tree(
    function: Callable[..., Any], arguments: Sequence[Any], names: Sequence[str] | None = None
) -> Traced:
    """Trace a function of positional arguments that are trees of arrays.

    Parameters
    ----------
    function : callable
    arguments : sequence of trees
        Only shapes and dtypes matter.
    names : sequence of str, optional
        What the leaves are called; from the function's signature by default.

    Returns
    -------
    Traced

    Raises
    ------
    TracingError
        If the function does with a traced array what needs a value, or returns no array.
    """
    values, structure = flatten(tuple(arguments))
    arrays = [as_array(v) for v in values]
    inputs = tuple(variable(a.shape, a.dtype) for a in arrays)
    given: dict[str, Node] = {}
    token = _labels.set(given)
    try:
        result = function(*unflatten(structure, inputs))
    finally:
        _labels.reset(token)
    leaves, result_structure = flatten(result)
    outputs = tuple(_output(leaf, function) for leaf in leaves)
    table = dict(zip(names or argument_names(function, structure), inputs, strict=True))
    return Traced(Graph(inputs, outputs, table | given), structure, result_structure, given)


def _output(leaf: Any, function: Callable[..., Any]) -> Node:
    try:
        return as_node(leaf)
    except (ShapeError, ValueError, TypeError):
        name = getattr(function, "__name__", "the function")
        raise TracingError(
            "{name} returned {kind} {leaf!r:.40}: only numbers and arrays, and dicts, "
            "lists and tuples of them, can be traced.",
            name=name,
            kind=type(leaf).__name__,
            leaf=leaf,
        ) from None


def argument_names(function: Callable[..., Any], structure: Structure) -> list[str]:
    """Names for the leaves of the arguments, from the signature: ``w``, ``params['b']``."""
    try:
        signature = [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        signature = []
    names: list[str] = []
    for position, child in enumerate(structure.children):
        plain = signature[position] if position < len(signature) else f"arg{position}"
        names += paths(child, plain)
    return names


def trace(function: Callable[..., Any], *arguments: Any) -> Graph:
    """Run a function on stand-ins of the arguments' shapes and return its graph.

    Parameters
    ----------
    function : callable
        Of arrays, or of dicts, lists and tuples of arrays.
    *arguments
        Examples of its arguments; only shapes and dtypes matter.

    Returns
    -------
    Graph

    Examples
    --------
    >>> import thalweg as tw
    >>> graph = trace(lambda x: (x + 1.0) ** 2, 3.0)
    >>> [node.name for node in graph.nodes() if node.inputs]
    ['add', 'power']
    """
    return trace_tree(function, arguments).graph


def inline(graph: Graph, arguments: Sequence[Node]) -> list[Node]:
    """Put a graph's outputs on other inputs; its labels join the trace that is under way."""
    from thalweg.graph import substitute

    wanted = [*graph.outputs, *graph.labels.values()]
    image = substitute(wanted, dict(zip(graph.inputs, arguments, strict=True)))
    inputs = set(graph.inputs)
    adopt({name: image[node] for name, node in graph.labels.items() if node not in inputs})
    return [image[node] for node in graph.outputs]


def tracing() -> bool:
    """Whether a function is being traced right now."""
    return _labels.get() is not None


def adopt(labels: Mapping[str, Node]) -> None:
    """Add labels to the trace that is under way, if any; names already given stay."""
    table = _labels.get()
    if table is not None:
        for name, node in labels.items():
            table.setdefault(name, node)
