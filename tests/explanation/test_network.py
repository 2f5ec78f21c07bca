import json
import time
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError, ShapeError
from thalweg.explanation import Setting
from thalweg.explanation.network.passes import Passes
from thalweg.explanation.records import product
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective, Penalty

REFERENCE = Path(__file__).parents[1] / "fixtures" / "networks" / "reference.json"
CASES = json.loads(REFERENCE.read_text())["cases"]
LOSSES = {"softmax_cross_entropy": "cross_entropy", "mse": "mse"}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_gradients_equal_pytorch(case) -> None:
    sizes = case["sizes"]
    names = [case["activation"]] * (len(sizes) - 2) + [case["output_activation"]]
    layers = [
        Dense(n, m, g, bool(case["b"]))
        for n, m, g in zip(sizes[:-1], sizes[1:], names, strict=True)
    ]
    params = [{"W": np.array(W)} for W in case["W"]]
    for own, b in zip(params, case["b"], strict=False):
        own["b"] = np.array(b)
    loss = LOSSES.get(case["loss"], case["loss"])
    told = tw.explain_network(Network(layers), params, case["X"], case["Y"], loss)
    layers_view = told.layers()
    for number in range(1, len(layers) + 1):
        dW = layers_view.step(f"dW[{number}]").value
        assert np.allclose(dW, case["dW"][number - 1], rtol=1e-12, atol=1e-14)
        if case["b"]:
            db = layers_view.step(f"db[{number}]").value
            assert np.allclose(db[:, 0], case["db"][number - 1], rtol=1e-12, atol=1e-14)
    m = len(case["X"])
    assert np.allclose(layers_view.step("dA[0]").value.T / m, case["dX"], rtol=1e-11, atol=1e-14)
    assert float(layers_view.step("J").value) == pytest.approx(case["loss_value"], rel=1e-13)


def test_two_neuron_chain(example) -> None:
    told = example("two_neuron_chain").told()
    y = sigmoid(0.5)
    z = sigmoid(0.5 * y)
    expected2 = (1 - z) * z * (1 - z) * y
    expected1 = (1 - z) * z * (1 - z) * 0.5 * y * (1 - y)
    assert float(told.passes.dW[2][0, 0]) == pytest.approx(expected2, rel=1e-12)
    assert float(told.passes.dW[1][0, 0]) == pytest.approx(expected1, rel=1e-12)
    assert round(expected1, 5) == 0.01212  # the old weights, not 0.01368
    walk = told.walk()
    assert float(walk.step("w[2]₁,₁⁺").value) == pytest.approx(0.5 + expected2, rel=1e-12)
    assert float(walk.step("w[1]₁,₁⁺").value) == pytest.approx(0.5 + expected1, rel=1e-12)


def test_relu_regression_without_biases(example) -> None:
    exercise = example("relu_regression")
    told = exercise.told()
    W1, W2 = (own["W"] for own in exercise.params)
    X, T = exercise.X.T, exercise.T.T
    Z1 = W1 @ X
    A1 = np.maximum(Z1, 0)
    dZ2 = -2 * (T - W2 @ A1)
    dZ1 = (W2.T @ dZ2) * (Z1 > 0)
    assert np.allclose(told.passes.dW[2], dZ2 @ A1.T / 2, rtol=1e-12, atol=1e-15)
    assert np.allclose(told.passes.dW[1], dZ1 @ X.T / 2, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["shallow_sigmoid", "xor"])
