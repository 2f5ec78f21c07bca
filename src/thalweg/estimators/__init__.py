"""scikit-learn's face of thalweg: estimators with its parameters, attributes and habits.

`perceptron` holds what `MLPRegressor` and `MLPClassifier` share: weights, predictions, the way
from parameters to a training program. First-order rules run in `stochastic`, in scikit-learn's
own order of events; solvers run in `batch`, by the names that `thalweg.fit` knows. `presets` has
`fitnet` and `patternnet`. Only this room imports scikit-learn.

Examples
--------
>>> import thalweg as tw
>>> from sklearn.datasets import load_diabetes
>>> X, y = load_diabetes(return_X_y=True)
>>> model = tw.MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0, max_iter=999)
>>> bool(model.fit(X, y).score(X, y) > 0.5)
True
"""

from importlib import import_module
from typing import Any

_HOME = {
    "MLPClassifier": "classification",
    "MLPRegressor": "regression",
    "TrainingRecord": "record",
    "fitnet": "presets",
    "patternnet": "presets",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'thalweg.estimators' has no attribute {name!r}")
    return getattr(import_module(f"thalweg.estimators.{_HOME[name]}"), name)
