"""Elementary functions as vector code: exponentials, logarithms, trigonometry.

Each entry of `ELEMENTARY` (one argument) and `ELEMENTARY_2` (two) writes the instructions that
apply the function of that name, as in `thalweg.ops.elementwise`, to every lane of a vector. All
follow one scheme: reduce the argument to a short interval by an identity, evaluate a polynomial
there (`thalweg.compiler.coefficients`), undo the reduction. Special values are right by
construction or by a final selection; NaN stays NaN. There are no tables, gathers or branches,
except that sines of huge arguments go to the C library.

The largest error of each function is stated in `BOUNDS` and held there by the tests.

Two habits make the code independent of how the compiler contracts: all of it is written with a
*strict* builder, so that a product is fused with a sum only where it says so; ``muladd`` is used
where one rounding is merely faster than two, ``fma`` where the result depends on it.

Examples
--------
>>> from thalweg.compiler.assembly import Assembly
>>> code = Assembly()
>>> builder = Builder(code, width=8, dtype="float32")
>>> print(ELEMENTARY["tanh"](builder, builder.constant(1.0)).type)
<8 x float>
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from thalweg.compiler.assembly import Assembly, Builder, Value
from thalweg.compiler.coefficients import COEFFICIENTS
from thalweg.compiler.formats import FORMATS, Format

__all__ = ["BOUNDS", "ELEMENTARY", "exp_of_two", "log_parts"]

Unary = Callable[[Builder, Value], Value]


_LN2 = math.log(2.0)


def _strict(function: Unary) -> Unary:
    """The same function written with a strict builder."""
    return lambda b, x: function(b.strict(), x)


def _format(b: Builder) -> Format:
    return FORMATS[b.dtype]


def _polynomial(b: Builder, x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme; coefficients from the lowest order."""
    result = b.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = b.muladd(result, x, b.constant(coefficient))
    return result


def _fit(b: Builder, name: str, x: Value) -> Value:
    """The polynomial of that name."""
    return _polynomial(b, x, COEFFICIENTS[name, b.dtype][0])


def _clamp(b: Builder, x: Value, low: float, high: float) -> Value:
    """X between two bounds; NaN stays NaN."""
    return b.fmin(b.fmax(x, b.constant(low)), b.constant(high))


# -- exponentials -----------------------------------------------------------------------------
def _reduced(b: Builder, x: Value, bias: int) -> tuple[Value, Value]:
    """The r of x = n log 2 + r, |r| ≤ log(2)/2, and bits whose lowest are those of n + bias."""
    f = _format(b)
    magic = b.constant(f.magic + bias)
    shifted = b.muladd(x, b.constant(1 / _LN2), magic)
    n = b.fsub(shifted, magic)
    r = b.muladd(n, b.constant(-f.ln2[0]), x)
    return b.muladd(n, b.constant(-f.ln2[1]), r), b.to_bits(shifted)


def _power_of_two(b: Builder, exponent: Value) -> Value:
    """2ⁿ from bits whose lowest are those of n + the format's bias."""
    shift = b.integer_constant(_format(b).mantissa)
    return b.from_bits(b.integer_op("shl", exponent, shift))


def _exp_minus_1_reduced(b: Builder, r: Value) -> Value:
    """eʳ − 1 = r + r² q(r)"""
    return b.muladd(b.fmul(r, r), _fit(b, "expm1", r), r)


def _exp_reduced(b: Builder, r: Value) -> Value:
    """eʳ = 1 + r (1 + r q(r))"""
    one = b.constant(1.0)
    return b.muladd(b.muladd(_fit(b, "expm1", r), r, one), r, one)


def _scaled_exp(b: Builder, x: Value, exponent: int) -> tuple[Value, Value]:
    """The factors eʳ and 2ⁿ⁺ᵉ of 2ᵉ eˣ; the second must be a normal number."""
    r, bits = _reduced(b, x, _format(b).bias + exponent)
    return _exp_reduced(b, r), _power_of_two(b, bits)


