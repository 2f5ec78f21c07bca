"""Products of arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import as_node
from thalweg.ops import linalg
from thalweg.ops.composites.axes import sum
from thalweg.ops.composites.making import diagonal
from thalweg.ops.composites.shapes import (
    Array,
    as_operand,
    axis_of,
    is_traced,
    moveaxis,
    ndim,
    reshape,
    transpose,
)
from thalweg.ops.elementwise import multiply
from thalweg.ops.families import broadcast, cast_to


def matmul(a: Array, b: Array) -> Array:
    """Matrix product of any ranks, as ``a @ b``."""
    if not is_traced(a, b):
        return np.matmul(a, b)
    a, b = as_node(a), as_node(b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("matrix product with an array without axes: use * instead")
    dtype = np.result_type(a.dtype, b.dtype)
    a, b = cast_to(a, dtype), cast_to(b, dtype)
    left, right = a.ndim == 1, b.ndim == 1
    a = reshape(a, (1, *a.shape)) if left else a
    b = reshape(b, (*b.shape, 1)) if right else b
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            "matrix product of shapes {left} and {right}: {columns} columns meet {rows} rows",
            left=a.shape,
            right=b.shape,
            columns=a.shape[-1],
            rows=b.shape[-2],
        )
    if a.ndim > 2 and b.ndim == 2:  # one matrix for all leading axes: one larger product
        rows = math.prod(a.shape[:-1])
        out = linalg.matmul.bind(reshape(a, (rows, a.shape[-1])), b)
        out = reshape(out, (*a.shape[:-1], b.shape[-1]))
    else:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = linalg.matmul.bind(*(broadcast(v, lead + v.shape[-2:]) for v in (a, b)))
    shape = list(out.shape)
    if left:
        del shape[-2]
    if right:
        del shape[-1]
    return reshape(out, tuple(shape))


def dot(a: Array, b: Array) -> Array:
    """Product of vectors and matrices (arrays of at most two axes), or with a number."""
    if ndim(a) == 0 or ndim(b) == 0:
        return multiply(a, b)
    if ndim(b) > 2:
        raise ShapeError("dot of an array with more than two axes: use matmul or tensordot")
    return matmul(a, b)


def vecdot(a: Array, b: Array, axis: int = -1) -> Array:
    """Sum of products along one axis."""
    return sum(multiply(a, b), axis)


def inner(a: Array, b: Array) -> Array:
    """Sum of products over the last axis of both."""
    if ndim(a) == 0 or ndim(b) == 0:
        return multiply(a, b)
    return tensordot(a, b, ((ndim(a) - 1,), (ndim(b) - 1,)))


def outer(a: Array, b: Array) -> Array:
    """All products of an entry of `a` with an entry of `b`, shape (a.size, b.size)."""
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


def tensordot(a: Array, b: Array, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """Sum of products over pairs of axes, as `numpy.tensordot`."""
    if not is_traced(a, b):
        return np.tensordot(a, b, axes)
    a, b = as_node(a), as_node(b)
    if isinstance(axes, int):
        axes = (tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes)))
    pairs = [(given,) if isinstance(given, int) else given for given in axes]
    left = [axis_of(axis, a.ndim) for axis in pairs[0]]
    right = [axis_of(axis, b.ndim) for axis in pairs[1]]
    if [a.shape[axis] for axis in left] != [b.shape[axis] for axis in right]:
        raise ShapeError(
            "tensordot of shapes {left} and {right} over axes {axes}",
            left=a.shape,
            right=b.shape,
            axes=axes,
        )
    rest_a = [axis for axis in range(a.ndim) if axis not in left]
    rest_b = [axis for axis in range(b.ndim) if axis not in right]
    lengths_a, lengths_b = ([a.shape[i] for i in rest_a], [b.shape[i] for i in rest_b])
    shared = math.prod(a.shape[axis] for axis in left)
    tall = reshape(transpose(a, (*rest_a, *left)), (math.prod(lengths_a), shared))
    wide = reshape(transpose(b, (*right, *rest_b)), (shared, math.prod(lengths_b)))
    return reshape(matmul(tall, wide), (*lengths_a, *lengths_b))


def cross(a: Array, b: Array) -> Array:
    """The vector product of three-dimensional vectors along the last axis."""
    a, b = as_operand(a), as_operand(b)
    if a.shape[-1:] != (3,) or b.shape[-1:] != (3,):
        raise ShapeError(
            "cross needs vectors of length 3, not shapes {left} and {right}",
            left=a.shape,
            right=b.shape,
        )
    after, last = [1, 2, 0], [2, 0, 1]
    return a[..., after] * b[..., last] - a[..., last] * b[..., after]


def trace(x: Array) -> Array:
    """The sum of the diagonal of a matrix (of the first two axes)."""
    return sum(diagonal(x), -1)


def trapezoid(y: Array, x: Array | None = None, dx: float = 1.0, axis: int = -1) -> Array:
    """The integral of sampled values by the trapezoidal rule."""
    y = moveaxis(as_operand(y), axis, -1)
    if x is None:
        return sum((y[..., 1:] + y[..., :-1]) / 2.0, -1) * dx
    x = as_operand(x)
    x = moveaxis(x, axis, -1) if x.ndim == y.ndim else x
    return sum((x[..., 1:] - x[..., :-1]) * (y[..., 1:] + y[..., :-1]) / 2.0, -1)
