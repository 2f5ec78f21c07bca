"""Solvers on networks: their derivatives, their epochs, and why they stop."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn.losses import loss
from thalweg.nn.network import dense_network, flat
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.methods import METHODS as SOLVERS_OF_FUNCTIONS
from thalweg.optim.rules import GD
from thalweg.training.batches import Samples
from thalweg.training.methods import METHODS, SOLVERS
from thalweg.training.program import Program
from thalweg.training.solvers import NetworkProblem

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 2))
Y = np.sin(X[:, 0]) + 0.5 * X[:, 1] + 0.1 * RNG.normal(size=50)
NET = dense_network(2, [5], 1, "tanh")


def fit(**options):
    options = {"engine": "numpy", "split": "80/20/0", **options}
    return tw.fit(NET, X, Y, **options)


def test_every_solver_that_needs_no_more_than_derivatives_is_here():
    need_more = {"lm", "marquardt", "gauss-newton", "interior-point", "augmented-lagrangian"}
    rules = {"gd"}  # of the same name, with a learning rate instead of a line search
    assert set(SOLVERS) == set(SOLVERS_OF_FUNCTIONS) - need_more - rules
    assert set(SOLVERS) <= set(METHODS)


@pytest.mark.parametrize("name, outputs", [("mse", "identity"), ("cross_entropy", "softmax")])
def test_derivatives(name, outputs):
    net = dense_network(2, [4], 3, "tanh", outputs)
    T = np.eye(3)[RNG.integers(0, 3, 50)]
    objective = NetworkObjective(net, loss(name), Penalty(l2=0.3, shared=True))
    samples = Samples(X, T, RNG.uniform(0.0, 2.0, 50))
    problem = NetworkProblem(objective, samples, Program(objective, GD()))
    x = problem.vector(net.initial(1))
    assert np.array_equal(x, flat(problem.params(x)))
    value, gradient = problem.value_and_gradient(x)
    assert np.isclose(value, problem.value(x), rtol=1e-14)
    hessian, steps = problem.hessian(x), 1e-5 * np.eye(len(x))
    slopes = [(problem.value(x + h) - problem.value(x - h)) / 2e-5 for h in steps]
    curves = [(problem.gradient(x + h) - problem.gradient(x - h)) / 2e-5 for h in steps]
    assert np.allclose(gradient, slopes, atol=1e-9)
    assert np.allclose(hessian, curves, atol=1e-8)
    v = RNG.normal(size=len(x))
    assert np.allclose(problem.hessian_product(x, v), hessian @ v, atol=1e-12)


@pytest.mark.parametrize("method", SOLVERS)
def test_every_solver_fits(method):
    model = fit(method=method, split="none", epochs=60, l2=1e-3)
    losses = model.history["training_loss"]
    assert losses[-1] < 0.2 * np.var(Y) and len(losses) <= 60
    assert np.isclose(model.evaluate(X, Y)["loss"], losses[-1], rtol=1e-9)
    assert np.isfinite(model.history["gradient_norm"]).all()
    again = fit(method=method, split="none", epochs=60, l2=1e-3)
    assert np.array_equal(flat(again.params), flat(model.params))


def test_validation_keeps_the_best():
    model = fit(method="bfgs", patience=8, epochs=2000)
    assert model.stop.kind == "validation"
    checked = model.history["validation_loss"]
    assert model.origin.kept_epoch == int(np.argmin(checked)) + 1
    assert len(checked) == model.origin.kept_epoch + 8
    rows = model.split.validation
    assert np.isclose(model.evaluate(X[rows], Y[rows])["loss"], checked.min(), rtol=1e-9)


@pytest.mark.parametrize(
    "options, kind",
    [
        ({"epochs": 5}, "epochs"),
        ({"epochs": 0}, "epochs"),
        ({"goal": 0.3}, "goal"),
        ({"min_gradient": 0.05}, "gradient"),
        ({"time_limit": 1e-3, "epochs": 10**6}, "time"),
        ({"callbacks": [lambda progress: progress.epoch.epoch == 3]}, "callback"),
        ({"l2": 0.1, "epochs": 5000}, "solver"),
    ],
)
def test_reasons_to_stop(options, kind):
    model = fit(method="lbfgs", split="none", **options)
    assert model.stop.kind == kind
    assert str(model.stop)
    if kind == "callback":
        assert len(model.history) == 3


def test_interruption_keeps_the_best():
    def interrupt(progress):
        if progress.epoch.epoch == 4:
            raise KeyboardInterrupt

    model = fit(method="cg", callbacks=[interrupt])
    assert model.stop.kind == "interrupted" and len(model.history) == 4
    assert model.origin.kept_epoch == model.history.best_epoch > 0


def test_snapshots_and_explanations():
    model = fit(method="bfgs", epochs=5, snapshots=[0, 2], split="none")
    assert list(model.snapshots) == ["init", "epoch=2"]
    assert np.array_equal(flat(model.at("init")), flat(NET.initial(0)))


def test_files(tmp_path):
    model = fit(method="newton-cg", epochs=5)
    model.save(tmp_path / "m.thalweg")
    assert tw.load(tmp_path / "m.thalweg").equals(model)
