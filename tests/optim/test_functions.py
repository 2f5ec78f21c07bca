"""Derivatives that solvers ask for, against central differences and against each other."""

import numpy as np
import pytest

import thalweg.numpy as tnp
from thalweg.errors import ShapeError
from thalweg.optim.functions import Given, Traced, numerical_jacobian
from thalweg.optim.layout import Layout
from thalweg.optim.problem import SmoothLeastSquares, SmoothObjective

GENERATOR = np.random.default_rng(11)
X, V = GENERATOR.normal(size=4), GENERATOR.normal(size=4)


def residual(x):
    return [x[0] * tnp.exp(x[1]) - x[2], tnp.sin(x[3]) * x[0], x**2, tnp.sum(x) ** 3]


@pytest.fixture(scope="module")
def traced():
    return Traced(residual, 4)


def test_products_against_the_jacobian(traced):
    value, jacobian = traced.derivative(X)
    u = GENERATOR.normal(size=traced.m)
    np.testing.assert_allclose(jacobian, numerical_jacobian(traced.value)(X), atol=1e-7)
    np.testing.assert_allclose(traced.push(X, V), jacobian @ V, rtol=1e-12)
    np.testing.assert_allclose(traced.pull(X, u)[1], jacobian.T @ u, rtol=1e-12)
    np.testing.assert_allclose(traced.pull(X, u)[0], value)


def test_second_derivatives_against_differences_of_first_ones(traced):
    u = GENERATOR.normal(size=traced.m)
    matrix = traced.curvature(X, u)
    np.testing.assert_allclose(
        matrix, numerical_jacobian(lambda x: traced.pull(x, u)[1])(X), atol=1e-6
    )
    np.testing.assert_allclose(traced.curvature_product(X, u, V), matrix @ V, rtol=1e-10)
    along = [float(V @ traced.curvature(X, e) @ V) for e in np.eye(traced.m)]
    np.testing.assert_allclose(traced.push_twice(X, V), along, rtol=1e-10)


def test_least_squares_is_an_objective(traced):
    squares = SmoothLeastSquares(traced)
    one = SmoothObjective(Traced(lambda x: 0.5 * sum(tnp.sum(r**2) for r in residual(x)), 4))
    np.testing.assert_allclose(squares.value(X), one.value(X))
    for mine, theirs in zip(squares.value_and_gradient(X), one.value_and_gradient(X), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10)
    np.testing.assert_allclose(squares.hessian(X), one.hessian(X), rtol=1e-8)
    np.testing.assert_allclose(squares.hessian_product(X, V), one.hessian(X) @ V, rtol=1e-8)


def test_given_functions_use_differences_for_products_only():
    given = Given(lambda x: x @ x, lambda x: 2.0 * x, None, X)
    np.testing.assert_allclose(given.curvature_product(X, np.ones(1), V), 2.0 * V, atol=1e-7)
    wrong = Given(lambda x: x @ x, lambda x: np.ones(7), None, X)
    with pytest.raises(ShapeError, match="7 entries"):
        wrong.derivative(X)


def test_layouts():
    layout = Layout({"w": np.zeros((2, 3)), "b": [np.zeros(2), 1.0]})
    assert layout.size == 9 and layout.name(4) == "x['w'][1, 1]" and layout.name(8) == "x['b'][1]"
    vector = np.arange(9.0)
    np.testing.assert_array_equal(layout.ravel(layout.unravel(vector)), vector)
    with pytest.raises(ShapeError):
        layout.ravel({"w": np.zeros(2)})
