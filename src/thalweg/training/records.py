"""Strict reading of the JSON records in a model file: exact keys, exact types, finite numbers.

A record is a plain dictionary as `json.loads` gives it. What is read here may come from anywhere,
so nothing is taken on trust, and every refusal is a `ModelFileError` that names the record.

Examples
--------
>>> fields({"kind": "number", "fill": 1.5}, "column", kind=str, fill=float)
{'kind': 'number', 'fill': 1.5}
>>> fields({"kind": "number"}, "column", kind=str, fill=float)
Traceback (most recent call last):
...
thalweg.errors.ModelFileError: column: expected the keys fill, kind; found kind.
"""

import math
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, TypeVar

from thalweg.errors import ModelFileError

__all__ = ["chosen", "fields", "numbers", "texts"]

T = TypeVar("T")


def fields(data: object, where: str, **types: type | UnionType) -> dict[str, Any]:
    """The record itself, once it has exactly these keys with values of these types."""
    if not isinstance(data, dict):
        raise ModelFileError(
            "{where}: expected a record, found {found}.", where=where, found=type(data).__name__
        )
    if set(data) != set(types):
        expected, found = ", ".join(sorted(types)), ", ".join(sorted(map(str, data)))
        raise ModelFileError(
            "{where}: expected the keys {expected}; found {found}.",
            where=where,
            expected=expected,
            found=found,
        )
    for key, kind in types.items():
        value = data[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ModelFileError(
                "{where}: {key!r} is {value!r}, which is not {word}.",
                where=where,
                key=key,
                value=value,
                word=_word(kind),
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ModelFileError(
                "{where}: {key!r} is {value!r}, not a finite number.",
                where=where,
                key=key,
                value=value,
            )
    return data


def numbers(values: list[Any], where: str) -> tuple[float, ...]:
    """A list of finite numbers as floats."""
    for value in values:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ModelFileError(
                "{where}: {value!r} is not a finite number.", where=where, value=value
            )
    return tuple(float(value) for value in values)


def texts(values: list[Any], where: str) -> tuple[str, ...]:
    """A list of texts, all different."""
    for value in values:
        if not isinstance(value, str):
            raise ModelFileError("{where}: {value!r} is not a text.", where=where, value=value)
    if len(set(values)) < len(values):
        raise ModelFileError("{where}: a text is repeated.", where=where)
    return tuple(values)


def chosen(data: object, where: str, table: Mapping[str, Callable[[Any], T]]) -> T:
    """Read a record by the entry of `table` that its key ``"kind"`` names."""
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in table:
        raise ModelFileError(
            "{where}: kind {kind!r} is not one of {names}.",
            where=where,
            kind=kind,
            names=", ".join(sorted(table)),
        )
    return table[kind](data)


def _word(kind: type | UnionType) -> str:
    return getattr(kind, "__name__", str(kind))
