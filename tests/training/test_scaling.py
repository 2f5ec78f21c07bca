"""Scalings: equal to their definitions, undone, exact in JSON, strict when read."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from thalweg.errors import DataError, ModelFileError
from thalweg.training.scaling import Identity, MinMax, StandardScaling, scaling_from_json

SCALINGS = [Identity, StandardScaling, MinMax]


def test_standard_scaling_is_scikit_learns():
    X = load_breast_cancer().data
    np.testing.assert_allclose(
        StandardScaling.fit(X).apply(X), StandardScaler().fit_transform(X), rtol=0, atol=1e-12
    )


def test_min_max_reaches_both_ends_exactly():
    X = np.random.default_rng(0).standard_normal((50, 7)) * 10.0 ** np.arange(-3, 4)
    scaled = MinMax.fit(X).apply(X)
    np.testing.assert_array_equal(scaled.min(axis=0), -1.0)
    np.testing.assert_array_equal(scaled.max(axis=0), 1.0)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_scaling_is_undone(scaling):
    X = np.random.default_rng(1).standard_normal((40, 3)) * [1e-9, 1.0, 1e9] + [0.0, 5.0, -1e9]
    fitted = scaling.fit(X)
    error = np.abs(fitted.undo(fitted.apply(X)) - X)  # in units of the column, not of each value
    assert np.all(error <= 1e-14 * np.abs(X).max(axis=0))


@pytest.mark.parametrize("scaling", [StandardScaling, MinMax])
def test_constant_columns_become_zero(scaling):
    X = np.full((7, 2), 0.1)
    fitted = scaling.fit(X)
    np.testing.assert_array_equal(np.abs(fitted.apply(X)) < 1e-15, True)
    np.testing.assert_allclose(fitted.undo(fitted.apply(X)), X, rtol=1e-15)


@pytest.mark.parametrize("scaling", [StandardScaling, MinMax])
def test_columns_can_be_left_alone(scaling):
    X = np.array([[0.0, 5.0], [1.0, 7.0]])
    np.testing.assert_array_equal(
        scaling.fit(X, leave=np.array([True, False])).apply(X), [[0.0, -1.0], [1.0, 1.0]]
    )


def test_values_too_large_to_scale():
    for scaling, largest in ((StandardScaling, 1e300), (MinMax, 1.7e308)):
        with pytest.raises(DataError, match="too large"):
            scaling.fit(np.array([[largest], [-largest], [largest]]))


def test_differences_too_small_to_square():
    X = np.array([[0.0], [1e-200]])
    fitted = StandardScaling.fit(X)
    assert np.isfinite(fitted.apply(X)).all()
    assert scaling_from_json(fitted.to_json()) == fitted


@given(
    st.lists(st.floats(-1e200, 1e200), min_size=2, max_size=6),
    st.sampled_from(SCALINGS),
)
def test_scalings_survive_json_exactly(values, scaling):
    try:
        fitted = scaling.fit(np.array(values)[:, np.newaxis])
    except DataError:
        return
    assert scaling_from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


@pytest.mark.parametrize(
    "record",
    [
        None,
        {},
        {"kind": "other"},
        {"kind": ["standard"]},
        {"kind": "standard", "mean": [0.0]},
        {"kind": "standard", "mean": [0.0], "std": [0.0]},
        {"kind": "standard", "mean": [0.0], "std": [1.0, 1.0]},
        {"kind": "standard", "mean": [float("nan")], "std": [1.0]},
        {"kind": "standard", "mean": [True], "std": [1.0]},
        {"kind": "standard", "mean": ["0"], "std": [1.0]},
        {"kind": "standard", "mean": 0.0, "std": 1.0},
        {"kind": "standard", "mean": [0.0], "std": [1.0], "more": 1},
        {"kind": "minmax", "low": [1.0], "high": [1.0]},
        {"kind": "none", "low": []},
    ],
)
def test_edited_scalings_are_refused(record):
    with pytest.raises(ModelFileError):
        scaling_from_json(record)
