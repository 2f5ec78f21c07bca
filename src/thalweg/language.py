"""Every sentence a person reads, in every language thalweg speaks.

Headings, tables, help and reports of a room stand in ``<room>/catalogue/<language>.toml``. A key
starts with the room; values are put in by `str.format` and ``{w:을/를}`` (see `thalweg.phrases`,
which also holds the second way: errors and messages, whose English stands in the code).

Examples
--------
>>> tr("explanation.global_derivative", "ko")
'전역 미분'
"""

from __future__ import annotations

import locale
import os
from functools import lru_cache
from typing import Any

from thalweg.errors import OptionError, suggest
from thalweg.phrases import LANGUAGES, PARTICLES, chosen_language, in_language, speak

__all__ = [
    "LANGUAGES",
    "PARTICLES",
    "catalogue",
    "default_language",
    "known_language",
    "set_language",
    "tr",
]


@lru_cache(maxsize=64)
def catalogue(room: str, lang: str) -> dict[str, str]:
    """All sentences of a room in a language.

    Parameters
    ----------
    room : str
        A subpackage of thalweg with a ``catalogue`` folder.
    lang : str

    Returns
    -------
    dict of str to str
    """
    import tomllib  # only here: most programs say nothing in sentences of a catalogue
    from importlib import resources

    place = resources.files("thalweg") / room / "catalogue" / f"{lang}.toml"
    return dict(tomllib.loads(place.read_text(encoding="utf-8")))


def known_language(lang: str | None) -> str:
    """The language itself if thalweg speaks it; the default one for None.

    Raises
    ------
    OptionError
        For a language without catalogues.

    Examples
    --------
    >>> known_language("ko")
    'ko'
    """
    if lang is None:
        return default_language()
    if lang not in LANGUAGES:
        raise OptionError(
            "language {lang!r} is not spoken here.{hint}", lang=lang, hint=suggest(lang, LANGUAGES)
        )
    return lang


def set_language(lang: str | None) -> None:
    """Choose the language of this process, for errors, warnings, messages and explanations.

    Without a choice, the text of errors (``str(error)``) and messages stays English wherever the
    program runs, so that logs, tests and searches for a message find the same words; explanations
    and the command line follow the locale. The environment variable ``THALWEG_LANG`` chooses, too;
    this function has the last word.

    Parameters
    ----------
    lang : {"en", "ko"} or None
        None takes the choice back.

    Raises
    ------
    OptionError
        For a language that thalweg does not speak.

    Examples
    --------
    >>> import thalweg as tw
    >>> tw.set_language("ko")
    >>> tw.minimize(abs, 1.0, method="bfsg")
    Traceback (most recent call last):
    thalweg.errors.OptionError: 방법 'bfsg'는 없습니다. 'bfgs'를 뜻하셨나요?
    >>> tw.set_language(None)
    """
    speak(None if lang is None else known_language(lang))


def default_language() -> str:
    """The chosen language, else Korean where the environment's locale is Korean, else English."""
    chosen = chosen_language()
    if chosen is not None:
        return chosen
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        setting = os.environ.get(name)
        if setting:
            return "ko" if setting.lower().startswith("ko") else "en"
    system = locale.getlocale()[0] or ""
    return "ko" if system.lower().startswith("ko") else "en"


def tr(key: str, lang: str | None = None, **values: Any) -> str:
    """Say a sentence.

    Parameters
    ----------
    key : str
        ``"room.sentence"``.
    lang : {"en", "ko"}, optional
        By default the one that was chosen, else the locale's.
    **values
        What the sentence's places are filled with.

    Returns
    -------
    str

    Raises
    ------
    OptionError
        For a key that the catalogue lacks.
    """
    room, _, name = key.partition(".")
    lang = known_language(lang)
    sentences = catalogue(room, lang)
    if name not in sentences:
        raise OptionError(
            "no sentence {key!r} in {lang}.{hint}",
            key=key,
            lang=lang,
            hint=suggest(name, sentences),
        )
    return PARTICLES.vformat(sentences[name], (), in_language(values, lang))
