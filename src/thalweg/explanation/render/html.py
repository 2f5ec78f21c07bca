"""Explanations as one HTML file that needs nothing else, not even a network.

Formulas are MathML, the picture is SVG. Every number opens, by a click or the keyboard, into the
sum and products it is; ← and → go through the chain step by step. Light and dark, on paper and
on a telephone.

Examples
--------
>>> from thalweg.explanation import explain
>>> page = explain("w*x + b")(w=-2.0, x=5.0, b=3.0).write("html", "ko")
>>> page[:15], "http" in page.replace("http-equiv", "").replace("http://www.w3.org", "")
('<!doctype html>', False)
"""

from __future__ import annotations

import json
from functools import lru_cache
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from thalweg.explanation.notation import Math, digits, mathml, mathml_terms, shortened, text
from thalweg.explanation.records import Array, Explanation, Recipe, Section, Step
from thalweg.explanation.render.svg import sign_class, svg
from thalweg.language import tr

__all__ = ["render"]

MAX_ROWS, MAX_COLUMNS = 20, 32
TALL = 10  # a column of more rows scrolls
MOST_NUMBERS = 60_000
QUIET = ("old", "gradient", "state_before", "state_after", "new")
_WORDS = ("given", "sum_of", "too_large")


@lru_cache(maxsize=4)
def _asset(name: str) -> str:
    place = resources.files("thalweg.explanation.render") / name
    return place.read_text(encoding="utf-8")


def render(explanation: Explanation, lang: str, *, fragment: bool = False) -> str:
    """Write an explanation as an HTML page.

    Parameters
    ----------
    explanation : Explanation
    lang : str
    fragment : bool
        Only the element and its script, for a notebook.
    """
    title = escape(explanation.title.say(lang))
    page = _Page(explanation, lang)
    body = (
        f'<div class="thalweg" lang="{lang}">'
        f"<style>{_asset('report.css')}</style>"
        f"<header><h1>{title}</h1>{page.toolbar()}</header>"
        f'<div class="columns">{page.aside()}'
        f'<main class="sections">{"".join(page.section(s) for s in explanation.sections)}</main>'
        f'</div><script type="application/json">{page.data()}</script></div>'
        f"<script>{_asset('report.js')}</script>"
    )
    if fragment:
        return body
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title></head><body>{body}</body></html>\n"
    )


