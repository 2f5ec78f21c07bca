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
_POINT = r"[+-]?(\d*|\d{1,3}(,\d{3})+)\.\d+([eE][+-]?\d+)?"
_GROUPS = r"[+-]?\d{1,3}(,\d{3}){2,}"


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
    written = [(c, *_commas(connection, c)) for c in doubtful]
    found = [c for c, commas, _ in written if commas]
    if not any(sure for _, commas, sure in written if commas) or _spoken_against(
        connection, columns
    ):
        return []
    for c in found:
        connection.execute(
            f"UPDATE source SET {c} = replace(trim({c}), ',', '.') "
            f"WHERE regexp_full_match(trim({c}), '{_COMMA}')"
        )
    return found


def _commas(connection: "duckdb.DuckDBPyConnection", column: str) -> tuple[bool, bool]:
    """Whether a column holds numbers with commas, and whether these can only be decimals."""
    tokens = ", ".join(f"'{token}'" for token in MISSING)
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (comma OR TRY_CAST(t AS DOUBLE) IS NOT NULL), "
        f"count(*) FILTER (comma), count(*) FILTER (comma AND NOT regexp_full_match(t, "
        f"'{_THOUSANDS}')) FROM (SELECT t, regexp_full_match(t, '{_COMMA}') AS comma FROM "
        f"(SELECT trim({column}) AS t FROM source) WHERE lower(t) NOT IN ({tokens}))"
    ).fetchone()
    present, numbers, commas, sure = row or (0, 0, 0, 0)
    return commas > 0 and numbers >= MOSTLY * present, sure > 0


def _spoken_against(connection: "duckdb.DuckDBPyConnection", columns: Sequence[str]) -> bool:
    """Whether any number of the table has a decimal point, or commas between thousands."""
    either = " OR ".join(f"regexp_full_match(trim({c}), '{_POINT}|{_GROUPS}')" for c in columns)
    row = connection.execute(f"SELECT bool_or(coalesce({either}, false)) FROM source").fetchone()
    return bool(row and row[0])
