"""Transposition in registers, and sums over samples that end in vectors."""

from itertools import pairwise

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import Adam
from thalweg.training import native_plan
from thalweg.training.native_program import NativeProgram
from thalweg.training.program import Program
from thalweg.trees import leaves

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (40, 100), (5, 64), (64, 3), (8, 8), (1, 9)])
def test_transposed_operands(shape, dtype):
    a, b = RNG.normal(size=shape).astype(dtype), RNG.normal(size=shape[::-1]).astype(dtype)
    f = tw.compile(lambda a, b: (b.T, a + 2 * b.T, (a * b.T).T))
    wanted = (b.T, a + 2 * b.T, (a * b.T).T)
    for found, value in zip(f(a, b), wanted, strict=True):
        assert np.array_equal(found, value)


def test_squares_are_transposed_in_registers():
    f = tw.compile(lambda a, b: a + b.T)
    f(np.zeros((64, 64)), np.zeros((64, 64)))
    assert "transposed from i0" in f.show("loops")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(40, 20, 20), (16, 1, 9), (33, 200, 17), (500, 7, 64)], ids=str)
def test_products_of_short_rows_end_in_vectors(dtype, shape):
    samples, inputs, outputs = shape
    X, W = RNG.normal(size=(samples, inputs)), RNG.normal(size=(outputs, inputs))
    X, W, b = X.astype(dtype), W.astype(dtype), RNG.normal(size=outputs).astype(dtype)
    f = tw.compile(lambda X, W, b: (np.tanh(X @ W.T + b), (X[::-1] @ W.T).sum(axis=0)))
    found, total = f(X, W, b)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    wanted = np.tanh(X @ W.T + b)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(total, (X @ W.T).sum(axis=0), rtol=tolerance, atol=50 * tolerance)


def test_which_products_of_rows_are_turned():
    def turned(samples, inputs, outputs):
        f = tw.compile(lambda X, W: X @ W.T)
        f(np.zeros((samples, inputs)), np.zeros((outputs, inputs)))
        return "_turned" in f.show("loops")

    assert turned(100, 20, 20)
    assert not turned(100, 20, 2)  # no vector of results
    assert not turned(4, 20, 20)  # transposed for few uses
    assert not turned(100, 2000, 20)  # long rows


SIZES = [(20, 40, 24, 9), (8, 64, 64, 1), (33, 16, 17), (3, 70, 8, 8)]
WAYS = {
    "whole": (1 << 30, 0, 0),
    "halved": (1 << 30, 0, 2),
    "blocked": (20_000, 0, 2),
    "chunked": (20_000, 1 << 24, 2),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_way_through_a_batch_gives_the_interpreters_parameters(sizes, way, monkeypatch):
    cache_bytes, chunk_bytes, halves = WAYS[way]
    monkeypatch.setattr(native_plan, "CACHE_BYTES", cache_bytes)
    monkeypatch.setattr(native_plan, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(native_plan, "HALVES", halves)
    layers = [Dense(n, m, "tanh") for n, m in pairwise(sizes[:-1])]
    net = Network([*layers, Dense(sizes[-2], sizes[-1])])
    objective = NetworkObjective(net, loss("mse"), Penalty(l2=1e-3))
    X, T = RNG.normal(size=(2503, sizes[0])), RNG.normal(size=(2503, sizes[-1]))
    weights, order = RNG.uniform(0.5, 2, 2503), RNG.permutation(2503)
    chosen = native_plan.plan(net, 1000, np.dtype("float64"), 2)
    wanted = {"whole": (False, {0}), "halved": (False, {2}), "blocked": (True, {0})}
    blocked, chunks = wanted.get(way, (True, {8, 16}))
    assert chosen.blocked == blocked and chosen.chunks in chunks
    states = []
    for kind in (Program, NativeProgram):
        program = kind(objective, Adam())
        state = program.start(net.initial(0))
        losses = [
            program.epoch(state, X, T, weights, order, 1000, np.full(3, 0.01)) for _ in range(2)
        ]
        states.append([*losses, *leaves(state.params), *leaves(state.memory)])
    for found, wanted in zip(*states, strict=True):
        assert np.allclose(found, wanted, rtol=1e-11, atol=1e-13)


def test_a_chunk_without_samples(monkeypatch):
    monkeypatch.setattr(native_plan, "CACHE_BYTES", 1)
    net = Network([Dense(3, 9, "tanh"), Dense(9, 2)])
    objective = NetworkObjective(net, loss("mse"))
    chosen = native_plan.plan(net, 70, np.dtype("float64"), 1, everything=True)
    assert chosen.chunks * chosen.lanes > 70
    X, T = RNG.normal(size=(70, 3)), RNG.normal(size=(70, 2))
    values = []
    for kind in (Program, NativeProgram):
        program = kind(objective, Adam())
        state = program.start(net.initial(0))
        for _ in range(3):  # sums that were left over would be seen in the second step
            program.epoch(state, X, T, np.ones(70), np.arange(70), 70, np.full(1, 0.01))
        values.append(leaves(state.params))
    for found, wanted in zip(*values, strict=True):
        assert np.allclose(found, wanted, rtol=1e-12, atol=1e-14)