class _Page:
    """The parts of a page, and the numbering of its rows."""

    def __init__(self, explanation: Explanation, lang: str) -> None:
        self.explanation, self.lang = explanation, lang
        self.rows = 0
        self.sections = 0
        picture = explanation.picture
        self.drawn = {n.id for n in picture.nodes} if picture else set()

    def say(self, key: str) -> str:
        return tr(f"explanation.{key}", self.lang)

    # -- frame --------------------------------------------------------------------------------
    def toolbar(self) -> str:
        buttons = "".join(
            f'<button type="button" data-do="{what}" title="{escape(self.say(f"html_{what}"))}">'
            f"{label}</button>"
            for what, label in (
                ("previous", f"← {escape(self.say('html_previous'))}"),
                ("next", f"{escape(self.say('html_next'))} →"),
                ("theme", f"◐ {escape(self.say('html_theme'))}"),
                ("print", escape(self.say("html_print"))),
            )
        )
        return (
            f'<div class="toolbar" role="toolbar" aria-label="{escape(self.say("html_current"))}">'
            f'{buttons}<output class="position" aria-live="polite"></output></div>'
        )

    def aside(self) -> str:
        picture = self.explanation.picture
        drawn = ""
        if picture is not None and len(picture.nodes) > 1:
            drawn = (
                f'<figure tabindex="0">{svg(picture, self.lang)}'
                f"<figcaption>{self._legend(picture.kind)}</figcaption></figure>"
            )
        hint = f'<p class="hint">{escape(self.say("html_hint"))}</p>'
        current = f'<section class="current" aria-label="{escape(self.say("html_current"))}">'
        listed = "".join(
            f'<li><a href="#part-{k}">{escape(s.title.say(self.lang))}</a></li>'
            for k, s in enumerate(self.explanation.sections, start=1)
        )
        contents = (
            f'<details class="contents"><summary>{escape(self.say("html_contents"))}</summary>'
            f"<ol>{listed}</ol></details>"
        )
        return f"<aside>{drawn}{current}{hint}</section>{contents}</aside>"

    def _legend(self, kind: str) -> str:
        line = (
            '<svg class="key" viewBox="0 0 34 8" aria-hidden="true">'
            '<path class="edge {}" d="M2 4H32" stroke-width="2.5"/></svg>'
        )
        plus, minus = self.say("html_positive"), self.say("html_negative")
        return (
            f"<span>{line.format('plus')} + {escape(plus)}</span> "
            f"<span>{line.format('minus')} − {escape(minus)}</span> "
            f"<span>{escape(self.say(f'legend_{kind}'))}</span>"
        )

    def data(self) -> str:
        """Words for the script, and the matrices that openings are computed from."""
        words = {word: self.say(f"html_{word}") for word in _WORDS}
        words["position"] = tr("explanation.html_position", self.lang, k="{k}", n="{n}")
        needed = {
            name
            for step in self.explanation.steps()
            if step.recipe is not None
            for name in (step.recipe.left, step.recipe.right, step.recipe.plus, step.recipe.weights)
            if name
        }
        matrices, budget = {}, MOST_NUMBERS
        for step in self.explanation.steps():
            if step.id in needed and step.value.ndim == 2 and step.value.size <= budget:
                budget -= step.value.size
                matrices[step.id] = [[_short(v) for v in row] for row in step.value.tolist()]
        text_of = json.dumps({"words": words, "matrices": matrices}, ensure_ascii=False)
        return text_of.replace("<", "\\u003c")

    # -- sections ------------------------------------------------------------------------------
    def section(self, section: Section) -> str:
        self.sections += 1
        title = f"<h2>{escape(section.title.say(self.lang))}</h2>"
        rows = "".join(self._rows(section))
        table = ""
        if rows:
            columns = ("step", "formula", "value", "shape")
            head = "".join(
                f'<th scope="col">{escape(self.say(f"column_{c}"))}</th>' for c in columns
            )
            table = (
                f'<div class="scroll"><table class="steps"><thead><tr>{head}</tr></thead>'
                f"<tbody>{rows}</tbody></table></div>"
            )
        notes = dict.fromkeys(
            n.say(self.lang) for n in (*section.notes, *(n for s in section.steps for n in s.notes))
        )
        listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
        listed = f'<ul class="notes">{listed}</ul>' if listed else ""
        where = f"part-{self.sections}"
        return f'<section class="part {section.kind}" id="{where}">{title}{table}{listed}</section>'

    def _rows(self, section: Section) -> list[str]:
        before, found = "", []
        for step in section.steps:
            role = self.say(f"role_{step.role}").strip()
            shown = "" if role == before else escape(role)
            before = role
            found.append(self._row(step, role, shown))
        return found

    def _row(self, step: Step, role: str, shown: str) -> str:
        self.rows += 1
        name = escape(step.id)
        shape = ""
        if step.value.size:
            shape = "×".join(map(str, step.value.shape)) or "1"
        below = self._matrix(step) if step.value.ndim and step.value.size else ""
        value = self._number(step) if step.value.ndim == 0 else ""
        first = f'<th scope="row">{shown}</th>' if shown else "<td></td>"
        return (
            f'<tr class="step {step.role}" data-name="{name}" data-role="{escape(role)}"'
            f"{self._targets(step)}>{first}"
            f'<td class="how">{self._formula(step)}{below}</td>'
            f'<td class="val">{value}</td><td class="shape">{shape}</td></tr>'
        )

    def _formula(self, step: Step) -> str:
        place = ""
        if step.place is not None:
            place = f'<span class="place">{escape(step.place.say(self.lang))}</span>'
        written = f"<math>{mathml(step.name)}</math>"
        if step.formula is not None and step.formula != step.name:
            written = _breaking(mathml(step.name), mathml_terms(shortened(step.formula)))
        written = f'<div class="formula">{written}{place}</div>'
        if step.numbers is not None and step.numbers.head != "number":
            numbers = _breaking("", mathml_terms(shortened(step.numbers)))
            written += f'<div class="numbers">{numbers}</div>'
        return written

    def _number(self, step: Step) -> str:
        value = float(step.value)
        terms = ""
        if step.terms:
            listed = [[[text(f.name), _short(f.value)] for f in t.factors] for t in step.terms]
            terms = f" data-terms='{_attribute(listed)}'"
        elif step.recipe is not None:
            terms = f" data-recipe='{_attribute(_recipe(step.recipe))}'"
        estimate = ""
        if step.estimate is not None:
            word = escape(self.say("column_check"))
            shown = escape(digits(float(step.estimate)).replace("-", "−"))
            estimate = f'<small title="{word}">≈ {shown}</small>'
        return (
            f'<button type="button" class="num {sign_class(value)}" aria-expanded="false" '
            f'data-value="{value!r}"{terms}>{_shown(value)}</button>{estimate}'
        )

    def _matrix(self, step: Step) -> str:
        matrix = step.value[None, :] if step.value.ndim == 1 else step.value
        matrix = matrix.reshape(matrix.shape[0], -1)
        quiet = step.role in QUIET and matrix.shape[1] > 1  # a column scrolls
        most = (6, 8) if quiet else (MAX_ROWS, MAX_COLUMNS)
        rows, columns = (_places(n, m) for n, m in zip(matrix.shape, most, strict=True))
        opens = step.recipe is not None and step.role not in QUIET
        recipe = ""
        if opens and step.recipe is not None:
            recipe = f" data-recipe='{_attribute(_recipe(step.recipe))}'"
        head = "".join(f"<th>{'⋯' if c is None else c + 1}</th>" for c in columns)
        lines = []
        for r in rows:
            if r is None:
                lines.append(f"<tr><th>⋮</th>{'<td>⋮</td>' * len(columns)}</tr>")
                continue
            cells = "".join(_cell(matrix, r, c, opens) for c in columns)
            name = f"<i>{escape(step.rows[r])}</i>" if r < len(step.rows) else ""
            lines.append(f"<tr><th>{r + 1}{name}</th>{cells}</tr>")
        small = " small" if matrix.size == 1 else ""
        small = " tall" if matrix.shape[1] == 1 and len(rows) > TALL else small
        table = (
            f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        )
        note = ""
        if step.estimate is not None:
            from thalweg.explanation.numerical import agreement

            difference = float(np.max(np.abs(step.value - step.estimate)))
            said = tr(f"explanation.{agreement(step)}", self.lang, difference=f"{difference:.1e}")
            note = f'<p class="check">{escape(said)}</p>'
        return (
            f'<div class="matrix{small}" tabindex="0" role="group" aria-label="{escape(step.id)}"'
            f"{recipe}>{table}</div>{note}"
        )

    def _targets(self, step: Step) -> str:
        """Which circles and lines of the picture a step is about."""
        found: list[str] = []
        for leaf in _leaves(step.name):
            for place in _places_of(leaf):
                if place in self.drawn or (">" in place and _drawn(place, self.drawn)):
                    found.append(place)
        if not found:
            return ""
        return f' data-at="{escape(" ".join(dict.fromkeys(found)))}"'


