"""Outputs pulled together hold bounds that a solver has not met."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.training.constraints.pulling import pulled_together
from thalweg.trees import flatten, unflatten


def test_the_largest_part_that_holds():
    net = tw.Network([tw.Dense(3, 8, "tanh"), tw.Dense(8, 2)])
    params = net.initial(0)
    X = np.random.default_rng(0).normal(size=(40, 3))
    Y = net(params, X)
    centre, widest = Y.mean(axis=0), 0.8 * np.max(np.abs(Y - Y.mean(axis=0)))
    _, structure = flatten(params)

    def holds(theta):
        places = np.cumsum([0, 24, 8, 16, 2])
        shapes = [(8, 3), (8,), (2, 8), (2,)]
        parts = [theta[a:b].reshape(s) for a, b, s in zip(places, places[1:], shapes, strict=False)]
        return np.max(np.abs(net(unflatten(structure, parts), X) - centre)) <= widest

    part, theta = pulled_together(net, params, X, holds)
    assert 0.79 < part <= 0.8
    assert holds(theta)
    assert pulled_together(net, params, X, lambda theta: False) is None


@pytest.mark.parametrize("seed", [0, 1])
def test_bounds_that_are_not_met_in_time(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (120, 4))
    y = np.tanh(3 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.3 * rng.normal(size=120)
    model = tw.fit(
        tw.Network([tw.Dense(4, 12, "tanh"), tw.Dense(12, 1)]),
        X,
        y,
        split="none",
        epochs=20,
        seed=seed,
        constraints=[tw.output_between(-1.2, 1.2)],
    )
    if model.stop.kind == "pulled":
        assert "last layer" in model.stop.said("en") and "마지막 층" in model.stop.said("ko")
    assert model.stop.kind in ("pulled", "feasible", "feasible_best")
    inside = rng.uniform(X.min(axis=0), X.max(axis=0), (20_000, 4))
    assert np.max(np.abs(model.predict(inside))) <= 1.2 + 1e-8
    assert model.constraints.worst == 0.0
