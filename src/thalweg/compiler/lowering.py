"""What each primitive operation becomes in LLVM: one row each.

A row takes the operation's operands as vectors and returns its result. Elementary functions
come from `thalweg.compiler.elementary`; conditions are vectors of one bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from thalweg.compiler.assembly import Assembly, Builder, Value, llvm_type
from thalweg.compiler.binary import ELEMENTARY_2
from thalweg.compiler.elementary import ELEMENTARY
from thalweg.compiler.loops import Apply, Expr, Nest, Number
from thalweg.errors import CompilerError

__all__ = ["LOWERING", "convert", "elementary_count", "identity", "lower", "value_type"]

Row = Callable[[Builder, Sequence[Value], Apply], Value]
MERSENNE = 2**31 - 1
FLOATS = ("float32", "float64")


def value_type(dtype: str, width: int) -> str:
    """The type of a value in a register (conditions take one bit)."""
    return f"<{width} x {'i1' if dtype == 'bool' else llvm_type(dtype)}>"


def convert(code: Assembly, value: float, dtype: str, width: int) -> Value:
    """A number in every lane."""
    if dtype in FLOATS:
        return Builder(code, width, dtype).constant(value)
    element = "i1" if dtype == "bool" else llvm_type(dtype)
    lanes = ", ".join([f"{element} {int(value)}"] * width)
    return Value(f"<{lanes}>", f"<{width} x {element}>")


_START = {"sum": 0.0, "max": -math.inf, "min": math.inf, "any": 0, "all": 1}


def identity(code: Assembly, kind: str, dtype: str, width: int) -> Value:
    """What a reduction starts from."""
    value = _START[kind]
    if kind == "sum" and code.unrolling:
        value = -0.0  # changes nothing, so that LLVM leaves it out
    if dtype not in FLOATS and not math.isfinite(value):
        bits = 31 if dtype == "int32" else 63
        value = 2**bits - 1 if value > 0 else -(2**bits)
    return convert(code, value, dtype, width)


def lower(code: Assembly, expr: Apply, args: Sequence[Value], width: int) -> Value:
    """Write one operation.

    Raises
    ------
    CompilerError
        If the operation has no row.
    """
    dtype = expr.args[-1].dtype
    rule: Callable[..., Value] | None = ELEMENTARY.get(expr.op)
    if rule is None and dtype in FLOATS:
        rule = ELEMENTARY_2.get(expr.op)
    if rule is not None and code.sharing:
        body = partial(_written, rule, width, dtype)
        return code.share(f"{expr.op}.{width}.{dtype}", body, *args)
    if rule is not None:
        return rule(Builder(code, width, dtype), *args)
    row = LOWERING.get(expr.op)
    if row is None:
        raise CompilerError("operation {op!r} has no row in compiler/lowering.py", op=expr.op)
    return row(Builder(code, width, dtype), args, expr)


def _written(
    rule: Callable[..., Value], width: int, dtype: str, code: Assembly, args: Sequence[Value]
) -> Value:
    return rule(Builder(code, width, dtype), *args)


BRANCHING = dict.fromkeys(("sin", "cos", "tan"), 8)
"""What has a branch takes many times as long to compile."""


def elementary_count(nests: Sequence[Nest]) -> int:
    """How many elementary functions are written in nests, by the time that takes."""
    return sum(
        BRANCHING.get(e.op, 1)
        for nest in nests
        for e in nest.walk()
        if isinstance(e, Apply) and (e.op in ELEMENTARY or e.op in ELEMENTARY_2)
    )


def _arithmetic(float_name: str, int_name: str) -> Row:
    def row(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
        x, y = args
        if expr.dtype in FLOATS:
            if float_name == "fadd" and _waits_longer(*expr.args):
                x, y = y, x
            return b.code.emit(x.type, f"{float_name} contract {x}, {y.text}")
        return b.code.emit(x.type, f"{int_name} {x}, {y.text}")

    return row


def _waits_longer(one: Expr, other: Expr) -> bool:
    """Whether the second of two products is the longer one, and so better fused with their sum.

    LLVM takes the first. What is left has been computed when the longer one's last factor comes.
    """
    if not all(isinstance(p, Apply) and p.op == "multiply" for p in (one, other)):
        return False
    longer = [any(isinstance(x, Apply) for x in getattr(p, "args", ())) for p in (one, other)]
    return longer == [False, True]


def _comparison(float_predicate: str, int_predicate: str) -> Row:
    def row(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
        x, y = args
        if b.dtype in FLOATS:
            return b.fcmp(float_predicate, x, y)
        return b.code.emit(b.boolean, f"icmp {int_predicate} {x}, {y.text}")

    return row


def _extreme(beaten: str, int_name: str) -> Row:
    """The second operand where the first is `beaten` by it or the second is NaN."""

    def row(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
        x, y = args
        if b.dtype not in FLOATS:
            element = x.type[1:-1].split(" x ")[1]
            return b.code.call(x.type, f"llvm.{int_name}.v{b.width}{element}", x, y)
        second = expr.args[1]
        if isinstance(expr.args[0], Number) and not isinstance(second, Number):
            x, y, second = y, x, expr.args[0]
        result = b.select(b.fcmp(beaten, x, y), y, x)
        if isinstance(second, Number) and not math.isnan(second.value):
            return result  # one instruction, also of NaN
        return b.select(b.fcmp("uno", y, y), y, result)

    return row


def _unary(float_rule: Callable[[Builder, Value], Value], int_rule: Row | None = None) -> Row:
    def row(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
        if b.dtype in FLOATS:
            return float_rule(b, args[0])
        return args[0] if int_rule is None else int_rule(b, args, expr)

    return row


def _negative(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
    (x,) = args
    return b.code.emit(x.type, f"sub {x.type} zeroinitializer, {x.text}")


def _int_abs(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
    (x,) = args
    smaller = b.code.emit(b.boolean, f"icmp slt {x}, zeroinitializer")
    return b.select(smaller, _negative(b, args, expr), x)


def _sign(b: Builder, x: Value) -> Value:
    one = b.copysign(b.constant(1.0), x)
    flat = b.select(b.fcmp("oeq", x, b.constant(0.0)), b.constant(0.0), one)
    return b.select(b.fcmp("uno", x, x), x, flat)


def _int_sign(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
    (x,) = args
    above = b.code.emit(b.boolean, f"icmp sgt {x}, zeroinitializer")
    below = b.code.emit(b.boolean, f"icmp slt {x}, zeroinitializer")
    plus = b.code.emit(x.type, f"zext {above} to {x.type}")
    minus = b.code.emit(x.type, f"zext {below} to {x.type}")
    return b.code.emit(x.type, f"sub {plus}, {minus.text}")


def _int_remainder(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
    """The rest of division rounded down; 0 of a division by 0, as NumPy has it."""
    (x, y), code = args, b.code
    divisor = expr.args[1]
    if isinstance(divisor, Number) and divisor.value == MERSENNE and expr.dtype == "int64":
        return _modulo_mersenne(b, x, signed=_largest(expr.args[0]) >= 2**63)
    zero, one = (convert(code, n, expr.dtype, b.width) for n in (0, 1))
    bad = [code.emit(b.boolean, f"icmp eq {y}, {v.text}") for v in (zero, _minus_one(b, expr))]
    unsafe = code.emit(b.boolean, f"or {bad[0]}, {bad[1].text}")  # the processor would trap
    rest = code.emit(x.type, f"srem {x}, {b.select(unsafe, one, y).text}")
    signs = code.emit(x.type, f"xor {rest}, {y.text}")
    differ = code.emit(b.boolean, f"icmp slt {signs}, zeroinitializer")
    some = code.emit(b.boolean, f"icmp ne {rest}, zeroinitializer")
    both = code.emit(b.boolean, f"and {differ}, {some.text}")
    return b.select(both, code.emit(x.type, f"add {rest}, {y.text}"), rest)


def _largest(expr: Expr) -> float:
    """A bound of an integer that is never negative; infinity of one that may be."""
    if isinstance(expr, Number):
        return expr.value if expr.value >= 0 else math.inf
    if not isinstance(expr, Apply) or expr.op not in ("remainder", "multiply", "add"):
        return math.inf
    first, second = map(_largest, expr.args)
    if expr.op == "remainder":
        return second if isinstance(expr.args[1], Number) and second > 0 else math.inf
    return first * second if expr.op == "multiply" else first + second


def _modulo_mersenne(b: Builder, x: Value, signed: bool) -> Value:
    """The rest by p = 2³¹ - 1 without a division: 2³¹ counts as 1, so high bits are added."""
    code = b.code
    prime, shift = (convert(code, n, "int64", b.width) for n in (MERSENNE, 31))
    for _ in range(2):
        low = code.emit(x.type, f"and {x}, {prime.text}")
        high = code.emit(x.type, f"ashr {x}, {shift.text}")
        x = code.emit(x.type, f"add {low}, {high.text}")
    if signed:
        below = code.emit(b.boolean, f"icmp slt {x}, zeroinitializer")
        x = b.select(below, code.emit(x.type, f"add {x}, {prime.text}"), x)
    inside = code.emit(b.boolean, f"icmp slt {x}, {prime.text}")
    return b.select(inside, x, code.emit(x.type, f"sub {x}, {prime.text}"))


def _minus_one(b: Builder, expr: Apply) -> Value:
    return convert(b.code, -1, expr.dtype, b.width)


def _int_power(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
    """The product of the squares x, x², x⁴, ... that the bits of the exponent choose."""
    (square, y), code = args, b.code
    one = convert(code, 1, expr.dtype, b.width)
    result = one
    bits = 31 if expr.dtype == "int32" else 63
    for k in range(bits):
        place = convert(code, k, expr.dtype, b.width)
        bit = code.emit(y.type, f"and {code.emit(y.type, f'lshr {y}, {place.text}')}, {one.text}")
        chosen = code.emit(b.boolean, f"icmp ne {bit}, zeroinitializer")
        result = code.emit(y.type, f"mul {result}, {b.select(chosen, square, one).text}")
        square = code.emit(y.type, f"mul {square}, {square.text}")
    return result


def _finite(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
    if b.dtype not in FLOATS:
        return convert(b.code, 1, "bool", b.width)
    return b.fcmp("one", b.fabs(args[0]), b.constant(math.inf))


def _nan(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
    if b.dtype not in FLOATS:
        return convert(b.code, 0, "bool", b.width)
    return b.fcmp("uno", args[0], args[0])


def _logic(name: str) -> Row:
    def row(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
        x, y = (_truth(b, a, e.dtype) for a, e in zip(args, expr.args, strict=True))
        return b.code.emit(b.boolean, f"{name} {x}, {y.text}")

    return row


def _truth(b: Builder, x: Value, dtype: str) -> Value:
    if dtype == "bool":
        return x
    if dtype in FLOATS:
        return b.fcmp("une", x, Builder(b.code, b.width, dtype).constant(0.0))
    return b.code.emit(b.boolean, f"icmp ne {x}, zeroinitializer")


def _not(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
    x = _truth(b, args[0], expr.args[0].dtype)
    ones = convert(b.code, 1, "bool", b.width)
    return b.code.emit(b.boolean, f"xor {x}, {ones.text}")


def _cast(b: Builder, args: Sequence[Value], expr: Apply) -> Value:
    (x,), source, target = args, expr.args[0].dtype, expr.dtype
    if source == target:
        return x
    type = value_type(target, b.width)
    if target == "bool":
        return _truth(b, x, source)
    if target in FLOATS:
        if source in FLOATS:
            name = "fpext" if target == "float64" else "fptrunc"
        else:
            name = "uitofp" if source == "bool" else "sitofp"
    elif source in FLOATS:
        name = "fptosi"
    elif source == "bool":
        name = "zext"
    else:
        name = "sext" if target == "int64" else "trunc"
    return b.code.emit(type, f"{name} {x} to {type}")


LOWERING: dict[str, Row] = {
    "add": _arithmetic("fadd", "add"),
    "subtract": _arithmetic("fsub", "sub"),
    "multiply": _arithmetic("fmul", "mul"),
    "divide": _arithmetic("fdiv", "sdiv"),
    "negative": _unary(lambda b, x: b.fneg(x), _negative),
    "maximum": _extreme("olt", "smax"),
    "minimum": _extreme("ogt", "smin"),
    "sqrt": _unary(lambda b, x: b.sqrt(x)),
    "abs": _unary(lambda b, x: b.fabs(x), _int_abs),
    "sign": _unary(_sign, _int_sign),
    "floor": _unary(lambda b, x: b.floor(x)),
    "ceil": _unary(lambda b, x: b.ceil(x)),
    "rint": _unary(lambda b, x: b.rint(x)),
    "stop_gradient": lambda b, args, expr: args[0],
    "less": _comparison("olt", "slt"),
    "less_equal": _comparison("ole", "sle"),
    "greater": _comparison("ogt", "sgt"),
    "greater_equal": _comparison("oge", "sge"),
    "equal": _comparison("oeq", "eq"),
    "not_equal": _comparison("une", "ne"),
    "logical_and": _logic("and"),
    "logical_or": _logic("or"),
    "logical_not": _not,
    "isfinite": _finite,
    "isnan": _nan,
    "where": lambda b, args, expr: b.code.emit(
        args[1].type, f"select {args[0]}, {args[1]}, {args[2]}"
    ),
    "cast": _cast,
    "remainder": _int_remainder,
    "power": _int_power,
}
