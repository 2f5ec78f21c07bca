"""Every fault for every family of solvers: a truthful status, and the best point kept."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import DifferentiationError
from thalweg.optim import Status

LINE = ["gd", "bfgs", "lbfgs", "cg-fr", "cg-pr", "cg-hs", "cg-dy", "cg-hz", "scg", "newton-line"]
TRUST = ["newton", "newton-dogleg", "newton-cg"]
SQUARES = ["lm", "marquardt", "gauss-newton"]
CONSTRAINED = ["interior-point", "augmented-lagrangian"]
EVERY = [*LINE, *TRUST, *CONSTRAINED]


def bowl(x):
    return (x[0] - 3.0) ** 2 + 50.0 * (x[1] + 1.0) ** 2 + 0.1 * (x[0] - 3.0) ** 4


class Breaking:
    """The bowl as a plain function that turns to something else for good after some calls."""

    def __init__(self, calls, value):
        self.left, self.value = calls, value

    def __call__(self, x):
        self.left -= 1
        return float(bowl(x)) if self.left >= 0 else self.value

    @staticmethod
    def slope(x):
        return np.array([2 * (x[0] - 3.0) + 0.4 * (x[0] - 3.0) ** 3, 100.0 * (x[1] + 1.0)])

    @staticmethod
    def curve(x):
        return np.diag([2.0 + 1.2 * (x[0] - 3.0) ** 2, 100.0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", EVERY)
def test_values_that_stop_being_numbers_in_mid_run(method, value):
    f = Breaking(7, value)
    result = tw.minimize(f, [0.0, 0.0], method, jac=f.slope, hess=f.curve, max_iterations=200)
    if result.success:  # it was done before
        np.testing.assert_allclose(result.x, [3.0, -1.0], atol=1e-6)
        return
    assert not result.success
    assert result.status in (
        Status.STEP_TOO_SMALL, Status.NOT_FINITE, Status.ITERATIONS_USED_UP
    ), result.message  # fmt: skip
    assert np.all(np.isfinite(result.x)) and np.isfinite(result.fun)
    assert result.fun <= bowl(np.zeros(2))
    np.testing.assert_allclose(result.fun, bowl(result.x))


@pytest.mark.parametrize("method", EVERY)
def test_objectives_that_fall_for_ever(method):
    for f in (
        lambda x: x[0] ** 3 + x[1] ** 2,
        lambda x: -(x[0] ** 2) + x[1] ** 2,
        lambda x: x[0] - x[1],
        lambda x: -tnp.exp(x[0] ** 2) + x[1] ** 2,
    ):
        result = tw.minimize(f, [-1.0, 1.0], method)
        assert not result.success, (method, result.message)
        assert np.all(np.isfinite(result.x)) and result.fun <= f(np.array([-1.0, 1.0]))
        assert result.status is not Status.CONVERGED


@pytest.mark.parametrize("method", EVERY)
def test_starts_outside_the_bounds_come_inside(method):
    result = tw.minimize(bowl, [-50.0, 70.0], method, bounds=[(-1, 2), (-4, 4)])
    assert result.success and result.violation == 0.0
    np.testing.assert_allclose(result.x, [2.0, -1.0], atol=1e-5)
    slope = -(2.0 * (2.0 - 3.0) + 0.4 * (2.0 - 3.0) ** 3)
    np.testing.assert_allclose(result.multipliers.upper, [slope, 0.0], atol=1e-4)


@pytest.mark.parametrize("method", EVERY)
def test_one_parameter(method):
    result = tw.minimize(lambda x: (x - 2.0) ** 2 + 0.5 * (x - 2.0) ** 4, 5.0, method)
    assert result.success and np.ndim(result.x) == 0
    np.testing.assert_allclose(float(result.x), 2.0, atol=1e-6)
    held = tw.minimize(lambda x: (x - 2.0) ** 2, 5.0, method, bounds=[(3.0, None)])
    assert held.success
    np.testing.assert_allclose(float(held.x), 3.0, atol=1e-7)


@pytest.mark.parametrize("method", SQUARES)
def test_least_squares_with_one_parameter_and_without_residual(method):
    result = tw.least_squares(lambda x: x**2 - 4.0, 3.0, method)
    assert result.success and float(result.x) == pytest.approx(2.0)
    many = tw.least_squares(lambda x: [x[0] * x[1] - 6.0, x[0] - x[1] - 1.0], [1.0, 1.0], method)
    assert many.success and many.cost < 1e-15, many.message
    done = tw.least_squares(lambda x: x - 1.0, [1.0, 1.0], method)
    assert done.success and done.nit == 0


@pytest.mark.parametrize("method", SQUARES)
def test_jacobians_without_full_rank(method):
    result = tw.least_squares(
        lambda x: [x[0] + x[1] - 3.0, 2.0 * (x[0] + x[1]) - 6.0, x[0] ** 2 + x[1] ** 2 - 4.5],
        [0.0, 5.0],
        method,
    )  # at the solution (1.5, 1.5) the columns are equal
    assert np.isfinite(result.cost) and result.cost < 1e-8, result.message
    unused = tw.least_squares(lambda x: [x[0] - 1.0, 0.0 * x[1]], [3.0, 7.0], method)
    assert unused.success, unused.message
    np.testing.assert_allclose(unused.x, [1.0, 7.0], atol=1e-7)


@pytest.mark.parametrize("method", SQUARES)
def test_residuals_that_stop_being_numbers(method):
    wall = tw.least_squares(lambda x: [tnp.log(x[0]) - 0.5, x[0] * x[1] - 1.0], [9.0, 9.0], method)
    assert wall.success and wall.cost < 1e-12, wall.message
    start = tw.least_squares(lambda x: [tnp.log(x[0]), x[0]], [-1.0], method)
    assert start.status is Status.NOT_FINITE and not start.success


@pytest.mark.parametrize("method", CONSTRAINED)
def test_constraints_that_depend_on_each_other(method):
    result = tw.minimize(
        lambda x: tnp.sum(x**2),
        [3.0, 4.0, 5.0],
        method,
        equalities=lambda x: [
            tnp.sum(x) - 1.0, 2.0 * tnp.sum(x) - 2.0, x[0] - x[1], 3.0 * x[0] - 3.0 * x[1]
        ],
        inequalities=lambda x: [x[2] - 0.2, 2.0 * x[2] - 0.4],
    )  # fmt: skip
    assert result.success, result.message
    np.testing.assert_allclose(result.x, [0.4, 0.4, 0.2], atol=1e-6)


@pytest.mark.parametrize("method", CONSTRAINED)
def test_constraints_that_are_not_numbers_at_the_start(method):
    result = tw.minimize(
        lambda x: x[0] ** 2, [-1.0], method, inequalities=lambda x: tnp.log(x[0]) - 1.0
    )
    assert result.status is Status.NOT_FINITE and not result.success


def test_unbounded_within_constraints():
    for method in CONSTRAINED:
        result = tw.minimize(
            lambda x: -x[0] - x[1], [0.0, 0.0], method, inequalities=lambda x: x[0] - x[1]
        )
        assert not result.success and result.status is not Status.CONVERGED, method


def test_wrong_derivatives_of_every_kind_are_found_on_request():
    with pytest.raises(DifferentiationError, match=r"x\[1\].*output 0"):
        tw.least_squares(
            lambda x: np.array([float(x[0] * x[1]), float(x[0])]),
            [2.0, 3.0],
            jac=lambda x: np.array([[x[1], 2.0 * x[0]], [1.0, 0.0]]),
            check_derivatives=True,
        )
    with pytest.raises(DifferentiationError, match=r"x\[0\]"):
        tw.minimize(
            lambda x: tnp.sum(x**2),
            [2.0, 3.0],
            constraints={
                "type": "ineq",
                "fun": lambda x: float(x[0]) - 1.0,
                "jac": lambda x: np.array([-1.0, 0.0]),
            },
            check_derivatives=True,
        )


@pytest.mark.parametrize("method", CONSTRAINED)
def test_multipliers_are_slopes_of_the_optimal_value(method):
    def solve(a, b, c):
        return tw.minimize(
            lambda x: tnp.exp(x[0]) + x[1] ** 2 + x[0] * x[1] + 0.1 * x[2] ** 4,
            [1.0, 1.0, 1.0],
            method,
            inequalities=lambda x: 1.0 - x[0] * x[2] - a,
            equalities=lambda x: x[0] + x[1] + x[2] - 3.0 - b,
            bounds=[(None, None), (0.9 + c, None), (None, None)],
        )

    h, middle = 1e-3, solve(0, 0, 0)
    slopes = [(solve(*(h * e)).fun - solve(*(-h * e)).fun) / (2 * h) for e in np.eye(3)]
    y = middle.multipliers
    assert middle.success
    found = [-y.inequalities[0], -y.equalities[0], y.lower[1]]
    np.testing.assert_allclose(found, slopes, rtol=1e-3, atol=1e-4)
