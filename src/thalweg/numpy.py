"""NumPy's functions for traced arrays, under the array API's names and NumPy's own.

Called on ordinary arrays they compute at once; called on traced arrays they build the graph.
So a function written with this namespace is a plain function and can be differentiated.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> import thalweg.numpy as tnp
>>> def f(x):
...     return tnp.sum(tnp.tanh(x) ** 2)
>>> round(float(f(np.array([0.5, 1.0]))), 12)
0.793591
>>> tw.grad(f)(np.array([0.0, 1.0]))
array([0.        , 0.6397...])
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as _np
import numpy.typing as npt

from thalweg.errors import ShapeError
from thalweg.graph import Node, as_node, constant
from thalweg.graph.node import supported_dtype
from thalweg.ops import elementwise as _e
from thalweg.ops import linalg as _l
from thalweg.ops import reduction as _r
from thalweg.ops import shape as _s
from thalweg.ops.families import Reduction, align, broadcast, cast_to, select

Array = Any
Axis = int | Sequence[int] | None

e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None
float32, float64, int32, int64 = _np.float32, _np.float64, _np.int32, _np.int64
bool_ = _np.bool_

# -- functions of numbers ---------------------------------------------------------------------
add, subtract, multiply, divide = _e.add, _e.subtract, _e.multiply, _e.divide
negative, power, remainder = _e.negative, _e.power, _e.remainder
exp, expm1, log, log1p, sqrt = _e.exp, _e.expm1, _e.log, _e.log1p, _e.sqrt
sin, cos, tan, arcsin, arccos, arctan = _e.sin, _e.cos, _e.tan, _e.arcsin, _e.arccos, _e.arctan
arctan2 = _e.arctan2
sinh, cosh, tanh, arcsinh, arccosh, arctanh = (
    _e.sinh,
    _e.cosh,
    _e.tanh,
    _e.arcsinh,
    _e.arccosh,
    _e.arctanh,
)
sigmoid, softplus, erf = _e.sigmoid, _e.softplus, _e.erf
abs, sign, floor, ceil, rint = _e.abs, _e.sign, _e.floor, _e.ceil, _e.rint
maximum, minimum, stop_gradient = _e.maximum, _e.minimum, _e.stop_gradient
less, less_equal, greater, greater_equal = _e.less, _e.less_equal, _e.greater, _e.greater_equal
equal, not_equal = _e.equal, _e.not_equal
logical_and, logical_or, logical_not = _e.logical_and, _e.logical_or, _e.logical_not
isfinite, isnan = _e.isfinite, _e.isnan

mod = remainder
asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh
absolute, pow, round = abs, power, rint


def _traced(*values: Any) -> bool:
    return builtins.any(isinstance(value, Node) for value in values)


def where(condition: Array, x: Array, y: Array) -> Array:
    """Entries of `x` where the condition holds, of `y` elsewhere.

    Neither values nor derivatives of the branch not taken leak into the result, be they NaN
    or infinite.

    Parameters
    ----------
    condition, x, y : array-like
        Of shapes that broadcast.

    Returns
    -------
    array

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> tw.grad(lambda x: where(x > 0, log(where(x > 0, x, 1.0)), 0.0))(0.0)
    np.float64(0.0)
    """
    if not _traced(condition, x, y):
        return _np.where(condition, x, y)
    return select(condition, x, y)


def clip(x: Array, min: Array | None = None, max: Array | None = None) -> Array:
    """`x` held between `min` and `max`; the derivative outside is zero."""
    if min is not None:
        x = maximum(x, min)
    return x if max is None else minimum(x, max)


def square(x: Array) -> Array:
    """The square, as ``x ** 2``."""
    return x * x if _traced(x) else _np.square(x)


def reciprocal(x: Array) -> Array:
    """One divided by `x`."""
    return divide(1.0, x)


def cbrt(x: Array) -> Array:
    """The cube root, also of negative numbers."""
    if not _traced(x):
        return _np.cbrt(x)
    return sign(x) * abs(x) ** (1.0 / 3.0)


def log2(x: Array) -> Array:
    """The logarithm to base 2."""
    return log(x) / math.log(2.0)


def log10(x: Array) -> Array:
    """The logarithm to base 10."""
    return log(x) / math.log(10.0)


def exp2(x: Array) -> Array:
    """Two to the power `x`."""
    return exp(x * math.log(2.0))


def hypot(x: Array, y: Array) -> Array:
    """``sqrt(x² + y²)``, with derivative 0 at the origin."""
    if not _traced(x, y):
        return _np.hypot(x, y)
    return norm(stack(align(x, y, inexact=True)), axis=0)


def logaddexp(x: Array, y: Array) -> Array:
    """``log(exp(x) + exp(y))`` without overflow."""
    if not _traced(x, y):
        return _np.logaddexp(x, y)
    return logsumexp(stack(align(x, y, inexact=True)), axis=0)


def log_sigmoid(x: Array) -> Array:
    """``log(sigmoid(x))`` without overflow."""
    return negative(softplus(negative(x)))


def xlogy(x: Array, y: Array) -> Array:
    """``x · log(y)``, and 0 where `x` is 0, whatever `y` is.

    Examples
    --------
    >>> float(xlogy(0.0, 0.0))
    0.0
    """
    zero = equal(x, 0.0)
    return where(zero, 0.0, x * log(where(zero, 1.0, y)))


def floor_divide(x: Array, y: Array) -> Array:
    """The quotient rounded down."""
    return floor(divide(x, y)) if _traced(x, y) else _np.floor_divide(x, y)


def trunc(x: Array) -> Array:
    """Rounded towards zero."""
    return where(greater(x, 0), floor(x), ceil(x)) if _traced(x) else _np.trunc(x)


def isinf(x: Array) -> Array:
    """Whether entries are infinite."""
    return equal(abs(x), inf)


def logical_xor(x: Array, y: Array) -> Array:
    """Whether exactly one of two conditions holds."""
    return not_equal(astype(x, "bool"), astype(y, "bool"))


def heaviside(x: Array, value: Array) -> Array:
    """The step function: 0 below zero, `value` at zero, 1 above."""
    return where(greater(x, 0), 1.0, where(less(x, 0), 0.0, value))


def sinc(x: Array) -> Array:
    """``sin(πx)/(πx)``, and 1 at 0."""
    zero = equal(x, 0.0)
    angle = pi * where(zero, 1.0, x)
    return where(zero, 1.0, sin(angle) / angle)


def astype(x: Array, dtype: npt.DTypeLike) -> Array:
    """The same entries in another dtype; no derivative flows through integers."""
    if not isinstance(x, Node):
        return _np.asarray(x).astype(dtype)
    return cast_to(x, supported_dtype(_np.dtype(dtype)))


# -- functions along axes ---------------------------------------------------------------------
def _axes(x: Any, axis: Axis) -> tuple[int, ...]:
    ndim = _np.ndim(x) if not isinstance(x, Node) else x.ndim
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int) else tuple(operator.index(a) for a in axis)
    for a in given:
        if not -ndim <= a < ndim:
            raise ShapeError(f"axis {a} of an array with {ndim} axes")
    return tuple(sorted({a % ndim for a in given}))


def _reduce(primitive: Reduction, x: Array, axis: Axis, keepdims: bool) -> Array:
    x = x if isinstance(x, Node) else _np.asarray(x)
    axes = _axes(x, axis)
    if not axes:
        axes_result = primitive(reshape(x, (1, *x.shape)), axes=(0,))
        return axes_result
    out = primitive(x, axes=axes)
    if keepdims:
        out = reshape(out, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))
    return out


def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over axes."""
    return _reduce(_r.sum, x, axis, keepdims)