def _scaled_expm1(b: Builder, x: Value, exponent: int) -> Value:
    """2ᵉ (eˣ − 1) = 2ⁿ⁺ᵉ (eʳ − 1) + (2ⁿ⁺ᵉ − 2ᵉ)"""
    r, bits = _reduced(b, x, _format(b).bias + exponent)
    power = _power_of_two(b, bits)
    rest = b.fsub(power, b.constant(2.0**exponent))
    return b.muladd(power, _exp_minus_1_reduced(b, r), rest)


def _exp(b: Builder, x: Value) -> Value:
    f = _format(b)
    return exp_of_two(b, _clamp(b, x, f.smallest_log, f.largest_log))


def exp_of_two(b: Builder, x: Value, low: Value | None = None) -> Value:
    """2ⁿ eʳ, with 2ⁿ in two factors: either may not be a normal number, but both halves are.

    Of the sum of two numbers if there is a second one, below half a unit of the first.
    """
    r, bits = _reduced(b, x, 2 * _format(b).bias)
    r = r if low is None else b.fadd(r, low)
    half = b.integer_op("lshr", bits, b.integer_constant(1))
    other = b.integer_op("sub", bits, half)
    result = b.fmul(_exp_reduced(b, r), _power_of_two(b, half))
    return b.fmul(result, _power_of_two(b, other))


def _expm1(b: Builder, x: Value) -> Value:
    """Half of it, which does not overflow too early, doubled."""
    f = _format(b)
    half = _scaled_expm1(b, _clamp(b, x, -40.0, f.largest_log), -1)
    tiny = b.fcmp("olt", b.fabs(x), b.constant(1e-30))  # keeps −0 and denormals
    return b.select(tiny, x, b.fadd(half, half))


def _sinh(b: Builder, x: Value) -> Value:
    """2q + q / (2q + ½) with q = (e^|x| − 1) / 4, which does not overflow too early"""
    size = b.fabs(x)
    most = _format(b).largest_log + 0.6
    quarter = _scaled_expm1(b, b.fmin(size, b.constant(most)), -2)
    half = b.fadd(quarter, quarter)
    result = b.fadd(half, b.fdiv(quarter, b.fadd(half, b.constant(0.5))))
    tiny = b.fcmp("olt", size, b.constant(1e-30))
    return b.select(tiny, x, b.copysign(result, x))


def _cosh(b: Builder, x: Value) -> Value:
    """Return c + 1 / (4c) with c = e^|x| / 2"""
    most = _format(b).largest_log + 0.6
    factor, power = _scaled_exp(b, b.fmin(b.fabs(x), b.constant(most)), -2)
    c = b.fmul(b.fmul(factor, b.constant(2.0)), power)
    return b.fadd(c, b.fdiv(b.constant(0.25), c))


def _sigmoid(b: Builder, x: Value) -> Value:
    """1 / (1 + e⁻ˣ) as c / (c + c e⁻ˣ), c = 2⁻ᵉ, so that c e⁻ˣ is finite where that is not 0"""
    f = _format(b)
    x = _clamp(b, x, f.smallest_log, 40.0)  # 1 + e⁻⁴⁰ = 1 in either precision
    exponent = -(f.mantissa + 2)
    c = b.constant(2.0**exponent)
    return b.fdiv(c, b.muladd(*_scaled_exp(b, b.fneg(x), exponent), c))


def _tanh(b: Builder, x: Value) -> Value:
    """Return (t (p+1) + (p−1)) / (t (p−1) + (p+1)): x = n log(2)/2 + r, p = 2ⁿ, t = tanh r.

    This is the addition theorem. The polynomial for t is short, since |r| ≤ log(2)/4, and where
    n = 0 the result is t itself. One part of log 2 is enough: when n is large, r hardly matters.
    """
    f = _format(b)
    one = b.constant(1.0)
    magic = b.constant(f.magic + f.bias)
    x = _clamp(b, x, -20.0, 20.0)
    shifted = b.muladd(x, b.constant(2 / _LN2), magic)
    r = b.muladd(b.fsub(shifted, magic), b.constant(-_LN2 / 2), x)
    u = b.fmul(r, r)
    t = b.muladd(r, b.muladd(_fit(b, "tanh", u), u, b.constant(0.0)), r)  # + 0 keeps r = −0
    power = _power_of_two(b, b.to_bits(shifted))
    more, less = b.fadd(power, one), b.fneg(b.fsub(one, power))
    return b.fdiv(b.muladd(t, more, less), b.muladd(t, less, more))


