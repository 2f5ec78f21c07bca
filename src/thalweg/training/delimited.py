r"""Text tables (CSV, TSV and relatives): look first, then let DuckDB read.

*Looking* settles the dialect on the first hundred records: the encoding (UTF-8, with or without
BOM, UTF-16 by its BOM, otherwise CP949), the delimiter (the one that splits the first record and
the following ones alike) and whether there is a header. *Reading* then leaves nothing to guess:
DuckDB gets the dialect and the number of columns, so that a ragged line is an error with a line
number, never a reason to skip lines or to try another dialect.

A column whose values are all numbers becomes numbers, all true/false becomes flags, anything else
text. Decimal commas are read where they can be nothing else (`decimals`). Where numbers are
expected, the tokens of `MISSING` stand for "no value"; in a column of texts only an empty field
does, because "NA" or "none" may well be a category.

Examples
--------
>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "plants.csv"
...     _ = path.write_text("kind;height\nfern;0.5\noak;21\n", encoding="utf-8")
...     table = read_delimited(path, "plants.csv")
>>> table["height"]
array([ 0.5, 21. ])
"""

import csv
import glob
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError
from thalweg.phrases import Phrase
from thalweg.training.columns import Column, Table, listed
from thalweg.training.decimals import begins_decimals, read_commas
from thalweg.training.values import MISSING, is_number

if TYPE_CHECKING:
    import duckdb

__all__ = ["connect", "fetch", "read_delimited"]

_DELIMITERS = ",;\t|"
_SAMPLE = 100
_CHUNK = 1 << 20
_BINARY = {
    b"PK\x03\x04": Phrase("a zip archive or an Excel workbook: save the sheet as CSV"),
    b"\xd0\xcf\x11\xe0": Phrase("an old Excel workbook: save the sheet as CSV"),
    b"\x1f\x8b": Phrase("compressed with gzip: unpack it first"),
    b"PAR1": Phrase("a Parquet file: name it .parquet"),
    b"\x93NUMPY": Phrase("a NumPy array: name it .npy"),
}
_BOMS = {
    b"\xef\xbb\xbf": ("utf-8-sig", Phrase("UTF-8 with BOM")),
    b"\xff\xfe": ("utf-16", "UTF-16"),
    b"\xfe\xff": ("utf-16", "UTF-16"),
}


@dataclass(frozen=True)
class _Text:
    """A text file whose encoding is known: every character of it has been decoded once."""

    path: Path
    source: str
    encoding: str
    lines: int
    plain: bool  # UTF-8 with one kind of line ending: DuckDB can read the file as it is
    notes: tuple[str, ...]

    def open(self) -> IO[str]:
        return self.path.open(encoding=self.encoding, newline=None)


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    header: bool
    names: tuple[str, ...]


def read_delimited(
    path: Path, source: str, delimiter: str | None = None, header: bool | None = None
) -> Table:
    """Read a text table.

    Parameters
    ----------
    path : Path
        An existing file.
    source : str
        How error messages call it.
    delimiter : str, optional
        One character; found by looking if not given.
    header : bool, optional
        Whether the first record names the columns; found by looking if not given.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file is empty, binary, in no known encoding, ragged, has only a header, names
        two columns alike, or is split by another delimiter than the one given.
    """
    text = _decode(path, source)
    dialect = _look(text, delimiter, header)
    columns, commas = _read(text, dialect)
    rows = len(columns[0])
    if rows == 0:
        raise DataError(
            "{source} has a header ({count} columns) but no rows. Add one line per sample.",
            source=source,
            count=len(columns),
        )
    notes = text.notes
    if not dialect.header:
        notes += (
            Phrase(
                "no header line: columns are named {names}, ...", names=", ".join(dialect.names[:2])
            ),
        )
    if commas:
        names = listed(dialect.names[i] for i in commas)
        notes += (Phrase("decimal commas are read as decimal points in {names}", names=names),)
    return Table(dialect.names, columns, source, notes, lines=_line_numbers(text, dialect, rows))


