"""The picture of a race: training loss against time, and against iterations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thalweg.errors import OptionError

if TYPE_CHECKING:
    from thalweg.training.compare import Comparison

__all__ = ["FORMATS", "check_plot", "draw"]

FORMATS = (".png", ".svg", ".pdf")
STYLES = ("-", "--", "-.", ":")


def check_plot(path: str | Path) -> Path:
    """The path of a picture that can be drawn, asked before there is anything to draw.

    Raises
    ------
    OptionError
        If matplotlib is not installed, or the file's ending is not known.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise OptionError(
            "{path} is no picture: give it one of the endings {names}.",
            path=path,
            names=", ".join(FORMATS),
        )
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise OptionError(
            "Plots need matplotlib, which is not installed: pip install 'thalweg[plot]'."
        ) from None
    return path


def draw(race: Comparison, path: str | Path) -> None:
    """Draw a race into a file.

    Raises
    ------
    OptionError
        As `check_plot`.
    """
    path = check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.0), layout="constrained")
    by_time, by_step = figure.subplots(1, 2, sharey=True)
    ran = [entry for entry in race.entries if entry.model is not None]
    for index, entry in enumerate(ran):
        assert entry.model is not None
        style = {"linestyle": STYLES[index // 10 % len(STYLES)], "color": f"C{index % 10}"}
        losses, seconds = entry.losses, entry.model.history["seconds"]
        marker = "o" if len(losses) == 1 else None
        by_time.plot(seconds, losses, label=entry.method, marker=marker, **style)
        by_step.plot(np.arange(1, len(losses) + 1), losses, marker=marker, **style)
    positive = all(np.all(entry.losses > 0.0) for entry in ran)
    by_time.set(ylabel="training loss", yscale="log" if positive else "symlog")
    by_time.set(xlabel="seconds", xscale="log")
    by_step.set(xlabel="iterations", xscale="log")
    for axes in (by_time, by_step):
        axes.grid(alpha=0.3)
    if ran:
        by_time.legend()
    figure.savefig(path, dpi=150)
