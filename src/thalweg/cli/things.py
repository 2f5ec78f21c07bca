"""What ``explain`` and ``check`` are about: a model and a table, or a formula and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg.errors import FormulaError, OptionError

if TYPE_CHECKING:
    from thalweg.explanation import Formula

__all__ = ["formula_at", "model_and_data"]


def model_and_data(command: str, things: Sequence[str]) -> tuple[str, str]:
    """The two paths.

    Raises
    ------
    OptionError
        If there are not two.
    """
    if len(things) == 2:
        return things[0], things[1]
    given = f"{len(things)} {'is' if len(things) == 1 else 'are'} given"
    raise OptionError(
        "thalweg {command} takes a model and a table ({given}): thalweg {command} "
        'm.thalweg data.csv --row 1, or a formula: thalweg {command} --formula "w*x + b" '
        "w=-2 x=5 b=3.",
        command=command,
        given=given,
    )


def formula_at(text: str, things: Sequence[str]) -> tuple[Formula, dict[str, Any]]:
    """A formula and the values of its variables.

    Parameters
    ----------
    text : str
    things : sequence of str
        ``"w=-2"``; ``"x=1,2,3"`` is a vector.

    Raises
    ------
    FormulaError
        If the formula cannot be read, or a variable has no value.
    OptionError
        If a value is no number, or belongs to nothing in the formula.

    Examples
    --------
    >>> formula_at("w*x", ["w=-2", "x=5"])[1]
    {'w': -2.0, 'x': 5.0}
    >>> formula_at("w*x", ["w=-2"])
    Traceback (most recent call last):
    ...
    thalweg.errors.FormulaError: 'w*x' needs a value for x: add x=1, for example.
    """
    from thalweg.explanation import parse_formula

    formula = parse_formula(text)
    values = dict(_value(thing, formula.variables) for thing in things)
    lacking = [name for name in formula.variables if name not in values]
    if lacking:
        example = " ".join(f"{name}=1" for name in lacking)
        what = "a value for" if len(lacking) == 1 else "values for"
        raise FormulaError(
            "{text!r} needs {what} {names}: add {example}, for example.",
            text=text,
            what=what,
            names=", ".join(lacking),
            example=example,
        )
    return formula, values


def _value(thing: str, variables: Sequence[str]) -> tuple[str, Any]:
    name, sign, number = (part.strip() for part in thing.partition("="))
    if not sign:
        raise OptionError(
            "{thing!r} gives no value: write {first}=1, for example.",
            thing=thing,
            first=variables[0],
        )
    if name not in variables:
        raise OptionError(
            "{thing!r}: the formula's variables are {names}.",
            thing=thing,
            names=", ".join(variables),
        )
    try:
        found = [float(part) for part in number.split(",")]
    except ValueError:
        raise OptionError(
            "{thing!r}: {number!r} is not a number.",
            thing=thing,
            number=number,
        ) from None
    if len(found) == 1:
        return name, found[0]
    import numpy as np

    return name, np.array(found)
