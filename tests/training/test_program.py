"""The interpreter's program: weights, ragged batches, steps, dtypes."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn.network import dense_network, flat
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import RULES, Conditioning
from thalweg.training.program import Program, batch_count

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(11, 3)), RNG.normal(size=(11, 2))
NET = dense_network(3, [4], 2, "tanh")
ONES = np.ones(11)


def program(rule=None, **how):
    penalty = how.pop("penalty", Penalty())
    return Program(NetworkObjective(NET, tw.mse, penalty), rule or tw.SGD(), **how)


def run(runner, data, order, batch, rate=0.1, epochs=3):
    state = runner.start(NET.initial(0))
    rates = np.full(batch_count(len(order), batch), rate)
    losses = [runner.epoch(state, *data, order, batch, rates) for _ in range(epochs)]
    return state, losses


def test_a_weight_of_two_is_a_row_written_twice():
    w = np.where(np.arange(11) == 4, 2.0, 1.0)
    twice = np.append(np.arange(11), 4)
    a, first = run(program(), (X, T, w), np.arange(11), 11)
    b, second = run(program(), (X, T, ONES), twice, 12)
    assert np.allclose(flat(a.params), flat(b.params), rtol=1e-13)
    assert np.allclose(first, second, rtol=1e-13)


def test_a_weight_of_zero_is_no_row():
    w = np.where(np.arange(11) == 4, 0.0, 1.0)
    a, _ = run(program(), (X, T, w), np.arange(11), 11)
    b, _ = run(program(), (X, T, ONES), np.delete(np.arange(11), 4), 10)
    assert np.allclose(flat(a.params), flat(b.params), rtol=1e-13)


def test_a_batch_of_weight_zero_moves_nothing():
    state, losses = run(program(), (X, T, 0 * ONES), np.arange(11), 4)
    assert np.array_equal(flat(state.params), flat(NET.initial(0)))
    assert losses == [0.0] * 3


@pytest.mark.parametrize("batch", [1, 4, 5, 11, 50])
def test_ragged_batches_count_steps_and_weigh_losses(batch):
    order = RNG.permutation(11)
    state, losses = run(program(tw.SGD()), (X, T, ONES), order, batch, rate=0.0)
    assert state.step == 3 * batch_count(11, batch)
    whole = tw.mse(NET(NET.initial(0), X), T)
    assert np.allclose(losses, whole, rtol=1e-13)


def test_one_step_is_the_gradient():
    runner = program(tw.SGD(), penalty=Penalty(l2=0.1))
    _, slope = runner.gradient(NET.initial(0), X, T, ONES)
    state, _ = run(runner, (X, T, ONES), np.arange(11), 11, rate=0.1, epochs=1)
    assert np.allclose(flat(state.params), flat(NET.initial(0)) - 0.1 * flat(slope), rtol=1e-13)
    assert np.isclose(state.penalty, Penalty(l2=0.1)(NET.initial(0)))


def test_clipping_and_decay_come_before_the_rule():
    runner = program(tw.SGD(), conditioning=Conditioning(clip_norm=0.01, weight_decay=0.5))
    _, slope = runner.gradient(NET.initial(0), X, T, ONES)
    state, _ = run(runner, (X, T, ONES), np.arange(11), 11, rate=1.0, epochs=1)
    clipped = flat(slope) * 0.01 / (np.linalg.norm(flat(slope)) + 1e-6)
    start = flat(NET.initial(0))
    assert np.allclose(flat(state.params), start - clipped - 0.5 * start, rtol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_float32_stays_float32_and_near_float64(name):
    results = []
    for dtype in (np.float32, np.float64):
        runner = program(RULES[name](), dtype=dtype)
        data = tuple(a.astype(dtype) for a in (X, T, ONES))
        state, _ = run(runner, data, np.arange(11), 4, rate=0.001)
        assert flat(state.params).dtype == dtype
        assert all(v.dtype == dtype for m in state.memory for v in m.values())
        results.append(flat(state.params))
    assert np.allclose(*results, atol=1e-2 if name in ("rprop", "lion") else 1e-4)


def test_what_is_maximised_rises():
    ascending = Program(NetworkObjective(NET, tw.performance), tw.GD())
    state = ascending.start(NET.initial(0))
    losses = [
        ascending.epoch(state, X, T, ONES, np.arange(11), 11, np.array([0.1])) for _ in range(20)
    ]
    utility = [-value for value in losses]
    assert utility == sorted(utility) and utility[-1] <= 0


def test_the_state_of_the_caller_is_copied():
    start = NET.initial(0)
    before = flat(start)
    run(program(), (X, T, ONES), np.arange(11), 4)
    assert np.array_equal(before, flat(start))


def test_dropout_gives_the_same_masks_natively():
    pytest.importorskip("llvmlite")
    from thalweg.nn.losses import loss
    from thalweg.nn.network import Dense, Network
    from thalweg.optim.rules import Adam
    from thalweg.training.native_program import NativeProgram
    from thalweg.trees import flatten

    net = Network([Dense(4, 9, "relu", dropout=0.4), Dense(9, 5, "tanh", dropout=0.2), Dense(5, 2)])
    objective = NetworkObjective(net, loss("mse"))
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(53, 4)), rng.normal(size=(53, 2))
    states = []
    for kind in (Program, NativeProgram):
        program = kind(objective, Adam())
        state = program.start(net.initial(1))
        for _ in range(3):
            order = np.arange(53)[::-1].copy()
            program.epoch(state, X, T, np.ones(53), order, 10, np.full(6, 0.01))
        states.append(state)
    for a, b in zip(flatten(states[0].params)[0], flatten(states[1].params)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
