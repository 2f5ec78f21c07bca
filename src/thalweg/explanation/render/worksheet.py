r"""Worksheets as pages: Markdown, terminal, LaTeX for paper, HTML to fill in, JSON for programs.

Every page ends with a comment that says how its blanks were chosen, so that a filled page is all
that marking needs beside the exercise.

Examples
--------
>>> from thalweg.explanation import explain
>>> from thalweg.explanation.worksheet import make_worksheet
>>> sheet = make_worksheet(explain("w*x + b")(w=-2.0, x=5.0, b=3.0), blanks=2, seed=1)
>>> write(sheet, "markdown", "en").splitlines()[-4:]
['# worksheet: blanks = 2, seed = 1', '1 = ', '2 = ', '```']
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from html import escape
from importlib import resources
from io import StringIO
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from thalweg.errors import OptionError, suggest
from thalweg.explanation.notation import Math, digits, latex, mathml, text
from thalweg.explanation.render.latex import document, prose
from thalweg.explanation.render.terminal import ROLE_WIDTH, folded
from thalweg.language import tr

if TYPE_CHECKING:
    from thalweg.explanation.worksheet import Line, Worksheet

__all__ = ["PAGES", "renderable", "write"]

BLANK = "______"


def write(sheet: Worksheet, form: str, lang: str) -> str:
    """Write a worksheet with its blanks in a format.

    Parameters
    ----------
    sheet : Worksheet
    form : {"markdown", "terminal", "latex", "html", "json"}
    lang : str

    Raises
    ------
    OptionError
        For a format that worksheets do not have.
    """
    if form not in PAGES:
        raise OptionError(
            "worksheets are not written as {form!r}.{hint}", form=form, hint=suggest(form, PAGES)
        )
    return PAGES[form](sheet, lang)


def _given(sheet: Worksheet) -> str:
    return ", ".join(f"{text(name)} = {value}" for name, value in _families(sheet.given()))


def _families(given: Mapping[Math, float]) -> Iterator[tuple[Math, str]]:
    """Rows and columns of numbers as vectors; the others one by one."""
    families: dict[object, dict[Math, float]] = {}
    columns = {name.parts[:-2] for name in given if _indices(name) > 1 and name.parts[-1] != 1}
    for name, value in given.items():
        own: object = name.parts[:-1] if _indices(name) else name
        if _indices(name) > 1 and name.parts[:-2] not in columns:  # a matrix of one column
            own = name.parts[:-2]
        families.setdefault(own, {})[name] = value
    for own, members in families.items():
        values = [digits(value) for value in members.values()]
        at = len(own) if isinstance(own, tuple) else 0
        counted = at and [n.parts[at] for n in members] == list(range(1, len(members) + 1))
        if len(members) > 1 and counted and isinstance(own, tuple):
            yield Math("symbol", own), f"({', '.join(values)})"
        else:
            yield from zip(members, values, strict=True)


def _indices(name: Math) -> int:
    return len(name.parts) - 1 if name.head == "symbol" else 0


def _shown(line: Line) -> str:
    """What stands in the last column of a line that is no blank."""
    return "…" if line.value is None else digits(line.value)


# -- Markdown --------------------------------------------------------------------------------------
def _markdown(sheet: Worksheet, lang: str) -> str:
    say = partial(_say, lang)
    parts = [f"# {sheet.explanation.title.say(lang)}", "", say("sheet_how"), ""]
    parts.append(say("sheet_given", given=_given(sheet)))
    for title, lines in sheet.sections(lang):
        parts += ["", f"## {title}", "", f"| | | {say('column_value')} |", "|---|---|--:|"]
        parts += [_markdown_line(line) for line in lines]
    return "\n".join([*parts, "", "```toml", sheet.form().rstrip("\n"), "```", ""])


def _markdown_line(line: Line) -> str:
    value = _shown(line)
    if line.blank is not None:
        value = f"({line.blank}) " + BLANK.replace("_", r"\_")
    return f"| {line.role} | {line.equation} | {value} |".replace("|z|", "abs z")


def _say(lang: str, key: str, **values: object) -> str:
    return tr(f"explanation.{key}", lang, **values)


# -- terminal --------------------------------------------------------------------------------------
def renderable(sheet: Worksheet, lang: str) -> RenderableType:
    """The page for a rich console, which knows its own width and colours."""
    say = partial(_say, lang)
    parts: list[RenderableType] = [Text(sheet.explanation.title.say(lang), style="bold"), ""]
    parts += [Text(say("sheet_how")), "", Text(say("sheet_given", given=_given(sheet)))]
    for title, lines in sheet.sections(lang):
        parts.append(Text("\n" + title, style="bold underline"))
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        table.expand = True
        table.add_column(say("column_step"), max_width=ROLE_WIDTH)
        table.add_column(say("column_formula_only"), ratio=1, overflow="fold")
        table.add_column(say("column_value"), justify="right", no_wrap=True)
        for line in lines:
            blank = line.blank is not None
            value = f"({line.blank}) {BLANK}" if blank else _shown(line)
            style = "bold yellow" if blank else ""
            table.add_row(folded(line.role), Text(line.equation), Text(value, style=style))
        parts.append(table)
    return Group(*parts, "", Padding(Text(sheet.form().rstrip("\n")), (0, 0, 0, 2)))


def _terminal(sheet: Worksheet, lang: str) -> str:
    stream = StringIO()
    Console(file=stream, width=80, color_system=None).print(renderable(sheet, lang))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


# -- LaTeX -----------------------------------------------------------------------------------------
def _latex(sheet: Worksheet, lang: str) -> str:
    say = partial(_say, lang)
    given = ", ".join(f"${latex(n)} = {v}$" for n, v in _families(sheet.given()))
    parts = [rf"\section*{{{prose(sheet.explanation.title.say(lang))}}}"]
    parts += [prose(say("sheet_how_paper")) + r"\par", prose(say("sheet_given", given="@@"))]
    parts[-1] = parts[-1].replace("@@", given)
    for title, lines in sheet.sections(lang):
        parts.append(rf"\subsection*{{{prose(title)}}}")
        parts.append(r"\begin{longtable}{@{}p{0.2\textwidth}p{0.56\textwidth}r@{}}")
        parts += [_latex_line(line) for line in lines]
        parts.append(r"\end{longtable}")
    comment = "".join(f"% {line}\n" for line in sheet.form().splitlines()[:1])
    return document("\n".join(parts) + "\n" + comment, r"\usepackage{longtable}" + "\n")


def _latex_line(line: Line) -> str:
    value = f"${_shown(line)}$".replace("…", r"\dots")
    if line.blank is not None:
        value = rf"({line.blank})~\underline{{\hspace{{20mm}}}}"
    formula = latex(line.step.name)
    if line.formula is not None:
        formula += " = " + latex(line.formula)
    place = f" ({prose(line.place)})" if line.place else ""
    return rf"{prose(line.role)} & $\displaystyle {formula}${place} & {value} \\[4pt]"


# -- HTML ------------------------------------------------------------------------------------------
def _html(sheet: Worksheet, lang: str) -> str:
    say = partial(_say, lang)
    title = escape(sheet.explanation.title.say(lang))
    given = ", ".join(
        f"<math>{mathml(n)}<mo>=</mo><mtext>{v}</mtext></math>" for n, v in _families(sheet.given())
    )
    parts = [
        f"<p>{escape(say('sheet_how_fields'))}</p>",
        f"<p>{escape(say('sheet_given', given='@@')).replace('@@', given)}</p>",
    ]
    for name, lines in sheet.sections(lang):
        rows = "".join(_html_line(line, say) for line in lines)
        parts.append(f"<h2>{escape(name)}</h2><div class='wide'><table>{rows}</table></div>")
    comment = escape(sheet.form().splitlines()[0], quote=True)
    save = f'<button type="button" data-comment="{comment}">{escape(say("sheet_save"))}</button>'
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title><style>{_asset('worksheet.css')}</style></head>"
        f"<body><main><h1>{title}</h1>{''.join(parts)}<p>{save}</p></main>"
        f"<script>{_asset('worksheet.js')}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return (resources.files("thalweg.explanation.render") / name).read_text(encoding="utf-8")


def _html_line(line: Line, say: Callable[..., str]) -> str:
    formula = mathml(line.step.name)
    if line.formula is not None:
        formula += "<mo>=</mo>" + mathml(line.formula)
    place = f" <small>{escape(line.place)}</small>" if line.place else ""
    value = escape(_shown(line))
    if line.blank is not None:
        label = escape(say("sheet_blank", number=line.blank, name=text(line.step.name)), quote=True)
        value = (
            f'({line.blank}) <input inputmode="decimal" autocomplete="off" '
            f'data-number="{line.blank}" aria-label="{label}">'
        )
    return (
        f"<tr><td>{escape(line.role)}</td><td><math>{formula}</math>{place}</td>"
        f"<td>{value}</td></tr>"
    )


# -- JSON ------------------------------------------------------------------------------------------
def _json(sheet: Worksheet, lang: str) -> str:
    page = {
        "title": sheet.explanation.title.say(lang),
        "seed": sheet.seed,
        "blanks": sheet.blanks,
        "given": {text(name): value for name, value in sheet.given().items()},
        "sections": [
            {"title": title, "lines": [_record(line) for line in lines]}
            for title, lines in sheet.sections(lang)
        ],
    }
    return json.dumps(page, ensure_ascii=False, indent=2) + "\n"


def _record(line: Line) -> dict[str, object]:
    return {
        "role": line.step.role,
        "name": line.step.id,
        "formula": None if line.formula is None else text(line.formula),
        "value": line.value,
        "blank": line.blank,
    }


PAGES: Mapping[str, Callable[[Worksheet, str], str]] = {
    "markdown": _markdown,
    "terminal": _terminal,
    "latex": _latex,
    "html": _html,
    "json": _json,
}
"""The formats of a worksheet."""
