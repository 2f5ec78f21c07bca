"""Formulas written: as text, as LaTeX, as MathML, as NumPy code.

One table, `FORMS`, says for every head how tightly it binds and how it is written in each
language. A part that binds more loosely than its whole is put in parentheses; a negative
number is, wherever it is not the first thing written.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from html import escape

from thalweg.explanation.notation.opposite import opposite
from thalweg.explanation.notation.tree import Math

__all__ = ["digits", "identifier", "latex", "mathml", "mathml_terms", "source", "text"]

ATOM = 100
SUBSCRIPTS = str.maketrans("0123456789,+-", "₀₁₂₃₄₅₆₇₈₉,₊₋")
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi",
    "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "varphi", "χ": "chi", "ψ": "psi",
    "ω": "omega", "Δ": "Delta", "Σ": "Sigma", "Ω": "Omega", "Θ": "Theta", "Φ": "Phi",
    "ℓ": "ell",
}  # fmt: skip
LATEX_FUNCTIONS = {"sin", "cos", "tan", "exp", "log", "sinh", "cosh", "tanh", "max", "min"} | {
    "arcsin", "arccos", "arctan",
}  # fmt: skip
TEXT_NAMES = {"sigmoid": "σ", "log": "ln", "sqrt": "√"}
LATEX_NAMES = {"sigmoid": r"\sigma", "log": r"\ln"}
NUMPY_NAMES = {"max": "np.maximum", "min": "np.minimum", "norm": "np.linalg.norm"}
OWN_FUNCTIONS = {"sigmoid", "softmax", "softplus", "erf", "logsumexp"}
BARS, LATEX_BARS = {"abs": "|", "norm": "‖"}, {"abs": "|", "norm": r"\Vert "}
NUMPY_SIGNS = {"≤": "<=", "≥": ">=", "=": "==", "≠": "!=", "∧": "&", "∨": "|"}
LATEX_SIGNS = {"≤": r"\le", "≥": r"\ge", "≠": r"\ne", "∧": r"\wedge", "∨": r"\vee"}


def digits(value: float, places: int = 6) -> str:
    """A number as people write it: at most `places` significant digits, no trailing zeros.

    Examples
    --------
    >>> [digits(v) for v in (-10.0, 1 / 3, 1e-9, 0.1 + 0.2, float("inf"))]
    ['-10', '0.333333', '1e-09', '0.3', '∞']
    """
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if math.isnan(value):
        return "NaN"
    if value == 0:
        return "0"
    return f"{value:.{places}g}"


@dataclass(frozen=True)
class Name:
    """A symbol's name taken apart: ``W[2]⁺`` is base W, layer 2, new."""

    base: str
    layer: str
    subscript: str
    mark: str


@lru_cache(maxsize=4096)
def _parse(name: str) -> Name:
    found = re.fullmatch(r"(.*?)(?:\[(\w+)\])?([₀-₉]*|_\w+|\d*)([⁺']*)", name)
    if found is None or not found[1]:
        return Name(name, "", "", "")
    return Name(found[1], found[2] or "", found[3].translate(PLAIN).strip("_"), found[4])


def _subscript(name: Name, indices: tuple[int, ...]) -> str:
    return ",".join([*([name.subscript] if name.subscript else []), *map(str, indices)])


# -- leaves ---------------------------------------------------------------------------------------
def _text_symbol(name: str, *indices: int) -> str:
    plain = name.rstrip("⁺")
    return plain + ",".join(str(i) for i in indices).translate(SUBSCRIPTS) + name[len(plain) :]


_ESCAPED = {c: "\\" + c for c in "_#$%&{}"} | {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
}


def _letter(base: str) -> str:
    if base in GREEK:
        return "\\" + GREEK[base]
    if base == "…":
        return r"\cdots"
    if len(base.rstrip("'")) == 1 and base.isascii():
        return base
    if len(base) == 2 and base[0] == "d" and base[1] in GREEK:
        return rf"d\{GREEK[base[1]]}"
    if len(base) == 2 and base[0] == "d" and base.isascii():
        return base
    escaped = "".join(_ESCAPED.get(c, c) for c in base)
    return rf"\text{{{escaped}}}"


