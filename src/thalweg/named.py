"""Functions known by a name, with numeric options: ``"leaky_relu(slope=0.2)"``.

Activations, losses and initialisers are such functions. The text is the one form in which they
are given in arguments, on the command line and in model files, and it is read from a closed list.

Examples
--------
>>> def line(x, *, slope=1.0):
...     return slope * x
>>> double = Named(name="line", function=line).with_options(slope=2)
>>> double(3.0), str(double)
(6.0, 'line(slope=2.0)')
>>> find("line(slope=2)", {"line": Named(name="line", function=line)}, "function") == double
True
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, TypeVar

from thalweg.errors import OptionError, suggest
from thalweg.phrases import Phrase

__all__ = ["Named", "find", "is_ours"]

_FORM = re.compile(r"([\w-]+)(?:\((.*)\))?")


@dataclass(frozen=True, kw_only=True)
class Named:
    """A function with a name, and with options that differ from its defaults.

    Parameters
    ----------
    name : str
    function : callable
        Its options are keyword-only parameters with a number as default.
    options : tuple of (str, float)
        Those that differ from the defaults, in the order of the signature.
    """

    name: str
    function: Callable[..., Any]
    options: tuple[tuple[str, float], ...] = ()

    def __call__(self, *arguments: Any) -> Any:
        """The function of the arguments, its options filled in."""
        return self.function(*arguments, **dict(self.options))

    @cached_property
    def defaults(self) -> dict[str, float]:
        """All options and their default values."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: float(p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def settings(self) -> dict[str, float]:
        """All options and the values in force."""
        return {**self.defaults, **dict(self.options)}

    def with_options(self, **options: float) -> Self:
        """The same function with other values of its options.

        Raises
        ------
        OptionError
            If it has no such option, or a value is not a finite number.
        """
        for key, value in options.items():
            if key not in self.defaults:
                known = (
                    suggest(key, self.defaults) if self.defaults else Phrase(" It has no options.")
                )
                raise OptionError(
                    "{name} has no option {key!r}.{known}", name=self.name, key=key, known=known
                )
            if isinstance(value, bool | str) or not math.isfinite(value):
                raise OptionError(
                    "{name}: {key}={value!r} is not a finite number.",
                    name=self.name,
                    key=key,
                    value=value,
                )
        chosen = {**self.settings, **{key: float(value) for key, value in options.items()}}
        changed = tuple((k, v) for k, v in chosen.items() if v != self.defaults[k])
        return self if changed == self.options else replace(self, options=changed)

    def __str__(self) -> str:
        if not self.options:
            return self.name
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.options)})"

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} {self}>"


def is_ours(code: Any) -> bool:
    """Whether a function or class is thalweg's own: it never changes, and what follows is kept.

    Those of others may read what lies outside of them, and do something else next time.

    Examples
    --------
    >>> is_ours(find), is_ours(math.sin), is_ours(re.compile)
    (True, False, False)
    """
    return (getattr(code, "__module__", None) or "").startswith("thalweg.")


N = TypeVar("N", bound=Named)


def find(
    given: str | N, known: Mapping[str, N], what: str, aliases: Mapping[str, str] | None = None
) -> N:
    """Look a function up by its text; a function that is given as itself passes through.

    Parameters
    ----------
    given : str or Named
        ``"tanh"``, ``"huber(delta=0.5)"``.
    known : mapping of str to Named
    what : str or Phrase
        What is looked for, in words: ``Phrase("activation")``.
    aliases : mapping of str to str, optional
        Other names by which they are known elsewhere.

    Returns
    -------
    Named

    Raises
    ------
    OptionError
        If the name is not known or the text cannot be read.
    """
    if isinstance(given, Named):
        return given
    aliases = aliases or {}
    text: object = given
    form = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if form is None:
        raise OptionError(
            "{given!r} is no {what}; give a name.{hint}",
            given=given,
            what=what,
            hint=suggest(str(given), known),
        )
    name = aliases.get(form[1], form[1])
    if name not in known:
        raise OptionError(
            "There is no {what} {name!r}.{hint}",
            what=what,
            name=form[1],
            hint=suggest(form[1], [*known, *aliases]),
        )
    return known[name].with_options(**_options(form[2], given))


def _options(text: str | None, given: str) -> dict[str, float]:
    """The numbers of ``slope=0.2, scale=1``."""
    options: dict[str, float] = {}
    for part in (text or "").split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not part.strip():
            continue
        try:
            options[key] = float(value)
        except ValueError:
            equals = ""
        if not equals or not key.isidentifier():
            raise OptionError("{given!r}: options are written as name(option=number).", given=given)
    return options
