"""``thalweg predict``: a column of predictions for every row of a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from thalweg.cli.fit_report import FIGURES, digits
from thalweg.cli.given import delimiter_of
from thalweg.cli.orders import Predict
from thalweg.cli.paths import refuse_swapped, writable
from thalweg.cli.screen import Screen, to_json
from thalweg.errors import DataError

if TYPE_CHECKING:
    from thalweg.training.columns import Table
    from thalweg.training.model import Model

__all__ = ["run"]


def run(screen: Screen, order: Predict) -> None:
    """Predict, and write a table.

    Parameters
    ----------
    screen : Screen
    order : Predict
    """
    from thalweg.training.model_file import load
    from thalweg.training.tables import read_table, write_table

    inputs = (order.model, order.data)
    path = None if order.output is None else writable(order.output, order.force, *inputs)
    refuse_swapped("predict", order.model, order.data)
    model = load(order.model)
    table = read_table(order.data, delimiter=delimiter_of(order.delimiter))
    columns = predictions(model, table, order.probabilities)
    if order.append:
        columns = _beside(table, columns)
    if path is not None:
        write_table(path, list(columns), list(columns.values()), force=order.force)
    elif order.json:
        screen.write(to_json({name: column.tolist() for name, column in columns.items()}) + "\n")
    else:
        screen.write(as_csv(columns))
    _remarks(screen, order, model, table)
    if path is not None:
        screen.note(Text(screen.say("written_table", path=path, rows=len(table))))


def predictions(model: Model, table: Table, probabilities: bool) -> dict[str, Any]:
    """Columns by name: the targets, and the probability of every class.

    Parameters
    ----------
    model : Model
    table : Table
    probabilities : bool

    Returns
    -------
    dict of str to array of shape (rows,)
    """
    found = model.predict(table)
    names = model.encoding.names
    wide = found.reshape(len(table), -1)
    columns: dict[str, Any] = {name: wide[:, i] for i, name in enumerate(names)}
    if probabilities:
        shares = model.predict_proba(table).astype(np.float64)
        columns |= {name: shares[:, i] for i, name in enumerate(model.encoding.outputs)}
    return columns


def _beside(table: Table, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The table's own columns, and predictions as ``<target>_predicted``."""
    own: dict[str, Any] = dict(zip(table.names, table.columns, strict=True))
    for name, column in columns.items():
        told = name if "=" in name else f"{name}_predicted"
        if told in own:
            raise DataError(
                "{source} has a column {told!r} already; rename it, or leave out --append.",
                source=table.source,
                told=told,
            )
        own[told] = column
    return own


def as_csv(columns: Mapping[str, Any]) -> str:
    """Columns as CSV text, with digits that bring back the same numbers.

    Examples
    --------
    >>> print(as_csv({"y": np.array([1.0, 0.5])}), end="")
    y
    1
    0.5
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*(column.tolist() for column in columns.values()), strict=True):
        writer.writerow([_cell(value) for value in row])
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def _remarks(screen: Screen, order: Predict, model: Model, table: Table) -> None:
    """Notes on stderr; also how good the predictions are, where the table knows the truth."""
    extra = [note for note in model.encoding.notes(table) if note]
    for note in (*table.notes, *extra):
        screen.note(Text(f"{order.data}: {screen.said(note)}", style="dim"))
    if not all(name in table for name in model.encoding.names):
        return
    try:
        figures = model.evaluate(table)
    except DataError:
        return  # the targets are not all there: predictions are what was asked for
    said = ", ".join(
        f"{screen.say('figure_' + name)} {digits(name, figures[name])}"
        for name in FIGURES
        if name in figures
    )
    screen.note(Text(screen.say("predict_figures", rows=len(table), figures=said)))