def _erf(b: Builder, x: Value) -> Value:
    """Return 2t / (1 + t²) with t = N/Q = x P(x²) / Q(x²), as 2NQ / (N² + Q²).

    This is tanh(2 artanh t). Where it nears 1 it forgets the errors of t, so that the rational
    function need not be accurate there and may be short.
    """
    limit = 3.94 if b.dtype == "float32" else 5.91
    x = _clamp(b, x, -limit, limit)
    P, Q = COEFFICIENTS["erf", b.dtype]
    u = b.fmul(x, x)
    n, q = b.fmul(x, _polynomial(b, u, P)), _polynomial(b, u, Q)
    return b.fdiv(b.fmul(n, b.fadd(q, q)), b.muladd(q, q, b.fmul(n, n)))


# -- logarithms -------------------------------------------------------------------------------
def _log_reduced(b: Builder, f: Value, k: Value) -> Value:
    """Return log(2ᵏ (1 + f)) for √½ ≤ 1 + f ≤ √2.

    In single precision a polynomial of f; in double the series of 2 artanh(s), s = f / (2 + f),
    written so that f enters exactly: f − f²/2 + s (f²/2 + s² P(s²)).
    """
    high, low = _format(b).ln2
    if b.dtype == "float32":
        rest = b.muladd(k, b.constant(low), b.fmul(b.fmul(f, f), _fit(b, "log", f)))
        return b.muladd(k, b.constant(high), b.fadd(f, rest))
    s = b.fdiv(f, b.fadd(f, b.constant(2.0)))
    u = b.fmul(s, s)
    half_square = b.fmul(b.fmul(f, f), b.constant(0.5))
    series = b.muladd(u, _fit(b, "artanh", u), half_square)
    rest = b.muladd(s, series, b.fmul(k, b.constant(low)))
    return b.muladd(k, b.constant(high), b.fsub(f, b.fsub(half_square, rest)))


def _root_bits(f: Format) -> int:
    """The bits of √½."""
    return f.one - (1 << f.mantissa) + int((math.sqrt(2.0) - 1) * 2.0**f.mantissa)


def _exponent(b: Builder, bits: Value) -> tuple[Value, Value, Value]:
    """The k of x = 2ᵏ m, √½ ≤ m < √2: as a number, as (k + bias) 2^mantissa; and the bits of m."""
    f = _format(b)
    root = _root_bits(f)
    moved = b.integer_op("add", bits, b.integer_constant(f.one - root))
    mask = (1 << f.mantissa) - 1
    in_place = b.integer_op("and", moved, b.integer_constant(~mask))
    low = b.integer_op("and", moved, b.integer_constant(mask))
    m = b.integer_op("add", low, b.integer_constant(root))
    k = b.integer_op("lshr", moved, b.integer_constant(f.mantissa))
    # to floating point: as the last bits of a number whose last bit counts ones
    number = b.from_bits(b.integer_op("or", k, b.to_bits(b.constant(2.0**f.mantissa))))
    return b.fsub(number, b.constant(2.0**f.mantissa + f.bias)), in_place, m


def _log_domain(b: Builder, x: Value, pole: float, result: Value) -> Value:
    """The result, but −∞ at the pole, NaN below it, and x where x is ∞ or NaN."""
    edge = b.constant(pole)
    at_pole = b.fcmp("oeq", x, edge)
    outside = b.select(at_pole, b.constant(-math.inf), b.constant(math.nan))
    result = b.select(b.fcmp("ogt", x, edge), result, outside)
    return b.select(b.fcmp("ult", x, b.constant(math.inf)), result, x)


