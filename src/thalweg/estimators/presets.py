"""`fitnet` and `patternnet`: MATLAB's defaults and habits in one word.

Inputs (and targets that are quantities) are scaled to [-1, 1] inside, rows are divided 70/15/15
at random, one hidden layer of tanh neurons starts from Nguyen and Widrow's weights, a method for
all rows at once runs for at most 1000 epochs, and six epochs without a lower validation loss end
it, with the best weights kept.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> x = np.linspace(-3.0, 3.0, 100).reshape(-1, 1)
>>> model = tw.fitnet(10, random_state=1).fit(x, np.sin(x[:, 0]))
>>> bool(model.score(x, np.sin(x[:, 0])) > 0.999)
True
>>> len(model.tr_.train_ind), len(model.tr_.val_ind), len(model.tr_.test_ind)
(70, 15, 15)
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from itertools import pairwise
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from thalweg.errors import DataError
from thalweg.estimators.parameters import CONSTRAINTS, COUNT, FROM_ZERO, store
from thalweg.estimators.perceptron import refuse_turned, rows_of
from thalweg.estimators.record import Shown, TrainingRecord
from thalweg.estimators.starts import best_start
from thalweg.nn.losses import Loss, cross_entropy, mse
from thalweg.nn.network import Dense, Network, Params
from thalweg.nn.objective import NetworkObjective
from thalweg.training.batches import Samples
from thalweg.training.loop import Progress, Task
from thalweg.training.methods import METHODS, method, settle
from thalweg.training.options import Training
from thalweg.training.scaling import Identity, MinMax, Scaling
from thalweg.training.splits import split_rows

__all__ = ["fitnet", "patternnet"]

Array = NDArray[Any]

MAX_FAIL = 6
"""MATLAB's epochs without a lower validation loss."""