def test_vectorised_shallow_network(example, name: str) -> None:
    exercise = example(name)
    told = exercise.told()
    (W1, b1), (W2, b2) = ((own["W"], own["b"][:, None]) for own in exercise.params)
    X, Y = exercise.X.T, exercise.T.T
    m = X.shape[1]
    g, slope = (np.tanh, lambda a: 1 - a * a) if name == "xor" else (sigmoid, lambda a: a * (1 - a))
    A1 = g(W1 @ X + b1)
    A2 = sigmoid(W2 @ A1 + b2)
    dZ2 = A2 - Y
    dZ1 = W2.T @ dZ2 * slope(A1)
    view = told.layers()
    assert str(view.step("dZ[2]").formula) == "A[2] - T"
    for found, expected in [
        ("dZ[2]", dZ2), ("dW[2]", dZ2 @ A1.T / m), ("db[2]", dZ2.sum(1, keepdims=True) / m),
        ("dZ[1]", dZ1), ("dW[1]", dZ1 @ X.T / m), ("db[1]", dZ1.sum(1, keepdims=True) / m),
    ]:  # fmt: skip
        assert np.allclose(view.step(found).value, expected, rtol=1e-12, atol=1e-15)
    assert view.step("db[1]").shape == (len(W1), 1)  # a column, not (n,)


def test_the_figures_are_those_of_the_training_step() -> None:
    net = Network([Dense(3, 4, "tanh"), Dense(4, 2, "softmax")])
    params, rng = net.initial(1), np.random.default_rng(1)
    X, T = rng.normal(size=(5, 3)), np.eye(2)[rng.integers(2, size=5)]
    weights = rng.uniform(0.5, 2.0, 5)
    told = tw.explain_network(
        net,
        params,
        X,
        T,
        "cross_entropy",
        "adam",
        Setting(weights=weights, penalty=Penalty(l2=0.1)),
    )
    from thalweg.optim.rules import Adam
    from thalweg.training.program import Program

    objective = NetworkObjective(net, told.passes.objective.loss, Penalty(l2=0.1))
    program = Program(objective, Adam())
    state = program.start(params)
    _, gradient = program.gradient(params, X, T, weights)
    program.epoch(state, X, T, weights, np.arange(5), 5, np.array([Adam().learning_rate]))
    for layer in (1, 2):
        assert np.array_equal(told.passes.dW[layer], gradient[layer - 1]["W"])
        new, _ = told.update_step.moved(layer, "W")
        assert np.allclose(new, state.params[layer - 1]["W"], rtol=1e-14, atol=1e-16)


def test_softmax_shows_both_steps_and_the_fused_result() -> None:
    net = Network([Dense(2, 3, "softmax")])
    params = [{"W": np.array([[1.0, 2.0], [0.5, -1.0], [0.0, 0.3]]), "b": np.zeros(3)}]
    told = tw.explain_network(net, params, [1.0, -0.5], [0.0, 1.0, 0.0], "cross_entropy")
    section = told.neuron("output 2").sections[2]
    common = next(s for s in section.steps if s.role == "common")
    fused = next(s for s in section.steps if s.role == "fused")
    assert product(common.terms) == pytest.approx(float(fused.value), rel=1e-12)
    assert str(fused.formula) == "a[1]₂ - t₂"
    a = told.passes.A[1][:, 0]
    jacobian = told.jacobians().step("∂a[1]/∂z[1]").value
    assert np.allclose(jacobian, np.diag(a) - np.outer(a, a), atol=1e-15)


def test_saturated_outputs_keep_the_trained_gradient() -> None:
    net = Network([Dense(1, 1, "sigmoid")])
    params = [{"W": np.array([[800.0]]), "b": np.zeros(1)}]
    told = tw.explain_network(net, params, [1.0], [0.0], "binary_cross_entropy")
    assert told.passes.dW[1][0, 0] == 1.0  # a - t, where the two steps give 0 · inf
    assert "A[1] - T" in told.write("terminal", "en")


def test_entries_open_into_their_sums_beside_the_central_difference() -> None:
    net = Network([Dense(2, 3, "tanh"), Dense(3, 2)])
    rng = np.random.default_rng(3)
    told = tw.explain_network(net, net.initial(3), rng.normal(size=(4, 2)), rng.normal(size=(4, 2)))
    for name in ("dW[1]", "dW[2]", "db[1]", "dX", "dZ[1]", "dA[1]"):
        total = list(told.entry(name, 2, 1, check=True).steps())[-1]
        assert product(total.terms) == pytest.approx(float(total.value), rel=1e-12)
        assert float(total.estimate) == pytest.approx(float(total.value), rel=1e-7, abs=1e-10)
        assert not total.notes
    total = list(told.entry("∂a[2]/∂a[1]", 2, 3).steps())[-1]
    assert product(total.terms) == pytest.approx(told.passes.params[1]["W"][1, 2], rel=1e-14)
    with pytest.raises(ShapeError, match="counted from 1"):
        told.entry("dW[1]", 0, 1)
    with pytest.raises(OptionError, match="no step"):
        told.entry("dQ[1]")


