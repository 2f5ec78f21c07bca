"""Several threads: the same bits as one, and Ctrl-C leaves no state half changed."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.compiler import function
from thalweg.compiler.pace import Pace
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Adam
from thalweg.training import native_plan
from thalweg.training.batches import Samples
from thalweg.training.native_program import NativeProgram
from thalweg.trees import leaves

NET = Network([Dense(9, 33, "relu"), Dense(33, 17, "tanh"), Dense(17, 3)])
OBJECTIVE = NetworkObjective(NET, loss("mse"))
RNG = np.random.default_rng(5)
X, T = RNG.normal(size=(301, 9)), RNG.normal(size=(301, 3))


@pytest.fixture(autouse=True)
def all_threads(monkeypatch):
    """Always as many threads as are asked for, also where they do not pay."""
    monkeypatch.setattr(Pace, "threads", property(lambda self: self.most))


WAYS = {
    "whole": (1 << 20, 0, 0),
    "halved": (1 << 20, 0, 2),
    "blocked": (20_000, 0, 2),
    "chunked": (20_000, 1 << 20, 2),
}


def plan_for(way: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    cache_bytes, chunk_bytes, halves = way
    monkeypatch.setattr(native_plan, "WORK_PER_THREAD", 1.0)
    monkeypatch.setattr(native_plan, "WEIGHTS_PER_VALUE", 0)
    monkeypatch.setattr(native_plan, "CACHE_BYTES", cache_bytes)
    monkeypatch.setattr(native_plan, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(native_plan, "HALVES", halves)


def trained(
    threads: int, dtype: str, monkeypatch: pytest.MonkeyPatch, way: tuple[int, int, int]
) -> list:
    plan_for(way, monkeypatch)
    program = NativeProgram(OBJECTIVE, Adam(), dtype, threads=threads)
    state = program.start(NET.initial(0))
    data = [a.astype(dtype) for a in (X, T, np.ones(301))]
    losses = [program.epoch(state, *data, np.arange(301), 100, np.full(4, 0.01)) for _ in range(3)]
    return [*losses, *(leaf.tobytes() for leaf in leaves(state.params))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_bits_do_not_depend_on_the_number_of_threads(dtype, way, monkeypatch):
    one = trained(1, dtype, monkeypatch, way)
    for threads in (2, 3, 4):
        assert trained(threads, dtype, monkeypatch, way) == one


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_rows_that_are_kept_are_found_by_any_number_of_threads(way, monkeypatch):
    plan_for(way, monkeypatch)
    results, order = [], np.broadcast_to(RNG.permutation(301), (5, 301))
    for turns in ([1], [2], [3], [4], [2, 2, 1, 1, 2], [1, 4, 2], [4, 1, 4, 3]):
        taken = iter(turns * 6)
        monkeypatch.setattr(Pace, "threads", property(lambda self, taken=taken: next(taken)))
        monkeypatch.setattr(Pace, "batches", lambda self, threads: 1)  # a call for each
        program = NativeProgram(OBJECTIVE, Adam(), threads=4)
        state = program.start(NET.initial(0))
        rates = np.full((5, 1), 0.01)
        losses, trail = program.epochs(state, Samples(X, T, np.ones(301)), order, 301, rates)
        results.append((losses.tobytes(), trail.tobytes()))
    assert len(set(results)) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as on Unix")
def test_ctrl_c_waits_for_all_threads(monkeypatch):
    monkeypatch.setattr(native_plan, "WORK_PER_THREAD", 1.0)
    monkeypatch.setattr(native_plan, "WEIGHTS_PER_VALUE", 0)
    program = NativeProgram(OBJECTIVE, Adam(), threads=2)
    state = program.start(NET.initial(0))
    order = np.tile(np.arange(301), 20)
    rates = np.full(-(-len(order) // 50), 1e-3)
    program.epoch(state, X, T, np.ones(301), order, 50, rates)  # compiled before it is interrupted
    for delay in (0.05, 0.06, 0.07):
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            for _ in range(100_000):
                program.epoch(state, X, T, np.ones(301), order, 50, rates)
        timer.join()
    assert all(np.isfinite(leaf).all() for leaf in leaves(state.params))


def test_compiled_functions_on_several_threads(monkeypatch):
    x = RNG.normal(size=(203, 101))

    def f(x):
        y = tnp.tanh(x @ x.T)
        return tnp.exp(y - y.max(axis=1, keepdims=True)) / y.sum(axis=0), (y + y.T).sum(axis=1)

    wanted = f(x)
    monkeypatch.setattr(function, "WORK_PER_THREAD", 1.0)
    bits = set()
    for threads in (1, 2, 3):
        monkeypatch.setattr(function, "available_threads", lambda n=threads: n)
        found = tw.compile(f)(x)
        bits.add(tuple(part.tobytes() for part in found))
        for one, other in zip(found, wanted, strict=True):
            assert np.allclose(one, other, rtol=1e-10)
    assert len(bits) == 1


def test_calls_from_several_python_threads_at_once(monkeypatch):
    monkeypatch.setattr(native_plan, "WORK_PER_THREAD", 1.0)
    monkeypatch.setattr(native_plan, "WEIGHTS_PER_VALUE", 0)
    program = NativeProgram(OBJECTIVE, Adam(), threads=2)

    def train(_=None):
        state = program.start(NET.initial(0))
        for _ in range(20):
            program.epoch(state, X, T, np.ones(301), np.arange(301), 50, np.full(7, 1e-3))
        return [leaf.tobytes() for leaf in leaves(state.params)]

    alone = train()
    with ThreadPoolExecutor(4) as pool:
        assert all(bits == alone for bits in pool.map(train, range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(native_plan, "WORK_PER_THREAD", 1.0)
    monkeypatch.setattr(native_plan, "WEIGHTS_PER_VALUE", 0)
    program = NativeProgram(OBJECTIVE, Adam(), threads=2)

    def step():
        state = program.start(NET.initial(0))
        return program.epoch(state, X, T, np.ones(301), np.arange(301), 50, np.full(7, 1e-3))

    wanted = step()
    child = os.fork()
    if not child:
        os._exit(0 if step() == wanted else 1)
    assert os.waitpid(child, 0)[1] == 0
