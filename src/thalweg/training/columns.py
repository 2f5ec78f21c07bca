"""A table: named columns of numbers, flags or texts that know where in their source they lie.

A column is one NumPy array of one of three kinds:

========  ===================  ===================
kind      dtype                missing values are
========  ===================  ===================
numbers   ``float64``          ``nan``
flags     ``bool``             (never)
texts     ``object`` of `str`  ``None``
========  ===================  ===================

Rows are counted from 1 wherever a person reads them, and a row of a text file also says its line,
which differs as soon as there is a header, a blank line or a line break between quotes.

Examples
--------
>>> import numpy as np
>>> table = Table(("dose", "outcome"), (np.array([1.5, 2.0]), np.array(["ill", "well"], object)))
>>> table
Table(the table: 2 rows × 2 columns)
>>> table["dose"]
array([1.5, 2. ])
>>> table.place(0)
'row 1'
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, nearest
from thalweg.phrases import Phrase, joined

__all__ = ["Column", "Table", "did_you_mean", "listed"]

Column = NDArray[np.float64] | NDArray[np.bool_] | NDArray[np.object_]
"""The values of one column: numbers, flags or texts."""

_LISTED = 12


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Named columns of equal length, and where they come from.

    Parameters
    ----------
    names : tuple of str
        The columns' names, all different.
    columns : tuple of array
        One array of shape (n,) per name: ``float64``, ``bool`` or ``object`` (`str` or ``None``).
    source : str
        What the table was read from, as the user wrote it; it opens every error message.
    notes : tuple of str
        What reading decided that the user should know, such as "read as CP949".
    rows : array of int, shape (n,), optional
        Number of each row in the source, from 1; by default 1, 2, ..., n.
    lines : array of int, shape (n,), optional
        Line of the source file on which each row begins, from 1.

    Raises
    ------
    DataError
        If there is no column, names repeat, or lengths differ.
    """

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    source: str = Phrase("the table")
    notes: tuple[str, ...] = ()
    rows: NDArray[np.int64] | None = None
    lines: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if not self.names:
            raise DataError(
                "{source} has no columns; a table needs at least one.", source=self.source
            )
        repeated = [name for name, count in Counter(self.names).items() if count > 1]
        if repeated:
            where = [str(i) for i, name in enumerate(self.names, 1) if name == repeated[0]]
            raise DataError(
                "{source} has more than one column named {names} ({first!r} is column "
                "{places}). Give every column its own name.",
                source=self.source,
                names=listed(repeated),
                first=repeated[0],
                places=joined(where),
            )
        lengths = {name: len(c) for name, c in zip(self.names, self.columns, strict=True)}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
            raise DataError(
                "{source} has columns of different lengths: {found}.",
                source=self.source,
                found=found,
            )

    def __len__(self) -> int:
        return len(self.columns[0])

    def __repr__(self) -> str:
        return f"Table({self.source}: {len(self)} rows × {len(self.names)} columns)"

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Column:
        """The column of this name; a DataError that lists the columns if there is none."""
        if name not in self.names:
            raise _unknown_column(self, name)
        return self.columns[self.names.index(name)]

    def place(self, index: int) -> Phrase:
        """Where a person finds the row with this index: ``"row 3 (line 4)"``."""
        row = index + 1 if self.rows is None else self.rows[index]
        if self.lines is None:
            return Phrase("row {row}", row=row)
        return Phrase("row {row} (line {line})", row=row, line=self.lines[index])

    def places(self, indices: Sequence[int] | NDArray[np.int64], limit: int = 3) -> Phrase:
        """The first few of these rows as text: ``"row 3 (line 4), row 9 (line 10), ..."``."""
        more = ["..."] * (len(indices) > limit)
        return joined([*(self.place(int(i)) for i in indices[:limit]), *more], "{left}, {right}")

    def take(self, indices: NDArray[np.int64]) -> "Table":
        """The rows with these indices, which keep the row and line numbers of their source."""
        numbers = np.arange(1, len(self) + 1) if self.rows is None else self.rows
        return replace(
            self,
            columns=tuple(column[indices] for column in self.columns),
            rows=numbers[indices],
            lines=None if self.lines is None else self.lines[indices],
        )

    def without(self, names: Iterable[str]) -> "Table":
        """The table less these columns, each of which must exist."""
        left_out = set(names)
        for name in left_out:
            if name not in self.names:
                raise _unknown_column(self, name)
        kept = [i for i, name in enumerate(self.names) if name not in left_out]
        return replace(
            self,
            names=tuple(self.names[i] for i in kept),
            columns=tuple(self.columns[i] for i in kept),
        )

    def noting(self, *notes: str) -> "Table":
        """The same table with these notes added."""
        return replace(self, notes=self.notes + notes)


def listed(names: Iterable[Any]) -> Phrase:
    """The first dozen names as text, and how many there are beyond them.

    Examples
    --------
    >>> listed(["age", "dose"])
    "'age', 'dose'"
    """
    known = list(names)
    text = ", ".join(repr(name) for name in known[:_LISTED])
    if len(known) > _LISTED:
        return Phrase("{names}, ... ({count} in all)", names=text, count=len(known))
    return Phrase("{names}", names=text)


def did_you_mean(found: str, known: Iterable[str]) -> Phrase:
    """The nearest of the known words as a sentence to append, or nothing if none is near.

    Examples
    --------
    >>> did_you_mean("prise", ["price", "area"])
    " Did you mean 'price'?"
    """
    near = nearest(found, known)
    return Phrase("") if near is None else Phrase(" Did you mean {name!r}?", name=near)


def _unknown_column(table: Table, name: str) -> DataError:
    """The error for a column that the table does not have: the nearest one and the list."""
    return DataError(
        "{source} has no column {name!r}.{hint} Its columns: {names}.",
        source=table.source,
        name=name,
        hint=did_you_mean(name, table.names),
        names=listed(table.names),
    )
