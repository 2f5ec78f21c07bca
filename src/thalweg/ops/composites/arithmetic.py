"""Functions of numbers, applied entry by entry, made of other such functions."""

from __future__ import annotations

import math

import numpy as np

from thalweg.ops.composites.axes import logsumexp, norm
from thalweg.ops.composites.shapes import Array, as_operand, astype, is_traced, stack
from thalweg.ops.elementwise import (
    abs,
    ceil,
    divide,
    equal,
    exp,
    floor,
    greater,
    less,
    log,
    maximum,
    minimum,
    negative,
    not_equal,
    remainder,
    rint,
    sign,
    sin,
    softplus,
)
from thalweg.ops.families import align, select


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
    >>> import thalweg as tw
    >>> tw.grad(lambda x: where(x > 0, log(x), 0.0))(-1.0)
    np.float64(0.0)
    """
    if not is_traced(condition, x, y):
        return np.where(condition, x, y)
    return select(condition, x, y)


def clip(x: Array, min: Array | None = None, max: Array | None = None) -> Array:
    """`x` held between `min` and `max`; the derivative outside is zero."""
    x = as_operand(x)
    if min is not None:
        x = maximum(x, min)
    return x if max is None else minimum(x, max)


def positive(x: Array) -> Array:
    """The same numbers, as ``+x``."""
    return as_operand(x)


def square(x: Array) -> Array:
    """The square, as ``x ** 2``."""
    return x * x if is_traced(x) else np.square(x)


def reciprocal(x: Array) -> Array:
    """One divided by `x`."""
    return divide(1.0, x)


def cbrt(x: Array) -> Array:
    """The cube root, also of negative numbers."""
    if not is_traced(x):
        return np.cbrt(x)
    return sign(x) * abs(x) ** (1.0 / 3.0)


def log2(x: Array) -> Array:
    """The logarithm to base 2."""
    return log(x) / math.log(2.0) if is_traced(x) else np.log2(x)


def log10(x: Array) -> Array:
    """The logarithm to base 10."""
    return log(x) / math.log(10.0) if is_traced(x) else np.log10(x)


def exp2(x: Array) -> Array:
    """Two to the power `x`."""
    return exp(x * math.log(2.0)) if is_traced(x) else np.exp2(x)


def hypot(x: Array, y: Array) -> Array:
    """``sqrt(x² + y²)``, with derivative 0 at the origin."""
    if not is_traced(x, y):
        return np.hypot(x, y)
    return norm(stack(align(x, y, inexact=True)), axis=0)


def logaddexp(x: Array, y: Array) -> Array:
    """``log(exp(x) + exp(y))`` without overflow."""
    if not is_traced(x, y):
        return np.logaddexp(x, y)
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
    """The quotient rounded down; of integers by zero it is zero."""
    if not is_traced(x, y):
        return np.floor_divide(x, y)
    x, y = align(x, y)
    if x.dtype.kind == "f":
        return _whole_quotient(x, y)
    divisor = where(equal(y, 0), 1, y)
    # The quotient of large integers has more digits than a float: what it leaves is divided, too.
    first = astype(rint(divide(x, divisor)), x.dtype)
    rest = _whole_quotient(x - first * divisor, divisor)
    return where(equal(y, 0), 0, first + astype(rest, x.dtype))


def _whole_quotient(x: Array, y: Array) -> Array:
    """As a float; floor(x / y) would round 1 // 0.1 up to 10."""
    return rint(divide(x - remainder(x, y), y))


def trunc(x: Array) -> Array:
    """Rounded towards zero."""
    return where(greater(x, 0), floor(x), ceil(x)) if is_traced(x) else np.trunc(x)


def round(x: Array, decimals: int = 0) -> Array:
    """Rounded to a number of decimals, halves to even; the derivative is zero."""
    if not is_traced(x):
        return np.round(x, decimals)
    return rint(x) if decimals == 0 else rint(x * 10.0**decimals) / 10.0**decimals


def copysign(x: Array, y: Array) -> Array:
    """The size of `x` with the sign of `y` (a zero counts as positive)."""
    if not is_traced(x, y):
        return np.copysign(x, y)
    return where(less(y, 0), negative(abs(x)), abs(x))


def isinf(x: Array) -> Array:
    """Whether entries are infinite."""
    return equal(abs(x), math.inf)


def logical_xor(x: Array, y: Array) -> Array:
    """Whether exactly one of two conditions holds."""
    return not_equal(astype(x, "bool"), astype(y, "bool"))


def heaviside(x: Array, value: Array) -> Array:
    """The step function: 0 below zero, `value` at zero, 1 above."""
    return where(greater(x, 0), 1.0, where(less(x, 0), 0.0, value))


def sinc(x: Array) -> Array:
    """``sin(πx)/(πx)``, and 1 at 0."""
    zero = equal(x, 0.0)
    angle = math.pi * where(zero, 1.0, x)
    return where(zero, 1.0, sin(angle) / angle)