def test_a_neuron_is_checked_by_central_differences() -> None:
    net = Network([Dense(2, 2, "tanh"), Dense(2, 2, "softmax")])
    rng = np.random.default_rng(5)
    X, T = rng.normal(size=(3, 2)), np.eye(2)[[0, 1, 0]]
    told = tw.explain_network(net, net.initial(5), X, T, "cross_entropy")
    for which in ("hidden 2", "output 1"):
        view = told.neuron(which, sample=2, check=True)
        checked = [s for s in view.steps() if s.estimate is not None]
        assert len(checked) >= 5
        for step in checked:
            assert float(step.estimate) == pytest.approx(float(step.value), rel=1e-7, abs=1e-9)


def test_multiplications_saved() -> None:
    """Counted by hand for 2-3-1: a hidden neuron's common part is 1 + 1 + 1 multiplications."""
    net = Network([Dense(2, 3, "relu", bias=False), Dense(3, 1, bias=False)])
    told = tw.explain_network(net, net.initial(0), [1.0, 2.0], [1.0])
    notes = told.neuron("hidden 2").sections[1].notes
    saved = next(n for n in notes if n.key == "saved")
    assert saved.values["common"] == 3
    assert saved.values["full"] == 2 * (3 + 1)
    assert saved.values["shared"] == 3 + 2
    full, shared = told.multiplications
    assert full == 3 * (1 + 1) + 6 * (3 + 1)
    assert shared == 1 + 3 + 3 + 3 + 6


def test_health_finds_what_is_wrong() -> None:
    net = Network([Dense(2, 2, "relu"), Dense(2, 1)])
    params = [
        {"W": np.array([[1.0, 1.0], [-1.0, -1.0]]), "b": np.array([0.0, -1.0])},
        net.initial(0)[1],
    ]
    told = tw.explain_network(net, params, np.ones((3, 2)), np.ones((3, 1)))
    dead = next(n for n in told.health().sections[0].notes if n.key == "dead")
    assert dead.values["neurons"] == "2"
    net = Network([Dense(1, 1, "sigmoid") for _ in range(8)])
    params = [{"W": np.array([[0.5]]), "b": np.zeros(1)}] * 8
    told = tw.explain_network(net, params, [1.0], [0.0])
    assert any(n.key == "vanishing" for n in told.health().sections[0].notes)
    params = [{"W": np.array([[40.0]]), "b": np.zeros(1)}] * 8
    told = tw.explain_network(net, params, [1.0], [0.0])
    assert any(n.key == "saturated" for n in told.health().sections[0].notes)


def test_step_networks_are_explained_though_not_trained() -> None:
    net = Network([Dense(2, 2, "step"), Dense(2, 1)])
    told = tw.explain_network(net, net.initial(0), [1.0, 2.0], [1.0])
    assert np.all(told.passes.dW[1] == 0)
    assert "step" in told.write("terminal", "en")
    assert any(n.key == "step_untrainable_layer" for n in told.health().sections[0].notes)


def test_kinks_of_relu_are_said() -> None:
    net = Network([Dense(1, 1, "relu"), Dense(1, 1)])
    params = [
        {"W": np.array([[1.0]]), "b": np.array([-1.0])},
        {"W": np.ones((1, 1)), "b": np.zeros(1)},
    ]
    told = tw.explain_network(net, params, [1.0], [2.0])
    assert told.passes.dW[1][0, 0] == 0.0  # ReLU'(0) = 0
    section = told.neuron("hidden 1").sections[1]
    assert any(n.key == "kink_of_activation" for n in section.notes)


