"""The terminal: ``thalweg fit``, ``predict``, ``explain``, ``check`` and ``info``.

`app` states the commands and their options; each command has a file of its own that calls the
public names of thalweg and nothing else. Nothing heavy is imported before a command needs it.

==============  ======================================================
`app`           commands and options
`orders`        what each command is asked for: a record whose fields are its options
`options`       the options, one name each
`given`         what was typed, as the rest of thalweg takes it
`subjects`      what `explain` is about; `worksheets` what it asks
`localise`      help in the reader's language
`screen`        results and messages, on terminals of every encoding
`failures`      errors as messages and exit codes
==============  ======================================================
"""

import gc
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["main"]

NEW_OBJECTS = 300_000
"""Until so many are there nobody looks for cycles: what is loaded stays, and looking through it
takes a twentieth of a short run."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the name of the program; ``sys.argv[1:]`` by default.
    """
    gc.set_threshold(NEW_OBJECTS)
    from thalweg.cli.app import command
    from thalweg.cli.localise import localise_headings, wanted_language
    from thalweg.cli.screen import degrade_gracefully

    given = list(sys.argv[1:] if arguments is None else arguments)
    degrade_gracefully(sys.stdout, sys.stderr)
    lang = wanted_language(given)
    if lang != "en":
        localise_headings(lang)
    try:
        if lang == "en":
            command(lang)(given, prog_name="thalweg")
        else:
            sys.exit(_run(command(lang), given, lang))
    except KeyboardInterrupt:
        sys.exit(130)


def _run(command: Any, given: list[str], lang: str) -> int:
    """Run a command whose complaints Click would write in English."""
    from thalweg.cli.failures import USAGE
    from thalweg.cli.screen import Screen
    from thalweg.cli.usage import ClickException, complain_of_usage

    try:
        return int(command(given, prog_name="thalweg", standalone_mode=False) or 0)
    except ClickException as error:
        if type(error).__name__ != "NoArgsIsHelpError":
            complain_of_usage(Screen(lang), error)
        return USAGE
