r"""Explanations in LaTeX, as a document that compiles as it is.

Every step is the formula, then the numbers in it, then the result, one below the other. pdfLaTeX,
XeLaTeX and LuaLaTeX all work; Korean needs the package ``kotex``.

Examples
--------
>>> from thalweg.explanation import explain
>>> document = explain("w*x + b")(w=-2.0, x=5.0, b=3.0).write("latex", "en")
>>> print(document[document.index("f &=") :][:34])
f &= g + b \\
&= -10 + 3 \\
&= -7
"""

from __future__ import annotations

import re

from thalweg.explanation.notation import Math, digits, latex, number, shortened
from thalweg.explanation.records import Array, Explanation, Section, Step
from thalweg.language import tr

__all__ = ["document", "matrix", "prose", "render"]

MAX_ROWS, MAX_COLUMNS, TERMS_PER_LINE = 8, 7, 3
_PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage{iftex}
\ifPDFTeX\usepackage[utf8]{inputenc}\usepackage[T1]{fontenc}\fi
\usepackage{amsmath,amssymb}
\usepackage[margin=22mm]{geometry}
%s\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\allowdisplaybreaks
\setcounter{MaxMatrixCols}{12}
\begin{document}
"""
_SPECIAL = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
}  # fmt: skip
_SIGNS = {
    "←": r"\leftarrow", "→": r"\to", "∂": r"\partial", "·": r"\cdot", "×": r"\times", "∘": r"\circ",
    "Σ": r"\Sigma", "√": r"\surd", "∞": r"\infty", "≥": r"\ge", "≤": r"\le", "≠": r"\ne",
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon",
    "θ": r"\theta", "λ": r"\lambda", "μ": r"\mu", "σ": r"\sigma", "ℓ": r"\ell", "η": r"\eta",
    "ρ": r"\rho", "⁺": "^{+}", "…": r"\dots", "−": "-", "Π": r"\Pi", "Δ": r"\Delta",
    "∧": r"\wedge", "∨": r"\vee", "ᵀ": r"^{\mathsf T}", "½": r"\tfrac12", "ω": r"\omega",
    "τ": r"\tau", "φ": r"\varphi", "π": r"\pi",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


def render(explanation: Explanation, lang: str, *, fragment: bool = False) -> str:
    """Write an explanation as a LaTeX document.

    Parameters
    ----------
    explanation : Explanation
    lang : str
    fragment : bool
        Without preamble, to be put into another document.
    """
    parts = [rf"\section*{{{prose(explanation.title.say(lang))}}}"]
    for section in explanation.sections:
        parts += _section(section, lang, section.title != explanation.title)
    body = "\n".join(parts) + "\n"
    return body if fragment else document(body)


def document(body: str, packages: str = "") -> str:
    """A document that compiles: preamble, body, end."""
    if re.search("[가-힣]", body):
        packages += "\\usepackage{kotex}\n"
    return _PREAMBLE % packages + body + "\\end{document}\n"


def prose(text: str) -> str:
    """A sentence with what LaTeX takes for commands escaped, and its signs as formulas."""
    written = []
    for piece in re.split(r"([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+|[₀₁₂₃₄₅₆₇₈₉,]*[₀₁₂₃₄₅₆₇₈₉])", text):
        if piece and piece[0] in "⁰¹²³⁴⁵⁶⁷⁸⁹⁻":
            written.append(f"$^{{{piece.translate(_RAISED)}}}$")
        elif piece and piece[-1] in "₀₁₂₃₄₅₆₇₈₉":
            written.append(f"$_{{{piece.translate(_LOWERED)}}}$")
        else:
            written += [_character(c) for c in piece]
    return "".join(written)


def _character(character: str) -> str:
    if character in _SIGNS:
        sign = _SIGNS[character]
        return f"${sign}$" if sign[0] != "^" else f"${{}}{sign}$"
    return _SPECIAL.get(character, character)


def _section(section: Section, lang: str, headed: bool) -> list[str]:
    parts = [rf"\subsection*{{{prose(section.title.say(lang))}}}"] if headed else []
    before = ""
    for step in section.steps:
        role = tr(f"explanation.role_{step.role}", lang).strip()
        place = f" ({step.place.say(lang)})" if step.place is not None else ""
        if role != before or place:
            parts.append(rf"\textsl{{{prose(role + place)}}}")
        before = role
        parts.append(_display(step))
    notes = [n.say(lang) for n in (*section.notes, *(n for s in section.steps for n in s.notes))]
    parts += [prose(note) + r"\par" for note in dict.fromkeys(notes)]
    return parts


def _display(step: Step) -> str:
    """Formula, numbers, result."""
    lines = []
    if step.formula is not None and step.formula != step.name:
        lines += _broken(shortened(step.formula))
    if step.numbers is not None and step.numbers.head != "number":
        lines += _broken(shortened(step.numbers))
    result = matrix(step.value) if step.value.size else ""
    constant = step.formula is not None and step.formula.head == "number"
    if result and not (constant and step.value.ndim == 0):
        lines.append(f"&= {result}")
    if not lines:
        lines = [f"&= {result}"] if result else [""]
    return "\\begin{align*}\n" + latex(step.name) + " " + " \\\\\n".join(lines) + "\n\\end{align*}"


def _broken(formula: Math) -> list[str]:
    """A formula on lines of a few terms each."""
    if formula.head != "add" or len(formula.parts) <= TERMS_PER_LINE + 1:
        return [f"&= {latex(formula)}"]
    lines = []
    for start in range(0, len(formula.parts), TERMS_PER_LINE):
        parts = formula.parts[start : start + TERMS_PER_LINE]
        written = latex(Math("add", parts) if len(parts) > 1 else parts[0])
        lines.append(f"&= {written}" if start == 0 else rf"&\quad + {written}")
    return lines


def matrix(value: Array) -> str:
    r"""A number, or a matrix in brackets, large ones with their middle left out.

    Examples
    --------
    >>> import numpy as np
    >>> matrix(np.array([[1.0, 2.0], [3.0, 4.0]]))
    '\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}'
    """
    if value.ndim == 0:
        return latex(number(float(value)))
    value = value[:, None] if value.ndim == 1 else value.reshape(value.shape[0], -1)
    rows, columns = _places(value.shape[0], MAX_ROWS), _places(value.shape[1], MAX_COLUMNS)
    lines = []
    for r in rows:
        if r is None:
            lines.append(" & ".join(r"\vdots" for _ in columns))
            continue
        cells = [r"\cdots" if c is None else _cell(float(value[r, c])) for c in columns]
        lines.append(" & ".join(cells))
    return r"\begin{bmatrix} " + r" \\ ".join(lines) + r" \end{bmatrix}"


def _cell(value: float) -> str:
    return latex(number(float(digits(value, 4).replace("∞", "inf"))))


def _places(length: int, most: int) -> list[int | None]:
    if length <= most:
        return list(range(length))
    return [*range(most - 2), None, length - 1]
