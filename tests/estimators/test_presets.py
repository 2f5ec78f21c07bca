"""`fitnet` and `patternnet`."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import log_loss

import thalweg as tw
from thalweg.errors import OptionError

X, Y = load_diabetes(return_X_y=True)
FLOWERS, KINDS = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def fitted():
    return tw.fitnet(5, random_state=0).fit(X, Y)


def test_defaults_are_matlabs():
    fitnet, patternnet = tw.fitnet(), tw.patternnet()
    for model in (fitnet, patternnet):
        assert model.hidden_layer_sizes == 10 and model.activation == "tanh"
        assert model.split == "70/15/15" and model.max_iter == 1000 and model._patience() == 6
        assert model.goal == 0.0
    assert (fitnet.solver, fitnet.min_grad) == ("lm", 1e-7)
    assert (patternnet.solver, patternnet.min_grad) == ("scg", 1e-6)
    assert repr(tw.fitnet(20)) == "fitnet(20)" or repr(tw.fitnet(20)) == (
        "fitnet(hidden_layer_sizes=20)"
    )


def test_rows_are_divided(fitted):
    record = fitted.tr_
    parts = (record.train_ind, record.val_ind, record.test_ind)
    assert [len(part) for part in parts] == [310, 66, 66]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(442))
    other = tw.fitnet(5, random_state=1).fit(X, Y)
    assert not np.array_equal(other.tr_.train_ind, record.train_ind)


def test_scaled_inside_by_the_training_rows(fitted):
    rows = fitted.tr_.train_ind
    assert fitted.input_scaling_.low == tuple(X[rows].min(axis=0))
    assert fitted.target_scaling_.high == (Y[rows].max(),)
    scaled = fitted.input_scaling_.apply(X[rows])
    assert scaled.min() == -1.0 and scaled.max() == 1.0


def test_the_record_holds_every_epoch(fitted):
    record = fitted.tr_
    assert record.num_epochs == fitted.n_iter_ == len(record.rows) - 1
    assert np.array_equal(record["epoch"], np.arange(record.num_epochs + 1))
    best = int(np.argmin(record["vperf"]))
    assert record.best_epoch == best
    assert record["val_fail"][-1] == record.num_epochs - best == 6
    assert "has not fallen for 6 epochs" in record.stop
    for name, rows in (
        ("best_perf", record.train_ind),
        ("best_vperf", record.val_ind),
        ("best_tperf", record.test_ind),
    ):
        error = Y[rows] - fitted.predict(X[rows])
        assert np.isclose(getattr(record, name), np.mean(error**2), rtol=1e-9)
        assert np.isclose(fitted.performance(X[rows], Y[rows]), np.mean(error**2), rtol=1e-9)
    assert np.isfinite(record["gradient"][1:]).all() and np.isnan(record["gradient"][0])
    assert (np.diff(record["time"]) >= 0).all()
    assert (record["mu"][1:] > 0).all()
    with pytest.raises(OptionError, match="Did you mean 'vperf'"):
        record["vpref"]
    assert "310 training, 66 validation, 66 test" in repr(record)
    assert "<polyline" in record._repr_html_() and "epochs" in record._repr_html_()


def test_as_good_as_diabetes_allows(fitted):
    assert fitted.score(X[fitted.tr_.test_ind], Y[fitted.tr_.test_ind]) > 0.35


def test_several_targets():
    T = np.column_stack([np.sin(3 * FLOWERS[:, 0]), 1000 * FLOWERS[:, 3]])
    model = tw.fitnet(8, random_state=0).fit(FLOWERS, T)
    assert model.predict(FLOWERS).shape == T.shape
    assert model.score(FLOWERS, T) > 0.9
    assert np.isclose(
        model.performance(FLOWERS, T), np.mean((T - model.predict(FLOWERS)) ** 2), rtol=1e-9
    )


def test_patternnet():
    names = np.array(["setosa", "versicolor", "virginica"])[KINDS]
    model = tw.patternnet(10, random_state=0).fit(FLOWERS, names)
    assert model.score(FLOWERS, names) > 0.95
    probabilities = model.predict_proba(FLOWERS)
    assert np.allclose(probabilities.sum(axis=1), 1.0)
    assert np.isclose(model.performance(FLOWERS, names), log_loss(names, probabilities), rtol=1e-9)
    rows = model.tr_.val_ind
    assert np.isclose(model.tr_.best_vperf, log_loss(names[rows], probabilities[rows]), rtol=1e-9)
    assert repr(model.network_).startswith("Network 4 → 10 tanh → 3 softmax")
    with pytest.raises(ValueError, match="at least two classes"):
        tw.patternnet().fit(FLOWERS[:50], names[:50])


@pytest.mark.parametrize("solver", ["bfgs", "scg", "rprop", "adam"])
def test_other_methods(solver):
    model = tw.fitnet(5, solver, random_state=0, max_iter=200).fit(FLOWERS[:, :3], FLOWERS[:, 3])
    assert model.score(FLOWERS[:, :3], FLOWERS[:, 3]) > 0.8


def test_all_rows_may_train_until_a_goal():
    x = np.linspace(-1.0, 1.0, 30).reshape(-1, 1)
    model = tw.fitnet(6, split="none", goal=1e-4, random_state=0).fit(x, np.sin(3 * x[:, 0]))
    assert len(model.tr_.val_ind) == len(model.tr_.test_ind) == 0
    assert model.tr_["perf"][-1] <= 1e-4 < model.tr_["perf"][-2]
    assert np.isnan(model.tr_["vperf"]).all()


def test_given_rows():
    parts = (np.arange(0, 100), np.arange(100, 120), np.arange(120, 150))
    mixed = np.random.default_rng(0).permutation(150)
    model = tw.fitnet(3, split=parts, random_state=0).fit(FLOWERS[mixed, :3], FLOWERS[mixed, 3])
    assert np.array_equal(model.tr_.val_ind, parts[1])


def test_same_seed_same_bits(fitted):
    again = tw.fitnet(5, random_state=0).fit(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(again.coefs_, fitted.coefs_, strict=True))


@pytest.mark.parametrize(
    "options", [{"solver": "trainlm"}, {"max_fail": 0}, {"min_grad": -1.0}, {"split": "1/2/3/4"}]
)
def test_parameters_that_make_no_sense(options):
    with pytest.raises(ValueError):
        tw.fitnet(**options).fit(X, Y)


def test_validation_rows_do_not_end_bayesian_regularisation_unless_asked_to():
    x = np.linspace(-1.0, 1.0, 60)[:, None]
    y = np.sin(3.0 * x[:, 0]) + np.random.default_rng(0).normal(0.0, 0.2, 60)
    given = {"solver": "br", "random_state": 0, "engine": "numpy"}
    left, asked = (tw.fitnet(5, **given, **o).fit(x, y) for o in ({}, {"max_fail": 6}))
    assert left.tr_.num_epochs > asked.tr_.num_epochs
    assert left._patience() == 0 and asked._patience() == 6
