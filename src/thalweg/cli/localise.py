"""Help in the reader's language: options are declared with keys, which become sentences here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from thalweg.cli.usage import usage
from thalweg.errors import OptionError
from thalweg.language import LANGUAGES, catalogue, default_language, tr
from thalweg.phrases import joined

__all__ = ["checked_language", "localise", "localise_headings", "wanted_language"]


def wanted_language(arguments: Sequence[str]) -> str:
    """The language of ``--lang``, else the locale's; what is no language is refused later.

    Examples
    --------
    >>> wanted_language(["fit", "data.csv", "--lang", "ko"]), wanted_language(["--lang=en"])
    ('ko', 'en')
    """
    for at, argument in enumerate(arguments):
        following = arguments[at + 1] if at + 1 < len(arguments) else ""
        found = following if argument == "--lang" else argument.removeprefix("--lang=")
        if argument.startswith("--lang") and found in LANGUAGES:
            return readable(found)
    return readable(default_language())


def readable(lang: str) -> str:
    """The language, or English where the output cannot show its letters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        tr("cli.part_training", lang).encode(encoding)
    except UnicodeEncodeError:
        return "en"
    return lang


def localise(command: Any, lang: str) -> Any:
    """Put sentences in place of keys: help, panels and short descriptions of a command.

    Parameters
    ----------
    command : click command
        Changed in place; the commands below it, too.
    lang : str

    Returns
    -------
    click command
    """
    known = catalogue("cli", lang)

    def said(key: str | None) -> str | None:
        return tr(f"cli.{key}", lang) if key in known else key

    command.help = said(command.help)
    command.short_help = said(command.short_help)
    command.epilog = said(command.epilog)
    command.rich_help_panel = said(getattr(command, "rich_help_panel", None))
    command.get_usage = partial(_usage, command.get_usage, lang)
    for parameter in command.params:
        parameter.help = said(getattr(parameter, "help", None))
        if parameter.metavar and f"metavar_{parameter.metavar}" in known:
            parameter.metavar = tr(f"cli.metavar_{parameter.metavar}", lang)
        parameter.rich_help_panel = said(getattr(parameter, "rich_help_panel", None))
    _localise_help(command, lang)
    for below in getattr(command, "commands", {}).values():
        localise(below, lang)
    return command


def _usage(usual: Callable[[Any], str], lang: str, context: Any) -> str:
    return usage(usual(context), lang)


def _localise_help(command: Any, lang: str) -> None:
    """The option ``--help`` itself, which Click makes anew whenever it is asked for."""
    usual = command.get_help_option

    def option(context: Any) -> Any:
        found = usual(context)
        if found is not None:
            found.help = tr("cli.option_help", lang)
            found.metavar = ""  # some versions of Typer say of a flag that it takes a value
        return found

    command.get_help_option = option


def localise_headings(lang: str) -> None:
    """Put the headings that Typer writes itself into a language."""
    from typer import rich_utils

    rich_utils.ARGUMENTS_PANEL_TITLE = tr("cli.panel_arguments", lang)
    rich_utils.OPTIONS_PANEL_TITLE = tr("cli.panel_options", lang)
    rich_utils.ERRORS_PANEL_TITLE = tr("cli.panel_error", lang)
    rich_utils.REQUIRED_LONG_STRING = tr("cli.required", lang)
    rich_utils.highlighter = _Folding(rich_utils.highlighter)  # type: ignore[assignment]


class _Folding:
    """Typer's highlighter, for texts that are folded.

    Rich counts letters, not columns, when it takes the space off a line's end; the line of wide
    letters is then too long, and loses its last one to an ellipsis.
    """

    def __init__(self, usual: Callable[[Any], Any]) -> None:
        self.usual = getattr(usual, "usual", usual)

    def __call__(self, text: Any) -> Any:
        found = self.usual(text)
        found.overflow = "fold"
        return found


def checked_language(lang: str | None) -> str:
    """The language itself; a plain message for one that is not spoken."""
    if lang is not None and lang not in LANGUAGES:
        raise OptionError(
            "--lang {lang}: the languages are {names}.", lang=lang, names=joined(LANGUAGES)
        )
    return readable(lang or default_language())
