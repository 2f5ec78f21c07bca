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
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

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


class Step(NamedTuple):
    """One operation: from the values at some slots to that at another one.

    Attributes
    ----------
    evaluate : callable
    operands : callable
        From all values to those at the sources, in a sequence.
    target : int
    done : tuple of int
        Large values that nobody needs any more.
    sources : tuple of int
    size : int
        Entries of the result.
    """

    evaluate: Callable[..., Any]
    operands: Callable[[list[Any]], Sequence[Any]]
    target: int
    done: tuple[int, ...]
    sources: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class Plan:
    """A graph in order of evaluation, large values freed after their last use."""

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    blank: tuple[Any, ...]  # what is known, and None for all other values; inputs come first
    steps: tuple[Step, ...]
    results: tuple[int, ...]

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        """Evaluate; `arguments` as the inputs, converted to their dtypes.

        Raises
        ------
        ShapeError
            If an argument has another shape than the input.
        """
        values = list(self.blank)
        values[: len(self.inputs)] = _converted(arguments, self.inputs)
        with np.errstate(all="ignore"):
            for evaluate, operands, target, done, _, _ in self.steps:
                values[target] = evaluate(*operands(values))
                if done:
                    for slot in done:
                        values[slot] = None
        return [
            _finished(values[slot], node.dtype)
            for slot, node in zip(self.results, self.outputs, strict=True)
        ]

    def given(self, last: Sequence[Any]) -> Plan:
        """The plan with its last inputs known."""
        if not last:
            return self
        free = len(self.inputs) - len(last)
        blank = list(self.blank)
        blank[free : len(self.inputs)] = _converted(last, self.inputs[free:])
        blank, steps = _known_first(blank, self.steps, free)
        return replace(self, inputs=self.inputs[:free], blank=tuple(blank), steps=tuple(steps))


def _converted(arguments: Sequence[Any], inputs: Sequence[Node]) -> list[Any]:
    """Arguments as arrays of the inputs' dtypes."""
    arrays: list[Any] = []
    for node, argument in zip(inputs, arguments, strict=True):
        array = np.asarray(argument, dtype=node.dtype)
        if array.shape != node.shape:
            raise ShapeError(
                "argument {place} has shape {found}, not {wanted}",
                place=len(arrays) + 1,
                found=array.shape,
                wanted=node.shape,
            )
        arrays.append(array)
    return arrays


def _known_first(
    blank: list[Any], steps: Iterable[Step], free: int
) -> tuple[list[Any], list[Step]]:
    """Make the steps whose operands are all known, where their results are small."""
    known = [slot >= free and value is not None for slot, value in enumerate(blank)]
    left = []
    with np.errstate(all="ignore"):
        for step in steps:
            if step.size <= SMALL and all(known[s] for s in step.sources):
                blank[step.target] = step.evaluate(*step.operands(blank))
                known[step.target] = True
            else:
                left.append(step)
    return blank, left


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
    passed, size = _passed_through(graph), len(slot)
    for node in nodes:
        if node in passed:
            slot[node] = slot[node.inputs[0]]
        else:
            slot[node], size = size, size + 1
    done = _freed(graph, nodes, slot)
    steps = []
    for position, node in enumerate(nodes):
        if node.primitive is not None and node not in passed:
            sources = tuple([slot[i] for i in node.inputs])
            evaluate, freed = _operation(node, passed), tuple(done.get(position, ()))
            steps.append(Step(evaluate, _at(sources), slot[node], freed, sources, node.size))
    blank: list[Any] = [None] * size
    for node in nodes:
        if node.is_constant:
            blank[slot[node]] = node.attributes["value"][()]
    blank, steps = _known_first(blank, steps, len(graph.inputs))
    results = tuple([slot[n] for n in graph.outputs])
    return Plan(graph.inputs, graph.outputs, tuple(blank), tuple(steps), results)


def _freed(graph: Graph, nodes: Sequence[Node], slot: Mapping[Node, int]) -> dict[int, list[int]]:
    """For a position among the nodes, the slots of large values that are not used after it."""
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
    return done


def _at(slots: tuple[int, ...]) -> Callable[[list[Any]], Sequence[Any]]:
    """What picks the values at some slots, quicker than a loop does."""
    if len(slots) == 1:
        return operator.itemgetter(slice(slots[0], slots[0] + 1))
    return operator.itemgetter(*slots)


def _operation(node: Node, passed: Set[Node]) -> Callable[..., Any]:
    """What is called with the operands."""
    assert node.primitive is not None
    if _is_number(node) and node.inputs[0] in passed:
        return operator.itemgetter(node.inputs[0].attributes["starts"])
    evaluate = node.primitive.evaluate
    if node.attributes:
        return partial(evaluate, **node.attributes)
    return OPERATORS.get(evaluate, evaluate)


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


def _passed_through(graph: Graph) -> set[Node]:
    """Nodes that need not be made, because those that use them do as well with their operand.

    They repeat entries for ufuncs that do so themselves, beside another operand, or are slices
    of one entry of which only the number is used.
    """
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
        if node in outputs:
            continue
        if (node.name == "broadcast_to" and all(spreads(user, node) for user in its)) or (
            node.name == "slice" and all(map(_is_number, its))
        ):
            found.add(node)
    return found


def _is_number(node: Node) -> bool:
    """Whether a node is one entry without axes."""
    return node.name == "reshape" and not node.shape


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
