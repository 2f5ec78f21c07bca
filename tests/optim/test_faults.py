"""What goes wrong is said truthfully, and the best point is kept."""

import time

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import OptionError
from thalweg.optim import Status

DESCENT = ["bfgs", "lbfgs", "cg", "scg", "newton", "newton-line", "newton-cg"]


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


@pytest.mark.parametrize("method", [*DESCENT, "interior-point"])
def test_nan_beyond_a_wall_is_stepped_around(method):
    def walled(x):  # not a number left of zero; the minimum 1 - log(1)… lies near the wall
        return x[0] - tnp.log(x[0]) + (x[1] - 1.0) ** 2

    result = tw.minimize(walled, [5.0, -3.0], method)
    assert result.success
    np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-6)


@pytest.mark.parametrize("method", [*DESCENT, "interior-point"])
def test_not_finite_at_the_start(method):
    result = tw.minimize(lambda x: tnp.log(x[0]), [-1.0], method)
    assert result.status is Status.NOT_FINITE and not result.success
    assert "start" in result.message


@pytest.mark.parametrize("method", [*DESCENT, "interior-point"])
def test_a_start_on_a_bound_where_the_objective_ends(method):
    result = tw.minimize(
        lambda x: tnp.sum(x * tnp.log(x)) + (x[1] - 1.0) ** 2, [0.0, 0.0], method,
        bounds=[(0, None), (0, 3)],
    )  # fmt: skip
    assert result.success, result.message
    np.testing.assert_allclose(result.x[0], np.exp(-1.0), rtol=1e-5)


def test_a_function_that_turns_to_nan_for_good_keeps_the_best_point():
    calls = []

    def broken(x):
        calls.append(1)
        return float("nan") if len(calls) > 5 else float(np.sum((x - 3.0) ** 2 * [1.0, 50.0]))

    result = tw.minimize(broken, [0.0, 0.0], "bfgs", jac=lambda x: 2 * (x - 3.0) * [1.0, 50.0])
    assert not result.success
    assert result.status in (Status.STEP_TOO_SMALL, Status.NOT_FINITE)
    assert np.all(np.isfinite(result.x))


@pytest.mark.parametrize("method", [*DESCENT, "interior-point"])
def test_unbounded_problems(method):
    result = tw.minimize(lambda x: x[0] ** 3 + x[1] ** 2, [-1.0, 1.0], method)
    assert result.status in (Status.UNBOUNDED, Status.DIVERGED)
    assert not result.success


def test_an_unbounded_linear_program():
    result = tw.minimize(lambda x: -x[0] - x[1], [0.0, 0.0], inequalities=lambda x: x[0] - x[1])
    assert result.status is Status.UNBOUNDED and not result.success


@pytest.mark.parametrize(
    "constraints",
    [
        {"inequalities": lambda x: [x[0] ** 2 + x[1] ** 2 - 1.0, 4.0 - x[0]]},
        {"equalities": lambda x: x[0] ** 2 + x[1] ** 2 + 1.0},
        {"equalities": lambda x: [x[0] + x[1] - 1.0, x[0] + x[1] - 2.0]},
        {"inequalities": lambda x: x[0] - 1.0, "bounds": [(2.0, None), (None, None)]},
    ],
)
@pytest.mark.parametrize("method", ["interior-point", "augmented-lagrangian"])
def test_infeasible_constraints(method, constraints):
    result = tw.minimize(rosenbrock, [0.5, 0.5], method, **constraints)
    assert not result.success
    assert result.status is Status.INFEASIBLE, result.message
    assert result.violation > 1e-3 and "nfeasible" in result.message


def test_rank_deficient_constraints():
    doubled = tw.minimize(
        lambda x: tnp.sum(x**2),
        [3.0, 4.0],
        equalities=lambda x: [x[0] + x[1] - 1.0, 2.0 * x[0] + 2.0 * x[1] - 2.0],
    )
    assert doubled.success
    np.testing.assert_allclose(doubled.x, [0.5, 0.5], atol=1e-7)
    flat = tw.minimize(  # the gradient of the constraint vanishes at the solution: no multiplier
        lambda x: x[0] + x[1] ** 2, [1.0, 1.0], equalities=lambda x: x[0] ** 2
    )
    assert flat.violation < 1e-6


def test_rank_deficient_jacobian():
    result = tw.least_squares(lambda x: [x[0] + x[1] - 3.0, 2.0 * (x[0] + x[1]) - 6.0], [0.0, 5.0])
    assert result.success and result.cost < 1e-24
    unused = tw.least_squares(lambda x: [x[0] - 1.0, x[0] ** 2 - 1.0, 0.0 * x[1]], [3.0, 7.0])
    assert unused.success
    np.testing.assert_allclose(unused.x, [1.0, 7.0])


