"""Primitives that the loop IR does not have, in terms of those it has; powers made cheap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import thalweg.numpy as tnp
from thalweg.compiler.ramps import from_results
from thalweg.graph import PRIMITIVES, Node, constant, rebuild, scalar_value
from thalweg.graph.graph import keep
from thalweg.ops.families import broadcast, cast_to, expand, select

__all__ = ["decompose"]

LARGEST_POWER = 32

ARITHMETIC = {
    *("add", "multiply", "maximum", "minimum", "remainder", "power", "abs", "floor", "ceil"),
    *("rint", "less", "less_equal", "greater", "greater_equal"),
    *("max", "min", "argmax", "argmin", "matmul", "cumsum", "scatter_add"),
}
"""What is done to booleans as to integers."""

INTEGER = np.dtype("int32")


def decompose(outputs: Sequence[Node]) -> list[Node]:
    """Rebuild nodes from simpler ones of equal value.

    Parameters
    ----------
    outputs : sequence of Node

    Returns
    -------
    list of Node
    """

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if 0 in node.shape:
            return broadcast(constant(0, node.dtype), node.shape)  # nothing to compute
        if node.name in ARITHMETIC and inputs[0].dtype.kind == "b":
            return _of_booleans(node, inputs)
        rule = RULES.get(node.name)
        replaced = None if rule is None else rule(node, inputs)
        return keep(node, inputs) if replaced is None else replaced

    image = rebuild(outputs, change)
    return from_results([image[node] for node in outputs])


def _of_booleans(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The operation on 0 and 1; what is not 0 is true."""
    assert node.primitive is not None
    count = len(inputs) if node.name != "scatter_add" else 1  # the others are indices
    numbers = [cast_to(i, INTEGER) for i in inputs[:count]]
    result = node.primitive.bind(*numbers, *inputs[count:], **node.attributes)
    return cast_to(result, node.dtype)


def _logsumexp(node: Node, inputs: tuple[Node, ...]) -> Node:
    (x,), axes = inputs, node.attributes["axes"]
    top = PRIMITIVES["max"].bind(x, axes=axes)
    shift = select(tnp.isfinite(top), top, 0.0)
    powers = tnp.exp(x - expand(shift, axes, x.shape))
    total: Node = tnp.log(PRIMITIVES["sum"].bind(powers, axes=axes)) + shift
    return total


def _norm(node: Node, inputs: tuple[Node, ...]) -> Node:
    (x,), axes = inputs, node.attributes["axes"]
    top = PRIMITIVES["max"].bind(tnp.abs(x), axes=axes)
    scale = select((top > 0.0) & tnp.isfinite(top), top, 1.0)
    ratio = x / expand(scale, axes, x.shape)
    total: Node = scale * tnp.sqrt(PRIMITIVES["sum"].bind(ratio * ratio, axes=axes))
    return total


def _power(node: Node, inputs: tuple[Node, ...]) -> Node | None:
    base, exponent = inputs[0], scalar_value(inputs[1])
    if exponent is None or node.dtype.kind != "f":
        return None
    if exponent in (0.5, -0.5):
        root: Node = tnp.sqrt(base)
        return root if exponent > 0 else 1.0 / root
    if exponent != int(exponent) or not 1 <= abs(exponent) <= LARGEST_POWER:
        return None
    product = _repeated(base, int(abs(exponent)))
    return product if exponent > 0 else 1.0 / product


def _repeated(x: Node, times: int) -> Node:
    """X · x · … by squaring."""
    if times == 1:
        return x
    half = _repeated(x, times // 2)
    square: Node = half * half
    return square * x if times % 2 else square


RULES: dict[str, Callable[[Node, tuple[Node, ...]], Node | None]] = {
    "logsumexp": _logsumexp,
    "norm": _norm,
    "power": _power,
}
