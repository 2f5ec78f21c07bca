"""Several starts: the first is a single fit's, the best is kept, the rows are held out alike."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import thalweg as tw

RNG = np.random.default_rng(3)
X = RNG.uniform(-1.0, 1.0, (80, 2))
Y = np.sin(4.0 * X[:, 0]) * X[:, 1]
CLASSES = np.where(Y > 0, "up", "down")
QUICK = {"hidden_layer_sizes": (4,), "random_state": 7}
ESTIMATORS = [
    (tw.fitnet(3, random_state=7, max_iter=8, engine="numpy"), Y),
    (tw.fitnet(3, random_state=7, max_iter=8, engine="numpy", split="none"), Y),
    (tw.patternnet(3, random_state=7, max_iter=8, engine="numpy"), CLASSES),
    (tw.MLPRegressor(solver="bfgs", max_iter=8, engine="numpy", **QUICK), Y),
    (tw.MLPRegressor(solver="adam", max_iter=8, engine="numpy", **QUICK), Y),
    (tw.MLPRegressor(max_iter=8, early_stopping=True, engine="numpy", **QUICK), Y),
    (tw.MLPClassifier(solver="lbfgs", max_iter=8, engine="numpy", **QUICK), CLASSES),
]


def fitted(model, y, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return type(model)(**{**model.get_params(), **options}).fit(X, y)


@pytest.mark.parametrize("model, y", ESTIMATORS)
def test_the_best_of_several_starts_is_kept(model, y):
    one, several = fitted(model, y), fitted(model, y, restarts=5)
    scores = several.restart_scores_
    assert len(scores) == 5 and len(set(scores)) > 1
    assert scores[0] == one.restart_scores_[0]
    assert several._kept_score() == max(scores)
    again = fitted(model, y, restarts=5)
    assert all(map(np.array_equal, several.coefs_, again.coefs_))


@pytest.mark.parametrize("model, y", ESTIMATORS)
def test_where_the_first_is_best_it_is_that_of_a_single_fit(model, y):
    for seed in range(20):
        several = fitted(model, y, restarts=2, random_state=seed)
        if np.argmax(several.restart_scores_) == 0:
            break
    one = fitted(model, y, random_state=seed)
    assert all(map(np.array_equal, one.coefs_, several.coefs_))
    assert one.n_iter_ == several.n_iter_


def test_rows_are_divided_alike():
    one, several = (fitted(*ESTIMATORS[0], restarts=k) for k in (1, 4))
    assert np.array_equal(one.tr_.val_ind, several.tr_.val_ind)
    best = several.tr_.best_vperf
    Z = several.predict(X[several.tr_.val_ind])
    assert np.isclose(np.mean((Z - Y[several.tr_.val_ind]) ** 2), best, rtol=1e-12)
    assert best <= one.tr_.best_vperf


def test_one_warning_and_from_the_line_that_fits():
    for restarts in (1, 3):
        model = tw.MLPRegressor(solver="bfgs", max_iter=2, restarts=restarts, **QUICK)
        with pytest.warns(ConvergenceWarning) as heard:
            model.fit(X, Y)
        assert len(heard) == 1
        assert heard[0].filename == __file__


def test_a_start_that_fails_is_not_the_best():
    from thalweg.errors import DataError
    from thalweg.estimators.starts import best_start

    class Model:
        pass

    def trained(number):
        model.number_ = number
        if number != 2:
            raise DataError("no.")
        return False

    model = Model()
    best_start(model, 4, trained, lambda: -1.0)
    assert model.number_ == 2
    assert model.restart_scores_ == [-np.inf, -np.inf, -1.0, -np.inf]
    with pytest.raises(DataError):
        best_start(model, 2, trained, lambda: -1.0)


def test_going_on_is_one_start():
    model = fitted(*ESTIMATORS[4], restarts=3, warm_start=True)
    assert len(model.restart_scores_) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert len(model.fit(X, Y).restart_scores_) == 1


@pytest.mark.parametrize("model, y", ESTIMATORS[::3])
def test_no_start_at_all_is_refused(model, y):
    with pytest.raises(ValueError, match="restarts"):
        fitted(model, y, restarts=0)