def log_parts(b: Builder, x: Value) -> tuple[Value, Value]:
    """The f and k of x = 2ᵏ (1 + f), √½ ≤ 1 + f < √2; denormal numbers are first scaled up."""
    f = _format(b)
    up = f.mantissa + 2
    small = b.fcmp("olt", x, b.constant(2.0 ** (1 - f.bias)))
    scaled = b.select(small, b.fmul(x, b.constant(2.0**up)), x)
    k, _, m = _exponent(b, b.to_bits(scaled))
    k = b.fsub(k, b.select(small, b.constant(up), b.constant(0.0)))
    return b.fsub(b.from_bits(m), b.constant(1.0)), k


def _log(b: Builder, x: Value) -> Value:
    return _log_domain(b, x, 0.0, _log_reduced(b, *log_parts(b, x)))


def _log1p(b: Builder, x: Value) -> Value:
    """Log of 1 + x = 2ᵏ (1 + f), where f = 2⁻ᵏ x + (2⁻ᵏ − 1) does not go through 1 + x rounded."""
    f = _format(b)
    one = b.constant(1.0)
    k, in_place, _ = _exponent(b, b.to_bits(b.fadd(x, one)))
    inverse = b.integer_op("sub", b.integer_constant(2 * f.one), in_place)
    power = b.from_bits(b.integer_max(inverse, b.integer_constant(0)))  # 0 for the largest k
    moved = b.integer_op("sub", b.integer_constant(f.one), in_place)
    scaled = b.from_bits(b.integer_op("add", b.to_bits(x), moved))  # 2⁻ᵏ x
    result = _log_reduced(b, b.fadd(scaled, b.fsub(power, one)), k)
    return _log_domain(b, x, -1.0, b.copysign(result, x))


def _softplus(b: Builder, x: Value) -> Value:
    """max(x, 0) + log(1 + e⁻|ˣ|)"""
    z = _exp(b, b.fneg(b.fabs(x)))
    zero, one = b.constant(0.0), b.constant(1.0)
    halved = b.fcmp("ogt", z, b.constant(math.sqrt(2.0) - 1))
    f = b.select(halved, b.fmul(b.fsub(z, one), b.constant(0.5)), z)
    return b.fadd(b.fmax(x, zero), _log_reduced(b, f, b.select(halved, one, zero)))


def _arcsinh(b: Builder, x: Value) -> Value:
    """log1p(a + a² / (1 + √(1 + a²))) of a = |x|, or log1p(a) + log 2 where a² is huge"""
    size, one = b.fabs(x), b.constant(1.0)
    square = b.fmul(size, size)
    root = b.sqrt(b.fadd(square, one))
    near = b.fadd(size, b.fdiv(square, b.fadd(one, root)))
    return b.copysign(_log1p_or_doubled(b, size, near), x)


def _arccosh(b: Builder, x: Value) -> Value:
    """log1p(t + √(2t + t²)) of t = x − 1"""
    one = b.constant(1.0)
    t = b.fsub(x, one)
    near = b.fadd(t, b.sqrt(b.fmul(t, b.fadd(t, b.constant(2.0)))))
    result = _log1p_or_doubled(b, t, near)
    return b.select(b.fcmp("uge", x, one), result, b.constant(math.nan))


def _log1p_or_doubled(b: Builder, x: Value, near: Value) -> Value:
    """log1p(near), or log1p(x) + log 2 = log(2 + 2x) where x is huge."""
    huge = b.fcmp("ogt", x, b.constant(1e9 if b.dtype == "float32" else 1e18))
    result = _log1p(b, b.select(huge, x, near))
    return b.fadd(result, b.select(huge, b.constant(_LN2), b.constant(0.0)))


def _arctanh(b: Builder, x: Value) -> Value:
    """log1p(2a / (1 − a)) / 2 of a = |x|"""
    size = b.fabs(x)
    ratio = b.fdiv(b.fadd(size, size), b.fsub(b.constant(1.0), size))
    return b.copysign(b.fmul(_log1p(b, ratio), b.constant(0.5)), x)


