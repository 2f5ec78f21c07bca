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

import math
import operator
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import ShapeError, TracingError
from thalweg.graph import Graph, Node, scalar_value
from thalweg.ops.spreading import by_entries, needed_whole, widened

__all__ = ["Plan", "interpret", "plan", "refuse_strangers"]

OPERATORS: dict[Any, Callable[..., Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.divide: operator.truediv,
    np.negative: operator.neg,
}
"""The same for arrays; for NumPy's scalars they take a tenth of the time."""

Shape = tuple[int, ...]

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
    draft = _Draft(graph, nodes)
    for node in nodes:
        draft.add(node)
    results = tuple([draft.widened(node) for node in graph.outputs])
    steps = _freeing(draft.steps, graph.inputs, set(results))
    blank, steps = _known_first(draft.blank, steps, len(graph.inputs))
    return Plan(graph.inputs, graph.outputs, tuple(blank), tuple(steps), results)


class _Draft:
    """The steps of a plan while they are written.

    Values are no larger than `spreading` says; those that an operation needs whole are
    repeated just before it, in a view.
    """

    def __init__(self, graph: Graph, nodes: Sequence[Node]) -> None:
        self.slot = {node: position for position, node in enumerate(graph.inputs)}
        self.shape = {node: node.shape for node in graph.inputs}  # of the values as they are made
        self.blank: list[Any] = [None] * len(graph.inputs)
        self.steps: list[Step] = []
        self.whole = needed_whole(nodes)
        self.wide: dict[Node, int] = {}
        self.picked = _picked(graph, nodes)

    def add(self, node: Node) -> None:
        """Give the value of a node a slot, and where it must be made, a step."""
        if node.is_constant:
            self.slot[node], self.shape[node] = self._new(node.attributes["value"][()]), node.shape
        elif node.name == "broadcast_to":
            operand = node.inputs[0]
            self.slot[node], self.shape[node] = self.slot[operand], self.shape[operand]
        elif node not in self.picked:
            sources, self.shape[node] = self._sources(node)
            self.slot[node] = self._step(_operation(node, self.picked), sources, self.shape[node])

    def _sources(self, node: Node) -> tuple[tuple[int, ...], Shape]:
        """The slots of an operation's operands, and the shape of what it makes of them."""
        if not by_entries(node):
            operands = node.inputs[0].inputs if node.inputs[0] in self.picked else node.inputs
            return tuple([self.widened(i) for i in operands]), node.shape
        shapes = [self.shape[i] for i in node.inputs]
        sources = [self.slot[i] for i in node.inputs]
        place = widened(node, shapes, self.whole)
        if place is not None:
            sources[place], shapes[place] = self.widened(node.inputs[place]), node.shape
        whole = node.shape in shapes
        return tuple(sources), node.shape if whole else np.broadcast_shapes(*shapes)

    def widened(self, node: Node) -> int:
        """The slot of a node's value in its whole shape."""
        if self.shape[node] == node.shape:
            return self.slot[node]
        if node not in self.wide:
            repeat = partial(np.broadcast_to, shape=node.shape)
            self.wide[node] = self._step(repeat, (self.slot[node],), node.shape)
        return self.wide[node]

    def _step(self, evaluate: Callable[..., Any], sources: tuple[int, ...], shape: Shape) -> int:
        target = self._new(None)
        self.steps.append(Step(evaluate, _at(sources), target, (), sources, math.prod(shape)))
        return target

    def _new(self, value: Any) -> int:
        self.blank.append(value)
        return len(self.blank) - 1


def _freeing(steps: Sequence[Step], inputs: Sequence[Node], kept: Set[int]) -> list[Step]:
    """The steps, each followed by the end of the large values that are not used after it."""
    large = {step.target for step in steps if step.size > SMALL}
    large.update(position for position, node in enumerate(inputs) if node.size > SMALL)
    last = {s: position for position, step in enumerate(steps) for s in step.sources}
    done: dict[int, list[int]] = {}
    for s, position in last.items():
        if s in large and s not in kept:
            done.setdefault(position, []).append(s)
    return [
        step._replace(done=tuple(done[position])) if position in done else step
        for position, step in enumerate(steps)
    ]


def _at(slots: tuple[int, ...]) -> Callable[[list[Any]], Sequence[Any]]:
    """What picks the values at some slots, quicker than a loop does."""
    if len(slots) == 1:
        return operator.itemgetter(slice(slots[0], slots[0] + 1))
    return operator.itemgetter(*slots)


def _operation(node: Node, picked: Set[Node]) -> Callable[..., Any]:
    """What is called with the operands."""
    assert node.primitive is not None
    if node.inputs and node.inputs[0] in picked:
        return operator.itemgetter(node.inputs[0].attributes["starts"])
    evaluate = node.primitive.evaluate
    if node.name == "power" and scalar_value(node.inputs[1]) == 2.0:
        return _square
    if node.attributes:
        return partial(evaluate, **node.attributes)
    return OPERATORS.get(evaluate, evaluate)


def _square(x: Any, exponent: Any) -> Any:
    """What `numpy.square` gives; of single numbers in a fifth of the time."""
    return x * x


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


def _picked(graph: Graph, nodes: Sequence[Node]) -> set[Node]:
    """Slices of one entry of which only the number is used: it is picked from their operand."""
    found = {node for node in nodes if node.name == "slice" and node.size == 1}
    if found:
        found.difference_update(graph.outputs)
        for node in nodes:
            if not _is_number(node):
                found.difference_update(node.inputs)
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
