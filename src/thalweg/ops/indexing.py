"""Picking entries by integer arrays, and its transpose, adding entries where they came from.

``gather(x, i, j)`` is ``x[i, j]``: index arrays of one shape, applied to the first axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import Node, constant
from thalweg.ops import shape as shapes
from thalweg.ops.families import Linear, broadcast

Shape = tuple[int, ...]


def _gather_shape(x: Node, *indices: Node) -> Shape:
    if len(indices) > x.ndim:
        raise ShapeError(
            "{count} indices for an array of shape {shape}", count=len(indices), shape=x.shape
        )
    return (*indices[0].shape, *x.shape[len(indices) :])


def _scatter_add(updates: Any, *indices: Any, shape: Any) -> Any:
    """Zeros of a shape, with the updates added at the indices."""
    out = np.zeros(shape, np.result_type(updates))
    np.add.at(out, tuple(indices), updates)
    return out


def _move_lead(x: Node, to: int) -> Node:
    """Move the leading axis to position `to`."""
    order = (*range(1, to + 1), 0, *range(to + 1, x.ndim))
    return shapes.transposed(x, order)


def _sample_index(indices: Sequence[Node], batched: Sequence[bool], lead: int) -> list[Node]:
    """Index arrays with a leading sample axis, and the sample's own number before them."""
    inner = next(i.shape[1:] if b else i.shape for i, b in zip(indices, batched, strict=True))
    wide = (lead, *inner)
    number = np.arange(lead).reshape(lead, *(1,) * len(inner))
    return [
        broadcast(constant(number, "int64"), wide),
        *(broadcast(i, wide) for i in indices),
    ]


def _batch_gather(
    primitive: Linear, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
) -> Node:
    x, *indices = inputs
    x_batched, *index_batched = batched
    if not x_batched:
        lead = next(i.shape[0] for i, b in zip(indices, index_batched, strict=True) if b)
        inner = next(i.shape for i, b in zip(indices, index_batched, strict=True) if b)
        return primitive.bind(x, *(broadcast(i, inner) for i in indices)) if lead else x
    if not any(index_batched):
        picked = primitive.bind(_move_lead(x, len(indices)), *indices)
        order = list(range(picked.ndim))
        order.insert(0, order.pop(indices[0].ndim))
        return shapes.transposed(picked, tuple(order))
    return primitive.bind(x, *_sample_index(indices, index_batched, x.shape[0]))


def _batch_scatter(
    primitive: Linear, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
) -> Node:
    updates, *indices = inputs
    lead = next(i.shape[0] for i, b in zip(inputs, batched, strict=True) if b)
    if not batched[0]:
        updates = broadcast(updates, (lead, *updates.shape))
    wide = _sample_index(indices, batched[1:], lead)
    return primitive.bind(updates, *wide, shape=(lead, *attributes["shape"]))


gather: Linear = Linear(
    name="gather",
    evaluate=lambda x, *indices: x[tuple(indices)],
    transposes=(
        lambda ct, node: scatter_add.bind(ct, *node.inputs[1:], shape=node.inputs[0].shape),
        None,
    ),
    shape_of=_gather_shape,
    batched_form=_batch_gather,
    source="{0}[{indices}]",
    latex="{0}_{{[{indices}]}}",
)
scatter_add: Linear = Linear(
    name="scatter_add",
    evaluate=_scatter_add,
    helper=_scatter_add,
    transposes=(lambda ct, node: gather.bind(ct, *node.inputs[1:]), None),
    shape_of=lambda updates, *indices, shape: shape,
    batched_form=_batch_scatter,
    source="scatter_add({args}, shape={shape})",
    latex=r"\operatorname{{scatter}}\left({args}\right)",
)
