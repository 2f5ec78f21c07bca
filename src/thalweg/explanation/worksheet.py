"""Worksheets: an explanation with some numbers left blank, its key, and the marking of answers.

Which numbers are blank follows from a seed, so that a worksheet can be made again from the same
exercise and need not be kept.

Examples
--------
>>> from thalweg.explanation import explain
>>> sheet = make_worksheet(explain("w*x + b")(w=-2.0, x=5.0, b=3.0), blanks=3, seed=1)
>>> answers = {number: cell.value for number, cell in sheet.cells.items()}
>>> sheet.mark(answers).right, sheet.mark({}).right
(3, 0)
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from thalweg.errors import DataError
from thalweg.explanation.notation import Math, digits, text
from thalweg.explanation.notation.tree import NAMES
from thalweg.explanation.records import Explanation, Sentence, Step
from thalweg.language import known_language, tr

__all__ = ["Cell", "Marked", "Marking", "Worksheet", "make_worksheet", "read_answers"]

TOLERANCE = 5e-3
ROLES = frozenset(
    {
        "value", "local", "contribution", "global", "loss_local", "received", "activation_local",
        "common", "weight_local", "weight_global", "bias_global", "update", "input_local",
        "input_global", "hand_over", "state",
    }
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cell:
    """A blank: which step it is, and the number that belongs there."""

    number: int
    step: Step

    @property
    def value(self) -> float:
        """The right answer."""
        return float(self.step.value)


@dataclass(frozen=True)
class Marked:
    """One answer marked.

    Attributes
    ----------
    number : int
    answer : float or None
    right : bool
    hint : Sentence or None
        What seems to be missing.
    """

    number: int
    answer: float | None
    right: bool
    hint: Sentence | None = None


@dataclass(frozen=True)
class Marking:
    """A marked worksheet."""

    worksheet: Worksheet
    answers: tuple[Marked, ...]

    @property
    def right(self) -> int:
        """How many answers are right."""
        return sum(a.right for a in self.answers)

    @property
    def first_wrong(self) -> Marked | None:
        """The first answer that is wrong, in the order of the chain."""
        return next((a for a in self.answers if not a.right), None)

    def write(self, lang: str | None = None) -> str:
        """The marking in words."""
        lang = known_language(lang)
        total = len(self.answers)
        lines = [tr("explanation.marked", lang, right=self.right, total=total)]
        first = self.first_wrong
        for a in self.answers:
            name = self.worksheet.cells[a.number].step.id
            key = "mark_right" if a.right else "mark_blank" if a.answer is None else "mark_wrong"
            shown = "" if a.answer is None else digits(a.answer)
            lines.append(tr(f"explanation.{key}", lang, number=a.number, name=name, answer=shown))
            if a is first:
                lines.append("  " + tr("explanation.mark_first", lang, name=name))
            if a.hint is not None:
                lines.append("  " + a.hint.say(lang))
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, eq=False)
class Worksheet:
    """An explanation with blanks.

    Attributes
    ----------
    explanation : Explanation
    cells : dict of int to Cell
        Blanks by their number, from 1, in the order of the chain.
    seed : int
    """

    explanation: Explanation
    cells: Mapping[int, Cell]
    seed: int

    def page(self, lang: str | None = None) -> str:
        """The page with blanks, in Markdown, and below it the lines to fill in."""
        lang = known_language(lang)
        given = ", ".join(f"{text(name)} = {digits(v)}" for name, v in self.given().items())
        blank = {id(cell.step): number for number, cell in self.cells.items()}
        lines = [f"# {self.explanation.title.say(lang)}", "", tr("explanation.sheet_how", lang)]
        lines += ["", tr("explanation.sheet_given", lang, given=given)]
        hidden = {cell.step.id for cell in self.cells.values()}
        for section in self.explanation.sections:
            steps = [s for s in section.steps if s.value.ndim == 0 and s.value.size]
            if not steps or section.kind == "result":
                continue
            lines += ["", f"## {section.title.say(lang)}", ""]
            lines += [f"| | | {tr('explanation.column_value', lang)} |", "|---|---|--:|"]
            lines += [self._line(s, blank.get(id(s)), hidden, lang) for s in steps]
        lines += ["", "```toml", *(f"{n} = " for n in self.cells), "```", ""]
        return "\n".join(lines)

    def given(self) -> dict[Math, float]:
        """The numbers that the chain starts from: used in formulas, computed by no step."""
        computed = {s.id for s in self.explanation.steps() if s.formula is not None}
        found: dict[Math, float] = {}
        for step in self.explanation.steps():
            if step.formula is not None and step.numbers is not None:
                for name, value in _pairs(step.formula, step.numbers):
                    if text(name) not in computed:
                        found.setdefault(name, value)
        return found

    def _line(self, step: Step, number: int | None, hidden: set[str], lang: str) -> str:
        role = tr(f"explanation.role_{step.role}", lang).strip()
        formula = f" = {text(step.formula)}" if step.formula not in (None, step.name) else ""
        if number is not None:
            value = f"({number}) \\_\\_\\_\\_\\_\\_"
        else:
            value = "…" if step.id in hidden else digits(float(step.value))
        return f"| {role} | {step.id}{formula} | {value} |".replace("|z|", "abs z")

    def key(self) -> str:
        """The right answers, in the form of an answer file."""
        return "".join(f"{n} = {cell.value!r}\n" for n, cell in self.cells.items())

    def mark(self, answers: Mapping[int, float | None], tolerance: float = TOLERANCE) -> Marking:
        """Mark answers.

        Parameters
        ----------
        answers : mapping of int to float
            By the numbers of the blanks; what is left out counts as wrong.
        tolerance : float
            Relative error that is still right, since answers are rounded.
        """
        marked = []
        for number, cell in self.cells.items():
            answer = answers.get(number)
            right = answer is not None and _close(answer, cell.value, tolerance)
            hint = None
            if not right and answer is not None:
                hint = self._hint(cell, answer, tolerance)
            marked.append(Marked(number, answer, right, hint))
        return Marking(self, tuple(marked))

    def _hint(self, cell: Cell, answer: float, tolerance: float) -> Sentence | None:
        """What turns the answer into the right one: a sign, or a factor that is missing."""
        name, value = cell.step.name, cell.value
        if _close(-answer, value, tolerance):
            return Sentence("hint_sign", {"name": name})
        for factor, formula, number in self._factors(cell.step):
            if number in (0.0, 1.0) or answer == 0:
                continue
            values = {"name": name, "factor": factor, "formula": formula or factor}
            if _close(answer * number, value, tolerance):
                return Sentence("hint_lacks", values)
            if _close(answer / number, value, tolerance):
                return Sentence("hint_twice", values)
        return None

    def _factors(self, step: Step, depth: int = 0) -> Iterator[tuple[Math, Math | None, float]]:
        """The factors of a step, and theirs, back along the chain."""
        if len(step.terms) != 1 or depth > 20:
            return
        defined = {s.id: s for s in self.explanation.steps() if s.value.ndim == 0}
        for factor in step.terms[0].factors:
            inner = defined.get(text(factor.name))
            yield factor.name, None if inner is None else inner.formula, factor.value
        for factor in step.terms[0].factors:
            inner = defined.get(text(factor.name))
            if inner is not None and inner is not step:
                yield from self._factors(inner, depth + 1)


def _pairs(formula: Math, numbers: Math) -> Iterator[tuple[Math, float]]:
    """Names and the numbers put in their places."""
    if formula.head in NAMES:
        if numbers.head == "number":
            yield formula, numbers.parts[0]
        return
    for a, b in zip(formula.parts, numbers.parts, strict=False):
        if isinstance(a, Math) and isinstance(b, Math):
            yield from _pairs(a, b)


def _close(answer: float, value: float, tolerance: float) -> bool:
    if not math.isfinite(answer):
        return False
    return abs(answer - value) <= tolerance * max(abs(value), 1e-12)


def make_worksheet(explanation: Explanation, blanks: int = 10, seed: int = 0) -> Worksheet:
    """Leave some numbers of an explanation blank.

    Parameters
    ----------
    explanation : Explanation
    blanks : int
        How many; all there are if it has fewer.
    seed : int

    Returns
    -------
    Worksheet
    """
    seen: set[str] = set()
    choices = []
    for section in explanation.sections:
        for step in section.steps:
            fits = step.role in ROLES and step.value.ndim == 0 and step.value.size == 1
            trivial = step.formula is None or step.formula.head == "number"
            if fits and not trivial and step.id not in seen and section.kind != "result":
                seen.add(step.id)
                choices.append(step)
    chosen = random.Random(seed).sample(range(len(choices)), min(blanks, len(choices)))
    cells = {k: Cell(k, choices[i]) for k, i in enumerate(sorted(chosen), start=1)}
    return Worksheet(explanation, cells, seed)


def read_answers(given: str) -> dict[int, float | None]:
    r"""Read ``1 = 0.5`` lines; other lines are passed over, so a filled page will do.

    Raises
    ------
    DataError
        If something after ``=`` is no number.

    Examples
    --------
    >>> read_answers("1 = −0.5\n2 =\n3 = 1e-3")
    {1: -0.5, 2: None, 3: 0.001}
    """
    answers: dict[int, float | None] = {}
    for line, content in enumerate(given.splitlines(), start=1):
        found = re.fullmatch(r"\s*\(?(\d+)\)?\s*=\s*(.*?)\s*", content)
        if not found:
            continue
        written = found[2].replace("−", "-").strip("_ \\")
        try:
            answers[int(found[1])] = float(written) if written else None
        except ValueError:
            raise DataError(
                "line {line} of the answers: {written!r} is not a number",
                line=line,
                written=written,
            ) from None
    return answers
