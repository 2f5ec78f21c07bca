"""Saddle points, inside and on bounds, are left; minima are not."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.optim import Status
from thalweg.optim.functions import Traced
from thalweg.optim.problem import Bounds, Problem, SmoothObjective
from thalweg.optim.second_look import lower_beside

METHODS = ["bfgs", "lbfgs", "newton-line", "newton-cg", "newton-dogleg", "cg", "gd", "scg"]


def two_wells(x):
    """Minima of -1/4 at y² = 1/2, and between them a saddle point."""
    return (x[0] - 1.0) ** 2 - x[1] ** 2 + x[1] ** 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "bounds", [None, [(None, None), (0, None)], [(None, None), (None, 0)], [(0, 5), (0, 5)]]
)
def test_a_saddle_point_is_left(method, bounds):
    result = tw.minimize(two_wells, [0.0, 0.0], method, bounds=bounds)
    assert result.success, result.message
    assert result.fun == pytest.approx(-0.25, abs=1e-9)
    np.testing.assert_allclose(np.abs(result.x), [1.0, np.sqrt(0.5)], atol=1e-4)


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "newton-line"])
def test_a_corner_that_only_two_steps_at_once_can_leave(method):
    result = tw.minimize(
        lambda x: -x[0] * x[1] + x[0] ** 4 + x[1] ** 4, [0.0, 0.0], method, bounds=(0, None)
    )
    assert result.success
    np.testing.assert_allclose(result.x, [0.5, 0.5], atol=1e-5)  # y = 4x³, x = 4y³


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "newton-line"])
@pytest.mark.parametrize(
    ("f", "bounds"),
    [
        (lambda x: x[0] * x[1] + x[0] ** 4 + x[1] ** 4, [(0, None), (0, None)]),  # not convex
        (lambda x: x[0] ** 2 - x[1] ** 2, [(None, None), (0, 0)]),  # y is fixed
        (lambda x: x[0] ** 2 + x[1] * (1.0 - x[1]), [(None, None), (0, 0.5)]),  # pressed
        (lambda x: x[0] ** 2 + x[1] ** 4, None),  # flat
        (lambda x: x[0] ** 2 + x[1] ** 1.5, [(None, None), (0, None)]),  # not defined beyond
    ],
)
def test_what_is_a_minimum_is_not_left(method, f, bounds):
    result = tw.minimize(f, [0.0, 0.0], method, bounds=bounds)
    assert result.success and result.nit == 0
    np.testing.assert_array_equal(result.x, [0.0, 0.0])


@pytest.mark.parametrize("method", METHODS)
def test_beside_a_saddle_point_the_objective_may_fall_for_ever(method):
    result = tw.minimize(lambda x: x[0] ** 2 - x[1] ** 2, [1.0, 0.0], method)
    assert not result.success, result.message
    assert result.fun < -1e6


def test_of_many_entries_one_may_leave_its_bound():
    target = np.linspace(1.0, 2.0, 300)
    target[7] = 0.0

    def f(x):  # y⁴ - 2y³ - y² of entry 7: where it is least, 4y² - 6y - 2 = 0
        return ((x - target) ** 2).sum() + x[7] ** 4 - 2.0 * x[7] ** 3 - 2.0 * x[7] ** 2

    result = tw.minimize(f, np.zeros(300), "lbfgs", bounds=(0, None))
    assert result.success
    expected = target.copy()
    expected[7] = (3.0 + np.sqrt(17.0)) / 4.0
    np.testing.assert_allclose(result.x, expected, atol=1e-5)


def test_curvature_is_seen_in_any_units():
    units = np.array([1e-3, 1.0, 1e4])
    signs = np.array([1.0, 1.0, -1.0])
    bowl = Traced(lambda x: ((x / units) ** 2).sum(), 3)
    saddle = Traced(lambda x: (signs * (x / units) ** 2).sum(), 3)
    at = np.zeros(3)
    assert lower_beside(Problem(SmoothObjective(bowl), Bounds.none(3)), at, units) is None
    beside = lower_beside(Problem(SmoothObjective(saddle), Bounds.none(3)), at, units)
    assert saddle.value(beside)[0] < 0.0


def test_a_limit_reached_in_the_look_leaves_the_end_as_it_was():
    result = tw.minimize(
        two_wells, [1.0, 0.0], "bfgs", bounds=[(None, None), (0, None)], max_evaluations=1
    )
    assert result.status is Status.CONVERGED
    np.testing.assert_array_equal(result.x, [1.0, 0.0])


@pytest.mark.parametrize("method", ["bfgs", "lbfgs"])
def test_given_gradients_suffice(method):
    def slope(x):
        return np.array([2.0 * (x[0] - 1.0), -2.0 * x[1] + 4.0 * x[1] ** 3])

    def f(x):
        return float(two_wells(np.asarray(x)))

    result = tw.minimize(f, [0.0, 0.0], method, jac=slope, bounds=[(None, None), (0, None)])
    assert result.success and result.fun == pytest.approx(-0.25, abs=1e-9)


def test_equal_parameters_part():
    t = np.linspace(0.0, 4.0, 30)

    def model(b):
        return b[0] * tnp.exp(-b[1] * t) + b[2] * tnp.exp(-b[3] * t)

    data = model(np.array([2.0, 0.5, 3.0, 4.0]))
    fit = tw.minimize(lambda b: ((model(b) - data) ** 2).sum(), np.ones(4), "bfgs")
    assert fit.success and fit.fun < 1e-12