def _breaking(name: str, terms: list[str]) -> str:
    """``name = terms`` as one formula for each term, so that a line can end between them."""
    first, *rest = terms
    return " ".join(f"<math>{term}</math>" for term in (f"{name}<mo>=</mo>{first}", *rest))


def _drawn(edge: str, nodes: set[str]) -> bool:
    return all(end in nodes for end in edge.split(">"))


def _leaves(formula: Math) -> list[Math]:
    if formula.head == "symbol":
        return [formula]
    return [leaf for p in formula.parts if isinstance(p, Math) for leaf in _leaves(p)]


def _places_of(leaf: Math) -> list[str]:
    """Where a symbol is in a picture: a neuron, a weight's line, or the node of its name."""
    name, *indices = leaf.parts
    name = name.rstrip("⁺")
    if name == "x" and indices:
        return [f"0.{indices[0]}"]
    if name[1:2] == "[" and indices:
        layer = int(name[2:-1])
        if name[0] in "azb":
            return [f"{layer}.{indices[0]}"]
        if name[0] == "w" and len(indices) == 2:
            return [f"{layer - 1}.{indices[1]}>{layer}.{indices[0]}", f"{layer}.{indices[0]}"]
    return [text(leaf)]


def _places(length: int, most: int) -> list[int | None]:
    if length <= most:
        return list(range(length))
    return [*range(most - 2), None, length - 1]


def _cell(matrix: Array, row: int, column: int | None, opens: bool) -> str:
    if column is None:
        return "<td>⋯</td>"
    value = float(matrix[row, column])
    if not opens:
        return f'<td class="{sign_class(value)}">{_shown(value, 4)}</td>'
    return f'<td class="{sign_class(value)}"><button>{_shown(value, 4)}</button></td>'


def _shown(value: float, places: int = 6) -> str:
    return digits(value, places).replace("-", "−")


def _short(value: float) -> float | str:
    """A number with ten digits: enough to add up to what is shown."""
    if not np.isfinite(value):
        return digits(value)
    return float(f"{value:.10g}")


def _attribute(data: Any) -> str:
    return escape(json.dumps(data, ensure_ascii=False, separators=(",", ":")), quote=True)


def _recipe(recipe: Recipe) -> dict[str, Any]:
    return {k: v for k, v in vars(recipe).items() if v not in ("", False)}
