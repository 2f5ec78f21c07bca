"""What ``thalweg fit`` says at the end: for people, and for programs."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from thalweg.cli.failures import capitalised
from thalweg.cli.overfitting import signs_of_overfitting
from thalweg.cli.screen import Screen

if TYPE_CHECKING:
    from thalweg.cli.orders import Fit
    from thalweg.training.columns import Table
    from thalweg.training.model import Model

__all__ = ["as_record", "brief", "curve", "report"]

BLOCKS = "▁▂▃▄▅▆▇█"
CURVE, SHORT_CURVE, NARROW = 24, 8, 60
MOST_CLASSES = 12
FIGURES = ("loss", "accuracy", "r2", "rmse", "mae")


def report(screen: Screen, model: Model, table: Table, order: Fit) -> list[RenderableType]:
    """The whole report, from the table to the reason why training stopped."""
    columns = len(table.names)
    head = screen.say("report_title", data=order.data, rows=len(table), columns=columns)
    parts: list[RenderableType] = [Text(head, style="bold"), ""]
    parts += [_facts(screen, model), "", *_learning(screen, model), _figures(screen, model)]
    parts += _confusion(screen, model, table, order)
    parts += ["", *_constraints(screen, model)]
    parts.append(Text(model.stop.sentence(screen.lang) + _took(screen, model)))
    parts += _remarks(screen, model)
    parts.append("")
    return parts


def _constraints(screen: Screen, model: Model) -> list[RenderableType]:
    """What the network was held to, and how well it holds."""
    if model.constraints is None:
        return []
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in model.constraints.rows(screen.lang):
        grid.add_row(Text(name), Text(text))
    return [Text(screen.say("report_constraints"), style="dim"), Padding(grid, (0, 0, 1, 2))]


def brief(screen: Screen, model: Model, path: Path) -> str:
    """One line: the most telling figure, and where the model is."""
    part = next(p for p in ("test", "validation", "training") if p in model.origin.figures)
    figures = model.origin.figures[part]
    name = "accuracy" if "accuracy" in figures else "r2"
    return (
        f"{screen.say('part_' + part)} {screen.say('figure_' + name)} "
        f"{digits(name, figures[name])}, {path}"
    )


def digits(figure: str, value: float) -> str:
    """A figure with as many digits as tell something.

    Examples
    --------
    >>> digits("accuracy", 0.97647), digits("loss", 3391.7), digits("loss", 0.0464012)
    ('0.9765', '3392', '0.0464')
    """
    if not math.isfinite(value):
        return "-"
    if figure in ("accuracy", "r2"):
        return f"{value:.4f}"
    if 1000 <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".")


# -- what was done ---------------------------------------------------------------------------------
def _facts(screen: Screen, model: Model) -> Grid:
    """Target, rows, network, loss and method, one line each."""
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for key, text in _lines(screen, model):
        grid.add_row(Text(screen.say(f"report_{key}")), Text(text))
    return grid


def _lines(screen: Screen, model: Model) -> list[tuple[str, str]]:
    encoding, say = model.encoding, screen.say
    kinds = ", ".join(str(c) for c in (model.classes or ())[:MOST_CLASSES])
    more = ", ..." if len(model.classes or ()) > MOST_CLASSES else ""
    targets = ", ".join(encoding.names)
    columns, inputs = len(encoding.columns), len(encoding.features)
    scaling = encoding.input_scaling.to_json()["kind"]
    net = screen.said(model.network.phrase)
    key = "report_inputs_one" if inputs == columns else "report_inputs_encoded"
    return [
        ("target", f"{targets} ({kinds}{more})" if kinds else targets),
        ("task", _decision(screen, model)),
        ("input", say(key, columns=columns, inputs=inputs, scaling=say(f"scaling_{scaling}"))),
        ("rows", model.split.phrase.said(screen.lang)),
        ("network", net),
        ("loss", _objective(model)),
        ("method", _method(screen, model)),
    ]


def _decision(screen: Screen, model: Model) -> str:
    """The rule that told regression from classification, or that it was said."""
    task, several = model.encoding.task, len(model.encoding.names) > 1
    first = model.origin.notes[0] if model.origin.notes else ""
    if first.endswith(f": {task}"):
        return screen.said(first)
    key = "task_several" if several else "task_given"
    return screen.say(key, task=screen.say(f"task_{task}"))


def _objective(model: Model) -> str:
    settings = model.origin.settings
    text, sign = str(model.loss).replace("_", " "), "-" if model.loss.maximise else "+"
    if settings.get("l1"):
        text += f" {sign} {settings['l1']:.3g}·Σ|w|"
    if settings.get("l2"):
        text += f" {sign} {settings['l2']:.3g}/2·Σw²"
    return text


def _method(screen: Screen, model: Model) -> str:
    settings, parts = model.origin.settings, [model.origin.method]
    if settings.get("learning_rate"):
        rate = f"{settings['learning_rate']:g}"
        schedule = str(settings.get("schedule", "constant"))
        parts.append(screen.say("method_rate", rate=rate))
        parts += [] if schedule == "constant" else [schedule]
    if settings.get("batch_size"):
        full = settings["batch_size"] >= len(model.split.train)
        key = "method_full" if full else "method_batch"
        parts.append(screen.say(key, rows=settings["batch_size"]))
    parts.append(screen.say(f"engine_{settings.get('engine', 'numpy')}"))
    return ", ".join(parts)


# -- how it went -----------------------------------------------------------------------------------
def _learning(screen: Screen, model: Model) -> list[RenderableType]:
    """Both losses over the epochs, drawn on one scale."""
    history = model.history
    if len(history) < 2:
        return []
    curves = {"training": history["training_loss"], "validation": history["validation_loss"]}
    curves = {part: values for part, values in curves.items() if np.isfinite(values).all()}
    if not curves:
        return []
    low = min(float(values.min()) for values in curves.values())
    high = max(float(values.max()) for values in curves.values())
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=10)
    width = CURVE if screen.out.width >= NARROW else SHORT_CURVE
    grid.add_column(no_wrap=True, min_width=width)
    grid.add_column(overflow="fold")
    for part, values in curves.items():
        first, best = digits("loss", values[0]), digits("loss", values[-1])
        said = screen.say("curve", first=first, last=best)
        if part == "validation" and 0 < model.origin.kept_epoch <= len(values):
            lowest = digits("loss", values[model.origin.kept_epoch - 1])
            epoch = model.origin.kept_epoch
            said = screen.say("curve_kept", first=first, best=lowest, epoch=epoch, last=best)
        name = f"{screen.say('part_' + part)}"
        style = "cyan" if part == "training" else "magenta"
        grid.add_row(Text(name), Text(curve(values, low, high, width), style=style), Text(said))
    key = "report_learning_scaled" if _mixes_units(model) else "report_learning"
    heading = Text(screen.say(key, epochs=len(history)), style="dim")
    return [heading, Padding(grid, (0, 0, 0, 2)), ""]


def _mixes_units(model: Model) -> bool:
    """Whether the losses of the epochs are those of scaled targets: their units differ."""
    from thalweg.training.units import unit_sizes

    sizes = unit_sizes(model.encoding.target_scaling, len(model.encoding.outputs))
    return len(set(sizes.tolist())) > 1


def curve(values: ArrayLike, low: float, high: float, width: int = CURVE) -> str:
    """A curve in blocks, on a logarithmic scale where all values are positive.

    Examples
    --------
    >>> curve([8.0, 4.0, 2.0, 1.0], 1.0, 8.0, width=4)
    '█▆▃▁'
    """
    shown = np.asarray(values, np.float64)
    if len(shown) > width:
        edges = np.linspace(0, len(shown), width + 1).astype(int)
        shown = np.array([shown[a:b].mean() for a, b in pairwise(edges)])
    if low > 0:
        shown, low, high = np.log(shown), math.log(low), math.log(high)
    span = high - low or 1.0
    steps = np.clip(np.rint((shown - low) / span * (len(BLOCKS) - 1)), 0, len(BLOCKS) - 1)
    return "".join(BLOCKS[int(step)] for step in steps)


def _figures(screen: Screen, model: Model) -> Grid:
    """Training, validation and test side by side."""
    figures = model.origin.figures
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    grid.add_column("")
    least = 10 if screen.out.width >= NARROW else None
    for part in figures:
        style = "bold" if part == "test" else ""
        grid.add_column(screen.say(f"part_{part}"), justify="right", style=style, min_width=least)
    for name in FIGURES:
        if any(name in own for own in figures.values()):
            cells = [digits(name, own.get(name, math.nan)) for own in figures.values()]
            grid.add_row(screen.say(f"figure_{name}"), *cells)
    return grid


def _confusion(screen: Screen, model: Model, table: Table, order: Fit) -> list[RenderableType]:
    """How many test rows of each class were taken for which."""
    classes = model.classes
    part = next((p for p in ("test", "validation") if p in model.origin.figures), None)
    if classes is None or part is None or len(classes) > MOST_CLASSES:
        return []
    counts = confusion(model, table, order, part)
    if counts is None:
        return []
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    grid.add_column(screen.say("confusion_heading", part=screen.say(f"part_{part}")))
    for value in classes:
        grid.add_column(str(value), justify="right")
    for i, value in enumerate(classes):
        cells = [
            Text(str(n), "bold green") if i == j else Text(str(n), "red") if n else Text("·", "dim")
            for j, n in enumerate(counts[i].tolist())
        ]
        grid.add_row(str(value), *cells)
    return ["", grid]


def confusion(model: Model, table: Table, order: Fit, part: str) -> Any:
    """Counts of rows by true class (rows) and predicted class (columns)."""
    from thalweg.training.encoding import prepare
    from thalweg.training.metrics import confusion_matrix

    used = prepare(table, order.target, order.missing)
    rows = used.take(model.split.parts()[part])
    truth = model.encoding.class_indices(rows)
    classes = model.encoding.classes
    assert classes is not None
    return confusion_matrix(classes.decode(truth), model.predict(rows), model.classes)


def _took(screen: Screen, model: Model) -> str:
    seconds = model.history.epochs[-1].seconds if len(model.history) else 0.0
    return " " + screen.say("took", seconds=f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}")


def _remarks(screen: Screen, model: Model) -> list[RenderableType]:
    """What was not learned or learned by heart, and what reading and dividing noticed."""
    warnings = [*_worse_than_mean(screen, model), *overfitting_sentences(screen, model)]
    parts: list[RenderableType] = [_marked(text, "yellow") for text in warnings]
    notes = [screen.said(note) for note in model.origin.notes]
    decision = _decision(screen, model)
    parts += [_marked(note, "") for note in notes if note != decision]
    return ["", *parts] if parts else []


def _worse_than_mean(screen: Screen, model: Model) -> list[str]:
    """That a model of a quantity has learned nothing, where it has not."""
    seen = model.origin.figures["training"].get("r2", math.nan)
    return [screen.say("worse_than_mean", seen=digits("r2", seen))] if seen < 0.0 else []


def overfitting_sentences(screen: Screen, model: Model) -> list[str]:
    """What looks like learning by heart, in words."""
    said = []
    for key, values in signs_of_overfitting(model):
        figure = values.get("figure", "loss")
        spoken = {
            name: digits(figure, value) if isinstance(value, float) else value
            for name, value in values.items()
        }
        if "part" in spoken:
            spoken["part"] = screen.say("part_" + spoken["part"])
            spoken["figure"] = screen.say("figure_" + figure)
        said.append(screen.say(key, **spoken))
    return said


def _marked(text: str, style: str) -> Grid:
    """A remark behind a mark, its lines in line."""
    grid = Grid.grid(padding=(0, 1))
    grid.add_column(style=style or "dim", no_wrap=True)
    grid.add_column(overflow="fold", style=style)
    grid.add_row("!" if style else "•", Text(capitalised(text)))
    return grid


# -- for programs ----------------------------------------------------------------------------------
def as_record(model: Model, order: Fit, table: Table, path: Path) -> dict[str, Any]:
    """The report for programs."""
    import thalweg

    origin = model.origin
    screen = Screen("en")
    return {
        "thalweg": thalweg.__version__,
        "data": {"path": order.data, "rows": len(table), "columns": len(table.names)},
        "target": list(model.encoding.names),
        "classes": None if model.classes is None else list(model.classes),
        "task": model.encoding.task,
        "decision": _decision(screen, model),
        "inputs": list(model.encoding.features),
        "network": {
            "sizes": list(model.network.sizes),
            "activations": [str(layer.g) for layer in model.network.layers],
            "parameters": sum(
                math.prod(shape)
                for layer in model.network.layers
                for shape in layer.shapes.values()
            ),
        },
        "loss": str(model.loss),
        "method": origin.method,
        "settings": dict(origin.settings),
        "split": {part: len(rows) for part, rows in model.split.parts().items()},
        **{part: dict(figures) for part, figures in origin.figures.items()},
        "constraints": None if origin.constraints is None else origin.constraints.to_json(),
        "stop": {"kind": origin.stop.kind, "sentence": origin.stop.sentence("en")},
        "epochs": len(origin.history),
        "kept_epoch": origin.kept_epoch,
        "seconds": origin.history.epochs[-1].seconds if len(origin.history) else 0.0,
        "history": {name: column.tolist() for name, column in origin.history.columns().items()},
        "overfitting": overfitting_sentences(screen, model),
        "notes": list(origin.notes),
        "model": str(path),
    }
