"""Sentences that carry their values, so that they can be said in any language thalweg speaks.

The English template stands in the code, where the sentence is needed, and is the key under which
``catalogue/ko/<room>.toml`` keeps its Korean. A phrase is an ordinary `str` in English; `said` says
it in another language, with the values put in anew. A value may be a phrase or an error itself: it
is said in the language of its sentence.

Examples
--------
>>> found = Phrase("language {lang!r} is not spoken here.{hint}", lang="fr", hint="")
>>> found
"language 'fr' is not spoken here."
>>> found.said("ko")
"언어 'fr'은 없습니다."

After a value, Korean needs the particle that fits its last sound, so ``{w:을/를}`` writes the value
and chooses:

>>> PARTICLES.format("{a:을/를} {b:을/를} {c:으로/로}", a="가중치", b="W[1]", c="σ")
'가중치를 W[1]을 σ로'
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterable, Mapping
from functools import cache, reduce
from numbers import Number
from typing import Any, Self

__all__ = [
    "LANGUAGES",
    "PARTICLES",
    "Phrase",
    "chosen_language",
    "in_korean",
    "in_language",
    "joined",
    "recorded",
    "reread",
    "speak",
]

LANGUAGES = ("en", "ko")

_ENDS_IN_CONSONANT = frozenset("lmnr013678LMNR")
"""Letters and digits whose Korean name ends in a consonant: 엘, 엠, 엔, 알; 영, 일, 삼, ..."""

_PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹", "01234567890123456789")

_SHORT = re.compile(r"(\.\d{1,2})?[a-z]?")
"""The formats that a template from a document may have."""

_speaking: list[str] = []


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


class Phrase(str):
    """A sentence or a word in English that can be said in the other languages, too.

    Parameters
    ----------
    template : str
        The English text with places for the values, as for `str.format`. Without values it is
        taken as it stands, braces included.
    **values
        Numbers, texts, phrases, errors; of anything else its text is kept, not the thing itself.

    Examples
    --------
    >>> Phrase("{count} rows", count=3)
    '3 rows'
    """

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, /, **values: object) -> Self:  # noqa: D102
        kept = {name: _kept(value) for name, value in values.items()}
        english = PARTICLES.vformat(template, (), in_language(kept, "en")) if kept else template
        phrase = super().__new__(cls, english)
        phrase.template, phrase.values = str(template), kept
        return phrase

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        return (self.template,), self.values

    def filled(self, **values: object) -> Phrase:
        """The same template with these values."""
        return Phrase(self.template, **values)

    def said(self, lang: str | None = None) -> str:
        """The text in a language; where no translation is known, in English.

        Parameters
        ----------
        lang : {"en", "ko"}, optional
            By default the language that was chosen for this process, else English.

        Returns
        -------
        str
        """
        lang = lang or chosen_language() or "en"
        template = in_korean().get(self.template, self.template) if lang == "ko" else self.template
        if not self.values:
            return template
        return PARTICLES.vformat(template, (), in_language(self.values, lang))


def joined(parts: Iterable[object], between: str = "{left} and {right}") -> Phrase:
    """The parts in one phrase, by default with "and" between them.

    Examples
    --------
    >>> joined(["en", "ko"]).said("ko")
    'en과 ko'
    >>> joined([Phrase("loss"), 3], "{left}, {right}").said("ko")
    '손실 함수, 3'
    """
    phrases = (part if isinstance(part, Phrase) else Phrase(str(part)) for part in parts)
    return reduce(lambda left, right: Phrase(between, left=left, right=right), phrases)


class _Shown(str):
    """What a thing looks like, without the thing: phrases keep nothing large alive."""

    written: str

    def __new__(cls, text: str, written: str) -> Self:
        shown = super().__new__(cls, text)
        shown.written = written
        return shown

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (str(self), self.written)

    def __repr__(self) -> str:
        return self.written


def _kept(value: object) -> object:
    if isinstance(value, BaseException):
        return getattr(value, "phrase", None) or str(value)
    if value is None or isinstance(value, str | Number) or hasattr(value, "said"):
        return value
    if type(value) is tuple:
        return tuple(_kept(part) for part in value)
    if type(value) is list:
        return [_kept(part) for part in value]
    return _Shown(str(value), repr(value))


def in_language(values: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """The values, and those among them that can be said, in a language."""
    return {
        name: value.said(lang) if hasattr(value, "said") else value
        for name, value in values.items()
    }


def recorded(text: str) -> str | dict[str, object]:
    """A text for a JSON document; of a phrase its template and values, so that `reread` can speak.

    Examples
    --------
    >>> recorded(Phrase("row {row}", row=3))
    {'en': 'row {row}', 'values': {'row': 3}}
    """
    if not isinstance(text, Phrase):
        return str(text)
    values = {
        name: recorded(value) if isinstance(value, str) else value
        for name, value in text.values.items()
    }
    plain = all(isinstance(value, str | int | float | dict) for value in values.values())
    return {"en": text.template, "values": values} if plain else str(text)


def reread(record: object) -> str:
    """What `recorded` wrote.

    Raises
    ------
    ValueError
        For anything else, also for a template with other places than names and short formats: a
        document must not reach into values, nor ask for texts without end.

    Examples
    --------
    >>> reread({"en": "row {row}", "values": {"row": 3}}).said("ko")
    '3행'
    """
    if isinstance(record, str):
        return record
    if not isinstance(record, dict) or set(record) != {"en", "values"}:
        raise ValueError(record)
    template, values = record["en"], record["values"]
    if not isinstance(template, str) or not isinstance(values, dict):
        raise ValueError(record)
    for _, name, form, _ in string.Formatter().parse(template):
        if name is not None and not (name.isidentifier() and _SHORT.fullmatch(form or "")):
            raise ValueError(record)
    try:
        return Phrase(
            template,
            **{
                name: value if isinstance(value, int | float) else reread(value)
                for name, value in values.items()
            },
        )
    except (KeyError, TypeError) as error:
        raise ValueError(record) from error


@cache
def in_korean() -> dict[str, str]:
    """The Korean of every English template, from ``catalogue/ko``."""
    import tomllib  # only here: most programs never speak Korean
    from importlib import resources

    folder = resources.files("thalweg") / "catalogue" / "ko"
    known: dict[str, str] = {}
    for place in folder.iterdir():
        pairs = tomllib.loads(place.read_text(encoding="utf-8"))["phrase"]
        known.update((pair["en"], pair["ko"]) for pair in pairs)
    return known


def speak(lang: str | None) -> None:
    """Choose the language of this process; None takes the choice back."""
    _speaking[:] = [] if lang is None else [lang]


def chosen_language() -> str | None:
    """The language chosen for this process: by `thalweg.set_language`, else ``THALWEG_LANG``."""
    found = _speaking[0] if _speaking else os.environ.get("THALWEG_LANG", "").lower()[:2]
    return found if found in LANGUAGES else None
