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
from typing import Any

from thalweg.errors import DataError
from thalweg.explanation.entries import entrywise
from thalweg.explanation.notation import Math, digits, text, times
from thalweg.explanation.notation import number as in_numbers
from thalweg.explanation.notation.tree import NAMES
from thalweg.explanation.records import Explanation, Sentence, Step, Term
from thalweg.language import known_language, tr

__all__ = [
    "Cell",
    "Line",
    "Marked",
    "Marking",
    "Worksheet",
    "make_worksheet",
    "read_answers",
    "read_choice",
]

TOLERANCE = 5e-3
MOST_GIVEN = 40
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


@dataclass(frozen=True, eq=False)
class Line:
    """A line of the page.

    Attributes
    ----------
    step : Step
    role, place : str
        In words.
    formula : Math or None
    value : float or None
        None for what is asked for, here or in another line.
    blank : int or None
        The number of the blank.
    """

    step: Step
    role: str
    place: str
    formula: Math | None
    value: float | None
    blank: int | None

    @classmethod
    def of(cls, step: Step, blank: int | None, hidden: bool, lang: str) -> Line:
        """The line of a step."""
        role = tr(f"explanation.role_{step.role}", lang).strip()
        place = "" if step.place is None else step.place.say(lang)
        formula = None if step.formula == step.name else step.formula
        value = None if hidden else float(step.value)
        return cls(step, role, place, formula, value, blank)

    @property
    def equation(self) -> str:
        """Name, formula and place as text."""
        formula = "" if self.formula is None else f" = {text(self.formula)}"
        return f"{self.step.id}{formula}" + (f"  ({self.place})" if self.place else "")


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

    def to_json(self, lang: str | None = None) -> dict[str, Any]:
        """The marking as a record for programs."""
        first = self.first_wrong
        return {
            "right": self.right,
            "total": len(self.answers),
            "first_wrong": None if first is None else first.number,
            "answers": [
                {
                    "number": a.number,
                    "name": self.worksheet.cells[a.number].step.id,
                    "answer": a.answer,
                    "right": a.right,
                    "hint": None if a.hint is None else a.hint.say(lang),
                }
                for a in self.answers
            ],
        }

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

    @property
    def blanks(self) -> int:
        """How many."""
        return len(self.cells)

    def page(self, lang: str | None = None, form: str = "markdown") -> str:
        """The page with blanks.

        Parameters
        ----------
        lang : {"en", "ko"}, optional
        form : {"markdown", "terminal", "latex", "html", "json"}
            HTML has fields to fill in, the others lines ``1 = `` at the end.
        """
        from thalweg.explanation.render.worksheet import write

        return write(self, form, known_language(lang))

    def sections(self, lang: str) -> Iterator[tuple[str, list[Line]]]:
        """Headings and lines: all single numbers, those that are asked for left out."""
        blank = {id(cell.step): number for number, cell in self.cells.items()}
        hidden = {cell.step.id for cell in self.cells.values()}
        for section in self.explanation.sections:
            steps = [s for s in section.steps if s.value.ndim == 0 and s.value.size]
            if steps and section.kind != "result":
                lines = [Line.of(s, blank.get(id(s)), s.id in hidden, lang) for s in steps]
                yield section.title.say(lang), lines

    def form(self) -> str:
        """The lines to fill in, after a comment that says how the blanks were chosen."""
        return f"# worksheet: blanks = {self.blanks}, seed = {self.seed}\n" + "".join(
            f"{n} = \n" for n in self.cells
        )

    def given(self) -> dict[Math, float]:
        """The numbers that the chain starts from: used in formulas, computed by no step.

        Where they are many, only those that the blanks need.
        """
        found = self._used(list(self.explanation.steps()))
        asked = [cell.step for cell in self.cells.values()]
        return found if len(found) <= MOST_GIVEN else self._used(asked)

    def _used(self, steps: list[Step]) -> dict[Math, float]:
        """Numbers in the formulas of steps that no step of the page computes."""
        computed = {s.id for s in self.explanation.steps() if s.formula is not None}
        found: dict[Math, float] = {}
        for step in steps:
            if step.formula is not None and step.numbers is not None:
                for name, value in _pairs(step.formula, step.numbers):
                    if text(name) not in computed and not text(name).endswith("⁺"):
                        found.setdefault(name, value)
        return found

    def key(self) -> str:
        """The right answers, in the form of an answer file."""
        comment = self.form().splitlines()[0]
        return f"{comment}\n" + "".join(f"{n} = {c.value!r}\n" for n, c in self.cells.items())

    def mark(self, answers: Mapping[int, float | None], tolerance: float = TOLERANCE) -> Marking:
        """Mark answers.

        Parameters
        ----------
        answers : mapping of int to float
            By the numbers of the blanks; what is left out counts as wrong.
        tolerance : float
            Relative error that is still right, since answers are rounded.

        Raises
        ------
        DataError
            If there is an answer to a blank that the worksheet does not have.
        """
        strange = [number for number in answers if number not in self.cells]
        if strange:
            raise DataError(
                "the worksheet has blanks 1 to {count}; there is no ({number}). Is it the "
                "worksheet of another exercise?",
                count=self.blanks,
                number=strange[0],
            )
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
        """What turns the answer into the right one: a sign, a factor or a term that is missing."""
        name, value = cell.step.name, cell.value
        if _close(-answer, value, tolerance):
            return Sentence("hint_sign", {"name": name})
        for factor, formula, number in self._factors(cell.step):
            if number in (0.0, 1.0) or answer == 0:
                continue
            values = {"name": name, "factor": factor, "formula": formula or in_numbers(number)}
            if _close(answer * number, value, tolerance):
                return Sentence("hint_lacks", values)
            if _close(answer / number, value, tolerance):
                return Sentence("hint_twice", values)
        for term in cell.step.terms if len(cell.step.terms) > 1 else ():
            if term.value and _close(answer + term.value, value, tolerance):
                missing = times(*(factor.name for factor in term.factors))
                return Sentence("hint_term", {"name": name, "term": missing})
        return None

    def _factors(self, step: Step, depth: int = 0) -> Iterator[tuple[Math, Math | None, float]]:
        """The factors of a step, and theirs, back along the chain."""
        if len(step.terms) != 1 or depth > 20:
            yield from _shared(step.terms)
            return
        defined = {s.id: s for s in self.explanation.steps() if s.value.ndim == 0}
        for factor in step.terms[0].factors:
            inner = defined.get(text(factor.name))
            yield factor.name, None if inner is None else inner.formula, factor.value
        for factor in step.terms[0].factors:
            inner = defined.get(text(factor.name))
            if inner is not None and inner is not step:
                yield from self._factors(inner, depth + 1)


