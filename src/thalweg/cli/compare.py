"""``thalweg compare``: methods raced on a table, from the same start and on the same rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from thalweg.cli.constraints import constraints_of
from thalweg.cli.failures import DIVERGED, INTERRUPTED, capitalised, complain
from thalweg.cli.fit_report import digits
from thalweg.cli.given import (
    class_weight_of,
    hidden_layers,
    preparation_of,
    table_of,
    target_of,
)
from thalweg.cli.interruption import Interruption
from thalweg.cli.orders import Compare
from thalweg.cli.paths import writable
from thalweg.cli.progress import LiveProgress
from thalweg.cli.screen import Screen, to_json

if TYPE_CHECKING:
    from thalweg.training.compare import Comparison, Entry

__all__ = ["run"]

TRAINING = ("epochs", "patience", "time_limit")
PARTS = ("training", "validation", "test")


def run(screen: Screen, order: Compare) -> None:
    """Race, report, draw.

    Parameters
    ----------
    screen : Screen
    order : Compare
    """
    if order.json:
        screen.quiet = True
    picture = _picture(order)
    with Interruption(screen) as interruption:
        race = _race(screen, order, interruption)
    if picture is not None:
        race.plot(picture)
    if order.json:
        screen.write(to_json({"data": order.data, "target": order.target, **race.to_json()}) + "\n")
    else:
        screen.show(*_report(screen, order, race))
        if picture is not None:
            screen.show(Text(screen.say("compare_drawn", path=picture), style="bold green"))
    ran = [entry.model for entry in race.entries if entry.model is not None]
    if not ran:
        complain(screen, screen.say("compare_none"))
        raise typer.Exit(DIVERGED)
    if ran[-1].stop.kind == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _picture(order: Compare) -> Path | None:
    """Where the plot goes, looked at before work begins."""
    if order.plot is None:
        return None
    from thalweg.training.compare_plot import check_plot

    return writable(check_plot(order.plot), order.force, order.data)


def _race(screen: Screen, order: Compare, interruption: Interruption) -> Comparison:
    what = screen.say("progress_data", data=order.data)
    with LiveProgress(screen, what, order.time_limit) as progress:
        from thalweg.training.compare import compare
        from thalweg.training.tabular import Design

        given = {name: getattr(order, name) for name in TRAINING}
        return compare(
            table_of(order),
            target_of(order),
            methods=None if order.methods is None else _names(order.methods),
            task=order.task,
            design=Design(hidden_layers(order.hidden), order.activation, order.loss, l2=order.l2),
            constraints=constraints_of(order),
            split=order.split,
            seed=order.seed,
            preparation=preparation_of(order),
            sample_weight=order.sample_weight,
            class_weight=class_weight_of(order),
            engine=order.engine,
            callbacks=(progress, interruption),
            **{name: value for name, value in given.items() if value is not None},
        )


def _names(text: str) -> list[str]:
    """The methods of ``"adam, lm"``.

    Examples
    --------
    >>> _names("adam, lm scg")
    ['adam', 'lm', 'scg']
    """
    return [name for name in re.split(r"[\s,;]+", text.strip()) if name]


# -- the report ------------------------------------------------------------------------------------
def _report(screen: Screen, order: Compare, race: Comparison) -> list[Any]:
    data, say = race.data, screen.say
    ran = [entry for entry in race.entries if entry.model is not None]
    title = say(
        "compare_title",
        data=order.data,
        rows=len(data.X),
        split=data.split.phrase.said(screen.lang),
    )
    parts: list[Any] = [Text(title, style="bold")]
    if ran and ran[0].model is not None:
        network = screen.said(ran[0].model.network.phrase)
        loss = str(ran[0].model.loss).replace("_", " ")
        parts.append(Text(say("compare_start", network=network, loss=loss), style="dim"))
        parts += ["", _times(screen, race), "", _figures(screen, ran), ""]
    for entry in race.entries:
        if entry.failure:
            parts.append(Text(f"{entry.method}: {_failure(screen, entry)}", style="yellow"))
        if entry.violation:
            unmet = say("constraints_unmet", worst=f"{entry.violation:.3g}")
            parts.append(Text(f"{entry.method}: {unmet}", style="yellow"))
    return parts


def _failure(screen: Screen, entry: Entry) -> str:
    said = screen.said(entry.failure)
    return capitalised(said) if screen.lang == "en" else said


def _grid(screen: Screen, columns: Sequence[str]) -> Grid:
    grid = Grid(
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
    )
    grid.add_column(screen.say("report_method"), no_wrap=True)
    for name in columns:
        grid.add_column(name, justify="right")
    return grid


def _times(screen: Screen, race: Comparison) -> Padding:
    """Iterations, seconds, memory, and seconds until each mark."""
    say = screen.say
    marks = [say("compare_mark", loss=_mark(mark)) for mark in race.marks]
    columns = [say(f"compare_{name}") for name in ("iterations", "seconds", "memory")]
    grid = _grid(screen, [*columns, *marks])
    firsts = [min((s for s in column if s is not None), default=None) for column in _columns(race)]
    for entry in race.entries:
        if entry.model is None:
            continue
        seconds = float(entry.model.history["seconds"][-1]) if entry.iterations else 0.0
        cells = [Text(str(entry.iterations)), Text(_seconds(seconds)), Text(_memory(entry.memory))]
        for reached, first in zip(entry.marks, firsts, strict=True):
            won = reached is not None and reached == first
            cells.append(Text(_seconds(reached), style="bold green" if won else ""))
        grid.add_row(entry.method, *cells)
    return Padding(grid, (0, 0, 0, 2))


def _columns(race: Comparison) -> list[list[float | None]]:
    return [[entry.marks[k] for entry in race.entries] for k in range(len(race.marks))]


def _figures(screen: Screen, ran: Sequence[Entry]) -> Padding:
    """R² and RMSE, or the accuracy, of each part of the rows."""
    models = [entry.model for entry in ran if entry.model is not None]
    kinds = ["accuracy"] if models[0].classes is not None else ["r2", "rmse"]
    parts = [part for part in PARTS if part in models[0].origin.figures]
    names = [(kind, part) for kind in kinds for part in parts]
    titles = [f"{screen.say('figure_' + k)}\n{screen.say('part_' + p)}" for k, p in names]
    grid = _grid(screen, titles)
    for entry, model in zip(ran, models, strict=True):
        figures = model.origin.figures
        cells = [digits(kind, figures[part].get(kind, float("nan"))) for kind, part in names]
        grid.add_row(entry.method, *cells)
    return Padding(grid, (0, 0, 0, 2))


def _mark(loss: float) -> str:
    """A mark in as few digits as it has.

    Examples
    --------
    >>> _mark(5600.0), _mark(0.029), _mark(1.3e-9)
    ('5600', '0.029', '1.3e-09')
    """
    return digits("loss", loss) if 100.0 <= loss < 1e7 else f"{loss:.2g}"


def _seconds(value: float | None) -> str:
    """Seconds as they are read.

    Examples
    --------
    >>> _seconds(0.00123), _seconds(0.01234), _seconds(75.0), _seconds(None)
    ('0.0012', '0.0123', '75.0', '-')
    """
    if value is None:
        return "-"
    if value < 0.01:
        return f"{value:.4f}"
    return f"{value:.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")


def _memory(value: int | None) -> str:
    """Bytes in megabytes.

    Examples
    --------
    >>> _memory(12_345_678), _memory(None)
    ('12.3', '-')
    """
    return "-" if value is None else f"{value / 1e6:.1f}"
