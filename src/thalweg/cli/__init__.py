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

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the name of the program; ``sys.argv[1:]`` by default.
    """
    from thalweg.cli.app import command
    from thalweg.cli.localise import localise_headings, wanted_language
    from thalweg.cli.screen import degrade_gracefully

    given = list(sys.argv[1:] if arguments is None else arguments)
    degrade_gracefully(sys.stdout, sys.stderr)
    lang = wanted_language(given)
    if lang != "en":
        localise_headings(lang)
    try:
        command(lang)(given, prog_name="thalweg")
    except KeyboardInterrupt:
        sys.exit(130)
