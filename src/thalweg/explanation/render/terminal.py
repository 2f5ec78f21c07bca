"""Explanations in the terminal: tables of 80 columns, with the shape on every line.

Where the output cannot show ∂ or Greek letters, plain ASCII is written instead.

Examples
--------
>>> from thalweg.explanation import explain
>>> print(explain("w*x + b")(w=-2.0, x=5.0, b=3.0).write("terminal", "en", width=72))
f = w*x + b
...
"""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO

import numpy as np
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from thalweg.explanation.notation import digits, shortened, text
from thalweg.explanation.records import Array, Explanation, Section, Step
from thalweg.language import known_language, tr

__all__ = ["ROLE_WIDTH", "ascii_only", "folded", "render", "renderable"]

MAX_ROWS, MAX_COLUMNS, MAX_TERMS = 8, 6, 8
ROLE_WIDTH = 14
STYLES = {
    "local": "cyan",
    "global": "bold",
    "common": "bold yellow",
    "update": "bold green",
    "upstream": "dim",
}
_PLAIN = str.maketrans(
    {
        "∂": "d", "·": "*", "∘": ".*", "Σ": "sum", "ᵀ": "^T", "←": "<-", "→": "->", "√": "sqrt",
        "σ": "sigmoid", "−": "-", "∞": "inf", "α": "alpha", "β": "beta", "δ": "delta",
        "ε": "epsilon", "λ": "lambda", "μ": "mu", "η": "eta", "ρ": "rho", "ℓ": "l", "⁺": "+",
        "…": "...", "⋮": ":", "×": "x", "≥": ">=", "≤": "<=", "≠": "!=", "½": "1/2", "∧": "&",
        "∨": "|", "⎡": "[", "⎣": "[", "⎢": "|", "⎤": "]", "⎦": "]", "⎥": "|", "─": "-", "━": "-",
        "²": "^2", "³": "^3", "₀": "0", "₁": "1", "₂": "2", "₃": "3", "₄": "4", "₅": "5",
        "₆": "6", "₇": "7", "₈": "8", "₉": "9", "ₛ": "_s", "’": "'", "–": "-", "▲": "+", "▼": "-",
        "θ": "theta", "γ": "gamma", "Λ": "Lambda", "Δ": "Delta", "‖": "||", "⁻": "^-",
        "¹": "1", "ω": "omega", "è": "e", "ø": "o",
    }
)  # fmt: skip


def ascii_only(line: str) -> str:
    """The line in ASCII; letters without a plain form become ``?``.

    Examples
    --------
    >>> ascii_only("∂f/∂w₁ = σ(z)·x²")
    'df/dw1 = sigmoid(z)*x^2'
    """
    return line.translate(_PLAIN).encode("ascii", "replace").decode("ascii")


def render(
    explanation: Explanation,
    lang: str,
    *,
    width: int = 80,
    ascii: bool = False,
    color: bool = False,
) -> str:
    """Write an explanation as lines of text.

    Parameters
    ----------
    explanation : Explanation
    lang : str
    width : int
        Columns of the terminal.
    ascii : bool
        Only plain letters and signs.
    color : bool
        With the terminal's escape sequences.

    Returns
    -------
    str
    """
    stream = StringIO()
    console = Console(
        file=stream, width=width, force_terminal=color, color_system="auto" if color else None
    )
    console.print(renderable(explanation, lang))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    written = "\n".join(lines).rstrip() + "\n"
    return ascii_only(written) if ascii else written


def renderable(explanation: Explanation, lang: str | None = None) -> RenderableType:
    """The explanation for a rich console, which knows its own width and colours."""
    lang = known_language(lang)
    parts: list[RenderableType] = [Text(explanation.title.say(lang), style="bold")]
    for section in explanation.sections:
        parts += _section(section, lang, section.title != explanation.title)
    return Group(*parts)


def _section(section: Section, lang: str, headed: bool) -> list[RenderableType]:
    heading = Text("\n" + section.title.say(lang), style="bold underline")
    parts: list[RenderableType] = [heading if headed else Text("")]
    if section.steps:
        parts.append(_Sheet(section, lang))
    notes = [note.say(lang) for note in section.notes]
    notes += [note.say(lang) for step in section.steps for note in step.notes]
    parts += [Padding(Text(note), (0, 0, 0, 2)) for note in dict.fromkeys(notes)]
    return parts


@dataclass(frozen=True)
class _Sheet:
    """A section's table, whose matrices are cut to the width of the console."""

    section: Section
    lang: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _table(self.section, self.lang, options.max_width)


def _room(section: Section, lang: str, width: int, checked: bool) -> int:
    """How many columns of the console are left for formulas and matrices."""
    said = [tr(f"explanation.role_{step.role}", lang) for step in section.steps]
    roles = [line for role in said for line in folded(role).splitlines()]
    values = [_single(step.value) for step in section.steps]
    shapes = [_shape(step.value) for step in section.steps]
    others = [("step", roles), ("value", values), ("shape", shapes)]
    if checked:
        others.append(("check", [_single(step.estimate) for step in section.steps]))
    taken = sum(
        max(cell_len(text) for text in (tr(f"explanation.column_{name}", lang), *cells)) + 1
        for name, cells in others
    )
    return width - taken - len(others) - 1


