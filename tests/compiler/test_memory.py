"""Where arrays are laid that native code changes, and what is asked for ahead of time."""

from itertools import pairwise

import numpy as np
import pytest

from thalweg.compiler.memory import ALIGNMENT, copied, pitch_of, spread
from thalweg.compiler.pace import Pace
from thalweg.compiler.target import host
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import RULES
from thalweg.training import native_plan
from thalweg.training.batches import Samples
from thalweg.training.native_program import NativeProgram
from thalweg.training.program import Program, batch_count
from thalweg.trees import flatten

RNG = np.random.default_rng(5)
SHAPES = [(40, 130), (40,), (20, 256), (1, 700), (), (3, 2, 5), (600, 3)]


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copies_begin_at_cache_lines_and_share_nothing(dtype):
    given = [RNG.normal(size=shape) for shape in SHAPES]
    found = copied(given, np.dtype(dtype))
    for copy, array in zip(found, given, strict=True):
        assert copy.dtype == dtype and copy.shape == array.shape
        assert address(copy) % ALIGNMENT == 0
        assert np.array_equal(copy, array.astype(dtype))
    for k, copy in enumerate(found):
        copy[...] = k
    for k, copy in enumerate(found):
        assert np.all(copy == k)


@pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")])
def test_rows_of_copies_are_as_far_apart_as_code_expects(dtype):
    for shape in [*SHAPES, (4, 2), (64, 64), (100, 100), (1024, 1024), (512, 512)]:
        for others in ([], [np.ones((300, 300))]):  # in a large room and by itself
            copy, *_ = copied([np.ones(shape), *others], dtype)
            pitch = pitch_of(shape, dtype.itemsize)
            if pitch:
                assert copy.strides == (pitch * dtype.itemsize, dtype.itemsize)
            else:
                assert copy.flags.c_contiguous


def test_neighbouring_rows_do_not_fall_on_the_same_cache_lines():
    sets = 64 * 64  # of a first cache with 64 sets of lines
    for width in (512, 784, 1000, 1024, 2048, 3072):
        pitch = pitch_of((1024, width), 4)
        starts = 4 * (pitch or width) * np.arange(32)
        assert max(np.bincount(starts[:14] % sets // 64)) <= 2
        block = (starts[:, None] + 64 * np.arange(13)) % sets // 64
        assert max(np.bincount(block.ravel())) <= 9  # of 8, and a second cache
    assert spread(130, 8) == 130 and spread(256, 8) == 264


def programs(sizes, dtype, threads=1):
    *hidden, last = pairwise(sizes)
    net = Network([*(Dense(n, m, "tanh") for n, m in hidden), Dense(*last)])
    objective = NetworkObjective(net, loss("mse"))
    rule = RULES["adam"]()
    return net, NativeProgram(objective, rule, dtype, threads=threads), Program(objective, rule)


def samples_for(net, count=50):
    X = RNG.normal(size=(count, net.inputs))
    return Samples(X, X[:, : net.outputs], RNG.uniform(0.5, 2.0, count))


@pytest.mark.parametrize("sizes", [(130, 40, 3), (256, 40, 256), (600, 17, 1)])
def test_training_with_rows_apart_is_the_interpreters(sizes):
    net, native, plain = programs(sizes, "float64")
    data = samples_for(net)
    order, rates = RNG.permutation(50), np.full(batch_count(50, 20), 0.01)
    found, wanted = native.start(net.initial(0)), plain.start(net.initial(0))
    for _ in range(4):
        one, other = (
            program.epoch(state, *data, order, 20, rates)
            for program, state in ((native, found), (plain, wanted))
        )
        assert one == pytest.approx(other, rel=1e-12)
    for a, b in zip(*(flatten([s.params, s.memory])[0] for s in (found, wanted)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert all(a.flags.c_contiguous for a in flatten(found.params)[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunks", [0, 2])
def test_the_trail_has_the_rows_one_after_the_other(dtype, chunks, monkeypatch):
    def chosen(network, batch_size, dtype, threads, everything=False):
        lanes = native_plan.host().lanes(dtype.itemsize)
        return native_plan.Plan(lanes, threads > 1, False, chunks, batch_size, threads)

    monkeypatch.setattr("thalweg.training.native_program.plan", chosen)
    monkeypatch.setattr(Pace, "threads", property(lambda self: self.most))
    trails = []
    for threads in (1, 2):
        net, native, _ = programs((256, 40, 3), dtype, threads)
        random = np.random.default_rng(1)
        X = random.normal(size=(50, 256))
        data = Samples(X, X[:, :3], np.ones(50))
        orders = np.array([random.permutation(50) for _ in range(3)])
        rates = np.full((3, 3), 0.01)
        state, single = native.start(net.initial(0)), native.start(net.initial(0))
        _, trail = native.epochs(state, data, orders, 20, rates)
        for k in range(3):
            native.epoch(single, *data, orders[k], 20, rates[k])
            leaves = flatten(single.params)[0]
            assert np.array_equal(np.concatenate([a.ravel() for a in leaves]), trail[k])
        trails.append(trail)
    assert np.array_equal(*trails)


def test_what_the_next_tile_changes_is_asked_for_where_it_is_large():
    def asked(sizes):
        _, native, _ = programs(sizes, "float64")
        program, _ = native._program(32)
        assert program.lanes >= host().lanes(8)
        return program.code.text.count("call void @llvm.prefetch")

    assert asked((64, 400, 1)) > asked((8, 16, 1))


def test_the_next_row_is_asked_for_where_rows_are_long(monkeypatch):
    """The last row of a batch has none after it; what is computed does not change."""
    sizes, found = (301, 9, 2), []
    random = np.random.default_rng(2)
    X, order = random.normal(size=(45, 301)), random.permutation(45)
    for least in (1 << 10, 1 << 30):
        monkeypatch.setattr("thalweg.compiler.ahead.LONG_ROW", least)
        net, native, _ = programs(sizes, "float32")
        state = native.start(net.initial(0))
        data = (X.astype("float32"), X[:, :2].astype("float32"), np.ones(45, "float32"))
        native.epoch(state, *data, order, 33, np.full(2, 0.01))
        asked = native._program(33)[0].code.text.count("call void @llvm.prefetch")
        found.append((asked, np.concatenate([a.ravel() for a in flatten(state.params)[0]])))
    assert found[0][0] > found[1][0]
    assert np.array_equal(found[0][1], found[1][1])


def test_what_is_done_before_the_samples_keeps_its_place():
    """On one thread places are used again, also those of what a penalty needs."""
    sizes = (5, 70, 33, *[20] * 6, 30, 2)
    net = Network([*(Dense(n, m, "silu") for n, m in pairwise(sizes[:-1])), Dense(*sizes[-2:])])
    goal, rule = NetworkObjective(net, loss("mse"), Penalty(0.01, 0.02)), RULES["gd"]()
    X, T = (RNG.normal(size=(26, n)).astype("float32") for n in (net.inputs, net.outputs))
    leaves = []
    for program in (
        NativeProgram(goal, rule, "float32", threads=1),
        Program(goal, rule, "float32"),
    ):
        state = program.start(net.initial(1))
        program.epoch(state, X, T, np.ones(26), np.arange(26), 26, np.full(1, 0.003))
        leaves.append(flatten(state.params)[0])
    for one, other in zip(*leaves, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
