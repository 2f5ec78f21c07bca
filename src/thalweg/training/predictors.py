"""Input columns and the numbers they become: a number stays, a category becomes indicators.

Each input column of a table has one small record that was fitted on the training rows: a
`NumberColumn` gives one column of the matrix, a `CategoryColumn` one indicator (0 or 1) per
category, called ``colour=red``.

Examples
--------
>>> table = Table(("colour",), (np.array(["red", "blue", "red"], object),))
>>> column = CategoryColumn("colour", ("blue", "red"))
>>> column.features
('colour=blue', 'colour=red')
>>> column.encode(table)
array([[0., 1.],
       [1., 0.],
       [0., 1.]])
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, ModelFileError, OptionError, suggest
from thalweg.phrases import Phrase
from thalweg.training import records
from thalweg.training.columns import Table, did_you_mean, listed
from thalweg.training.scaling import SCALINGS
from thalweg.training.values import as_numbers, as_texts, is_missing, looks_numeric

__all__ = [
    "CategoryColumn",
    "InputColumn",
    "NumberColumn",
    "Preparation",
    "dropped_because",
    "fit_column",
    "input_column_from_json",
    "refuse_missing",
]

MISSING_RULES = ("refuse", "mean", "median", "drop")
UNKNOWN_RULES = ("refuse", "zeros")

_FEW_TEXTS = 20


@dataclass(frozen=True)
class Preparation:
    """What to do with columns that are not plain numbers, and how to scale.

    Parameters
    ----------
    missing : {"refuse", "mean", "median", "drop"}
        Missing numbers are refused, filled with the training rows' mean or median, or their rows
        are left out (`prepare` does so, before rows are divided). A missing text is filled with
        the most frequent one. A missing target is never filled.
    unknown : {"refuse", "zeros"}
        A category that was not learned is refused, or is none of the known ones (all zeros).
    scaling : {"standard", "minmax", "none"}
        Scaling of numeric inputs and of regression targets. Indicators stay 0 and 1.
    categorical : collection of str
        Numeric columns to treat as categories.

    Raises
    ------
    OptionError
        If a word is not known.
    """

    missing: str = "refuse"
    unknown: str = "refuse"
    scaling: str = "standard"
    categorical: Collection[str] = ()

    def __post_init__(self) -> None:
        known: dict[str, Collection[str]] = {
            "missing": MISSING_RULES,
            "unknown": UNKNOWN_RULES,
            "scaling": tuple(SCALINGS),
        }
        for option, words in known.items():
            found = getattr(self, option)
            if found not in words:
                raise OptionError(
                    "{option}={found!r} is not known.{hint}",
                    option=option,
                    found=found,
                    hint=suggest(str(found), words),
                )


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers.

    Parameters
    ----------
    name : str
    fill : float or None
        What stands in for a missing value; None refuses one.
    """

    name: str
    fill: float | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the matrix columns it becomes."""
        return (self.name,)

    def encode(self, table: Table) -> NDArray[np.float64]:
        """Values of shape (n, 1)."""
        values = as_numbers(table, self.name)
        if self.fill is not None:
            values = np.where(np.isfinite(values), values, self.fill)
        return values[:, np.newaxis]

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {"kind": "number", "name": self.name, "fill": self.fill}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        record = records.fields(data, "input column", kind=str, name=str, fill=float | int | None)
        fill = record["fill"]
        return cls(record["name"], None if fill is None else float(fill))


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories.

    Parameters
    ----------
    name : str
    categories : tuple of str
        The categories of the training rows, in alphabetical order.
    unseen : tuple of str
        Further ones of the same table, outside its training rows; encoded as none of the known.
    unknown : {"refuse", "zeros"}
        What to do with any other.
    fill : str or None
        What stands in for a missing value; None refuses one.
    """

    name: str
    categories: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    unknown: str = "refuse"
    fill: str | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the matrix columns it becomes."""
        return tuple(f"{self.name}={category}" for category in self.categories)

    def encode(self, table: Table) -> NDArray[np.float64]:
        """Indicators of shape (n, number of categories)."""
        known = {category: i for i, category in enumerate(self.categories)}
        indicators = np.zeros((len(table), len(known)))
        for row, text in enumerate(as_texts(table[self.name])):
            category = self.fill if text is None else text
            if category is None:
                continue  # refuse_missing names all of these at once
            if category in known:
                indicators[row, known[category]] = 1.0
            elif self.unknown == "refuse" and category not in self.unseen:
                raise DataError(
                    "{source}: column {name!r}, {place}: {text!r} is not a category the "
                    "model knows.{hint} Known: {names}. Correct it, or fit with "
                    "unknown=zeros.",
                    source=table.source,
                    name=self.name,
                    place=table.place(row),
                    text=text,
                    hint=did_you_mean(str(text), known),
                    names=listed(known),
                )
        return indicators

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {
            "kind": "category",
            "name": self.name,
            "categories": list(self.categories),
            "unseen": list(self.unseen),
            "unknown": self.unknown,
            "fill": self.fill,
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        record = records.fields(
            data,
            "input column",
            kind=str,
            name=str,
            categories=list,
            unseen=list,
            unknown=str,
            fill=str | None,
        )
        name, fill, unknown = record["name"], record["fill"], record["unknown"]
        categories = records.texts(record["categories"], f"categories of {name!r}")
        unseen = records.texts(record["unseen"], f"categories of {name!r}")
        if unknown not in UNKNOWN_RULES or not (fill is None or fill in categories):
            raise ModelFileError(
                "input column {name!r}: unknown={unknown!r}, fill={fill!r}.",
                name=name,
                unknown=unknown,
                fill=fill,
            )
        return cls(name, categories, unseen, unknown, fill)


InputColumn = NumberColumn | CategoryColumn

_READERS: Mapping[str, Callable[[object], InputColumn]] = {
    "number": NumberColumn.from_json,
    "category": CategoryColumn.from_json,
}


def input_column_from_json(data: object) -> InputColumn:
    """Read the record of either kind of column."""
    return records.chosen(data, "input column", _READERS)


# --- fitting -------------------------------------------------------------------------------------


def refuse_missing(table: Table, names: Sequence[str], remedy: str) -> None:
    """Raise a DataError that counts the missing values of these columns, if there are any."""
    found = {name: np.flatnonzero(is_missing(table[name])) for name in names}
    found = {name: rows for name, rows in found.items() if len(rows)}
    if not found:
        return
    name, rows = next(iter(found.items()))
    infinite = table[name].dtype == np.float64 and np.isinf(table[name][rows]).any()
    others = [other for other in found if other != name]
    also = Phrase(" (missing values too in: {names})", names=listed(others)) if others else ""
    raise DataError(
        "{source}: column {name!r} has {count} missing {infinite}value{s}: "
        "{places}{also}. {remedy}",
        source=table.source,
        name=name,
        count=len(rows),
        infinite=Phrase("or infinite ") if infinite else "",
        s="s" * (len(rows) != 1),
        places=table.places(rows),
        also=also,
        remedy=remedy,
    )


def dropped_because(table: Table, name: str, train: NDArray[np.int64]) -> Phrase | None:
    """Why nothing can be learned from an input column, or None if something can."""
    column = table[name]
    if is_missing(column).all():
        return Phrase("column {name!r} is empty: left out", name=name)
    present = column[train][~is_missing(column[train])]
    if not len(present):
        return Phrase("column {name!r} is empty in the training rows: left out", name=name)
    if np.all(present == present[0]):
        only = as_texts(present[:1])[0]
        return Phrase(
            "column {name!r} is constant in the training rows (always {only}): left out",
            name=name,
            only=only,
        )
    if column.dtype != np.object_ or looks_numeric(column):
        return None
    values = set(present.tolist())
    if len(values) > max(_FEW_TEXTS, len(present) / 2):
        return Phrase(
            "column {name!r} has {count} different texts in {rows} training rows, as names have: "
            "left out",
            name=name,
            count=len(values),
            rows=len(present),
        )
    return None


def fit_column(
    table: Table, name: str, train: NDArray[np.int64], preparation: Preparation
) -> InputColumn:
    """The record of an input column, from its training rows."""
    column = table[name]
    filled = preparation.missing in ("mean", "median")
    if name not in preparation.categorical and looks_numeric(column):
        if not filled:
            return NumberColumn(name)
        values = as_numbers(table, name)[train]
        middle = np.median if preparation.missing == "median" else np.mean
        return NumberColumn(name, float(middle(values[np.isfinite(values)])))
    texts = as_texts(column)
    counts = Counter(text for text in texts[train] if text is not None)
    categories = tuple(sorted(counts))
    unseen = tuple(sorted({text for text in texts if text is not None} - set(categories)))
    fill = max(categories, key=lambda category: counts[category]) if filled else None
    return CategoryColumn(name, categories, unseen, preparation.unknown, fill)
