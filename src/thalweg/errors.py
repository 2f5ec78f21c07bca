"""The errors thalweg raises on purpose; every message says what was found, where, and what to do.

::

    ThalwegError
    ├── TracingError        a traced array was used as if its values were known
    ├── DifferentiationError  a derivative that does not exist was asked for
    ├── ShapeError          shapes or dtypes that do not fit (also a ValueError)
    ├── DataError           a table that cannot be learned from (command line: exit code 3)
    ├── ModelFileError      a model file that cannot be trusted (command line: exit code 3)
    ├── OptionError         an option or argument with an unknown value (also a ValueError)
    ├── FormulaError        a formula that cannot be read (also a ValueError)
    ├── DivergedError       training or a solver left the finite numbers (exit code 4)
    └── CompilerError       native code cannot be made for this function or machine

Examples
--------
>>> from thalweg.errors import ShapeError, ThalwegError
>>> issubclass(ShapeError, ThalwegError) and issubclass(ShapeError, ValueError)
True
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "CompilerError",
    "DataError",
    "DifferentiationError",
    "DivergedError",
    "FormulaError",
    "ModelFileError",
    "OptionError",
    "ShapeError",
    "ThalwegError",
    "TracingError",
    "suggest",
]


class ThalwegError(Exception):
    """Base of every error that thalweg raises on purpose."""


class TracingError(ThalwegError, TypeError):
    """A traced array, which stands for any value of its shape, was used as one known value."""


class DifferentiationError(ThalwegError, TypeError):
    """A derivative was asked for that does not exist, or of something that is not a number."""


class ShapeError(ThalwegError, ValueError):
    """Shapes or dtypes do not fit together."""


class DataError(ThalwegError, ValueError):
    """A table cannot be learned from or predicted on."""


class ModelFileError(ThalwegError, ValueError):
    """A model file is damaged, edited, from a newer version, or not a model file."""


class OptionError(ThalwegError, ValueError):
    """An option or argument has a value that is not known or not possible."""


class FormulaError(ThalwegError, ValueError):
    """A formula cannot be read."""


class DivergedError(ThalwegError, ArithmeticError):
    """Training or a solver left the finite numbers and no usable point remains."""


class CompilerError(ThalwegError, RuntimeError):
    """Native code cannot be generated for this function or on this machine."""


def suggest(found: str, known: Iterable[str]) -> str:
    """Name the nearest of the known words, as a sentence to append to an error message.

    Parameters
    ----------
    found : str
        What the user wrote.
    known : iterable of str
        What could have been meant.

    Returns
    -------
    str
        ``" Did you mean 'tanh'?"``, or the whole list when nothing is near.

    Examples
    --------
    >>> suggest("tahn", ["relu", "tanh"])
    " Did you mean 'tanh'?"
    >>> suggest("zzz", ["relu", "tanh"])
    ' Known: relu, tanh.'
    """
    names = list(known)
    near = get_close_matches(found, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(names)}."