def _shared(terms: tuple[Term, ...]) -> Iterator[tuple[Math, Math | None, float]]:
    """The factors that all terms of a sum have, such as 1/m."""
    for factor in terms[0].factors if len(terms) > 1 else ():
        if all(any(f.name == factor.name for f in t.factors) for t in terms):
            yield factor.name, None, factor.value


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
    """Leave some numbers of an explanation blank; of matrices, single entries.

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
    choices = _choices(explanation, ROLES)
    if not choices:
        explanation = entrywise(explanation)
        choices = _choices(explanation, None)
    chosen = random.Random(seed).sample(range(len(choices)), min(blanks, len(choices)))
    cells = {k: Cell(k, choices[i]) for k, i in enumerate(sorted(chosen), start=1)}
    return Worksheet(explanation, cells, seed)


def _choices(explanation: Explanation, roles: frozenset[str] | None) -> list[Step]:
    """The single numbers that can be worked out, each once; None allows any role."""
    seen: set[str] = set()
    choices = []
    for section in explanation.sections:
        for step in section.steps:
            fits = (
                (roles is None or step.role in roles)
                and step.value.ndim == 0
                and step.value.size == 1
            )
            trivial = step.formula is None or step.formula.head == "number"
            if fits and not trivial and step.id not in seen and section.kind != "result":
                seen.add(step.id)
                choices.append(step)
    return choices


def read_choice(given: str) -> tuple[int, int] | None:
    r"""How the blanks of a filled page were chosen: their number, and the seed.

    Examples
    --------
    >>> read_choice("# worksheet: blanks = 10, seed = 3\n1 = 0.5")
    (10, 3)
    """
    found = re.search(r"# worksheet: blanks = (\d+), seed = (\d+)", given)
    return (int(found[1]), int(found[2])) if found else None


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
