"""What the two multilayer perceptrons share: weights, predictions, and the way into training.

The fitted state is scikit-learn's: ``coefs_[l]`` of shape (n[l], n[l+1]) and ``intercepts_[l]``.
Everything else, the network as thalweg has it included, follows from these and the parameters.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from thalweg.errors import DataError, OptionError, ShapeError
from thalweg.estimators.batch import fit_solver
from thalweg.estimators.parameters import CONSTRAINTS, auto
from thalweg.estimators.record import Shown, curves
from thalweg.estimators.starts import best_start
from thalweg.estimators.stochastic import fit_epochs
from thalweg.nn.activations import activation
from thalweg.nn.initializers import initialiser
from thalweg.nn.losses import Loss
from thalweg.nn.network import Network, Params, dense_network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.training.batches import Samples
from thalweg.training.methods import method

__all__ = ["Perceptron", "dense", "refuse_turned", "rows_of"]

Array = NDArray[Any]


def runs_epochs(estimator: Any) -> bool:
    """Whether the solver is a first-order rule, which `partial_fit` needs."""
    return method(estimator.solver).rule is not None


def refuse_turned(X: Any, y: Any) -> None:
    """Refuse inputs of shape (features, samples), which scikit-learn would only call unequal.

    Raises
    ------
    ShapeError
    """
    shape, samples = _shape(X), len(y) if hasattr(y, "__len__") else 0
    if len(shape) == 2 and shape[0] != samples == shape[1]:
        raise ShapeError(
            "X has shape {shape}, but y has {samples} samples, as many as X has columns. "
            "Rows must be samples: did you forget to transpose? Use X.T.",
            shape=shape,
            samples=samples,
        )


def _shape(X: Any) -> tuple[int, ...]:
    """The shape of an array, table or list; nothing where it does not say."""
    if isinstance(X, list | tuple):
        X = np.array(X, object)
    return tuple(getattr(X, "shape", ()))


def rows_of(estimator: Any, X: Any, **options: Any) -> Any:
    """Inputs to predict on, as scikit-learn validates them.

    Raises
    ------
    ShapeError
        With advice, where they have samples as columns.
    """
    shape, n = _shape(X), estimator.n_features_in_
    try:
        return validate_data(estimator, X, reset=False, **options)
    except ValueError as error:
        if len(shape) == 2 and shape[1] != n == shape[0]:
            raise ShapeError(
                "{error} Rows must be samples; transpose? Use X.T.", error=error
            ) from None
        raise


def dense(X: Any) -> Array:
    """The array itself, or that of a sparse matrix."""
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X)


class Perceptron(Shown, BaseEstimator):  # type: ignore[misc]
    """Base of `MLPRegressor` and `MLPClassifier`; a class that derives from it states its

    targets, its loss and its output activation.
    """

    _parameter_constraints: dict[str, Any] = CONSTRAINTS  # scikit-learn's protocol

    # -- what the two differ in ---------------------------------------------------------------
    @abstractmethod
    def _targets(self, y: Array, reset: bool) -> Array:
        """The target matrix, shape (samples, outputs)."""

    @abstractmethod
    def _output(self) -> str:
        """The output activation, by scikit-learn's name."""

    @abstractmethod
    def _loss(self, for_rule: bool) -> Loss:
        """The loss that is minimised."""

    @abstractmethod
    def _score(self, X: Array, y: Array, sample_weight: Array | None) -> float:
        """The score that early stopping watches, of encoded targets."""

    # -- fitting ------------------------------------------------------------------------------
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            float32 is trained in float32 by first-order solvers.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
            A weight of 2 counts like the row written twice.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data make no sense; `thalweg.errors.ShapeError`, which is one,
            for inputs that have samples as columns.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Self:
        self._validate_params()
        chosen = method(self.solver)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        refuse_turned(X, y)
        X, T = self._validated(X, y, first, incremental)
        weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        self._random_state = check_random_state(self.random_state)
        self.n_outputs_ = T.shape[1]
        self.n_features_in_ = X.shape[1]
        given = Samples(X, T, weights)
        parts: list[tuple[Samples, Samples]] = []

        def train(number: int) -> bool:
            if first:
                self._start(X.dtype, chosen.rule is not None)
            self.network.check(self._params())
            if chosen.rule is not None:
                interrupted = fit_epochs(self, given, incremental, parts)
            else:
                interrupted = fit_solver(self, given, parts)
            if not all(np.isfinite(w).all() for w in [*self.coefs_, *self.intercepts_]):
                raise DataError(
                    "Solver produced non-finite parameter weights. The input data may contain "
                    "large values and need to be preprocessed."
                )
            return interrupted

        starts = int(self.restarts) if first and not incremental else 1
        best_start(self, starts, train, self._kept_score, depth=4)
        return self

    def _kept_score(self) -> float:
        """What decides between starts: the score of held-out samples, or minus the loss."""
        held: Any = self.best_validation_score_ if self.validation_scores_ else -self.loss_
        return float(held)

    def _validated(self, X: Any, y: Any, first: bool, incremental: bool) -> tuple[Array, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=self._y_numeric,
            dtype=(np.float64, np.float32),
            reset=first,
        )
        return dense(X), self._targets(y, not (incremental or (self.warm_start and not first)))

    def _start(self, dtype: Any, stochastic: bool) -> None:
        """Draw the first weights, in scikit-learn's order, and clear the books."""
        self.n_iter_ = self.t_ = 0
        sizes = self._sizes()
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._output()
        draw = initialiser("scikit_learn")
        hidden = activation(self.activation).name
        self.coefs_, self.intercepts_ = [], []
        for n, m in pairwise(sizes):
            W, b = draw(self._random_state, m, n, hidden)
            self.coefs_.append(np.ascontiguousarray(W.T, dtype))
            self.intercepts_.append(b.astype(dtype))
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None
        self.best_loss_ = None if self.early_stopping else np.inf
        self._no_improvement_count = 0
        self._best_params = self._params()
        self.__dict__.pop("_optimizer", None)

    def _sizes(self) -> list[int]:
        given: Any = self.hidden_layer_sizes
        hidden = list(given) if hasattr(given, "__iter__") else [given]
        if any(size <= 0 for size in hidden):
            raise OptionError("hidden_layer_sizes must be > 0, got {hidden}.", hidden=hidden)
        return [self.n_features_in_, *(int(size) for size in hidden), self.n_outputs_]

    def _auto(self, name: str) -> Any:
        """The value of a parameter that may be ``"auto"``."""
        value = getattr(self, name)
        return auto(name, self.solver) if isinstance(value, str) and value == "auto" else value

    # -- the network behind it ----------------------------------------------------------------
    @property
    def network(self) -> Network:
        """The network as thalweg has it."""
        first, *hidden, last = self._sizes()
        return dense_network(first, hidden, last, self.activation, self.out_activation_)

    def _params(self) -> Params:
        return [
            {"W": np.ascontiguousarray(W.T), "b": b}
            for W, b in zip(self.coefs_, self.intercepts_, strict=True)
        ]

    @property
    def params_(self) -> Params:
        """The weights as thalweg has them: ``W[l] = coefs_[l].T`` and ``b[l] = intercepts_[l]``."""
        return self._params()

    def _keep(self, params: Params) -> None:
        """Take weights over, in the dtype that the inputs have."""
        dtype = self.coefs_[0].dtype
        self.coefs_ = [np.ascontiguousarray(layer["W"].T, dtype) for layer in params]
        self.intercepts_ = [np.array(layer["b"], dtype) for layer in params]

    def _objective(self, for_rule: bool) -> NetworkObjective:
        """Scikit-learn's objective: the mean loss plus α/(2n) Σ W²."""
        penalty = Penalty(l2=float(self._auto("alpha")), shared=True)
        return NetworkObjective(self.network, self._loss(for_rule), penalty)

    # -- predicting ---------------------------------------------------------------------------
    def _outputs(self, X: Any) -> Array:
        """The network's outputs for rows, shape (n, outputs)."""
        check_is_fitted(self)
        return self._forward(dense(rows_of(self, X, accept_sparse=["csr", "csc"])))

    def _forward(self, X: Array) -> Array:
        dtype = self.coefs_[0].dtype
        X = X.astype(dtype) if dtype == np.float64 and X.dtype != dtype else X
        return np.asarray(self.network(self._params(), X))

    @available_if(runs_epochs)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on for one epoch over the given samples; only first-order solvers can.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _left_behind(self) -> str:
        losses = np.array(self.__dict__.get("loss_curve_", ()))
        return curves({"training": losses})

    # -- scikit-learn's protocol --------------------------------------------------------------
    def __getstate__(self) -> dict[str, Any]:
        """All but compiled code."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_program", None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
