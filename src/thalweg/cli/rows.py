"""Rows of a table, chosen on the command line and counted from 1, or typed value by value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, OptionError, suggest

if TYPE_CHECKING:
    from thalweg.training.columns import Table
    from thalweg.training.model import Model

__all__ = ["chosen_rows", "labelled_rows", "typed_row", "with_values"]


def chosen_rows(text: str, count: int, source: str) -> NDArray[np.int64]:
    """Indices of rows from ``"3"``, ``"1-10"`` or ``"1,4,7-9"``.

    Parameters
    ----------
    text : str
    count : int
        How many rows there are.
    source : str
        What the table was read from.

    Raises
    ------
    OptionError
        If the text names no rows.
    DataError
        If the table has no such row.

    Examples
    --------
    >>> chosen_rows("1,3-5", 10, "data.csv")
    array([0, 2, 3, 4])
    """
    if not re.fullmatch(r"\s*\d+(-\d+)?(\s*,\s*\d+(-\d+)?)*\s*", text):
        raise OptionError(
            "--row {text!r} names no rows: write --row 3, --row 1-10 or --row 1,4,7.", text=text
        )
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        low, high = int(first), int(last or first)
        if low > high:
            raise OptionError(
                "--row {text!r}: {low}-{high} runs backwards.", text=text, low=low, high=high
            )
        if low < 1 or high > count:
            wrong = low if low < 1 else high
            raise DataError(
                "{source} has rows 1 to {count}; there is no row {wrong} (--row).",
                source=source,
                count=count,
                wrong=wrong,
            )
        found += range(low - 1, high)
    return np.array(found, np.int64)


def labelled_rows(model: Model, path: str, text: str) -> Table:
    """The chosen rows of a table that holds the model's inputs and targets.

    Raises
    ------
    DataError
        If the table lacks one of them.
    """
    from thalweg.training.tables import read_table

    table = read_table(path)
    for name in model.encoding.names:
        if name not in table:
            raise DataError(
                "{path} has no column {name!r}, the target: derivatives of the loss need "
                "it. Add the column, or give the table that the model was fitted on.",
                path=path,
                name=name,
            )
    if text.strip() == "training":
        return table.take(_training_rows(model, len(table), path))
    return table.take(chosen_rows(text, len(table), path))


def _training_rows(model: Model, count: int, source: str) -> NDArray[np.int64]:
    """The rows that trained the model, of the table it was fitted on."""
    rows = model.origin.split.train
    if rows[-1] >= count:
        raise DataError(
            "{source} has {count} rows, but the model was trained on row {last} of its table: "
            "--row training needs the table that the model was fitted on.",
            source=source,
            count=count,
            last=int(rows[-1]) + 1,
        )
    return rows


def typed_row(model: Model, values: Sequence[str]) -> Table:
    """One row whose columns were typed, as in ``age=50 colour=red price=3.5``.

    Raises
    ------
    OptionError
        If a column of the model has no value, or a value no column.
    """
    from thalweg.training.tables import read_table

    needed = [*(column.name for column in model.encoding.columns), *model.encoding.names]
    given = dict(_named(value, needed) for value in values)
    lacking = [name for name in needed if name not in given]
    if lacking:
        raise OptionError(
            "Values are missing for {names}; derivatives of the loss need every input and the "
            "target. Type {example}, for example, or give a table.",
            names=", ".join(lacking),
            example=" ".join(f"{name}=1" for name in lacking[:3]),
        )
    table = read_table({name: [given[name]] for name in needed})
    return replace(table, source="the typed values")


def with_values(table: Table, values: Sequence[str]) -> Table:
    """A table with some columns set to a typed value, to see what would be.

    Raises
    ------
    OptionError
        If the table has no such column, or holds numbers there and the value is none.
    """
    columns: list[Any] = list(table.columns)
    for text in values:
        name, value = _named(text, table.names)
        place = table.names.index(name)
        kind = columns[place].dtype
        if kind != np.object_ and isinstance(value, str):
            raise OptionError(
                "{text!r}: {name} holds numbers, and {value!r} is none.",
                text=text,
                name=name,
                value=value,
            )
        whole = value if kind != np.object_ else text.partition("=")[2].strip()
        columns[place] = np.full(len(table), whole, kind)
    return replace(table, columns=tuple(columns))


def _named(text: str, known: Sequence[str]) -> tuple[str, Any]:
    """``"age=50"`` as a column and its value: a number, true or false, or a text."""
    name, _, written = (part.strip() for part in text.partition("="))
    if name not in known:
        raise OptionError(
            "{text!r}: there is no column {name!r}.{hint}",
            text=text,
            name=name,
            hint=suggest(name, known),
        )
    if written.lower() in ("true", "false"):
        return name, written.lower() == "true"
    try:
        return name, float(written)
    except ValueError:
        return name, written
