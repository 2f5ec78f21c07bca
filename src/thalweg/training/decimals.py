r"""Decimal commas: a text table may write 1,5 where another writes 1.5.

A comma between digits divides thousands in one half of the world and begins the decimals in the
other. ``1,234`` may be either; ``1,5``, ``0,125`` and ``21,75`` can only be decimals. So commas
are read as decimal points where some value of the table can be nothing else, and no value speaks
against it: by a decimal point of its own, or by groups of thousands. Otherwise texts stay texts,
and whoever needs numbers is told so (`thalweg.training.values.as_numbers`).

Examples
--------
>>> begins_decimals("1,5"), begins_decimals("1,234"), begins_decimals("1,234,567")
(True, True, False)
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from thalweg.training.values import MISSING, MOSTLY

if TYPE_CHECKING:
    import duckdb

__all__ = ["begins_decimals", "read_commas"]

_COMMA = r"[+-]?\d*,\d+([eE][+-]?\d+)?"
_THOUSANDS = r"[+-]?[1-9]\d{0,2},\d{3}"  # or a decimal number: cannot be told by itself


def begins_decimals(text: str) -> bool:
    """Whether a text is a number with one comma, which may begin its decimals."""
    return re.fullmatch(_COMMA, text.strip()) is not None


def read_commas(
    connection: "duckdb.DuckDBPyConnection", columns: Sequence[str], doubtful: Sequence[str]
) -> list[str]:
    """Write decimal commas as points, in the table ``source``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    columns : sequence of str
        All columns of the table.
    doubtful : sequence of str
        Those in which some values are no numbers.

    Returns
    -------
    list of str
        The columns that were written anew.
    """
    counts = _counts(connection, doubtful)
    found = [
        c
        for c, (present, numbers, commas, _) in zip(doubtful, counts, strict=True)
        if commas and numbers + commas >= MOSTLY * present
    ]
    sure = any(sure for c, (*_, sure) in zip(doubtful, counts, strict=True) if c in found)
    if not sure or _spoken_against(connection, columns):
        return []
    changed = ", ".join(
        f"CASE WHEN {_is_comma(f'trim({c})')} THEN {_pointed(f'trim({c})')} ELSE {c} END AS {c}"
        for c in found
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE source AS SELECT * REPLACE ({changed}) FROM source"
    )
    return found


def _pointed(text: str) -> str:
    return f"replace({text}, ',', '.')"


def _is_comma(text: str) -> str:
    """The SQL for: a number once its only comma is a point."""
    number = f"TRY_CAST({_pointed(text)} AS DOUBLE) IS NOT NULL"
    return f"(contains({text}, ',') AND NOT contains({text}, '.') AND {number})"


def _counts(
    connection: "duckdb.DuckDBPyConnection", columns: Sequence[str]
) -> list[tuple[int, ...]]:
    """Of each column: values, numbers, those with one comma, and those that must be decimals."""
    tokens = ", ".join(f"'{token}'" for token in MISSING)
    wanted = []
    for c in columns:
        text = f"trim({c})"
        three = f"length({text}) - strpos({text}, ',') = 3"
        may_be_thousands = f"{three} AND regexp_full_match({text}, '{_THOUSANDS}')"
        wanted += [
            f"count(*) FILTER (lower({text}) NOT IN ({tokens}))",
            f"count(TRY_CAST({text} AS DOUBLE))",
            f"count(*) FILTER ({_is_comma(text)})",
            f"count(*) FILTER ({_is_comma(text)} AND NOT ({may_be_thousands}))",
        ]
    if not wanted:
        return []
    row = connection.execute(f"SELECT {', '.join(wanted)} FROM source").fetchone() or ()
    return [tuple(row[i : i + 4]) for i in range(0, len(row), 4)]


def _spoken_against(connection: "duckdb.DuckDBPyConnection", columns: Sequence[str]) -> bool:
    """Whether any number of the table has a decimal point, or commas between thousands."""
    either = " OR ".join(
        f"((contains({c}, '.') OR {c} LIKE '%,%,%') "
        f"AND TRY_CAST(replace({c}, ',', '') AS DOUBLE) IS NOT NULL)"
        for c in columns
    )
    row = connection.execute(f"SELECT bool_or(coalesce({either}, false)) FROM source").fetchone()
    return bool(row and row[0])
