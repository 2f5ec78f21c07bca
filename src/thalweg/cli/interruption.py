"""Ctrl-C during training: asked for at any time, followed at the end of the epoch.

Native code on several threads must not be left half way, so the signal only leaves a note, and
the callback that training calls after every epoch raises KeyboardInterrupt, which training answers
with the best weights so far. A second Ctrl-C ends the process at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interruption"]


class Interruption:
    """Holds Ctrl-C back while it is entered.

    Parameters
    ----------
    told : callable
        ``told(count)`` is called at each Ctrl-C, with how many there were.
    """

    def __init__(self, told: Callable[[int], None]) -> None:
        self.told, self.count = told, 0
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
        self.told(self.count)
        if self.count > 1:
            os._exit(130)