def _latex_symbol(name: str, *indices: int) -> str:
    parsed = _parse(name)
    below = _subscript(parsed, indices).replace("_", r"\_")
    above = (f"[{parsed.layer}]" if parsed.layer else "") + parsed.mark.replace("⁺", "+")
    return (
        _letter(parsed.base)
        + (f"^{{{above}}}" if above else "")
        + (f"_{{{below}}}" if below else "")
    )


def _mathml_symbol(name: str, *indices: int) -> str:
    parsed = _parse(name)
    base = f"<mi>{escape(parsed.base)}</mi>"
    below = _subscript(parsed, indices)
    above = (f"[{parsed.layer}]" if parsed.layer else "") + parsed.mark.replace("⁺", "+")
    if below and above:
        return f"<msubsup>{base}<mn>{below}</mn><mtext>{above}</mtext></msubsup>"
    if below:
        return f"<msub>{base}<mn>{escape(below)}</mn></msub>"
    return f"<msup>{base}<mtext>{above}</mtext></msup>" if above else base


_RESERVED = {"np", "sigmoid", "softmax", "softplus", "erf", "logsumexp"}


def identifier(formula: Math) -> str:
    """A Python name for a symbol or a derivative.

    Examples
    --------
    >>> from thalweg.explanation.notation import partial, symbol
    >>> identifier(symbol("W[2]", 1, 3)), identifier(partial(symbol("f"), symbol("w₁")))
    ('W2_1_3', 'df_dw1')
    """
    if formula.head == "partial":
        of, by = formula.parts
        return f"d{identifier(of)}_d{identifier(by)}"
    if formula.head in ("via", "held"):
        return f"_{formula.head}_".join(identifier(p) for p in formula.parts)
    name, *indices = formula.parts
    plain = name.translate(PLAIN).replace("⁺", "_new").replace("'", "_prime")
    plain = re.sub(r"\W+", "_", plain.replace("[", "").replace("]", ""))
    plain = "_".join([plain, *map(str, indices)])
    return plain + "_" if keyword.iskeyword(plain) or plain in _RESERVED else plain


def _source_number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "np.nan" if math.isnan(value) else ("np.inf" if value > 0 else "-np.inf")


# -- calls and fractions --------------------------------------------------------------------------
def _text_call(name: str, *arguments: str) -> str:
    if name in BARS:
        return f"{BARS[name]}{arguments[0]}{BARS[name]}"
    return f"{TEXT_NAMES.get(name, name)}({', '.join(arguments)})"


def _latex_call(name: str, *arguments: str) -> str:
    inside = ", ".join(arguments)
    if name == "sqrt":
        return rf"\sqrt{{{inside}}}"
    if name in BARS:
        bar = LATEX_BARS[name]
        return rf"\left{bar}{inside}\right{bar}"
    plain = "\\" + name if name in LATEX_FUNCTIONS else rf"\operatorname{{{name}}}"
    plain = name if len(name) == 1 else plain
    plain = plain.replace("_", r"\_")
    return rf"{LATEX_NAMES.get(name, plain)}\left({inside}\right)"


def _mathml_call(name: str, *arguments: str) -> str:
    inside = "<mo>,</mo>".join(f"<mrow>{a}</mrow>" for a in arguments)
    if name == "sqrt":
        return f"<msqrt>{inside}</msqrt>"
    if name in BARS:
        return f"<mo>{BARS[name]}</mo>{inside}<mo>{BARS[name]}</mo>"
    shown = TEXT_NAMES.get(name, name)
    return f"<mi>{escape(shown)}</mi><mo>(</mo>{inside}<mo>)</mo>"


def _source_call(name: str, *arguments: str) -> str:
    own = name if name in OWN_FUNCTIONS else f"np.{name}"
    function = NUMPY_NAMES.get(name, own)
    if function in ("np.maximum", "np.minimum") and len(arguments) == 1:
        return f"np.{name}({arguments[0]}, axis=0, keepdims=True)"
    if name == "logsumexp":
        return f"logsumexp({arguments[0]}, axis=0, keepdims=True)"
    return f"{function}({', '.join(arguments)})"


