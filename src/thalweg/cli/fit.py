"""``thalweg fit``: a table in, a trained network out, and a report that says how good it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from thalweg.cli.failures import DIVERGED, INTERRUPTED, complain
from thalweg.cli.interruption import Interruption
from thalweg.cli.paths import size_in_words, writable
from thalweg.cli.progress import LiveProgress
from thalweg.cli.screen import Screen, to_json
from thalweg.errors import OptionError

if TYPE_CHECKING:
    from thalweg.training.columns import Table
    from thalweg.training.model import Model

__all__ = ["Order", "run"]

TRAINING = ("epochs", "batch_size", "learning_rate", "patience", "goal", "time_limit")


@dataclass(frozen=True)
class Order:
    """What was asked for; see the options of the same names."""

    data: str
    target: list[str]
    task: str | None
    without: list[str] | None
    categorical: list[str] | None
    missing: str
    unknown: str
    scale: str
    split: str
    delimiter: str | None
    seed: int
    hidden: str | None
    activation: str | None
    loss: str | None
    l1: float
    l2: float | None
    method: str
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    schedule: str
    patience: int | None
    goal: float | None
    time_limit: float | None
    snapshots: str | None
    engine: str
    output: str | None
    force: bool
    json: bool

    @property
    def path(self) -> Path:
        """Where the model is written: beside nothing else, in the present folder."""
        return Path(self.output or f"{Path(self.data).stem}.thalweg")


def run(screen: Screen, order: Order) -> None:
    """Train, report, write.

    Parameters
    ----------
    screen : Screen
    order : Order
    """
    if order.json:
        screen.quiet = True
    path = writable(order.path, order.force, order.data)

    table = _table(screen, order)
    with Interruption(lambda count: _told(screen, count)) as interruption:
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
    if stop == "diverged":
        complain(screen, model.stop.sentence(screen.lang))
        raise typer.Exit(DIVERGED)


def _told(screen: Screen, count: int) -> None:
    """Answer Ctrl-C at once; with plain writes, since it may come at any moment."""
    key = "interrupted_noted" if count == 1 else "interrupted_given_up"
    screen.interject(screen.say(key))


def _table(screen: Screen, order: Order) -> Table:
    """The table, without the columns that are to be left out."""
    with LiveProgress(screen, screen.say("progress_data", data=order.data)):
        from thalweg.training.tables import read_table

        table = read_table(order.data, delimiter=_delimiter(order.delimiter))
        for name in order.target:
            table[name]
        return table.without(order.without or ())


def _train(screen: Screen, order: Order, table: Table, interruption: Interruption) -> Model:
    what = screen.say("progress_data", data=order.data)
    with LiveProgress(screen, what, order.time_limit) as progress:
        from thalweg.training.encoding import Preparation
        from thalweg.training.tabular import Design, fit_table

        return fit_table(
            table,
            order.target[0] if len(order.target) == 1 else order.target,
            task=order.task,
            design=Design(_hidden(order.hidden), order.activation, order.loss, order.l1, order.l2),
            method=order.method,
            split=order.split,
            seed=order.seed,
            preparation=Preparation(
                order.missing, order.unknown, order.scale, tuple(order.categorical or ())
            ),
            engine=order.engine,
            callbacks=(progress, interruption),
            **_options(order),
        )


def _options(order: Order) -> dict[str, Any]:
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
        raise OptionError(f"--snapshots {text!r} are no epochs: write --snapshots 1,10,100.")
    return tuple(sorted({0, *(int(number) for number in re.findall(r"\d+", text or ""))}))


def _hidden(text: str | None) -> tuple[int, ...] | None:
    """The hidden layers from ``"20,20"``; ``"none"`` or ``"0"`` is a network without any.

    Examples
    --------
    >>> _hidden("20, 10"), _hidden("none")
    ((20, 10), ())
    """
    if text is None:
        return None
    if text.strip().lower() in ("none", "0", ""):
        return ()
    if not re.fullmatch(r"\s*[1-9]\d{0,5}(\s*[,xX]\s*[1-9]\d{0,5})*\s*", text):
        raise OptionError(
            f"--hidden {text!r} is no list of layers: write neurons per layer, such as "
            "--hidden 20 or --hidden 20,20, or none."
        )
    return tuple(int(number) for number in re.findall(r"\d+", text))


def _delimiter(text: str | None) -> str | None:
    r"""A delimiter as it is typed: ``tab`` and ``\t`` are the tab."""
    return "\t" if text in ("tab", "\\t") else text


def _report(screen: Screen, order: Order, table: Table, model: Model, path: Path) -> None:
    from thalweg.cli.fit_report import as_record, brief, report

    if order.json:
        screen.write(to_json(as_record(model, order, table, path)) + "\n")
    elif screen.quiet:
        screen.show(Text(brief(screen, model, path)))
    else:
        screen.show(*report(screen, model, table, order))
        written = screen.say("written", path=path, size=size_in_words(path))
        screen.show(Text(written, style="bold green"), *_next(screen, order, path))


def _next(screen: Screen, order: Order, path: Path) -> list[Text]:
    """What to type now."""
    lines = [Text("\n" + screen.say("next"), style="dim")]
    for key in ("next_predict", "next_explain"):
        lines.append(Text("  " + screen.say(key, model=_quoted(path), data=_quoted(order.data))))
    return lines


def _quoted(path: str | Path) -> str:
    """A path as a shell takes it."""
    text = str(path)
    return text if re.fullmatch(r"[\w./\\:~+-]+", text) else f'"{text}"'