def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over axes."""
    x = x if isinstance(x, Node) else _np.asarray(x)
    count = math.prod(x.shape[a] for a in _axes(x, axis))
    return sum(x, axis, keepdims) / count


def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Maximum over axes; equal largest entries share the derivative evenly."""
    return _reduce(_r.max, x, axis, keepdims)


def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Minimum over axes; equal smallest entries share the derivative evenly."""
    return _reduce(_r.min, x, axis, keepdims)


def any(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether any entry holds."""
    return _reduce(_r.any, x, axis, keepdims)


def all(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every entry holds."""
    return _reduce(_r.all, x, axis, keepdims)


def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """``log(Σ exp(x))`` without overflow."""
    return _reduce(_r.logsumexp, _inexact(x), axis, keepdims)


def norm(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Euclidean norm over axes (of all entries by default), with derivative 0 at the origin."""
    return _reduce(_r.norm, _inexact(x), axis, keepdims)


def _inexact(x: Array) -> Array:
    if not isinstance(x, Node):
        x = _np.asarray(x)
    return x if x.dtype.kind == "f" else astype(x, float64)


def var(x: Array, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Variance over axes, divided by n - `correction`."""
    x = _inexact(x)
    count = math.prod(x.shape[a] for a in _axes(x, axis))
    deviation = x - mean(x, axis, keepdims=True)
    return sum(deviation * deviation, axis, keepdims) / (count - correction)


def std(x: Array, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Standard deviation over axes, divided by n - `correction`."""
    return sqrt(var(x, axis, correction, keepdims))


def prod(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Product over axes, as a tree of products, so that zeros do no harm to derivatives."""
    if not isinstance(x, Node):
        return _np.prod(x, axis=axis if axis is None else tuple(_axes(x, axis)), keepdims=keepdims)
    axes = _axes(x, axis)
    kept = [a for a in range(x.ndim) if a not in axes]
    rest = tuple(x.shape[a] for a in kept)
    flat = reshape(transpose(x, (*axes, *kept)), (-1, *rest) if rest else (-1,))
    while flat.shape[0] > 1:
        half = flat.shape[0] // 2
        product = flat[:half] * flat[half : 2 * half]
        flat = product if flat.shape[0] % 2 == 0 else concatenate([product, flat[2 * half :]])
    out = flat[0] if flat.shape[0] else ones(rest, x.dtype)
    return (
        reshape(out, tuple(1 if a in axes else n for a, n in enumerate(x.shape)))
        if keepdims
        else out
    )


def argmax(x: Array, axis: int | None = None) -> Array:
    """Index of the largest entry along an axis (of the flattened array by default)."""
    return _arg(_r.argmax, x, axis)


def argmin(x: Array, axis: int | None = None) -> Array:
    """Index of the smallest entry along an axis (of the flattened array by default)."""
    return _arg(_r.argmin, x, axis)


def _arg(primitive: Reduction, x: Array, axis: int | None) -> Array:
    if axis is None:
        x, axis = reshape(x, -1), 0
    return primitive(x, axes=_axes(x, axis))


def cumsum(x: Array, axis: int | None = None) -> Array:
    """Sums of the first 1, 2, 3, ... entries along an axis."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    return _s.cumsum(x, axis=_axes(x, axis)[0])


cumulative_sum = cumsum


def log_softmax(x: Array, axis: Axis = -1) -> Array:
    """``log(softmax(x))`` without overflow."""
    return x - logsumexp(x, axis, keepdims=True)


def softmax(x: Array, axis: Axis = -1) -> Array:
    """``exp(x) / Σ exp(x)`` along an axis, without overflow."""
    return exp(log_softmax(x, axis))


# -- products ---------------------------------------------------------------------------------
def matmul(a: Array, b: Array) -> Array:
    """Matrix product of any ranks, as ``a @ b``."""
    if not _traced(a, b):
        return _np.matmul(a, b)
    a, b = (as_node(v) for v in (a, b))
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("matrix product with an array without axes: use * instead")
    dtype = _np.result_type(a.dtype, b.dtype)
    a, b = cast_to(a, dtype), cast_to(b, dtype)
    left, right = a.ndim == 1, b.ndim == 1
    a = reshape(a, (1, *a.shape)) if left else a
    b = reshape(b, (*b.shape, 1)) if right else b
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"matrix product of shapes {a.shape} and {b.shape}: {a.shape[-1]} columns meet "
            f"{b.shape[-2]} rows"
        )
    if a.ndim > 2 and b.ndim == 2:  # one matrix for all leading axes: one larger product
        out = _l.matmul.bind(reshape(a, (-1, a.shape[-1])), b)
        out = reshape(out, (*a.shape[:-1], b.shape[-1]))
    else:
        lead = _np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = _l.matmul.bind(*(broadcast(v, lead + v.shape[-2:]) for v in (a, b)))
    shape = list(out.shape)
    if left:
        del shape[-2]
    if right:
        del shape[-1]
    return reshape(out, tuple(shape))


def dot(a: Array, b: Array) -> Array:
    """Product of vectors and matrices (arrays of at most two axes), or with a number."""
    if _np.ndim(a) == 0 or _np.ndim(b) == 0:
        return multiply(a, b)
    return matmul(a, b)


def vecdot(a: Array, b: Array, axis: int = -1) -> Array:
    """Sum of products along one axis."""
    return sum(multiply(a, b), axis)


def outer(a: Array, b: Array) -> Array:
    """All products of an entry of `a` with an entry of `b`, shape (a.size, b.size)."""
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


def tensordot(a: Array, b: Array, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """Sum of products over pairs of axes, as `numpy.tensordot`."""
    if not _traced(a, b):
        return _np.tensordot(a, b, axes)
    a, b = as_node(a), as_node(b)
    if isinstance(axes, int):
        axes = (tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes)))
    left = [x % a.ndim for x in ([axes[0]] if isinstance(axes[0], int) else axes[0])]
    right = [x % b.ndim for x in ([axes[1]] if isinstance(axes[1], int) else axes[1])]
    rest_a = [x for x in range(a.ndim) if x not in left]
    rest_b = [x for x in range(b.ndim) if x not in right]
    inner = math.prod(a.shape[x] for x in left)
    tall = reshape(transpose(a, (*rest_a, *left)), (-1, inner))
    wide = reshape(transpose(b, (*right, *rest_b)), (inner, -1))
    shape = tuple(a.shape[x] for x in rest_a) + tuple(b.shape[x] for x in rest_b)
    return reshape(matmul(tall, wide), shape)


# -- shapes -----------------------------------------------------------------------------------
def reshape(x: Array, shape: int | Sequence[int]) -> Array:
    """The same entries, in the same order, in another shape; one -1 is worked out."""
    if not isinstance(x, Node):
        return _np.reshape(x, shape)
    wanted = [shape] if isinstance(shape, int) else [operator.index(n) for n in shape]
    if -1 in wanted:
        known = -math.prod(wanted)
        if wanted.count(-1) > 1 or known == 0 or x.size % known:
            raise ShapeError(f"cannot reshape {x.shape} ({x.size} entries) to {tuple(wanted)}")
        wanted[wanted.index(-1)] = x.size // known
    if x.shape == tuple(wanted):
        return x
    return _s.reshape.bind(x, shape=tuple(wanted))


def ravel(x: Array) -> Array:
    """All entries along one axis."""
    return reshape(x, -1)


def transpose(x: Array, axes: Sequence[int] | None = None) -> Array:
    """The axes in another order, reversed by default."""
    if not isinstance(x, Node):
        return _np.transpose(x, axes)
    order = tuple(reversed(range(x.ndim))) if axes is None else tuple(a % x.ndim for a in axes)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(f"{axes} is no order of the {x.ndim} axes")
    return x if order == tuple(range(x.ndim)) else _s.transpose.bind(x, axes=order)


permute_dims = transpose


def matrix_transpose(x: Array) -> Array:
    """The last two axes exchanged."""
    return swapaxes(x, -1, -2)


def swapaxes(x: Array, first: int, second: int) -> Array:
    """Two axes exchanged."""
    order = list(range(_np.ndim(x) if not isinstance(x, Node) else x.ndim))
    order[first], order[second] = order[second], order[first]
    return transpose(x, order)


def moveaxis(x: Array, source: int, destination: int) -> Array:
    """One axis moved to another place."""
    ndim = x.ndim
    order = [a for a in range(ndim) if a != source % ndim]
    order.insert(destination % ndim, source % ndim)
    return transpose(x, order)


def expand_dims(x: Array, axis: int) -> Array:
    """A new axis of length 1."""
    shape = list(_np.shape(x) if not isinstance(x, Node) else x.shape)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
    return reshape(x, shape)


def squeeze(x: Array, axis: Axis = None) -> Array:
    """Axes of length 1 removed."""
    shape = _np.shape(x) if not isinstance(x, Node) else x.shape
    gone = [a for a, n in enumerate(shape) if n == 1] if axis is None else _axes(x, axis)
    if builtins.any(shape[a] != 1 for a in gone):
        raise ShapeError(f"cannot squeeze axes {tuple(gone)} of shape {shape}")
    return reshape(x, tuple(n for a, n in enumerate(shape) if a not in gone))


def broadcast_to(x: Array, shape: Sequence[int]) -> Array:
    """`x` repeated to a shape, by NumPy's rules."""
    if not isinstance(x, Node):
        return _np.broadcast_to(x, shape)
    return broadcast(x, tuple(shape))


def concatenate(arrays: Sequence[Array], axis: int | None = 0) -> Array:
    """Arrays joined along an axis they have."""
    if not _traced(*arrays):
        return _np.concatenate(arrays, axis=axis)
    if axis is None:
        arrays, axis = [reshape(a, -1) for a in arrays], 0
    dtype = _np.result_type(*(a.dtype if isinstance(a, Node) else _np.asarray(a) for a in arrays))
    nodes = [cast_to(as_node(a), dtype) for a in arrays]
    return _s.concatenate.bind(*nodes, axis=_axes(nodes[0], axis)[0])


concat = concatenate


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Arrays of one shape joined along a new axis."""
    if not _traced(*arrays):
        return _np.stack(arrays, axis=axis)
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


def hstack(arrays: Sequence[Array]) -> Array:
    """Arrays joined along the second axis (vectors along the first)."""
    return concatenate(arrays, 0 if arrays[0].ndim == 1 else 1)


def vstack(arrays: Sequence[Array]) -> Array:
    """Arrays joined along the first axis (vectors become rows)."""
    return concatenate([expand_dims(a, 0) if a.ndim == 1 else a for a in arrays], 0)


def flip(x: Array, axis: Axis = None) -> Array:
    """Entries in reverse order along axes."""
    return _s.flip(x, axes=_axes(x, axis))


def roll(x: Array, shift: int, axis: int = 0) -> Array:
    """Entries moved along an axis, those that leave at the end entering at the start."""
    if not isinstance(x, Node):
        return _np.roll(x, shift, axis)
    cut = -shift % x.shape[axis]
    x = moveaxis(x, axis, 0)
    return moveaxis(concatenate([x[cut:], x[:cut]]), 0, axis)


def diff(x: Array, axis: int = -1) -> Array:
    """Differences of neighbours along an axis."""
    if not isinstance(x, Node):
        return _np.diff(x, axis=axis)
    x = moveaxis(x, axis, 0)
    return moveaxis(x[1:] - x[:-1], 0, axis)


def diagonal(x: Array) -> Array:
    """The diagonal of a matrix."""
    count = builtins.min(x.shape[-2:])
    places = _np.arange(count)
    return x[..., places, places]


def trace(x: Array) -> Array:
    """The sum of the diagonal of a matrix."""
    return sum(diagonal(x), -1)


# -- making arrays ------------------------------------------------------------------------------
def asarray(x: Any, dtype: npt.DTypeLike | None = None) -> Array:
    """The value as an array; traced arrays stay traced, lists may hold traced numbers."""
    if isinstance(x, Node):
        return x if dtype is None else astype(x, dtype)
    if isinstance(x, list | tuple) and builtins.any(_holds_traced(v) for v in x):
        return stack([asarray(v, dtype) for v in x])
    return _np.asarray(x, dtype=dtype)


array = asarray


def _holds_traced(x: Any) -> bool:
    return isinstance(x, Node) or (
        isinstance(x, list | tuple) and builtins.any(_holds_traced(v) for v in x)
    )


zeros, ones, full, eye, arange, linspace = (
    _np.zeros,
    _np.ones,
    _np.full,
    _np.eye,
    _np.arange,
    _np.linspace,
)


def full_like(x: Array, value: float, dtype: npt.DTypeLike | None = None) -> Array:
    """An array of the shape of `x` with one value."""
    if not isinstance(x, Node):
        return _np.full_like(x, value, dtype=dtype)
    return broadcast(constant(value, dtype or x.dtype), x.shape)


def zeros_like(x: Array, dtype: npt.DTypeLike | None = None) -> Array:
    """Zeros of the shape of `x`."""
    return full_like(x, 0, dtype)


def ones_like(x: Array, dtype: npt.DTypeLike | None = None) -> Array:
    """Ones of the shape of `x`."""
    return full_like(x, 1, dtype)


# -- indexing -------------------------------------------------------------------------------------
def take(x: Array, indices: Array, axis: int = 0) -> Array:
    """Entries picked along an axis by integers, which may be traced."""
    if not _traced(x, indices):
        return _np.take(x, indices, axis=axis)
    place = (slice(None),) * (axis % as_node(x).ndim)
    return getitem(as_node(x), (*place, indices))


def take_along_axis(x: Array, indices: Array, axis: int = -1) -> Array:
    """Entries picked along an axis by an array of the same rank."""
    if not _traced(x, indices):
        return _np.take_along_axis(x, indices, axis)
    x, indices = as_node(x), as_node(indices)
    grids = list(_np.ogrid[tuple(slice(n) for n in indices.shape)])
    grids[axis] = indices
    return getitem(x, tuple(grids))


def getitem(x: Node, index: Any) -> Node:
    """``x[index]`` with NumPy's rules: slices, integers, None, Ellipsis, integer arrays.

    Boolean arrays are accepted where their values are known.

    Raises
    ------
    ShapeError
        Too many indices, or a traced boolean mask (its result would have no fixed shape).
    IndexError
        An integer outside the axis.
    """
    from thalweg.ops.subscript import subscript

    return subscript(x, index)


Node.operators = globals()

__all__ = [name for name in globals() if not name.startswith("_")]
