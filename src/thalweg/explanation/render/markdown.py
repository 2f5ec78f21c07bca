"""Explanations as Markdown: tables with formulas in LaTeX, as GitHub and notebooks show them.

Examples
--------
>>> from thalweg.explanation import explain
>>> print(explain("w*x")(w=2.0, x=3.0).write("markdown", "en"))
# f = w*x
<BLANKLINE>
## Forward propagation
...
"""

from __future__ import annotations

import numpy as np

from thalweg.explanation.notation import digits, latex, shortened
from thalweg.explanation.records import Explanation, Section, Step
from thalweg.explanation.render.latex import matrix
from thalweg.language import tr

__all__ = ["render"]


def render(explanation: Explanation, lang: str) -> str:
    """Write an explanation as Markdown."""
    parts = [f"# {explanation.title.say(lang)}"]
    for section in explanation.sections:
        parts += _section(section, lang, section.title != explanation.title)
    return "\n\n".join(parts) + "\n"


def _section(section: Section, lang: str, headed: bool) -> list[str]:
    parts = [f"## {section.title.say(lang)}"] if headed else []
    if section.steps:
        parts.append(_table(section, lang))
    notes = [n.say(lang) for n in (*section.notes, *(n for s in section.steps for n in s.notes))]
    if notes:
        parts.append("\n".join(f"- {note}" for note in dict.fromkeys(notes)))
    return parts


def _table(section: Section, lang: str) -> str:
    checked = any(step.estimate is not None for step in section.steps)
    columns = ["step", "formula", "value", *(["check"] if checked else []), "shape"]
    lines = [
        "| " + " | ".join(tr(f"explanation.column_{c}", lang) for c in columns) + " |",
        "|---|---|--:|" + "--:|" * checked + "--:|",
    ]
    for step in section.steps:
        role = tr(f"explanation.role_{step.role}", lang).strip()
        cells = [role, _formula(step, lang), _value(step)]
        if checked:
            cells.append(_estimate(step))
        lines.append("| " + " | ".join([*cells, _shape(step)]) + " |")
    return "\n".join(lines)


def _formula(step: Step, lang: str) -> str:
    written = latex(step.name)
    if step.formula is not None and step.formula != step.name:
        written += " = " + latex(shortened(step.formula))
    if step.numbers is not None:
        written += " = " + latex(shortened(step.numbers))
    place = f" ({step.place.say(lang)})" if step.place is not None else ""
    return f"${_safe(written)}${place}"


def _safe(formula: str) -> str:
    """A formula that a table cell can hold."""
    return formula.replace("|", r"\vert ").replace("\n", " ")


def _value(step: Step) -> str:
    if step.value.ndim == 0:
        return digits(float(step.value)).replace("-", "−")
    return f"${_safe(matrix(step.value))}$" if step.value.size else ""


def _estimate(step: Step) -> str:
    if step.estimate is None:
        return ""
    if step.estimate.ndim == 0:
        return digits(float(step.estimate)).replace("-", "−")
    return f"± {float(np.max(np.abs(step.value - step.estimate))):.1e}"


def _shape(step: Step) -> str:
    if not step.value.size:
        return ""
    return "×".join(map(str, step.value.shape)) or "1"
