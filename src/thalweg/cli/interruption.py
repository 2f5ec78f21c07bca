"""Ctrl-C during training: followed at once, and nothing that was learned is lost.

Where training answers KeyboardInterrupt with the best weights so far, it is raised. Elsewhere, as
between two methods or while a model is written, the signal only leaves a note, which the callback
that training calls after every epoch follows. Before the first epoch has ended the process ends at
once, as it does with a second Ctrl-C.
"""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self

from thalweg.cli.failures import INTERRUPTED
from thalweg.cli.screen import Screen
from thalweg.interrupts import in_main_thread, is_answered

__all__ = ["Interruption"]


class Interruption:
    """Holds Ctrl-C back while it is entered.

    Parameters
    ----------
    screen : Screen
        Where each Ctrl-C is answered at once.
    """

    def __init__(self, screen: Screen) -> None:
        self.screen, self.count, self.epochs = screen, 0, 0
        self.before: Any = None

    def __enter__(self) -> Self:
        if in_main_thread():
            self.before = signal.signal(signal.SIGINT, self._noted)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def __call__(self, progress: object) -> bool:
        """As a callback of training: raises KeyboardInterrupt if it was asked for."""
        self.epochs += 1
        if self.count:
            raise KeyboardInterrupt
        return False

    def _noted(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            self._say("interrupted_given_up")
            os._exit(INTERRUPTED)
        if not self.epochs:  # nothing has been learned: no figures of an untrained network
            self._say("interrupted_early")
            raise SystemExit(INTERRUPTED)
        self._say("interrupted_noted")
        if is_answered():
            raise KeyboardInterrupt

    def _say(self, key: str) -> None:
        self.screen.interject(self.screen.say(key))
