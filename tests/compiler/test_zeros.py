"""Products that pass over zeros: which do, and that every bit is what it is without."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.compiler.test_bounds import Guarded
from tests.compiler.test_threads import WAYS, plan_for

from thalweg.compiler import program as programs
from thalweg.compiler import zeros
from thalweg.compiler.loops import PANELS, Access, Apply, Buffer, Load, Nest, Number, Store
from thalweg.compiler.pace import Pace
from thalweg.compiler.segments import strips
from thalweg.compiler.target import Target, host
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import RULES
from thalweg.training import native_plan
from thalweg.training.native_program import NativeProgram
from thalweg.training.program import Program
from thalweg.trees import flatten

LEVELS = ["x86-64-v2", "x86-64-v3", "x86-64-v4"]
RNG = np.random.default_rng(7)
ZERO = Number(0.0, "float32")


@pytest.fixture(autouse=True)
def all_threads(monkeypatch):
    """Always as many threads as are asked for, also where they do not pay."""
    monkeypatch.setattr(Pace, "threads", property(lambda self: self.most))


@pytest.fixture(autouse=True)
def own_target():
    """What is said of the processor holds for one test."""
    host.cache_clear()
    yield
    host.cache_clear()


@pytest.fixture
def always(monkeypatch):
    """Zeros are passed over wherever it is possible, however narrow the layers are."""
    monkeypatch.setattr(zeros, "GAIN", 1e9)
    monkeypatch.setattr(zeros, "FEWEST_WEIGHTS", 0)


def network(sizes, activation="relu", **options):
    *hidden, last = pairwise(sizes)
    return Network([*(Dense(n, m, activation, **options) for n, m in hidden), Dense(*last)])


def goal_of(net):
    return NetworkObjective(net, loss("mse"))


def nests_of(net, batch=128, dtype="float32"):
    return NativeProgram(goal_of(net), RULES["adam"](), dtype)._program(batch)[0].nests


def skipping(nests):
    """The buffers whose zeros are passed over: in sums over samples, and in products for each."""
    found = [n for n in nests if n.skipping]
    over_samples = [n for n in found if PANELS in n.reduced]
    return len(over_samples), len(found) - len(over_samples)


def trained(program, net, data, order, batch, epochs=2):
    """Everything that training leaves behind, as bytes and as arrays."""
    state = program.start(net.initial(0))
    steps = -(-len(order) // batch)
    losses = [
        program.epoch(state, *data, order, batch, np.full(steps, 0.01)) for _ in range(epochs)
    ]
    arrays = flatten([state.params, state.memory])[0]
    return [np.array(losses), *map(np.array, arrays)]


def bits(arrays):
    return [a.tobytes() for a in arrays]


def samples_of(net, count, dtype):
    data = (RNG.normal(size=(count, net.inputs)), RNG.normal(size=(count, net.outputs)))
    return [a.astype(dtype) for a in (*data, RNG.uniform(0.5, 2, count))]


# -- which products ------------------------------------------------------------------------------
def test_what_comes_out_of_relu_and_goes_back_through_it():
    wide = (100, 256, 256, 10)
    nests = nests_of(network(wide))
    assert skipping(nests) == (2, 2)  # dW[1] and dW[2]; W[2] a[1] and W[2]ᵀ dz[2]
    # Both halves of the sums; too few weights for each value to go sample by sample.
    assert skipping(nests_of(network((64, 128, 64, 10)))) == (4, 0)
    assert skipping(nests_of(network((8, 20, 20, 1)))) == (0, 0)  # rows of one vector
    text = next(str(n) for n in nests if n.skipping and PANELS in n.reduced)
    assert "is not 0" in text.splitlines()[0]


def test_what_is_seldom_zero_is_not_looked_at():
    for name in ("tanh", "leaky_relu", "elu", "silu", "gelu", "sigmoid"):
        assert skipping(nests_of(network((100, 256, 256, 10), name))) == (0, 0)
    dropped = nests_of(network((100, 256, 256, 10), "tanh", dropout=0.1))
    assert skipping(dropped) == (0, 0)  # nine in ten are not
    assert skipping(nests_of(network((100, 256, 256, 10), dropout=0.5))) == (2, 2)


def test_expressions_that_share_parts_are_looked_at_once():
    """Repeated squaring, whose parts, written out, are more than could ever be looked at."""
    ramp = Load(Access(Buffer("a", (4,), "float32", "input"), (1,)))
    value = Apply("where", (Apply("greater", (ramp, ZERO), "bool"), ramp, ZERO), "float32")
    for _ in range(90):
        value = Apply("multiply", (value, value), "float32")
    out, other = (Buffer(name, (4,), "float32", "temporary") for name in "bc")
    mixed = Apply("add", (value, value), "float32")
    stores = [Store(Access(out, (1,)), value), Store(Access(other, (1,)), mixed)]
    assert zeros.often_zero([Nest((4,), stores)]) == {out}


def test_strips_have_about_the_same_width():
    for extent in range(16, 900, 7):
        parts = strips(extent, 14, 16)
        assert [p.start for p in parts] + [extent] == [0, *(p.stop for p in parts)]
        assert all((p.stop - p.start) % p.step == 0 for p in parts)
        wide = {p.tile for p in parts if p.width == 16}
        assert max(wide) <= 14 and max(wide) - min(wide) <= 1


# -- the same numbers ------------------------------------------------------------------------------
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("level", LEVELS)
def test_bits_with_and_without(level, way, dtype, monkeypatch):
    """Terms are added in the same order; on any number of threads, and with short last batches.

    Rows of 133 and 41 numbers end in parts of vectors. Tiles of few registers take sums in another
    order: there, numbers are nearly the same.
    """
    if not Target.named(level).runs_here:
        pytest.skip(f"this processor is no {level}")
    monkeypatch.setenv("THALWEG_TARGET", level)
    plan_for(way, monkeypatch)
    net = network((19, 133, 70, 41, 3))
    data, order = samples_of(net, 211, dtype), RNG.permutation(211)

    def run(threads):
        program = NativeProgram(goal_of(net), RULES["adam"](), dtype, threads=threads)
        found = trained(program, net, data, order, 100)
        return skipping(program._program(100)[0].nests), found

    (sums, products), one = run(1)
    assert sums >= 2 and products >= 2
    for threads in (2, 3, 5):
        assert bits(run(threads)[1]) == bits(one)
    monkeypatch.setattr(programs, "skip_zeros", lambda nests, target: None)
    none, dense = run(1)
    assert none == (0, 0)
    assert bits(dense) == bits(one) or level == "x86-64-v2"
    wanted = trained(Program(goal_of(net), RULES["adam"](), dtype), net, data, order, 100)
    tolerance = {"float32": 2e-4, "float64": 1e-10}[dtype]
    for a, b in zip(one, wanted, strict=True):
        np.testing.assert_allclose(a, b, tolerance, tolerance)


@pytest.mark.usefixtures("always")
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(1, 90), min_size=3, max_size=5),
    count=st.integers(1, 150),
    batch=st.integers(1, 150),
    shift=st.sampled_from([-3.0, 0.0, 0.0, 3.0]),
    double=st.booleans(),
    way=st.sampled_from(sorted(WAYS)),
)
def test_networks_of_any_size(sizes, count, batch, shift, double, way):
    """Of neurons that nearly always, half of the time, or nearly never give zero."""
    with pytest.MonkeyPatch.context() as patch:
        plan_for(WAYS[way], patch)
        patch.setattr(native_plan, "MOST_IN_REGISTERS", 0)
        dtype = "float64" if double else "float32"
        net = network(sizes)
        data, order = samples_of(net, count, dtype), RNG.permutation(count)
        start = net.initial(0)
        for layer in start[:-1]:
            layer["b"] = layer["b"] + shift
        patch.setattr(Network, "initial", lambda self, seed: start)
        results = []
        for threads in (1, 2, 3):
            program = NativeProgram(goal_of(net), RULES["adam"](), dtype, threads=threads)
            results.append(trained(program, net, data, order, batch))
        patch.setattr(programs, "skip_zeros", lambda nests, target: None)
        program = NativeProgram(goal_of(net), RULES["adam"](), dtype)
        dense = trained(program, net, data, order, batch)
        assert len({tuple(bits(found)) for found in results}) == 1
        if host().vector_bytes > 16:  # narrow products take sums in another order there
            assert bits(dense) == bits(results[0])
        tolerance = 1e-10 if double else 2e-4
        for a, b in zip(results[0], dense, strict=True):
            np.testing.assert_allclose(a, b, tolerance, tolerance)


@pytest.mark.usefixtures("always")
def test_what_is_not_a_number_is_not_passed_over():
    net = network((5, 64, 64, 2))
    data, order = samples_of(net, 64, "float64"), np.arange(64)
    data[1][17, 1] = np.nan
    found, wanted = (
        trained(kind(goal_of(net), RULES["adam"](), "float64"), net, data, order, 64, epochs=1)
        for kind in (NativeProgram, Program)
    )
    assert all(np.isnan(a).any() for a in found)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))


@pytest.mark.skipif(sys.platform == "win32", reason="uses mprotect")
@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("at_end", [False, True])
def test_no_byte_outside_the_workspace_is_touched(at_end, way, dtype, monkeypatch):
    regions = []

    def guarded(size):
        regions.append(Guarded(size, at_end))
        start = regions[-1].address - regions[-1].start
        return np.frombuffer(regions[-1].map, np.uint8, size, start)

    monkeypatch.setattr(programs, "workspace", guarded)
    plan_for(way, monkeypatch)
    net = network((19, 133, 70, 41, 3))
    data, order = samples_of(net, 211, dtype), RNG.permutation(211)
    for threads in (1, 2, 3):
        program = NativeProgram(goal_of(net), RULES["adam"](), dtype, threads=threads)
        assert np.isfinite(trained(program, net, data, order, 100)[0]).all()
    assert regions


@pytest.mark.parametrize("name", [*LEVELS, "aarch64"])
def test_code_for_every_processor(name):
    target = Target.named(name)
    net = network((100, 256, 256, 10))
    step = NativeProgram(goal_of(net), RULES["adam"](), "float32")._step("step")
    program = programs.BatchProgram(step, 2 * target.lanes(4), threaded=True, target=target)
    assert skipping(program.nests) == (2, 2)
    assert len(program.code.object_code()) > 1000
