"""``thalweg info``: what is in a model file, or in a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.table import Table as Grid
from rich.text import Text

from thalweg.cli.given import delimiter_of
from thalweg.cli.orders import Info
from thalweg.cli.paths import is_model_file, size_in_words
from thalweg.cli.screen import Screen, to_json

if TYPE_CHECKING:
    from thalweg.training.columns import Table
    from thalweg.training.model import Model

__all__ = ["run"]

MOST_COLUMNS = 40


def run(screen: Screen, order: Info) -> None:
    """Say what a file holds.

    Parameters
    ----------
    screen : Screen
    order : Info
    """
    if is_model_file(Path(order.file)):
        _model_file(screen, order.file, order.json)
    else:
        _table_file(screen, order.file, delimiter_of(order.delimiter), order.json)


# -- a model ---------------------------------------------------------------------------------------
def _model_file(screen: Screen, file: str, json: bool) -> None:
    from thalweg.io.container import read_container
    from thalweg.training.model_file import load
    from thalweg.training.summary import summary_rows

    model = load(file)
    made_by = str(read_container(file)[1].get("thalweg", "?"))
    if json:
        screen.write(to_json(_model_record(model, file, made_by)) + "\n")
        return
    size = size_in_words(Path(file))
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in summary_rows(model, screen.lang):
        grid.add_row(Text(name), Text(text.removeprefix("Network ")))
    kept = ", ".join([*model.snapshots, "end"])
    grid.add_row(Text(screen.say("info_snapshots")), Text(kept))
    title = screen.say("info_model", file=file, size=size, version=made_by)
    screen.show(Text(title, style="bold"), "", grid, "", _inputs(screen, model))


def _inputs(screen: Screen, model: Model) -> Grid:
    """The columns that the model takes, and what they become."""
    say, encoding = screen.say, model.encoding
    grid = _grid()
    for key in ("info_column", "info_role", "info_becomes"):
        grid.add_column(say(key))
    grid.add_column(say("info_scaling"), overflow="fold")
    scalings = iter(_scalings(screen, encoding.input_scaling))
    for column in encoding.columns[:MOST_COLUMNS]:
        becomes = len(column.features)
        inner = [next(scalings, "") for _ in column.features]
        categories = ", ".join(f.partition("=")[2] for f in column.features)
        number = column.features == (column.name,)
        told = inner[0] if number else categories
        kind = say("kind_number") if number else say("info_indicators", count=becomes)
        grid.add_row(column.name, say("role_input"), kind, told)
    if len(encoding.columns) > MOST_COLUMNS:
        grid.add_row("...", "", "", say("info_more", count=len(encoding.columns) - MOST_COLUMNS))
    targets = iter(_scalings(screen, encoding.target_scaling))
    for name in encoding.names:
        classes = ", ".join(map(str, model.classes or ()))
        kind = say("info_classes") if classes else say("kind_number")
        told = classes or next(targets, "")
        grid.add_row(Text(name, style="bold"), say("role_target"), kind, told)
    for name in encoding.dropped:
        grid.add_row(Text(name, style="dim"), say("role_dropped"), "", "")
    return grid


def _scalings(screen: Screen, scaling: Any) -> list[str]:
    """For each column, how it is scaled."""
    record = scaling.to_json()
    if record["kind"] == "none":
        return []
    first, second = (key for key in record if key != "kind")
    pairs = zip(record[first], record[second], strict=True)
    low, high = screen.say(f"info_{first}"), screen.say(f"info_{second}")
    return [f"{low} {a:.4g}, {high} {b:.4g}" for a, b in pairs]


def _model_record(model: Model, file: str, made_by: str) -> dict[str, Any]:
    origin = model.origin
    return {
        "model": file,
        "thalweg": made_by,
        "network": model.network.to_json(),
        "loss": str(model.loss),
        "encoding": model.encoding.to_json(),
        "method": origin.method,
        "settings": dict(origin.settings),
        "split": {
            "made": origin.split.made,
            "seed": origin.split.seed,
            **{part: len(rows) for part, rows in origin.split.parts().items()},
        },
        "figures": {part: dict(figures) for part, figures in origin.figures.items()},
        "stop": {"kind": origin.stop.kind, "sentence": origin.stop.sentence("en")},
        "epochs": len(origin.history),
        "kept_epoch": origin.kept_epoch,
        "snapshots": list(model.snapshots),
    }


# -- a table ---------------------------------------------------------------------------------------
def _table_file(screen: Screen, file: str, delimiter: str | None, json: bool) -> None:
    from thalweg.training.tables import read_table

    table = read_table(file, delimiter=delimiter)
    described = [_described(table, name) for name in table.names]
    if json:
        record = {"data": file, "rows": len(table), "columns": described, "notes": table.notes}
        screen.write(to_json(record) + "\n")
        return
    say = screen.say
    grid = _grid()
    grid.add_column(say("info_column"), overflow="fold")
    grid.add_column(say("info_kind"))
    for key in ("info_missing", "info_different", "info_low", "info_mean", "info_high"):
        grid.add_column(say(key), justify="right")
    for facts in described[:MOST_COLUMNS]:
        numbers = [facts[key] for key in ("low", "mean", "high")]
        shown = ["" if n is None else f"{n:.4g}" for n in numbers]
        missing = Text(str(facts["missing"] or ""), style="yellow")
        kind, different = say(f"kind_{facts['kind']}"), str(facts["different"])
        grid.add_row(facts["name"], kind, missing, different, *shown)
    if len(described) > MOST_COLUMNS:
        grid.add_row(say("info_more", count=len(described) - MOST_COLUMNS), *[""] * 6)
    columns = len(table.names)
    title = say("report_title", data=file, rows=len(table), columns=columns)
    screen.show(Text(title, style="bold"), "", grid)
    for note in table.notes:
        screen.show(Text(f"• {screen.said(note)}", style="dim"))


def _described(table: Table, name: str) -> dict[str, Any]:
    """Facts of one column."""
    from thalweg.training.values import is_missing

    column = table[name]
    gone = is_missing(column)
    present: Any = column[~gone]
    kind = {"f": "number", "b": "flag"}.get(column.dtype.kind, "text")
    facts: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "missing": int(gone.sum()),
        "different": len(set(present.tolist())),
        **dict.fromkeys(("low", "mean", "high")),
    }
    if kind == "number" and present.size:
        with np.errstate(over="ignore"):
            facts |= {
                "low": float(present.min()),
                "mean": float(present.mean()),
                "high": float(present.max()),
            }
    return facts


def _grid() -> Grid:
    return Grid(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
