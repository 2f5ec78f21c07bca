"""What was typed about tables and networks, as the rest of thalweg takes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from thalweg.cli.orders import Training
from thalweg.errors import OptionError

if TYPE_CHECKING:
    from thalweg.training.columns import Table
    from thalweg.training.encoding import Preparation

__all__ = [
    "class_weight_of",
    "delimiter_of",
    "hidden_layers",
    "preparation_of",
    "table_of",
    "target_of",
]


def delimiter_of(text: str | None) -> str | None:
    r"""A delimiter as it is typed: ``tab`` and ``\t`` are the tab."""
    return "\t" if text in ("tab", "\\t") else text


def table_of(order: Training) -> Table:
    """The table, without the columns that are to be left out.

    Raises
    ------
    DataError
        If the table cannot be read, or lacks a target.
    """
    from thalweg.training.tables import read_table

    table = read_table(order.data, delimiter=delimiter_of(order.delimiter))
    for name in order.target:
        table[name]
    return table.without(order.without or ())


def target_of(order: Training) -> str | list[str]:
    """The target's name, or the names of several."""
    return order.target[0] if len(order.target) == 1 else order.target


def preparation_of(order: Training, unknown: str = "refuse") -> Preparation:
    """What is done about gaps, categories and units."""
    from thalweg.training.encoding import Preparation

    return Preparation(order.missing, unknown, order.scale, tuple(order.categorical or ()))


def class_weight_of(order: Training) -> dict[str, float] | str | None:
    """How much each class counts, from ``"balanced"`` or ``"malignant=3,benign=1"``.

    Raises
    ------
    OptionError
        If the text is neither.
    """
    text = order.class_weight
    if text is None or text.strip() == "balanced":
        return text and text.strip()
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = (word.strip() for word in part.rpartition("="))
        twice = name in weights
        try:
            weights[name] = float(weight)
        except ValueError:
            name = ""
        if not name or twice:
            raise OptionError(
                "--class-weight {text!r} are no weights: write --class-weight balanced, or a "
                "number for classes, such as --class-weight=yes=3,no=1.",
                text=text,
            )
    return weights


def hidden_layers(text: str | None) -> tuple[int, ...] | None:
    """The hidden layers from ``"20,20"``; ``"none"`` or ``"0"`` is a network without any.

    Raises
    ------
    OptionError
        If the text is no list of layers.

    Examples
    --------
    >>> hidden_layers("20, 10"), hidden_layers("none")
    ((20, 10), ())
    """
    if text is None:
        return None
    if text.strip().lower() in ("none", "0", ""):
        return ()
    if not re.fullmatch(r"\s*[1-9]\d{0,5}(\s*[,xX]\s*[1-9]\d{0,5})*\s*", text):
        raise OptionError(
            "--hidden {text!r} is no list of layers: write neurons per layer, such as "
            "--hidden 20 or --hidden 20,20, or none.",
            text=text,
        )
    return tuple(int(number) for number in re.findall(r"\d+", text))
