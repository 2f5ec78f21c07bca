"""Where values stay smaller than their nodes, because NumPy repeats entries by itself.

In a graph every repetition is a node; in NumPy ``x * x + b`` computes ``x * x`` in the shape of
`x` and repeats it only beside a larger `b`. The interpreter and the written source follow one
rule, this one, since it also settles how arrays lie in memory, and with it the order of sums:

* a broadcast is left to its users;
* an elementwise operation takes its operands as they are. If the result is still smaller than
  the node, it stays so, unless it is summed or otherwise needed whole, or vector instructions
  would round it otherwise than one number: then one operand gets the whole shape;
* everything else gets its operands whole.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from thalweg.graph import Node
from thalweg.ops.families import Elementwise

__all__ = ["by_entries", "is_exact", "needed_whole", "widened"]

Shape = tuple[int, ...]


def by_entries(node: Node) -> bool:
    """Whether an operation takes operands of several shapes that broadcast."""
    return node.name == "where" or (
        isinstance(node.primitive, Elementwise) and node.name != "stop_gradient"
    )


def is_exact(node: Node) -> bool:
    """Whether each entry of the result depends on its operands alone, not on the array's layout.

    Vector instructions of exp, sin, ... round otherwise than those for one number.
    """
    if node.name in ("where", "broadcast_to"):
        return True
    primitive = node.primitive
    inexact = not isinstance(primitive, Elementwise) or primitive.inexact
    return not inexact and node.name != "power"


def needed_whole(nodes: Sequence[Node]) -> set[Node]:
    """The nodes that something needs in their whole shape; `nodes` in order of evaluation."""
    found: set[Node] = set()
    for node in reversed(nodes):
        if not is_exact(node) or (node.name == "broadcast_to" and node in found):
            found.update(node.inputs)
    return found


def widened(node: Node, shapes: Sequence[Shape], whole: Set[Node]) -> int | None:
    """Which operand of an operation `by_entries` must be given its whole shape, if any.

    Parameters
    ----------
    node : Node
    shapes : sequence of tuple of int
        Of the operands' values.
    whole : set of Node
        See `needed_whole`.

    Returns
    -------
    int or None
    """
    if node.name == "power":  # its form goes by the exponent, its shape by the base
        return None if shapes[0] == node.shape else 0
    if node.shape in shapes or (is_exact(node) and node not in whole):
        return None
    if np.broadcast_shapes(*shapes) == node.shape:
        return None
    return 0 if node.name == "where" else max(range(len(shapes)), key=lambda k: len(shapes[k]))
