"""Ctrl-C: where it must wait for a moment, and where it is answered with what is there by then.

Examples
--------
>>> with answered():
...     is_answered()
True
>>> is_answered()
False
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

__all__ = ["answered", "held_back", "in_main_thread", "is_answered"]

SIGINT = int(signal.SIGINT)

try:  # what Python's own module wraps: that looks for members of enumerations, ten times as long
    _signals: Any = import_module("_signal")
except ImportError:  # not CPython
    _signals = signal

_answering: list[None] = []


def in_main_thread() -> bool:
    """Whether this is the thread that signals interrupt."""
    return threading.current_thread() is threading.main_thread()


class held_back:  # a name like a function: it is read as one
    """Inside, Ctrl-C is noted and acted upon at the end: arrays in use must not go away."""

    __slots__ = ("before", "noted")

    def __enter__(self) -> None:
        self.before: Any = _signals.getsignal(SIGINT) if in_main_thread() else None
        if self.before is None:  # another thread, or a program that handles the signal itself
            return
        self.noted: list[tuple[int, FrameType | None]] = []
        _signals.signal(SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.noted.append((number, frame))

    def __exit__(self, *error: object) -> None:
        if self.before is None:
            return
        _signals.signal(SIGINT, self.before)
        if self.noted and callable(self.before):
            self.before(*self.noted[0])
        elif self.noted:
            signal.raise_signal(SIGINT)


@contextmanager
def answered() -> Iterator[None]:
    """Around work that catches KeyboardInterrupt and hands back the best it has so far.

    A program that must not lose such work otherwise may raise it here, and here alone.
    """
    if not in_main_thread():  # what another thread would answer is raised in the main one
        yield
        return
    _answering.append(None)
    try:
        yield
    finally:
        _answering.pop()


def is_answered() -> bool:
    """Whether a KeyboardInterrupt that is raised in the main thread now would lose nothing."""
    return bool(_answering)
