"""The training record: which rows did what, and what happened in every epoch.

The names are those of MATLAB's ``tr``; indices count from 0, as arrays do.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import OptionError, suggest

__all__ = ["Shown", "TrainingRecord", "curves"]

COLUMNS = ("epoch", "perf", "vperf", "tperf", "gradient", "mu", "val_fail", "time")
COLOURS = ("#1f77b4", "#2ca02c", "#d62728")
WIDTH, HEIGHT = 420, 160
WORDS = {"perf": "training", "vperf": "validation", "tperf": "test"}


@dataclass(repr=False)
class TrainingRecord:
    """What happened while a network was trained.

    Attributes
    ----------
    train_ind, val_ind, test_ind : array of int
        The rows of X that trained, said when to stop, and judged; validation and test rows may
        be none.
    rows : list of dict
        One for every epoch, the start included as epoch 0: ``epoch``; ``perf``, ``vperf`` and
        ``tperf``, the loss of training, validation and test rows; ``gradient``, its norm; ``mu``,
        the damping of Levenberg-Marquardt; ``val_fail``, epochs since the validation loss was
        lowest; ``time`` in seconds. nan where a method has no such thing. ``record["perf"]`` is a
        column.
    best_epoch : int
        Whose weights are kept.
    method, stop : str
        What trained, and why it stopped.

    Examples
    --------
    >>> record = TrainingRecord(np.arange(3), np.arange(0), np.arange(0), method="lm")
    >>> record.add(epoch=0, perf=2.0)
    >>> record.add(epoch=1, perf=0.5)
    >>> record["perf"], record.num_epochs
    (array([2. , 0.5]), 1)
    """

    train_ind: NDArray[np.int64]
    val_ind: NDArray[np.int64]
    test_ind: NDArray[np.int64]
    method: str = ""
    rows: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    stop: str = ""

    def add(self, **figures: float) -> None:
        """Append an epoch; what is not said is nan."""
        self.rows.append({name: float(figures.get(name, math.nan)) for name in COLUMNS})

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """One figure of all epochs, shape (num_epochs + 1,)."""
        if name not in COLUMNS:
            raise OptionError(
                "a training record has no {name!r}.{hint}", name=name, hint=suggest(name, COLUMNS)
            )
        return np.array([row[name] for row in self.rows])

    @property
    def num_epochs(self) -> int:
        """The number of epochs, the start not counted."""
        return max(0, len(self.rows) - 1)

    def best(self, name: str) -> float:
        """A figure at the best epoch."""
        return float(self[name][self.best_epoch])

    @property
    def best_perf(self) -> float:
        """The loss of the training rows, at the best epoch."""
        return self.best("perf")

    @property
    def best_vperf(self) -> float:
        """The loss of the validation rows, at the best epoch."""
        return self.best("vperf")

    @property
    def best_tperf(self) -> float:
        """The loss of the test rows, at the best epoch."""
        return self.best("tperf")

    def _lines(self) -> list[tuple[str, str]]:
        counts = [len(i) for i in (self.train_ind, self.val_ind, self.test_ind)]
        figures = {WORDS[name]: self.best(name) for name in WORDS if self.rows}
        return [
            ("method", self.method),
            ("rows", "{} training, {} validation, {} test".format(*counts)),
            ("epochs", f"{self.num_epochs}, best {self.best_epoch}"),
            ("loss", ", ".join(f"{k} {v:.4g}" for k, v in figures.items() if v == v)),
            ("stopped", self.stop),
        ]

    def __repr__(self) -> str:
        return "\n".join(f"{name:>8}: {text}" for name, text in self._lines())

    def _repr_html_(self) -> str:
        body = "".join(
            f"<tr><th>{name}</th><td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in self._lines()
        )
        losses = {WORDS[name]: self[name] for name in WORDS}
        return f"<table>{body}</table>{curves(losses, self.best_epoch)}"


def curves(losses: Mapping[str, NDArray[np.float64]], best: int | None = None) -> str:
    """Losses over the epochs on a logarithmic scale, as SVG.

    Parameters
    ----------
    losses : mapping of str to array of shape (epochs,)
        By what they are losses of; all of one length.
    best : int, optional
        An epoch to mark.

    Returns
    -------
    str
        Empty where there is nothing to draw.
    """
    last = max(len(values) for values in losses.values()) - 1
    shown = [values[(values > 0) & (values < math.inf)] for values in losses.values()]
    positive = np.log10(np.concatenate(shown))
    if last < 1 or not positive.size:
        return ""
    low, span = float(positive.min()), float(np.ptp(positive)) or 1.0

    def place(number: int, value: float) -> str:
        share = (math.log10(value) - low) / span
        return f"{WIDTH * number / last:.1f},{(HEIGHT - 10) * (1.0 - share) + 5.0:.1f}"

    lines = []
    for (name, values), colour in zip(losses.items(), COLOURS, strict=False):
        drawn = [place(k, float(v)) for k, v in enumerate(values) if 0 < v < math.inf]
        if drawn:
            lines.append(
                f"<polyline fill='none' stroke='{colour}' stroke-width='1.5' "
                f"points='{' '.join(drawn)}'><title>{name} loss</title></polyline>"
            )
    if best is not None:
        x = f"{WIDTH * best / last:.1f}"
        lines.append(f"<line x1='{x}' x2='{x}' y1='0' y2='{HEIGHT}' stroke='#999'/>")
    label = f"loss by epoch, from {10**low:.3g} to {10 ** (low + span):.3g}"
    return (
        f"<svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label='{label}'>"
        f"<title>{label}</title>{''.join(lines)}</svg>"
    )


class Shown:
    """Adds what training left behind to the HTML that scikit-learn shows of an estimator."""

    def _left_behind(self) -> str:
        """The HTML to add; nothing before the fit."""
        return ""

    def _repr_html_inner(self) -> str:
        return str(super()._repr_html_inner()) + self._left_behind()  # type: ignore[misc]

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**options)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] += self._left_behind()
        return bundle
