"""Exact Hessians of networks against products with directions and finite differences."""

from dataclasses import replace

import numpy as np
import pytest

from thalweg.nn.losses import loss, mse
from thalweg.nn.network import Dense, Network, dense_network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import GD
from thalweg.training.batches import Samples
from thalweg.training.hessian import ExactHessian
from thalweg.training.native_program import NativeProgram
from thalweg.training.program import Program
from thalweg.training.solvers import NetworkProblem

RNG = np.random.default_rng(4)
SHRINK = Penalty(l2=0.3, shared=True)
CASES = [
    ((2, 1), "mse", "identity"),
    ((3, 5, 4, 2), "mse", "identity"),
    ((2, 4, 3), "cross_entropy", "softmax"),
    ((2, 4, 5, 3), "huber", "sigmoid"),
    ((3, 6, 1), "bce", "sigmoid"),
    ((2, 3, 2), "poisson", "exp"),
]


def problem_of(sizes, name, output, program, rows=70, penalty=SHRINK):
    net = dense_network(sizes[0], list(sizes[1:-1]), sizes[-1], "tanh", output)
    T = RNG.uniform(0.0, 1.0, (rows, sizes[-1]))
    if name == "cross_entropy":
        T = np.eye(sizes[-1])[RNG.integers(0, sizes[-1], rows)]
    objective = NetworkObjective(net, loss(name), penalty)
    samples = Samples(RNG.normal(size=(rows, sizes[0])), T, RNG.uniform(0.0, 2.0, rows))
    return NetworkProblem(objective, samples, program(objective, GD()))


@pytest.mark.parametrize("program", [Program, NativeProgram])
@pytest.mark.parametrize("sizes, name, output", CASES)
def test_columns_are_products_with_unit_vectors(sizes, name, output, program):
    problem = problem_of(sizes, name, output, program)
    x = RNG.normal(size=problem.places.count)
    H = problem.hessian(x)
    columns = np.array([problem.hessian_product(x, e) for e in np.eye(len(x))])
    assert np.array_equal(H, H.T)
    assert np.allclose(H, columns, rtol=0.0, atol=1e-12 * np.max(np.abs(columns)))


@pytest.mark.parametrize("sizes, name, output", CASES)
def test_columns_are_differences_of_gradients(sizes, name, output):
    problem = problem_of(sizes, name, output, Program)
    x, step = RNG.normal(size=problem.places.count), 1e-5
    moves = step * np.eye(len(x))
    found = [problem.gradient(x + h) - problem.gradient(x - h) for h in moves]
    size = np.max(np.abs(found)) / (2.0 * step)
    assert np.allclose(problem.hessian(x), np.array(found) / (2.0 * step), atol=1e-8 * (1 + size))


def test_layers_without_biases_and_identity_layers():
    net = Network([Dense(2, 3, "identity", bias=False), Dense(3, 2, "tanh"), Dense(2, 1)])
    objective = NetworkObjective(net, loss("mse"))
    samples = Samples(RNG.normal(size=(9, 2)), RNG.normal(size=(9, 1)), np.ones(9))
    problem = NetworkProblem(objective, samples, Program(objective, GD()))
    x = RNG.normal(size=net.count)
    columns = np.array([problem.hessian_product(x, e) for e in np.eye(len(x))])
    assert np.allclose(problem.hessian(x), columns, atol=1e-13)


def test_a_maximised_loss_enters_with_a_minus():
    net = dense_network(1, [2], 1, "tanh")
    samples = Samples(RNG.normal(size=(8, 1)), RNG.normal(size=(8, 1)), np.ones(8))
    x = RNG.normal(size=net.count)
    praise = replace(mse, name="praise", function=lambda y, t: -mse.sample(y, t), maximise=True)
    down, up = (
        ExactHessian(NetworkObjective(net, loss), samples, native=False).at(x)
        for loss in (mse, praise)
    )
    assert np.allclose(down, up, rtol=1e-14)


def test_blocks_sum_up_to_the_whole():
    net = dense_network(2, [4], 1, "tanh")
    objective = NetworkObjective(net, loss("mse"))
    samples = Samples(RNG.normal(size=(3000, 2)), RNG.normal(size=(3000, 1)), np.ones(3000))
    x = RNG.normal(size=net.count)
    whole = ExactHessian(objective, samples, native=False)
    assert whole.blocks.block < 3000
    parts = [
        ExactHessian(objective, Samples(*(a[rows] for a in samples)), native=False).at(x)
        for rows in np.split(np.arange(3000), 10)
    ]
    assert np.allclose(whole.at(x), np.mean(parts, axis=0), rtol=1e-12, atol=1e-14)


def test_rows_of_weight_zero_do_not_count():
    problem = problem_of((2, 3, 1), "mse", "identity", Program, penalty=Penalty())
    X, T, w = problem.samples
    kept = np.arange(len(w)) < 50
    x = RNG.normal(size=problem.places.count)
    objective = problem.network_objective
    masked = ExactHessian(objective, Samples(X, T, w * kept), native=False).at(x)
    fewer = ExactHessian(objective, Samples(X[:50], T[:50], w[:50]), native=False).at(x)
    assert np.allclose(masked, fewer, rtol=1e-12, atol=1e-14)
