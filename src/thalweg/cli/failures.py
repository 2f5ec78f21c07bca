"""Errors as messages and exit codes: 0 fine, 2 usage, 3 data, 4 diverged, 130 interrupted.

Examples
--------
>>> from thalweg.errors import DataError, OptionError
>>> code_of(DataError("")), code_of(OptionError(""))
(3, 2)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.text import Text

from thalweg.cli.screen import Screen
from thalweg.errors import (
    DataError,
    DivergedError,
    ModelFileError,
    ShapeError,
    ThalwegError,
)

__all__ = [
    "DATA",
    "DIVERGED",
    "INTERRUPTED",
    "USAGE",
    "capitalised",
    "code_of",
    "complain",
    "failures",
]

USAGE, DATA, DIVERGED, INTERRUPTED = 2, 3, 4, 130

_CODES: tuple[tuple[type[ThalwegError], int], ...] = (
    (DataError, DATA),
    (ModelFileError, DATA),
    (ShapeError, DATA),
    (DivergedError, DIVERGED),
    (ThalwegError, USAGE),
)


def code_of(error: ThalwegError) -> int:
    """The exit code for an error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


@contextmanager
def failures(screen: Screen) -> Iterator[None]:
    """Turn whatever a user can cause into a message on stderr and an exit code.

    Parameters
    ----------
    screen : Screen
    """
    try:
        yield
    except ThalwegError as error:
        complain(screen, error.said(screen.lang))
        raise typer.Exit(code_of(error)) from None
    except KeyboardInterrupt:
        screen.complain(Text(screen.say("interrupted_early")))
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except MemoryError:
        complain(screen, screen.say("out_of_memory"))
        raise typer.Exit(DATA) from None


def complain(screen: Screen, message: str) -> None:
    """Write an error."""
    shown = capitalised(message) if screen.lang == "en" else message
    screen.complain(Text.assemble((screen.say("error") + " ", "bold red"), shown))


def capitalised(message: str) -> str:
    """A message with a capital letter, unless it begins with a name such as a path or command.

    Examples
    --------
    >>> capitalised("the table is empty"), capitalised("data.csv is empty")
    ('The table is empty', 'data.csv is empty')
    >>> capitalised("thalweg check takes a model")
    'thalweg check takes a model'
    """
    first = message.partition(" ")[0]
    return message[:1].upper() + message[1:] if first.isalpha() and first != "thalweg" else message
