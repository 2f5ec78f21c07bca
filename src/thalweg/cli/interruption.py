"""Ctrl-C during training: asked for at any time, followed at the end of the epoch.

Native code on several threads must not be left half way, so the signal only leaves a note, and
the callback that training calls after every epoch raises KeyboardInterrupt, which training answers
with the best weights so far. A second Ctrl-C ends the process at once.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from thalweg.cli.screen import Screen

__all__ = ["Interruption"]


class Interruption:
    """Holds Ctrl-C back while it is entered.

    Parameters
    ----------
    screen : Screen
        Where each Ctrl-C is answered at once.
    """

    def __init__(self, screen: Screen) -> None:
        self.screen, self.count = screen, 0
        self.before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
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
        if self.count:
            raise KeyboardInterrupt
        return False

    def _noted(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        key = "interrupted_noted" if self.count == 1 else "interrupted_given_up"
        self.screen.interject(self.screen.say(key))
        if self.count > 1:
            os._exit(130)
