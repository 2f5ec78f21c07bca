import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import DifferentiationError
from thalweg.explanation.records import product


def test_line_of_the_documents() -> None:
    record = tw.explain("g = w*x; f = g + b")(w=-2.0, x=5.0, b=3.0)
    values = {step.id: float(step.value) for step in record.steps()}
    assert values["g"] == -10.0
    assert values["f"] == -7.0
    assert values["∂f/∂w"] == 5.0
    assert values["∂f/∂x"] == -2.0
    assert values["∂f/∂b"] == 1.0
    said = [note.say("en") for note in record.sections[2].notes]
    assert said[0] == "Raising w by 1 raises f by exactly 5: f is linear in w."
    assert said[1].startswith("Raising x by 1 lowers f by exactly 2")


def test_square_of_a_sum() -> None:
    record = tw.explain("t = x + y; z = t^2")(x=1.5, y=2.0)
    assert float(record.step("∂z/∂x").value) == 7.0
    assert float(record.step("∂z/∂t").value) == 7.0
    assert "exactly" not in record.sections[2].notes[0].say("en")
    assert record.sections[2].notes[0].say("en") == "A small rise of x raises z by 7 times as much."


def test_two_neuron_chain_in_closed_form() -> None:
    w1, w2, x, d = 0.5, -0.8, 1.2, 0.9
    y = 1 / (1 + math.exp(-w1 * x))
    z = 1 / (1 + math.exp(-w2 * y))
    record = tw.explain("y = σ(w₁*x); z = σ(w₂*y); P = -½*(d - z)^2")(w1, x, w2, d)
    expected = (d - z) * z * (1 - z) * y
    assert float(record.step("∂P/∂w₂").value) == pytest.approx(expected, rel=1e-12)
    expected = (d - z) * z * (1 - z) * w2 * y * (1 - y) * x
    assert float(record.step("∂P/∂w₁").value) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("x", [-3.0, 0.0, 0.4, 2.0])
def test_sigmoid_taken_apart(x: float) -> None:
    record = tw.explain("a = σ(x)", take_apart=True)(x=x)
    (term,) = record.sections[2].steps[0].terms
    assert len(term.factors) == 4
    a = 1 / (1 + math.exp(-x))
    assert term.value == pytest.approx(a * (1 - a), rel=1e-12)


def test_a_value_used_several_times() -> None:
    record = tw.explain("t = x + y; z = t*x + x^2")(x=3.0, y=2.0)
    total = record.step("∂z/∂x")
    assert len(total.terms) == 3  # t·x, x², x + y
    assert product(total.terms) == float(total.value) == 5 + 3 + 2 * 3
    assert any(note.key == "used_often" for note in record.sections[1].notes)


def test_kinks_and_steps_are_said() -> None:
    record = tw.explain("relu(x) + abs(y) + max(x, y)")(x=0.0, y=0.0)
    keys = [note.key for note in record.sections[0].notes]
    assert keys.count("kink") == 3
    record = tw.explain("step(x)*x")(x=0.5)
    assert [note.key for note in record.sections[0].notes] == ["no_slope"]


def test_rests_and_unused() -> None:
    record = tw.explain("x^2 + 0*y")(x=0.0, y=1.0)
    assert [n.key for n in record.sections[2].notes] == ["rests", "rests"]
    record = tw.explain(lambda x, y: x * 2.0)(1.0, 1.0)
    assert [n.key for n in record.sections[2].notes] == ["linear_raises", "unused"]
    record = tw.explain(lambda x: tnp.sign(x))(1.0)
    assert record.sections[2].notes[0].key == "jumps"


@pytest.mark.parametrize("formula, x", [("ln(x)", -1.0), ("1/x", 0.0), ("sqrt(x)", 0.0)])
def test_nothing_is_said_to_rise_where_the_function_or_its_slope_is_not_finite(formula, x) -> None:
    with np.errstate(all="ignore"):
        record = tw.explain(formula)(x=x)
    assert [n.key for n in record.sections[2].notes] == ["undefined_here"]
    for lang in ("en", "ko"):
        assert "f" in record.sections[2].notes[0].say(lang)


