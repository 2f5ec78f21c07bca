"""`MLPClassifier`: a network for classes, with scikit-learn's parameters and attributes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)

from thalweg.errors import DataError, OptionError
from thalweg.estimators.parameters import store
from thalweg.estimators.perceptron import Perceptron, runs_epochs
from thalweg.nn.losses import Loss, binary_cross_entropy, cross_entropy
from thalweg.nn.losses import loss as find_loss

__all__ = ["MLPClassifier"]

Array = NDArray[Any]


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]
    r"""A network for classes, with the parameters and attributes of scikit-learn's.

    It minimises the mean cross entropy plus :math:`\frac{α}{2n}\sum W^2` (weighted means with
    sample weights): one logistic output for two classes, a softmax for more, and one logistic
    output for each label where y has several columns.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=(100,)
        Neurons of the hidden layers.
    activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter
        As for `MLPRegressor`.
    shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum
        As for `MLPRegressor`.
    early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, max_fun, engine
    restarts
        As for `MLPRegressor`; held-out samples are scored by accuracy.
    loss : str, default="log_loss"
        The cross entropy, or any loss of thalweg by name, for example ``"mse"`` of the
        probabilities.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        In the order of the columns of `predict_proba`.
    coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, n_iter_, t_
        As for `MLPRegressor`.
    best_validation_score_, n_layers_, n_outputs_, n_features_in_, feature_names_in_, network
        As for `MLPRegressor`.
    out_activation_ : {"logistic", "softmax"}

    Examples
    --------
    >>> import thalweg as tw
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = tw.MLPClassifier((8,), "tanh", solver="lbfgs", random_state=0, max_iter=500)
    >>> bool(model.fit(X, y).score(X, y) > 0.95)
    True
    >>> model.predict_proba(X[:2]).shape
    (2, 3)
    """

    _y_numeric = False

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: Any = "adam",
        alpha: float | str = "auto",
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float | str = "auto",
        power_t: float = 0.5,
        max_iter: int | str = "auto",
        shuffle: bool = True,
        random_state: Any = None,
        tol: float | str = "auto",
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: str | Loss = "log_loss",
        engine: str = "auto",
        restarts: int = 1,
    ) -> None:
        store(self, locals())

    @available_if(runs_epochs)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Go on for one epoch over the given samples; only first-order solvers can.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`; y need not hold all classes.
        classes : array-like of shape (n_classes,)
            All classes there are, at the first call.
        """
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Predict classes, or an indicator matrix of labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_labels)
        """
        return self._decoded(self._outputs(X))

    def predict_proba(self, X: Any) -> Array:
        """The probability of every class, shape (n_samples, n_classes)."""
        Y = self._outputs(X)
        return np.hstack([1 - Y, Y]) if self.n_outputs_ == 1 else Y

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    # -- for the base -----------------------------------------------------------------------------
    def _targets(self, y: Array, reset: bool) -> Array:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset or not hasattr(self, "classes_"):
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._known_classes(y)
        T = np.asarray(self._label_binarizer.transform(y)).astype(bool)
        return T.reshape(len(T), -1)

    def _known_classes(self, y: Array) -> None:
        """Refuse classes that earlier calls did not announce."""
        classes = unique_labels(y)
        if self.warm_start and set(classes) != set(self.classes_):
            raise DataError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                "call to fit. Previously got {before}, `y` has {classes}",
                before=self.classes_,
                classes=classes,
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise DataError(
                "`y` has classes not in `self.classes_`. `self.classes_` has {before}. "
                "'y' has {classes}.",
                before=self.classes_,
                classes=classes,
            )

    def _output(self) -> str:
        multiclass = self._label_binarizer.y_type_ == "multiclass"
        return "softmax" if multiclass else "logistic"

    def _loss(self, for_rule: bool) -> Loss:
        if self.loss == "log_loss":
            return cross_entropy if self.out_activation_ == "softmax" else binary_cross_entropy
        found = find_loss(self.loss)
        if found is cross_entropy and self.out_activation_ != "softmax":
            raise OptionError("cross_entropy needs more than two classes; use loss='log_loss'.")
        return found

    def _quoted(self, loss: float) -> float:
        return loss

    def _decoded(self, Y: Array) -> Array:
        Y = Y.ravel() if self.n_outputs_ == 1 else Y
        return np.asarray(self._label_binarizer.inverse_transform(Y))

    def _score(self, X: Array, y: Array, sample_weight: Array | None) -> float:
        predicted = self._forward(X)
        if not np.isfinite(predicted).all():
            return float("nan")
        truth = self._label_binarizer.inverse_transform(y)
        return float(accuracy_score(truth, self._decoded(predicted), sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
