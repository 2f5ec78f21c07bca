"""Points where naive rules give NaN or a wrong convention, and inputs that overflow."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.numpy import where


def both_orders(f, x):
    return tw.grad(f)(x), tw.hessian(f)(x)


@pytest.mark.parametrize(
    ("branch", "at"),
    [
        (tnp.log, 0.0),
        (tnp.log, -1.0),
        (tnp.sqrt, 0.0),
        (tnp.sqrt, -2.0),
        (lambda x: 1 / x, 0.0),
        (lambda x: x**-1.5, 0.0),
        (lambda x: tnp.exp(-1e4 * x), -1.0),
        (lambda x: tnp.tanh(tnp.log(x)), -1.0),
        (lambda x: tnp.sin(1 / x), 0.0),
        (lambda x: tnp.sin(x) / x, 0.0),
        (lambda x: tnp.arccosh(x), 0.0),
        (lambda x: tnp.log(tnp.log(x)), 0.5),
        (lambda x: x ** (1 / x), 0.0),
    ],
)
def test_nothing_leaks_from_the_branch_not_taken(branch, at):
    f = lambda x: where(x > 5, branch(x), 3.0 * x * x)
    assert tw.value_and_grad(f)(at) == (3.0 * at * at, 6.0 * at)
    assert tw.grad(tw.grad(f))(at) == 6.0
    assert tw.jvp(tw.grad(f), (at,), (1.0,))[1] == 6.0
    g = lambda x: where(x <= 5, 3.0 * x * x, branch(x))
    assert tw.value_and_grad(g)(at) == (3.0 * at * at, 6.0 * at)
    assert tw.grad(tw.grad(g))(at) == 6.0


ALL, FIRST = np.array([True, True]), np.array([True, False])
CHAINS = {
    "broadcast": lambda x: tnp.log(tnp.broadcast_to(x, (3, 2)) * 0)[1],
    "sum": lambda x: tnp.log(0 * tnp.sum(x)),
    "reshape": lambda x: tnp.sqrt(0 * tnp.reshape(x, (1, 2)))[0],
    "reversed": lambda x: tnp.sqrt(0 * x[::-1]),
    "gather": lambda x: tnp.sqrt(0 * x[np.array([1, 1])]),
    "concatenate": lambda x: tnp.log(0 * tnp.concatenate([x[:1], x[:1]])),
    "matmul": lambda x: tnp.log(np.zeros((2, 2)) @ x),
    "matmul of logs": lambda x: tnp.log(np.eye(2) @ tnp.log(0 * x)),
    "cumsum": lambda x: tnp.log(0 * tnp.cumsum(x)),
    "maximum": lambda x: tnp.maximum(tnp.log(0 * x), -2 / (0 * x)),
    "norm": lambda x: tnp.norm(tnp.log(0 * x)),
    "logsumexp": lambda x: tnp.logsumexp(1 / (0 * x)),
    "where": lambda x: where(x > 9, tnp.log(x), 1 / (0 * x)),
    "two uses": lambda x: (lambda u: u + u * u + tnp.sum(u))(tnp.log(0 * x)),
    "bounded": lambda x: tnp.tanh(tnp.sin(1 / (0 * x)) + x),
    "softmax": lambda x: tnp.softmax(1 / (0 * x)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_above_the_branch_not_taken(name):
    def f(x):
        return tnp.sum(where(ALL, x**2, CHAINS[name](x)))

    x = np.array([0.4, 0.6])
    slope, curvature = both_orders(f, x)
    np.testing.assert_array_equal(slope, 2 * x)
    np.testing.assert_array_equal(curvature, 2 * np.eye(2))
    np.testing.assert_array_equal(tw.hvp(f, x, x), 2 * x)


def test_only_the_places_not_taken_are_masked():
    def f(x):
        return tnp.sum(where(x > 0, tnp.log(x), 0.0)) + tnp.sum(where(FIRST, tnp.sqrt(x), x))

    slope, curvature = both_orders(f, np.array([4.0, 0.0]))
    np.testing.assert_array_equal(slope, [0.5, 1.0])
    np.testing.assert_array_equal(curvature, np.diag([-1 / 16 - 1 / 32, 0]))


def test_nan_in_data_not_used():
    x = np.array([1.0, np.nan, 3.0])
    f = lambda w: tnp.sum(where(np.isnan(x), 0.0, tnp.tanh(w * x)))
    g = lambda w: tnp.sum(where(np.isnan(x), 0.0, tnp.tanh(w + x)))
    known = np.array([1.0, 3.0])
    assert tw.grad(f)(0.5) == pytest.approx(np.sum(known / np.cosh(0.5 * known) ** 2))
    assert tw.grad(g)(0.5) == pytest.approx(np.sum(1 / np.cosh(0.5 + known) ** 2))
    rows = np.array([[1.0, 2.0], [np.nan, 1.0], [0.5, np.inf]])
    good = np.isfinite(rows).all(1)
    clean = np.where(np.isfinite(rows), rows, 0.0)
    h = lambda w: tnp.sum(where(good, (clean @ w) ** 2, 0.0))
    w = np.array([0.3, -0.2])
    np.testing.assert_allclose(tw.grad(h)(w), 2 * (rows[0] @ w) * rows[0])


def test_norm_at_zero():
    slope, curvature = both_orders(tnp.norm, np.zeros(3))
    np.testing.assert_array_equal(slope, np.zeros(3))
    assert np.isfinite(curvature).all()
    assert tw.grad(lambda x: tnp.hypot(x, 0.0))(0.0) == 0.0
    np.testing.assert_array_equal(tw.grad(tnp.std)(np.ones(3)), np.zeros(3))
    assert tnp.norm(np.array([3e200, 4e200])) == pytest.approx(5e200)


@pytest.mark.parametrize("base", [0.0, -1.5, 2.0])
def test_whole_exponents(base):
    assert tw.grad(lambda x: x**2)(base) == 2 * base
    assert tw.grad(tw.grad(lambda x: x**2))(base) == 2.0
    assert tw.grad(tw.grad(tw.grad(lambda x: x**2)))(base) == 0.0
    assert tw.value_and_grad(lambda x: x**1)(base) == (base, 1.0)
    assert tw.grad(tw.grad(lambda x: x**1))(base) == 0.0
    assert tw.value_and_grad(lambda x: x**0)(base) == (1.0, 0.0)
    assert tw.grad(tw.grad(lambda x: x**0))(base) == 0.0
    assert tw.grad(lambda x: x**3)(base) == pytest.approx(3 * base**2)


def test_exponents_at_zero():
    assert tw.grad(lambda x: x**0.5)(0.0) == np.inf
    assert tw.grad(lambda x: x**1.5)(0.0) == 0.0
    assert tw.grad(lambda y: 0.0**y)(2.0) == 0.0
    assert tw.grad(lambda y: 0.0**y)(0.5) == 0.0


def test_traced_exponents():
    power = lambda x, y: x**y
    assert tw.grad(power, (0, 1))(0.0, 2.0) == (0.0, 0.0)
    assert tw.grad(power, (0, 1))(0.0, 1.0) == (1.0, 0.0)
    assert tw.grad(power, (0, 1))(0.0, 0.0) == (0.0, 0.0)
    assert tw.grad(power)(-3.0, 2.0) == pytest.approx(-6.0)
    assert tw.grad(power, (0, 1))(2.0, 3.0) == pytest.approx((12.0, 8 * np.log(2)))
    assert tw.hessian(power)(-3.0, 2.0) == pytest.approx(2.0)


@pytest.mark.parametrize("f", [tnp.maximum, tnp.minimum])
def test_ties_are_shared(f):
    assert tw.grad(f, (0, 1))(2.0, 2.0) == (0.5, 0.5)
    reduce = tnp.max if f is tnp.maximum else tnp.min
    slope = tw.grad(reduce)(np.array([1.0, 1.0, 1.0]))
    np.testing.assert_allclose(slope, np.ones(3) / 3)


def test_kinks():
    relu = lambda x: tnp.where(x > 0, x, 0.0)
    assert tw.grad(relu)(0.0) == 0.0
    assert tw.grad(tnp.abs)(0.0) == 0.0
    assert tw.grad(tw.grad(tnp.abs))(-1.0) == 0.0
    assert [tw.grad(lambda x: tnp.clip(x, -1, 1))(x) for x in (-2.0, 0.5, 3.0)] == [0, 1, 0]
    assert tw.grad(tnp.sign)(1.0) == 0.0
    np.testing.assert_array_equal(tnp.clip(np.array([-5.0, 5.0]), None, 1.0), [-5.0, 1.0])


def test_xlogy():
    assert tnp.xlogy(0.0, 0.0) == 0.0
    assert tw.grad(tnp.xlogy, 1)(0.0, 0.0) == 0.0
    np.testing.assert_array_equal(tw.hessian(lambda y: tnp.xlogy(0.0, y))(0.0), 0.0)
    np.testing.assert_allclose(tw.grad(tnp.xlogy, (0, 1))(2.0, 3.0), (np.log(3), 2 / 3))
    # Cross entropy of a certain target: log 0 under a zero weight.
    y, t = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    np.testing.assert_array_equal(tw.grad(lambda y: -tnp.sum(tnp.xlogy(t, y)))(y), [-1.0, 0.0])


BIG = np.array([1e4, -1e4, 0.0])


def test_softmax_of_large_inputs():
    np.testing.assert_array_equal(tnp.softmax(BIG), [1, 0, 0])
    np.testing.assert_array_equal(tnp.log_softmax(BIG), [0, -2e4, -1e4])
    for f in (tnp.softmax, tnp.log_softmax):
        assert np.isfinite(tw.jacobian(f)(BIG)).all()
        assert np.isfinite(tw.jacobian(tw.jacobian(f))(BIG)).all()
    np.testing.assert_array_equal(tw.jacobian(tnp.softmax)(BIG), np.zeros((3, 3)))
    slope = tw.grad(lambda x: tnp.log_softmax(x)[1])(BIG)
    np.testing.assert_array_equal(slope, [-1, 1, 0])


def test_logsumexp_of_large_inputs():
    assert tnp.logsumexp(BIG) == 1e4
    np.testing.assert_array_equal(tw.grad(tnp.logsumexp)(BIG), [1, 0, 0])
    np.testing.assert_array_equal(tw.hessian(tnp.logsumexp)(BIG), np.zeros((3, 3)))
    assert tnp.logsumexp(np.array([-1e4, -1e4])) == pytest.approx(-1e4 + np.log(2), rel=1e-15)
    assert tnp.logsumexp(np.full(2, -np.inf)) == -np.inf
    np.testing.assert_array_equal(tw.grad(tnp.logsumexp)(np.array([0.0, -np.inf])), [1, 0])
    assert tnp.logaddexp(1e4, 1e4) == pytest.approx(1e4 + np.log(2), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("f", "values", "slopes"),
    [
        (tnp.softplus, [1e4, 0, np.log(2)], [1, 0, 0.5]),
        (tnp.log_sigmoid, [0, -1e4, -np.log(2)], [0, 1, 0.5]),
        (tnp.sigmoid, [1, 0, 0.5], [0, 0, 0.25]),
        (tnp.tanh, [1, -1, 0], [0, 0, 1]),
        (tnp.erf, [1, -1, 0], [0, 0, 2 / np.sqrt(np.pi)]),
    ],
)
def test_functions_of_large_inputs(f, values, slopes, dtype):
    x = BIG.astype(dtype)
    rtol = 1e-15 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(f(x), values, rtol=rtol)
    np.testing.assert_allclose(tw.grad(lambda x: tnp.sum(f(x)))(x), slopes, rtol=rtol)
    assert np.isfinite(tw.hessian(lambda x: tnp.sum(f(x)))(x)).all()


def test_stable_tails():
    assert tnp.sigmoid(-40.0) == pytest.approx(np.exp(-40.0), rel=1e-14)
    assert tw.grad(tnp.sigmoid)(-700.0) == pytest.approx(np.exp(-700.0), rel=1e-13)
    assert tnp.softplus(-40.0) == pytest.approx(np.exp(-40.0), rel=1e-14)
    assert tnp.log_sigmoid(-800.0) == -800.0
