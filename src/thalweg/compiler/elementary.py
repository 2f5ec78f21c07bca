"""Elementary functions as vector code: exponentials, logarithms, trigonometry.

Each entry of a table writes the instructions that apply the function of that name (as in
`thalweg.ops.elementwise`) to every lane of a vector.
"""

from __future__ import annotations

from collections.abc import Callable

from thalweg.compiler.assembly import Builder, Value

__all__ = ["ELEMENTARY", "ELEMENTARY_2"]

Unary = Callable[[Builder, Value], Value]
Binary = Callable[[Builder, Value, Value], Value]


def _library(name: str) -> Unary:
    """The C library's function of that name, lane by lane."""
    return lambda b, x: b.per_lane(name, x)


def _sigmoid(b: Builder, x: Value) -> Value:
    """1 / (1 + e⁻ˣ)"""
    one = b.constant(1.0)
    return b.fdiv(one, b.fadd(one, b.per_lane("exp", b.fneg(x))))


def _softplus(b: Builder, x: Value) -> Value:
    """max(x, 0) + log(1 + e⁻|ˣ|)"""
    rest = b.per_lane("log1p", b.per_lane("exp", b.fneg(b.fabs(x))))
    return b.fadd(b.fmax(x, b.constant(0.0)), rest)


def _remainder(b: Builder, x: Value, y: Value) -> Value:
    """The remainder with the sign of the divisor."""
    zero = b.constant(0.0)
    rest = b.per_lane("fmod", x, y)
    opposite = b.fcmp("olt", b.fmul(b.copysign(b.constant(1.0), rest), y), zero)
    moved = b.select(opposite, b.fadd(rest, y), rest)
    return b.select(b.fcmp("oeq", rest, zero), b.copysign(zero, y), moved)


_NAMES = {
    "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "tanh": "tanh",
    "erf": "erf", "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin",
    "arccos": "acos", "arctan": "atan", "sinh": "sinh", "cosh": "cosh",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip

ELEMENTARY: dict[str, Unary] = {name: _library(c) for name, c in _NAMES.items()}
ELEMENTARY |= {"sigmoid": _sigmoid, "softplus": _softplus}

ELEMENTARY_2: dict[str, Binary] = {
    "power": lambda b, x, y: b.per_lane("pow", x, y),
    "arctan2": lambda b, y, x: b.per_lane("atan2", y, x),
    "remainder": _remainder,
}