def _text_partial(of: str, by: str) -> str:
    return f"∂{of}/∂{by}"


def _text_power(base: str, exponent: str) -> str:
    if re.fullmatch(r"\(?-?\d+\)?", exponent):
        return base + exponent.strip("()").translate(SUPERSCRIPTS)
    return f"{base}^{exponent}"


# -- the table ------------------------------------------------------------------------------------
Write = Callable[..., str]


@dataclass(frozen=True)
class Form:
    """How a head is written.

    Attributes
    ----------
    binds : int
        How tightly; ATOM for what never needs parentheses.
    text, latex, mathml, source : callable
        From the written parts to the whole.
    closed : frozenset of str
        Languages in which the whole encloses its parts, so that they need no parentheses.
    """

    binds: int
    text: Write
    latex: Write
    mathml: Write
    source: Write
    closed: frozenset[str] = frozenset()


def _joined(sign: str) -> Write:
    return lambda *parts: sign.join(parts)


def _infix(binds: int, text: str, latex: str, mathml: str, source: str) -> Form:
    """A head that is written between its parts."""
    signs = (text, latex, mathml, source)
    return Form(binds, *(_joined(sign) for sign in signs))  # type: ignore[arg-type]


def _mo(sign: str) -> str:
    return f"<mo>{escape(sign)}</mo>"


_ALL = frozenset({"text", "latex", "mathml", "source"})

