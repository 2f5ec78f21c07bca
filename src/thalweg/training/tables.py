r"""Tables: read from whatever holds rows and columns, written so that nothing is lost.

`read_table` takes a path (CSV, TSV, Parquet, ``.npy``, ``.npz``, ``.mat``), an array, a mapping of
arrays or any dataframe, and gives a `Table`. It refuses what is no table at all (missing, empty,
ragged, nameless or twice named columns); whether a table can be *learned from* (targets, missing
values, texts among numbers) is `thalweg.training.encoding`'s question, because it depends on the
columns that are used.

Examples
--------
>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "xor.csv"
...     write_table(path, ["x1", "x2", "y"], [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]])
...     table = read_table(path)
>>> table["y"]
array([0., 1., 1., 0.])
"""

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.errors import DataError, OptionError, reason_of
from thalweg.training.arrays import from_array, from_frame, from_mapping, read_mat, read_numpy
from thalweg.training.columns import Table, did_you_mean
from thalweg.training.delimited import connect, fetch, read_delimited

__all__ = ["Table", "read_table", "write_table"]


def read_table(source: Any, *, delimiter: str | None = None, header: bool | None = None) -> Table:
    """Read a table from a file or from memory.

    Parameters
    ----------
    source : path, array, mapping of arrays, dataframe or Table
        A path is read by its ending: ``.parquet``, ``.npy``, ``.npz``, ``.mat``; anything else is
        text with a delimiter. An array has samples as rows.
    delimiter : str, optional
        One character that divides the fields of a text file; found by looking if not given.
    header : bool, optional
        Whether the first line of a text file names the columns; found by looking if not given.

    Returns
    -------
    Table
        Columns as ``float64``, ``bool`` or ``object`` arrays, with ``notes`` on what was decided.

    Raises
    ------
    DataError
        If there is no table to be had; the message names the file, the place and the remedy.
    OptionError
        If `delimiter` is not one character.

    Examples
    --------
    >>> read_table(np.eye(3)).names
    ('x1', 'x2', 'x3')
    >>> read_table({"height": [1.2, 0.7], "kind": ["oak", "fern"]})["kind"]
    array(['oak', 'fern'], dtype=object)
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
        raise OptionError(
            "delimiter={delimiter!r} is not one character such as ',' or ';'.", delimiter=delimiter
        )
    if isinstance(source, Table):
        return source
    if isinstance(source, str | os.PathLike):
        return _read_file(Path(source), os.fspath(source), delimiter, header)
    if isinstance(source, Mapping):
        return from_mapping(source, "the mapping")
    if isinstance(source, list | tuple):
        try:
            source = np.asarray(source)
        except ValueError:
            raise DataError("The list has rows of different lengths.") from None
    if isinstance(source, np.ndarray):
        return from_array(source, "the array")
    return from_frame(source)


def write_table(
    path: str | os.PathLike[str],
    names: Sequence[str],
    columns: Sequence[Any],
    force: bool = False,
) -> None:
    """Write columns as CSV, TSV or Parquet, by the ending of the path.

    The file is written beside its place and renamed, so that an interrupted write leaves an older
    file whole. Numbers are written with as many digits as bring back the same number.

    Parameters
    ----------
    path : path
        Where to write; ends in ``.csv``, ``.tsv``, ``.txt`` or ``.parquet``.
    names : sequence of str
        One per column, all different.
    columns : sequence of array of shape (n,)
        Numbers, flags or texts; ``None`` and ``nan`` become empty fields.
    force : bool, default False
        Replace a file that is there already.

    Raises
    ------
    OptionError
        If the file exists and `force` is not given, or its ending is not known.
    DataError
        If names repeat, lengths differ, or the file cannot be written.

    Examples
    --------
    >>> write_table("prediction.doc", ["y"], [[1.0]])
    Traceback (most recent call last):
    ...
    thalweg.errors.OptionError: prediction.doc: tables are written as .csv, .tsv, .txt or .parquet.
    """
    path = Path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise OptionError("{path}: tables are written as .csv, .tsv, .txt or .parquet.", path=path)
    if path.exists() and not force:
        raise OptionError(
            "{path} exists already; give another name, or force (--force).", path=path
        )
    arrays = tuple(from_mapping({"c": column}, str(path)).columns[0] for column in columns)
    table = Table(tuple(names), arrays, str(path))
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            write(beside, table)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            "{path} cannot be written: {reason}.", path=path, reason=reason_of(error)
        ) from None


# --- reading -------------------------------------------------------------------------------------


def _read_file(path: Path, source: str, delimiter: str | None, header: bool | None) -> Table:
    path = path.expanduser()
    if not path.exists():
        raise _no_such_file(path, source)
    if path.is_dir():
        raise DataError("{source} is a folder; give a file in it.", source=source)
    reader = _READERS.get(path.suffix.lower())
    try:
        if reader is None:
            return read_delimited(path, source, delimiter, header)
        return reader(path, source)
    except OSError as error:
        raise DataError(
            "{source} cannot be read: {reason}.", source=source, reason=reason_of(error)
        ) from None


def _no_such_file(path: Path, source: str) -> DataError:
    """The error for a missing file, with the nearest name in its folder."""
    if not path.parent.is_dir():
        return DataError(
            "{source} does not exist: there is no folder {folder!r}.",
            source=source,
            folder=str(path.parent),
        )
    files = [str(entry) for entry in path.parent.iterdir() if entry.is_file()]
    return DataError(
        "{source} does not exist.{hint}", source=source, hint=did_you_mean(str(path), files)
    )


def _read_parquet(path: Path, source: str) -> Table:
    import glob

    import duckdb

    with connect() as connection:
        try:
            connection.execute(
                "CREATE TEMP TABLE source AS SELECT * FROM "
                "read_parquet(?, hive_partitioning=false)",
                [glob.escape(str(path))],
            )
        except duckdb.Error as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(
                "{source} cannot be read as Parquet: {reason}.", source=source, reason=reason
            ) from None
        described = connection.execute("DESCRIBE source").fetchall()
        columns = fetch(connection, [_as_column(name, kind) for name, kind, *_ in described])
    table = Table(tuple(name for name, *_ in described), columns, source)
    if len(table) == 0:
        raise DataError(
            "{source} has {count} columns but no rows.", source=source, count=len(table.names)
        )
    return table


def _as_column(name: str, kind: str) -> str:
    """The SQL that turns a column of this type into numbers, flags or texts."""
    quoted = '"' + name.replace('"', '""') + '"'
    if kind == "BOOLEAN":
        return quoted
    if kind.startswith(_NUMERIC):
        return f"CAST({quoted} AS DOUBLE)"
    return f"nullif(CAST({quoted} AS VARCHAR), '')"


_NUMERIC = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    *("FLOAT", "DOUBLE", "DECIMAL"),
)

_READERS: dict[str, Callable[[Path, str], Table]] = {
    ".parquet": _read_parquet,
    ".npy": read_numpy,
    ".npz": read_numpy,
    ".mat": read_mat,
}


# --- writing -------------------------------------------------------------------------------------


def _write_csv(path: Path, table: Table, delimiter: str = ",") -> None:
    fields = [[_field(value) for value in column.tolist()] for column in table.columns]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(table.names)
        writer.writerows(zip(*fields, strict=True))


def _field(value: float | bool | str | None) -> str:
    """The shortest text that reads back as the value; whole numbers without a point."""
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value).lower() if isinstance(value, bool) else value


def _write_tsv(path: Path, table: Table) -> None:
    _write_csv(path, table, "\t")


def _write_parquet(path: Path, table: Table) -> None:
    types = {"f": "DOUBLE", "b": "BOOLEAN", "O": "VARCHAR"}
    quoted = [name.replace('"', '""') for name in table.names]
    selected = ", ".join(
        f'CAST(c{i} AS {types[column.dtype.kind]}) AS "{name}"'
        for i, (name, column) in enumerate(zip(quoted, table.columns, strict=True))
    )
    with connect() as connection:
        connection.register("source", {f"c{i}": c for i, c in enumerate(table.columns)})
        target = str(path).replace("'", "''")
        connection.execute(f"COPY (SELECT {selected} FROM source) TO '{target}' (FORMAT parquet)")


_WRITERS: dict[str, Callable[[Path, Table], None]] = {
    ".csv": _write_csv,
    ".txt": _write_csv,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
}
