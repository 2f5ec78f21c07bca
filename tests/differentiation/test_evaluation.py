"""Derivatives at numbers: derived once for equal functions, never for another one."""

import gc

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.differentiation import evaluation
from thalweg.errors import DifferentiationError, TracingError
from thalweg.graph import Node

X = np.array([0.5, -1.0, 2.0])


@pytest.fixture(autouse=True)
def nothing_kept():
    evaluation._kept.cache_clear()


def kept():
    return evaluation._kept.cache_info().currsize


def test_a_second_call_derives_nothing():
    first = tw.grad(lambda x: tnp.sum(tnp.sin(x) * x))(X)
    assert kept() == 1
    np.testing.assert_array_equal(tw.grad(lambda y: tnp.sum(tnp.sin(y) * y))(X), first)
    np.testing.assert_allclose(
        tw.grad(lambda x: tnp.sum(tnp.sin(x) * x))(2.0 * X),
        2.0 * X * np.cos(2.0 * X) + np.sin(2.0 * X),
    )
    assert kept() == 1


def test_a_closure_that_changed_gives_another_derivative():
    scale = 2.0

    def f(x):
        return scale * x * x

    slope, bend = tw.grad(f), tw.hessian(f)
    assert (slope(3.0), bend(3.0)) == (12.0, 4.0)
    scale = 5.0
    assert (slope(3.0), bend(3.0)) == (30.0, 10.0)


def test_data_is_each_function_s_own():
    for data in (X, 2.0 * X, X + 1.0):
        np.testing.assert_allclose(tw.grad(lambda x, d=data: tnp.sum(d * x * x))(X), 2 * data * X)
        np.testing.assert_allclose(tw.jacobian(lambda x, d=data: d * x)(X), np.diag(data))
    assert kept() == 2


def test_value_and_gradient_and_jacobian_are_told_apart():
    f = lambda x: tnp.sum(x**3)
    assert tw.value_and_grad(f)(2.0) == (8.0, 12.0)
    assert tw.jacobian(f)(2.0) == 12.0
    assert tw.jacobian(tw.grad(f))(2.0) == tw.hessian(f)(2.0) == 12.0


def test_data_is_not_kept_alive():
    tw.grad(lambda x: tnp.sum(np.arange(5003.0) * x))(2.0)
    assert kept() == 1
    gc.collect()
    alive = [o for o in gc.get_objects() if isinstance(o, Node) and o.shape == (5003,)]
    assert alive  # the graph is
    assert not any(node.is_constant for node in alive)


def test_large_inputs_are_not_kept():
    tw.grad(lambda x: tnp.sum(x * x))(np.ones(5000))
    assert kept() == 0


def test_errors_come_at_every_call():
    escaped = []
    tw.trace(lambda x: escaped.append(x) or x, 1.0)
    for _ in range(2):
        with pytest.raises(DifferentiationError, match="dtype int64"):
            tw.grad(lambda x: tnp.argmax(x * 1.0))(X)
        with pytest.raises(TracingError, match="another function"):
            tw.grad(lambda x: x * escaped[0])(1.0)
