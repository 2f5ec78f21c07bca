"""Every sentence a person reads, in every language thalweg speaks.

A room keeps its sentences in ``<room>/catalogue/<language>.toml``. A key starts with the room;
values are put in by `str.format`. After a value, Korean needs the particle that fits its last
sound, so ``{w:을/를}`` writes the value and chooses.

Examples
--------
>>> tr("explanation.global_derivative", "ko")
'전역 미분'
>>> PARTICLES.format("{a:을/를} {b:을/를} {c:으로/로}", a="가중치", b="W[1]", c="σ")
'가중치를 W[1]을 σ로'
"""

from __future__ import annotations

import locale
import os
import string
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any

from thalweg.errors import OptionError, suggest

__all__ = ["LANGUAGES", "PARTICLES", "catalogue", "default_language", "known_language", "tr"]

LANGUAGES = ("en", "ko")

# Whether the Korean name of a letter or digit ends in a consonant: 엘, 엠, 엔, 알; 영, 일, 삼, ...
_ENDS_IN_CONSONANT = frozenset("lmnr013678LMNR")
_PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹", "01234567890123456789")


class _Particles(string.Formatter):
    """`str.format` that understands ``{value:을/를}``."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if "/" not in format_spec:
            return str(super().format_field(value, format_spec))
        after_consonant, after_vowel = format_spec.split("/")
        text = str(value)
        return text + (after_consonant if self._closed(text, after_consonant) else after_vowel)

    @staticmethod
    def _closed(text: str, after_consonant: str) -> bool:
        plain = text.translate(_PLAIN).rstrip("])}⁺'\" ")
        if not plain:
            return False
        last = plain[-1]
        if "가" <= last <= "힣":
            final = (ord(last) - ord("가")) % 28
            return final != 0 and not (after_consonant == "으로" and final == 8)
        if after_consonant == "으로" and last in "lLrR178":
            return False
        return last in _ENDS_IN_CONSONANT


PARTICLES = _Particles()


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
    place = resources.files("thalweg") / room / "catalogue" / f"{lang}.toml"
    return dict(tomllib.loads(place.read_text(encoding="utf-8")))


def known_language(lang: str | None) -> str:
    """The language itself if thalweg speaks it; the locale's for None.

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
        raise OptionError(f"language {lang!r} is not spoken here.{suggest(lang, LANGUAGES)}")
    return lang


def default_language() -> str:
    """Korean where the environment's locale is Korean, else English."""
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
        The locale's by default.
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
    sentences = catalogue(room, known_language(lang))
    if name not in sentences:
        raise OptionError(f"no sentence {key!r} in {lang}.{suggest(name, sentences)}")
    return PARTICLES.vformat(sentences[name], (), values)
