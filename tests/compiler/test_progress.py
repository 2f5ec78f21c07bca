"""Waiting for what is needed: every order that matters is kept, and nothing else is waited for."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.compiler.loops import Buffer
from thalweg.compiler.pace import Pace
from thalweg.compiler.progress import Piece, waits
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import Adam
from thalweg.training import native_plan
from thalweg.training.batches import Samples
from thalweg.training.native_program import NativeProgram
from thalweg.trees import flatten

BUFFERS = [Buffer(f"b{k}", (4,), "float32", "temporary", panels=k > 2) for k in range(5)]
SETS = st.sets(st.sampled_from(BUFFERS), max_size=2)
PIECES = st.lists(
    st.builds(Piece, st.sampled_from(["panels", "rows", "single", "half"]), SETS, SETS),
    min_size=1,
    max_size=7,
)


def together(one: Piece, other: Piece, same_step: bool, alone: bool) -> bool:
    """Whether two pieces may be done by different threads at the same time."""
    shared = (one.writes & (other.reads | other.writes)) | (other.writes & one.reads)
    if not any(not (alone and buffer.panels) for buffer in shared):
        return True
    dealt_alike = {"single", "half"} | ({"panels"} if same_step else set())
    return one.kind == other.kind and one.kind in dealt_alike


@settings(max_examples=300, deadline=None, derandomize=True)
@given(PIECES, st.booleans())
def test_all_that_must_be_done_is_waited_for_and_no_more(pieces, alone):
    count = len(pieces)
    found = waits(pieces, alone)
    # What is known when a piece begins: all waits so far, also those of the step before.
    known = max((w - count for w in found if w is not None), default=-2 * count)
    for position, (piece, wait) in enumerate(zip(pieces, found, strict=True)):
        before = [(k, k >= 0) for k in range(-count, position)]
        needed = [k for k, same in before if not together(pieces[k], piece, same, alone)]
        if wait is not None:
            assert wait in needed
            known = max(known, wait)
        assert all(k <= known for k in needed)


def test_threads_with_panels_of_their_own_meet_less():
    W, half = (Buffer(name, (9, 9), "float32", "state") for name in ("W", "half"))
    a = Buffer("a", (9, 32), "float32", "temporary", True)
    pieces = [
        Piece("panels", {W}, {a}),
        Piece("rows", {a}, {half}),
        Piece("rows", {a, half}, {W}),
    ]
    assert waits(pieces) == [-1, 0, 1]  # barriers between all of them
    assert waits(pieces, alone=True) == [-1, None, 1]


@pytest.mark.parametrize(("halves", "size"), list(product((0, 2), (64, 80, 301))))
def test_bits_of_many_steps(halves, size, monkeypatch):
    """Many short and uneven batches, and what each epoch leaves behind."""
    monkeypatch.setattr(Pace, "threads", property(lambda self: self.most))
    monkeypatch.setattr(native_plan, "WORK_PER_THREAD", 1.0)
    monkeypatch.setattr(native_plan, "WEIGHTS_PER_VALUE", 0)
    monkeypatch.setattr(native_plan, "HALVES", halves)
    rng = np.random.default_rng(3)
    net = Network([Dense(5, 70, "relu", dropout=0.1), Dense(70, 33, "tanh"), Dense(33, 2)])
    goal = NetworkObjective(net, loss("mse"), Penalty(0.01, 0.02))
    samples = Samples(rng.normal(size=(301, 5)), rng.normal(size=(301, 2)), rng.uniform(size=301))
    orders = np.array([rng.permutation(301) for _ in range(20)])
    rates = np.full((20, -(-301 // size)), 0.01)

    def trained(threads):
        program = NativeProgram(goal, Adam(), threads=threads)
        state = program.start(net.initial(0))
        losses, trail = program.epochs(state, samples, orders, size, rates)
        leaves = flatten([state.params, state.memory])[0]
        return [a.tobytes() for a in (losses, trail, *leaves)]

    one = trained(1)
    for threads in (2, 3, 5):
        assert trained(threads) == one
