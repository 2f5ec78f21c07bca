import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import FormulaError

VALUES = {"x": 0.7, "y": -1.3, "z": 2.1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2^3^2", 512.0),
        ("2**3**2", 512.0),
        ("-2^2", -4.0),
        ("2^-1", 0.5),
        ("(-2)^2", 4.0),
        ("1 - 2 - 3", -4.0),
        ("8/4/2", 1.0),
        ("2*3 + 4", 10.0),
        ("--3", 3.0),
        ("-3²", -9.0),
        ("½*4", 2.0),
        ("2·3 − 1×4", 2.0),
        ("1e2 + .5", 100.5),
        ("ln(e)", 1.0),
        ("cos(π)", -1.0),
        ("max(1, 5, 3) - min(4, 2)", 3.0),
        ("relu(-2) + relu(3)", 3.0),
        ("σ(0)", 0.5),
        ("sqrt(16) + abs(-2)", 6.0),
        ("step(0) + step(-1)", 1.0),
    ],
)
def test_meaning(text: str, value: float) -> None:
    assert float(tw.parse_formula(text)()) == pytest.approx(value, rel=1e-15)


def test_names_and_intermediate_values() -> None:
    formula = tw.parse_formula("t = x + y; z = t^2")
    assert formula.variables == ("x", "y")
    assert formula.definitions == ("t", "z")
    assert formula.result == "z"
    assert tw.grad(formula)(1.0, 2.0) == 6.0
    assert tw.parse_formula("w₁*가중치 + β").variables == ("w₁", "가중치", "β")


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("2x", r"write 2\*x", 1),
        ("3(x+1)", r"write 3\*", 1),
        ("(x)(y)", "sign is missing", 3),
        ("x y", r"write x\*y", 2),
        ("x(y+1)", r"write x\*", 1),
        ("x²y", r"write x²\*y", 2),
        ("sin x", r"write sin\(x\)", 0),
        ("1 + sigmod(x)", "Did you mean 'sigmoid'", 4),
        ("(x + 1", "never closed", 0),
        ("x + 1)", "never opened", 5),
        ("x +", "ends where", 3),
        ("x == 1", "no comparison", 3),
        ("x < 1", "no meaning", 2),
        ("x = x + 1", "defined by itself", 0),
        ("a + 1; t = 2", "needs a name", None),
        ("t = 1; t = 2", "defined twice", 7),
        ("a = t; t = 2", "before it is defined", 7),
        ("sin(x, y)", "takes one argument", 0),
        ("", "empty", None),
        ("__import__('os')", "no meaning", 11),
        ("x.y", "no meaning", 1),
        ("x[0]", "no meaning", 1),
    ],
)
def test_errors_point_at_the_place(text: str, message: str, column: int | None) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        tw.parse_formula(text)
    if column is not None:
        shown = str(caught.value).splitlines()
        assert shown[-2] == f"    {text}"
        assert shown[-1] == " " * (4 + column) + "^"


def test_values_and_variables_must_fit() -> None:
    formula = tw.parse_formula("weight*x + b")
    with pytest.raises(FormulaError, match="weight has no value") as caught:
        formula(x=2.0, b=3.0)
    assert str(caught.value).splitlines()[-1] == "    ^"
    with pytest.raises(FormulaError, match=r"no variable 'wieght'\. Did you mean 'weight'"):
        formula(wieght=1.0, x=2.0, b=3.0)
    with pytest.raises(FormulaError, match="4 values for 3 variables"):
        formula(1.0, 2.0, 3.0, 4.0)


def test_depth_is_bounded_and_length_is_not() -> None:
    with pytest.raises(FormulaError, match="nested deeper"):
        tw.parse_formula("(" * 5000 + "x" + ")" * 5000)
    with pytest.raises(FormulaError, match="nested deeper"):
        tw.parse_formula("2^" * 5000 + "x")
    assert float(tw.parse_formula("+".join(["x"] * 3000))(2.0)) == 6000.0


LEAVES = st.one_of(st.sampled_from(sorted(VALUES)), st.integers(0, 9).map(str), st.just("0.5"))


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]}){t[1]}({t[2]})"),
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"{t[0]} {t[1]} {t[2]}"),
        inner.map(lambda t: f"-({t})"),
        inner.map(lambda t: f"sin({t})"),
        inner.map(lambda t: f"({t})**2"),
    )


@given(st.recursive(LEAVES, _combined, max_leaves=12))
def test_agrees_with_python(text: str) -> None:
    """Python's own reading of the same text is the independent truth."""
    expected = eval(text, {"sin": math.sin, **VALUES})
    formula = tw.parse_formula(text.replace("**", "^"))
    found = formula(**{name: VALUES[name] for name in formula.variables})
    assert float(found) == pytest.approx(expected, rel=1e-13, abs=1e-13)


@given(st.text(alphabet="xyz0123456789.+-*/^()=;, ²½σ\n_'\"[]{}\\", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        formula = tw.parse_formula(text)
    except FormulaError:
        return
    with np.errstate(all="ignore"):
        formula(**dict.fromkeys(formula.variables, 1.0))
