"""``thalweg explain``: every derivative of a model on some rows, of an exercise, or of a formula.

What there is to explain is found in `subjects`; worksheets and their marking are in `worksheets`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from thalweg.cli.orders import Explain
from thalweg.cli.paths import form_of, writable
from thalweg.cli.screen import Screen
from thalweg.cli.subjects import explanation_of
from thalweg.errors import OptionError

if TYPE_CHECKING:
    from thalweg.explanation import Explanation

__all__ = ["run"]


def run(screen: Screen, order: Explain) -> None:
    """Explain, and write it down; or make a worksheet, or mark one.

    Parameters
    ----------
    screen : Screen
    order : Explain
    """
    if order.worksheet and order.answers is not None:
        raise OptionError("--worksheet makes a page and --answers marks one: give one of them.")
    if order.worksheet or order.key or order.answers is not None:
        from thalweg.cli import worksheets

        worksheets.run(screen, order)
        return
    path = None
    if order.output is not None:
        path = writable(order.output, order.force, *order.things or ())
    _write(screen, explanation_of(order), form_of(order.form, order.output), path)


def _write(screen: Screen, explanation: Explanation, form: str, path: Path | None) -> None:
    if path is not None:
        path.write_text(explanation.write(form, screen.lang), encoding="utf-8")
        screen.note(Text(screen.say("written_text", path=path)))
    elif form == "terminal":
        from thalweg.explanation.render.terminal import renderable

        screen.show(renderable(explanation, screen.lang))
    else:
        screen.write(explanation.write(form, screen.lang).rstrip("\n") + "\n")
