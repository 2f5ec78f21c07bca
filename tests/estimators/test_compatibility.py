"""scikit-learn's own checks of estimators, and life in its pipelines and searches."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import thalweg as tw

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
X, Y = load_iris(return_X_y=True)


@parametrize_with_checks(
    [
        tw.MLPRegressor(hidden_layer_sizes=(20,), max_iter=100),
        tw.MLPClassifier(hidden_layer_sizes=(20,), max_iter=100),
        tw.fitnet(5, max_iter=200, engine="numpy"),
        tw.patternnet(5, max_iter=200, engine="numpy"),
    ]
)
def test_scikit_learn_compatible_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        tw.MLPRegressor(),
        tw.MLPClassifier(),
        tw.MLPRegressor(solver="lbfgs"),
        tw.MLPClassifier(solver="scg"),
        tw.fitnet(),
        tw.patternnet(),
    ]
)
def test_scikit_learn_compatible_solvers(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "ours, theirs", [(tw.MLPRegressor, MLPRegressor), (tw.MLPClassifier, MLPClassifier)]
)
def test_parameters_and_defaults_are_scikit_learns(ours, theirs):
    own, other = ours().get_params(), theirs().get_params()
    assert set(other) <= set(own)
    assert list(own)[:2] == list(other)[:2]
    changed = {name for name in other if own[name] != other[name]}
    assert changed == {"alpha", "learning_rate_init", "max_iter", "tol"}
    for solver in ("adam", "sgd", "lbfgs"):
        model = ours(solver=solver)
        assert {name: model._auto(name) for name in changed} == {n: other[n] for n in changed}


def test_pipeline_grid_search_and_cross_validation():
    pipe = make_pipeline(
        StandardScaler(), tw.MLPClassifier(hidden_layer_sizes=(8,), random_state=0)
    )
    grid = {"mlpclassifier__solver": ["lbfgs", "adam"], "mlpclassifier__alpha": [1e-4, 1e-1]}
    search = GridSearchCV(pipe, grid, n_jobs=2, cv=3).fit(X, Y)
    assert search.best_score_ > 0.93
    assert cross_val_score(tw.patternnet(8, random_state=0), X, Y, cv=3).mean() > 0.9
    mixed = np.random.default_rng(0).permutation(150)
    fitnet = tw.fitnet(4, random_state=0)
    assert cross_val_score(fitnet, X[mixed, :3], X[mixed, 3], cv=3).mean() > 0.8


@pytest.mark.parametrize("model", [tw.MLPClassifier(max_iter=3), tw.patternnet(3, max_iter=5)])
def test_a_fitted_model_is_pickled_without_compiled_code(model):
    model = clone(model).set_params(random_state=0).fit(X, Y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert not hasattr(clone(model), "coefs_")


def test_training_goes_on_after_pickling():
    model = tw.MLPClassifier(random_state=np.random.RandomState(3), shuffle=False)
    for _ in range(3):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    again = pickle.loads(pickle.dumps(model))
    for one in (model, again):
        one.partial_fit(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(model.coefs_, again.coefs_, strict=True))


def test_the_limit_of_epochs_is_a_convergence_warning():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        tw.MLPClassifier(max_iter=2).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="bfgs: Stopped after 2 epochs"):
        tw.MLPClassifier(solver="bfgs", max_iter=2).fit(X, Y)


def test_notebooks_see_the_training_record():
    model = tw.fitnet(3, random_state=0)
    assert "<svg" not in model._repr_html_().split("</style>")[-1].split("sk-top-container")[-1]
    model.fit(X[:, :3], X[:, 3])
    for shown in (model._repr_html_(), model._repr_mimebundle_()["text/html"]):
        assert "<polyline" in shown and "training" in shown
    assert "<polyline" in tw.MLPClassifier(max_iter=5).fit(X, Y)._repr_html_()
