r"""Losses, each a few lines for one sample, with its formula; no derivative is written here.

A loss is a function of the network's output y and the target t, both of shape (k,), summed over
the k outputs. Called on rows of samples it is their mean, so `mse` is the mean over samples of
the sum over outputs.

Logarithms of softmax and sigmoid are taken as they stand here: `thalweg.nn.stable` rewrites them
in the graph, so that no loss needs to know the activation before it.

Examples
--------
>>> import numpy as np
>>> mse(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 1.0], [1.0, 4.0]]))
np.float64(2.5)
>>> bool(cross_entropy.sample(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0)
True
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.errors import ShapeError
from thalweg.named import Named, find
from thalweg.phrases import Phrase

__all__ = [
    "LOSSES",
    "Loss",
    "binary_cross_entropy",
    "cross_entropy",
    "half_mse",
    "huber",
    "log_cosh",
    "loss",
    "mae",
    "mse",
    "performance",
    "poisson",
    "poisson_deviance",
    "quantile",
]


@dataclass(frozen=True, kw_only=True, repr=False)
class Loss(Named):
    r"""A loss and what is known about it.

    Parameters
    ----------
    latex : str
        The formula for one sample.
    maximise : bool
        Whether it is a utility, to be made large.
    degree : int or None
        Power of the target's unit in which it is measured: 2 for squares. None if the target is
        a probability, a class or a count, which no scaling may touch.
    in_units : tuple of str
        Options that are measured in the target's unit.
    residual : callable or None
        ``residual(y, t)`` of shape (k,), the sum of whose squares is the loss, for losses that
        are sums of squares.
    classes : bool
        Whether targets are classes or probabilities of classes.
    """

    latex: str = ""
    maximise: bool = False
    degree: int | None = None
    in_units: tuple[str, ...] = ()
    residual: Callable[[Any, Any], Any] | None = None
    classes: bool = False

    def sample(self, y: Any, t: Any) -> Any:
        """The loss of one sample: y and t of shape (k,); of rows, one loss for each."""
        return self.function(y, t, **dict(self.options))

    def __call__(self, *arguments: Any) -> Any:
        """The mean over samples, ``loss(Y, T)`` or ``loss(Y, T, weights)``.

        Parameters
        ----------
        *arguments
            Outputs and targets of shape (samples, outputs), or (samples,) with one output, and
            optionally weights of shape (samples,).

        Returns
        -------
        float

        Raises
        ------
        ShapeError
            If outputs and targets differ in shape.
        """
        y, t, *more = (np.asarray(a) for a in arguments)
        if y.shape != t.shape:
            raise ShapeError(
                "{name}: outputs of shape {outputs} and targets of shape {targets}; both "
                "need one row per sample and one column per output.",
                name=self.name,
                outputs=y.shape,
                targets=t.shape,
            )
        if y.ndim == 1:
            y, t = np.reshape(y, (-1, 1)), np.reshape(t, (-1, 1))
        each = self.sample(y, t)
        if not more:
            return np.mean(each)
        return np.sum(more[0] * each) / np.sum(more[0])

    @property
    def sign(self) -> float:
        """1 if it is minimised, -1 if it is maximised."""
        return -1.0 if self.maximise else 1.0


LOSSES: dict[str, Loss] = {}
"""All losses by name."""

ALIASES = {
    "mean_squared_error": "mse",
    "squared_error": "half_mse",
    "mean_absolute_error": "mae",
    "l1": "mae",
    "crossentropy": "cross_entropy",
    "log_loss": "cross_entropy",
    "bce": "binary_cross_entropy",
}
"""The same losses under the names of other libraries."""


def loss(given: str | Loss) -> Loss:
    """Look up a loss by its text, such as ``"mse"`` or ``"huber(delta=0.5)"``.

    Raises
    ------
    OptionError
        If there is none of this name; the nearest is suggested.
    """
    return find(given, LOSSES, Phrase("loss"), ALIASES)


def _register(latex: str, **facts: Any) -> Callable[[Callable[..., Any]], Loss]:
    def keep(function: Callable[..., Any]) -> Loss:
        name = function.__name__
        LOSSES[name] = Loss(name=name, function=function, latex=latex, **facts)
        return LOSSES[name]

    return keep


# -- quantities ---------------------------------------------------------------------------------
@_register(r"\sum_k (t_k - y_k)^2", degree=2, residual=lambda y, t: y - t)
def mse(y: Any, t: Any) -> Any:
    """Squared error, ``Σ (t - y)²``."""
    return np.sum((t - y) ** 2, axis=-1)


@_register(
    r"\frac{1}{2K}\sum_k (t_k - y_k)^2",
    degree=2,
    residual=lambda y, t: (y - t) / math.sqrt(2.0 * y.shape[-1]),
)
def half_mse(y: Any, t: Any) -> Any:
    """Half the squared error, mean over outputs, as scikit-learn's ``squared_error``."""
    return 0.5 * np.mean((t - y) ** 2, axis=-1)


