"""The tree of a formula: a head (``times``, ``partial``, ...) and its parts.

========== ============================== ===========================================
head       parts                          written
========== ============================== ===========================================
symbol     name, index, index, ...        ``w``, ``W[2]₁,₃``
number     value                          ``-10``
add, times any number of formulas         ``a + b + c``, ``a · b · c`` (numbers)
subtract   two                            ``a - b``
hadamard   two                            ``a ∘ b`` (entry by entry)
matmul     two                            ``A B``
divide     two                            ``a / b``
power      two                            ``x²``
negative   one                            ``-x``
partial    of, by                         ``∂f/∂w``
via        derivative, name               ``∂f/∂w via t`` (one use among several)
held       derivative, name               ``∂f/∂x|t`` (t held: the local derivative alone)
of         symbol, parameter              ``v(w[1]₁,₂)`` (an optimiser's state)
entry      formula, row, column           one entry of what has no name of its own
transpose  one                            ``Aᵀ``
inverse    one                            ``A⁻¹``
total      one                            ``Σ x`` (over all entries of one sample)
rowsum     one                            ``Σ over samples``
call       name, formula, ...             ``tanh(z)``
cases      condition, yes, no             ``yes if condition else no``
compare    sign, left, right              ``z > 0``
========== ============================== ===========================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Math",
    "add",
    "call",
    "divide",
    "from_json",
    "hadamard",
    "matmul",
    "negative",
    "number",
    "partial",
    "power",
    "put_numbers",
    "replace",
    "shortened",
    "subtract",
    "symbol",
    "symbols",
    "times",
    "total",
    "transpose",
]


NAMES = ("symbol", "partial", "via", "held", "of", "entry")  # heads that name a number


@dataclass(frozen=True, slots=True)
class Math:
    """A formula.

    Attributes
    ----------
    head : str
    parts : tuple
        Formulas, or the text and numbers of a leaf.
    """

    head: str
    parts: tuple[Any, ...]

    def to_json(self) -> list[Any]:
        """The tree as nested lists, the head first; numbers that JSON lacks as text."""
        if self.head == "number" and not math.isfinite(self.parts[0]):
            value = self.parts[0]
            word = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            return ["number", word]
        return [self.head, *(p.to_json() if isinstance(p, Math) else p for p in self.parts)]

    def __str__(self) -> str:
        from thalweg.explanation.notation.writers import text

        return text(self)


def from_json(data: list[Any]) -> Math:
    """Read what `Math.to_json` wrote."""
    head, *parts = data
    if head == "number":
        return number(float(parts[0]))
    return Math(head, tuple(from_json(p) if isinstance(p, list) else p for p in parts))


def symbol(name: str, *indices: int) -> Math:
    """A name, with indices counted from 1."""
    return Math("symbol", (name, *indices))


def number(value: float) -> Math:
    """A number."""
    return Math("number", (float(value),))


def _formula(value: Math | float) -> Math:
    return value if isinstance(value, Math) else number(value)


def add(*terms: Math) -> Math:
    """A sum; sums inside it are opened, and one term is itself."""
    return _flat("add", terms)


def times(*factors: Math) -> Math:
    """A product of numbers; products inside it are opened, and one factor is itself."""
    return _flat("times", factors)


def _flat(head: str, parts: tuple[Math, ...]) -> Math:
    if len(parts) == 1:
        return parts[0]
    opened: list[Math] = []
    for part in parts:
        opened += part.parts if part.head == head else (part,)
    return Math(head, tuple(opened))


def subtract(a: Math, b: Math) -> Math:
    """``a - b``."""
    return Math("subtract", (a, b))


def hadamard(a: Math, b: Math) -> Math:
    """The product entry by entry."""
    return Math("hadamard", (a, b))


def matmul(a: Math, b: Math) -> Math:
    """The matrix product."""
    return Math("matmul", (a, b))


def divide(a: Math, b: Math | float) -> Math:
    """A fraction."""
    return Math("divide", (a, _formula(b)))


def power(a: Math, b: Math | float) -> Math:
    """``a`` to the power ``b``."""
    return Math("power", (a, _formula(b)))


def negative(a: Math) -> Math:
    """``-a``; a number in front takes the sign."""
    if a.head == "number":
        return number(-a.parts[0])
    if a.head == "times" and a.parts[0].head == "number":
        return Math("times", (number(-a.parts[0].parts[0]), *a.parts[1:]))
    return Math("negative", (a,))


def partial(of: Math, by: Math) -> Math:
    """``∂of/∂by``."""
    return Math("partial", (of, by))


def transpose(a: Math) -> Math:
    """``aᵀ``."""
    return Math("transpose", (a,))


def total(a: Math) -> Math:
    """The sum over all entries of one sample."""
    return Math("total", (a,))


def call(name: str, *arguments: Math) -> Math:
    """A function of formulas."""
    return Math("call", (name, *arguments))


def walk(formula: Math) -> Iterator[Math]:
    """The formula and everything inside it, from left to right."""
    yield formula
    for part in formula.parts:
        if isinstance(part, Math):
            yield from walk(part)


def symbols(formula: Math) -> list[Math]:
    """The symbols and derivatives in a formula, each once, in order of appearance."""
    found: dict[Math, None] = {}

    def visit(node: Math) -> None:
        if node.head in NAMES:
            found.setdefault(node)
            return
        for part in node.parts:
            if isinstance(part, Math):
                visit(part)

    visit(formula)
    return list(found)


def replace(formula: Math, change: Callable[[Math], Math | None]) -> Math:
    """Rebuild a formula from the top; where `change` returns a formula, that is put instead."""
    instead = change(formula)
    if instead is not None:
        return instead
    parts = tuple(replace(p, change) if isinstance(p, Math) else p for p in formula.parts)
    return formula if parts == formula.parts else Math(formula.head, parts)


def put_numbers(formula: Math, values: Mapping[Math, float]) -> Math:
    """Put numbers in place of the symbols and derivatives that have one.

    Examples
    --------
    >>> w, x = symbol("w"), symbol("x")
    >>> str(put_numbers(add(times(w, x), symbol("b")), {w: -2.0, x: 5.0}))
    '-2 · 5 + b'
    """

    def change(node: Math) -> Math | None:
        if node.head not in NAMES:
            return None
        return number(values[node]) if node in values else node

    return replace(formula, change)


def shortened(formula: Math, most: int = 12) -> Math:
    """A long sum with its middle left out.

    Examples
    --------
    >>> str(shortened(add(*(symbol("x", k) for k in range(1, 31))), 4))
    'x₁ + x₂ + x₃ + … + x₃₀'
    """
    if formula.head != "add" or len(formula.parts) <= most:
        return formula
    return Math("add", (*formula.parts[: most - 1], symbol("…"), formula.parts[-1]))
