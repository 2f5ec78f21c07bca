"""The same weights as scikit-learn's own networks, from the same seed."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

import thalweg as tw

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4))
Q = np.abs(np.stack([np.sin(X[:, 0]) + X[:, 1], X[:, 2]], axis=1))
TARGETS = {
    "regression": (tw.MLPRegressor, MLPRegressor, Q[:, 0]),
    "regression of two": (tw.MLPRegressor, MLPRegressor, Q),
    "two classes": (tw.MLPClassifier, MLPClassifier, Q[:, 0] > 0.7),
    "three classes": (tw.MLPClassifier, MLPClassifier, np.digitize(Q[:, 0], [0.5, 1.0])),
    "labels": (tw.MLPClassifier, MLPClassifier, (Q > 0.7).astype(int)),
}
SETTINGS = {
    "adam": {"solver": "adam"},
    "in order": {"solver": "adam", "shuffle": False, "hidden_layer_sizes": (5, 6)},
    "logistic": {"solver": "adam", "activation": "logistic", "alpha": 0.1, "beta_1": 0.8},
    "tanh": {"solver": "adam", "activation": "tanh", "epsilon": 1e-4, "beta_2": 0.99},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02, "shuffle": False},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.02, "nesterovs_momentum": False},
    "plain": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.1,
        "n_iter_no_change": 2,
        "tol": 1e-3,
        "max_iter": 100,
    },
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5},
    "early stopping": {"solver": "adam", "early_stopping": True, "learning_rate_init": 0.02},
    "tolerance": {"solver": "adam", "tol": 0.01, "n_iter_no_change": 3, "max_iter": 300},
}


def same(ours, theirs, rtol=1e-10):
    pairs = zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True)
    for a, b in pairs:
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.allclose(a, b, rtol=rtol, atol=rtol)
    assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)
    for name in ("loss_", "best_loss_", "best_validation_score_"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a == b is None or np.isclose(a, b, rtol=rtol)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("target", TARGETS)
def test_same_weights(target, setting):
    ours, theirs, y = TARGETS[target]
    options = {
        "random_state": 0,
        "batch_size": 32,
        "hidden_layer_sizes": (10,),
        "max_iter": 30,
        **SETTINGS[setting],
        "engine": "numpy" if setting in ("tanh", "plain") else "auto",
    }
    model = ours(**options).fit(X, y)
    del options["engine"]
    other = theirs(**options).fit(X, y)
    same(model, other)
    assert np.allclose(model.predict(X), other.predict(X), rtol=1e-9)
    if model.early_stopping:
        assert np.allclose(model.validation_scores_, other.validation_scores_)


@pytest.mark.parametrize("y", [Q[:, 0], Q])
def test_poisson(y):
    options = {"loss": "poisson", "random_state": 2, "max_iter": 20}
    same(tw.MLPRegressor(**options).fit(X, y), MLPRegressor(**options).fit(X, y))


def test_sample_weights():
    weights = RNG.integers(0, 4, len(X)).astype(float)
    options = {"random_state": 2, "max_iter": 20}
    for ours, theirs, y in TARGETS.values():
        same(ours(**options).fit(X, y, weights), theirs(**options).fit(X, y, weights))


def test_float32():
    options = {"random_state": 2, "max_iter": 5, "hidden_layer_sizes": (10,)}
    for ours, theirs, y in TARGETS.values():
        model = ours(**options).fit(X.astype(np.float32), y)
        same(model, theirs(**options).fit(X.astype(np.float32), y), rtol=2e-5)


def test_partial_fit():
    classes = np.array([0, 1, 2])
    for solver in ("adam", "sgd"):
        options = {"solver": solver, "random_state": 2, "batch_size": 25}
        ours, theirs = tw.MLPClassifier(**options), MLPClassifier(**options)
        y = TARGETS["three classes"][2]
        for part in (slice(0, 50), slice(50, 100), slice(100, 150)):
            for model in (ours, theirs):
                model.partial_fit(X[part], y[part], classes=classes)
        same(ours, theirs)


def test_warm_start():
    for ours, theirs, y in TARGETS.values():
        options = {"random_state": 2, "max_iter": 4, "warm_start": True}
        model, other = ours(**options), theirs(**options)
        for _ in range(3):
            model.fit(X, y)
            other.fit(X, y)
        same(model, other)


def test_weights_of_scikit_learn_are_taken_over():
    theirs = MLPRegressor(random_state=1, hidden_layer_sizes=(7,), activation="tanh")
    theirs.set_params(max_iter=3, warm_start=True, shuffle=False).fit(X, Q)
    ours = tw.MLPRegressor(random_state=5, hidden_layer_sizes=(7,), activation="tanh")
    ours.set_params(max_iter=3, warm_start=True, shuffle=False).fit(X, Q)
    ours.coefs_ = [W.copy() for W in theirs.coefs_]
    ours.intercepts_ = [b.copy() for b in theirs.intercepts_]
    assert np.allclose(ours.predict(X), theirs.predict(X), rtol=1e-12)
    ours.fit(X, Q)
    theirs.fit(X, Q)
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        assert np.allclose(a, b, rtol=1e-10)
    assert np.allclose(ours.loss_curve_[-3:], theirs.loss_curve_[-3:], rtol=1e-10)


@pytest.mark.parametrize("target", ["regression", "two classes", "three classes", "labels"])
def test_lbfgs_gets_as_low(target):
    ours, theirs, y = TARGETS[target]
    options = {"solver": "lbfgs", "random_state": 0, "hidden_layer_sizes": (), "max_iter": 500}
    model, other = ours(alpha=1.0, **options).fit(X, y), theirs(alpha=1.0, **options).fit(X, y)
    assert np.isclose(model.loss_, other.loss_, rtol=1e-6)
    assert np.allclose(model.coefs_[0], other.coefs_[0], atol=2e-3)
