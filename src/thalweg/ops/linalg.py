"""The matrix product, from which every other product of arrays is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import Node
from thalweg.ops.families import Linear, broadcast, reshaped
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


matmul: Linear = Linear(
    name="matmul",
    evaluate=np.matmul,
    transposes=(
        lambda ct, node: matmul.bind(ct, swap(node.inputs[1])),
        lambda ct, node: matmul.bind(swap(node.inputs[0]), ct),
    ),
    shape_of=_matmul_shape,
    batched_form=_batch_matmul,
    moves=False,
    source="{0} @ {1}",
    latex="{0} {1}",
    precedence=30,
)
