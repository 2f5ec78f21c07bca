"""Writing LLVM assembly: vector values, instructions, blocks and loops, as text.

Every floating-point value is a vector ``<width x dtype>``, also of width one, so that one way
of writing serves vector code and the scalar remainder of a loop.

Examples
--------
>>> code = Assembly()
>>> builder = Builder(code, width=4, dtype="float32")
>>> print(builder.fadd(builder.constant(1.0), builder.constant(2.0)).type)
<4 x float>
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Assembly", "Builder", "Value", "llvm_type"]

_TYPES = {
    "float32": "float",
    "float64": "double",
    "int64": "i64",
    "int32": "i32",
    "bool": "i8",
}


def llvm_type(dtype: str) -> str:
    """The LLVM name of an element's type in memory.

    Examples
    --------
    >>> llvm_type("float64")
    'double'
    """
    return _TYPES[dtype]


class Value(NamedTuple):
    """An SSA value or a constant, with its type."""

    text: str
    type: str

    def __str__(self) -> str:
        return f"{self.type} {self.text}"

    @property
    def known(self) -> bool:
        """Whether it is a whole number."""
        return self.text.lstrip("-").isdigit()


@dataclass
class Assembly:
    """Lines of one function, and the declarations and definitions they need.

    With `sharing`, elementary functions are called instead of written out at every use: slower
    by some cycles, but the code of very large functions stays in bounds. With `unrolling`, loops
    whose length is known are written out.
    """

    lines: list[str] = field(default_factory=list)
    declared: dict[str, str] = field(default_factory=dict)
    defined: dict[str, str] = field(default_factory=dict)
    sharing: bool = False
    unrolling: bool = False
    block: str = "entry"
    count: int = 0

    def fresh(self, hint: str = "v") -> str:
        """A name not used before."""
        self.count += 1
        return f"%{hint}{self.count}"

    def emit(self, type: str, instruction: str, hint: str = "v") -> Value:
        """Write an instruction with a result."""
        name = self.fresh(hint)
        self.lines.append(f"  {name} = {instruction}")
        return Value(name, type)

    def do(self, instruction: str) -> None:
        """Write an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def label(self, name: str) -> None:
        """Start a block."""
        self.lines.append(f"{name}:")
        self.block = name

    def call(self, type: str, name: str, *arguments: Value, flags: str = "") -> Value:
        """Call a function or intrinsic and declare it."""
        types = ", ".join(a.type for a in arguments)
        self.declared[name] = f"declare {type} @{name}({types})"
        call = f"call {flags} {type}" if flags else f"call {type}"
        return self.emit(type, f"{call} @{name}({', '.join(map(str, arguments))})")

    def prefetch(self, place: Value) -> None:
        """Ask for a cache line that will be read soon."""
        name = "llvm.prefetch.p0"
        self.declared[name] = f"declare void @{name}(ptr, i32, i32, i32)"
        self.do(f"call void @{name}({place}, i32 0, i32 2, i32 1)")

    def share(
        self, name: str, body: Callable[[Assembly, list[Value]], Value], *arguments: Value
    ) -> Value:
        """Call a function whose code is written once in the module.

        Parameters
        ----------
        name : str
        body : callable
            ``body(code, parameters)`` writes it and returns its result, of the type of the first
            argument.
        *arguments : Value
        """
        type = arguments[0].type
        if name not in self.defined:
            code = Assembly(declared=self.declared, defined=self.defined)
            parameters = [Value(f"%x{k}", a.type) for k, a in enumerate(arguments)]
            result = body(code, parameters)
            head = f"define internal {type} @{name}({', '.join(map(str, parameters))}) #0 {{"
            self.defined[name] = "\n".join([head, "entry:", *code.lines, f"  ret {result}", "}"])
        return self.emit(type, f"call {type} @{name}({', '.join(map(str, arguments))})")

    def side_by_side(self, bodies: Iterable[Callable[[], object]]) -> None:
        """Write what bodies write that are alike and independent, a line of each in turn.

        Where each is a long chain of instructions that wait for each other, a processor, which
        looks ahead by some tens of instructions, so finds some that need not wait.
        """
        begin, parts = len(self.lines), []
        for body in bodies:
            body()
            parts.append(self.lines[begin:])
            del self.lines[begin:]
        parts = [part for part in parts if part]
        branches = any(line.endswith(":") for part in parts for line in part)
        alike = len({len(part) for part in parts}) == 1 and not branches
        for group in zip(*parts, strict=True) if alike else parts:
            self.lines += group

    def loop(
        self,
        start: Value,
        stop: Value,
        step: int | Value,
        body: Callable[[Value, list[Value]], Sequence[Value]],
        carried: Sequence[Value] = (),
    ) -> list[Value]:
        """Write ``for index in range(start, stop, step)`` with loop-carried values.

        The test is at the top, so that no iteration is possible.
        """
        if self.unrolling and start.known and stop.known and isinstance(step, int):
            values = list(carried)
            for at in range(int(start.text), int(stop.text), step):
                values = list(body(Value(str(at), "i64"), values))
            return values
        self.count += 1
        number = self.count
        head, inside, after = f"head{number}", f"body{number}", f"done{number}"
        before = self.block
        self.do(f"br label %{head}")
        self.label(head)
        at = len(self.lines)
        index = Value(self.fresh("i"), "i64")
        phis = [Value(self.fresh("c"), value.type) for value in carried]
        self.do("")
        again = self.emit("i1", f"icmp slt i64 {index.text}, {stop.text}")
        self.do(f"br i1 {again.text}, label %{inside}, label %{after}")
        self.label(inside)
        results = list(body(index, phis))
        following = self.emit("i64", f"add nsw i64 {index.text}, {getattr(step, 'text', step)}")
        last = self.block
        self.do(f"br label %{head}")
        lines = [
            f"  {index.text} = phi i64 [ {start.text}, %{before} ], [ {following.text}, %{last} ]"
        ]
        for phi, initial, result in zip(phis, carried, results, strict=True):
            lines.append(
                f"  {phi.text} = phi {phi.type} [ {initial.text}, %{before} ], "
                f"[ {result.text}, %{last} ]"
            )
        self.lines[at] = "\n".join(lines)
        self.label(after)
        return phis

    def when(self, condition: Value, body: Callable[[], None]) -> None:
        """Write ``if condition: body`` for a body that leaves no values."""
        self.count += 1
        inside, after = f"then{self.count}", f"end{self.count}"
        self.do(f"br i1 {condition.text}, label %{inside}, label %{after}")
        self.label(inside)
        body()
        self.do(f"br label %{after}")
        self.label(after)

    def choose(
        self, condition: Value, then: Callable[[], Value], otherwise: Callable[[], Value]
    ) -> Value:
        """Write ``then() if condition else otherwise()``: only the chosen one is run."""
        self.count += 1
        names = [f"{way}{self.count}" for way in ("then", "else", "end")]
        self.do(f"br i1 {condition.text}, label %{names[0]}, label %{names[1]}")
        ends: list[tuple[Value, str]] = []
        for name, body in zip(names, (then, otherwise), strict=False):
            self.label(name)
            ends.append((body(), self.block))
            self.do(f"br label %{names[2]}")
        self.label(names[2])
        type = ends[0][0].type
        incoming = ", ".join(f"[ {value.text}, %{block} ]" for value, block in ends)
        return self.emit(type, f"phi {type} {incoming}")


