"""Classes, and whether a target has any: the rule that tells regression from classification.

A class is known by its text, so that ``1`` read from CSV as 1.0 and ``1`` in a column of integers
are one class; it is given back in the type it came in.

Examples
--------
>>> labels = ClassLabels.of(np.array([3.0, 1.0, 1.0]))
>>> labels.values
(1, 3)
>>> labels.decode(np.array([1, 0]))
array([3, 1])
>>> decide_task(np.array(["ill", "well", "ill"], object))
('classification', 'text target with 2 different values: classification')
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, ModelFileError
from thalweg.phrases import Phrase
from thalweg.training import records
from thalweg.training.columns import Column, Table, did_you_mean, listed
from thalweg.training.values import as_texts, is_missing, is_number, looks_numeric

__all__ = ["ClassLabels", "Task", "decide_task"]

Task = Literal["regression", "classification"]

_MANY = 20  # integers with more different values than this are a quantity
_ROWS_PER_CLASS = 10

_VALUES: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {"int": int, "float": float, "bool": lambda text: text == "true", "str": str}
)
_DTYPES = {"int": np.int64, "float": np.float64, "bool": np.bool_, "str": np.object_}


@dataclass(frozen=True)
class ClassLabels:
    """The classes of a target in order, and the type they came in.

    Parameters
    ----------
    kind : {"int", "float", "bool", "str"}
        Type in which `decode` gives classes back.
    texts : tuple of str
        One text per class; numbers in ascending order, texts in alphabetical.
    """

    kind: str
    texts: tuple[str, ...]

    @classmethod
    def of(cls, column: Column) -> Self:
        """All classes of a column without missing values."""
        if column.dtype == np.bool_:
            kind = "bool"
        elif column.dtype == np.object_:
            kind = "str"
        else:
            whole = np.all((np.mod(column, 1.0) == 0) & (np.abs(column) < 2**53))
            kind = "int" if whole else "float"
        return cls(kind, tuple(sorted(set(as_texts(column).tolist()), key=_VALUES[kind])))

    @property
    def values(self) -> tuple[Any, ...]:
        """The classes in the type they came in."""
        return tuple(_VALUES[self.kind](text) for text in self.texts)

    def indices(self, table: Table, name: str) -> NDArray[np.int64]:
        """The class of every row of a column, as indices from 0.

        Raises
        ------
        DataError
            If a row has a class that is not known.
        """
        known = {text: i for i, text in enumerate(self.texts)}
        found = as_texts(table[name])
        for row, text in enumerate(found):
            if text not in known:
                hint = did_you_mean(str(text), self.texts)
                raise DataError(
                    "{source}: target {name!r}, {place}: {text!r} is not a class the "
                    "model knows.{hint} Known: {names}.",
                    source=table.source,
                    name=name,
                    place=table.place(row),
                    text=text,
                    hint=hint,
                    names=listed(self.texts),
                )
        return np.array([known[text] for text in found], np.int64)

    def decode(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Classes by index, as ``int64``, ``float64``, ``bool`` or ``object`` (`str`)."""
        return np.array(self.values, _DTYPES[self.kind])[indices]

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {"kind": self.kind, "texts": list(self.texts)}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        record = records.fields(data, "classes", kind=str, texts=list)
        kind, texts = record["kind"], records.texts(record["texts"], "classes")
        if kind not in _VALUES or len(texts) < 2:
            raise ModelFileError(
                "classes: {count} classes of kind {kind!r} make no sense.",
                count=len(texts),
                kind=kind,
            )
        labels = cls(kind, texts)
        try:
            column: Column = np.array(labels.values, np.float64 if kind == "int" else _DTYPES[kind])
            proper = not is_missing(column).any() and cls.of(column) == labels
        except (ValueError, OverflowError):
            proper = False
        if not proper:
            raise ModelFileError(
                "classes: {names} are not ordered {kind!r} classes.", names=listed(texts), kind=kind
            )
        return labels


def decide_task(column: Column) -> tuple[Task, Phrase]:
    """Whether a target asks for regression or classification, and a sentence that says why.

    Texts and flags are classes, numbers with fractions a quantity. Whole numbers are classes if
    there are 2 of them, or at most 20 and at least 10 rows for each on average.

    Parameters
    ----------
    column : array of shape (n,)
        The target; missing values are passed over.

    Returns
    -------
    task : {"regression", "classification"}
    sentence : str

    Examples
    --------
    >>> decide_task(np.arange(214.0))
    ('regression', 'integer target with 214 different values: regression')
    >>> decide_task(np.array([0.5, 1.0]))
    ('regression', 'target with fractions: regression')
    """
    if column.dtype == np.bool_:
        return "classification", Phrase("true/false target: classification")
    present = column[~is_missing(column)]
    if column.dtype == np.object_ and not looks_numeric(column):
        different = len(set(present))
        return "classification", Phrase(
            "text target with {count} different values: classification", count=different
        )
    if column.dtype == np.object_:
        present = np.array([float(v) for v in present if is_number(v)], np.float64)
    different = len(np.unique(present))
    if np.any(np.mod(present, 1.0) != 0):
        return "regression", Phrase("target with fractions: regression")
    if different == 2:
        return "classification", Phrase("integer target with 2 different values: classification")
    if different <= _MANY and different * _ROWS_PER_CLASS <= len(present):
        return "classification", Phrase(
            "integer target with {count} different values in {rows} rows: classification",
            count=different,
            rows=len(present),
        )
    few = Phrase(" in only {rows} rows", rows=len(present)) if different <= _MANY else ""
    return "regression", Phrase(
        "integer target with {count} different values{few}: regression", count=different, few=few
    )
