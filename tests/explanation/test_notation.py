import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg.explanation.notation import (
    Math,
    digits,
    from_json,
    from_node,
    identifier,
    latex,
    mathml,
    number,
    partial,
    source,
    symbol,
    text,
    tidy,
)
from thalweg.explanation.notation.tidy import expand
from thalweg.interpreter import interpret

NAMES = {"x": 0.7, "y": -1.3, "z": 0.4}


def _combined(inner):
    pairs = st.tuples(inner, st.sampled_from("+-*/"), inner)
    return st.one_of(
        pairs.map(lambda t: f"({t[0]}){t[1]}({t[2]})"),
        inner.map(lambda t: f"-({t})"),
        inner.map(lambda t: f"sin({t})"),
        inner.map(lambda t: f"({t})^2"),
    )


def _numbers(form):
    if form.head == "number":
        return [form.parts[0]]
    return [v for p in form.parts if isinstance(p, Math) for v in _numbers(p)]


FORMULAS = st.recursive(st.sampled_from([*NAMES, "2", "0.5"]), _combined, max_leaves=10)


@given(FORMULAS)
def test_what_is_written_means_what_it_was_read_from(typed: str) -> None:
    """Text, tidied text and NumPy code, read back, give the value of the graph."""
    formula = tw.parse_formula(typed)
    if not formula.variables:
        return
    values = [NAMES[n] for n in formula.variables]
    graph = tw.trace(formula, *values)
    (expected,) = interpret(graph, values)
    if not np.isfinite(expected):
        return
    names = {node: symbol(n) for node, n in zip(graph.inputs, formula.variables, strict=True)}
    written = from_node(graph.outputs[0], names)
    scope = {"np": np, **NAMES}
    close = pytest.approx(float(expected), rel=1e-9, abs=1e-9)
    for form in (written, tidy(written), expand(tidy(written))):
        with np.errstate(all="ignore"):
            assert float(eval(source(form), dict(scope))) == close
        if all(float(digits(v)) == v for v in _numbers(form)):  # people see six digits
            again = tw.parse_formula(text(form))
            assert float(again(**{n: NAMES[n] for n in again.variables})) == close
    assert from_json(json.loads(json.dumps(written.to_json()))) == written
    assert latex(written).count("{") == latex(written).count("}")
    assert mathml(written).count("<m") == mathml(written).count("</m") + mathml(written).count("/>")


@pytest.mark.parametrize(
    ("name", "as_text", "as_latex", "as_code"),
    [
        (symbol("w₁"), "w₁", "w_{1}", "w1"),
        (symbol("W[2]", 1, 3), "W[2]₁,₃", "W^{[2]}_{1,3}", "W2_1_3"),
        (symbol("w[1]⁺", 2, 1), "w[1]₂,₁⁺", "w^{[1]+}_{2,1}", "w1_new_2_1"),
        (symbol("dZ[2]"), "dZ[2]", "dZ^{[2]}", "dZ2"),
        (symbol("β₁"), "β₁", r"\beta_{1}", "β1"),
        (symbol("lambda"), "lambda", r"\text{lambda}", "lambda_"),
        (symbol("a%b$"), "a%b$", r"\text{a\%b\$}", "a_b_"),
        (partial(symbol("f"), symbol("x")), "∂f/∂x", r"\frac{\partial f}{\partial x}", "df_dx"),
    ],
)
def test_names(name, as_text: str, as_latex: str, as_code: str) -> None:
    assert text(name) == as_text
    assert latex(name) == as_latex
    assert identifier(name) == as_code


def test_mathml_escapes_what_people_type() -> None:
    assert "<script" not in mathml(symbol("<script>"))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_numbers_that_are_not_finite(value: float) -> None:
    formula = number(value)
    back = from_json(json.loads(json.dumps(formula.to_json(), allow_nan=False)))
    assert np.array_equal(back.parts[0], value, equal_nan=True)
    assert np.array_equal(eval(source(formula), {"np": np}), value, equal_nan=True)