class _Preset(Shown, BaseEstimator):  # type: ignore[misc]
    """What the two presets share."""

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012  # scikit-learn's protocol
        "hidden_layer_sizes": CONSTRAINTS["hidden_layer_sizes"],
        "solver": [StrOptions(set(METHODS))],
        "activation": [str],
        "split": [str, "array-like"],
        "max_iter": [COUNT],
        "max_fail": [COUNT, StrOptions({"auto"})],
        "min_grad": [FROM_ZERO],
        "goal": [FROM_ZERO],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "engine": CONSTRAINTS["engine"],
        "restarts": CONSTRAINTS["restarts"],
    }

    # -- what the two differ in -------------------------------------------------------------------
    def _damping(self) -> dict[str, Any]:
        """Options of Levenberg-Marquardt, where the method has them."""
        return {}

    @abstractmethod
    def _encoded(self, y: Array) -> Array:
        """The target matrix, shape (samples, outputs)."""

    @abstractmethod
    def _output(self) -> tuple[str, Loss, type[MinMax] | type[Identity]]:
        """Output activation, loss and scaling of the targets."""

    # -- fitting ----------------------------------------------------------------------------------
    def fit(self, X: Any, y: Any) -> Self:
        """Divide the rows, scale, and train.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        self
        """
        self._validate_params()
        refuse_turned(X, y)
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=self._y_numeric, dtype=np.float64
        )
        T = self._encoded(y)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        split = split_rows(len(X), self.split, seed)
        last, loss, scaling = self._output()
        self.input_scaling_: Scaling = MinMax.fit(X[split.train])
        self.target_scaling_: Scaling = scaling.fit(T[split.train])
        self.network_ = self._network(X.shape[1], T.shape[1], last)

        def train(number: int) -> bool:
            self.tr_ = TrainingRecord(split.train, split.validation, split.test, self.solver)
            return self._train(X, T, loss, seed + number)

        best_start(self, int(self.restarts), train, self._kept_score)
        return self

    def _kept_score(self) -> float:
        """Minus the loss that decides between starts."""
        return -self.tr_.best("vperf" if len(self.tr_.val_ind) else "perf")

    def _network(self, inputs: int, outputs: int, last: str) -> Network:
        given: Any = self.hidden_layer_sizes
        hidden = [int(size) for size in given] if hasattr(given, "__iter__") else [int(given)]
        sizes = [inputs, *hidden]
        layers = [
            Dense(n, m, self.activation, initialiser="nguyen_widrow") for n, m in pairwise(sizes)
        ]
        return Network([*layers, Dense(sizes[-1], outputs, last, initialiser="uniform(limit=1.0)")])

    def _patience(self) -> int:
        """Epochs without a lower validation loss that end training; 0 never does."""
        if self.max_fail != "auto":
            return int(self.max_fail)
        return 0 if self.solver == "br" else MAX_FAIL

    def _train(self, X: Array, T: Array, loss: Loss, seed: int) -> bool:
        """Train from the weights of a seed; returns whether a person has interrupted it."""
        record, chosen = self.tr_, method(self.solver)
        scaled = Samples(
            self.input_scaling_.apply(X), self.target_scaling_.apply(T), np.ones(len(X))
        )
        self._watch(T, scaled.X, self.network_.initial(seed), loss, time=0.0)

        def enter(progress: Progress) -> bool:
            epoch, mu = progress.epoch, progress.figures.get("mu", math.nan)
            figures = {"gradient": epoch.gradient_norm, "mu": mu, "time": epoch.seconds}
            self._watch(T, scaled.X, progress.params, loss, **figures)
            return bool(record.rows[-1]["perf"] <= self.goal)

        options = Training(
            **self._damping(),
            epochs=int(self.max_iter),
            patience=self._patience() if len(record.val_ind) else 0,
            min_gradient=float(self.min_grad),
            time_limit=self.time_limit,
            snapshots=(),
            callbacks=(enter,),
        )
        task = Task(
            NetworkObjective(self.network_, loss),
            self.network_.initial(seed),
            scaled.take(record.train_ind),
            scaled.take(record.val_ind) if len(record.val_ind) else None,
            options,
            seed=seed,
            engine=self.engine,
        )
        outcome = chosen.run(settle(chosen, task))
        self._keep(outcome.params)
        record.best_epoch, record.stop = outcome.kept_epoch, str(outcome.stop)
        self.n_iter_ = record.num_epochs
        if outcome.stop.kind == "diverged":
            warnings.warn(str(outcome.stop), ConvergenceWarning, stacklevel=5)
        return outcome.stop.kind == "interrupted"

    def _watch(self, T: Array, X: Array, params: Params, loss: Loss, **figures: float) -> None:
        """Enter the losses of all three parts, in the target's own unit."""
        record = self.tr_
        Y = self.target_scaling_.undo(np.asarray(self.network_(params, X)))
        with np.errstate(all="ignore"):
            each = np.asarray(loss.sample(Y, T))
        perf, vperf, tperf = (
            self._perf(loss, each[rows].mean(), T) if len(rows) else math.nan
            for rows in (record.train_ind, record.val_ind, record.test_ind)
        )
        number, fails = len(record.rows), 0
        if number and vperf == vperf:
            waited = 1 + int(record.rows[-1]["val_fail"])
            fails = 0 if vperf < record.rows[number - waited]["vperf"] else waited
        losses = {"perf": perf, "vperf": vperf, "tperf": tperf}
        record.add(epoch=number, val_fail=fails, **losses, **figures)

    def _perf(self, loss: Loss, mean: Any, T: Array) -> float:
        """A mean loss over rows as MATLAB has it: of squares over outputs, too."""
        return float(mean) / (T.shape[1] if loss is mse else 1)

    def _keep(self, params: Params) -> None:
        self.params_ = params
        self.coefs_ = [np.ascontiguousarray(layer["W"].T) for layer in params]
        self.intercepts_ = [np.array(layer["b"]) for layer in params]

    def _left_behind(self) -> str:
        return self.tr_._repr_html_() if hasattr(self, "tr_") else ""

    # -- predicting -------------------------------------------------------------------------------
    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self)
        X = rows_of(self, X, dtype=np.float64)
        Y = np.asarray(self.network_(self.params_, self.input_scaling_.apply(X)))
        return self.target_scaling_.undo(Y)

    def performance(self, X: Any, y: Any) -> float:
        """The loss on some rows, in the target's own unit: MATLAB's ``perform``.

        Parameters
        ----------
        X, y
            As for `fit`.

        Returns
        -------
        float
            Mean squared error over rows and outputs; for classes the mean cross entropy.
        """
        Y, loss, T = self._outputs(X), self._output()[1], self._encoded(np.asarray(y))
        with np.errstate(all="ignore"):
            return self._perf(loss, loss(Y, T), T)


