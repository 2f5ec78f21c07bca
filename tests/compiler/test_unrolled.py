"""Small programs in registers: as the interpreter has it, for every level of processor, and inside
their arrays."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from tests.compiler.test_bounds import Guarded
from tests.compiler.test_target import LEVELS, runs_here

from thalweg.compiler.loops import PANELS, Access, Buffer, Load, Nest, Reduction, Store
from thalweg.compiler.program import Batches, BatchProgram
from thalweg.compiler.target import Target
from thalweg.compiler.unrolled import one_panel
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Adam
from thalweg.training.native_plan import plan
from thalweg.training.native_program import NativeProgram
from thalweg.training.program import Program
from thalweg.trees import flatten


def objective(*sizes, last="identity", name="mse"):
    layers = [Dense(n, m, "tanh") for n, m in pairwise(sizes[:-1])]
    return NetworkObjective(Network([*layers, Dense(*sizes[-2:], last)]), loss(name))


def samples(network, count, dtype=np.float64):
    random = np.random.default_rng(2)
    X = random.normal(size=(count, network.inputs))
    T = random.normal(size=(count, network.outputs))
    return [a.astype(dtype) for a in (X, T, random.uniform(0.5, 2.0, count))]


def test_the_axis_of_panels_is_left_out():
    x = Buffer("x", (3, 4), "float32", "input", panels=True)
    total = Buffer("sum", (3,), "float32", "output")
    value = Load(Access(x, (4, 12, 1), 2))
    nest = Nest((3,), [], (PANELS, 4), [Reduction("sum", value)])
    nest.inner = [Store(Access(total, (1, 0, 0)), value)]
    assert str(one_panel(nest)) == (
        "for i0<3:\n    for i1<4:\n        r0 = sum x[4*i0 + i1 + 2]\n"
        "        sum[i0] = x[4*i0 + i1 + 2]"
    )
    assert one_panel(one_panel(nest)) is not None


def test_the_plan_keeps_small_steps_in_registers():
    small, large = (objective(*sizes).network for sizes in ((2, 4, 1), (64, 32, 1)))
    assert plan(small, 4, np.dtype("float32"), 2).variant == (4, False, False, 0, True)
    assert not plan(small, 10_000, np.dtype("float32"), 2).unrolled
    assert not plan(large, 4, np.dtype("float32"), 2).unrolled
    linear = objective(1, 1).network
    assert not plan(linear, 300, np.dtype("float32"), 2).unrolled  # much code for little


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(2, 4, 1), (1, 5, 3), (3, 3, 2, 1)])
def test_levels_train(name, dtype, sizes):
    if not runs_here(name):
        pytest.skip(f"this processor is no {name}")
    goal, rule = objective(*sizes), Adam()
    native, plain = NativeProgram(goal, rule, dtype), Program(goal, rule, dtype)
    X, T, weights = samples(goal.network, 7, dtype)
    rates = np.full(2, 0.01)
    order = np.array([6, 2, 0, 1, 5, 3, 4])
    state = plain.start(goal.network.initial(1))
    leaves = [leaf.copy() for part in (state.params, state.memory) for leaf in flatten(part)[0]]
    for lanes, size in ((4, 4), (8, 4), (16, 5), (48, 6)):
        program = BatchProgram(
            native._step("step"), lanes, unrolled=True, target=Target.named(name)
        )
        arrays = [leaf.copy() for leaf in leaves]
        numbers = native._numbers(program, 0, 2, rates)
        losses = np.zeros((2, 3), dtype)
        data = [X, T, weights, order, np.zeros(1, np.int64)]
        program.run(Batches(arrays, data, losses, size, numbers=numbers), (0, 2))
        wanted = plain.start(goal.network.initial(1))
        plain.epoch(wanted, X, T, weights, order, size, rates)
        tolerance = 1e-12 if dtype == np.float64 else 1e-5
        for a, b in zip(arrays, flatten(wanted.params)[0], strict=False):
            np.testing.assert_allclose(a, b, tolerance, tolerance)
        np.testing.assert_allclose(
            losses[:, 2], [weights[order[:size]].sum(), weights[order[size:]].sum()], 1e-6
        )


@pytest.mark.skipif(sys.platform == "win32", reason="uses mprotect")
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize(("sizes", "count"), [((2, 4, 1), 3), ((4, 7, 3), 16), ((1, 5, 1), 41)])
def test_nothing_outside_the_arrays_is_touched(at_end, sizes, count):
    goal = objective(*sizes)
    native = NativeProgram(goal, Adam(), np.float32)
    program, chosen = native._program(count)
    assert chosen.unrolled
    state = native.start(goal.network.initial(1))
    given = [leaf for part in (state.params, state.memory) for leaf in flatten(part)[0]]
    data = [*samples(goal.network, count, np.float32), np.arange(count), np.zeros(1, np.int64)]
    numbers = native._numbers(program, 0, 1, np.full(1, 0.01))
    arrays, regions = [], []
    for array in [*given, *data, *numbers, np.zeros((1, 3), np.float32)]:
        regions.append(Guarded(array.nbytes, at_end))
        regions[-1].fill(array)
        inside = (np.ctypeslib.ctypes.c_char * array.nbytes).from_address(regions[-1].address)
        arrays.append(np.frombuffer(inside, array.dtype).reshape(array.shape))
    *kept, table, rates, losses = arrays
    parts = kept[: len(given)], kept[len(given) :]
    program.run(Batches(*parts, losses, count, numbers=(table, rates)), (0, 1))
    assert losses[0, 2] == pytest.approx(data[2].sum(), rel=1e-6)
    for region in regions:
        region.close()


@pytest.mark.parametrize("sizes", [(2, 4, 1), (30, 20, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_decays_ends_at_zero(sizes, dtype):
    goal = objective(*sizes)
    native = NativeProgram(goal, Adam(), dtype, threads=1)
    X, _, weights = samples(goal.network, 4, dtype)
    X[:] = 0.0
    state = native.start(
        [{k: np.zeros_like(a) for k, a in p.items()} for p in goal.network.initial(1)]
    )
    smallest = np.finfo(dtype).smallest_normal
    for entry in state.memory:
        for array in entry.values():
            array[...] = 8 * smallest
    rates = np.full(200, 0.01)
    native.epoch(state, X, np.zeros((4, 1), dtype), weights, np.tile(np.arange(4), 200), 4, rates)
    assert not any(entry["mean"].any() for entry in state.memory)
    assert smallest / dtype(2) > 0  # NumPy goes on with denormal numbers