@_register(
    r"-\tfrac12\sum_k (t_k - y_k)^2",
    degree=2,
    maximise=True,
)
def performance(y: Any, t: Any) -> Any:
    """Performance, ``-½ Σ (t - y)²``, which is made as large as it can be: 0."""
    return -0.5 * np.sum((t - y) ** 2, axis=-1)


@_register(r"\sum_k |t_k - y_k|", degree=1)
def mae(y: Any, t: Any) -> Any:
    """Absolute error, ``Σ |t - y|``: aims at the median."""
    return np.sum(np.abs(t - y), axis=-1)


@_register(
    r"\sum_k \begin{cases} \tfrac12 e_k^2 & |e_k| \le \delta \\ "
    r"\delta(|e_k| - \tfrac{\delta}{2}) & \text{otherwise} \end{cases}",
    degree=2,
    in_units=("delta",),
)
def huber(y: Any, t: Any, *, delta: float = 1.0) -> Any:
    """``e²/2`` up to delta, then ``delta (|e| - delta/2)``: outliers pull less (Huber, 1964)."""
    size = np.abs(t - y)
    return np.sum(np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta)), axis=-1)


@_register(r"s^2\sum_k \log\cosh\frac{t_k - y_k}{s}", degree=2, in_units=("scale",))
def log_cosh(y: Any, t: Any, *, scale: float = 1.0) -> Any:
    """``scale² Σ log cosh((t - y)/scale)``: squares near 0, absolute values far out."""
    error = (t - y) / scale
    return scale**2 * np.sum(np.softplus(2.0 * error) - error - math.log(2.0), axis=-1)


@_register(r"\sum_k \max(q e_k, (q - 1) e_k)", degree=1)
def quantile(y: Any, t: Any, *, q: float = 0.5) -> Any:
    """Pinball loss: aims at the quantile q of the target (Koenker and Bassett, 1978)."""
    error = t - y
    return np.sum(np.where(error >= 0.0, q * error, (q - 1.0) * error), axis=-1)


@_register(r"\sum_k (y_k - t_k \log y_k)")
def poisson(y: Any, t: Any) -> Any:
    """``Σ y - t log y``: counts t with mean y > 0, which exp or softplus makes positive."""
    return np.sum(y - np.xlogy(t, y), axis=-1)


@_register(r"\sum_k \left(t_k \log\tfrac{t_k}{y_k} - t_k + y_k\right)")
def poisson_deviance(y: Any, t: Any) -> Any:
    """Half the Poisson deviance, as scikit-learn's ``poisson``: `poisson` less its best value."""
    return np.sum(np.xlogy(t, t) - t + y - np.xlogy(t, y), axis=-1)


# -- classes --------------------------------------------------------------------------------------
@_register(r"-\sum_k t_k \log y_k", classes=True)
def cross_entropy(y: Any, t: Any) -> Any:
    """``-Σ t log y`` against a target distribution t; for softmax outputs."""
    return -np.sum(np.xlogy(t, y), axis=-1)


@_register(r"-\sum_k \left(t_k \log y_k + (1 - t_k)\log(1 - y_k)\right)", classes=True)
def binary_cross_entropy(y: Any, t: Any) -> Any:
    """``-Σ t log y + (1-t) log(1-y)``: one sigmoid output, or several for several labels."""
    return -np.sum(np.xlogy(t, y) + np.xlogy(1.0 - t, 1.0 - y), axis=-1)
