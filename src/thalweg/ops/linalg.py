"""The matrix product, from which every other product of arrays is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import Node
from thalweg.ops import reduction
from thalweg.ops.families import Linear, broadcast, expand, reshaped
from thalweg.ops.shape import swap


def _matmul_shape(a: Node, b: Node) -> tuple[int, ...]:
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2] or a.shape[:-2] != b.shape[:-2]:
        raise ShapeError("matrix product of shapes {left} and {right}", left=a.shape, right=b.shape)
    return (*a.shape[:-1], b.shape[-1])


def _batch_matmul(
    primitive: Linear, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
) -> Node:
    a, b = inputs
    if all(batched):
        return primitive.bind(a, b)
    if batched[0] and b.ndim == 2:  # many samples times one matrix: one larger product
        lead, rows, inner = a.shape
        tall = reshaped(a, (lead * rows, inner))
        return reshaped(primitive.bind(tall, b), (lead, rows, b.shape[1]))
    if batched[1] and a.ndim == 2:
        return swap(_batch_matmul(primitive, (swap(b), swap(a)), (True, False), attributes))
    lead = (a if batched[0] else b).shape[0]
    a, b = (
        i if flag else broadcast(i, (lead, *i.shape))
        for i, flag in zip(inputs, batched, strict=True)
    )
    return primitive.bind(a, b)


def _any_along(mask: Node, axis: int, operand: Node) -> Node:
    """Whether anything of a row (column) counts, for all of an operand's row (column)."""
    axes = (mask.ndim + axis,)
    return expand(reduction.any.bind(mask, axes=axes), axes, operand.shape)


matmul: Linear = Linear(
    name="matmul",
    evaluate=np.matmul,
    transposes=(
        lambda ct, node: matmul.bind(ct, swap(node.inputs[1])),
        lambda ct, node: matmul.bind(swap(node.inputs[0]), ct),
    ),
    shape_of=_matmul_shape,
    batched_form=_batch_matmul,
    carriers=(
        lambda mask, node: _any_along(mask, -1, node.inputs[0]),
        lambda mask, node: _any_along(mask, -2, node.inputs[1]),
    ),
    source="{0} @ {1}",
    latex="{0} {1}",
    precedence=30,
)
