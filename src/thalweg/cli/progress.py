"""Live progress of training: losses, the best epoch and the time left, on a terminal only.

Nothing is drawn in the first second: what is done by then needs no progress.
"""

from __future__ import annotations

import math
from threading import Lock, Timer
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from thalweg.cli.screen import Screen

if TYPE_CHECKING:
    from thalweg.training.loop import Progress

__all__ = ["LiveProgress", "seconds_left"]

AFTER = 1.0
BAR, SHORTEST_BAR, GAP = 16, 5, 2


class LiveProgress:
    """A callback of training that draws itself while it is entered.

    Parameters
    ----------
    screen : Screen
    what : str
        What is being trained on.
    time_limit : float, optional
        Seconds after which training ends.
    """

    def __init__(self, screen: Screen, what: str, time_limit: float | None = None) -> None:
        self.screen, self.what, self.time_limit = screen, what, time_limit
        self.shown: Live | None = None
        self.last: Progress | None = None
        self.closed = False
        self.lock = Lock()
        self.spinner = Spinner("dots", Text(what, style="dim"))
        self.timer = Timer(AFTER, self._show)
        self.timer.daemon = True

    def __enter__(self) -> Self:
        if self.screen.err.is_terminal and not self.screen.quiet:
            self.timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.timer.cancel()
        with self.lock:
            self.closed = True
            if self.shown is not None:
                self.shown.stop()

    def __call__(self, progress: Progress) -> bool:
        """Note an epoch; never asks to stop."""
        self.last = progress
        return False

    def _show(self) -> None:
        with self.lock:
            if not self.closed:
                self.shown = Live(
                    get_renderable=self._drawn,
                    console=self.screen.err,
                    transient=True,
                    refresh_per_second=8,
                )
                self.shown.start()

    def _drawn(self) -> Table | Spinner:
        if self.last is None:
            return self.spinner
        now, say = self.last, self.screen.say
        cells = {
            "epoch": Text(say("progress_epoch", epoch=now.epoch.epoch, limit=now.limit)),
            "training": Text(say("progress_training", loss=f"{now.epoch.training_loss:.4g}")),
        }
        if not math.isnan(now.epoch.validation_loss):
            checked = f"{now.epoch.validation_loss:.4g}"
            cells["validation"] = Text(say("progress_validation", loss=checked), style="bold")
        left = seconds_left(now.epoch.epoch, now.limit, now.epoch.seconds, self.time_limit)
        cells["left"] = Text(say("progress_left", time=clock(left)), style="dim")
        room = fitting(cells, self.screen.err.width)
        table = Table.grid(padding=(0, GAP))
        bar = ProgressBar(total=now.limit, completed=now.epoch.epoch, width=min(room, BAR))
        table.add_row(*([bar] if room >= SHORTEST_BAR else []), *cells.values())
        return table


def fitting(cells: dict[str, Text], width: int) -> int:
    """Leave out what one line cannot hold, and say how long a bar fits beside the rest.

    Examples
    --------
    >>> cells = {"epoch": Text("epoch 1/9"), "training": Text("training 0.5"), "left": Text("0:01")}
    >>> fitting(cells, 40), list(cells)
    (9, ['epoch', 'training', 'left'])
    >>> fitting(cells, 25), list(cells)
    (0, ['epoch', 'training'])
    """
    needed = sum(cell.cell_len + GAP for cell in cells.values())
    for name in ("left", "training", "validation"):
        if needed - GAP > width and name in cells:
            needed -= cells.pop(name).cell_len + GAP
    return max(0, width - needed)


def seconds_left(epoch: int, limit: int, seconds: float, time_limit: float | None) -> float:
    """How long training goes on at most.

    Examples
    --------
    >>> seconds_left(10, 100, 5.0, None), seconds_left(10, 100, 5.0, 20.0)
    (45.0, 15.0)
    """
    left = seconds / epoch * (limit - epoch)
    return left if time_limit is None else max(0.0, min(left, time_limit - seconds))


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any.

    Examples
    --------
    >>> clock(75.2), clock(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
