"""`MLPRegressor` and `MLPClassifier`: what goes beyond scikit-learn, and what both must hold."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

import thalweg as tw
from thalweg.errors import OptionError, ShapeError
from thalweg.nn.activations import ACTIVATIONS
from thalweg.training.methods import METHODS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 3))
Q = np.stack([np.sin(X[:, 0]) + X[:, 1], X[:, 2] ** 2], axis=1)
C = np.array(["low", "mid", "high"])[np.digitize(Q[:, 0], [-0.5, 0.5])]
SMALL = {"hidden_layer_sizes": (6,), "activation": "tanh", "random_state": 0}


def objective(model, X, T, alpha):
    """½ mean squares + α/(2n) Σ W², written with NumPy alone."""
    a = X
    for W, b in list(zip(model.coefs_, model.intercepts_, strict=True))[:-1]:
        a = np.tanh(a @ W + b)
    Y = a @ model.coefs_[-1] + model.intercepts_[-1]
    price = sum(np.sum(W**2) for W in model.coefs_)
    return 0.5 * np.mean((T - Y) ** 2) + 0.5 * alpha * price / len(X)


# -- solvers --------------------------------------------------------------------------------------
@pytest.mark.parametrize("solver", ["lbfgs", "bfgs", "newton", "cg", "scg"])
def test_solvers_reach_a_minimum_of_the_stated_objective(solver):
    """With several outputs, too: finite differences of the objective are zero."""
    model = tw.MLPRegressor(
        solver=solver, alpha=0.5, tol=1e-8, max_iter=3000, max_fun=10**6, **SMALL
    )
    if solver == "lbfgs":
        model.set_params(tol=1e-6)
    model.fit(X, Q)
    assert np.isclose(objective(model, X, Q, 0.5), model.loss_, rtol=1e-12)
    for W in [*model.coefs_, *model.intercepts_]:
        for place in list(np.ndindex(W.shape))[::3]:
            kept, slopes = W[place], []
            for step in (1e-4, -1e-4):
                W[place] = kept + step
                slopes.append(objective(model, X, Q, 0.5))
            W[place] = kept
            assert abs(slopes[0] - slopes[1]) / 2e-4 < 2e-4


@pytest.mark.parametrize("solver", METHODS)
def test_every_method_is_a_solver(solver):
    model = tw.MLPRegressor(solver=solver, max_iter=30, engine="numpy", **SMALL).fit(X, Q[:, 0])
    assert np.isfinite(model.loss_)
    assert 0 < model.n_iter_ <= 30
    assert len(model.loss_curve_) >= model.n_iter_ - 1
    first = tw.MLPRegressor(solver=solver, max_iter=1, engine="numpy", **SMALL).fit(X, Q[:, 0])
    assert model.loss_ < first.loss_curve_[0]
    assert hasattr(model, "partial_fit") == (METHODS[solver].rule is not None)


def test_rules_with_hyperparameters_of_their_own():
    rule = tw.Lion(learning_rate=0.01, beta2=0.9)
    model = tw.MLPRegressor(solver=rule, max_iter=50, **SMALL).fit(X, Q[:, 0])
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    slow, quick = (
        tw.MLPRegressor(solver="adamw", beta_1=beta, max_iter=5, **SMALL).fit(X, Q[:, 0])
        for beta in (0.9, 0.5)
    )
    assert not np.array_equal(slow.coefs_[0], quick.coefs_[0])


def test_solvers_stop_early_on_held_out_rows():
    options = {"solver": "bfgs", "early_stopping": True, "validation_fraction": 0.3}
    noisy = Q[:, 0] + RNG.normal(size=60)
    model = tw.MLPRegressor(n_iter_no_change=5, max_iter=500, **options, **SMALL).fit(X, noisy)
    assert model.n_iter_ < 500
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)


# -- activations and losses -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "activation", [*sorted(set(ACTIVATIONS) - {"step", "softmax"}), "leaky_relu(slope=0.2)"]
)
def test_every_activation(activation):
    options = {**SMALL, "activation": activation, "engine": "numpy"}
    model = tw.MLPRegressor(max_iter=20, learning_rate_init=0.01, **options).fit(X, Q[:, 0])
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.parametrize(
    "loss, of",
    [
        ("mae", lambda e: np.mean(np.abs(e))),
        ("huber(delta=0.5)", None),
        ("mse", lambda e: np.mean(e**2)),
        ("log_cosh", lambda e: np.mean(np.log(np.cosh(e)))),
        ("performance", lambda e: 0.5 * np.mean(e**2)),
    ],
)
def test_losses_of_thalweg(loss, of):
    model = tw.MLPRegressor(loss=loss, solver="bfgs", max_iter=60, **SMALL).fit(X, Q[:, 0])
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]
    if of is not None:
        assert np.isclose(model.loss_, of(Q[:, 0] - model.predict(X)), rtol=1e-9)


def test_a_loss_of_probabilities():
    model = tw.MLPClassifier(loss="mse", solver="bfgs", max_iter=200, **SMALL).fit(X, C)
    assert model.score(X, C) > 0.9
    assert np.allclose(model.predict_proba(X).sum(axis=1), 1.0)


# -- weights, labels, sequences -------------------------------------------------------------------
@pytest.mark.parametrize("solver", ["lbfgs", "adam", "newton-cg", "rprop"])
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_sample_weights_are_repeated_rows(kind, solver):
    counts = np.random.default_rng(1).integers(0, 4, 60)
    rows = np.repeat(np.arange(60), counts)
    maker, y = (tw.MLPRegressor, Q) if kind == "regression" else (tw.MLPClassifier, C)
    options = {"solver": solver, "max_iter": 6, "batch_size": 10**4, "engine": "numpy", **SMALL}
    with pytest.warns(UserWarning) if solver in ("adam", "rprop") else _nothing():
        weighted = maker(**options).fit(X, y, counts)
        repeated = maker(**options).fit(X[rows], y[rows])
    assert np.isclose(weighted.loss_, repeated.loss_, rtol=1e-8)
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-7)


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


def test_labels():
    labels = (Q > 0.3).astype(int)
    model = tw.MLPClassifier(solver="lbfgs", max_iter=500, **SMALL).fit(X, labels)
    assert model.out_activation_ == "logistic" and model.n_outputs_ == 2
    assert model.predict(X).shape == labels.shape
    assert model.score(X, labels) > 0.95
    assert model.predict_proba(X).shape == (60, 2)


def test_texts_as_classes_and_log_probabilities():
    model = tw.MLPClassifier(solver="lbfgs", max_iter=300, **SMALL).fit(X, C)
    assert list(model.classes_) == ["high", "low", "mid"]
    assert model.out_activation_ == "softmax"
    assert set(model.predict(X)) <= set(model.classes_)
    assert np.allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))


def test_partial_fit_is_fit_epoch_by_epoch():
    options = {"shuffle": False, "batch_size": 20, "learning_rate_init": 0.01, **SMALL}
    whole = tw.MLPRegressor(max_iter=8, **options).fit(X, Q)
    steps = tw.MLPRegressor(**options)
    for _ in range(8):
        steps.partial_fit(X, Q)
    assert all(np.array_equal(a, b) for a, b in zip(whole.coefs_, steps.coefs_, strict=True))
    assert np.array_equal(whole.loss_curve_, steps.loss_curve_)
    assert steps.t_ == 8 * 60


def test_partial_fit_needs_the_classes_once():
    model = tw.MLPClassifier(**SMALL)
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(X, C)
    model.partial_fit(X[C != "mid"], C[C != "mid"], classes=np.unique(C)).partial_fit(X, C)
    assert model.predict_proba(X).shape == (60, 3)
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`"):
        model.partial_fit(X, np.where(C == "mid", "odd", C))
    with pytest.raises(ValueError, match="does not support early_stopping"):
        tw.MLPRegressor(early_stopping=True).partial_fit(X, Q)
    assert not hasattr(tw.MLPRegressor(solver="bfgs"), "partial_fit")


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "newton"])
def test_warm_start_goes_on(solver):
    model = tw.MLPRegressor(solver=solver, warm_start=True, max_iter=5, **SMALL)
    losses = [model.fit(X, Q).loss_ for _ in range(4)]
    assert losses == sorted(losses, reverse=True)
    with pytest.raises(ValueError, match="same classes"):
        classifier = tw.MLPClassifier(warm_start=True, max_iter=2, **SMALL).fit(X, C)
        classifier.fit(X[C != "mid"], C[C != "mid"])
    with pytest.raises(ShapeError, match="layer 1 has parameters of shapes"):
        model.set_params(hidden_layer_sizes=(7,)).fit(X, Q)


def test_same_seed_same_bits():
    for options in ({"solver": "adam"}, {"solver": "bfgs", "max_iter": 50}):
        a, b = (tw.MLPRegressor(**SMALL, **options).fit(X, Q) for _ in range(2))
        assert all(np.array_equal(p, q) for p, q in zip(a.coefs_, b.coefs_, strict=True))
    c = tw.MLPRegressor(**{**SMALL, "random_state": 1}).fit(X, Q)
    d = tw.MLPRegressor(**SMALL).fit(X, Q)
    assert not np.array_equal(c.coefs_[0], d.coefs_[0])


# -- inputs ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_float32_stays_float32(solver):
    model = tw.MLPRegressor(solver=solver, max_iter=5, **SMALL).fit(X.astype(np.float32), Q)
    assert {W.dtype for W in [*model.coefs_, *model.intercepts_]} == {np.dtype(np.float32)}
    assert model.predict(X.astype(np.float32)).dtype == np.float32


def test_sparse_and_named_inputs():
    frame = pytest.importorskip("pandas").DataFrame(X, columns=["a", "b", "c"])
    model = tw.MLPRegressor(max_iter=5, **SMALL).fit(frame, Q)
    assert list(model.feature_names_in_) == ["a", "b", "c"] and model.n_features_in_ == 3
    sparse = tw.MLPRegressor(max_iter=5, **SMALL).fit(csr_matrix(X), Q)
    assert np.array_equal(sparse.predict(csr_matrix(X)), model.predict(frame))


@pytest.mark.parametrize("maker", [tw.MLPRegressor, tw.MLPClassifier, tw.fitnet, tw.patternnet])
def test_turned_inputs_are_met_with_transpose(maker):
    y = C if maker in (tw.MLPClassifier, tw.patternnet) else Q[:, 0]
    with pytest.raises(ShapeError, match=r"\(3, 60\).*60 samples.*transpose"):
        maker().fit(X.T, y)
    model = maker(max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match=r"expecting 3 features.*transpose"):
        model.predict(X.T)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"activation": "tahn"}, "Did you mean 'tanh'"),
        ({"solver": "bgfs"}, "Did you mean 'bfgs'"),
        ({"loss": "squared_eror"}, "Did you mean 'squared_error'"),
        ({"loss": "log_loss"}, "is for classes"),
        ({"hidden_layer_sizes": (5, 0)}, "must be > 0"),
        ({"learning_rate": "cosine"}, "learning_rate"),
        ({"momentum": 1.5}, "momentum"),
        ({"max_iter": 0}, "max_iter"),
        ({"alpha": -1.0}, "alpha"),
        ({"engine": "gpu"}, "engine"),
        ({"early_stopping": True, "validation_fraction": 0.01}, "validation set is too small"),
    ],
)
def test_parameters_that_make_no_sense(options, match):
    with pytest.raises(ValueError, match=match):
        tw.MLPRegressor(**options).fit(X, Q)


def test_data_that_makes_no_sense():
    with pytest.raises(NotFittedError):
        tw.MLPRegressor().predict(X)
    with pytest.raises(ValueError, match="NaN"):
        tw.MLPRegressor().fit(np.where(X > 2, np.nan, X), Q)
    with pytest.raises(ValueError, match="counts"):
        tw.MLPRegressor(loss="poisson").fit(X, Q)
    with pytest.raises(ValueError, match="at least one non-zero"):
        tw.MLPRegressor().fit(X, Q, np.zeros(60))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        tw.MLPRegressor().fit(X, Q, -np.ones(60))
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        tw.MLPRegressor(solver="sgd", learning_rate_init=1e9, max_iter=20).fit(X, 1e6 * Q)
    with pytest.raises(OptionError, match="more than two classes"):
        tw.MLPClassifier(loss="cross_entropy").fit(X, C == "mid")


def test_verbose(capsys):
    tw.MLPRegressor(verbose=True, max_iter=2, early_stopping=True, **SMALL).fit(X, Q[:, 0])
    shown = capsys.readouterr().out
    assert "Iteration 2, loss = " in shown and "Validation score: " in shown


# -- the network behind it ------------------------------------------------------------------------
def test_coefs_are_the_transposed_weights():
    model = tw.MLPClassifier(max_iter=3, **SMALL).fit(X, C)
    assert repr(model.network) == "Network 3 → 6 tanh → 3 softmax (45 parameters)"
    for layer, W, b in zip(model.params_, model.coefs_, model.intercepts_, strict=True):
        assert np.array_equal(layer["W"], W.T) and np.array_equal(layer["b"], b)
    assert np.array_equal(model.network(model.params_, X), model.predict_proba(X))


@pytest.mark.parametrize("load, least", [(load_iris, 0.96), (load_breast_cancer, 0.98)])
def test_real_data(load, least):
    inputs, classes = load(return_X_y=True)
    inputs = StandardScaler().fit_transform(inputs)
    for solver in ("lbfgs", "scg", "adam"):
        model = tw.MLPClassifier(solver=solver, learning_rate_init=0.01, **SMALL)
        assert model.fit(inputs, classes).score(inputs, classes) >= least
