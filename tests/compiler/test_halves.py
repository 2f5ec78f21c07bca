"""Sums over samples in halves: what becomes of a nest, when it is done, the same bits always."""

from itertools import pairwise

import numpy as np
import pytest

from thalweg.compiler.halves import in_halves
from thalweg.compiler.loops import (
    PANELS,
    Access,
    Apply,
    Buffer,
    Load,
    Nest,
    Reduced,
    Reduction,
    Store,
)
from thalweg.compiler.pace import Pace
from thalweg.compiler.target import host
from thalweg.compiler.vectorise import vectorise
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import RULES, Conditioning
from thalweg.training import native_plan
from thalweg.training.native_plan import plan
from thalweg.training.native_program import NativeProgram
from thalweg.training.program import Program
from thalweg.trees import flatten

RNG = np.random.default_rng(8)


def sum_nest(axes):
    """Sums over samples of d[i]·a[j], or of d[i], doubled."""
    panels = [Buffer(n, (70, 32), "float32", "temporary", True) for n in "da"[: len(axes)]]
    strides = [[0] * len(axes) for _ in panels]
    for axis, own in enumerate(strides):
        own[axis] = 32
    loads = [Load(Access(b, (*s, b.size, 1))) for b, s in zip(panels, strides, strict=True)]
    value = Apply("multiply", tuple(loads), "float32") if len(loads) > 1 else loads[0]
    total = Reduced(0, "float32", frozenset(range(len(axes))))
    out = Buffer("out", axes, "float32", "state")
    store = Store(Access(out, out.strides), Apply("add", (total, total), "float32"))
    return Nest(axes, [store], (PANELS, 32), [Reduction("sum", value)])


def test_sums_by_rows_are_stored_and_then_added_to():
    halves = in_halves([sum_nest((70, 64))])
    assert not halves.before and not halves.small and not halves.stacks
    assert str(halves.first[0]).endswith("half0[64*i0 + i1] = r0")
    assert str(halves.after[0]).endswith("out[64*i0 + i1] = add(v0, v0)")
    assert "v0 = add(half0[64*i0 + i1], r0)" in str(halves.after[0])
    vectorise([*halves.first, *halves.after], host())
    (first,), (after,) = halves.first, halves.after
    assert first.tiles == after.tiles and max(first.tiles) > 1
    assert (first.vector, first.axes) == (after.vector, after.axes)


def test_small_sums_of_both_halves_lie_side_by_side():
    halves = in_halves([sum_nest((70,))])
    assert not halves.before and not halves.first
    assert str(halves.small[0]).endswith("stack0_part[i0] = r0")
    assert str(halves.after[0]) == (
        "for i0<70:\n    v0 = add(stack0[i0], stack0[i0 + 70])\n    out[i0] = add(v0, v0)"
    )
    ((part, stack),) = halves.stacks.items()
    assert stack.shape == (2, *part.shape)


def test_the_plan_looks_at_shapes_alone():
    def chosen(sizes, batch, threads):
        net = Network([Dense(n, m, "tanh") for n, m in pairwise(sizes)])
        found = plan(net, batch, np.dtype("float32"), threads)
        return found.blocked, found.chunks, found.threads

    for threads in (1, 2):
        assert chosen((8, 64, 64, 1), 64, threads) == (False, 2, threads)
        assert chosen((4, 32, 16, 4), 1000, threads) == (False, 2, threads)
        assert chosen((784, 256, 128, 10), 128, threads) == (False, 0, threads)  # many weights
        assert chosen((4, 8, 4), 128, threads) == (False, 0, 1)  # little work
        assert chosen((64, 64, 64, 64), 16, threads)[1] == 0  # a single panel


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", ["adam", "nadam", "rprop"])
@pytest.mark.parametrize(
    ("penalty", "conditioning", "dropout"),
    [
        (None, None, 0.3),
        (Penalty(0.01, 0.02), Conditioning(clip_norm=0.5), 0.0),
        (None, Conditioning(0.5, 0.05, 0.01), 0.0),
    ],
)
def test_bits_and_values(dtype, rule, penalty, conditioning, dropout, monkeypatch):
    monkeypatch.setattr(Pace, "threads", property(lambda self: self.most))
    monkeypatch.setattr(native_plan, "WORK_PER_THREAD", 1.0)
    net = Network([Dense(9, 70, "tanh", dropout=dropout), Dense(70, 33, "relu"), Dense(33, 2)])
    goal = NetworkObjective(net, loss("mse"), *([penalty] if penalty else []))
    data = [RNG.normal(size=(171, 9)), RNG.normal(size=(171, 2)), RNG.uniform(0, 2, 171)]
    data, order = [a.astype(dtype) for a in data], RNG.permutation(171)

    def trained(program):
        state = program.start(net.initial(0))
        for _ in range(2):  # last batches of 11 samples: one half has none
            program.epoch(state, *data, order, 80, np.full(3, 0.01))
        return flatten([state.params, state.memory])[0]

    programs = [
        NativeProgram(goal, RULES[rule](), dtype, conditioning, threads=n) for n in (1, 2, 3, 5)
    ]
    assert programs[1]._program(80)[1].chunks == 2
    one, *others = map(trained, programs)
    for other in others:
        assert [a.tobytes() for a in other] == [a.tobytes() for a in one]
    if dtype == np.float64:
        for found, wanted in zip(
            one, trained(Program(goal, RULES[rule](), dtype, conditioning)), strict=True
        ):
            np.testing.assert_allclose(found, wanted, 1e-10, 1e-12)
