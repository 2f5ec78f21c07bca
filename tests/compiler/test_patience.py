"""Long native work and Ctrl-C: heard at once, and nothing is changed that is still of use."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from thalweg.compiler.layout import GIVE_UP
from thalweg.compiler.pace import Pace
from thalweg.compiler.patience import run_patiently
from thalweg.compiler.program import Batches, BatchProgram
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Adam
from thalweg.training import native_plan
from thalweg.training.batches import Samples
from thalweg.training.native_program import NativeProgram
from thalweg.training.native_sums import NativeSums
from thalweg.trees import leaves

LONG = 1e9
unix = pytest.mark.skipif(os.name == "nt", reason="signals are sent as on Unix")


class Interrupted:
    """Sends Ctrl-C soon; whoever is interrupted must be so long before the work would end."""

    def __enter__(self):
        self.timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        self.timer.start()

    def __exit__(self, *error):
        self.timer.join()


def test_every_thread_has_its_share():
    seen = []
    run_patiently(lambda number, of: seen.append((number, of)), 3, LONG)
    assert sorted(seen) == [(0, 3), (1, 3), (2, 3)]


def test_errors_are_raised():
    def fail(number, of):
        raise ValueError("as it should")

    with pytest.raises(ValueError, match="as it should"):
        run_patiently(fail, 1, LONG)


def test_short_work_stays_where_it_is():
    found = []
    run_patiently(lambda number, of: found.append(threading.current_thread()), 1, 0.001)
    assert found == [threading.current_thread()]


@unix
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_leaves_long_work_behind(threads):
    told = threading.Event()
    with Interrupted(), pytest.raises(KeyboardInterrupt):
        run_patiently(lambda number, of: told.wait(60), threads, LONG, told.set)
    assert told.is_set()


# -- training --------------------------------------------------------------------------------------
RNG = np.random.default_rng(3)
CHUNK_BYTES = {"chunked": 1 << 20, "blocked": 0}


@unix
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", CHUNK_BYTES)
def test_an_interrupted_batch_is_given_up(kind, threads, monkeypatch):
    monkeypatch.setattr(Pace, "threads", property(lambda self: self.most))
    monkeypatch.setattr(native_plan, "CHUNK_BYTES", CHUNK_BYTES[kind])
    net = Network([Dense(8, 64, "tanh"), Dense(64, 64, "tanh"), Dense(64, 1)])
    program = NativeProgram(NetworkObjective(net, loss("mse")), Adam(), threads=threads)
    X, T, weights = RNG.normal(size=(1000, 8)), RNG.normal(size=(1000, 1)), np.ones(1000)
    state, order, rate = program.start(net.initial(0)), np.arange(1000), np.array([0.01])
    before = [leaf.tobytes() for leaf in leaves(state.params)]
    endless = np.tile(order, 20_000)
    (found, chosen) = program._program(len(endless), everything=True)
    assert (found.blocked, bool(found.chunks), chosen.threads) == (True, kind == "chunked", threads)
    with Interrupted(), pytest.raises(KeyboardInterrupt):
        program.epoch(state, X, T, weights, endless, len(endless), rate)
    assert [leaf.tobytes() for leaf in leaves(state.params)] == before and state.step == 0
    again = program.epoch(state, X, T, weights, order, 1000, rate)
    fresh = NativeProgram(program.objective, Adam(), threads=threads)
    assert again == fresh.epoch(fresh.start(net.initial(0)), X, T, weights, order, 1000, rate)
    for thread in threading.enumerate():
        if thread.name.startswith("thalweg-long"):
            thread.join(timeout=30)  # told to give up, it ends with the block it is at
            assert not thread.is_alive()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("chunks", [0, 4])
def test_no_sample_is_used_once_a_batch_is_not_wanted(chunks, threads, monkeypatch):
    net = Network([Dense(3, 5, "tanh"), Dense(5, 1)])
    step = NativeProgram(NetworkObjective(net, loss("mse")), Adam())._step("loss")
    program = BatchProgram(step, 8, threaded=True, blocked=True, chunks=chunks)
    X, T, w = RNG.normal(size=(100, 3)), RNG.normal(size=(100, 1)), np.ones(100)
    data = [X, T, w, np.arange(100), np.zeros(1, np.int64)]
    state = [np.ascontiguousarray(leaf) for leaf in leaves(net.initial(0))]

    def mean() -> float:
        losses = np.zeros((1, 3))
        program.run(Batches(state, data, losses, 100, threads, 16), (0, 1), threads)
        return float(losses[0, 0])

    assert mean() > 0.0
    program._spaces[0][GIVE_UP] = 1
    if not chunks:  # the first thread has told the others by the second block
        whole, one_block = mean(), mean()
        assert 0.0 == one_block < whole
    else:
        assert mean() == 0.0


@unix
def test_sums_are_right_after_an_interrupt(monkeypatch):
    net = Network([Dense(2, 3, "tanh"), Dense(3, 1)])
    samples = Samples(RNG.normal(size=(50, 2)), RNG.normal(size=(50, 1)), np.ones(50))
    sums = NativeSums(NativeProgram(NetworkObjective(net, loss("mse")), Adam()), samples)
    theta = RNG.normal(size=net.count)
    value, slopes = sums(theta)
    old = sums.slopes

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(sums, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sums(theta + 1.0)
    old[:] = 1e9  # what is left behind may still write here
    again, same = sums(theta)
    assert again == value and np.array_equal(same, slopes)


# -- compiled functions ----------------------------------------------------------------------------
@unix
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_compiled_function_that_runs_long(threads):
    code = """
import numpy as np, thalweg as tw, thalweg.numpy as tnp
f = tw.compile(lambda x, y: tnp.exp(x[:, None] * y).sum())
assert np.isclose(f(np.ones(3), np.ones(5)), 15 * np.e)
x = np.zeros(1_000_000)
print("now", flush=True)
try:
    f(x, x)
except KeyboardInterrupt:
    print("interrupted", f(np.zeros(3), np.zeros(5)), flush=True)
"""
    own = {**os.environ, "OMP_NUM_THREADS": threads}
    started = subprocess.Popen(
        [sys.executable, "-c", code], env=own, stdout=subprocess.PIPE, text=True
    )
    try:
        assert started.stdout.readline() == "now\n"
        time.sleep(1.0)
        started.send_signal(signal.SIGINT)
        out, _ = started.communicate(timeout=30)
    finally:
        started.kill()
    assert out == "interrupted 15.0\n" and started.returncode == 0
