"""A table's own names and units at both ends of the chain; the penalty's share of the updates."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.explanation import Setting, explain_network
from thalweg.explanation.network import Columns
from thalweg.explanation.storage import from_json, to_json
from thalweg.nn.objective import Penalty
from thalweg.training.scaling import StandardScaling

ROWS = np.array([[20.0, 1.5], [50.0, 1.8], [35.0, 1.6]])
TARGETS = np.array([[100.0], [180.0], [150.0]])
NAMES = Columns(("age", "height"), ("price",))


@pytest.fixture
def told():
    random = np.random.default_rng(4)
    network = tw.Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 1)])
    params = [
        {"W": random.normal(size=(3, 2)), "b": random.normal(size=3)},
        {"W": random.normal(size=(1, 3)), "b": random.normal(size=1)},
    ]
    setting = Setting(
        penalty=Penalty(0.0, 0.3),
        input_scaling=StandardScaling((35.0, 1.6), (12.0, 0.1)),
        target_scaling=StandardScaling((140.0,), (40.0,)),
        columns=NAMES,
    )
    return explain_network(network, params, ROWS, TARGETS, "mse", "adam", setting)


def loss_in_units(told, row, target):
    """The loss of one sample in the table's units, with NumPy alone."""
    (one, two), x = told.passes.params, (row - [35.0, 1.6]) / [12.0, 0.1]
    y = two["W"] @ np.tanh(one["W"] @ x + one["b"]) + two["b"]
    return float(((target - 140.0) / 40.0 - y)[0] ** 2)


@pytest.mark.parametrize("place", [1, 2])
def test_the_derivative_with_respect_to_a_column(place, told):
    walk, step = told.walk(sample=2), 1e-5
    above, below = ROWS[1].copy(), ROWS[1].copy()
    above[place - 1] += step
    below[place - 1] -= step
    slope = (loss_in_units(told, above, 180.0) - loss_in_units(told, below, 180.0)) / (2 * step)
    name = "∂ℓ/∂X" + "₁₂"[place - 1]
    assert float(walk.step(name).value) == pytest.approx(slope, rel=1e-8)
    assert told.layers().step("dX").value[place - 1, 1] == pytest.approx(slope, rel=1e-8)
    checked = told.walk(sample=2, check=True).step(name)
    assert float(checked.estimate) == pytest.approx(slope, rel=1e-7)


def test_inputs_and_outputs_have_their_names(told):
    walk = told.walk(sample=2).write("terminal", "en")
    assert "(age)" in walk and "hidden 2 ← height" in walk and "at output 1 (price)" in walk
    layers = told.layers()
    assert layers.step("X").rows == ("age", "height") and layers.step("Y").rows == ("price",)
    assert "⎦  height" in layers.write("terminal", "en")
    page = told.report().write("html", "ko")
    assert ">age</text>" in page and "<i>height</i>" in page and ">price</text>" in page


def test_names_survive_json(told):
    report = told.report()
    again = from_json(to_json(report, "en"))
    assert again.step("X").rows == ("age", "height")
    assert again.picture == report.picture and report.picture.nodes[0].caption == "age"


def test_scaling_with_numbers(told):
    first = told.walk(sample=2).step("x₁")
    assert str(first.formula) == "(X₁ - c[0]₁) · s[0]₁"
    assert str(first.numbers) == "(50 - 35) · 0.0833333" and float(first.value) == 1.25
    y = float(told.passes.A[2][0, 1]) * 40 + 140
    assert float(told.walk(sample=2).step("Y₁").value) == pytest.approx(y, rel=1e-12)


def test_the_update_uses_mean_and_penalty(told):
    """∂C/∂w by central differences of the mean loss and λ/2 Σ W²."""
    w, step = told.passes.params[0]["W"], 1e-5

    def cost(value):
        old, w[1, 0] = w[1, 0], value
        losses = [
            loss_in_units(told, row, float(t[0])) for row, t in zip(ROWS, TARGETS, strict=True)
        ]
        squares = sum(float(np.sum(p["W"] ** 2)) for p in told.passes.params)
        w[1, 0] = old
        return np.mean(losses) + 0.15 * squares

    slope = (cost(w[1, 0] + step) - cost(w[1, 0] - step)) / (2 * step)
    found = told.neuron("hidden 2").step("∂C/∂w[1]₂,₁")
    assert float(found.value) == pytest.approx(slope, rel=1e-8)
    assert str(found.formula).endswith("+ ∂R/∂w[1]₂,₁")


def test_an_entry_of_the_jacobian_of_the_whole_network(told):
    """Of any sample, opened into its sum, and beside its central difference."""
    opened = told.entry("da[2]/da[0]", 1, 2, sample=3, check=True)
    total = opened.sections[0].steps[-1]
    one, two = told.passes.params
    a = np.tanh(told.passes.Z[1][:, 2])
    expected = (two["W"] * (1 - a**2)) @ one["W"][:, 1]
    assert float(total.value) == pytest.approx(float(expected[0]), rel=1e-12)
    assert float(total.estimate) == pytest.approx(float(expected[0]), rel=1e-8)
    assert len(total.terms) == 3 and total.id == "∂a[2]₁/∂a[0]₂"


def test_central_differences_beside_every_derivative(told):
    """Of the layer view: the estimates agree, and none is missing."""
    checked = {s.id: s for s in told.layers(check=True).steps() if s.estimate is not None}
    named = {f"d{kind}[{layer}]" for layer in (1, 2) for kind in ("Z", "A", "W", "b")}
    assert set(checked) == {*named, "dA[0]", "dX"}
    for step in checked.values():
        np.testing.assert_allclose(step.estimate, step.value, rtol=1e-8, atol=1e-10)
        assert not step.notes


def test_central_differences_of_softmax():
    random = np.random.default_rng(1)
    network = tw.Network([tw.Dense(2, 4, "relu"), tw.Dense(4, 3, "softmax")])
    params = [
        {"W": random.normal(size=(4, 2)), "b": random.normal(size=4)},
        {"W": random.normal(size=(3, 4)), "b": random.normal(size=3)},
    ]
    told = explain_network(network, params, random.normal(size=(5, 2)), np.eye(3)[[0, 1, 2, 2, 0]],
                           "cross_entropy")  # fmt: skip
    for step in told.layers(check=True).steps():
        if step.estimate is not None:
            np.testing.assert_allclose(step.estimate, step.value, rtol=1e-7, atol=1e-9)
