"""Operations that move, repeat or join entries without computing with them.

Each is linear, and its transpose moves the entries back (repeating becomes summing).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import PRIMITIVES, Node
from thalweg.ops import reduction
from thalweg.ops.families import Linear, broadcast, reshaped

Shape = tuple[int, ...]


def _lead(inputs: Sequence[Node], batched: Sequence[bool]) -> int:
    """The number of samples."""
    return next(i.shape[0] for i, b in zip(inputs, batched, strict=True) if b)


# -- reshape -------------------------------------------------------------------
def _reshape_shape(x: Node, shape: Shape) -> Shape:
    if math.prod(shape) != x.size:
        raise ShapeError(
            "cannot reshape {found} ({size} entries) to {wanted}",
            found=x.shape,
            size=x.size,
            wanted=shape,
        )
    return shape


reshape: Linear = Linear(
    name="reshape",
    evaluate=lambda x, shape: x.reshape(shape) if shape else x.reshape(())[()],
    transposes=(lambda ct, node: reshaped(ct, node.inputs[0].shape),),
    shape_of=_reshape_shape,
    batched_form=lambda primitive, inputs, batched, attributes: reshaped(
        inputs[0], (inputs[0].shape[0], *attributes["shape"])
    ),
    source="np.reshape({0}, {shape})",
    latex="{0}",
)

# -- transpose -----------------------------------------------------------------
transpose: Linear = Linear(
    name="transpose",
    evaluate=lambda x, axes: x.transpose(axes),
    transposes=(
        lambda ct, node: transposed(ct, tuple(int(a) for a in np.argsort(node.attributes["axes"]))),
    ),
    shape_of=lambda x, axes: tuple(x.shape[a] for a in axes),
    batched_form=lambda primitive, inputs, batched, attributes: primitive.bind(
        inputs[0], axes=(0, *(a + 1 for a in attributes["axes"]))
    ),
    source="np.transpose({0}, {axes})",
    latex=r"{{{0}}}^{{\mathsf T}}",
)


def transposed(x: Node, axes: Shape) -> Node:
    """The axes in another order, for the rules of derivatives and batches (see `reshaped`)."""
    if x.name == "transpose":
        inner = x.attributes["axes"]
        x, axes = x.inputs[0], tuple(inner[a] for a in axes)
    if axes == tuple(range(x.ndim)):
        return x
    if x.name == "matmul" and axes == swapped_axes(x.ndim):  # (AᵀB)ᵀ = BᵀA
        a, b = x.inputs
        if "transpose" in (a.name, b.name):
            return PRIMITIVES["matmul"].bind(swap(b), swap(a))
    moved = [a for a in axes if x.shape[a] != 1]
    if moved == sorted(moved) and (x.name == "reshape" or x.ndim > 2):
        return reshaped(x, tuple(x.shape[a] for a in axes))  # only axes of length one move
    return transpose.bind(x, axes=axes)


def swapped_axes(rank: int) -> Shape:
    """The order of axes with the last two exchanged."""
    return (*range(rank - 2), rank - 1, rank - 2)


def swap(x: Node) -> Node:
    """Exchange the last two axes."""
    return transposed(x, swapped_axes(x.ndim))


# -- broadcast -----------------------------------------------------------------
def _broadcast_shape(x: Node, shape: Shape) -> Shape:
    try:
        fits = np.broadcast_shapes(x.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError("cannot broadcast {found} to {wanted}", found=x.shape, wanted=shape)
    return shape


def _unbroadcast(ct: Node, node: Node) -> Node:
    """Sum over the axes along which the operand was repeated."""
    (x,) = node.inputs
    new = len(node.shape) - x.ndim
    repeated = (a for a, n in enumerate(x.shape, new) if n == 1 and node.shape[a] != 1)
    axes = (*range(new), *repeated)
    total = reduction.sum.bind(ct, axes=axes) if axes else ct
    return reshaped(total, x.shape)


def _batch_broadcast(
    primitive: Linear, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
) -> Node:
    (x,), shape = inputs, attributes["shape"]
    ones = (1,) * (len(shape) - (x.ndim - 1))
    aligned = reshaped(x, (x.shape[0], *ones, *x.shape[1:]))
    return primitive.bind(aligned, shape=(x.shape[0], *shape))


broadcast_to: Linear = Linear(
    name="broadcast_to",
    evaluate=lambda x, shape: np.broadcast_to(x, shape),
    transposes=(_unbroadcast,),
    shape_of=_broadcast_shape,
    batched_form=_batch_broadcast,
    source="np.broadcast_to({0}, {shape})",
    latex="{0}",
)


# -- concatenate ---------------------------------------------------------------
def _concatenate_shape(*inputs: Node, axis: int) -> Shape:
    first = inputs[0].shape
    for other in inputs[1:]:
        same = len(other.shape) == len(first) and all(
            a == b for k, (a, b) in enumerate(zip(first, other.shape, strict=True)) if k != axis
        )
        if not same:
            raise ShapeError(
                "cannot concatenate {first} and {other} along axis {axis}: the other "
                "axes must be equal",
                first=first,
                other=other.shape,
                axis=axis,
            )
    return (*first[:axis], sum(i.shape[axis] for i in inputs), *first[axis + 1 :])


def _pieces(ct: Node, node: Node, position: int) -> Node:
    axis = node.attributes["axis"]
    start = sum(i.shape[axis] for i in node.inputs[:position])
    begins = tuple(start if a == axis else 0 for a in range(ct.ndim))
    piece = node.inputs[position].shape
    stops = tuple(b + n for b, n in zip(begins, piece, strict=True))
    return take_slice.bind(ct, starts=begins, stops=stops, steps=(1,) * ct.ndim)


def _batch_concatenate(
    primitive: Linear, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
) -> Node:
    lead = _lead(inputs, batched)
    wide = [
        i if b else broadcast(i, (lead, *i.shape)) for i, b in zip(inputs, batched, strict=True)
    ]
    return primitive.bind(*wide, axis=attributes["axis"] + 1)


concatenate: Linear = Linear(
    name="concatenate",
    evaluate=lambda *xs, axis: np.concatenate(xs, axis=axis),
    transposes=lambda position: lambda ct, node: _pieces(ct, node, position),
    shape_of=_concatenate_shape,
    batched_form=_batch_concatenate,
    jointly=True,
    source="np.concatenate([{args}], axis={axis})",
    latex=r"\left[{args}\right]",
)


# -- slices and their transpose ------------------------------------------------
@lru_cache(maxsize=1024)
def _slices(starts: Shape, stops: Shape, steps: Shape) -> tuple[slice, ...]:
    return tuple(slice(a, b, c) for a, b, c in zip(starts, stops, steps, strict=True))


def _place(x: Any, shape: Any, where: Any) -> Any:
    """Zeros of a shape, with x at an index."""
    out = np.zeros(shape, np.result_type(x))
    out[where] = x
    return out


def _batch_slice(
    primitive: Linear, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
) -> Node:
    (x,) = inputs
    changed = {
        "starts": (0, *attributes["starts"]),
        "stops": (x.shape[0], *attributes["stops"]),
        "steps": (1, *attributes["steps"]),
    }
    if "shape" in attributes:
        changed = {"shape": (x.shape[0], *attributes["shape"]), **changed}
    return primitive.bind(x, **changed)


take_slice: Linear = Linear(
    name="slice",
    evaluate=lambda x, starts, stops, steps: x[_slices(starts, stops, steps)],
    transposes=(lambda ct, node: place.bind(ct, shape=node.inputs[0].shape, **node.attributes),),
    shape_of=lambda x, starts, stops, steps: tuple(
        len(range(a, b, c)) for a, b, c in zip(starts, stops, steps, strict=True)
    ),
    batched_form=_batch_slice,
    source="{0}[{slices}]",
    latex="{0}_{{[{slices}]}}",
)
place: Linear = Linear(
    name="place",
    evaluate=lambda x, shape, starts, stops, steps: _place(x, shape, _slices(starts, stops, steps)),
    helper=_place,
    transposes=(
        lambda ct, node: take_slice.bind(
            ct, **{k: v for k, v in node.attributes.items() if k != "shape"}
        ),
    ),
    shape_of=lambda x, shape, starts, stops, steps: shape,
    batched_form=_batch_slice,
    source="place({0}, {shape}, np.s_[{slices}])",
    latex=r"\operatorname{{place}}\left({0}\right)",
)
flip: Linear = Linear(
    name="flip",
    evaluate=lambda x, axes: np.flip(x, axes),
    transposes=(lambda ct, node: flip.bind(ct, axes=node.attributes["axes"]),),
    shape_of=lambda x, axes: x.shape,
    batched_form=lambda primitive, inputs, batched, attributes: primitive.bind(
        inputs[0], axes=tuple(a + 1 for a in attributes["axes"])
    ),
    source="np.flip({0}, {axes})",
    latex=r"\operatorname{{flip}}\left({0}\right)",
)
cumsum: Linear = Linear(
    name="cumsum",
    evaluate=lambda x, axis: np.cumsum(x, axis=axis),
    transposes=(
        lambda ct, node: flip.bind(
            cumsum.bind(
                flip.bind(ct, axes=(node.attributes["axis"],)), axis=node.attributes["axis"]
            ),
            axes=(node.attributes["axis"],),
        ),
    ),
    shape_of=lambda x, axis: x.shape,
    batched_form=lambda primitive, inputs, batched, attributes: primitive.bind(
        inputs[0], axis=attributes["axis"] + 1
    ),
    source="np.cumsum({0}, axis={axis})",
    latex=r"\operatorname{{cumsum}}\left({0}\right)",
)
