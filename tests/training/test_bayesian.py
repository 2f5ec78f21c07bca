"""Bayesian regularisation against Bayesian ridge regression, and what it is for: noisy data."""

import json

import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

import thalweg as tw
from thalweg.errors import OptionError
from thalweg.nn.network import Dense, Network
from thalweg.training.history import History

PLAIN = {"split": "none", "scale": "none", "method": "br", "engine": "numpy"}


def _linear(outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 6)) * [1.0, 2.0, 0.5, 1.0, 1.0, 3.0]
    true = rng.normal(size=(6, outputs)) * [[1.0], [0.0], [1.0], [0.0], [2.0], [0.1]]
    return X, X @ true + rng.normal(scale=0.7, size=(40, outputs))


def _ridge(X, y):
    none = {"alpha_1": 0.0, "alpha_2": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
    ridge = BayesianRidge(max_iter=5000, tol=1e-14, fit_intercept=False, compute_score=True, **none)
    return ridge.fit(X, y)


@pytest.mark.parametrize("loss", ["mse", "half_mse", "performance"])
def test_a_linear_network_is_bayesian_ridge_regression(loss):
    X, y = _linear()
    model = tw.fit(Network([Dense(6, 1, bias=False)]), X, y[:, 0], loss=loss, **PLAIN)
    ridge, history = _ridge(X, y[:, 0]), model.history
    assert model.stop.kind == "evidence"
    np.testing.assert_allclose(model.params[0]["W"][0], ridge.coef_, rtol=1e-7, atol=1e-9)
    assert 2.0 * history["beta"][-1] == pytest.approx(ridge.alpha_, rel=1e-8)
    assert 2.0 * history["alpha"][-1] == pytest.approx(ridge.lambda_, rel=1e-8)
    assert history["log_evidence"][-1] == pytest.approx(ridge.scores_[-1], rel=1e-8)
    gamma = ridge.lambda_ * np.sum(ridge.coef_**2)
    assert history["gamma"][-1] == pytest.approx(gamma, rel=1e-8)
    new = np.random.default_rng(5).normal(size=(9, 6))
    _, spread = ridge.predict(new, return_std=True)
    np.testing.assert_allclose(model.predict_std(new, X, y[:, 0]), spread, rtol=1e-8)


def test_native_code_finds_the_same():
    X, y = _linear()
    net = Network([Dense(6, 1, bias=False)])
    found = [tw.fit(net, X, y, **{**PLAIN, "engine": engine}) for engine in ("numpy", "auto")]
    one, other = (model.history["gamma"][-1] for model in found)
    assert one == pytest.approx(other, rel=1e-9)


def test_several_outputs_share_alpha_and_beta():
    """Two outputs of a linear layer are one regression on stacked rows."""
    X, Y = _linear(outputs=2)
    model = tw.fit(Network([Dense(6, 2, bias=False)]), X, Y, **PLAIN)
    stacked = np.kron(np.eye(2), X)
    ridge = _ridge(stacked, Y.T.ravel())
    assert 2.0 * model.history["beta"][-1] == pytest.approx(ridge.alpha_, rel=1e-8)
    assert 2.0 * model.history["alpha"][-1] == pytest.approx(ridge.lambda_, rel=1e-8)
    new = X[:3] + 1.0
    _, spread = ridge.predict(np.kron(np.eye(2), new), return_std=True)
    np.testing.assert_allclose(model.predict_std(new, X, Y), spread.reshape(2, 3).T, rtol=1e-8)


def test_a_weight_of_two_is_a_row_written_twice():
    X, y = _linear()
    net = Network([Dense(6, 1, bias=False)])
    weights = np.ones(40)
    weights[:7] = 2.0
    weighted = tw.fit(net, X, y, sample_weight=weights, **PLAIN)
    twice = np.vstack([X, X[:7]]), np.vstack([y, y[:7]])
    written = tw.fit(net, *twice, **PLAIN)
    for name in ("gamma", "alpha", "beta", "log_evidence"):
        assert weighted.history[name][-1] == pytest.approx(written.history[name][-1], rel=1e-8)
    spread = weighted.predict_std(X, X, y, weights=weights)
    np.testing.assert_allclose(spread, written.predict_std(X, *twice), rtol=1e-8)


def test_scaled_targets_give_error_bars_in_their_own_unit():
    X, y = _linear()
    net = Network([Dense(6, 1)])
    options = {**PLAIN, "scale": "standard"}
    one, hundred = (tw.fit(net, X, factor * y, **options) for factor in (1.0, 100.0))
    np.testing.assert_allclose(
        100.0 * one.predict_std(X, X, y), hundred.predict_std(X, X, 100.0 * y), rtol=1e-7
    )
    mean = one.predict_std(X, X, y, noise=False)
    assert np.all(mean < one.predict_std(X, X, y))


def test_noisy_sine_needs_few_of_the_parameters_and_no_validation_rows():
    net = Network([Dense(1, 20, "tanh"), Dense(20, 1)])
    fresh = np.linspace(-1.0, 1.0, 400)[:, None]
    truth, errors, gammas, noise = np.sin(np.pi * fresh[:, 0]), {"br": [], "lm": []}, [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1.0, 1.0, (60, 1))
        y = np.sin(np.pi * x[:, 0]) + rng.normal(scale=0.2, size=60)
        for method, found in errors.items():
            model = tw.fit(net, x, y, method=method, split="none", seed=seed, epochs=200)
            found.append(np.mean((model.predict(fresh) - truth) ** 2))
            if method == "br":
                gammas.append(model.history["gamma"][-1])
                noise.append(np.mean(model.predict_std(x, x, y)))
    assert max(gammas) < 20.0 < net.count == 61
    assert all(br < lm for br, lm in zip(errors["br"], errors["lm"], strict=True))
    assert np.mean(errors["br"]) < 0.25 * np.mean(errors["lm"])
    assert min(noise) > 0.15 and max(noise) < 0.3  # the noise's 0.2, and a little that is unknown


def test_validation_rows_stop_nothing_and_the_last_weights_are_kept():
    X, y = _linear()
    model = tw.fit(Network([Dense(6, 4, "tanh"), Dense(4, 1)]), X, y, method="br", epochs=40)
    assert model.stop.kind != "validation"
    assert model.origin.kept_epoch == len(model.history)


def test_figures_survive_a_file(tmp_path):
    X, y = _linear()
    model = tw.fit(Network([Dense(6, 1)]), X, y, **PLAIN)
    record = json.loads(json.dumps(model.history.to_json()))
    assert History.from_json(record) == model.history or np.isnan(model.history["gradient_norm"][0])
    model.save(tmp_path / "m.thalweg")
    loaded = tw.load(tmp_path / "m.thalweg")
    np.testing.assert_array_equal(loaded.history["gamma"], model.history["gamma"])
    np.testing.assert_array_equal(loaded.predict_std(X, X, y), model.predict_std(X, X, y))
    assert "6" in model.stop.sentence("ko") and "7" in model.stop.sentence("en")


def test_what_it_cannot_do_is_refused():
    X, y = _linear()
    net = Network([Dense(6, 1)])
    with pytest.raises(OptionError, match="squared error"):
        tw.fit(net, X, y, **PLAIN, loss="huber")
    with pytest.raises(OptionError, match="leave l1 and l2"):
        tw.fit(net, X, y, **PLAIN, l2=0.1)
    model = tw.fit(net, X, y, method="lm", split="none", epochs=5)
    with pytest.raises(OptionError, match="method 'br'"):
        model.predict_std(X, X, y)


def test_targets_without_noise_do_no_harm():
    X, _ = _linear()
    y = X @ np.arange(1.0, 7.0)
    model = tw.fit(Network([Dense(6, 1)]), X, y, **PLAIN, epochs=100)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-7)
    assert np.all(np.isfinite(model.predict_std(X, X, y)))


def test_fewer_rows_than_parameters_give_the_same_in_either_form(monkeypatch):
    X, y = _linear()
    net = Network([Dense(6, 12, "tanh"), Dense(12, 1)])
    found = []
    for form in ("primal", "dual"):
        monkeypatch.setattr(
            "thalweg.training.gauss_newton.form_for", lambda *shapes, form=form: form
        )
        found.append(tw.fit(net, X, y, **PLAIN, epochs=30))
    one, other = found
    assert net.count == 97 > len(X)
    for name in ("gamma", "alpha", "beta", "log_evidence"):
        np.testing.assert_allclose(other.history[name], one.history[name], rtol=1e-4)
    np.testing.assert_allclose(other.predict_std(X, X, y), one.predict_std(X, X, y), rtol=1e-4)


def test_error_bars_of_very_large_networks_are_refused(monkeypatch):
    X, y = _linear()
    model = tw.fit(Network([Dense(6, 1)]), X, y, **PLAIN)
    monkeypatch.setattr("thalweg.training.bayesian.MOST_PARAMETERS", 5)
    with pytest.raises(OptionError, match="at most 5"):
        model.predict_std(X, X, y)
