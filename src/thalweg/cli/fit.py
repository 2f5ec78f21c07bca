"""``thalweg fit``: a table in, a trained network out, and a report that says how good it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.text import Text

from thalweg.cli.constraints import constraints_of
from thalweg.cli.failures import DIVERGED, INTERRUPTED, complain
from thalweg.cli.given import (
    class_weight_of,
    hidden_layers,
    preparation_of,
    table_of,
    target_of,
)
from thalweg.cli.interruption import Interruption
from thalweg.cli.orders import Fit
from thalweg.cli.paths import size_in_words, writable
from thalweg.cli.progress import LiveProgress
from thalweg.cli.screen import Screen, to_json
from thalweg.errors import OptionError

if TYPE_CHECKING:
    from thalweg.training.columns import Table
    from thalweg.training.model import Model

__all__ = ["run"]

DAMPING = ("mu", "mu_dec", "mu_inc", "mu_max")
TRAINING = ("epochs", "batch_size", "learning_rate", "patience", "goal", "time_limit", *DAMPING)


def run(screen: Screen, order: Fit) -> None:
    """Train, report, write.

    Parameters
    ----------
    screen : Screen
    order : Fit
    """
    if order.json:
        screen.quiet = True
    path = writable(_path(order), order.force, order.data)
    with LiveProgress(screen, screen.say("progress_data", data=order.data)):
        table = table_of(order)
    with Interruption(screen) as interruption:
        model = _train(screen, order, table, interruption)
        stop = model.stop.kind
        if stop == "interrupted" and model.origin.kept_epoch == 0:
            screen.complain(Text(screen.say("interrupted_untrained")))
            raise typer.Exit(INTERRUPTED)
        model.save(path, force=order.force)
    _report(screen, order, table, model, path)
    if stop == "interrupted":
        screen.complain(Text(screen.say("interrupted_kept", path=path), style="yellow"))
        raise typer.Exit(INTERRUPTED)
    if fault := _fault(screen, model):
        complain(screen, fault)
        raise typer.Exit(DIVERGED)


def _fault(screen: Screen, model: Model) -> str:
    """Why the model is not what was asked for; nothing if it is."""
    if not model.stop.regular:
        return model.stop.sentence(screen.lang)
    worst = 0.0 if model.constraints is None else model.constraints.worst
    return screen.say("constraints_unmet", worst=f"{worst:.3g}") if worst > 0.0 else ""


def _path(order: Fit) -> Path:
    """Where the model is written: beside nothing else, in the present folder."""
    return Path(order.output or f"{Path(order.data).stem}.thalweg")


def _train(screen: Screen, order: Fit, table: Table, interruption: Interruption) -> Model:
    what = screen.say("progress_data", data=order.data)
    with LiveProgress(screen, what, order.time_limit) as progress:
        from thalweg.training.tabular import Design, fit_table

        return fit_table(
            table,
            target_of(order),
            task=order.task,
            design=Design(
                hidden_layers(order.hidden), order.activation, order.loss, order.l1, order.l2
            ),
            method=order.method,
            constraints=constraints_of(order),
            restarts=order.restarts,
            split=order.split,
            seed=order.seed,
            preparation=preparation_of(order, order.unknown),
            sample_weight=order.sample_weight,
            class_weight=class_weight_of(order),
            engine=order.engine,
            callbacks=(progress, interruption),
            **_options(order),
        )


def _options(order: Fit) -> dict[str, Any]:
    """The options of training that were given; the others are left to the method."""
    given = {name: getattr(order, name) for name in TRAINING}
    options = {name: value for name, value in given.items() if value is not None}
    return {**options, "schedule": order.schedule, "snapshots": _snapshots(order.snapshots)}


def _snapshots(text: str | None) -> tuple[int, ...]:
    """The epochs whose weights are kept: the start, and those asked for.

    Examples
    --------
    >>> _snapshots("10, 100")
    (0, 10, 100)
    """
    if text is not None and not re.fullmatch(r"\s*\d+(\s*,\s*\d+)*\s*", text):
        raise OptionError(
            "--snapshots {text!r} are no epochs: write --snapshots 1,10,100.", text=text
        )
    return tuple(sorted({0, *(int(number) for number in re.findall(r"\d+", text or ""))}))


def _report(screen: Screen, order: Fit, table: Table, model: Model, path: Path) -> None:
    from thalweg.cli.fit_report import as_record, brief, report

    if order.json:
        screen.write(to_json(as_record(model, order, table, path)) + "\n")
    elif screen.quiet:
        screen.show(Text(brief(screen, model, path)))
    else:
        screen.show(*report(screen, model, table, order))
        written = screen.say("written", path=path, size=size_in_words(path))
        screen.show(Text(written, style="bold green"), *_next(screen, order, table, model, path))


def _next(screen: Screen, order: Fit, table: Table, model: Model, path: Path) -> list[Text]:
    """What to type now: commands that work on this table, whatever is missing in it."""
    files = {"model": _quoted(path), "data": _quoted(order.data)}
    inputs = [column.name for column in model.encoding.columns if column.fill is None]
    told = ["" if _gaps(table, inputs).any() else screen.say("next_predict", **files)]
    complete = np.flatnonzero(~_gaps(table, [*inputs, *model.encoding.names]))
    if len(complete):
        told.append(screen.say("next_explain", row=complete[0] + 1, **files))
    return [Text("\n" + screen.say("next"), style="dim"), *(Text("  " + t) for t in told if t)]


def _gaps(table: Table, names: list[str]) -> NDArray[np.bool_]:
    """The rows in which one of these columns has no value."""
    from thalweg.training.values import is_missing

    gone = [is_missing(table[name]) for name in names]
    return np.logical_or.reduce(gone) if gone else np.zeros(len(table), np.bool_)


def _quoted(path: str | Path) -> str:
    """A path as a shell takes it."""
    text = str(path)
    return text if re.fullmatch(r"[\w./\\:~+-]+", text) else f'"{text}"'
