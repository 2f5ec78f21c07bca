"""A model in a few lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from thalweg.language import known_language, tr
from thalweg.phrases import Phrase
from thalweg.training.scaling import Identity

if TYPE_CHECKING:
    from thalweg.training.model import Model

__all__ = ["summary", "summary_rows"]


def summary_rows(model: Model, lang: str | None = None) -> list[tuple[str, str]]:
    """Pairs of a heading and a text: network, scaling, method, figures, why it stopped."""
    origin = model.origin

    spoken = known_language(lang)

    def say(key: str, **values: object) -> str:
        return tr(f"training.{key}", spoken, **values)

    def said(phrase: Phrase) -> str:
        return phrase.said(spoken)

    scaling = [
        say(
            "scaled_no" if isinstance(found, Identity) else "scaled_yes",
            what=say(what),
            how=found.to_json()["kind"],
        )
        for what, found in (
            ("word_inputs", model.encoding.input_scaling),
            ("word_targets", model.encoding.target_scaling),
        )
    ]
    rows = [
        (say("row_network"), said(Phrase("Network {layers}", layers=model.network.phrase))),
        (say("row_loss"), str(model.loss)),
        (say("row_scaling"), "; ".join(scaling)),
        (say("row_method"), origin.method),
        (say("row_rows"), said(origin.split.phrase)),
    ]
    for part, figures in origin.figures.items():
        shown = ", ".join(f"{say(f'figure_{name}')} {value:.4g}" for name, value in figures.items())
        rows.append((say(f"row_{part}"), shown))
    if origin.constraints is not None:
        rows += origin.constraints.rows(lang)
    return [*rows, (say("row_stop"), origin.stop.sentence(lang))]


def summary(model: Model, lang: str | None = None) -> str:
    """The rows of `summary_rows` as lines of text."""
    rows = summary_rows(model, lang)
    width = max(_columns(name) for name, _ in rows)
    return "\n".join(f"{name}{' ' * (width - _columns(name))}  {text}" for name, text in rows)


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
