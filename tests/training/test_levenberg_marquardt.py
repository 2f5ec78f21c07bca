"""What Levenberg-Marquardt reaches, and that its form is a matter of cost alone."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn.network import Dense, Network, flat
from thalweg.training.methods import levenberg_marquardt


def test_sine_is_fitted_closely():
    x = np.linspace(-1.0, 1.0, 41)[:, None]
    sine = np.sin(np.pi * x)
    network = Network([Dense(1, 5, "tanh"), Dense(5, 1)])
    reached = []
    for seed in range(3):
        model = tw.fit(network, x, sine, method="lm", split="none", seed=seed, epochs=200)
        reached.append(float(np.mean((np.ravel(model.predict(x)) - sine[:, 0]) ** 2)))
    assert min(reached) < 1e-6


def test_xor_by_levenberg_marquardt():
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([0.0, 1.0, 1.0, 0.0])
    network = Network([Dense(2, 4, "tanh"), Dense(4, 1)])
    model = tw.fit(network, X, y, method="lm", split="none", seed=0, epochs=100)
    np.testing.assert_allclose(np.ravel(model.predict(X)), y, atol=1e-6)


def _noisy():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(60, 2))
    return X, np.sin(X[:, 0]) + 0.1 * rng.normal(size=60)


@pytest.mark.parametrize("form", ["dual", "products"])
def test_other_forms_take_the_same_way(form):
    X, y = _noisy()
    network = Network([Dense(2, 6, "tanh"), Dense(6, 1)])
    same = {"split": "none", "seed": 0, "epochs": 12, "l2": 1e-3}
    one, other = (
        tw.fit(network, X, y, method=levenberg_marquardt(f), **same) for f in ("primal", form)
    )
    np.testing.assert_allclose(
        other.history["training_loss"], one.history["training_loss"], rtol=1e-3
    )
    if form == "dual":
        np.testing.assert_allclose(flat(other.params), flat(one.params), rtol=1e-5, atol=1e-7)


def test_fewer_samples_than_parameters_are_met_exactly():
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(60, 8)), rng.normal(size=60)
    network = Network([Dense(8, 300, "tanh"), Dense(300, 1)])
    model = tw.fit(network, X, y, method="lm", split="none", seed=0, epochs=30)
    assert model.history["training_loss"][-1] < 1e-20


def test_refused_steps_raise_mu_and_losses_never_rise():
    X, y = _noisy()
    network = Network([Dense(2, 12, "tanh"), Dense(12, 1)])
    model = tw.fit(network, X, y, method="lm", split="none", seed=0, epochs=60)
    assert np.all(np.diff(model.history["training_loss"]) <= 0.0)


@pytest.mark.slow
def test_a_smooth_surface_is_met_to_1e7_from_most_starts():
    X = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
    x, y = X.T
    t = np.sin(np.pi * x) * np.cos(np.pi * y) + x * y**2 / 2
    network = Network([Dense(2, 20, "tanh"), Dense(20, 20, "tanh"), Dense(20, 1)])
    reached = []
    for seed in range(10):
        model = tw.fit(network, X, t, method="lm", split="none", seed=seed, epochs=200)
        reached.append(np.mean((model.predict(X) - t) ** 2))
    assert sum(mse <= 1e-7 for mse in reached) >= 8
    assert min(reached) <= 1e-8


def test_a_cross_entropy_is_not_followed_to_the_smallest_numbers():
    X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), [0, 1, 1, 0]
    net = tw.Network([tw.Dense(2, 6, "tanh"), tw.Dense(6, 1, "sigmoid")])
    model = tw.fit(net, X, y, method="lm", split="none", engine="numpy", seed=1)
    assert model.stop.kind == "gradient"
    assert 1e-30 < model.history["training_loss"][-1] < 1e-15


def test_gauss_newton_closes_in_on_residuals_that_vanish():
    x = np.linspace(-1.0, 1.0, 30)[:, None]
    network = Network([Dense(1, 1, "tanh")])
    y = np.tanh(1.5 * x[:, 0] - 0.4)
    start = [{"W": np.array([[1.0]]), "b": np.array([0.0])}]
    given = {"split": "none", "scale": "none", "params": start, "engine": "numpy"}
    model = tw.fit(network, x, y, method="gauss-newton", **given)
    assert len(model.history) <= 8 and model.history["training_loss"][-1] < 1e-30
    assert model.params[0]["W"][0, 0] == pytest.approx(1.5, abs=1e-14)


def test_gauss_newton_where_nothing_can_be_solved_or_found():
    flat_network = Network([Dense(2, 3, "relu"), Dense(3, 1)])
    silent = [{"W": np.zeros((3, 2)), "b": -np.ones(3)}, {"W": np.zeros((1, 3)), "b": np.zeros(1)}]
    model = tw.fit(
        flat_network, np.eye(2), [1.0, 1.0], method="gauss-newton", params=silent, split="none",
        scale="none", engine="numpy",
    )  # fmt: skip
    assert model.predict(np.eye(2)) == pytest.approx([1.0, 1.0])