# -- trigonometry -----------------------------------------------------------------------------
def _quadrant(b: Builder, x: Value, ahead: int) -> tuple[Value, Value, Value]:
    """The sine and cosine of the r of x = n π/2 + r, |r| ≤ π/4, and the bits of n + ahead."""
    magic = b.constant(_format(b).magic + ahead)
    shifted = b.muladd(x, b.constant(2 / math.pi), magic)
    n = b.fneg(b.fsub(shifted, magic))
    r = x
    for part in _format(b).half_pi:
        r = b.fma(n, b.constant(part), r)
    u = b.fmul(r, r)
    # + 0 turns the sign of −0, so that the sine of −0 is −0
    sine = b.muladd(r, b.muladd(_fit(b, "sin", u), u, b.constant(0.0)), r)
    cosine = b.muladd(_fit(b, "cos", u), u, b.constant(-0.5))
    return sine, b.muladd(cosine, u, b.constant(1.0)), b.to_bits(shifted)


def _is_odd(b: Builder, bits: Value) -> Value:
    one = b.integer_constant(1)
    return b.icmp("ne", b.integer_op("and", bits, one), b.integer_constant(0))


def _sine(ahead: int) -> Unary:
    """sin(x + ahead π/2)"""

    def emit(b: Builder, x: Value) -> Value:
        sine, cosine, bits = _quadrant(b, x, ahead)
        size = b.select(_is_odd(b, bits), cosine, sine)
        return _flipped(b, size, bits, 1)

    return emit


def _flipped(b: Builder, x: Value, bits: Value, place: int) -> Value:
    """X with its sign changed where that bit is set."""
    sign = 1 << (_format(b).mantissa + _format(b).bias.bit_length() + 1)
    moved = b.integer_op("shl", bits, b.integer_constant(sign.bit_length() - 1 - place))
    flip = b.integer_op("and", moved, b.integer_constant(sign))
    return b.from_bits(b.integer_op("xor", b.to_bits(x), flip))


def _tan_reduced(b: Builder, x: Value) -> Value:
    """Sine over cosine, or minus cosine over sine in odd quadrants."""
    sine, cosine, bits = _quadrant(b, x, 0)
    odd = _is_odd(b, bits)
    ratio = b.fdiv(b.select(odd, cosine, sine), b.select(odd, sine, cosine))
    return _flipped(b, ratio, bits, 0)


def _or_library(near: Unary, name: str) -> Unary:
    """The C library's function in lanes too large to be reduced here, called if there are any.

    Each lane's result depends on that lane alone, so that the bits do not depend on the width.
    The calls are written once for all sines of a module: they are rare, but take long to compile.
    """

    def is_large(b: Builder, x: Value) -> Value:
        return b.fcmp("ogt", b.fabs(x), b.constant(_format(b).trigonometric))

    def emit(b: Builder, x: Value) -> Value:
        def corrected(code: Assembly, given: list[Value]) -> Value:
            own = Builder(code, b.width, b.dtype, b.flags)
            x, result = given
            return own.select(is_large(own, x), own.per_lane(name, x), result)

        result = near(b, x)
        shared = f"{name}_of_large_{b.dtype}_{b.width}"
        return b.code.choose(
            b.any(is_large(b, x)),
            lambda: b.code.share(shared, corrected, x, result),
            lambda: result,
        )

    return emit


def _odd_fit(b: Builder, name: str, x: Value, u: Value) -> Value:
    """Return x + x u P(u), where u = x²."""
    return b.muladd(b.fmul(x, u), _fit(b, name, u), x)


def _arctan(b: Builder, x: Value) -> Value:
    """Of 1 / |x| where |x| > 1, which leaves π/2 − it."""
    size, one = b.fabs(x), b.constant(1.0)
    far = b.fcmp("ogt", size, one)
    t = b.select(far, b.fdiv(one, size), size)
    y = _odd_fit(b, "arctan", t, b.fmul(t, t))
    high, low, _ = _format(b).half_pi
    other = b.fsub(b.constant(high), b.fsub(y, b.constant(low)))
    return b.copysign(b.select(far, other, y), x)


