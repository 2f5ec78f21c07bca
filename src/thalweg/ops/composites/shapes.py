"""Functions that move, repeat and join entries."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.errors import ShapeError
from thalweg.graph import Node, as_node
from thalweg.graph.node import supported_dtype, unmasked
from thalweg.ops import shape as primitives
from thalweg.ops.families import broadcast, cast_to

Array = Any
Axis = int | Sequence[int] | None


def is_traced(*values: Any) -> bool:
    """Whether any of the values is a traced array."""
    return builtins.any(isinstance(value, Node) for value in values)


def as_operand(x: Any) -> Any:
    """A traced array as it is, anything else as a NumPy array."""
    return x if isinstance(x, Node) else unmasked(x)


def axes_of(x: Any, axis: Axis) -> tuple[int, ...]:
    """The named axes, counted from the front and sorted; None names all of them."""
    rank = ndim(x)
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, tuple | list) else (axis,)
    found = sorted(axis_of(a, rank) for a in given)
    if len(set(found)) < len(found):
        raise ShapeError("axis {axis} names one axis twice", axis=axis)
    return tuple(found)


def axis_of(axis: Any, rank: int) -> int:
    """One axis counted from the front."""
    found = operator.index(axis)
    if not -rank <= found < rank:
        raise ShapeError("axis {found} of an array with {rank} axes", found=found, rank=rank)
    return found % rank


def shape(x: Array) -> tuple[int, ...]:
    """The number of entries along each axis."""
    return x.shape if isinstance(x, Node) else np.shape(x)


def ndim(x: Array) -> int:
    """The number of axes."""
    return len(shape(x))


def size(x: Array) -> int:
    """The number of entries."""
    return math.prod(shape(x))


def astype(x: Array, dtype: npt.DTypeLike) -> Array:
    """The same entries in another dtype; no derivative flows through integers."""
    if not isinstance(x, Node):
        return np.asarray(x).astype(dtype)
    return cast_to(x, supported_dtype(np.dtype(dtype)))


def reshape(x: Array, shape: int | Sequence[int]) -> Array:
    """The same entries, in the same order, in another shape; one -1 is worked out."""
    if not isinstance(x, Node):
        return np.reshape(x, shape)
    wanted = [operator.index(n) for n in (shape if isinstance(shape, tuple | list) else (shape,))]
    if -1 in wanted:
        known = -math.prod(wanted)
        if wanted.count(-1) > 1 or known == 0 or x.size % known:
            raise ShapeError(
                "cannot reshape {shape} ({size} entries) to {wanted}",
                shape=x.shape,
                size=x.size,
                wanted=tuple(wanted),
            )
        wanted[wanted.index(-1)] = x.size // known
    if x.shape == tuple(wanted):
        return x
    return primitives.reshape.bind(x, shape=tuple(wanted))


def ravel(x: Array) -> Array:
    """All entries along one axis."""
    return reshape(x, -1)


def transpose(x: Array, axes: Sequence[int] | None = None) -> Array:
    """The axes in another order, reversed by default."""
    if not isinstance(x, Node):
        return np.transpose(x, axes)
    rank = x.ndim
    order = tuple(reversed(range(rank))) if axes is None else tuple(axis_of(a, rank) for a in axes)
    if sorted(order) != list(range(rank)):
        raise ShapeError("{axes} is no order of the {rank} axes", axes=axes, rank=rank)
    return x if order == tuple(range(rank)) else primitives.transpose.bind(x, axes=order)


def matrix_transpose(x: Array) -> Array:
    """The last two axes exchanged."""
    return swapaxes(x, -1, -2)


def swapaxes(x: Array, axis1: int, axis2: int) -> Array:
    """Two axes exchanged."""
    rank = ndim(x)
    first, second = axis_of(axis1, rank), axis_of(axis2, rank)
    order = list(range(rank))
    order[first], order[second] = second, first
    return transpose(x, order)


def moveaxis(x: Array, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """Axes moved to other places, the rest staying in order."""
    if not isinstance(x, Node):
        return np.moveaxis(x, source, destination)
    starts = [axis_of(a, x.ndim) for a in ([source] if isinstance(source, int) else source)]
    ends = [axis_of(a, x.ndim) for a in ([destination] if isinstance(destination, int)
                                         else destination)]  # fmt: skip
    if len(starts) != len(ends):
        raise ShapeError(
            "moveaxis of {count} axes to {places} places", count=len(starts), places=len(ends)
        )
    order = [a for a in range(x.ndim) if a not in starts]
    for end, start in sorted(zip(ends, starts, strict=True)):
        order.insert(end, start)
    return transpose(x, order)


def expand_dims(x: Array, axis: int | Sequence[int]) -> Array:
    """New axes of length 1, at these places of the result."""
    given = axis if isinstance(axis, tuple | list) else (axis,)
    rank = ndim(x) + len(given)
    places = {axis_of(a, rank) for a in given}
    old = iter(shape(x))
    return reshape(x, tuple(1 if a in places else next(old) for a in range(rank)))


def squeeze(x: Array, axis: Axis = None) -> Array:
    """Axes of length 1 removed."""
    lengths = shape(x)
    gone = [a for a, n in enumerate(lengths) if n == 1] if axis is None else axes_of(x, axis)
    if builtins.any(lengths[a] != 1 for a in gone):
        raise ShapeError(
            "cannot squeeze axes {axes} of shape {lengths}", axes=tuple(gone), lengths=lengths
        )
    return reshape(x, tuple(n for a, n in enumerate(lengths) if a not in gone))


def broadcast_to(x: Array, shape: int | Sequence[int]) -> Array:
    """`x` repeated to a shape, by NumPy's rules."""
    if not isinstance(x, Node):
        return np.broadcast_to(x, shape)
    return broadcast(x, (shape,) if isinstance(shape, int) else tuple(shape))


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    """Arrays repeated to their common shape."""
    if not is_traced(*arrays):
        return tuple(np.broadcast_arrays(*arrays))
    common = np.broadcast_shapes(*(shape(a) for a in arrays))
    return tuple(broadcast_to(a, common) for a in arrays)


