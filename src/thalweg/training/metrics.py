r"""How good predictions are: figures for people, not objectives for gradients.

Accuracy, for one, changes in jumps: its derivative is zero almost everywhere, so no gradient can
raise it. Train on a loss; judge by these.

Examples
--------
>>> accuracy(["a", "b", "b"], ["a", "b", "a"])
0.6666666666666666
>>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
0.5
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import ShapeError

__all__ = [
    "accuracy",
    "confusion_matrix",
    "correlation",
    "figures_of_classes",
    "figures_of_numbers",
    "mae",
    "r2",
    "rmse",
]


def _numbers(truth: Any, prediction: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as float64 of shape (n, k)."""
    t, y = np.asarray(truth, np.float64), np.asarray(prediction, np.float64)
    t, y = (a.reshape(len(a), -1) if a.ndim else a.reshape(1, 1) for a in (t, y))
    if t.shape != y.shape or not t.size:
        raise ShapeError(
            "targets of shape {targets} and predictions of shape {predictions}",
            targets=t.shape,
            predictions=y.shape,
        )
    return t, y


def rmse(truth: Any, prediction: Any, weights: Any = None) -> float:
    """Root mean square error over samples and outputs, in the target's unit."""
    t, y = _numbers(truth, prediction)
    return float(np.sqrt(np.mean(np.average((t - y) ** 2, axis=0, weights=weights))))


def mae(truth: Any, prediction: Any, weights: Any = None) -> float:
    """Mean absolute error over samples and outputs, in the target's unit."""
    t, y = _numbers(truth, prediction)
    return float(np.mean(np.average(np.abs(t - y), axis=0, weights=weights)))


def r2(truth: Any, prediction: Any, weights: Any = None) -> float:
    """Coefficient of determination R², the mean over outputs.

    1 is perfect, 0 no better than the mean. Of a constant target it is 1 where the prediction is
    exact, else 0, as in scikit-learn.
    """
    t, y = _numbers(truth, prediction)
    middle = np.average(t, axis=0, weights=weights)
    rest = np.average((t - y) ** 2, axis=0, weights=weights)
    spread = np.average((t - middle) ** 2, axis=0, weights=weights)
    flat = spread == 0
    scores = np.where(flat, (rest == 0) * 1.0, 1.0 - rest / np.where(flat, 1.0, spread))
    return float(np.mean(scores))


def correlation(truth: Any, prediction: Any) -> float:
    """Pearson's R of targets and predictions, mean over outputs; nan where one is constant."""
    t, y = _numbers(truth, prediction)
    t, y = t - t.mean(axis=0), y - y.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = (t * y).sum(axis=0) / np.sqrt((t * t).sum(axis=0) * (y * y).sum(axis=0))
    return float(np.mean(each))


def accuracy(truth: Any, prediction: Any, weights: Any = None) -> float:
    """Share of samples whose class is right; with several labels all of them must be."""
    t, y = np.asarray(truth), np.asarray(prediction)
    if t.shape != y.shape or not t.size:
        raise ShapeError(
            "classes of shape {targets} and predictions of shape {predictions}",
            targets=t.shape,
            predictions=y.shape,
        )
    right = (t == y).reshape(len(t), -1).all(axis=1)
    return float(np.average(right, weights=weights))


def confusion_matrix(truth: Any, prediction: Any, classes: Any = None) -> NDArray[np.int64]:
    """Counts of samples by true class (rows) and predicted class (columns).

    Parameters
    ----------
    truth, prediction : array-like of shape (n,)
    classes : sequence, optional
        In which order; all that occur, sorted, by default.

    Examples
    --------
    >>> confusion_matrix(["a", "b", "b"], ["a", "b", "a"])
    array([[1, 0],
           [1, 1]])
    """
    t, y = list(truth), list(prediction)
    names = list(classes) if classes is not None else sorted(set(t) | set(y))
    place = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for true, predicted in zip(t, y, strict=True):
        counts[place[true], place[predicted]] += 1
    return counts


def figures_of_numbers(truth: Any, prediction: Any, weights: Any = None) -> dict[str, float]:
    """R², RMSE, MAE and R by name."""
    return {
        "r2": r2(truth, prediction, weights),
        "rmse": rmse(truth, prediction, weights),
        "mae": mae(truth, prediction, weights),
        "r": correlation(truth, prediction),
    }


def figures_of_classes(truth: Any, prediction: Any, weights: Any = None) -> dict[str, float]:
    """Accuracy by name."""
    return {"accuracy": accuracy(truth, prediction, weights)}
