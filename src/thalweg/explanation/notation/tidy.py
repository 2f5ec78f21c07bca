"""Formulas as one would write them: signs and numbers collected, safeguards left out.

Graphs guard some operations at single points (``t log y`` at t = 0). The guard changes no value
elsewhere, and on paper one leaves it out.

Examples
--------
>>> from thalweg.explanation.notation import add, negative, number, symbol, times
>>> a, t = symbol("a"), symbol("t")
>>> str(tidy(add(negative(times(number(1.0), t)), a)))
'a - t'
>>> str(tidy(add(times(number(0.05), a), times(number(0.05), a))))
'0.1 · a'
"""

from __future__ import annotations

import math
from collections.abc import Callable

from thalweg.explanation.notation.tree import Math, add, negative, number, subtract, times

__all__ = ["expand", "tidy"]


def tidy(formula: Math, *, guards: bool = True) -> Math:
    """Simplify a formula without changing its value.

    Parameters
    ----------
    formula : Math
    guards : bool
        Leave out choices that only concern single points (``x = 0``) or infinities.

    Returns
    -------
    Math
    """
    parts = tuple(tidy(p, guards=guards) if isinstance(p, Math) else p for p in formula.parts)
    formula = Math(formula.head, parts)
    if formula.head == "cases" and formula.parts[1] == formula.parts[2]:
        same: Math = formula.parts[1]
        return same
    if formula.head == "cases" and guards:
        chosen = _without_guard(formula)
        if chosen is not None:
            return chosen
    rule = _RULES.get(formula.head)
    return formula if rule is None else rule(formula)


def expand(formula: Math) -> Math:
    """Multiply sums out, where that makes the formula shorter.

    Examples
    --------
    >>> from thalweg.explanation.notation import hadamard, subtract, symbol
    >>> one, a, t = number(1.0), symbol("A"), symbol("T")
    >>> fused = subtract(hadamard(subtract(one, t), a), hadamard(t, subtract(one, a)))
    >>> str(expand(fused))
    'A - T'
    """
    opened = tidy(_multiplied_out(formula))
    return opened if len(str(opened)) < len(str(formula)) else formula


def _multiplied_out(formula: Math) -> Math:
    parts = tuple(_multiplied_out(p) if isinstance(p, Math) else p for p in formula.parts)
    formula = Math(formula.head, parts)
    if formula.head != "hadamard":
        return formula
    a, b = formula.parts
    for whole, other in ((a, b), (b, a)):
        if whole.head in ("add", "subtract"):
            return Math(
                whole.head,
                tuple(_multiplied_out(Math("hadamard", (p, other))) for p in whole.parts),
            )
    return Math("hadamard", tuple(sorted((a, b), key=str)))


def _value(part: Math) -> float | None:
    return part.parts[0] if part.head == "number" else None


def _without_guard(formula: Math) -> Math | None:
    condition, yes, no = formula.parts
    holds = _generally(condition)
    if holds is None:
        return None
    chosen: Math = yes if holds else no
    return chosen


def _generally(condition: Math) -> bool | None:
    """Whether a condition holds everywhere but at single points; None where that depends."""
    if condition.head == "call" and condition.parts[0] == "logical_not":
        inner = _generally(condition.parts[1])
        return None if inner is None else not inner
    if condition.head != "compare":
        return None
    sign, left, right = condition.parts
    if sign in ("∧", "∨"):
        both = _generally(left), _generally(right)
        if None in both:
            return None
        return all(both) if sign == "∧" else any(both)
    if right.head != "number":
        return None
    if sign in ("=", "≠"):
        return bool(sign == "≠")
    return True if sign == ">" and _value(right) == -math.inf else None