class fitnet(RegressorMixin, _Preset):  # type: ignore[misc]
    """A network that fits quantities, with MATLAB's defaults.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=10
    solver : str, default="lm"
        Levenberg-Marquardt, or any method of `thalweg.fit`.
    activation : str, default="tanh"
        Of the hidden layers.
    split : str or tuple of index arrays, default="70/15/15"
        Training, validation and test rows; ``"none"`` trains on all. Tables of fewer than 20 rows
        train on all of them.
    max_iter : int, default=1000
        The most epochs.
    max_fail : int or "auto", default="auto"
        Epochs without a lower validation loss after which training stops. ``"auto"`` is 6, but
        for ``"br"`` no number, as in MATLAB: it finds the strength of its regularisation by itself.
    min_grad : float, default=1e-7
        Norm of the gradient of the mean squared error of scaled targets that ends training.
    goal : float, default=0
        A loss of the training rows that ends it.
    time_limit : float, optional
        Seconds.
    random_state : int, RandomState instance or None, default=None
        Of the split and the first weights.
    engine : {"auto", "native", "numpy"}, default="auto"
    restarts : int, default=1
        How many first weights to train from, on the same division of rows. The best is kept: of
        the lowest validation loss, or training loss where no rows are held out.
    mu, mu_dec, mu_inc, mu_max : float, optional
        Of the damping of ``"lm"`` and ``"br"``; see `thalweg.Training`. μ is measured in the
        largest diagonal entry of H and follows the gain of each step, so that 1e-3, 0.1, 2 and
        1e16 are the defaults here, not 1e-3, 0.1, 10 and 1e10.

    Attributes
    ----------
    tr_ : TrainingRecord
        Split, every epoch, best epoch, why it stopped.
    coefs_, intercepts_ : list of array
        As scikit-learn's networks have them; they see scaled inputs and give scaled targets.
    network_ : Network
    params_ : list of dict
        W and b of every layer.
    input_scaling_, target_scaling_ : MinMax
    restart_scores_ : list of float
        Minus that loss, of every start.
    n_iter_, n_features_in_ : int

    Notes
    -----
    Several targets are scaled each, so all count alike; MATLAB's ``mse`` without normalisation
    is led by those in small units. Scalings are fitted on the training rows alone.

    Examples
    --------
    >>> import thalweg as tw
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = tw.fitnet(4, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.45)
    True
    """

    _y_numeric = True

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012  # scikit-learn's protocol
        **_Preset._parameter_constraints,
        "mu": [Interval(Real, 0, None, closed="neither"), None],
        "mu_max": [Interval(Real, 0, None, closed="neither"), None],
        "mu_dec": [Interval(Real, 0, 1, closed="neither"), None],
        "mu_inc": [Interval(Real, 1, None, closed="neither"), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = 10,
        solver: str = "lm",
        *,
        activation: str = "tanh",
        split: Any = "70/15/15",
        max_iter: int = 1000,
        max_fail: Any = "auto",
        min_grad: float = 1e-7,
        goal: float = 0.0,
        time_limit: float | None = None,
        random_state: Any = None,
        engine: str = "auto",
        restarts: int = 1,
        mu: float | None = None,
        mu_dec: float | None = None,
        mu_inc: float | None = None,
        mu_max: float | None = None,
    ) -> None:
        store(self, locals())

    def _damping(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in ("mu", "mu_dec", "mu_inc", "mu_max")}
        return {name: float(value) for name, value in given.items() if value is not None}

    def _encoded(self, y: Array) -> Array:
        T = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        return np.asarray(T, np.float64).reshape(len(T), -1)

    def _output(self) -> tuple[str, Loss, type[MinMax] | type[Identity]]:
        return "identity", mse, MinMax

    def predict(self, X: Any) -> Array:
        """Predict quantities, shape (n_samples,) or (n_samples, n_outputs)."""
        Y = self._outputs(X)
        return Y.ravel() if Y.shape[1] == 1 else Y


class patternnet(ClassifierMixin, _Preset):  # type: ignore[misc]
    """A network that tells classes apart, with MATLAB's defaults.

    One softmax output for each class, cross entropy, scaled conjugate gradient, and
    ``min_grad=1e-6``; the rest is as for `fitnet`.

    Parameters
    ----------
    hidden_layer_sizes, solver, activation, split, max_iter, max_fail, min_grad, goal
        As for `fitnet`.
    time_limit, random_state, engine, restarts
        As for `fitnet`.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    tr_, coefs_, intercepts_, network_, params_, input_scaling_, restart_scores_, n_iter_
    n_features_in_
        As for `fitnet`.

    Examples
    --------
    >>> import thalweg as tw
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = tw.patternnet(10, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _y_numeric = False

    def __init__(
        self,
        hidden_layer_sizes: Any = 10,
        solver: str = "scg",
        *,
        activation: str = "tanh",
        split: Any = "70/15/15",
        max_iter: int = 1000,
        max_fail: Any = "auto",
        min_grad: float = 1e-6,
        goal: float = 0.0,
        time_limit: float | None = None,
        random_state: Any = None,
        engine: str = "auto",
        restarts: int = 1,
    ) -> None:
        store(self, locals())

    def fit(self, X: Any, y: Any) -> Self:
        """Divide the rows, scale, and train.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Classes.

        Returns
        -------
        self
        """
        self.__dict__.pop("classes_", None)
        return super().fit(X, y)

    def _encoded(self, y: Array) -> Array:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if not hasattr(self, "classes_"):
            self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise DataError(
                "patternnet needs at least two classes; y holds one class, {only!r}.",
                only=self.classes_[0],
            )
        return np.asarray(y[:, None] == self.classes_[None, :], np.float64)

    def _output(self) -> tuple[str, Loss, type[MinMax] | type[Identity]]:
        return "softmax", cross_entropy, Identity

    def predict_proba(self, X: Any) -> Array:
        """The probability of every class, shape (n_samples, n_classes)."""
        return self._outputs(X)

    def predict(self, X: Any) -> Array:
        """Predict classes, shape (n_samples,)."""
        Y = self._outputs(X)
        return np.asarray(self.classes_[np.argmax(Y, axis=1)])
