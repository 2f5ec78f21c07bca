"""Dropout: rates, independence, the same masks from the same counters, at work in training only."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn.dropout import keys, mask
from thalweg.nn.network import flat
from thalweg.nn.objective import NetworkObjective
from thalweg.training.program import Program


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_rates_and_means(rate):
    key = keys(3, 1, np.arange(400))
    drawn = np.array([mask(k, 1, 250, rate) for k in key])
    assert set(np.unique(drawn)) == {0.0, 1.0 / (1.0 - rate)}
    rest = (drawn == 0).astype(float)
    assert abs(rest.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / rest.size)
    for axis in (0, 1):  # neither rows nor neurons are alike
        spread = rest.mean(axis=axis).std()
        count = rest.shape[axis]
        assert np.isclose(spread, np.sqrt(rate * (1 - rate) / count), rtol=0.25)


def test_neighbours_are_not_correlated():
    def rest(seed, step, rows, layer):
        return np.array([mask(k, layer, 200, 0.5) for k in keys(seed, step, rows)]).ravel()

    rows = np.arange(200)
    first = rest(0, 1, rows, 1)
    for other in (rest(0, 1, rows + 1, 1), rest(0, 2, rows, 1), rest(1, 1, rows, 1)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.025
    assert abs(np.corrcoef(first, rest(0, 1, rows, 2))[0, 1]) < 0.025
    assert np.array_equal(first, rest(0, 1, rows, 1))


NET = tw.Network([tw.Dense(3, 30, "tanh", dropout=0.5), tw.Dense(30, 1)])
RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 1))


def test_a_step_is_the_gradient_under_its_masks():
    program = Program(NetworkObjective(NET, tw.mse), tw.SGD())
    state = program.start(NET.initial(0))
    state.seed = 5
    order = np.array([2, 5, 1, 7, 0, 3, 4, 6])
    program.epoch(state, X, T, np.ones(8), order, 8, np.array([0.1]))

    def masked(params):
        total = 0.0
        for key, row in zip(keys(5, 1, np.arange(8)), np.arange(8), strict=True):
            total = total + tw.mse.sample(NET(params, X[row], key), T[row]) / 8
        return total

    slope = tw.grad(masked)(NET.initial(0))
    assert np.allclose(flat(state.params), flat(NET.initial(0)) - 0.1 * flat(slope), rtol=1e-12)


def test_no_dropout_outside_training():
    plain = tw.Network([tw.Dense(3, 30, "tanh"), tw.Dense(30, 1)])
    params = NET.initial(0)
    assert np.array_equal(NET(params, X), plain(params, X))
    values = [
        Program(NetworkObjective(net, tw.mse), tw.SGD()).loss(params, X, T, np.ones(8))
        for net in (NET, plain)
    ]
    assert values[0] == values[1]


def test_training_with_dropout_is_repeatable_and_saved(tmp_path):
    x = RNG.normal(size=(100, 3))
    y = x[:, 0] + 0.1 * RNG.normal(size=100)
    models = [tw.fit(NET, x, y, epochs=30, learning_rate=0.01) for _ in range(2)]
    assert models[0].equals(models[1])
    assert models[0].origin.settings["engine"] == models[1].origin.settings["engine"]
    models[0].save(tmp_path / "m")
    assert tw.load(tmp_path / "m").network.layers[0].dropout == 0.5
    in_numpy = tw.fit(NET, x, y, epochs=30, learning_rate=0.01, engine="numpy")
    np.testing.assert_allclose(in_numpy.predict(x), models[0].predict(x), rtol=1e-6)
