"""Renderers: one file turns records into one format, and knows nothing else.

Examples
--------
>>> sorted(RENDERERS)
['html', 'json', 'latex', 'markdown', 'source', 'terminal']
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from thalweg.errors import OptionError, suggest
from thalweg.explanation.records import Explanation
from thalweg.language import known_language

__all__ = ["RENDERERS", "render"]

RENDERERS = ("terminal", "markdown", "latex", "html", "json", "source")
"""The formats; each is a module of this package with a function ``render``."""


def render(explanation: Explanation, form: str, lang: str | None = None, **options: Any) -> str:
    """Write an explanation in a format.

    Raises
    ------
    OptionError
        For a format that does not exist.
    """
    if form not in RENDERERS:
        raise OptionError(
            "explanations are not written as {form!r}.{hint}",
            form=form,
            hint=suggest(form, RENDERERS),
        )
    module = import_module(f"thalweg.explanation.render.{form}")
    text: str = module.render(explanation, known_language(lang), **options)
    return text
