r"""Whole numbers in native code: places, counts, and shares of work.

Examples
--------
>>> code = Assembly()
>>> whole = Whole(code)
>>> _ = whole.plus(whole.times(Value("%row", "i64"), 8), 3)
>>> print("\n".join(code.lines))
  %v1 = mul nsw i64 %row, 8
  %v2 = add nsw i64 %v1, 3
"""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.compiler.assembly import Assembly, Value

__all__ = ["Whole"]

Number = Value | int


@dataclass(frozen=True)
class Whole:
    """Writes arithmetic of 64-bit integers; operands are values or Python's own."""

    code: Assembly

    def plus(self, a: Number, b: Number) -> Value:
        """A + b"""
        return self._write("add nsw", a, b)

    def minus(self, a: Number, b: Number) -> Value:
        """A - b"""
        return self._write("sub nsw", a, b)

    def times(self, a: Number, b: Number) -> Value:
        """A · b"""
        return self._write("mul nsw", a, b)

    def quotient(self, a: Number, b: Number) -> Value:
        """A / b, rounded down; neither is negative."""
        return self._write("udiv", a, b)

    def parts(self, a: Number, size: Number) -> Value:
        """How many parts of at most a size there are in a: the quotient, rounded up."""
        above = self.minus(size, 1) if isinstance(size, Value) else size - 1
        return self.quotient(self.plus(a, above), size)

    def smaller(self, a: Value, b: Value) -> Value:
        """The smaller of two."""
        return self.code.call("i64", "llvm.smin.i64", a, b)

    def larger(self, a: Value, b: Value) -> Value:
        """The larger of two."""
        return self.code.call("i64", "llvm.smax.i64", a, b)

    def share(self, count: Number, number: Number, of: Number) -> tuple[Value, Value]:
        """Where the share of one of several begins and ends; shares differ by one at most."""
        first, last = (
            self.quotient(self.times(n, count), of) for n in (number, self.plus(number, 1))
        )
        return first, last

    def _write(self, operation: str, a: Number, b: Number) -> Value:
        first, second = (n.text if isinstance(n, Value) else str(n) for n in (a, b))
        return self.code.emit("i64", f"{operation} i64 {first}, {second}")
