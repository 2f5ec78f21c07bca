"""Rows of a table, chosen on the command line and counted from 1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, OptionError

if TYPE_CHECKING:
    from thalweg.training.columns import Table
    from thalweg.training.model import Model

__all__ = ["chosen_rows", "labelled_rows"]


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
            "--row {text!r} names no rows: write --row 3, --row 1-10 or --row 1,4,7.",
            text=text,
        )
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        low, high = int(first), int(last or first)
        if low > high:
            raise OptionError(
                "--row {text!r}: {low}-{high} runs backwards.",
                text=text,
                low=low,
                high=high,
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
    return table.take(chosen_rows(text, len(table), path))
