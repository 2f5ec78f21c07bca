"""Signs of weights that keep a network monotone, and climbs to where it is not."""

from itertools import pairwise

import numpy as np
import pytest

import thalweg as tw
from thalweg.training.constraints.bound import ConstraintSet
from thalweg.training.constraints.climbing import ascend
from thalweg.training.constraints.frame import Frame
from thalweg.training.constraints.signs import kept_by_signs, sign_bounds
from thalweg.training.data import Purpose, from_arrays

RNG = np.random.default_rng(0)


def bound(network, *asked):
    purpose = Purpose("none", None, 0, "standard", "standard", False, None, None)
    inputs, outputs = network.inputs, network.outputs
    data = from_arrays(RNG.normal(size=(40, inputs)), RNG.normal(size=(40, outputs)), purpose)
    return ConstraintSet(Frame.of(data, network), asked)


def network(*sizes, g="tanh"):
    pairs = list(pairwise(sizes))
    return tw.Network([tw.Dense(m, n, g) for m, n in pairs[:-1]] + [tw.Dense(*pairs[-1])])


@pytest.mark.parametrize("sizes", [(3, 1), (3, 5, 1), (3, 4, 4, 1), (3, 6, 2)])
def test_weights_within_the_bounds_are_monotone_everywhere(sizes):
    net = network(*sizes)
    constraints = bound(net, tw.monotone(0), tw.monotone(2, increasing=False))
    for seed in range(5):
        theta = np.random.default_rng(seed).normal(size=net.count)
        lower, upper = sign_bounds(constraints, theta)
        inside = np.clip(theta, lower, upper)
        for one in constraints.conditions:
            X = RNG.uniform(-4.0, 4.0, (300, 3))
            assert one.excess(inside, X).max() <= 0.0
        free = (lower == -np.inf) & (upper == np.inf)
        assert np.array_equal(inside[free], theta[free]) and free.any()


def test_what_signs_cannot_keep():
    assert kept_by_signs(bound(network(2, 3, 1, g="silu"), tw.monotone(0))) == []
    both = bound(network(2, 3, 1), tw.monotone(0), tw.monotone(0, increasing=False))
    assert sign_bounds(both, np.ones(both.frame.network.count)) is None
    assert kept_by_signs(bound(network(2, 3, 1), tw.convex(0), tw.slope_at([[0, 0]], 0, 0.0))) == []


def test_climbs_end_at_the_maxima_of_their_boxes():
    def wave(rows, X):
        return np.sin(X[:, 0]) - X[:, 1] ** 2, np.stack([np.cos(X[:, 0]), -2.0 * X[:, 1]], axis=1)

    X = np.array([[0.1, 0.9], [3.0, 0.5], [5.0, -0.4]])
    low, high = np.tile([0.0, 0.1], (3, 1)), np.tile([6.0, 1.0], (3, 1))
    low[2, 1] = high[2, 1] = 0.0  # no room: rests
    found = ascend(wave, X, low, high)
    np.testing.assert_allclose(found[:2], [[np.pi / 2, 0.1]] * 2, atol=1e-7)
    np.testing.assert_allclose(found[2], [6.0, -0.4], atol=1e-12)


@pytest.mark.slow
def test_many_monotone_inputs_end_held():
    X = RNG.uniform(size=(600, 8))
    y = np.sqrt(X[:, 0]) + X[:, 1] ** 2 + 0.2 * np.sin(9.0 * X[:, 0]) + RNG.normal(0.0, 0.2, 600)
    asked = [*(tw.monotone(j) for j in range(8)), tw.output_between(0.2, 1.8)]
    free = tw.fit(network(8, 6, 1), X, y, method="lm", seed=1, scale_targets="standard")
    model = tw.fit(network(8, 6, 1), X, y, constraints=asked, seed=1, epochs=300)
    assert model.constraints.worst == 0.0
    lines = np.repeat(RNG.uniform(0.05, 0.95, (40, 8)), 100, axis=0)
    for place in range(8):
        own = lines.copy()
        own[:, place] = np.tile(np.linspace(0.01, 0.99, 100), 40)
        found = model.predict(own).reshape(40, 100)
        assert np.diff(found, axis=1).min() >= -1e-8
        assert found.min() >= 0.2 - 1e-8 and found.max() <= 1.8 + 1e-8
    errors = [m.origin.figures["test"]["rmse"] for m in (free, model)]
    assert errors[1] <= 1.05 * errors[0]
