"""Metrics against scikit-learn's and by hand."""

import numpy as np
import pytest

from thalweg.errors import ShapeError
from thalweg.training import metrics

RNG = np.random.default_rng(0)
T, Y = RNG.normal(size=(2, 30))
T2, Y2 = RNG.normal(size=(2, 30, 3))
W = RNG.uniform(size=30)


def test_numbers_as_scikit_learn():
    theirs = pytest.importorskip("sklearn.metrics")
    for t, y in ((T, Y), (T2, Y2)):
        for w in (None, W):
            assert np.isclose(metrics.r2(t, y, w), theirs.r2_score(t, y, sample_weight=w))
            assert np.isclose(
                metrics.mae(t, y, w), theirs.mean_absolute_error(t, y, sample_weight=w)
            )
            assert np.isclose(
                metrics.rmse(t, y, w) ** 2, theirs.mean_squared_error(t, y, sample_weight=w)
            )
    assert np.isclose(metrics.correlation(T, Y), np.corrcoef(T, Y)[0, 1])


def test_constant_targets():
    assert metrics.r2([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert metrics.r2([1.0, 1.0], [1.0, 2.0]) == 0.0
    assert np.isnan(metrics.correlation([1.0, 1.0], [1.0, 2.0]))


def test_classes():
    t, y = list("aabbc"), list("abbbc")
    assert metrics.accuracy(t, y) == 0.8
    assert metrics.accuracy(t, y, [1, 3, 1, 1, 0]) == 0.5
    assert metrics.confusion_matrix(t, y).tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 1]]
    assert metrics.confusion_matrix(t, y, "cba").tolist() == [[1, 0, 0], [0, 2, 0], [0, 1, 1]]
    labels = np.array([[1, 0], [1, 1]])
    assert metrics.accuracy(labels, [[1, 0], [0, 1]]) == 0.5


def test_accuracy_is_no_objective():
    """Its derivative is zero almost everywhere: a small change of the outputs changes nothing."""
    outputs = RNG.normal(size=30)
    truth = (outputs + 0.5 * RNG.normal(size=30) > 0).astype(int)
    before = metrics.accuracy(truth, (outputs > 0).astype(int))
    after = metrics.accuracy(truth, (outputs + 1e-9 > 0).astype(int))
    assert before == after < 1.0


def test_shapes_that_differ():
    with pytest.raises(ShapeError):
        metrics.r2([1.0, 2.0], [1.0])
    with pytest.raises(ShapeError):
        metrics.accuracy([], [])
