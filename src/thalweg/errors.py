"""The errors thalweg raises on purpose; every message says what was found, where, and what to do.

An error is raised with an English template and its values, and can be said in Korean, too, from
``catalogue/ko`` (see `thalweg.phrases`)::

    raise ShapeError("argument {place} has shape {found}, not {wanted}.", place=..., ...)

::

    ThalwegError
    ├── TracingError        a traced array was used as if its values were known
    ├── DifferentiationError  a derivative that does not exist was asked for
    ├── ShapeError          shapes or dtypes that do not fit (also a ValueError)
    ├── DataError           a table that cannot be learned from (command line: exit code 3)
    ├── ModelFileError      a model file that cannot be trusted (command line: exit code 3)
    ├── OptionError         an option or argument with an unknown value (also a ValueError)
    ├── PositionError       an index outside its axis (also an IndexError)
    ├── FormulaError        a formula that cannot be read (also a ValueError)
    ├── DivergedError       training or a solver left the finite numbers (exit code 4)
    └── CompilerError       native code cannot be made for this function or machine

Examples
--------
>>> from thalweg.errors import ShapeError, ThalwegError
>>> issubclass(ShapeError, ThalwegError) and issubclass(ShapeError, ValueError)
True
>>> OptionError("{count} rows", count=3).said("en")
'3 rows'
"""

import errno
from collections.abc import Iterable

from thalweg.phrases import Phrase

__all__ = [
    "CompilerError",
    "DataError",
    "DifferentiationError",
    "DivergedError",
    "FormulaError",
    "ModelFileError",
    "OptionError",
    "PositionError",
    "ShapeError",
    "ThalwegError",
    "TracingError",
    "nearest",
    "reason_of",
    "suggest",
]


class ThalwegError(Exception):
    """Base of every error that thalweg raises on purpose.

    Parameters
    ----------
    template : str
        The sentence in English with places for the values; a phrase is passed on as it is.
    **values
        What the places are filled with.

    Attributes
    ----------
    phrase : Phrase
        The sentence, which can be said in every language.
    """

    phrase: Phrase

    def __init__(self, template: str = "", /, **values: object) -> None:
        self.phrase = (
            template if isinstance(template, Phrase) and not values else Phrase(template, **values)
        )
        super().__init__(self.phrase)

    def said(self, lang: str | None = None) -> str:
        """The message in ``"en"`` or ``"ko"``; by default in the language that was chosen."""
        return self.phrase.said(lang)

    def __str__(self) -> str:
        return self.said()


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


class PositionError(ThalwegError, IndexError):
    """An index is outside its axis."""


class FormulaError(ThalwegError, ValueError):
    """A formula cannot be read."""


class DivergedError(ThalwegError, ArithmeticError):
    """Training or a solver left the finite numbers and no usable point remains."""


class CompilerError(ThalwegError, RuntimeError):
    """Native code cannot be generated for this function or on this machine."""


_REASONS = {
    errno.ENOENT: Phrase("No such file or directory"),
    errno.EACCES: Phrase("Permission denied"),
    errno.EPERM: Phrase("Operation not permitted"),
    errno.EISDIR: Phrase("Is a directory"),
    errno.ENOTDIR: Phrase("Not a directory"),
    errno.ENAMETOOLONG: Phrase("File name too long"),
    errno.ENOSPC: Phrase("No space left on device"),
    errno.EDQUOT: Phrase("Disk quota exceeded"),
    errno.EROFS: Phrase("Read-only file system"),
    errno.EIO: Phrase("Input/output error"),
    errno.ELOOP: Phrase("Too many levels of symbolic links"),
    errno.EMFILE: Phrase("Too many open files"),
}


def reason_of(error: OSError) -> str:
    """Why the operating system refused, as a phrase where the reason is a usual one.

    Examples
    --------
    >>> reason_of(FileNotFoundError(2, "no"))
    'No such file or directory'
    """
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def suggest(found: str, known: Iterable[str]) -> Phrase:
    """Name the nearest of the known words, as a sentence to append to an error message.

    Parameters
    ----------
    found : str
        What the user wrote.
    known : iterable of str
        What could have been meant.

    Returns
    -------
    Phrase
        ``" Did you mean 'tanh'?"``, or the whole list when nothing is near.

    Examples
    --------
    >>> suggest("tahn", ["relu", "tanh"])
    " Did you mean 'tanh'?"
    >>> suggest("Relu", ["elu", "relu"])
    " Did you mean 'relu'?"
    >>> suggest("zzz", ["relu", "tanh"])
    ' Known: relu, tanh.'
    """
    names = list(known)
    near = nearest(found, names)
    if near is not None:
        return Phrase(" Did you mean {name!r}?", name=near)
    return Phrase(" Known: {names}.", names=", ".join(names))


def nearest(found: str, known: Iterable[str]) -> str | None:
    """The word that was most likely meant, capital letters aside; None if none is near.

    Examples
    --------
    >>> nearest("prise", ["price", "area"]), nearest("AREA", ["price", "area"])
    ('price', 'area')
    """
    from difflib import get_close_matches  # most programs make no mistakes

    small = {name.lower(): name for name in known}
    near = get_close_matches(found.lower(), small, n=1, cutoff=0.6)
    return small[near[0]] if near else None
