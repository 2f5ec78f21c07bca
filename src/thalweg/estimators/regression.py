"""`MLPRegressor`: a network for quantities, with scikit-learn's parameters and attributes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d

import thalweg.numpy as tnp
from thalweg.errors import DataError, OptionError
from thalweg.estimators.parameters import store
from thalweg.estimators.perceptron import Perceptron
from thalweg.nn.losses import Loss, half_mse, poisson_deviance
from thalweg.nn.losses import loss as find_loss

__all__ = ["MLPRegressor"]

Array = NDArray[Any]

LINKED = {"poisson": (poisson_deviance, "exp")}
"""Losses with scikit-learn's meaning where it is not thalweg's, and the output they go with."""


def _half_squares(y: Any, t: Any) -> Any:
    return 0.5 * tnp.sum((t - y) ** 2, axis=-1)


HALF_SQUARES = replace(
    half_mse, name="half_squares", function=_half_squares, latex=r"\tfrac12\sum_k (t_k - y_k)^2"
)
"""What scikit-learn's sgd and adam step down: `half_mse` times the number of outputs."""


class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]
    r"""A network for quantities, with the parameters and attributes of scikit-learn's.

    It minimises :math:`\frac{1}{2nK}\sum_{i,k}(t_{ik}-y_{ik})^2 + \frac{α}{2n}\sum W^2` over n
    samples and K outputs (weighted means with sample weights).

    Parameters
    ----------
    loss : str, default="squared_error"
        ``"squared_error"`` as above, ``"poisson"`` (half the deviance of counts, with exp as
        output), or any loss of thalweg by name: ``"mae"``, ``"huber(delta=0.5)"``, ...
    hidden_layer_sizes : array-like of int, default=(100,)
        Neurons of the hidden layers.
    activation : str, default="relu"
        Of the hidden layers: ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, or any
        activation of thalweg: ``"gelu"``, ``"leaky_relu(slope=0.2)"``, ...
    solver : str or Rule, default="adam"
        ``"sgd"``, ``"adam"`` and ``"lbfgs"`` as scikit-learn means them, and every other method of
        `thalweg.fit` by its name: first-order rules, which run epochs of batches (``"gd"``,
        ``"momentum"``, ``"rmsprop"``, ``"adamw"``, ``"rprop"``, ...), and solvers, which use all
        samples at each iteration (``"bfgs"``, ``"cg"``, ``"scg"``, ``"newton"``, ...).
    alpha : float or "auto", default="auto"
        Strength of the penalty; 1e-4 for scikit-learn's three solvers, 0 for the others.
    batch_size : int or "auto", default="auto"
        min(200, n_samples); all samples for ``"gd"`` and ``"rprop"``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        What becomes of the learning rate of first-order rules other than adam: it stays, or is
        ``learning_rate_init / (t_ + 1)**power_t`` after each epoch, or is divided by 5 whenever
        there is no progress.
    learning_rate_init : float or "auto", default="auto"
        1e-3 for sgd and adam; the rule's own for others.
    power_t : float, default=0.5
    max_iter : int or "auto", default="auto"
        Epochs or iterations: 200 for scikit-learn's three, the method's own for others.
    shuffle : bool, default=True
    random_state : int, RandomState instance or None, default=None
        Of the first weights, held-out samples and orders of samples, drawn as scikit-learn draws
        them. The same number gives the same bits.
    tol : float or "auto", default="auto"
        Improvement that counts as one; for solvers, the gradient (largest entry for lbfgs, norm
        for others) that counts as zero. 1e-4 for scikit-learn's three, 1e-7 for others.
    verbose : bool, default=False
    warm_start : bool, default=False
        Whether `fit` goes on from the last weights.
    momentum : float, default=0.9
    nesterovs_momentum : bool, default=True
        Of sgd.
    early_stopping : bool, default=False
        Whether to hold samples out and stop when their score no longer rises. lbfgs does not.
    validation_fraction : float, default=0.1
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of adam; other rules that have them keep their own where these defaults stand.
    n_iter_no_change : int, default=10
        Epochs without improvement after which training stops.
    max_fun : int, default=15000
        Evaluations of the objective, of lbfgs.
    engine : {"auto", "native", "numpy"}, default="auto"
        What runs the epochs of first-order rules; native code where it can be made.
    restarts : int, default=1
        How many first weights to train from. The best is kept, by the score of the held-out
        samples where there are some, else by `loss_`; `fit` alone does so, from new weights.

    Attributes
    ----------
    coefs_ : list of array of shape (n[l], n[l+1])
        Weights; `coefs_[0]` is the transpose of W[1].
    intercepts_ : list of array of shape (n[l+1],)
    loss_, best_loss_ : float
        The last and the lowest value of the objective; best_loss_ is None with early stopping.
    loss_curve_ : list of float
        The objective in every epoch, the mean over its batches.
    validation_scores_, best_validation_score_ : list of float, float
        R² of the held-out samples; None without early stopping.
    restart_scores_ : list of float
        The score of held-out samples, or minus `loss_`, of every start.
    n_iter_, t_ : int
        Epochs or iterations of the last fit; samples seen.
    n_layers_, n_outputs_, n_features_in_ : int
    feature_names_in_ : array of str
        Where X has names.
    out_activation_ : str
    network, params_ : Network, list of dict
        The same network and weights as thalweg has them, for `thalweg.explain_network` and others.

    Notes
    -----
    With several outputs, scikit-learn's sgd and adam step along the gradient of the sum over
    outputs, K times that of the mean above. First-order rules do so here, too, so that learning
    rates keep their meaning; `loss_` is quoted as above. Solvers minimise `loss_` itself.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> X = np.linspace(-1.0, 1.0, 40).reshape(-1, 1)
    >>> model = tw.MLPRegressor("squared_error", (6,), "tanh", solver="bfgs", random_state=1)
    >>> bool(model.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.999)
    True
    """

    _y_numeric = True

    def __init__(
        self,
        loss: str | Loss = "squared_error",
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
        engine: str = "auto",
        restarts: int = 1,
    ) -> None:
        store(self, locals())

    def predict(self, X: Any) -> Array:
        """Predict quantities.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,), or (n_samples, n_outputs) with several outputs
        """
        return _columns(self._outputs(X))

    # -- for the base -----------------------------------------------------------------------------
    def _targets(self, y: Array, reset: bool) -> Array:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and np.min(y) < 0:
            raise DataError(
                "loss='poisson' is for counts, but y has {lowest}: only numbers from 0.",
                lowest=np.min(y),
            )
        return y.reshape(len(y), -1)

    def _output(self) -> str:
        return LINKED[str(self.loss)][1] if self.loss in LINKED else "identity"

    def _loss(self, for_rule: bool) -> Loss:
        if self.loss in LINKED:
            return LINKED[str(self.loss)][0]
        found = find_loss(self.loss)
        if found.classes:
            raise OptionError(
                "loss={name!r} is for classes; MLPClassifier has it.", name=found.name
            )
        return HALF_SQUARES if found == half_mse and for_rule else found

    def _quoted(self, loss: float) -> float:
        return loss / self.n_outputs_ if self._loss(True) is HALF_SQUARES else loss

    def _score(self, X: Array, y: Array, sample_weight: Array | None) -> float:
        predicted = self._forward(X)
        if not np.isfinite(predicted).all():
            return float("nan")
        return float(r2_score(y, predicted, sample_weight=sample_weight))


def _columns(Y: Array) -> Array:
    return Y.ravel() if Y.shape[1] == 1 else Y