FORMS: dict[str, Form] = {
    "symbol": Form(ATOM, _text_symbol, _latex_symbol, _mathml_symbol, _text_symbol, _ALL),
    "number": Form(
        ATOM,
        digits,
        lambda v: re.sub(
            r"e([-+])0*(\d+)",
            lambda m: rf" \cdot 10^{{{m[1].strip('+')}{m[2]}}}",
            digits(v).replace("∞", r"\infty").replace("NaN", r"\text{NaN}"),
        ),
        lambda v: f"<mn>{digits(v).replace('-', '−')}</mn>",
        _source_number,
        _ALL,
    ),
    "add": _infix(20, " + ", " + ", _mo("+"), " + "),
    "subtract": _infix(21, " - ", " - ", _mo("−"), " - "),
    "times": _infix(30, " · ", r" \cdot ", _mo("·"), " * "),
    "hadamard": _infix(31, " ∘ ", r" \circ ", _mo("∘"), " * "),
    "matmul": _infix(32, " ", r"\,", "<mspace width='0.17em'/>", " @ "),
    "divide": Form(
        33,
        _joined(" / "),
        lambda a, b: rf"\frac{{{a}}}{{{b}}}",
        lambda a, b: f"<mfrac><mrow>{a}</mrow><mrow>{b}</mrow></mfrac>",
        _joined(" / "),
        frozenset({"latex", "mathml"}),
    ),
    "negative": Form(
        34, lambda a: f"-{a}", lambda a: f"-{a}", lambda a: _mo("−") + a, lambda a: f"-{a}"
    ),
    "power": Form(
        40,
        _text_power,
        lambda a, b: f"{{{a}}}^{{{b}}}",
        lambda a, b: f"<msup><mrow>{a}</mrow><mrow>{b}</mrow></msup>",
        _joined(" ** "),
    ),
    "transpose": Form(
        45,
        lambda a: f"{a}ᵀ",
        lambda a: rf"{{{a}}}^{{\mathsf T}}",
        lambda a: f"<msup><mrow>{a}</mrow><mi mathvariant='normal'>T</mi></msup>",
        lambda a: f"{a}.T",
    ),
    "inverse": Form(
        45,
        lambda a: f"{a}⁻¹",
        lambda a: rf"{{{a}}}^{{-1}}",
        lambda a: f"<msup><mrow>{a}</mrow><mn>−1</mn></msup>",
        lambda a: f"np.linalg.inv({a})",
        frozenset({"source"}),
    ),
    "partial": Form(
        ATOM,
        _text_partial,
        lambda a, b: rf"\frac{{\partial {a}}}{{\partial {b}}}",
        lambda a, b: f"<mfrac><mrow><mo>∂</mo>{a}</mrow><mrow><mo>∂</mo>{b}</mrow></mfrac>",
        _text_partial,
        _ALL,
    ),
    "total": Form(
        29,
        lambda a: f"Σ {a}",
        lambda a: rf"\sum {a}",
        lambda a: _mo("∑") + a,
        lambda a: f"np.sum({a}, axis=0, keepdims=True)",
        frozenset({"source"}),
    ),
    "rowsum": Form(
        29,
        lambda a: f"Σₛ {a}",
        lambda a: rf"\sum_{{s=1}}^{{m}} {a}",
        lambda a: f"<munderover>{_mo('∑')}<mi>s</mi><mi>m</mi></munderover>{a}",
        lambda a: f"np.sum({a}, axis=1, keepdims=True)",
        frozenset({"source"}),
    ),
    "via": Form(
        ATOM,
        lambda a, b: f"{a} via {b}",
        lambda a, b: rf"\left.{a}\right|_{{{b}}}",
        lambda a, b: f"<msub><mrow>{a}{_mo('|')}</mrow><mrow>{b}</mrow></msub>",
        lambda a, b: f"{a}_via_{b}",
        _ALL,
    ),
    "held": Form(
        ATOM,
        lambda a, b: f"{a}|{b}",
        lambda a, b: rf"\left({a}\right)_{{{b}}}",
        lambda a, b: f"<msub><mrow><mo>(</mo>{a}<mo>)</mo></mrow><mrow>{b}</mrow></msub>",
        lambda a, b: f"{a}_held_{b}",
        _ALL,
    ),
    "of": Form(
        ATOM,
        lambda a, b: f"{a}({b})",
        lambda a, b: rf"{a}\left({b}\right)",
        lambda a, b: f"{a}<mo>(</mo>{b}<mo>)</mo>",
        lambda a, b: f"{a}_of_{b}",
        _ALL,
    ),
    "entry": Form(
        ATOM,
        lambda a, *place: (
            (f"({a})" if " " in a else a) + ",".join(map(str, place)).translate(SUBSCRIPTS)
        ),
        lambda a, *place: rf"\left[{a}\right]_{{{','.join(map(str, place))}}}",
        lambda a, *place: f"<msub><mrow>{a}</mrow><mn>{','.join(map(str, place))}</mn></msub>",
        lambda a, *place: f"{a}[{', '.join(str(i - 1) for i in place)}]",
        _ALL,
    ),
    "mean": Form(
        ATOM,
        lambda a: f"(Σₛ {a}) / m",
        lambda a: rf"\frac{{1}}{{m}}\sum_{{s=1}}^{{m}} {a}",
        lambda a: f"<munderover>{_mo('∑')}<mi>s</mi><mi>m</mi></munderover>{a}{_mo('/')}<mi>m</mi>",
        lambda a: f"np.mean({a})",
        _ALL,
    ),
    "call": Form(ATOM, _text_call, _latex_call, _mathml_call, _source_call, _ALL),
    "compare": Form(
        10,
        lambda sign, a, b: f"{a} {sign} {b}",
        lambda sign, a, b: f"{a} {LATEX_SIGNS.get(sign, sign)} {b}",
        lambda sign, a, b: a + _mo(sign) + b,
        lambda sign, a, b: f"{a} {NUMPY_SIGNS.get(sign, sign)} {b}",
    ),
    "cases": Form(
        5,
        lambda c, a, b: f"{a} if {c} else {b}",
        lambda c, a, b: rf"\begin{{cases}}{a} & {c}\\ {b} & {opposite(c)}\end{{cases}}",
        lambda c, a, b: (
            f"<mo>{{</mo><mtable columnalign='left'><mtr><mtd>{a}</mtd><mtd>{c}</mtd></mtr>"
            f"<mtr><mtd>{b}</mtd><mtd>{opposite(c)}</mtd></mtr></mtable>"
        ),
        lambda c, a, b: f"np.where({c}, {a}, {b})",
        frozenset({"latex", "mathml", "source"}),
    ),
}

