"""Functions of two numbers as vector code: powers; the C library's for the others.

A power is exp(y log x). What the logarithm has lost counts |y log x| times, up to 745; so single
precision is computed in double, and double precision with a logarithm in two numbers, of about
64 bits, written with the products' rounding errors (T. J. Dekker, Numerische Mathematik 18 (1971)
224-242).

Examples
--------
>>> from thalweg.compiler.assembly import Assembly
>>> code = Assembly()
>>> builder = Builder(code, width=8, dtype="float64")
>>> two = builder.constant(2.0)
>>> print(ELEMENTARY_2["power"](builder, two, two).type)
<8 x double>
"""

from __future__ import annotations

import math
from collections.abc import Callable

from thalweg.compiler.assembly import Assembly, Builder, Value
from thalweg.compiler.coefficients import COEFFICIENTS
from thalweg.compiler.elementary import ELEMENTARY, exp_of_two, log_parts
from thalweg.compiler.formats import FORMATS

__all__ = ["BOUNDS_2", "ELEMENTARY_2"]

Binary = Callable[[Builder, Value, Value], Value]

TWO_THIRDS = 2.0 / 3.0, 3.700743415417188e-17
"""2/3 in two numbers."""


def _power(b: Builder, x: Value, y: Value) -> Value:
    """Of finite x > 0 and y here, of zero to a power above it, too; else the C library's.

    Each lane's result depends on that lane alone.
    """

    def corrected(code: Assembly, given: list[Value]) -> Value:
        own = Builder(code, b.width, b.dtype, b.flags)
        x, y, result = given
        return own.select(_is_special(own, x, y), own.per_lane("pow", x, y), result)

    result = (_narrow if b.dtype == "float32" else _wide)(b, x, y)
    result = b.select(_vanishes(b, x, y), b.constant(0.0), result)
    shared = f"power_elsewhere_{b.dtype}_{b.width}"
    return b.code.choose(
        b.any(_is_special(b, x, y)),
        lambda: b.code.share(shared, corrected, x, y, result),
        lambda: result,
    )


def _vanishes(b: Builder, x: Value, y: Value) -> Value:
    nothing = b.icmp("eq", b.to_bits(x), b.integer_constant(0))  # not -0
    return b.code.emit(b.boolean, f"and {nothing}, {b.fcmp('ogt', y, b.constant(0.0)).text}")


def _is_special(b: Builder, x: Value, y: Value) -> Value:
    zero, infinity = b.constant(0.0), b.constant(math.inf)
    outside = b.fcmp("ule", x, zero)  # and the others: also of what is no number
    for far in (b.fcmp("uge", x, infinity), b.fcmp("uge", b.fabs(y), infinity)):
        outside = b.code.emit(b.boolean, f"or {outside}, {far.text}")
    return b.select(_vanishes(b, x, y), Value("zeroinitializer", b.boolean), outside)


def _narrow(b: Builder, x: Value, y: Value) -> Value:
    """In double precision, where exp and log are good for more digits than single has."""
    wide = Builder(b.code, b.width, "float64", b.flags)
    base, exponent = (b.code.emit(wide.type, f"fpext {v} to {wide.type}") for v in (x, y))
    result = ELEMENTARY["exp"](wide, wide.fmul(exponent, ELEMENTARY["log"](wide, base)))
    return b.code.emit(b.type, f"fptrunc {result} to {b.type}")


def _wide(b: Builder, x: Value, y: Value) -> Value:
    """Exp of the product in two numbers."""
    f = FORMATS[b.dtype]
    high, low = _log_in_two(b, x)
    whole = b.fmul(y, high)
    rest = b.fma(y, low, b.fma(y, high, b.fneg(whole)))
    held = b.fmin(b.fmax(whole, b.constant(f.smallest_log)), b.constant(f.largest_log))
    exact = b.select(b.fcmp("oeq", held, whole), rest, b.constant(0.0))
    return exp_of_two(b, held, exact)


def _log_in_two(b: Builder, x: Value) -> tuple[Value, Value]:
    """K log 2 + 2 artanh(s), s = f / (2 + f), as 2s + s (⅔u + u² Q(u)), u = s²."""
    f, k = log_parts(b, x)
    two = b.constant(2.0)
    divisor = b.fadd(f, two)
    below = b.fsub(f, b.fsub(divisor, two))
    s = b.fdiv(f, divisor)
    against = b.fneg(s)
    s_low = b.fdiv(b.fma(against, below, b.fma(against, divisor, f)), divisor)
    square = _times(b, (s, s_low), (s, s_low))
    tail = b.fmul(square[0], _rest(b, square[0]))
    third, third_low = (b.constant(v) for v in TWO_THIRDS)
    factor = b.fadd(third, tail)
    factor_low = b.fadd(b.fsub(tail, b.fsub(factor, third)), third_low)
    cubic = _times(b, (s, s_low), _times(b, square, (factor, factor_low)))
    linear = b.fadd(s, s), b.fadd(s_low, s_low)
    artanh = _plus(b, linear, cubic)
    high, low = (b.fmul(k, b.constant(part)) for part in FORMATS[b.dtype].ln2)
    return _plus(b, (high, low), artanh)


def _rest(b: Builder, u: Value) -> Value:
    (coefficients,) = COEFFICIENTS["artanh_rest", b.dtype]
    result = b.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = b.muladd(result, u, b.constant(coefficient))
    return result


Pair = tuple[Value, Value]


def _times(b: Builder, a: Pair, c: Pair) -> Pair:
    """The product of two sums of two numbers."""
    high = b.fmul(a[0], c[0])
    crossed = b.fma(a[0], c[1], b.fmul(a[1], c[0]))
    return high, b.fadd(b.fma(a[0], c[0], b.fneg(high)), crossed)


def _plus(b: Builder, a: Pair, c: Pair) -> Pair:
    """The sum of two sums, the first of which is larger or zero."""
    high = b.fadd(a[0], c[0])
    lost = b.fsub(c[0], b.fsub(high, a[0]))
    return high, b.fadd(lost, b.fadd(a[1], c[1]))


def _remainder(b: Builder, x: Value, y: Value) -> Value:
    """The remainder with the sign of the divisor."""
    zero = b.constant(0.0)
    rest = b.per_lane("fmod", x, y)
    opposite = b.fcmp("olt", b.fmul(b.copysign(b.constant(1.0), rest), y), zero)
    moved = b.select(opposite, b.fadd(rest, y), rest)
    return b.select(b.fcmp("oeq", rest, zero), b.copysign(zero, y), moved)


ELEMENTARY_2: dict[str, Binary] = {
    "power": lambda b, x, y: _power(b.strict(), x, y),
    "arctan2": lambda b, y, x: b.per_lane("atan2", y, x),
    "remainder": lambda b, x, y: _remainder(b.strict(), x, y),
}

#: The largest error in units in the last place.
BOUNDS_2: dict[str, dict[str, float]] = {"power": {"float32": 0.51, "float64": 1.25}}
