"""What the values of a column mean: numbers, texts that are numbers with slips, or nothing.

Reading keeps a column as texts as soon as one value is no number. Whether that one value is a slip
in a column of numbers, or the column holds categories, is asked here, where the column is used.

Examples
--------
>>> column = np.array(["1.5", "2", "x", "3", "4", "na"], object)
>>> looks_numeric(column)
True
>>> is_missing(column)
array([False, False, False, False, False,  True])
"""

import re

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError
from thalweg.phrases import Phrase, joined
from thalweg.training.columns import Column, Table

__all__ = [
    "MISSING",
    "MOSTLY",
    "as_numbers",
    "as_texts",
    "is_missing",
    "is_number",
    "looks_numeric",
]

MISSING = ("", "na", "n/a", "nan", "#n/a", "null", "none", "?", "-", ".")
"""What stands for a missing number, in lower case."""

MOSTLY = 0.8
"""A column of texts with this share of numbers is a column of numbers with slips."""
_COMMAS = re.compile(r"[+-]?\d+(,\d+)+(\.\d+)?")


def is_number(text: str) -> bool:
    """Whether a text reads as a number (an infinity does, a missing value does not).

    Examples
    --------
    >>> is_number(" 1e-3 "), is_number("1,5"), is_number("nan")
    (True, False, False)
    """
    try:
        return not np.isnan(float(text))
    except ValueError:
        return False


def looks_numeric(column: Column) -> bool:
    """Whether a column is meant to hold numbers: nearly all of its values read as such.

    Examples
    --------
    >>> looks_numeric(np.array(["1", "2", "3", "4,000", "n.a."], object))
    True
    """
    if column.dtype != np.object_:
        return True
    found = [text for text in column if not _is_token(text)]
    numeric = sum(is_number(text) or bool(_COMMAS.fullmatch(text.strip())) for text in found)
    return bool(found) and numeric >= MOSTLY * len(found)


def is_missing(column: Column) -> NDArray[np.bool_]:
    """Which values of a column are missing.

    Of numbers, ``nan`` and the infinities (no mean, scaling or network survives one); of texts,
    ``None``, and where the texts look numeric, the tokens of `MISSING` too.

    Examples
    --------
    >>> is_missing(np.array([1.0, np.nan, np.inf]))
    array([False,  True,  True])
    """
    if column.dtype != np.object_:
        return ~np.isfinite(column)
    tokens = looks_numeric(column)
    gone = (_is_token(text) if tokens else text is None for text in column)
    return np.fromiter(gone, np.bool_, len(column))


def as_texts(column: Column) -> NDArray[np.object_]:
    """A column as texts: ``1.0`` is ``"1"``, `True` is ``"true"``, a missing value ``None``.

    Examples
    --------
    >>> as_texts(np.array([1.0, 2.5, np.nan]))
    array(['1', '2.5', None], dtype=object)
    """
    texts = np.empty(len(column), np.object_)
    if column.dtype == np.object_:
        texts[:] = column
    else:
        texts[:] = [_text(value) for value in column.tolist()]
        texts[is_missing(column)] = None
    return texts


def as_numbers(table: Table, name: str) -> NDArray[np.float64]:
    """A column as numbers, ``nan`` where one is missing.

    Raises
    ------
    DataError
        If there are texts among the values; the first ones and their rows are named.

    Examples
    --------
    >>> table = Table(("age",), (np.array(["41", "4O", "39"], object),), "people.csv")
    >>> as_numbers(table, "age")
    Traceback (most recent call last):
    ...
    thalweg.errors.DataError: people.csv: column 'age' should hold numbers, but 1 of 3 values is
    text: row 2 '4O'. Correct it, or leave it empty and choose missing=mean, median or drop.
    """
    column = table[name]
    if column.dtype != np.object_:
        return column.astype(np.float64)
    texts = ["" if _is_token(text) else text for text in column]
    wrong = [i for i, text in enumerate(texts) if text and not is_number(text)]
    if not wrong:
        return np.array([float(text or "nan") for text in texts], np.float64)
    shown = joined(
        [Phrase("{place} {text!r}", place=table.place(i), text=texts[i]) for i in wrong[:3]],
        "{left}, {right}",
    )
    them = "it" if len(wrong) == 1 else "them"
    if all(_COMMAS.fullmatch(texts[i].strip()) for i in wrong):
        remedy = Phrase("Write numbers without thousands commas and with a decimal point.")
    else:
        remedy = Phrase(
            "Correct {them}, or leave {them} empty and choose missing=mean, median or drop.",
            them=them,
        )
    raise DataError(
        "{source}: column {name!r} should hold numbers, but {count} of {all} values "
        "{are} text: {shown}{more}. {remedy}",
        source=table.source,
        name=name,
        count=len(wrong),
        all=len(texts),
        are="is" if len(wrong) == 1 else "are",
        shown=shown,
        more=Phrase(", ...") if len(wrong) > 3 else "",
        remedy=remedy,
    )


def _is_token(text: str | None) -> bool:
    return text is None or text.strip().lower() in MISSING


def _text(value: float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if value.is_integer() else repr(value)
