"""The pieces of a formula's text, and errors that point at one of them.

Examples
--------
>>> [piece.text for piece in tokens("2x² + 1")]
['2', 'x', '²', '+', '1', '']
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from thalweg.errors import FormulaError
from thalweg.phrases import Phrase

__all__ = ["Token", "fail", "tokens"]

_SIGNS = {"·": "*", "×": "*", "∙": "*", "÷": "/", "−": "-", "–": "-", "**": "^", "\n": ";"}
_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[½¼¾⅓⅔])"
    r"|(?P<name>[^\W\d⁰¹²³⁴-⁹][^\W⁰¹²³⁴-⁹]*'*)"
    r"|(?P<superscript>⁻?[⁰¹²³⁴-⁹]+)"
    r"|(?P<sign>\*\*|[-+*/^(),;=\n·×∙÷−–])"
)


@dataclass(frozen=True)
class Token:
    """A piece of the text."""

    kind: str
    text: str
    start: int


def fail(formula: str, place: int, message: Phrase) -> NoReturn:
    """Raise an error that shows the text with a caret under the place."""
    begin = formula.rfind("\n", 0, place) + 1
    end = formula.find("\n", place)
    line = formula[begin : end if end >= 0 else len(formula)]
    before = line[: place - begin]
    width = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in before)
    raise FormulaError(
        "{message}\n    {line}\n    {space}^", message=message, line=line, space=" " * width
    )


def tokens(formula: str) -> list[Token]:
    """The text in pieces; the last one is the end."""
    found, place = [], 0
    while place < len(formula):
        match = _TOKEN.match(formula, place)
        if match is None or match.lastgroup is None:
            character = formula[place]
            hint = Phrase(" (compare with max, min or relu)") if character in "<>" else ""
            fail(
                formula,
                place,
                Phrase(
                    "{character!r} has no meaning in a formula{hint}",
                    character=character,
                    hint=hint,
                ),
            )
        kind, text = match.lastgroup, match[0]
        if kind == "sign":
            text = kind = _SIGNS.get(text, text)
        if kind != "space":
            found.append(Token(kind, text, place))
        place = match.end()
    return [*found, Token("end", "", len(formula.rstrip()))]
