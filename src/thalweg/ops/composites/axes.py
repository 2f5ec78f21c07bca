"""Functions of all entries along some axes, and of running totals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.graph import Node
from thalweg.ops import reduction
from thalweg.ops import shape as primitives
from thalweg.ops.composites.shapes import (
    Array,
    Axis,
    as_operand,
    astype,
    axes_of,
    concatenate,
    reshape,
    transpose,
)
from thalweg.ops.elementwise import exp
from thalweg.ops.families import Reduction


def _reduce(primitive: Reduction, x: Array, axis: Axis, keepdims: bool) -> Array:
    x = as_operand(x)
    axes = axes_of(x, axis)
    if not axes:  # of a number: along an axis of length one
        return primitive(reshape(x, (1, *x.shape)), axes=(0,))
    out = primitive(x, axes=axes)
    return reshape(out, _kept(x, axes)) if keepdims else out


def _kept(x: Any, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with reduced axes kept at length one."""
    return tuple(1 if a in axes else n for a, n in enumerate(x.shape))


def _inexact(x: Array) -> Array:
    x = as_operand(x)
    return x if x.dtype.kind == "f" else astype(x, "float64")


def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over axes."""
    return _reduce(reduction.sum, x, axis, keepdims)


def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over axes."""
    x = as_operand(x)
    count = math.prod(x.shape[a] for a in axes_of(x, axis))
    return sum(x, axis, keepdims) / count


def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Maximum over axes; equal largest entries share the derivative evenly."""
    return _reduce(reduction.max, x, axis, keepdims)


def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Minimum over axes; equal smallest entries share the derivative evenly."""
    return _reduce(reduction.min, x, axis, keepdims)


def any(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether any entry holds."""
    return _reduce(reduction.any, x, axis, keepdims)


def all(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every entry holds."""
    return _reduce(reduction.all, x, axis, keepdims)


def count_nonzero(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many entries are not zero."""
    return sum(as_operand(x) != 0, axis, keepdims)


def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """``log(Σ exp(x))`` without overflow."""
    return _reduce(reduction.logsumexp, _inexact(x), axis, keepdims)


def norm(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Euclidean norm over axes (of all entries by default), with derivative 0 at the origin."""
    return _reduce(reduction.norm, _inexact(x), axis, keepdims)


def var(x: Array, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Variance over axes, divided by n - `correction` (NumPy's ``ddof``)."""
    x = _inexact(x)
    count = math.prod(x.shape[a] for a in axes_of(x, axis))
    deviation = x - mean(x, axis, keepdims=True)
    return sum(deviation * deviation, axis, keepdims) / (count - correction)


def std(x: Array, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Standard deviation over axes, divided by n - `correction` (NumPy's ``ddof``).

    Its derivative is 0 where all entries are equal.
    """
    x = _inexact(x)
    count = math.prod(x.shape[a] for a in axes_of(x, axis))
    return norm(x - mean(x, axis, keepdims=True), axis, keepdims) / math.sqrt(count - correction)


def prod(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Product over axes, as a tree of products, so that zeros do no harm to derivatives."""
    axes = axes_of(x, axis)
    if not isinstance(x, Node):
        return np.prod(x, axis=axes, keepdims=keepdims)
    kept = [a for a in range(x.ndim) if a not in axes]
    rest = tuple(x.shape[a] for a in kept)
    count = math.prod(x.shape[a] for a in axes)
    flat = reshape(transpose(x, (*axes, *kept)), (count, *rest))
    while flat.shape[0] > 1:
        half = flat.shape[0] // 2
        product = flat[:half] * flat[half : 2 * half]
        flat = product if flat.shape[0] % 2 == 0 else concatenate([product, flat[2 * half :]])
    out = flat[0] if count else np.ones(rest, x.dtype)
    return reshape(out, _kept(x, axes)) if keepdims else out


def argmax(x: Array, axis: int | None = None) -> Array:
    """Index of the largest entry along an axis (of the flattened array by default)."""
    return _along_one(reduction.argmax, x, axis)


def argmin(x: Array, axis: int | None = None) -> Array:
    """Index of the smallest entry along an axis (of the flattened array by default)."""
    return _along_one(reduction.argmin, x, axis)


def _along_one(primitive: Reduction, x: Array, axis: int | None) -> Array:
    if axis is None:
        x, axis = reshape(x, -1), 0
    return primitive(x, axes=axes_of(x, axis))


def cumsum(x: Array, axis: int | None = None) -> Array:
    """Sums of the first 1, 2, 3, ... entries along an axis; of booleans, how many hold."""
    x = as_operand(x)
    if x.dtype.kind == "b":
        x = astype(x, "int64")
    if axis is None:
        x, axis = reshape(x, -1), 0
    return primitives.cumsum(x, axis=axes_of(x, axis)[0])


def log_softmax(x: Array, axis: Axis = -1) -> Array:
    """``log(softmax(x))`` without overflow."""
    x = _inexact(x)
    return x - logsumexp(x, axis, keepdims=True)


def softmax(x: Array, axis: Axis = -1) -> Array:
    """``exp(x) / Σ exp(x)`` along an axis, without overflow."""
    return exp(log_softmax(x, axis))
