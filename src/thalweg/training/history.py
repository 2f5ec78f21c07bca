"""What happened in each epoch: losses, gradient, learning rate, time.

Examples
--------
>>> history = History()
>>> _ = history.add(Epoch(1, training_loss=0.5, validation_loss=0.6, learning_rate=0.1))
>>> _ = history.add(Epoch(2, training_loss=0.3, validation_loss=0.7, learning_rate=0.1))
>>> history
History of 2 epochs, best epoch 1 (validation loss 0.6)
>>> history["training_loss"]
array([0.5, 0.3])

What a method has to say of its own is a figure by name, and a column like the others: ``"mu"`` of
Levenberg-Marquardt, ``"gamma"`` of Bayesian regularisation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import ModelFileError, OptionError, suggest

__all__ = ["Epoch", "History"]


@dataclass(frozen=True)
class Epoch:
    """One epoch.

    Attributes
    ----------
    epoch : int
        From 1.
    training_loss : float
        Mean over the batches of the epoch, each before its step; without penalty.
    validation_loss : float
        At the end of the epoch; nan without validation rows.
    gradient_norm : float
        Euclidean norm of the gradient of the whole objective; nan where nothing asked for it.
    learning_rate : float
        In the epoch's first batch.
    seconds : float
        Since training began.
    figures : mapping of str to float
        What the method has to say of its own.
    """

    epoch: int
    training_loss: float
    validation_loss: float = math.nan
    gradient_norm: float = math.nan
    learning_rate: float = math.nan
    seconds: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def watched(self) -> float:
        """The loss that decides: the validation loss, or the training loss without one."""
        return self.training_loss if math.isnan(self.validation_loss) else self.validation_loss


NAMES = tuple(f.name for f in fields(Epoch) if f.name != "figures")


@dataclass
class History:
    """The epochs of a run, in order.

    Attributes
    ----------
    epochs : list of Epoch
    best_epoch : int
        Whose weights are kept; 0 is the start.
    """

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0

    def add(self, epoch: Epoch, sign: float = 1.0) -> bool:
        """Append an epoch; returns whether it is the best so far.

        `sign` is -1 where losses are to be made large. Among equals the first is the best.
        """
        self.epochs.append(epoch)
        value = sign * epoch.watched
        best = self.best
        if math.isfinite(value) and (best is None or value < sign * best.watched):
            self.best_epoch = epoch.epoch
            return True
        return False

    def drop_last(self, sign: float = 1.0) -> None:
        """Take the last epoch back; `sign` as in `add`."""
        epochs, self.epochs, self.best_epoch = self.epochs[:-1], [], 0
        for epoch in epochs:
            self.add(epoch, sign)

    @property
    def best(self) -> Epoch | None:
        """The best epoch, or None where none was better than the start."""
        if not self.epochs:
            return None
        place = self.best_epoch - self.epochs[0].epoch  # epochs follow each other without gaps
        return self.epochs[place] if 0 <= place < len(self.epochs) else None

    def __len__(self) -> int:
        return len(self.epochs)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """One figure of all epochs, shape (epochs,)."""
        if name not in self.names:
            raise OptionError(
                "a history has no {name!r}.{hint}", name=name, hint=suggest(name, self.names)
            )
        if name in NAMES:
            return np.array([getattr(e, name) for e in self.epochs], np.float64)
        return np.array([e.figures.get(name, math.nan) for e in self.epochs], np.float64)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """All figures by name: for a dataframe, a table or a plot."""
        return {name: self[name] for name in self.names}

    @property
    def names(self) -> tuple[str, ...]:
        """All figures that epochs have; those of the method come last."""
        return (*NAMES, *dict.fromkeys(name for e in self.epochs for name in e.figures))

    def __repr__(self) -> str:
        plural = "s" * (len(self) != 1)
        text = f"History of {len(self)} epoch{plural}"
        if self.best is None:
            return text
        which = "training" if math.isnan(self.best.validation_loss) else "validation"
        return f"{text}, best epoch {self.best_epoch} ({which} loss {self.best.watched:.6g})"

    def to_json(self) -> dict[str, Any]:
        """The record for a model file; nan becomes null."""
        columns = {n: [_plain(v) for v in c.tolist()] for n, c in self.columns().items()}
        figures = {name: column for name, column in columns.items() if name not in NAMES}
        shared = {name: column for name, column in columns.items() if name in NAMES[1:]}
        record: dict[str, Any] = {"best_epoch": self.best_epoch, **shared}
        return {**record, "figures": figures} if figures else record

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        names = [name for name in NAMES if name != "epoch"]
        if not isinstance(data, dict) or set(data) - {"figures"} != {"best_epoch", *names}:
            raise ModelFileError(
                "history: expected the keys best_epoch, {names}.", names=", ".join(names)
            )
        figures = data.get("figures", {})
        if not isinstance(figures, dict) or set(figures) & {*NAMES, "best_epoch"}:
            raise ModelFileError("history: expected figures by names of their own.")
        best = data["best_epoch"]
        columns = [*(data[name] for name in names), *figures.values()]
        if not all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
            raise ModelFileError("history: expected lists of equal length.")
        if type(best) is not int or not 0 <= best <= len(columns[0]):
            raise ModelFileError(
                "history: best epoch {best!r} of {count}.", best=best, count=len(columns[0])
            )
        if any(v is not None and type(v) not in (int, float) for c in columns for v in c):
            raise ModelFileError("history: expected numbers.")
        epochs = []
        for number, row in enumerate(zip(*columns, strict=True), start=1):
            values = [math.nan if v is None else float(v) for v in row]
            own = dict(zip(figures, values[len(names) :], strict=True))
            shared = dict(zip(names, values, strict=False))
            epochs.append(Epoch(epoch=number, figures=own, **shared))
        return cls(epochs, best)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