def test_at_a_kink_neither_rest_nor_slope_is_promised() -> None:
    record = tw.explain("relu(x) + 2*w")(x=0.0, w=1.0)  # f(0.1) - f(0) is 0.1, not 0
    assert [n.key for n in record.sections[2].notes] == ["either_side", "linear_raises"]
    assert [n.key for n in tw.explain("relu(x)")(x=-1.0).sections[2].notes] == ["rests"]


def test_central_differences_stand_beside() -> None:
    record = tw.explain("t = sin(x)*y; z = exp(t)/x", check=True)(x=0.7, y=-1.1)
    for step in record.sections[1].steps:
        if step.estimate is not None:
            assert float(step.estimate) == pytest.approx(float(step.value), rel=1e-8)
    assert sum(step.estimate is not None for step in record.steps()) > 6
    record = tw.explain("abs(x)", check=True)(x=0.0)
    assert not any(n.key == "disagrees" for s in record.steps() for n in s.notes)
    record = tw.explain("max(x, 2*x)", check=True)(x=0.0)
    assert float(record.step("∂f/∂x").value) == 1.5


def test_arrays() -> None:
    W, x, t = np.array([[1.0, 2.0, 3.0], [0.5, 0.2, 0.1]]), np.array([0.1, 0.2, 0.3]), np.ones(2)

    def loss(W, x, t):
        return tnp.sum((tnp.tanh(W @ x) - t) ** 2)

    record = tw.explain(loss, check=True)(W, x, t=t)
    exact = tw.grad(loss, argnums=(0, 1, 2))(W, x, t)
    for name, gradient in zip("Wxt", exact, strict=True):
        step = record.step(f"∂loss/∂{name}")
        assert np.array_equal(step.value, gradient)
        assert np.allclose(step.estimate, gradient, rtol=1e-7, atol=1e-9)


def test_arguments_of_every_kind() -> None:
    def f(a, *rest, scale=2.0, **more):
        return (a + sum(rest)) * scale * more["k"]

    record = tw.explain(f)(1.0, 2.0, 3.0, k=4.0)
    assert float(record.step("∂f/∂k").value) == 12.0
    record = tw.explain(lambda p: p["w"] * p["b"])({"w": 2.0, "b": 3.0})
    assert float(record.step("∂f/∂p_w").value) == 3.0


def test_only_one_number_can_be_explained() -> None:
    with pytest.raises(DifferentiationError, match="one number"):
        tw.explain(lambda x: x * 2.0)(np.ones(3))
    with pytest.raises(DifferentiationError, match="jumps"):
        tw.explain(lambda x: x > 0)(1.0)


FORMULAS = st.sampled_from(
    [
        "sin(a)*b + a",
        "σ(a*b)*tanh(c)",
        "exp(-a^2)/(1 + b^2)",
        "t = a*b; u = t + c; u*t",
        "(a+b)*(b+c)",
    ]
)
NUMBERS = st.floats(-2, 2, allow_nan=False)


@settings(deadline=None, max_examples=60)
@given(FORMULAS, NUMBERS, NUMBERS, NUMBERS)
def test_contributions_add_up_to_the_gradient(text: str, a: float, b: float, c: float) -> None:
    formula = tw.parse_formula(text)
    values = {name: {"a": a, "b": b, "c": c}[name] for name in formula.variables}
    record = tw.explain(formula)(**values)
    gradient = tw.grad(formula, argnums=tuple(range(len(values))))(*values.values())
    for name, slope in zip(formula.variables, gradient, strict=True):
        step = record.sections[1]
        found = [s for s in step.steps if s.id == f"∂{formula.result}/∂{name}" and s.terms][-1]
        assert product(found.terms) == pytest.approx(float(slope), rel=1e-12, abs=1e-14)


def test_a_derivative_that_is_an_input_does_not_rename_it() -> None:
    """∂f/∂g of g·x is x; the condition of relu(x) still reads x > 0."""
    told = str(tw.explain("step(y)*x + relu(x)")(x=2.0, y=1.5))
    assert "∂f/∂g > 0" not in told and "x > 0" in told
