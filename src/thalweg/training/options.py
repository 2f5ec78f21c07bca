"""How training goes on and when it stops: the options of every method in one record.

Examples
--------
>>> Training(epochs=50, batch_size=16).epochs
50
>>> training_options({"epoch": 50})
Traceback (most recent call last):
...
thalweg.errors.OptionError: There is no training option 'epoch'. Did you mean 'epochs'?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from thalweg.errors import OptionError, suggest
from thalweg.optim.rules import Conditioning
from thalweg.optim.schedules import Schedule, schedule

__all__ = ["Training", "training_options"]


@dataclass(frozen=True)
class Training:
    """Options of training; None means what suits the method.

    Parameters
    ----------
    epochs : int, optional
        The most passes over the training rows (iterations of a solver).
    batch_size : int, optional
        Rows for one step; the rule's full batch, or 32 and fewer in small tables, by default.
    learning_rate : float, optional
        Of first-order methods, as are the schedule and the limits of gradients.
    schedule : str or Schedule
        What becomes of the learning rate: ``"constant"``, ``"cosine"``, ``"step(every=20)"``, ...
    patience : int, optional
        Epochs without a lower validation loss (training loss, without validation rows) after which
        training stops. 0 never stops.
    min_change : float
        By how much a loss must be lower to count.
    goal : float, optional
        A loss, in the target's own unit, that is good enough; under constraints, where they hold.
    time_limit : float, optional
        Seconds.
    min_gradient : float
        Norm of the gradient below which training stops; 0 never looks. Under constraints the
        largest entry of the Lagrangian's gradient, where they hold.
    mu, mu_dec, mu_inc, mu_max : float, optional
        Of Levenberg-Marquardt's damping: where μ starts (1e-3), as part of the largest diagonal
        entry of H; the least factor after an accepted step (0.1), which the gain may raise; the
        factor after a refused step (2), which doubles with each further one; and the largest μ
        that is tried (1e16), again as part of that entry.
    clip_norm, clip_value : float, optional
        Limits of the gradients; see `thalweg.optim.rules.Conditioning`.
    shuffle : bool
        Whether rows come in another order in every epoch.
    keep : {"best", "last"}, optional
        Which weights to keep; the best where there are validation rows, else the last.
    snapshots : sequence of int or "end"
        Epochs whose weights are kept for explanations; 0 is the start.
    callbacks : sequence of callable
        Called with a `Progress` after every epoch, whose weights it holds; one that returns True
        stops training there. Epochs of small networks are run ahead by up to 20 ms.

    Raises
    ------
    OptionError
        If a value makes no sense.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    schedule: str | Schedule = "constant"
    patience: int | None = None
    min_change: float = 0.0
    goal: float | None = None
    time_limit: float | None = None
    min_gradient: float = 0.0
    mu: float | None = None
    mu_dec: float | None = None
    mu_inc: float | None = None
    mu_max: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    shuffle: bool = True
    keep: str | None = None
    snapshots: Sequence[int | str] = (0,)
    callbacks: Sequence[Callable[[Any], Any]] = ()

    def __post_init__(self) -> None:
        for name, low in (("epochs", 0), ("batch_size", 1), ("patience", 0)):
            value = getattr(self, name)
            if value is not None and (not _whole(value) or value < low):
                raise OptionError(
                    "{name}={value!r} is not a whole number from {low}.",
                    name=name,
                    value=value,
                    low=low,
                )
        for name in ("learning_rate", "time_limit", "clip_norm", "clip_value", "mu", "mu_max"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise OptionError(
                    "{name}={value!r} is not a number above 0.", name=name, value=value
                )
        if self.mu_dec is not None and not 0 < self.mu_dec < 1:
            raise OptionError(
                "mu_dec={found!r} is not a number between 0 and 1.", found=self.mu_dec
            )
        if self.mu_inc is not None and not 1 < self.mu_inc < math.inf:
            raise OptionError("mu_inc={found!r} is not a number above 1.", found=self.mu_inc)
        for name in ("min_change", "min_gradient"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(
                    "{name}={value!r} is not a number from 0.", name=name, value=getattr(self, name)
                )
        if self.keep not in (None, "best", "last"):
            raise OptionError("keep={keep!r} is not 'best' or 'last'.", keep=self.keep)
        for epoch in self.snapshots:
            if epoch != "end" and (not _whole(epoch) or int(epoch) < 0):
                raise OptionError(
                    "snapshots: {epoch!r} is not an epoch from 0 or 'end'.", epoch=epoch
                )
        object.__setattr__(self, "schedule", schedule(self.schedule))

    @property
    def damped(self) -> tuple[str, ...]:
        """The options of damping that are given."""
        names = ("mu", "mu_dec", "mu_inc", "mu_max")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def stepping(self) -> tuple[str, ...]:
        """The options of steps along the gradient that are given."""
        names = ("learning_rate", "clip_norm", "clip_value")
        given = tuple(name for name in names if getattr(self, name) is not None)
        return given if str(self.schedule) == "constant" else (*given, "schedule")

    @property
    def conditioning(self) -> Conditioning | None:
        """What is done to gradients, or None for nothing."""
        if self.clip_norm is None and self.clip_value is None:
            return None
        return Conditioning(self.clip_norm, self.clip_value)


def _whole(value: Any) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__index__")


def training_options(given: Mapping[str, Any], base: Training | None = None) -> Training:
    """Options by name, over others given as a record.

    Raises
    ------
    OptionError
        If there is no option of a name; the nearest is suggested.
    """
    known = [field.name for field in fields(Training)]
    for name in given:
        if name not in known:
            raise OptionError(
                "There is no training option {name!r}.{hint}", name=name, hint=suggest(name, known)
            )
    return replace(base or Training(), **given)
