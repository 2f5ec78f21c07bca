"""Schedules: what becomes of the learning rate as training goes on.

A schedule is a pure function of time and of the losses seen so far. It gives the factor by which
the learning rate is multiplied; time t runs in epochs from 0, with fractions within an epoch.

Examples
--------
>>> [round(schedule("cosine")(t, 4), 3) for t in (0, 1, 2, 3, 4)]
[1.0, 0.854, 0.5, 0.146, 0.0]
>>> schedule("step(every=10)")(25, 100)
0.010000000000000002
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.named import Named, find
from thalweg.phrases import Phrase

__all__ = ["SCHEDULES", "Schedule", "schedule"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Schedule(Named):
    """A schedule of the learning rate.

    Parameters
    ----------
    watches : bool
        Whether it depends on the losses seen so far.
    """

    watches: bool = False

    def __call__(self, *arguments: Any) -> float:
        """The factor at time t of `total` epochs, after `losses` (one for each past epoch).

        Called as ``schedule(t, total)`` or ``schedule(t, total, losses)``.
        """
        t, total, losses = arguments if len(arguments) == 3 else (*arguments, ())
        more = (losses,) if self.watches else ()
        return float(self.function(t, total, *more, **dict(self.options)))


SCHEDULES: dict[str, Schedule] = {}
"""All schedules by name."""

ALIASES = {"one-cycle": "one_cycle", "plateau": "reduce_on_plateau"}


def schedule(given: str | Schedule) -> Schedule:
    """Look up a schedule by its text, such as ``"cosine"`` or ``"step(every=20)"``.

    Raises
    ------
    OptionError
        If there is none of this name; the nearest is suggested.
    """
    return find(given, SCHEDULES, Phrase("schedule"), ALIASES)


def _register(watches: bool = False) -> Callable[[Callable[..., float]], Callable[..., float]]:
    def keep(function: Callable[..., float]) -> Callable[..., float]:
        name = function.__name__
        SCHEDULES[name] = Schedule(name=name, function=function, watches=watches)
        return function

    return keep


@_register()
def constant(t: float, total: float) -> float:
    """The learning rate as it is."""
    return 1.0


@_register()
def step(t: float, total: float, *, every: float = 30.0, factor: float = 0.1) -> float:
    """Times `factor` after every `every` epochs."""
    return float(factor ** math.floor(t / every))


@_register()
def exponential(t: float, total: float, *, factor: float = 0.97) -> float:
    """Times `factor` in every epoch."""
    return float(factor**t)


@_register()
def inverse(t: float, total: float, *, power: float = 0.5) -> float:
    """``1/(t+1)^power``, which meets the conditions of Robbins and Monro for powers in (½, 1]."""
    return float((t + 1.0) ** -power)


@_register()
def cosine(t: float, total: float, *, floor: float = 0.0) -> float:
    """Half a cosine from 1 to `floor` (I. Loshchilov and F. Hutter, ICLR 2017)."""
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(t / total, 1.0)))


@_register()
def one_cycle(
    t: float, total: float, *, rise: float = 0.3, start: float = 0.04, end: float = 4e-6
) -> float:
    """From `start` up to 1 in the share `rise` of the time, then down to `end`.

    Half cosines; the learning rate is the peak (L. Smith and N. Topin, 2019).
    """
    top, last = rise * total - 1.0, total - 1.0
    if t <= top:
        return _between(start, 1.0, t / top if top > 0 else 1.0)
    return _between(1.0, end, min((t - top) / (last - top), 1.0))


def _between(first: float, last: float, share: float) -> float:
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * share))


@_register(watches=True)
def reduce_on_plateau(
    t: float,
    total: float,
    losses: Sequence[float] = (),
    *,
    factor: float = 0.1,
    patience: float = 10.0,
    threshold: float = 1e-4,
    cooldown: float = 0.0,
    floor: float = 0.0,
) -> float:
    """Times `factor` when the loss has not fallen by a share `threshold` for `patience` epochs.

    After that it waits `cooldown` epochs before it counts again, and never goes below `floor`.
    """
    scale, best, bad, resting = 1.0, math.inf, 0, 0.0
    for loss in losses:
        if loss < best * (1.0 - threshold) if best < math.inf else True:
            best, bad = loss, 0
        else:
            bad += 1
        if resting > 0:
            resting, bad = resting - 1, 0
        if bad > patience:
            scale, bad, resting = max(scale * factor, floor), 0, cooldown
    return scale
