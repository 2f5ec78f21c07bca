"""Explanations as NumPy code that runs: the forward and the backward pass, step by step.

Every line computes one step and says in a comment which derivative it is. Inputs and weights are
written out with all their digits, so the program gives the numbers of the explanation.

Examples
--------
>>> from thalweg.explanation import explain
>>> program = explain("w*x + b")(w=-2.0, x=5.0, b=3.0).write("source", "en")
>>> names = {}
>>> exec(program, names)
>>> names["df_dw"]
5.0
"""

from __future__ import annotations

import numpy as np

from thalweg.explanation.notation import Math, identifier, source, symbols
from thalweg.explanation.records import Array, Explanation, Step
from thalweg.language import tr

__all__ = ["render"]

_FUNCTIONS = {
    "sigmoid": "def sigmoid(z):\n    return 1.0 / (1.0 + np.exp(-z))\n",
    "softplus": "def softplus(z):\n    return np.logaddexp(0.0, z)\n",
    "softmax": (
        "def softmax(z):\n    e = np.exp(z - z.max(axis=0, keepdims=True))\n"
        "    return e / e.sum(axis=0, keepdims=True)\n"
    ),
    "logsumexp": (
        "def logsumexp(z, axis, keepdims):\n    top = z.max(axis=axis, keepdims=True)\n"
        "    total = np.log(np.exp(z - top).sum(axis=axis, keepdims=True)) + top\n"
        "    return total if keepdims else np.squeeze(total, axis)\n"
    ),
    "erf": ("import math\n\n\ndef erf(z):\n    return np.vectorize(math.erf, otypes=[float])(z)\n"),
}


def render(explanation: Explanation, lang: str) -> str:
    """Write an explanation as a program.

    Parameters
    ----------
    explanation : Explanation
        An expression, or the layer view of a network.
    lang : str
        Of the comments.
    """
    lines: list[str] = []
    known: set[str] = set()
    for section in explanation.sections:
        if section.kind in ("result", "health", "update", "effect", "neuron", "entry"):
            continue
        written = [line for step in section.steps for line in _line(step, known, lang)]
        if written:
            lines += ["", f"# {section.title.say(lang)}", *written]
    body = "\n".join(lines)
    helpers = [code for name, code in _FUNCTIONS.items() if f"{name}(" in body]
    title = f'"""{explanation.title.say(lang)}"""'
    if any("/ m" in line for line in lines):
        first = next(n for n, line in enumerate(lines) if line.startswith("A0 ="))
        lines.insert(first + 1, f"m = A0.shape[1]  # {tr('explanation.number_of_samples', lang)}")
        body = "\n".join(lines)
    head = [title, "", "import numpy as np", ""]
    return "\n".join([*head, *(f"\n{code}" for code in helpers), body, ""])


def _line(step: Step, known: set[str], lang: str) -> list[str]:
    name = identifier(step.name) if step.name.head in ("symbol", "partial", "via", "held") else ""
    if not name:
        return []
    comment = tr(f"explanation.role_{step.role}", lang).strip()
    if step.formula == step.name or not _computable(step, known):
        if name in known and step.formula == step.name:
            return []
        code = f"{name} = {literal(step.value)}"
    else:
        assert step.formula is not None
        code = f"{name} = {source(step.formula)}"
    known.add(name)
    shape = f", {'×'.join(map(str, step.shape))}" if step.value.ndim == 2 else ""
    return [f"{code}  # {comment}: {_derivative(step)}{shape}"]


def _derivative(step: Step) -> str:
    """What a line is: ``dW[2]`` is ∂J/∂W[2], ``dZ[2]`` is ∂ℓ/∂Z[2], one column for each sample."""
    name = step.id
    if name[:2] in ("dW", "db"):
        return f"{name} = ∂J/∂{name[1:]}"
    if name[:2] in ("dZ", "dA", "dX"):
        return f"{name} = ∂ℓ/∂{name[1:]}"
    if name[:2] == "g'":
        return f"∂A{name[2:]}/∂Z{name[2:]}"
    return name


def _computable(step: Step, known: set[str]) -> bool:
    """Whether every name in the formula has been given a value by an earlier line."""
    if step.formula is None:
        return False
    needed = {identifier(s) for s in symbols(step.formula)} - {"m"}
    return needed <= known and not _has(step.formula, "mean") and step.value.size > 0


def _has(formula: Math, head: str) -> bool:
    parts = (p for p in formula.parts if isinstance(p, Math))
    return formula.head == head or any(_has(p, head) for p in parts)


def literal(value: Array) -> str:
    """An array as Python writes it, with all digits.

    Examples
    --------
    >>> literal(np.array(0.1)), literal(np.array([[1.0, 2.0]]))
    ('0.1', 'np.array([[1.0, 2.0]])')
    """
    if value.ndim == 0:
        return repr(float(value))
    text = repr(np.asarray(value, np.float64).tolist())
    return f"np.array({text.replace('inf', 'np.inf').replace('nan', 'np.nan')})"
