r"""Formulas as small trees, written as text, LaTeX, MathML or NumPy code.

A step record says its formula once, as a tree; each renderer writes it in its own way.

Examples
--------
>>> from thalweg.explanation.notation import latex, partial, symbol, text, times
>>> chain = times(partial(symbol("f"), symbol("g")), partial(symbol("g"), symbol("w")))
>>> text(chain)
'∂f/∂g · ∂g/∂w'
>>> latex(chain)
'\\frac{\\partial f}{\\partial g} \\cdot \\frac{\\partial g}{\\partial w}'
"""

from thalweg.explanation.notation.graph import from_node
from thalweg.explanation.notation.tidy import tidy
from thalweg.explanation.notation.tree import (
    Math,
    add,
    call,
    divide,
    from_json,
    hadamard,
    matmul,
    negative,
    number,
    partial,
    power,
    put_numbers,
    replace,
    shortened,
    subtract,
    symbol,
    symbols,
    times,
    total,
    transpose,
)
from thalweg.explanation.notation.writers import (
    digits,
    identifier,
    latex,
    mathml,
    mathml_terms,
    source,
    text,
)

__all__ = [
    "Math",
    "add",
    "call",
    "digits",
    "divide",
    "from_json",
    "from_node",
    "hadamard",
    "identifier",
    "latex",
    "mathml",
    "mathml_terms",
    "matmul",
    "negative",
    "number",
    "partial",
    "power",
    "put_numbers",
    "replace",
    "shortened",
    "source",
    "subtract",
    "symbol",
    "symbols",
    "text",
    "tidy",
    "times",
    "total",
    "transpose",
]