def concatenate(arrays: Sequence[Array], axis: int | None = 0) -> Array:
    """Arrays joined along an axis they have."""
    if not is_traced(*arrays):
        return np.concatenate(arrays, axis=axis)
    if axis is None:
        arrays, axis = [reshape(a, -1) for a in arrays], 0
    parts = [as_operand(a) for a in arrays]
    dtype = np.result_type(*(a.dtype for a in parts))
    nodes = [cast_to(as_node(a), dtype) for a in parts]
    if not nodes[0].ndim:
        raise ShapeError("arrays without axes cannot be concatenated: use stack")
    along = axis_of(axis, nodes[0].ndim)
    return nodes[0] if len(nodes) == 1 else primitives.concatenate.bind(*nodes, axis=along)


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Arrays of one shape joined along a new axis."""
    if not is_traced(*arrays):
        return np.stack(arrays, axis=axis)
    if len({shape(a) for a in arrays}) > 1:
        raise ShapeError("stack of different shapes {shapes}", shapes=[shape(a) for a in arrays])
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


def hstack(arrays: Sequence[Array]) -> Array:
    """Arrays joined along the second axis (vectors and numbers along the first)."""
    parts = [reshape(a, 1) if ndim(a) == 0 else a for a in arrays]
    return concatenate(parts, 0 if ndim(parts[0]) == 1 else 1)


def vstack(arrays: Sequence[Array]) -> Array:
    """Arrays joined along the first axis (vectors and numbers become rows)."""
    return concatenate([reshape(a, (1, -1)) if ndim(a) < 2 else a for a in arrays], 0)


def unstack(x: Array, axis: int = 0) -> tuple[Array, ...]:
    """The parts of an array along an axis, without that axis."""
    front = moveaxis(as_operand(x), axis, 0)
    return tuple(front[i] for i in range(front.shape[0]))


def repeat(x: Array, repeats: int, axis: int | None = None) -> Array:
    """Every entry this many times in a row, along an axis (of the flattened array by default)."""
    if not isinstance(x, Node):
        return np.repeat(x, repeats, axis)
    if axis is None:
        x, axis = reshape(x, -1), 0
    axis = axis_of(axis, x.ndim)
    before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
    wide = broadcast_to(reshape(x, (*before, 1, *after)), (*before, repeats, *after))
    return reshape(wide, (*x.shape[:axis], x.shape[axis] * repeats, *after))


def tile(x: Array, reps: int | Sequence[int]) -> Array:
    """The whole array this many times along each axis."""
    if not isinstance(x, Node):
        return np.tile(x, reps)
    counts = [reps] if isinstance(reps, int) else list(reps)
    rank = max(len(counts), x.ndim)
    counts = [1] * (rank - len(counts)) + counts
    lengths = (1,) * (rank - x.ndim) + x.shape
    apart = [n for length in lengths for n in (1, length)]
    wide = [n for count, length in zip(counts, lengths, strict=True) for n in (count, length)]
    whole = tuple(count * length for count, length in zip(counts, lengths, strict=True))
    return reshape(broadcast_to(reshape(x, apart), wide), whole)


def meshgrid(*arrays: Array, indexing: str = "xy") -> list[Array]:
    """Coordinates of a grid from coordinates along its axes, as `numpy.meshgrid`."""
    if not is_traced(*arrays):
        return list(np.meshgrid(*arrays, indexing="ij" if indexing == "ij" else "xy"))
    rank = len(arrays)
    places = [
        reshape(a, tuple(-1 if axis == k else 1 for axis in range(rank)))
        for k, a in enumerate(arrays)
    ]
    grids = broadcast_arrays(*places)
    swap = indexing == "xy" and rank > 1
    return [swapaxes(g, 0, 1) if swap else g for g in grids]


def flip(x: Array, axis: Axis = None) -> Array:
    """Entries in reverse order along axes."""
    return primitives.flip(x, axes=axes_of(x, axis))


def roll(x: Array, shift: int, axis: int | None = None) -> Array:
    """Entries moved along an axis, those that leave at the end entering at the start."""
    if not isinstance(x, Node):
        return np.roll(x, shift, axis)
    if axis is None:
        return reshape(roll(reshape(x, -1), shift, 0), x.shape)
    front = moveaxis(x, axis, 0)
    cut = -shift % max(front.shape[0], 1)
    return moveaxis(concatenate([front[cut:], front[:cut]]), 0, axis)


def diff(x: Array, n: int = 1, axis: int = -1) -> Array:
    """Differences of neighbours along an axis, `n` times over."""
    if not isinstance(x, Node):
        return np.diff(x, n=n, axis=axis)
    front = moveaxis(x, axis, 0)
    for _ in range(n):
        front = front[1:] - front[:-1]
    return moveaxis(front, 0, axis)