_INTEGER = {"float32": "i32", "float64": "i64"}
_SUFFIX = {"float32": "f32", "float64": "f64"}
_FLAGS = "contract"


@lru_cache(maxsize=512)
def _literal(value: float, sign: float, dtype: str) -> str:
    """A number of a dtype; the sign tells its zeros apart."""
    if dtype == "float32":
        value = struct.unpack("f", struct.pack("f", value))[0] if abs(value) < 3.5e38 else value
    if dtype in ("float32", "float64"):
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    return str(int(value))


@lru_cache(maxsize=512)
def _lanes(one: str, width: int) -> str:
    """The same in every lane."""
    return f"<{', '.join([one] * width)}>"


class Builder:
    """Instructions on vectors of one width and one floating-point dtype."""

    def __init__(self, code: Assembly, width: int, dtype: str, flags: str = _FLAGS) -> None:
        self.code = code
        self.flags = flags
        self.width = width
        self.dtype = dtype
        self.element = llvm_type(dtype)
        self.type = f"<{width} x {self.element}>"
        self.integer = f"<{width} x {_INTEGER[dtype]}>" if dtype in _INTEGER else ""
        self.boolean = f"<{width} x i1>"

    def strict(self) -> Builder:
        """The same, but nothing is contracted: every operation rounds where it is written."""
        return Builder(self.code, self.width, self.dtype, flags="")

    # -- constants ------------------------------------------------------------------------
    def literal(self, value: float) -> str:
        """A number as LLVM reads it exactly (float32 constants are written as doubles)."""
        return _literal(value, math.copysign(1.0, value), self.dtype)

    def constant(self, value: float) -> Value:
        """The number in every lane."""
        return Value(_lanes(f"{self.element} {self.literal(value)}", self.width), self.type)

    def integer_constant(self, value: int) -> Value:
        """The integer (as wide as the dtype) in every lane."""
        return Value(_lanes(f"{_INTEGER[self.dtype]} {value}", self.width), self.integer)

    # -- arithmetic -----------------------------------------------------------------------
    def _binary(self, name: str, a: Value, b: Value) -> Value:
        flags = f" {self.flags}" if name[0] == "f" and self.flags else ""
        return self.code.emit(a.type, f"{name}{flags} {a.type} {a.text}, {b.text}")

    def fadd(self, a: Value, b: Value) -> Value:
        """A + b"""
        return self._binary("fadd", a, b)

    def fsub(self, a: Value, b: Value) -> Value:
        """A - b"""
        return self._binary("fsub", a, b)

    def fmul(self, a: Value, b: Value) -> Value:
        """A * b"""
        return self._binary("fmul", a, b)

    def fdiv(self, a: Value, b: Value) -> Value:
        """A / b"""
        return self._binary("fdiv", a, b)

    def fneg(self, a: Value) -> Value:
        """-a"""
        return self.code.emit(a.type, f"fneg {a}")

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """A * b + c, rounded once."""
        return self._intrinsic("fma", a, b, c)

    def muladd(self, a: Value, b: Value, c: Value) -> Value:
        """A * b + c, rounded once or twice, whichever is faster on the target."""
        return self._intrinsic("fmuladd", a, b, c)

    def _intrinsic(self, name: str, *arguments: Value) -> Value:
        suffix = f"v{self.width}{_SUFFIX[self.dtype]}"
        return self.code.call(self.type, f"llvm.{name}.{suffix}", *arguments)

    def sqrt(self, a: Value) -> Value:
        """The square root, correctly rounded."""
        return self._intrinsic("sqrt", a)

    def fabs(self, a: Value) -> Value:
        """The absolute value."""
        return self._intrinsic("fabs", a)

    def rint(self, a: Value) -> Value:
        """Rounded to the nearest integer, ties to even."""
        return self._intrinsic("rint", a)

    def floor(self, a: Value) -> Value:
        """Rounded down."""
        return self._intrinsic("floor", a)

    def ceil(self, a: Value) -> Value:
        """Rounded up."""
        return self._intrinsic("ceil", a)

    def copysign(self, size: Value, sign: Value) -> Value:
        """The size of one with the sign of the other."""
        return self._intrinsic("copysign", size, sign)

    # -- choices --------------------------------------------------------------------------
    def fcmp(self, predicate: str, a: Value, b: Value) -> Value:
        """Compare: ``oeq olt ole ogt oge une uno ...``."""
        return self.code.emit(self.boolean, f"fcmp {predicate} {a}, {b.text}")

    def icmp(self, predicate: str, a: Value, b: Value) -> Value:
        """Compare integers: ``eq ne slt sle ult ...``."""
        return self.code.emit(self.boolean, f"icmp {predicate} {a}, {b.text}")

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        """A where the condition holds, b elsewhere."""
        return self.code.emit(a.type, f"select {condition}, {a}, {b}")

    def any(self, condition: Value) -> Value:
        """Whether the condition holds in any lane, as ``i1``."""
        return self.code.call("i1", f"llvm.vector.reduce.or.v{self.width}i1", condition)

    def fmin(self, a: Value, b: Value) -> Value:
        """The smaller one; `a` where either is NaN in `a`."""
        return self.select(self.fcmp("ogt", a, b), b, a)

    def fmax(self, a: Value, b: Value) -> Value:
        """The larger one; `a` where either is NaN in `a`."""
        return self.select(self.fcmp("olt", a, b), b, a)

    # -- bits -----------------------------------------------------------------------------
    def to_bits(self, a: Value) -> Value:
        """The bits as integers of the same width."""
        return self.code.emit(self.integer, f"bitcast {a} to {self.integer}")

    def from_bits(self, a: Value) -> Value:
        """Integers read as floating-point bits."""
        return self.code.emit(self.type, f"bitcast {a} to {self.type}")

    def integer_op(self, name: str, a: Value, b: Value) -> Value:
        """``add sub and or xor shl lshr ashr`` of integer vectors."""
        return self.code.emit(a.type, f"{name} {a}, {b.text}")

    def integer_max(self, a: Value, b: Value) -> Value:
        """The larger of signed integers."""
        suffix = f"v{self.width}{_INTEGER[self.dtype]}"
        return self.code.call(a.type, f"llvm.smax.{suffix}", a, b)

    # -- one lane at a time ---------------------------------------------------------------
    def per_lane(self, function: str, *arguments: Value) -> Value:
        """Call a function of the C library in every lane."""
        result = Value("undef", self.type)
        name = function + ("f" if self.dtype == "float32" else "")
        for lane in range(self.width):
            scalars = [
                self.code.emit(self.element, f"extractelement {a}, i32 {lane}") for a in arguments
            ]
            value = self.code.call(self.element, name, *scalars)
            result = self.code.emit(self.type, f"insertelement {result}, {value}, i32 {lane}")
        return result