def test_scaling_is_the_first_and_last_step() -> None:
    from thalweg.training.scaling import StandardScaling

    net = Network([Dense(2, 2, "tanh"), Dense(2, 1)])
    X, T = np.array([[1.0, 20.0], [3.0, 60.0]]), np.array([[5.0], [9.0]])
    setting = Setting(input_scaling=StandardScaling.fit(X), target_scaling=StandardScaling.fit(T))
    told = tw.explain_network(net, net.initial(0), X, T, "mse", None, setting)
    view = told.layers()
    assert np.allclose(view.step("A[0]").value, [[-1, 1], [-1, 1]])
    assert np.allclose(view.step("dX").value, view.step("dA[0]").value / [[1.0], [20.0]])
    prediction = view.step("A[2]").value * 2.0 + 7.0
    assert np.allclose(view.step("Y").value, prediction)


def test_neurons_by_name() -> None:
    net = Network([Dense(2, 3), Dense(3, 4), Dense(4, 1)])
    told = tw.explain_network(net, net.initial(0), [1.0, 2.0], [1.0])
    for name in ("hidden 3 of layer 2", "2:3", "은닉 3 계층 2", (2, 3)):
        assert "z[2]₃" in {s.id for s in told.neuron(name).steps()}
    with pytest.raises(OptionError, match="2 hidden layers"):
        told.neuron("hidden 1")
    with pytest.raises(OptionError, match="neurons 1 to 3"):
        told.neuron("1:4")
    with pytest.raises(OptionError, match="samples 1 to 1"):
        told.neuron("output 1", sample=2)


@pytest.mark.slow
def test_a_large_network_is_explained_within_a_second() -> None:
    net = Network([Dense(64, 128, "relu"), Dense(128, 64, "tanh"), Dense(64, 10, "softmax")])
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(128, 64)), np.eye(10)[rng.integers(10, size=128)]
    params = net.initial(0)
    best = min(_seconds(net, params, X, T) for _ in range(3))
    assert best < 1.0


def _seconds(net, params, X, T) -> float:
    start = time.perf_counter()
    told = tw.explain_network(net, params, X, T, "cross_entropy", "adam")
    told.layers().write("terminal", "en")
    told.neuron((2, 5)).write("terminal", "en")
    told.health()
    return time.perf_counter() - start


def test_passes_refuse_what_does_not_fit() -> None:
    net = Network([Dense(2, 1)])
    with pytest.raises(ShapeError, match="2 number"):
        Passes.of(net, net.initial(0), np.ones((3, 3)), np.ones((3, 1)), "mse")
    with pytest.raises(ShapeError, match="rows"):
        Passes.of(net, net.initial(0), np.ones((3, 2)), np.ones((2, 1)), "mse")


def test_a_check_stands_beside_every_derivative_of_a_neuron() -> None:
    """Local, global and mean derivatives, of elementwise activations and of softmax."""
    rng = np.random.default_rng(3)
    net = tw.Network([tw.Dense(3, 4, "tanh"), tw.Dense(4, 3, "softmax")])
    told = tw.explain_network(
        net, net.initial(2), rng.normal(size=(5, 3)), np.eye(3)[[0, 1, 2, 1, 0]], "cross_entropy"
    )
    for neuron in ("output 2", "hidden 3"):
        steps = [s for s in told.neuron(neuron, check=True).steps() if s.name.head == "partial"]
        singles = [s for s in steps if not s.value.ndim]
        assert len(singles) > 10
        for step in singles:
            assert step.estimate is not None, step.id
            assert np.allclose(step.estimate, step.value, rtol=1e-7, atol=1e-10), step.id


def test_a_difference_at_a_kink_is_not_called_agreement() -> None:
    net = tw.Network([tw.Dense(1, 1, "relu", bias=False), tw.Dense(1, 1, bias=False)])
    params = [{"W": np.array([[0.0]])}, {"W": np.array([[1.0]])}]
    told = tw.explain_network(net, params, [[1.0], [2.0]], [[1.0], [1.0]])
    said = told.layers(check=True).write("terminal", "en")
    assert "differ by up to" in said
    assert "step is" not in told.neuron("hidden 1", check=True).write("terminal", "en")
