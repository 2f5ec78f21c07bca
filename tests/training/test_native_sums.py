"""Quick sums against the program they come from."""

import numpy as np
import pytest

from thalweg.compiler.pace import Pace
from thalweg.nn.losses import loss
from thalweg.nn.network import dense_network, flat
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import GD
from thalweg.training import native_plan
from thalweg.training.batches import Samples
from thalweg.training.native_program import NativeProgram
from thalweg.training.native_sums import NativeLosses, NativeSums
from thalweg.training.program import Program
from thalweg.training.solvers import NetworkProblem

RNG = np.random.default_rng(0)
NET = dense_network(2, [5], 3, "tanh", "softmax")
SAMPLES = Samples(
    RNG.normal(size=(50, 2)), np.eye(3)[RNG.integers(0, 3, 50)], RNG.uniform(0.0, 2.0, 50)
)


@pytest.mark.parametrize("size", [4096, 16])
def test_values_and_gradients_are_the_programs(size, monkeypatch):
    monkeypatch.setattr("thalweg.training.native_program.LARGEST_SUM", size)
    objective = NetworkObjective(NET, loss("cross_entropy"))
    program = NativeProgram(objective, GD())
    sums = NativeSums(program, SAMPLES)
    for seed in range(3):
        params = NET.initial(seed)
        value, gradient = sums(flat(params))
        expected, slopes = Program(objective, GD()).gradient(params, *SAMPLES)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, flat(slopes), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("size", [4096, 16])
def test_losses_are_the_programs_to_the_bit(size, monkeypatch):
    monkeypatch.setattr("thalweg.training.native_program.LARGEST_SUM", size)
    program = NativeProgram(NetworkObjective(NET, loss("cross_entropy"), Penalty(l2=0.3)), GD())
    losses = NativeLosses(program, SAMPLES)
    for seed in range(3):
        params = NET.initial(seed)
        assert losses(flat(params)) == program.loss(params, *SAMPLES)


@pytest.mark.parametrize(("cache_bytes", "halves"), [(1 << 20, 0), (1 << 20, 2), (4000, 2)])
def test_rows_that_are_kept_serve_any_number_of_threads(cache_bytes, halves, monkeypatch):
    for name, value in {"WORK_PER_THREAD": 1.0, "WEIGHTS_PER_VALUE": 0}.items():
        monkeypatch.setattr(native_plan, name, value)
    monkeypatch.setattr(native_plan, "CACHE_BYTES", cache_bytes)
    monkeypatch.setattr(native_plan, "HALVES", halves)
    program = NativeProgram(NetworkObjective(NET, loss("cross_entropy")), GD(), threads=2)
    sums, losses = NativeSums(program, SAMPLES), NativeLosses(program, SAMPLES)
    x = flat(NET.initial(0))
    for threads in (2, 2, 1, 2, 1, 1):
        monkeypatch.setattr(Pace, "threads", threads)
        value, gradient = sums(x)
        anew, slopes = NativeSums(program, SAMPLES)(x)
        assert value == anew
        assert np.array_equal(gradient, slopes)
        assert losses(x) == NativeLosses(program, SAMPLES)(x)


@pytest.mark.parametrize("penalty", [Penalty(l2=0.3), Penalty(l1=0.1, l2=0.2, shared=True)])
def test_a_problem_adds_its_penalty(penalty):
    objective = NetworkObjective(NET, loss("cross_entropy"), penalty)
    problems = [
        NetworkProblem(objective, SAMPLES, make(objective, GD()))
        for make in (Program, NativeProgram)
    ]
    x = flat(NET.initial(1))
    (one, slope), (other, its_slope) = (p.value_and_gradient(x) for p in problems)
    assert one == pytest.approx(other, rel=1e-12) == problems[1].value(x)
    np.testing.assert_allclose(slope, its_slope, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("size", [4096, 16])
@pytest.mark.parametrize("penalty", [Penalty(), Penalty(l2=0.3)])
def test_products_with_the_hessian_are_the_interpreters(size, penalty, monkeypatch):
    monkeypatch.setattr("thalweg.training.native_program.LARGEST_SUM", size)
    objective = NetworkObjective(NET, loss("cross_entropy"), penalty)
    plain, native = (
        NetworkProblem(objective, SAMPLES, make(objective, GD()))
        for make in (Program, NativeProgram)
    )
    for seed in range(2):
        x = flat(NET.initial(seed))
        v = np.random.default_rng(seed).normal(size=x.size)
        product = native.hessian_product(x, v)
        np.testing.assert_allclose(product, plain.hessian_product(x, v), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(product, native.hessian(x) @ v, rtol=1e-8, atol=1e-11)
