"""Distributions of first weights."""

import numpy as np
import pytest

from thalweg.nn.initializers import INITIALISERS, initialiser

M, N = 300, 200
STDS = {
    "glorot_uniform": np.sqrt(2 / (M + N)),
    "glorot_normal": np.sqrt(2 / (M + N)),
    "he_uniform": np.sqrt(2 / N),
    "he_normal": np.sqrt(2 / N),
    "lecun_uniform": np.sqrt(1 / N),
    "lecun_normal": np.sqrt(1 / N),
    "uniform(limit=0.3)": 0.3 / np.sqrt(3),
    "normal(std=0.2)": 0.2,
    "zeros": 0.0,
}


@pytest.mark.parametrize("name", STDS)
def test_spread(name):
    W, b = initialiser(name)(np.random.default_rng(0), M, N, "tanh")
    assert W.shape == (M, N) and not b.any()
    assert np.isclose(W.std(), STDS[name], rtol=0.01)
    assert abs(W.mean()) <= 0.01


@pytest.mark.parametrize("name", INITIALISERS)
def test_same_seed_same_bits(name):
    draw = [INITIALISERS[name](np.random.default_rng(3), 4, 5, "relu") for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*draw, strict=True))


def test_nguyen_widrow_spreads_active_regions():
    W, b = initialiser("nguyen_widrow")(np.random.default_rng(0), 10, 1, "tanh")
    centres = np.sort(-b / W[:, 0])
    assert np.allclose(np.diff(centres), 2 / 9)
    assert np.allclose(abs(W), 2 * 0.7 * 10)


def test_scikit_learn_draws_scikit_learns_numbers():
    neural = pytest.importorskip("sklearn.neural_network")
    theirs = neural.MLPRegressor((4,), activation="tanh", max_iter=1, random_state=7)
    theirs._random_state = np.random.RandomState(7)
    theirs.activation = "tanh"
    coef, intercept = theirs._init_coef(3, 4, np.float64)
    W, b = initialiser("scikit_learn")(np.random.RandomState(7), 4, 3, "tanh")
    assert np.array_equal(W, coef.T) and np.array_equal(b, intercept)