def _half_angle(b: Builder, x: Value) -> tuple[Value, Value]:
    """Where |x| > ½; and arcsin(s) of s = √((1 − |x|) / 2) there, of s = |x| elsewhere."""
    size, half = b.fabs(x), b.constant(0.5)
    far = b.fcmp("ogt", size, half)
    u = b.select(far, b.fmul(b.fsub(b.constant(1.0), size), half), b.fmul(size, size))
    return far, _odd_fit(b, "arcsin", b.select(far, b.sqrt(u), size), u)


def _arcsin(b: Builder, x: Value) -> Value:
    """π/2 − 2 arcsin √((1 − |x|) / 2) where |x| > ½"""
    far, y = _half_angle(b, x)
    high, low, _ = _format(b).half_pi
    double = b.fadd(y, y)
    other = b.fsub(b.constant(high), b.fsub(double, b.constant(low)))
    return b.copysign(b.select(far, other, y), x)


def _arccos(b: Builder, x: Value) -> Value:
    """2 arcsin √((1 − x) / 2) where x > ½, π less that of −x where x < −½, else π/2 − arcsin x"""
    far, y = _half_angle(b, x)
    high, low, _ = _format(b).half_pi
    signed = b.copysign(y, x)
    near = b.fsub(b.constant(high), b.fsub(signed, b.constant(low)))
    double = b.fadd(y, y)
    left = b.fsub(b.constant(2 * high), b.fsub(double, b.constant(2 * low)))
    right = b.fcmp("ogt", x, b.constant(0.0))
    return b.select(far, b.select(right, double, left), near)


_FUNCTIONS: dict[str, Unary] = {
    "exp": _exp, "expm1": _expm1, "log": _log, "log1p": _log1p,
    "tanh": _tanh, "sigmoid": _sigmoid, "softplus": _softplus, "erf": _erf,
    "sin": _or_library(_sine(0), "sin"), "cos": _or_library(_sine(1), "cos"),
    "tan": _or_library(_tan_reduced, "tan"),
    "arcsin": _arcsin, "arccos": _arccos, "arctan": _arctan,
    "sinh": _sinh, "cosh": _cosh,
    "arcsinh": _arcsinh, "arccosh": _arccosh, "arctanh": _arctanh,
}  # fmt: skip

ELEMENTARY: dict[str, Unary] = {name: _strict(emit) for name, emit in _FUNCTIONS.items()}

#: The largest error in units in the last place; for sin, cos and tan up to |x| = 10⁵, beyond
#: which it is that of the C library.
BOUNDS: dict[str, dict[str, float]] = {
    "exp": {"float32": 1.25, "float64": 1.25},
    "expm1": {"float32": 1.75, "float64": 2.25},
    "log": {"float32": 1.0, "float64": 1.0},
    "log1p": {"float32": 1.75, "float64": 1.5},
    "tanh": {"float32": 2.75, "float64": 2.75},
    "sigmoid": {"float32": 2.75, "float64": 2.5},
    "softplus": {"float32": 2.0, "float64": 2.0},
    "erf": {"float32": 3.75, "float64": 4.0},
    "sin": {"float32": 1.75, "float64": 1.75},
    "cos": {"float32": 1.75, "float64": 1.75},
    "tan": {"float32": 3.25, "float64": 3.25},
    "arcsin": {"float32": 2.5, "float64": 2.5},
    "arccos": {"float32": 1.25, "float64": 1.25},
    "arctan": {"float32": 1.75, "float64": 2.0},
    "sinh": {"float32": 2.5, "float64": 2.75},
    "cosh": {"float32": 1.5, "float64": 1.5},
    "arcsinh": {"float32": 2.0, "float64": 2.0},
    "arccosh": {"float32": 2.5, "float64": 2.75},
    "arctanh": {"float32": 2.25, "float64": 2.25},
}