_PARENTHESES = {
    "text": ("(", ")"),
    "source": ("(", ")"),
    "latex": (r"\left(", r"\right)"),
    "mathml": ("<mo>(</mo>", "<mo>)</mo>"),
}
_LEFT_ASSOCIATIVE = {"subtract", "divide", "hadamard", "matmul"}


def _binds(formula: Math) -> int:
    if formula.head == "number" and formula.parts[0] < 0:
        return FORMS["negative"].binds
    return FORMS[formula.head].binds


def _write(formula: Math, language: str, leading: bool = True) -> str:
    """Write a formula; a sign is put in parentheses where it does not lead."""
    form = FORMS[formula.head]
    if language == "source" and formula.head in ("symbol", "partial", "via", "held"):
        return identifier(formula)
    closed = language in form.closed
    left, right = _PARENTHESES[language]
    parts = []
    for position, part in enumerate(formula.parts):
        if not isinstance(part, Math):
            parts.append(part)
        elif closed:
            parts.append(_write(part, language))
        elif _needs_parentheses(formula, part, position, language):
            parts.append(left + _write(part, language) + right)
        else:
            own = position == 0 or formula.head in ("compare", "cases")
            parts.append(_write(part, language, own and (leading or formula.head == "cases")))
    written = str(getattr(form, language)(*parts))
    signed = formula.head == "negative" or (formula.head == "number" and formula.parts[0] < 0)
    return left + written + right if signed and not leading else written


def _needs_parentheses(whole: Math, part: Math, position: int, language: str) -> bool:
    if whole.head == "power":
        if position == 0:
            return _binds(part) < ATOM or part.head == "partial"
        return language in ("text", "source") and _binds(part) < ATOM
    if whole.head == "cases":
        return language == "text" and part.head == "cases"
    if part.head == "divide" and language in ("latex", "mathml"):
        return False
    if _binds(part) == FORMS["negative"].binds:
        return whole.head in ("negative", "transpose", "inverse")
    if position and whole.head in _LEFT_ASSOCIATIVE:
        return _binds(part) <= FORMS[whole.head].binds
    if whole.head in ("matmul", "divide", "transpose", "inverse") and part.head in (
        "hadamard",
        "times",
    ):
        return whole.head != "divide" or language == "text"
    return _binds(part) < FORMS[whole.head].binds


def text(formula: Math) -> str:
    """The formula as one line of Unicode text."""
    return _write(formula, "text")


def latex(formula: Math) -> str:
    """The formula in LaTeX's mathematics mode."""
    return _write(formula, "latex")


_LONE_LEAF = re.compile(r"<mrow>(<(m[ino])>[^<]*</\2>)</mrow>")


def mathml(formula: Math) -> str:
    """The formula as the inside of a ``<math>`` element."""
    written = f"<mrow>{_write(formula, 'mathml')}</mrow>"
    return _LONE_LEAF.sub(r"\1", written)


def mathml_terms(formula: Math, most: int = 3) -> list[str]:
    """A long sum term by term, each for a ``<math>`` element of its own: lines break only between.

    Examples
    --------
    >>> from thalweg.explanation.notation.tree import add, symbol
    >>> [len(mathml_terms(add(*(symbol("x", k) for k in range(1, n + 1))))) for n in (3, 5)]
    [1, 5]
    """
    if formula.head != "add" or len(formula.parts) <= most:
        return [mathml(formula)]
    first, *rest = formula.parts
    later = (_write(part, "mathml", leading=False) for part in rest)
    return [mathml(first), *(f"<mo form='infix'>+</mo><mrow>{term}</mrow>" for term in later)]


def source(formula: Math) -> str:
    """The formula as NumPy code, samples being columns."""
    return _write(formula, "source")