# --- looking -------------------------------------------------------------------------------------


def _decode(path: Path, source: str) -> _Text:
    """Find an encoding in which the whole file can be read."""
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        raise DataError(
            "{source} is empty. Write a header line and one line per sample.", source=source
        )
    for magic, what in _BINARY.items():
        if start.startswith(magic):
            raise DataError("{source} is {what}.", source=source, what=what)
    marked = [known for bom, known in _BOMS.items() if start.startswith(bom)]
    for encoding, name in marked or [("utf-8", ""), ("cp949", "CP949")]:
        try:
            lines, endings = _survey(path, source, encoding)
        except UnicodeDecodeError:
            continue
        plain = encoding.startswith("utf-8") and isinstance(endings, str)
        return _Text(
            path,
            source,
            encoding,
            lines,
            plain,
            (Phrase("read as {name}", name=name),) if name else (),
        )
    raise _undecodable(path, source)


def _survey(path: Path, source: str, encoding: str) -> tuple[int, str | tuple[str, ...] | None]:
    """Count the lines of a text file and name its line endings, decoding all of it."""
    lines, last = 0, ""
    with path.open(encoding=encoding, newline=None) as file:
        while chunk := file.read(_CHUNK):
            if "\0" in chunk:
                raise DataError(
                    "{source} is not a text file (it holds NUL characters).", source=source
                )
            lines += chunk.count("\n")
            last = chunk
        return lines + (not last.endswith("\n")), file.newlines


def _undecodable(path: Path, source: str) -> DataError:
    """The error for text in an unknown encoding, with the first line that is not UTF-8."""
    with path.open("rb") as file:
        for line, data in enumerate(file, 1):
            if line == 1 and data[:2] in _BOMS:
                break
            try:
                data.decode("utf-8")
            except UnicodeDecodeError as error:
                return DataError(
                    "{source} is neither UTF-8 nor CP949 text: byte 0x{byte:02x} in "
                    "line {line} does not decode. Save it as UTF-8.",
                    source=source,
                    byte=data[error.start],
                    line=line,
                )
    return DataError(
        "{source} begins as UTF-16 text but does not decode. Save it as UTF-8.", source=source
    )


