"""What Click says about a command line that it cannot read, in the reader's language.

Click writes English; its sentences are known here by their patterns, and one that is not known
stays as it is.

Examples
--------
>>> translated("Missing option '--target' / '-t'.", "ko")
"옵션 '--target' / '-t'가 없습니다."
>>> usage("Usage: thalweg fit [OPTIONS] {data}", "ko")
'사용법: thalweg fit [옵션] {data}'
"""

from __future__ import annotations

import re
from typing import Any

import typer

from thalweg.cli.screen import Screen
from thalweg.phrases import Phrase

__all__ = ["ClickException", "complain_of_usage", "translated", "usage"]

ClickException: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""The one of the Click that this Typer uses, which may be its own copy."""

_WORDS = {
    "Usage:": Phrase("Usage:"),
    "[OPTIONS]": Phrase("[OPTIONS]"),
    "COMMAND [ARGS]...": Phrase("COMMAND [ARGS]..."),
}

_PATTERNS = tuple(
    (re.compile(pattern), phrase)
    for pattern, phrase in (
        (r"Missing option (?P<name>.+?)\.", Phrase("Missing option {name}.")),
        (r"Missing argument (?P<name>.+?)\.", Phrase("Missing argument {name}.")),
        (r"Missing command\.", Phrase("Missing command.")),
        (r"No such command (?P<name>'.*?')\.(?P<rest>.*)", Phrase("No such command {name}.{rest}")),
        (
            r"No such option:? (?P<name>[^ ]+?)\.?(?P<rest> .*)?",
            Phrase("No such option: {name}{rest}"),
        ),
        (r" ?\(Possible options: (?P<names>.*)\)", Phrase(" (Possible options: {names})")),
        (r" ?\(?Did you mean:? (?P<names>.*?)\??\)?", Phrase(" Did you mean {names}?")),
        (
            r"Option (?P<name>'.*?') requires an argument\.",
            Phrase("Option {name} requires an argument."),
        ),
        (
            r"Option (?P<name>'.*?') does not take a value\.",
            Phrase("Option {name} does not take a value."),
        ),
        (
            r"Got unexpected extra arguments?(\(s\))? \((?P<names>.*)\)",
            Phrase("Got unexpected extra arguments ({names})"),
        ),
        (
            r"Invalid value for (?P<name>'.*?'): (?P<rest>.*)",
            Phrase("Invalid value for {name}: {rest}"),
        ),
        (
            r"(Input should be a valid integer|.* is not a valid int).*",
            Phrase("it is not a whole number."),
        ),
        (
            r"(Input should be a valid number|.* is not a valid float).*",
            Phrase("it is not a number."),
        ),
    )
)


def translated(message: str, lang: str) -> str:
    """A sentence of Click's in a language.

    Parameters
    ----------
    message : str
    lang : str

    Returns
    -------
    str
    """
    for pattern, phrase in _PATTERNS:
        found = pattern.fullmatch(message.replace("\n", " "))
        if found is not None:
            parts = {name: text or "" for name, text in found.groupdict().items()}
            if parts.get("rest"):
                parts["rest"] = translated(parts["rest"], lang)
            return phrase.filled(**parts).said(lang) if parts else phrase.said(lang)
    return message


def usage(line: str, lang: str) -> str:
    """The line that begins with "Usage:" in a language."""
    for word, phrase in _WORDS.items():
        line = line.replace(word, phrase.said(lang))
    return line


def complain_of_usage(screen: Screen, error: Any) -> None:
    """Write how the command is called, and what was wrong with the call."""
    from rich.text import Text

    from thalweg.cli.failures import complain

    context = getattr(error, "ctx", None)
    if context is not None:
        screen.complain(Text(context.get_usage()))
        screen.complain(Text(screen.say("usage_help", command=context.command_path)), "")
    complain(screen, translated(error.format_message(), screen.lang))
