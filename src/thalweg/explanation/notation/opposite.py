"""The opposite of a comparison, as it is written."""

__all__ = ["opposite"]

OPPOSITES = (
    (" > ", r" \le "), (r" \ge ", " < "), (" < ", r" \ge "), (r" \le ", " > "),
    ("<mo>&gt;</mo>", "<mo>≤</mo>"), ("<mo>≥</mo>", "<mo>&lt;</mo>"),
    ("<mo>&lt;</mo>", "<mo>≥</mo>"), ("<mo>≤</mo>", "<mo>&gt;</mo>"),
)  # fmt: skip
"""Comparisons in LaTeX and MathML, and what holds where they do not."""


def opposite(condition: str) -> str:
    r"""Where a condition does not hold, in signs: formulas hold no words of one language.

    Examples
    --------
    >>> opposite("z > 0")
    'z \\le 0'
    """
    found = [(sign, other) for sign, other in OPPOSITES if sign in condition]
    if len(found) == 1 and condition.count(found[0][0]) == 1:
        return condition.replace(*found[0])
    negated = f"<mo>¬</mo><mo>(</mo>{condition}<mo>)</mo>"
    return negated if "<m" in condition else rf"\neg\left({condition}\right)"
