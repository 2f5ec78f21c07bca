"""Two methods in turn: where the first takes long, the second may save the day."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.optim import Status
from thalweg.optim.problem import Bounds, Objective, Problem
from thalweg.optim.run import Halt, Limits, Point, Run
from thalweg.optim.turns import PATIENCE, in_turn


class Flat(Objective):
    def value(self, x):
        return float(x[0])

    def value_and_gradient(self, x):
        return float(x[0]), np.ones(1)


def going_down(steps, to, end=Status.CONVERGED):
    """A method that takes so many iterations from its start down to a value."""

    def method(problem, x, tol):
        for share in np.linspace(0.0, 1.0, steps):
            problem.run.iterate(
                Point((1 - share) * x + share * to, float((1 - share) * x[0] + share * to))
            )
        problem.run.conclude(Point(np.array([to]), float(to)))
        return end

    return method  # fmt: skip


def ended(first, second, iterations=1000):
    problem = Problem(Flat(), Bounds.none(1), run=Run(Limits(iterations)))
    status = in_turn(first, second, problem, np.array([9.0]), 1e-8)
    return status, problem.run.best.fun, problem.run.nit


def test_a_quick_first_method_is_all():
    assert ended(going_down(20, 1.0), going_down(5, 0.0)) == (Status.CONVERGED, 1.0, 20)


def test_the_first_method_goes_on_from_the_lower_end():
    status, value, nit = ended(going_down(2 * PATIENCE, -1.0), going_down(5, 0.0))
    assert status is Status.CONVERGED and value == -1.0 and nit == 3 * PATIENCE + 5


def test_what_the_second_finds_is_kept_only_if_lower():
    stuck = going_down(7, 1.0, Status.STEP_TOO_SMALL)
    assert ended(stuck, going_down(5, 2.0)) == (Status.STEP_TOO_SMALL, 1.0, 12)


def test_a_second_method_that_fails_does_no_harm():
    def failing(problem, x, tol):
        raise Halt(Status.DIVERGED)

    stuck = going_down(7, 1.0, Status.STEP_TOO_SMALL)
    assert ended(stuck, failing) == (Status.STEP_TOO_SMALL, 1.0, 7)


def test_limits_are_those_of_the_run():
    with pytest.raises(Halt) as halt:
        ended(going_down(900, 1.0), going_down(900, 2.0), iterations=150)
    assert halt.value.status is Status.ITERATIONS_USED_UP


def test_newton_where_a_region_of_trust_creeps():
    # The scale grows from entry to entry by squares: no radius suits all of them.
    result = tw.minimize(lambda x: tnp.sum(tnp.cos(x[:-1] ** 2 - 0.5 * x[1:])), np.ones(10))
    assert result.success and result.nit < PATIENCE + 50
    np.testing.assert_allclose(result.fun, -9.0, atol=1e-8)


def test_newton_leaves_a_saddle_on_bounds():
    # Both bounds hold without pressing; the curvature between them is negative.
    result = tw.minimize(
        lambda x: (x[0] - x[1]) ** 4 - x[0] * x[1] * (1.0 - x[0] * x[1]),
        [0.0, 0.0],
        bounds=[(0, 2), (0, 2)],
    )
    assert result.success
    np.testing.assert_allclose(result.fun, -0.25, atol=1e-8)
