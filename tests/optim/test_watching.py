"""What is noted of one iteration is what the solver itself did."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.optim.direction.quasi_newton import BFGS
from thalweg.optim.functions import smooth
from thalweg.optim.problem import SmoothObjective
from thalweg.optim.watching import LineSearchStep, PlainStep, TrustRegionStep, watch

START = np.array([-1.2, 1.0])


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def _objective() -> SmoothObjective:
    return SmoothObjective(smooth(rosenbrock, START))


def _points(method: str, count: int) -> list[np.ndarray]:
    points: list[np.ndarray] = []
    tw.minimize(
        rosenbrock, START, method, tol=0.0, max_iterations=count,
        callback=lambda line: points.append(np.array(line.x)) and None,
    )  # fmt: skip
    return points


@pytest.mark.parametrize(
    "method", ["bfgs", "lbfgs", "cg", "cg-pr", "newton", "newton-line", "newton-cg", "scg", "gd"]
)
@pytest.mark.parametrize("number", [1, 4])
def test_the_iteration_is_that_of_a_run_without_notes(method: str, number: int) -> None:
    step, points = watch(_objective(), START, method, number), _points(method, number)
    assert np.array_equal(step.x, points[number - 1])
    assert np.array_equal(step.new_x, points[number])
    assert step.new_value == pytest.approx(float(rosenbrock(points[number])), rel=1e-14)


def test_a_line_search_step_is_direction_times_length() -> None:
    step = watch(_objective(), START, "bfgs", 5)
    assert isinstance(step, LineSearchStep)
    assert isinstance(step.before, BFGS)
    assert np.allclose(step.d, -step.before.inverse @ step.gradient, rtol=1e-14)
    assert np.allclose(step.x + step.length * step.d, step.new_x, rtol=1e-14)
    y, s = step.new_gradient - step.gradient, step.new_x - step.x
    assert np.allclose(step.after.inverse @ y, s, rtol=1e-9)  # the secant equation
    assert any(length == step.length for length, _ in step.trials)


@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_trust_region_step_solves_its_shifted_system(number: int) -> None:
    step = watch(_objective(), START, "newton", number)
    assert isinstance(step, TrustRegionStep)
    s = step.new_x - step.x
    assert np.linalg.norm(s) <= step.radius * (1.0 + 1e-9)
    matrix = step.model.matrix + step.shift * np.eye(2)
    assert np.allclose(matrix @ s, -step.gradient, rtol=1e-8, atol=1e-8)


def test_a_run_that_has_ended_stands_still() -> None:
    step = watch(_objective(), START, "bfgs", 500)
    assert not step.moved
    assert np.array_equal(step.x, step.new_x)
    assert np.allclose(step.x, 1.0, atol=1e-6)
    assert isinstance(step, PlainStep)
