"""Random expressions of all shapes and broadcasts: compiled values are the interpreter's."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.compiler.random_functions import RandomFunction, arrays, check, functions

import thalweg as tw
import thalweg.numpy as tnp

pytestmark = [
    pytest.mark.usefixtures("no_cache"),
    pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning"),
]
FAST = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LONG = settings(FAST, max_examples=1000, derandomize=False)


def gradient(f, points):
    return tw.value_and_grad(f.total, argnums=tuple(range(len(points))))


@FAST
@given(functions())
def test_values(drawn):
    check(*drawn)


@FAST
@given(functions())
def test_gradients(drawn):
    f, points = drawn
    check(gradient(f, points), points)


@pytest.mark.slow
@LONG
@given(functions())
def test_many_values(drawn):
    check(*drawn)


@pytest.mark.slow
@LONG
@given(functions())
def test_many_gradients(drawn):
    f, points = drawn
    check(gradient(f, points), points)


COMPOUND = {
    "rosenbrock": lambda x: tnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
    "network": lambda x: tnp.sum(tnp.tanh(x[:, None] * x[None] @ tnp.sin(x)) ** 2),
    "entropy": lambda x: -tnp.sum(tnp.softmax(x) * tnp.log_softmax(x)),
    "norms": lambda x: tnp.norm(x) * tnp.logsumexp(x) + tnp.norm(tnp.outer(x, x)),
    "pieces": lambda x: tnp.sum(tnp.where(x > 0, tnp.log1p(x**2), tnp.maximum(x, -0.3) ** 3)),
    "moves": lambda x: tnp.sum(tnp.cumsum(x[::-1]) * tnp.concatenate([x[2:], x[:2] ** 2])),
    "picked": lambda x: tnp.sum(x[np.array([0, 0, 3])] ** 2) * tnp.max(x) + tnp.var(x),
}


@pytest.mark.parametrize("name", COMPOUND)
def test_derivatives_of_compound_functions(name):
    f = COMPOUND[name]
    for n in (5, 19):
        (x,) = arrays(7, [(n,)], np.float64)
        check(tw.value_and_grad(f), [x])
        check(tw.hessian(f), [x])
        check(lambda x: tw.hvp(f, x, x), [x])
        check(tw.vmap(tw.value_and_grad(f)), arrays(8, [(3, n)], np.float64))


def test_long_chains():
    def f(x, n=1000):
        for k in range(n):
            x = 0.9 * tnp.sin(x) + 0.05 * tnp.cos(x + k)
        return x

    for x in (0.5, np.linspace(0, 1, 5)):
        np.testing.assert_allclose(tw.compile(f)(x), f(x), rtol=1e-9)
    slope = tw.grad(lambda x: tnp.sum(f(x, 200)))
    np.testing.assert_allclose(tw.compile(slope)(x), slope(x), rtol=1e-9, atol=1e-12)


def test_long_chains_of_moves():
    def f(x):
        for _ in range(700):
            x = x[::-1].T
        return x

    x = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(tw.compile(f)(x), f(x))


def test_a_plan_is_a_function():
    f = RandomFunction([(0, 0, 0, 0), (5, 0, 0, 0)], 2)
    assert len(f(np.ones(3))) == 2
