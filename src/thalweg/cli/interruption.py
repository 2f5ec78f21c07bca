"""Ctrl-C: the first one ends training, and the model that was best so far is written in peace."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["one_interruption"]


@contextmanager
def one_interruption(told: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C raise KeyboardInterrupt, the second only call `told`, the third raise.

    Parameters
    ----------
    told : callable
        Says that a model is being written, and that one more Ctrl-C gives it up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count == 2:
            told()
        else:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
