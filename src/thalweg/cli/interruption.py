"""Ctrl-C during training: followed at once, and nothing that was learned is lost.

Where training answers KeyboardInterrupt with the best weights so far, it is raised. Elsewhere, as
between two methods or while a model is written, the signal only leaves a note, which the callback
that training calls after every epoch follows. A second Ctrl-C ends the process at once.
"""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self

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
        key = "interrupted_noted" if self.count == 1 else "interrupted_given_up"
        self.screen.interject(self.screen.say(key))
        if self.count > 1:
            os._exit(130)
        if is_answered() or not self.epochs:
            raise KeyboardInterrupt
