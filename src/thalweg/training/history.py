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
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
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
    """

    epoch: int
    training_loss: float
    validation_loss: float = math.nan
    gradient_norm: float = math.nan
    learning_rate: float = math.nan
    seconds: float = 0.0

    @property
    def watched(self) -> float:
        """The loss that decides: the validation loss, or the training loss without one."""
        return self.training_loss if math.isnan(self.validation_loss) else self.validation_loss


NAMES = tuple(f.name for f in fields(Epoch))


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
        best = sign * self.best.watched if self.best else math.inf
        if math.isfinite(value) and value < best:
            self.best_epoch = epoch.epoch
            return True
        return False

    @property
    def best(self) -> Epoch | None:
        """The best epoch, or None where none was better than the start."""
        return next((e for e in reversed(self.epochs) if e.epoch == self.best_epoch), None)

    def __len__(self) -> int:
        return len(self.epochs)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """One figure of all epochs, shape (epochs,)."""
        if name not in NAMES:
            raise OptionError(f"a history has no {name!r}.{suggest(name, NAMES)}")
        return np.array([getattr(e, name) for e in self.epochs], np.float64)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """All figures by name: for a dataframe, a table or a plot."""
        return {name: self[name] for name in NAMES}

    def __repr__(self) -> str:
        plural = "s" * (len(self) != 1)
        text = f"History of {len(self)} epoch{plural}"
        if self.best is None:
            return text
        which = "training" if math.isnan(self.best.validation_loss) else "validation"
        return f"{text}, best epoch {self.best_epoch} ({which} loss {self.best.watched:.6g})"

    def to_json(self) -> dict[str, Any]:
        """The record for a model file; nan becomes null."""
        rows = [asdict(e) for e in self.epochs]
        return {
            "best_epoch": self.best_epoch,
            **{name: [_plain(row[name]) for row in rows] for name in NAMES if name != "epoch"},
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        names = [name for name in NAMES if name != "epoch"]
        if not isinstance(data, dict) or set(data) != {"best_epoch", *names}:
            raise ModelFileError(f"history: expected the keys best_epoch, {', '.join(names)}.")
        best, columns = data["best_epoch"], [data[name] for name in names]
        if not all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
            raise ModelFileError("history: expected lists of equal length.")
        if type(best) is not int or not 0 <= best <= len(columns[0]):
            raise ModelFileError(f"history: best epoch {best!r} of {len(columns[0])}.")
        if any(v is not None and type(v) not in (int, float) for c in columns for v in c):
            raise ModelFileError("history: expected numbers.")
        epochs = [
            Epoch(number, *(math.nan if v is None else float(v) for v in row))
            for number, row in enumerate(zip(*columns, strict=True), start=1)
        ]
        return cls(epochs, best)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