def _records(text: _Text, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a file and the lines they begin on; a blank line is a record of no fields."""
    with text.open() as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
        line = 1
        try:
            for record in reader:
                yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            raise csv.Error(
                Phrase("line {line}: {error}", line=line, error=_csv_reason(error))
            ) from None


def _sample(text: _Text, delimiter: str) -> list[list[str]]:
    """The first records that hold anything; fewer where the quoting is broken."""
    found: list[list[str]] = []
    with suppress(csv.Error):  # reading will name the line
        found.extend(islice((r for _, r in _records(text, delimiter) if r), _SAMPLE))
    return found


def _look(text: _Text, delimiter: str | None, header: bool | None) -> _Dialect:
    """Settle delimiter, header and names."""
    samples = {d: _sample(text, d) for d in (delimiter or _DELIMITERS)}

    def agreement(d: str) -> tuple[int, int]:
        widths = [len(record) for record in samples[d]] or [1]
        return (widths.count(widths[0]) if widths[0] > 1 else 0), widths[0]

    best = max(samples, key=agreement)
    for other in (d for d in samples if d != best):  # "1,5;2,5" is split alike at either sign
        alike = agreement(other)[0] == agreement(best)[0] > 0
        if best == "," and alike and _commas_are_decimals(samples[other]):
            best = other
            break
    records = samples[best]
    if not records:
        raise _broken(text, best, 0)
    first = records[0]
    if len(first) == 1:
        _refuse_other_delimiter(text.source, best, records)
    if header is None:
        header = _is_header(first, records[1:])
    if header:
        names = [name.strip() or f"column{i}" for i, name in enumerate(first, 1)]
    else:
        names = [f"x{i}" for i in range(1, len(first) + 1)]
    return _Dialect(best, header, tuple(names))


def _commas_are_decimals(records: list[list[str]]) -> bool:
    """Whether all commas below the first record begin the decimals of numbers."""
    fields = [field for record in records[1:] for field in record if "," in field]
    return bool(fields) and all(begins_decimals(field) for field in fields)


def _refuse_other_delimiter(source: str, delimiter: str, records: list[list[str]]) -> None:
    """A single column whose first records all hold another delimiter is no single column."""
    for other in _DELIMITERS:
        if all(other in record[0] for record in records[:3]):
            remedy = (
                Phrase("remove the quotes around whole lines")
                if other == delimiter
                else Phrase(
                    "its fields seem to be divided by {other!r}; give that delimiter", other=other
                )
            )
            raise DataError(
                "{source} has only one column, {name!r}, when split at {delimiter!r}: {remedy}.",
                source=source,
                name=records[0][0],
                delimiter=delimiter,
                remedy=remedy,
            )


def _is_header(first: list[str], others: list[list[str]]) -> bool:
    """A header has no number in it, or a name above a column of numbers (as in ``year,2024``)."""
    if not any(_is_number(field) for field in first):
        return not all(field.strip().lower() in MISSING for field in first)

    def is_name(j: int) -> bool:
        if _is_number(first[j]) or first[j].strip().lower() in MISSING:
            return False
        below = [r[j] for r in others if j < len(r) and r[j].strip().lower() not in MISSING]
        return bool(below) and all(_is_number(field) for field in below)

    return any(is_name(j) for j in range(len(first)))


def _is_number(field: str) -> bool:
    return is_number(field) or begins_decimals(field)


# --- reading -------------------------------------------------------------------------------------


def _read(text: _Text, dialect: _Dialect) -> tuple[tuple[Column, ...], list[int]]:
    """All columns, and which had decimal commas; broken quotes and ragged lines are named."""
    import duckdb

    with connect() as connection, _file(text) as path:
        fields = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(dialect.names)))
        try:
            connection.execute(
                f"CREATE TEMP TABLE source AS SELECT * FROM read_csv(?, columns={{{fields}}}, "
                "auto_detect=false, delim=?, header=?, quote='\"', escape='\"', strict_mode=true, "
                "hive_partitioning=false, compression='none')",
                [glob.escape(str(path)), dialect.delimiter, dialect.header],
            )
        except duckdb.Error as error:
            raise _broken(text, dialect.delimiter, len(dialect.names), str(error)) from None
        return _typed(connection, len(dialect.names))


@contextmanager
def _file(text: _Text) -> Iterator[Path]:
    """A file with the text in UTF-8."""
    if text.plain:
        yield text.path
        return
    with tempfile.TemporaryDirectory(prefix="thalweg-") as folder:
        path = Path(folder) / "table.csv"
        with text.open() as old, path.open("w", encoding="utf-8", newline="\n") as new:
            while chunk := old.read(_CHUNK):
                new.write(chunk)
        yield path


def _typed(
    connection: "duckdb.DuckDBPyConnection", width: int
) -> tuple[tuple[Column, ...], list[int]]:
    """Decide each text column's kind by counting, then fetch it as that kind."""
    counts = ", ".join(f"count(c{i}), count(TRY_CAST(c{i} AS DOUBLE))" for i in range(width))
    row = connection.execute(f"SELECT {counts} FROM source").fetchone() or ()
    plain = [fields == numbers for fields, numbers in zip(row[::2], row[1::2], strict=True)]
    names = [f"c{i}" for i in range(width)]
    commas = read_commas(connection, names, [names[i] for i in range(width) if not plain[i]])
    selected = [
        f"TRY_CAST(c{i} AS DOUBLE)" if plain[i] else _with_slips(connection, f"c{i}")
        for i in range(width)
    ]
    return fetch(connection, selected), [names.index(c) for c in commas]


def _with_slips(connection: "duckdb.DuckDBPyConnection", column: str) -> str:
    """The SQL for a column in which some fields are no numbers."""
    tokens = ", ".join(f"'{token}'" for token in MISSING)
    row = connection.execute(
        "SELECT count(*), count(n), count(*) FILTER (t IN ('true', 'false')) "
        f"FROM (SELECT lower(trim({column})) AS t, TRY_CAST({column} AS DOUBLE) AS n FROM source) "
        f"WHERE t NOT IN ({tokens})"
    ).fetchone()
    present, numbers, flags = row or (0, 0, 0)
    if present == numbers:
        return f"TRY_CAST({column} AS DOUBLE)"
    if present == flags:
        return f"TRY_CAST(trim({column}) AS BOOLEAN)"
    return f"nullif(trim({column}), '')"


def connect() -> "duckdb.DuckDBPyConnection":
    """A database in memory that shows no progress bar and downloads nothing."""
    import duckdb

    connection = duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    connection.execute("SET enable_progress_bar = false")
    return connection


def fetch(connection: "duckdb.DuckDBPyConnection", selected: list[str]) -> tuple[Column, ...]:
    """Columns of the table ``source``, by one SQL expression each (number, flag or text)."""
    aliased = ", ".join(f"{expression} AS v{i}" for i, expression in enumerate(selected))
    arrays = connection.execute(f"SELECT {aliased} FROM source").fetchnumpy()
    return tuple(_unmasked(arrays[f"v{i}"]) for i in range(len(selected)))


def _unmasked(array: Any) -> Column:
    """A column without a mask: ``nan`` or ``None`` where DuckDB has NULL."""
    mask, data = np.ma.getmaskarray(array), np.ma.getdata(array)
    if data.dtype == np.bool_ and not mask.any():
        return cast("Column", data)
    data = data.astype(np.object_ if data.dtype == np.object_ else np.float64)
    data[mask] = None if data.dtype == np.object_ else np.nan
    return cast("Column", data)


# --- lines ---------------------------------------------------------------------------------------


def _line_numbers(text: _Text, dialect: _Dialect, rows: int) -> NDArray[np.int64] | None:
    """The line on which each row begins, or None where it cannot be told."""
    if text.lines == rows + dialect.header:  # one line per row: the rule
        return np.arange(1, rows + 1, dtype=np.int64) + dialect.header
    starts = []
    try:
        for line, record in _records(text, dialect.delimiter):
            if record or len(dialect.names) == 1:
                starts.append(line)
    except csv.Error:
        return None
    starts = starts[dialect.header :]
    return np.array(starts, dtype=np.int64) if len(starts) == rows else None


def _broken(text: _Text, delimiter: str, width: int, reason: str = "") -> DataError:
    """Say where a file stops being a table: the first ragged line or the quote left open."""
    ragged: list[tuple[int, int]] = []
    try:
        for line, record in _records(text, delimiter):
            if record and len(record) != width:
                ragged.append((line, len(record)))
    except csv.Error as error:
        return DataError(
            "{source} cannot be read from {error}. Close every quote and double those "
            "inside a field.",
            source=text.source,
            error=error.args[0],
        )
    if not ragged or width == 0:
        detail = (
            reason.strip().splitlines()[0]
            if reason.strip()
            else Phrase("it holds only blank lines")
        )
        return DataError(
            "{source} cannot be read as a table: {detail}.", source=text.source, detail=detail
        )
    return DataError(
        "{source} has {count} line{s} with another number of fields than the first line: line "
        "{line} has {found}, the first has {width} (split at {delimiter!r}). Quote fields that "
        "contain the delimiter, or fill in what is missing.{advice}",
        source=text.source,
        count=len(ragged),
        s="s" * (len(ragged) != 1),
        line=ragged[0][0],
        found=ragged[0][1],
        width=width,
        delimiter=delimiter,
        advice=Phrase(" If another delimiter is meant, give it.") if width == 1 else "",
    )


def _csv_reason(error: csv.Error) -> Phrase:
    """What Python's reader says about quotes, in words that can be translated."""
    if "unexpected end" in str(error):
        return Phrase("unexpected end of data")
    return Phrase("a quote is neither closed nor doubled")
