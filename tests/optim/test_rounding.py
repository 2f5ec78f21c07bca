"""The floor of rounding: an end that is as good as double precision allows is a success."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.optim.functions import Traced
from thalweg.optim.problem import Bounds, Problem, SmoothObjective
from thalweg.optim.rounding import rounding_is_left
from thalweg.optim.run import Point


def problem_of(f, n, bounds=None):
    return Problem(SmoothObjective(Traced(f, n)), bounds or Bounds.none(n))


def stands(problem, *x):
    x = np.array(x)
    problem.run.conclude(Point(x, problem.value(x)))
    return rounding_is_left(problem)


@pytest.mark.parametrize("method", ["newton", "bfgs", "newton-line", "lbfgs", "cg"])
def test_gradients_that_no_double_makes_small(method):
    goal = np.array([1.0, 2.0])
    result = tw.minimize(
        lambda x: 1e12 * ((3.0 * x - goal) ** 2).sum() + ((x - 1.0) ** 2).sum(), [0.0, 0.0], method
    )
    assert result.success and result.gradient_norm > 1e-8  # 1.8e13 times half a last bit
    np.testing.assert_allclose(result.x, (3e12 * goal + 1.0) / (9e12 + 1.0), rtol=1e-14)
    assert "rounding" in result.message and "반올림" in result.message_in("ko")


def test_the_last_bits_are_told_from_a_way_to_go():
    problem = problem_of(lambda x: 1e12 * (3.0 * x[0] - 1.0) ** 2 + (x[1] - 1.0) ** 2, 2)
    assert stands(problem, np.nextafter(1 / 3, 1.0), 1.0)
    assert not stands(problem, 1 / 3 + 1e-12, 1.0)
    assert not stands(problem, 1 / 3, 1.0 + 1e-8)


def test_a_kink_is_no_rounding():
    # On x = y slopes jump by 20, and yet f falls along it.
    problem = problem_of(lambda x: 10.0 * abs(x[0] - x[1]) + (x[0] + x[1] - 2.0) ** 2, 2)
    assert not stands(problem, 0.3, np.nextafter(0.3, 1.0))


def test_far_away_a_slope_is_no_rounding():
    # x² cancels: at 1e17 its rounding hides the slope of one by which f falls for ever.
    problem = problem_of(lambda x: (x[0] - x[1]) ** 2 - x[0], 2)
    assert not stands(problem, 1e17, 1e17)


def test_entries_pressed_to_bounds_do_not_count():
    bounds = Bounds(np.array([-np.inf, 1.0]), np.array([np.inf, 2.0]))
    problem = problem_of(lambda x: 1e12 * (3.0 * x[0] - 1.0) ** 2 + x[1], 2, bounds)
    assert stands(problem, 1 / 3, 1.0)
    assert not stands(problem, 1 / 3, 2.0)
