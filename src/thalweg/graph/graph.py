"""A graph: inputs, outputs, and the labels that say what its nodes are called.

Names never enter a node's identity; they live here, in a side table from label to node
(``"z[1]"``, ``"a[1]"``), and every rewrite carries them along. All walks are iterative, so
that depth is limited by memory only.

Examples
--------
>>> import thalweg as tw
>>> print(tw.trace(lambda w, x, b: w * x + b, 0.0, 0.0, 0.0))
inputs   w float64[], x float64[], b float64[]
%1       multiply(w, x)                                     float64[]
%2       add(%1, b)                                         float64[]
outputs  %2
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from thalweg.graph.node import Node

__all__ = ["Graph", "free_variables", "rebuild", "substitute", "topological"]


@dataclass(frozen=True, eq=False)
class Graph:
    """A function of arrays, as nodes.

    Attributes
    ----------
    inputs : tuple of Node
        Variables.
    outputs : tuple of Node
    labels : mapping of str to Node
        What parts of it are called; several labels may name one node.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    labels: Mapping[str, Node] = field(default_factory=dict)

    def nodes(self) -> list[Node]:
        """All nodes that the outputs need, every one after its inputs."""
        return topological(self.outputs)

    def label_of(self) -> dict[Node, str]:
        """The last label given to each labelled node."""
        return {node: label for label, node in self.labels.items()}

    def map(self, change: Callable[[Node, tuple[Node, ...]], Node]) -> Graph:
        """Rebuild the graph node by node (see `rebuild`); labels move with their nodes."""
        wanted = [*self.outputs, *self.labels.values()]
        image = rebuild(wanted, change)
        return Graph(
            self.inputs,
            tuple(image[node] for node in self.outputs),
            {label: image[node] for label, node in self.labels.items()},
        )

    def __str__(self) -> str:
        from thalweg.graph.printing import table

        return table(self)


def topological(outputs: Iterable[Node]) -> list[Node]:
    """All nodes that the outputs need, every one after its inputs.

    Parameters
    ----------
    outputs : iterable of Node

    Returns
    -------
    list of Node
        In the order of their making, which is a topological order because a node can only
        be made from nodes that exist.
    """
    seen = set(outputs)
    stack = list(seen)
    while stack:
        for node in stack.pop().inputs:
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=lambda node: node.serial)


def free_variables(outputs: Iterable[Node], bound: Iterable[Node]) -> list[Node]:
    """The variables that the outputs need and that are not in `bound`."""
    known = set(bound)
    return [node for node in topological(outputs) if node.is_variable and node not in known]


def rebuild(
    outputs: Iterable[Node],
    change: Callable[[Node, tuple[Node, ...]], Node],
    image: dict[Node, Node] | None = None,
) -> dict[Node, Node]:
    """Rebuild what the outputs need, letting `change` decide about every operation.

    Parameters
    ----------
    outputs : iterable of Node
    change : callable
        ``change(node, new_inputs)`` returns the node to put in place of `node`.
    image : dict, optional
        Replacements already decided; these nodes are not visited.

    Returns
    -------
    dict
        From every visited node to what replaced it.
    """
    image = {} if image is None else image
    for node in _needed(outputs, image):
        if node.primitive is None:
            image[node] = node
        else:
            image[node] = change(node, tuple(image[i] for i in node.inputs))
    return image


def _needed(outputs: Iterable[Node], known: Mapping[Node, object]) -> list[Node]:
    """Topological order of what the outputs need, without looking behind known nodes."""
    seen = {node for node in outputs if node not in known}
    stack = list(seen)
    while stack:
        for node in stack.pop().inputs:
            if node not in seen and node not in known:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=lambda node: node.serial)


def keep(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node itself on new inputs: the change that changes nothing."""
    if inputs == () or all(a is b for a, b in zip(node.inputs, inputs, strict=True)):
        return node
    assert node.primitive is not None
    return node.primitive.bind(*inputs, **node.attributes)


def substitute(outputs: Sequence[Node], replacements: Mapping[Node, Node]) -> dict[Node, Node]:
    """Put other nodes in place of some, everywhere they are used.

    Parameters
    ----------
    outputs : sequence of Node
    replacements : mapping of Node to Node
        Of equal shape and dtype.

    Returns
    -------
    dict
        From every node of the old outputs to its new form.
    """
    return rebuild(outputs, keep, dict(replacements))
