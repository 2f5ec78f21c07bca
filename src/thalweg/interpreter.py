"""The meaning of a graph: NumPy, node by node.

Whatever else evaluates graphs (compiled code, printed source) must give these values.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> graph = tw.trace(lambda x: (2.0 * x, x.sum()), np.zeros(3))
>>> interpret(graph, [np.array([1.0, 2.0, 3.0])])
[array([2., 4., 6.]), np.float64(6.0)]
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import ShapeError, TracingError
from thalweg.graph import Graph, Node

__all__ = ["Plan", "interpret", "plan", "refuse_strangers"]

OPERATORS: dict[Any, Callable[..., Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.divide: operator.truediv,
    np.negative: operator.neg,
}
"""The same for arrays; for NumPy's scalars they take a tenth of the time."""

SMALL = 1000
"""Entries of values that need not be freed before the others."""

Step = tuple[Callable[..., Any], tuple[int, ...], dict[str, Any], int, tuple[int, ...]]


@dataclass(frozen=True)
class Plan:
    """A graph in order of evaluation, large values freed after their last use."""

    graph: Graph
    blank: tuple[Any, ...]  # the constants, and None for all other values
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        """Evaluate; `arguments` as the graph's inputs, converted to their dtypes.

        Raises
        ------
        ShapeError
            If an argument has another shape than the input.
        """
        values = list(self.blank)
        for slot, (node, argument) in enumerate(zip(self.graph.inputs, arguments, strict=True)):
            array = np.asarray(argument, dtype=node.dtype)
            if array.shape != node.shape:
                raise ShapeError(
                    "argument {place} has shape {found}, not {wanted}",
                    place=slot + 1,
                    found=array.shape,
                    wanted=node.shape,
                )
            values[slot] = array
        with np.errstate(all="ignore"):
            for evaluate, sources, attributes, target, done in self.steps:
                values[target] = evaluate(*[values[s] for s in sources], **attributes)
                for slot in done:
                    values[slot] = None
        return [_finished(values[slot], node.dtype) for slot, node in self._results()]

    def _results(self) -> zip[tuple[int, Any]]:
        return zip(self.outputs, self.graph.outputs, strict=True)


def _finished(value: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(value, np.generic) and value.dtype == dtype:
        return value
    array = np.array(value, dtype=dtype)  # a copy: never a view of an argument or a constant
    return array[()] if array.ndim == 0 else array


def plan(graph: Graph) -> Plan:
    """Arrange a graph for evaluation.

    Raises
    ------
    TracingError
        If the graph uses a variable that is no input: a traced array has escaped the function
        in which it was made.
    """
    nodes = refuse_strangers(graph)
    slot = {node: position for position, node in enumerate(graph.inputs)}
    spread, size = _spread_by_numpy(graph), len(slot)
    for node in nodes:
        if node in spread:
            slot[node] = slot[node.inputs[0]]
        else:
            slot[node], size = size, size + 1
    last_use: dict[int, int] = {}
    for position, node in enumerate(nodes):
        for i in node.inputs:
            last_use[slot[i]] = position
    kept = {slot[node] for node in graph.outputs}
    large = {slot[node] for node in nodes if node.size > SMALL}
    done: dict[int, list[int]] = {}
    for s, position in last_use.items():
        if s in large and s not in kept:
            done.setdefault(position, []).append(s)
    steps = tuple(
        (
            OPERATORS.get(node.primitive.evaluate, node.primitive.evaluate),
            tuple(slot[i] for i in node.inputs),
            dict(node.attributes),
            slot[node],
            tuple(done.get(position, ())),
        )
        for position, node in enumerate(nodes)
        if node.primitive is not None and node not in spread
    )
    blank: list[Any] = [None] * size
    for node in nodes:
        if node.is_constant:
            blank[slot[node]] = node.attributes["value"]
    return Plan(graph, tuple(blank), steps, tuple(slot[n] for n in graph.outputs))


def refuse_strangers(graph: Graph) -> list[Node]:
    """The nodes that the outputs need beside the inputs, in order.

    Raises
    ------
    TracingError
        If there are variables among them: traced arrays that have escaped their function.
    """
    inputs = set(graph.inputs)
    nodes = [node for node in graph.nodes() if node not in inputs]
    strangers = [node for node in nodes if node.is_variable]
    if strangers:
        raise TracingError(
            "{count} traced array(s) from another function are used here: a traced array "
            "cannot be kept in a list or global and used after its function has returned.",
            count=len(strangers),
        )
    return nodes


def _spread_by_numpy(graph: Graph) -> set[Node]:
    """Nodes that only repeat entries for ufuncs which do so themselves, beside another operand."""
    users: dict[Node, list[Node]] = {}
    for node in graph.nodes():
        for i in node.inputs:
            users.setdefault(i, []).append(node)
    found: set[Node] = set()

    def spreads(user: Node, node: Node) -> bool:
        evaluate = user.primitive.evaluate if user.primitive else None
        by_entries = isinstance(evaluate, np.ufunc) and evaluate.signature is None
        return by_entries and any(i is not node and i not in found for i in user.inputs)

    outputs = set(graph.outputs)
    for node, its in users.items():
        repeats = node.name == "broadcast_to" and node not in outputs
        if repeats and all(spreads(user, node) for user in its):
            found.add(node)
    return found


def interpret(graph: Graph, arguments: Sequence[Any]) -> list[Any]:
    """Evaluate a graph in NumPy.

    Parameters
    ----------
    graph : Graph
    arguments : sequence of array-like
        One for each input.

    Returns
    -------
    list of array
        One for each output; of no axes as NumPy scalars.

    Raises
    ------
    ShapeError, TracingError
        See `Plan` and `plan`.
    """
    return plan(graph)(arguments)
