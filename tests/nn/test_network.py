"""Networks: against PyTorch, shapes and their messages, records."""

import json
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ModelFileError, OptionError, ShapeError
from thalweg.nn.losses import loss
from thalweg.nn.network import Network, dense_network, flat
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import GD
from thalweg.training.program import Program

FIXTURE = Path(__file__).parents[1] / "fixtures" / "networks" / "reference.json"
CASES = json.loads(FIXTURE.read_text(encoding="utf-8"))["cases"]
LOSS_NAMES = {"softmax_cross_entropy": "cross_entropy"}


def network_of(case):
    activations = [case["activation"]] * (len(case["W"]) - 1) + [case["output_activation"]]
    layers = []
    for k, (W, name) in enumerate(zip(case["W"], activations, strict=True)):
        b = case["b"][k] if case["b"] else None
        n, m = case["sizes"][k : k + 2]
        layers.append(tw.Dense(n, m, name, bias=b is not None, weights=W, biases=b))
    return Network(layers)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_agrees_with_pytorch(case):
    net, ell = network_of(case), loss(LOSS_NAMES.get(case["loss"], case["loss"]))
    params, X, Y = net.initial(), np.array(case["X"]), np.array(case["Y"])
    assert np.allclose(net(params, X), case["output"], rtol=1e-12, atol=1e-14)
    each = [ell.sample(net(params, x), t) for x, t in zip(X, Y, strict=True)]
    assert np.allclose(each, case["loss_per_sample"], rtol=1e-12, atol=1e-14)
    program = Program(NetworkObjective(net, ell), GD())
    value, slopes = program.gradient(params, X, Y, np.ones(len(X)))
    assert np.isclose(value, case["loss_value"], rtol=1e-12)
    for k, own in enumerate(slopes):
        assert np.allclose(own["W"], case["dW"][k], rtol=1e-10, atol=1e-13)
        if case["b"]:
            assert np.allclose(own["b"], case["db"][k], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("case", CASES[-6:], ids=lambda case: case["name"])
def test_derivative_with_respect_to_inputs(case):
    net, ell = network_of(case), loss(LOSS_NAMES.get(case["loss"], case["loss"]))
    params, Y = net.initial(), np.array(case["Y"])
    slope = tw.grad(lambda X: ell(net(params, X), Y))(np.array(case["X"]))
    assert np.allclose(slope, case["dX"], rtol=1e-9, atol=1e-12)


def test_one_sample_and_rows_agree():
    net = dense_network(3, [5, 4], 2, "tanh", "softmax")
    params, X = net.initial(1), np.random.default_rng(0).normal(size=(6, 3))
    rows = np.array([net(params, x) for x in X])
    assert np.allclose(net(params, X), rows, rtol=1e-14)
    assert np.allclose(tw.vmap(net, in_axes=(None, 0))(params, X), rows, rtol=1e-14)


def test_labels():
    net = dense_network(2, [3], 1, "tanh")
    graph = NetworkObjective(net, tw.mse).sample_graph()
    assert set(graph.labels) == {
        *("a[0]", "W[1]", "b[1]", "z[1]", "a[1]"),
        *("W[2]", "b[2]", "z[2]", "a[2]", "t", "loss"),
    }
    assert graph.labels["z[2]"] is graph.labels["a[2]"]


def test_same_seed_same_bits():
    net = dense_network(4, [8], 2, "relu")
    assert np.array_equal(flat(net.initial(5)), flat(net.initial(5)))
    assert not np.array_equal(flat(net.initial(5)), flat(net.initial(6)))


def test_given_weights_are_kept_and_leave_the_draws_of_others():
    W = np.arange(6.0).reshape(3, 2)
    given = Network([tw.Dense(2, 3, "tanh", weights=W), tw.Dense(3, 1)])
    drawn = Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 1)])
    assert np.array_equal(given.initial(0)[0]["W"], W)
    assert np.array_equal(given.initial(0)[1]["W"], drawn.initial(0)[1]["W"])


