"""Functions that make arrays, and that pick entries out of them."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.graph import Node, as_node, constant
from thalweg.ops.composites.arithmetic import where
from thalweg.ops.composites.shapes import Array, astype, axis_of, is_traced, ndim, ravel, stack
from thalweg.ops.families import broadcast
from thalweg.ops.subscript import subscript


def asarray(x: Any, dtype: npt.DTypeLike | None = None) -> Array:
    """The value as an array; traced arrays stay traced, lists may hold traced numbers."""
    if isinstance(x, Node):
        return x if dtype is None else astype(x, dtype)
    if _holds_traced(x):
        return stack([asarray(v, dtype) for v in x])
    return np.asarray(x, dtype=dtype)


def _holds_traced(x: Any) -> bool:
    return isinstance(x, Node) or (
        isinstance(x, list | tuple) and builtins.any(_holds_traced(v) for v in x)
    )


def full_like(x: Array, fill_value: float, dtype: npt.DTypeLike | None = None) -> Array:
    """An array of the shape of `x` with one value."""
    if not isinstance(x, Node):
        return np.full_like(x, fill_value, dtype=dtype)
    return broadcast(constant(fill_value, dtype or x.dtype), x.shape)


def zeros_like(x: Array, dtype: npt.DTypeLike | None = None) -> Array:
    """Zeros of the shape of `x`."""
    return full_like(x, 0, dtype)


def ones_like(x: Array, dtype: npt.DTypeLike | None = None) -> Array:
    """Ones of the shape of `x`."""
    return full_like(x, 1, dtype)


def tril(x: Array, k: int = 0) -> Array:
    """The lower triangle of a matrix, zero above diagonal `k`."""
    if not isinstance(x, Node):
        return np.tril(x, k)
    return where(np.tri(x.shape[-2], x.shape[-1], k, dtype=bool), x, zeros_like(x))


def triu(x: Array, k: int = 0) -> Array:
    """The upper triangle of a matrix, zero below diagonal `k`."""
    if not isinstance(x, Node):
        return np.triu(x, k)
    return where(np.tri(x.shape[-2], x.shape[-1], k - 1, dtype=bool), zeros_like(x), x)


def take(x: Array, indices: Array, axis: int | None = None) -> Array:
    """Entries picked along an axis by integers, which may be traced.

    Without an axis, of the flattened array, as `numpy.take`.
    """
    if not is_traced(x, indices):
        return np.take(x, indices, axis=axis)
    x = as_node(x)
    if axis is None:
        x, axis = ravel(x), 0
    place = (slice(None),) * axis_of(axis, x.ndim)
    return getitem(x, (*place, indices))


def take_along_axis(x: Array, indices: Array, axis: int = -1) -> Array:
    """Entries picked along an axis by an array of the same rank."""
    if not is_traced(x, indices):
        return np.take_along_axis(x, indices, axis)
    x, indices = as_node(x), as_node(indices)
    grids: list[Any] = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    grids[axis_of(axis, ndim(x))] = indices
    return getitem(x, tuple(grids))


def diagonal(x: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal of the matrices along two axes, as the last axis."""
    if not isinstance(x, Node):
        return np.diagonal(x, offset, axis1, axis2)
    first, second = axis_of(axis1, x.ndim), axis_of(axis2, x.ndim)
    rest = [a for a in range(x.ndim) if a not in (first, second)]
    matrices = x.transpose(*rest, first, second)
    rows = np.arange(builtins.max(-offset, 0), matrices.shape[-2])
    columns = np.arange(builtins.max(offset, 0), matrices.shape[-1])
    count = builtins.min(len(rows), len(columns))
    return matrices[..., rows[:count], columns[:count]]


def diag(x: Array) -> Array:
    """The diagonal of a matrix, or the diagonal matrix of a vector."""
    if not isinstance(x, Node):
        return np.diag(x)
    if x.ndim == 1:
        return where(np.eye(x.shape[0], dtype=bool), x, 0.0)
    return diagonal(x)


def getitem(x: Array, index: Any) -> Array:
    """``x[index]`` with NumPy's rules: slices, integers, None, Ellipsis, integer arrays.

    Boolean arrays are accepted where their values are known.

    Raises
    ------
    ShapeError
        Too many indices, or a traced boolean mask (its result would have no fixed shape).
    IndexError
        An integer outside the axis.
    """
    return subscript(as_node(x), index)
