"""Formulas typed by people, read by a parser of our own and never evaluated as Python.

::

    program    = statement (";" statement)*          the last one is the result
    statement  = [name "="] sum
    sum        = product (("+" | "-") product)*
    product    = unary (("*" | "/") unary)*
    unary      = ("-" | "+") unary | power
    power      = atom [("^" | "**") unary]           from right to left; x² too
    atom       = number | name | function "(" sum ("," sum)* ")" | "(" sum ")"

The result is a plain function of `thalweg.numpy`: it can be differentiated, compiled and
explained. Names may be Greek and carry subscripts.

Examples
--------
>>> import thalweg as tw
>>> from thalweg.explanation.formula import parse_formula
>>> z = parse_formula("t = x + y; z = t^2")
>>> z.variables, z.definitions
(('x', 'y'), ('t', 'z'))
>>> float(z(x=1.0, y=2.0))
9.0
>>> tw.grad(z, argnums=(0, 1))(1.0, 2.0)
(np.float64(6.0), np.float64(6.0))
>>> parse_formula("2x + 1")
Traceback (most recent call last):
    ...
thalweg.errors.FormulaError: a sign is missing between 2 and x: write 2*x
    2x + 1
     ^
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

import thalweg.numpy as tnp
from thalweg.errors import FormulaError, suggest
from thalweg.explanation.tokens import Token, fail, tokens
from thalweg.nn.activations import ACTIVATIONS
from thalweg.phrases import Phrase
from thalweg.tracing import label

__all__ = ["CONSTANTS", "FUNCTIONS", "Formula", "parse_formula"]

MAX_LENGTH = 20_000
MAX_DEPTH = 100
MANY = 1_000_000


@dataclass(frozen=True)
class Function:
    """A function that formulas know: what it computes, and how many arguments it takes."""

    compute: Callable[..., Any]
    least: int = 1
    most: int = 1


def _fold(two: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def of_many(first: Any, *rest: Any) -> Any:
        for other in rest:
            first = two(first, other)
        return first

    return of_many


_ELEMENTARY = (
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh",
    "arctanh", "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "abs", "sigmoid",
    "softplus", "erf", "sign",
)  # fmt: skip

FUNCTIONS: dict[str, Function] = (
    {name: Function(known.function) for name, known in ACTIVATIONS.items() if known.entrywise}
    | {name: Function(getattr(tnp, name)) for name in _ELEMENTARY}
    | {
        "asin": Function(tnp.arcsin),
        "acos": Function(tnp.arccos),
        "atan": Function(tnp.arctan),
        "asinh": Function(tnp.arcsinh),
        "acosh": Function(tnp.arccosh),
        "atanh": Function(tnp.arctanh),
        "ln": Function(tnp.log),
        "σ": Function(tnp.sigmoid),
        "max": Function(_fold(tnp.maximum), 2, MANY),
        "min": Function(_fold(tnp.minimum), 2, MANY),
    }
)
CONSTANTS = {"pi": math.pi, "π": math.pi, "e": math.e}
_VULGAR = {"½": 0.5, "¼": 0.25, "¾": 0.75, "⅓": 1 / 3, "⅔": 2 / 3}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


@dataclass(frozen=True)
class Expression:
    """A node of what was read: a number, a name, or a function of others."""

    kind: str
    value: Any
    parts: tuple[Expression, ...] = ()
    start: int = 0


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": tnp.add,
    "-": tnp.subtract,
    "*": tnp.multiply,
    "/": tnp.divide,
    "^": tnp.power,
}


@dataclass
class _Parser:
    formula: str
    tokens: list[Token]
    at: int = 0
    depth: int = 0
    defined: dict[str, int] = field(default_factory=dict)
    free: dict[str, int] = field(default_factory=dict)

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def fail(self, token: Token, message: Phrase) -> NoReturn:
        fail(self.formula, token.start, message)

    def program(self) -> list[tuple[str | None, Expression]]:
        statements: list[tuple[str | None, Expression]] = []
        while True:
            while self.next.kind == ";":
                self.take()
            if self.next.kind == "end":
                break
            statements.append(self.statement())
            if self.next.kind not in (";", "end"):
                self.unexpected()
        if not statements:
            raise FormulaError("the formula is empty: write for example w*x + b")
        for name, _ in statements[:-1]:
            if name is None:
                raise FormulaError(
                    "every part before the last needs a name, as in: t = x + y; z = t^2"
                )
        return statements

    def statement(self) -> tuple[str | None, Expression]:
        name = None
        if self.next.kind == "name" and self.tokens[self.at + 1].kind == "=":
            token = self.take()
            self.take()
            name = token.text
            if name in self.defined:
                self.fail(
                    token,
                    Phrase("{name} is defined twice: give the second one another name", name=name),
                )
            if name in self.free:
                self.fail(
                    token,
                    Phrase("{name} is used before it is defined: put this part first", name=name),
                )
            if name in FUNCTIONS:
                self.fail(
                    token, Phrase("{name} is a function: give the result another name", name=name)
                )
            expression = self.sum()
            if name in self.free:
                self.fail(token, Phrase("{name} is defined by itself", name=name))
            self.defined[name] = token.start
        else:
            expression = self.sum()
        return name, expression

    def sum(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(
                self.next, Phrase("the formula is nested deeper than {most} levels", most=MAX_DEPTH)
            )
        left = self.product()
        while self.next.kind in ("+", "-"):
            sign = self.take()
            left = Expression("operation", sign.kind, (left, self.product()), sign.start)
        self.depth -= 1
        return left

    def product(self) -> Expression:
        left = self.unary()
        while True:
            if self.next.kind in ("*", "/"):
                sign = self.take()
                left = Expression("operation", sign.kind, (left, self.unary()), sign.start)
            elif self.next.kind in ("number", "name", "("):
                self.missing_sign()
            else:
                return left

    def unary(self) -> Expression:
        signs = []
        while self.next.kind in ("-", "+"):
            signs.append(self.take())
        value = self.power()
        minus = [sign for sign in signs if sign.kind == "-"]
        if len(minus) % 2:
            return Expression("operation", "negative", (value,), minus[0].start)
        return value

    def power(self) -> Expression:
        base = self.atom()
        token = self.next
        if token.kind == "superscript":
            self.take()
            exponent = Expression("number", float(token.text.translate(_SUPERSCRIPTS)))
            if self.next.kind in ("^", "superscript"):
                self.fail(self.next, Phrase("a power of a power needs parentheses"))
            return Expression("operation", "^", (base, exponent), token.start)
        if token.kind == "^":
            self.take()
            self.depth += 1
            if self.depth > MAX_DEPTH:
                self.fail(
                    token, Phrase("the formula is nested deeper than {most} levels", most=MAX_DEPTH)
                )
            exponent = self.unary()
            self.depth -= 1
            return Expression("operation", "^", (base, exponent), token.start)
        return base

    def atom(self) -> Expression:
        token = self.take()
        if token.kind == "number":
            value = _VULGAR.get(token.text)
            return Expression("number", float(token.text) if value is None else value)
        if token.kind == "(":
            inside = self.sum()
            self.close(token)
            return inside
        if token.kind == "name":
            if self.next.kind == "(":
                return self.call(token)
            return self.name(token)
        self.at -= 1
        return self.unexpected()

    def name(self, token: Token) -> Expression:
        if token.text in self.defined:
            return Expression("name", token.text, start=token.start)
        if token.text in FUNCTIONS and token.text not in CONSTANTS:
            following = self.next.text if self.next.kind in ("name", "number") else "x"
            self.fail(
                token,
                Phrase(
                    "{name} is a function: write {name}({following})",
                    name=token.text,
                    following=following,
                ),
            )
        if token.text not in CONSTANTS:
            self.free.setdefault(token.text, token.start)
        return Expression("name", token.text, start=token.start)

    def call(self, token: Token) -> Expression:
        function = FUNCTIONS.get(token.text)
        if function is None:
            if token.text in self.free or token.text in self.defined or len(token.text) == 1:
                self.fail(
                    self.next,
                    Phrase(
                        "a sign is missing between {name} and the parenthesis: write {name}*(...)",
                        name=token.text,
                    ),
                )
            self.fail(
                token,
                Phrase(
                    "{name} is no known function.{hint}",
                    name=token.text,
                    hint=suggest(token.text, FUNCTIONS),
                ),
            )
        opening = self.take()
        arguments = [self.sum()]
        while self.next.kind == ",":
            self.take()
            arguments.append(self.sum())
        self.close(opening)
        if not function.least <= len(arguments) <= function.most:
            wanted = (
                Phrase("one argument")
                if function.most == 1
                else Phrase("at least {least}", least=function.least)
            )
            self.fail(
                token,
                Phrase(
                    "{name} takes {wanted}, not {count}",
                    name=token.text,
                    wanted=wanted,
                    count=len(arguments),
                ),
            )
        return Expression("call", token.text, tuple(arguments), token.start)

    def close(self, opening: Token) -> None:
        if self.next.kind == ")":
            self.take()
        elif self.next.kind == "end":
            self.fail(opening, Phrase("this parenthesis is never closed"))
        else:
            self.unexpected()

    def missing_sign(self) -> NoReturn:
        before, token = self.tokens[self.at - 1], self.next
        left = "(...)" if before.kind == ")" else before.text
        if before.kind == "superscript":
            left = self.tokens[self.at - 2].text + left
        right = "(...)" if token.kind == "(" else token.text
        between = Phrase("the parenthesis") if token.kind == "(" else token.text
        first = Phrase("the parenthesis") if before.kind == ")" else left
        self.fail(
            token,
            Phrase(
                "a sign is missing between {first} and {between}: write {left}*{right}",
                first=first,
                between=between,
                left=left,
                right=right,
            ),
        )

    def unexpected(self) -> NoReturn:
        token = self.next
        if token.kind == "end":
            self.fail(token, Phrase("the formula ends where a number, a name or ( should follow"))
        if token.kind == "=":
            self.fail(token, Phrase("= only names a part, as in t = x + y; it is no comparison"))
        if token.kind == ")":
            self.fail(
                token, Phrase("this parenthesis was never opened, or nothing stands inside it")
            )
        self.fail(token, Phrase("{name!r} is not expected here", name=token.text))


@dataclass(frozen=True)
class Formula:
    """A formula that was read: a function of its variables.

    Attributes
    ----------
    text : str
        As it was typed.
    variables : tuple of str
        In order of appearance, which is also the order of positional arguments.
    definitions : tuple of str
        The names given to intermediate results, in order.
    result : str
        What the result is called; ``"f"`` where it got no name.
    """

    text: str
    variables: tuple[str, ...]
    definitions: tuple[str, ...]
    result: str
    statements: tuple[tuple[str | None, Expression], ...] = field(repr=False)
    places: Mapping[str, int] = field(repr=False)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Evaluate or trace.

        Raises
        ------
        FormulaError
            If a variable has no value, or a value no variable.
        """
        values = self.bind(arguments, named)
        table: dict[str, Any] = {**CONSTANTS, **values}
        with np.errstate(all="ignore"):
            for name, expression in self.statements:
                value = _evaluate(expression, table)
                if name is not None:
                    table[name] = label(value, name)
        return value

    def bind(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Give every variable its value, in the order of the variables."""
        if len(arguments) > len(self.variables):
            raise FormulaError(
                "{count} values for {wanted} variables ({names})",
                count=len(arguments),
                wanted=len(self.variables),
                names=", ".join(self.variables),
            )
        values = dict(zip(self.variables, arguments, strict=False))
        for name, value in named.items():
            if name not in self.variables:
                known = suggest(name, self.variables) if self.variables else ""
                raise FormulaError(
                    "the formula {text!r} has no variable {name!r}.{known}",
                    text=self.text,
                    name=name,
                    known=known,
                )
            if name in values:
                raise FormulaError("{name} is given twice", name=name)
            values[name] = value
        for name in self.variables:
            if name not in values:
                others = [n for n in (*named, *self.definitions, *CONSTANTS) if n != name]
                near = suggest(name, others) if others else ""
                hint = near if "Did you mean" in near else Phrase(" Give {name}=...", name=name)
                fail(
                    self.text,
                    self.places[name],
                    Phrase("{name} has no value.{hint}", name=name, hint=hint),
                )
        return {name: values[name] for name in self.variables}

    def __str__(self) -> str:
        return self.text

    @property
    def __name__(self) -> str:
        return self.result


def _evaluate(expression: Expression, table: Mapping[str, Any]) -> Any:
    spine = []  # a long sum nests to the left: followed by a loop, so that its length is free
    while expression.kind == "operation" and len(expression.parts) == 2:
        spine.append(expression)
        expression = expression.parts[0]
    if expression.kind == "number":
        value = expression.value
    elif expression.kind == "name":
        value = table[expression.value]
    else:
        parts = [_evaluate(part, table) for part in expression.parts]
        known = FUNCTIONS[expression.value].compute if expression.kind == "call" else tnp.negative
        value = known(*parts)
    for operation in reversed(spine):
        value = _OPERATIONS[operation.value](value, _evaluate(operation.parts[1], table))
    return value


def parse_formula(text: str) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text : str
        For example ``"w*x + b"`` or ``"t = x + y; z = t^2"``.

    Returns
    -------
    Formula

    Raises
    ------
    FormulaError
        With the text and a caret under the place that cannot be read.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            "the formula has {count} characters; at most {most} are read",
            count=len(text),
            most=MAX_LENGTH,
        )
    parser = _Parser(text, tokens(text))
    statements = parser.program()
    definitions = tuple(name for name, _ in statements if name is not None)
    result = statements[-1][0] or next(
        name for name in ("f", "y", "F", "result", "f_") if name not in parser.free
    )
    return Formula(
        text, tuple(parser.free), definitions, result, tuple(statements), dict(parser.free)
    )
