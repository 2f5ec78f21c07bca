"""Whether z is positive is seen from a ReLU's result, too: nothing else need be stored.

``a = where(z > 0, z, 0)`` is what the next layer is given, so it is in memory. The derivative asks
``z > 0`` once more; ``a > 0`` is the same, NaN included. (Storing and loading the masks was 2 % of
a step of digits on two threads.)

Examples
--------
>>> from thalweg.graph import variable
>>> from thalweg.ops.families import select
>>> z = variable((3,), "float64")
>>> a = select(z > 0.0, z, 0.0)
>>> _, slope = from_results([a, select(z > 0.0, 2.0, 0.0)])
>>> slope.inputs[0].inputs[0] is a
True
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.graph import Node, rebuild, scalar_value, topological
from thalweg.graph.graph import keep

__all__ = ["from_results"]


def from_results(outputs: Sequence[Node]) -> list[Node]:
    """Let comparisons with zero look at results of ramps instead of what these were given.

    Parameters
    ----------
    outputs : sequence of Node

    Returns
    -------
    list of Node
        Of the same values, bit by bit.
    """
    ramps = {node.inputs[0]: node for node in topological(outputs) if _is_ramp(node)}
    image: dict[Node, Node] = {}

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        changed = []
        for before, after in zip(node.inputs, inputs, strict=True):
            ramp = ramps.get(before)
            known = image.get(ramp) if ramp is not None and ramp is not node else None
            changed.append(after if known is None else known > 0.0)
        return keep(node, tuple(changed))

    rebuild(outputs, change, image)
    return [image[node] for node in outputs]


def _is_ramp(node: Node) -> bool:
    """Whether it is ``where(z > 0, z, 0)``."""
    if node.name != "where" or node.inputs[0].name != "greater":
        return False
    condition, above, below = node.inputs
    z, limit = condition.inputs
    return z is above and scalar_value(limit) == scalar_value(below) == 0.0
