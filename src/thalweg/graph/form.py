"""When two graphs are one function: they have equal forms, whatever nodes they are made of.

A Python function that is traced again gives new variables, hence new nodes, but most often the
same function. What was made of the first graph (derivatives, plans, native code) serves the
second one, too, if it is looked up by the form.

Examples
--------
>>> import thalweg as tw
>>> once, again = (Form(tw.trace(lambda x: x * x + 1.0, 0.0)) for _ in range(2))
>>> once == again, once.graph.outputs[0] is again.graph.outputs[0]
(True, False)
>>> once == Form(tw.trace(lambda x: x * x + 2.0, 0.0))
False
"""

from __future__ import annotations

from typing import Any

from thalweg.graph.graph import Graph, substitute
from thalweg.graph.node import Node, variable

__all__ = ["Form"]

MOST_HELD, MOST_NODES = 1 << 20, 5000
"""Bytes of constants, and nodes, beyond which nothing that follows from a graph is kept."""

LITTLE_HELD, MOST_INPUTS = 1 << 16, 200
"""Bytes of constants, and entries of its inputs, up to which derivatives are: evaluations with more
take longer than the derivation."""


class Form:
    """A graph that equals all graphs of the same operations; labels do not count.

    Parameters
    ----------
    graph : Graph
        All its variables are inputs.
    apart : bool
        Whether arrays of floating-point numbers that it holds are left out, so that functions
        of other data are equal, too.

    Attributes
    ----------
    arrays : list of Node
        The constants that were left out, in an order that equal forms share.
    held : int
        Bytes of all other constants.
    heavy : bool
        Whether what follows from it takes too much memory to be kept.
    """

    def __init__(self, graph: Graph, apart: bool = False) -> None:
        self.graph, self.apart = graph, apart
        self.arrays: list[Node] = []
        self.held = 0
        self._key = self._described()
        self.heavy = self.held > MOST_HELD or len(self._key) > MOST_NODES
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Form) and self._key == other._key

    @property
    def light(self) -> bool:
        """Whether derivatives of the graph take little memory, and are worth keeping."""
        inputs = sum(node.size for node in self.graph.inputs)
        return not self.heavy and self.held <= LITTLE_HELD and inputs <= MOST_INPUTS

    def _described(self) -> tuple[Any, ...]:
        """What each node is, those it is made of by their numbers, and which are the outputs.

        Nodes are numbered as they are found from the outputs on: serials depend on what was
        made before.
        """
        number = {node: place for place, node in enumerate(self.graph.inputs)}
        found: list[Any] = [(node.shape, node.dtype.char) for node in self.graph.inputs]
        waiting = list(self.graph.outputs)[::-1]
        while waiting:
            node = waiting[-1]
            inputs = [number.get(i, -1) for i in node.inputs]
            if -1 in inputs:
                waiting += [i for i in node.inputs[::-1] if i not in number]
                continue
            waiting.pop()
            if node not in number:
                number[node] = len(found)
                found.append(self._one(node, inputs))
        found.append(tuple([number[node] for node in self.graph.outputs]))
        return tuple(found)

    def _one(self, node: Node, inputs: list[int]) -> Any:
        """What one node is."""
        kind = node.dtype.char
        if node.primitive is not None:
            return (node.primitive.name, kind, *inputs, *node.attributes.items())
        if node.is_variable:
            return "stranger", id(node)  # no function at all, as whoever uses it will say
        if self.apart and node.shape and node.dtype.kind == "f" and node.size > 1:
            self.arrays.append(node)
            return "array", kind, node.shape
        value = node.attributes["value"]
        self.held += value.nbytes
        if self.held > MOST_HELD:
            return "constant", id(node)  # not worth reading it
        return "constant", kind, node.shape, value.tobytes()

    def take(self) -> Graph:
        """The graph, with the arrays that were left out as further inputs.

        The form lets go of both: what is kept to be looked up by must not keep data.
        """
        graph, arrays = self.graph, self.arrays
        del self.graph, self.arrays
        if not arrays:
            return graph
        places = {node: variable(node.shape, node.dtype) for node in arrays}
        image = substitute(graph.outputs, places)
        outputs = tuple(image[node] for node in graph.outputs)
        return Graph((*graph.inputs, *places.values()), outputs)
