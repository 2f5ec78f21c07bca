"""``thalweg explain --worksheet`` and ``--answers``: numbers to work out, and their marking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from thalweg.cli.orders import Explain
from thalweg.cli.paths import form_of, writable
from thalweg.cli.screen import Screen, to_json
from thalweg.cli.subjects import explanation_of
from thalweg.errors import DataError, OptionError, reason_of

if TYPE_CHECKING:
    from thalweg.explanation.worksheet import Marking, Worksheet

__all__ = ["run"]

BLANKS = 10
WRONG = 1


def run(screen: Screen, order: Explain) -> None:
    """Make a worksheet, write its key, or mark a filled one.

    Parameters
    ----------
    screen : Screen
    order : Explain
    """
    if order.answers is not None:
        _mark(screen, order, order.answers)
        return
    page, key = _places(order)
    blanks = BLANKS if order.blanks is None else order.blanks
    sheet = _sheet(order, blanks, order.seed or 0)
    if order.key:
        if page is None:
            screen.write(sheet.key())
            return
        page.write_text(sheet.key(), encoding="utf-8")
        screen.note(Text(screen.say("written_key", path=page)))
        return
    _write(screen, sheet, form_of(order.form, order.output), page, key)


def _places(order: Explain) -> tuple[Path | None, Path | None]:
    """Where the page and its key go: side by side, or nowhere."""
    if order.output is None:
        return None, None
    page = writable(order.output, order.force, *order.things or ())
    if order.key:
        return page, None
    return page, writable(page.with_suffix(".key.toml"), order.force, *order.things or ())


def _sheet(order: Explain, blanks: int, seed: int) -> Worksheet:
    """The worksheet of what is explained.

    Raises
    ------
    OptionError
        If there is nothing in it that could be left blank.
    """
    from thalweg.explanation.worksheet import make_worksheet

    if blanks < 1:
        raise OptionError("--blanks {blanks}: at least 1 is needed.", blanks=blanks)
    if seed < 0:
        raise OptionError("--seed {seed}: a seed is 0 or more.", seed=seed)
    sheet = make_worksheet(explanation_of(order, usual="walk"), blanks, seed)
    if not sheet.cells:
        raise OptionError(
            "There are no single numbers here to leave blank: show neurons, with --view walk or "
            '--neuron "hidden 2".'
        )
    return sheet


def _write(
    screen: Screen, sheet: Worksheet, form: str, page: Path | None, key: Path | None
) -> None:
    if page is not None and key is not None:
        page.write_text(sheet.page(screen.lang, form), encoding="utf-8")
        key.write_text(sheet.key(), encoding="utf-8")
        screen.note(Text(screen.say("written_sheet", page=page, answers=key)))
        return
    if form == "terminal":
        from thalweg.explanation.render.worksheet import renderable

        screen.show(renderable(sheet, screen.lang))
    else:
        screen.write(sheet.page(screen.lang, form))
    screen.note(Text(screen.say("sheet_key"), style="dim"))


def _mark(screen: Screen, order: Explain, answers: str) -> None:
    """Mark; leave with 1 unless everything is right."""
    from thalweg.explanation.worksheet import read_answers, read_choice

    if order.form not in (None, "terminal", "json"):
        raise OptionError("a marking is written for the terminal, or with --form json.")
    given = _text(answers)
    chosen = read_choice(given)
    blanks, seed = chosen or (BLANKS, 0)
    blanks = blanks if order.blanks is None else order.blanks
    seed = seed if order.seed is None else order.seed
    sheet = _sheet(order, blanks, seed)
    found = read_answers(given)
    if not found:
        raise DataError("{path} holds no answers: lines such as 1 = 0.5.", path=answers)
    if chosen is None and None in (order.blanks, order.seed):
        screen.note(Text(screen.say("sheet_assumed", blanks=blanks, seed=seed), style="dim"))
    marking = sheet.mark(found)
    _report(screen, order, marking)
    if marking.right < len(marking.answers):
        raise typer.Exit(WRONG)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError("{path} cannot be read: {why}.", path=path, why=reason_of(error)) from None
    except UnicodeDecodeError:
        raise DataError("{path} is no text in UTF-8.", path=path) from None


def _report(screen: Screen, order: Explain, marking: Marking) -> None:
    if order.form == "json":
        screen.write(to_json(marking.to_json(screen.lang)) + "\n")
        return
    screen.show(Text(marking.write(screen.lang).rstrip("\n")))