def _split(part: Math) -> tuple[bool, Math]:
    """Whether a part carries a minus, and the part without it."""
    if part.head == "negative":
        return True, part.parts[0]
    value = _value(part)
    if value is not None and value < 0:
        return True, number(-value)
    if part.head in ("times", "hadamard", "divide"):
        minus, first = _split(part.parts[0])
        if minus:
            rest = part.parts[1:]
            kept = (first, *rest) if first != number(1.0) or part.head == "divide" else rest
            if part.head == "times":
                return True, times(*kept)
            return True, Math(part.head, (first, *rest))
    return False, part


def _add(formula: Math) -> Math:
    terms: dict[Math, float] = {}
    for part in _flat(formula):
        minus, body = _split(part)
        share, body = _coefficient(body)
        terms[body] = terms.get(body, 0.0) + (-share if minus else share)
    one = number(1.0)
    written = [(share, body) for body, share in terms.items() if share != 0 and body != number(0.0)]
    if not written:
        return number(0.0)
    written.sort(key=lambda pair: pair[0] < 0)  # what is subtracted comes last
    total = _times_number(*written[0])
    for share, body in written[1:]:
        if body == one:
            term = number(abs(share))
        else:
            term = _times_number(abs(share), body)
        total = subtract(total, term) if share < 0 else add(total, term)
    return total


def _flat(formula: Math) -> list[Math]:
    if formula.head == "add":
        return [t for part in formula.parts for t in _flat(part)]
    if formula.head == "subtract":
        left, right = formula.parts
        return [*_flat(left), *(_negated(part) for part in _flat(right))]
    if formula.head == "negative":
        return [_negated(part) for part in _flat(formula.parts[0])]
    return [formula]


def _negated(part: Math) -> Math:
    inner: Math = part.parts[0] if part.head == "negative" else negative(part)
    return inner


def _coefficient(body: Math) -> tuple[float, Math]:
    value = _value(body)
    if value is not None:
        return value, number(1.0)
    if body.head == "times":
        first = _value(body.parts[0])
        if first is not None:
            return first, times(*body.parts[1:])
    return 1.0, body


def _times_number(share: float, body: Math) -> Math:
    if body == number(1.0):
        return number(share)
    if share == 1.0:
        return body
    return negative(body) if share == -1.0 else times(number(share), body)


def _times(formula: Math) -> Math:
    share, rest = 1.0, []
    for part in formula.parts:
        minus, body = _split(part)
        share = -share if minus else share
        own, body = _coefficient(body)
        share *= own
        if body != number(1.0):
            rest.append(body)
    if share == 0:
        return number(0.0)
    return _times_number(share, times(*rest)) if rest else number(share)


def _hadamard(formula: Math) -> Math:
    signs = [_split(part) for part in formula.parts]
    a, b = (body for _, body in signs)
    minus = signs[0][0] != signs[1][0]
    if a == number(1.0):
        result = b
    elif b == number(1.0):
        result = a
    elif a.head == "number":
        result = times(a, b)
    elif b.head == "number":
        result = times(b, a)
    else:
        result = Math("hadamard", (a, b))
    return negative(result) if minus else result


def _divide(formula: Math) -> Math:
    (minus, a), (below, b) = (_split(part) for part in formula.parts)
    result = a if b == number(1.0) else Math("divide", (a, b))
    return negative(result) if minus != below else result


def _negative(formula: Math) -> Math:
    minus, body = _split(formula.parts[0])
    if minus:
        return body
    if body.head == "subtract":
        return subtract(body.parts[1], body.parts[0])
    if body.head == "total":
        inner, part = _split(body.parts[0])
        return Math("total", (part,)) if inner else negative(body)
    return negative(body)


def _total(formula: Math) -> Math:
    minus, body = _split(formula.parts[0])
    return negative(Math("total", (body,))) if minus else formula


_RULES: dict[str, Callable[[Math], Math]] = {
    "add": _add,
    "subtract": lambda formula: _add(formula),
    "times": _times,
    "hadamard": _hadamard,
    "divide": _divide,
    "negative": _negative,
    "total": _total,
}