def test_counts_and_text():
    net = Network([tw.Dense(3, 5, "tanh"), tw.Dense(5, 2, bias=False)])
    assert net.count == 3 * 5 + 5 + 5 * 2
    assert repr(net) == "Network 3 → 5 tanh → 2 identity no bias (30 parameters)"
    assert "<table>" in net._repr_html_() and "5 × 3" in net._repr_html_()


def test_shapes_that_do_not_fit():
    net = dense_network(3, [4], 1, "tanh")
    params = net.initial()
    with pytest.raises(ShapeError, match=r"takes 3 inputs, but x has shape \(4,\)"):
        net(params, np.zeros(4))
    with pytest.raises(ShapeError, match="transpose x"):
        net(params, np.zeros((3, 7)))
    with pytest.raises(ShapeError, match="layer 2 has parameters of shapes"):
        net([params[0], {"W": np.zeros((2, 4)), "b": np.zeros(2)}], np.zeros(3))
    with pytest.raises(ShapeError, match="1 sets of parameters for 2 layers"):
        net(params[:1], np.zeros(3))
    with pytest.raises(ShapeError, match=r"Transpose them"):
        tw.Dense(3, 2, weights=np.zeros((3, 2)))
    with pytest.raises(OptionError, match="at least one layer"):
        Network([])
    for bad in ({"outputs": 0}, {"inputs": 2.5}, {"inputs": True}, {"outputs": 10**9}):
        with pytest.raises(OptionError):
            tw.Dense(**{"inputs": 2, "outputs": 2, **bad})
    with pytest.raises(OptionError, match="Did you mean 'tanh'"):
        tw.Dense(2, 2, "tnah")


def test_records_come_back():
    net = Network([tw.Dense(3, 4, "leaky_relu(slope=0.2)", bias=False), tw.Dense(4, 2, "softmax")])
    record = json.loads(json.dumps(net.to_json()))
    assert Network.from_json(record) == net
    record["layers"][1]["inputs"] = 5
    with pytest.raises(ModelFileError, match="layer 2 takes 5 inputs"):
        Network.from_json(record)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "conv"},
        {"inputs": "3"},
        {"inputs": -1},
        {"outputs": 10**12},
        {"activation": "os.system"},
        {"activation": 3},
        {"bias": "yes"},
        {"dropout": 2.0},
        {"extra": 1},
        {"initialiser": None},
    ],
)
def test_edited_records_are_refused(change):
    record = Network([tw.Dense(3, 4, "tanh")]).to_json()
    record["layers"][0] |= change
    with pytest.raises(ModelFileError):
        Network.from_json(record)
    with pytest.raises(ModelFileError):
        Network.from_json(change)


def test_functions_of_your_own_work_but_are_not_saved():
    from thalweg.nn.activations import Activation

    own = Activation(name="cube", function=lambda z: z * z * z)
    net = Network([tw.Dense(1, 2, own), tw.Dense(2, 1)])
    assert np.isfinite(net(net.initial(), np.ones(1))).all()
    with pytest.raises(OptionError, match="your own function"):
        net.to_json()


def test_penalty_is_on_weights_and_not_on_biases():
    net = dense_network(2, [3], 1, "tanh")
    params, X, T = net.initial(0), np.ones((4, 2)), np.ones((4, 1))
    bare = Program(NetworkObjective(net, tw.mse), GD())
    dear = Program(NetworkObjective(net, tw.mse, Penalty(l1=0.3, l2=0.5)), GD())
    (low, plain), (high, steep) = (p.gradient(params, X, T, np.ones(4)) for p in (bare, dear))
    sizes = [p["W"] for p in params]
    extra = sum(0.3 * abs(W).sum() + 0.25 * (W * W).sum() for W in sizes)
    assert np.isclose(high - low, extra)
    for a, b, own in zip(plain, steep, params, strict=True):
        assert np.allclose(b["W"] - a["W"], 0.3 * np.sign(own["W"]) + 0.5 * own["W"])
        assert np.array_equal(a["b"], b["b"])
    shared = Penalty(l2=0.5, shared=True)
    assert np.isclose(shared(params, 4.0), sum(0.25 * (W * W).sum() for W in sizes) / 4)