def _table(section: Section, lang: str, width: int) -> Table:
    checked = any(s.estimate is not None and not s.value.ndim for s in section.steps)
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, expand=True
    )
    table.add_column(tr("explanation.column_step", lang), max_width=ROLE_WIDTH)
    table.add_column(tr("explanation.column_formula", lang), ratio=1, overflow="fold")
    table.add_column(tr("explanation.column_value", lang), justify="right", no_wrap=True)
    if checked:
        table.add_column(tr("explanation.column_check", lang), justify="right", no_wrap=True)
    table.add_column(tr("explanation.column_shape", lang), justify="right", no_wrap=True)
    before, room = "", _room(section, lang, width, checked)
    for step in section.steps:
        value, estimate = _single(step.value), _single(step.estimate)
        cells = [Text(value), Text(estimate)] if checked else [Text(value)]
        said = "" if step.role == before else tr(f"explanation.role_{step.role}", lang)
        before, role = step.role, Text(folded(said), style=STYLES.get(step.role, ""))
        table.add_row(role, _formula(step, lang, room), *cells, _shape(step.value))
    return table


def folded(role: str) -> str:
    r"""A long role on two lines.

    Examples
    --------
    >>> folded("2 common part"), folded("1 activation local")
    ('2 common part', '1 activation\n  local')
    """
    if cell_len(role) <= ROLE_WIDTH:
        return role
    head, _, tail = role[: ROLE_WIDTH + 1].rpartition(" ")
    return f"{head}\n  {tail}{role[ROLE_WIDTH + 1 :]}" if head.strip() else role


def _single(value: Array | None) -> str:
    return digits(float(value)) if value is not None and value.ndim == 0 else ""


def _shape(value: Array) -> str:
    if not value.size:
        return ""
    if value.ndim == 1:
        return f"({value.size},)"
    return "×".join(map(str, value.shape)) if value.shape else "1"


def _formula(step: Step, lang: str, room: int) -> Text:
    """Name = formula, the numbers below, and below that a matrix."""
    written = Text(step.id, style="bold" if step.role in ("global", "common") else "")
    if step.formula is not None and text(step.formula) != step.id:
        written.append(f" = {text(shortened(step.formula, MAX_TERMS))}", style="not bold")
    if step.place is not None:
        written.append(f"  ({step.place.say(lang)})", style="not bold dim")
    if step.numbers is not None and (step.formula is None or step.numbers != step.formula):
        written.append(f"\n  = {text(shortened(step.numbers, MAX_TERMS))}", style="not bold dim")
    if step.value.ndim and step.value.size:
        written.append("\n" + matrix(step.value, room, step.rows), style="not bold")
        if step.estimate is not None:
            from thalweg.explanation.numerical import agreement

            difference = float(np.max(np.abs(step.value - step.estimate)))
            said = tr(f"explanation.{agreement(step)}", lang, difference=f"{difference:.1e}")
            written.append("\n" + said, style="not bold dim")
    return written


def matrix(value: Array, width: int = 60, names: tuple[str, ...] = ()) -> str:
    """A vector or matrix in brackets, large ones with their middle left out.

    Parameters
    ----------
    value : array
    width : int
        Columns of the terminal that a line may take.
    names : tuple of str
        Of the rows; they are written behind them.

    Examples
    --------
    >>> print(matrix(np.array([[1.0, -2.5], [0.25, 4.0]])))
    ⎡    1  -2.5 ⎤
    ⎣ 0.25     4 ⎦
    """
    if value.ndim == 1:
        value = value[None, :]
    if value.ndim > 2:
        value = value.reshape(-1, value.shape[-1])
    if value.size == 0:
        return "[ ]"
    rows, more_rows = _clip(value.shape[0], MAX_ROWS)
    told = [shortened_name(names[r]) if r < len(names) else "" for r in rows]
    longest = max(map(cell_len, told))
    for most in range(MAX_COLUMNS, 2, -1):
        lines = _lines(value, rows, most)
        if len(lines[0]) + 6 + longest <= width + 2 * (not longest):
            break
    if more_rows:
        lines.insert(len(rows) - 1, "⋮".center(len(lines[0])))
        told.insert(len(rows) - 1, "")
    written = zip(_bracketed(lines), told, strict=True)
    return "\n".join(f"{line}  {name}".rstrip() for line, name in written)


def shortened_name(name: str, most: int = 20) -> str:
    """A name with its end left out if it is long."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _lines(value: Array, rows: list[int], most: int) -> list[str]:
    """Rows of a matrix with at most so many columns, one below the other."""
    columns, more = _clip(value.shape[1], most)
    cells = [[digits(float(value[r, c]), 4) for c in columns] for r in rows]
    for row in cells:
        if more:
            row.insert(len(columns) - 1, "…")
    widths = [max(len(row[c]) for row in cells) for c in range(len(cells[0]))]
    return ["  ".join(f"{x:>{w}}" for x, w in zip(row, widths, strict=True)) for row in cells]


def _clip(length: int, most: int) -> tuple[list[int], bool]:
    """The places shown: all, or the first ones and the last."""
    if length <= most:
        return list(range(length)), False
    return [*range(most - 2), length - 1], True


def _bracketed(lines: list[str]) -> list[str]:
    if len(lines) == 1:
        return [f"[ {lines[0]} ]"]
    left = ["⎡", *"⎢" * (len(lines) - 2), "⎣"]
    right = ["⎤", *"⎥" * (len(lines) - 2), "⎦"]
    return [f"{a} {line} {b}" for a, line, b in zip(left, lines, right, strict=True)]