def test_a_start_outside_its_bounds():
    for method in ("newton", "bfgs", "interior-point"):
        result = tw.minimize(rosenbrock, [-9.0, 50.0], method, bounds=[(0, 2), (0, 3)])
        assert result.success
        np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-5)
    fit = tw.least_squares(lambda x: x - 5.0, [9.0, -3.0], bounds=([0.0, 0.0], [4.0, 8.0]))
    np.testing.assert_allclose(fit.x, [4.0, 5.0])


@pytest.mark.parametrize("method", ["newton", "bfgs", "lbfgs", "scg", "interior-point"])
def test_fixed_variables(method):
    result = tw.minimize(rosenbrock, [0.0, 0.0], method, bounds=[(0.5, 0.5), (None, None)])
    assert result.success and result.x[0] == 0.5
    np.testing.assert_allclose(result.x[1], 0.25, atol=1e-7)
    both = tw.minimize(rosenbrock, [0.0, 0.0], method, bounds=[(0.5, 0.5), (2.0, 2.0)])
    assert both.success
    np.testing.assert_array_equal(both.x, [0.5, 2.0])


def test_one_parameter_and_zero_residual():
    result = tw.least_squares(lambda x: x**2 - 4.0, 3.0)
    assert result.success and float(result.x) == 2.0 and result.cost == 0.0
    at_once = tw.least_squares(lambda x: x - 1.0, [1.0, 1.0])
    assert at_once.success and at_once.nit == 0
    assert tw.minimize(lambda x: (x - 1.0) ** 2, 1.0).nit == 0


def test_a_truth_value_of_numpy_stops_as_pythons_does():
    result = tw.minimize(rosenbrock, [-1.2, 1.0], "bfgs", callback=lambda it: np.all(it.nit >= 3))
    assert result.status is Status.STOPPED_BY_CALLBACK and result.nit == 3


def test_limits_goal_and_callback():
    start = [-1.2, 1.0]
    cases = {
        Status.ITERATIONS_USED_UP: {"max_iterations": 5},
        Status.EVALUATIONS_USED_UP: {"max_evaluations": 7},
        Status.TIME_USED_UP: {"max_time": 0.0},
        Status.GOAL_MET: {"goal": 0.5},
        Status.STOPPED_BY_CALLBACK: {"callback": lambda it: it.nit == 3},
    }
    for status, limit in cases.items():
        result = tw.minimize(rosenbrock, start, "bfgs", **limit)
        assert result.status is status
        assert result.success == (status is Status.GOAL_MET)
        assert result.fun <= rosenbrock(np.array(start))
    assert tw.minimize(rosenbrock, start, "bfgs", max_evaluations=7).nfev == 7


def test_an_interrupt_keeps_the_best_point():
    def impatient(iteration):
        if iteration.nit == 4:
            raise KeyboardInterrupt

    result = tw.minimize(rosenbrock, [-1.2, 1.0], "bfgs", callback=impatient)
    assert result.status is Status.INTERRUPTED and not result.success
    assert result.fun == min(line.fun for line in result.history)


def test_time_is_kept():
    def slow(x):
        time.sleep(0.01)
        return float(x @ x)

    result = tw.minimize(slow, np.ones(3), "gd", jac=lambda x: 1e-3 * x, max_time=0.2)
    assert result.seconds < 1.0


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("lbfgs", {"memry": 3}, "Did you mean 'memory'"),
        ("newton", {"maximise": True}, "has no option 'maximise'."),
        ("interior-point", {"inner": "lm"}, "Known: barrier"),
        ("lbfgs", {"memory": 0}, "memory=0"),
        ("lbfgs", {"memory": 2.5}, "memory=2.5"),
    ],
)
def test_options_that_a_method_does_not_have(method, options, said):
    with pytest.raises(OptionError, match=said):
        tw.minimize(rosenbrock, [-1.2, 1.0], method=method, **options)


def test_no_residuals():
    with pytest.raises(OptionError, match="no residuals"):
        tw.least_squares(lambda x: x[:0], [1.0, 2.0])


@pytest.mark.filterwarnings("error")
def test_squares_that_overflow_at_the_start_warn_of_nothing():
    result = tw.least_squares(lambda x: [1e200 * (x[0] - 1.0), x[1]], [0.0, 0.0])
    assert result.status is Status.NOT_FINITE


def test_the_result_reads_well():
    result = tw.minimize(rosenbrock, [-1.2, 1.0], bounds=[(None, 0.5), (None, None)])
    text = repr(result)
    assert "Converged" in text and "multipliers" in text and "nfev" in text
    assert "<table>" in result._repr_html_()
    assert "수렴" in result.message_in("ko")
    assert result["fun"] == result.fun and "success" in list(result)
    for status in Status:
        result.status = status
        assert result.message and result.message_in("ko") != result.message
