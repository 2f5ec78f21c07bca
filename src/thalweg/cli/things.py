"""What ``explain`` and ``check`` are about: a model and rows, or a formula and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.cli.paths import refuse_swapped
from thalweg.cli.rows import labelled_rows, typed_row, with_values
from thalweg.errors import FormulaError, OptionError

if TYPE_CHECKING:
    from thalweg.explanation import Formula
    from thalweg.training.columns import Table
    from thalweg.training.model import Model

__all__ = ["formula_at", "is_exercise", "model_and_rows"]


def is_exercise(path: str) -> bool:
    """Whether a file is an exercise, by its name: networks and formulas typed in by hand."""
    return Path(path).suffix.lower() in (".toml", ".json")


def model_and_rows(command: str, things: Sequence[str], row: str | None) -> tuple[Model, Table]:
    """A model, and the rows of a table or one typed row.

    Parameters
    ----------
    command : str
    things : sequence of str
        A model and a table; or a model and the values of one row, ``"age=50"``. With all three,
        the values stand in place of the table's.
    row : str or None
        Which rows of the table, as in ``"1-10"``; the first by default.

    Raises
    ------
    OptionError
        If there is no model, or neither rows nor values.
    DataError, ModelFileError
        If a file cannot be used, or a column has no value.
    """
    from thalweg.training.model_file import load

    values = [thing for thing in things if "=" in thing and not Path(thing).exists()]
    paths = [thing for thing in things if thing not in values]
    if len(paths) == 2:
        refuse_swapped(command, *paths)
        model = load(paths[0])
        return model, with_values(labelled_rows(model, paths[1], row or "1"), values)
    if len(paths) == 1 and values:
        if row is not None:
            raise OptionError("--row {row} chooses rows of a table, and there is none.", row=row)
        _refuse_formula(command, paths[0], values)
        model = load(paths[0])
        return model, typed_row(model, values)
    raise OptionError(
        "thalweg {command} takes a model and a table ({count} given): thalweg {command} "
        "m.thalweg data.csv --row 1; or a model and the values of its columns; or a formula: "
        'thalweg {command} --formula "w*x + b" w=-2 x=5 b=3.',
        command=command,
        count=len(things),
    )


def _refuse_formula(command: str, path: str, values: Sequence[str]) -> None:
    """Say where a formula belongs that was typed in the place of a model."""
    if Path(path).suffix or Path(path).exists() or not set("+-*^()") & set(path):
        return
    raise OptionError(
        "There is no file {path}. A formula comes after --formula: thalweg {command} "
        '--formula "{path}" {values}.',
        path=path,
        command=command,
        values=" ".join(values),
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
            "{thing!r}: {number!r} is not a number.", thing=thing, number=number
        ) from None
    if len(found) == 1:
        return name, found[0]
    import numpy as np

    return name, np.array(found)
