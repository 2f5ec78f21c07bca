"""What is explained of a model is what trained it."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError
from thalweg.nn.network import dense_network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.training.program import Program
from thalweg.training.units import inside

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
Y = 100 + 30 * X[:, 0]


@pytest.mark.parametrize("loss", ["mse", "huber(delta=40)"])
def test_gradients_shown_are_gradients_used(loss):
    net = dense_network(2, [3], 1, "tanh")
    model = tw.fit(net, X, Y, engine="numpy", epochs=3, loss=loss, l2=0.1, method="adam")
    told = model.explain(X[:5], Y[:5], at="init").layers()
    scaled, _ = inside(model.loss, model.encoding.target_scaling, 1)
    program = Program(NetworkObjective(net, scaled, Penalty(l2=0.1)), tw.GD())
    rows = model.inputs(X[:5]), model.targets(X[:5], Y[:5]), np.ones(5)
    _, slopes = program.gradient(model.at("init"), *rows)
    for number, own in enumerate(slopes, start=1):
        assert np.allclose(told.step(f"dW[{number}]").value, own["W"], rtol=1e-12)


def test_two_classes_by_one_sigmoid():
    net = dense_network(2, [3], 1, "tanh", "sigmoid")
    model = tw.fit(net, X, np.where(Y > 100, "high", "low"), engine="numpy", epochs=3)
    told = model.explain(X[:1], ["high"]).layers()
    common = told.step("dZ[2]").value
    assert np.allclose(common, model.predict_proba(X[:1])[:, 1] - 0.0)


def test_targets_are_needed_beside_arrays():
    net = dense_network(2, [3], 1, "tanh")
    model = tw.fit(net, X, Y, engine="numpy", epochs=1)
    with pytest.raises(OptionError, match="y is needed"):
        model.explain(X[:1])
    with pytest.raises(OptionError, match="No weights were kept"):
        model.explain(X[:1], Y[:1], at="epoch=7")


@pytest.mark.parametrize("method", ["gauss-newton", "interior-point"])
def test_a_step_that_did_not_train_says_so(method):
    net = dense_network(2, [3], 1, "tanh")
    model = tw.fit(net, X, Y, engine="numpy", epochs=3, method=method)
    told = model.explain(X[:5], Y[:5])
    for view in (told.update(), told.walk()):
        assert f"trained by {method}, whose own steps are not shown" in " ".join(str(view).split())


def test_a_step_that_trained_does_not():
    net = dense_network(2, [3], 1, "tanh")
    for method in ("adam", "lm", "scg"):
        model = tw.fit(net, X, Y, engine="numpy", epochs=3, method=method)
        assert "was trained by" not in str(model.explain(X[:5], Y[:5]).update())
