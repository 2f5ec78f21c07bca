"""A rewrite of graphs that keeps logarithms of softmax and sigmoid finite.

``log(softmax(z))`` and ``log(1 - sigmoid(z))`` lose all digits, and then overflow, where the
probability is near 0. Written in the graph, they are recognised and replaced by expressions of
equal value that do not: so losses and activations need not know each other.

===========================  ================
found                        becomes
===========================  ================
log(exp u)                   u
log(sigmoid z)               -softplus(-z)
log(1 - sigmoid z)           -softplus(z)
log(softplus z)              where(z < -30, z, log(softplus z))
log(where(c, a, b))          where(c, log a, log b)
log(reshape u), ...          reshape(log u), ...
===========================  ================

The last two rows apply only where they lead to one of the first. Labels move with their nodes:
``a[2]`` still names the softmax, which explanations show beside the fused result.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> from thalweg.interpreter import interpret
>>> graph = tw.trace(lambda z: tw.numpy.log(tw.numpy.sigmoid(z)), 0.0)
>>> interpret(graph, [-1000.0]), interpret(stabilise(graph), [-1000.0])
([np.float64(-inf)], [np.float64(-1000.0)])
"""

from __future__ import annotations

from collections.abc import Callable

import thalweg.numpy as np
from thalweg.graph import Graph, Node, is_scalar_constant
from thalweg.graph.graph import keep

__all__ = ["stabilise"]

MOVES = ("reshape", "broadcast_to", "transpose", "slice", "cast", "flip")
FAR = -30.0  # below this softplus(z) = exp(z) to all digits


def stabilise(graph: Graph) -> Graph:
    """Replace logarithms that lose digits by expressions of equal value that do not.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    Graph
        With the same inputs, outputs and labels.
    """
    return graph.map(_change)


def _change(node: Node, inputs: tuple[Node, ...]) -> Node:
    if node.name == "log":
        found = _log(inputs[0])
    elif node.name == "log1p" and inputs[0].name == "negative":
        found = _log_of_rest(inputs[0].inputs[0])
    else:
        found = None
    return keep(node, inputs) if found is None else found


def _log(x: Node) -> Node | None:
    """The logarithm of a node in a stable form, or None where there is none to be gained."""
    rule = _RULES.get(x.name)
    return None if rule is None else rule(x)


def _log_of_rest(x: Node) -> Node | None:
    """``log(1 - x)`` of a probability x."""
    if x.name == "sigmoid":
        return _node(-np.softplus(x.inputs[0]))
    if x.name in MOVES:
        inner = _log_of_rest(x.inputs[0])
        return None if inner is None else keep(x, (inner,))
    return None


def _log_of_difference(x: Node) -> Node | None:
    one, other = x.inputs
    return _log_of_rest(other) if is_scalar_constant(one, 1.0) else None


def _log_of_where(x: Node) -> Node | None:
    condition, yes, no = x.inputs
    logs = _log(yes), _log(no)
    if all(log is None for log in logs):
        return None
    left, right = (
        np.log(branch) if log is None else log for branch, log in zip((yes, no), logs, strict=True)
    )
    return _node(np.where(condition, left, right))


def _log_of_moved(x: Node) -> Node | None:
    inner = _log(x.inputs[0])
    return None if inner is None else keep(x, (inner,))


def _log_of_softplus(x: Node) -> Node:
    z = x.inputs[0]
    return _node(np.where(z < FAR, z, np.log(np.softplus(np.where(z < FAR, 0.0, z)))))


def _node(value: Node) -> Node:
    return value


_RULES: dict[str, Callable[[Node], Node | None]] = {
    "exp": lambda x: x.inputs[0],
    "sigmoid": lambda x: _node(-np.softplus(-x.inputs[0])),
    "softplus": _log_of_softplus,
    "subtract": _log_of_difference,
    "where": _log_of_where,
    **dict.fromkeys(MOVES, _log_of_moved),
}
