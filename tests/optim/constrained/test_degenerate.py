"""Programs whose constraints leave no interior, depend on each other, or are badly scaled."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.optim import Status
from thalweg.optim.constrained import solver
from thalweg.optim.constrained.barrier import Barrier, Iterate
from thalweg.optim.constrained.certificate import with_own_multipliers
from thalweg.optim.constrained.program import SlackForm
from thalweg.optim.functions import Traced
from thalweg.optim.problem import Bounds, Problem, SmoothObjective


def test_equations_whose_only_solution_lies_on_a_bound():
    # The smallest eigenvalue of diag(1, 2) with its eigenvector: |entries| <= 1 leave no room.
    result = tw.minimize(
        lambda x: x[0],
        [1.0, 0.8, 0.6],
        equalities=lambda x: [
            (1.0 - x[0]) * x[1], (2.0 - x[0]) * x[2], x[1] ** 2 + x[2] ** 2 - 1.0
        ],
        bounds=[(-1, 1)] * 3,
    )  # fmt: skip
    assert result.success and result.nit < 60
    np.testing.assert_allclose(np.abs(result.x), [1.0, 1.0, 0.0], atol=1e-6)
    assert np.max(np.abs(result.multipliers.equalities)) < 1e3  # they exist, and are found


def test_a_feasible_set_of_one_point():
    result = tw.minimize(
        lambda x: tnp.exp(x[0]) + x[1] ** 2,
        [3.0, 2.0],
        equalities=lambda x: x[0] + x[1],
        bounds=[(0, None), (0, None)],
    )
    assert result.success
    np.testing.assert_allclose(result.x, 0.0, atol=1e-8)
    np.testing.assert_allclose(result.fun, 1.0, rtol=1e-8)


def test_multipliers_of_a_point_are_those_of_its_conditions():
    # min ½‖x - (2, 1)‖² on x₁ ≤ 1, x₁ + x₂ = 1.5 ends at (1, ½): y = ½, z of the bound ½.
    objective = SmoothObjective(Traced(lambda x: 0.5 * ((x - np.array([2.0, 1.0])) ** 2).sum(), 2))
    problem = Problem(
        objective,
        Bounds(np.full(2, -np.inf), np.array([1.0, np.inf])),
        Traced(lambda x: x[0] + x[1] - 1.5, 2),
    )
    w = np.array([1.0 - 1e-9, 0.5 + 1e-9])
    program = SlackForm(problem, w)
    wild = Iterate(
        w, np.array([1e9]), np.zeros(2), np.array([1e9, 0.0]),
        program.values(w), program.derivatives(w),
    )  # fmt: skip
    own = with_own_multipliers(Barrier(program), wild, 1e-6)
    np.testing.assert_allclose(own.y, [0.5], atol=1e-6)
    np.testing.assert_allclose(own.zu, [0.5, 0.0], atol=1e-6)


def chain(x):
    """A pendulum-like recursion: its constraints are curved where the objective is flat."""
    n = x.shape[0] // 2
    angle, control = x[:n], x[n:]
    last = tnp.concatenate([np.zeros(1), angle[:-1]])
    return angle - last - 0.5 * (control + tnp.sin(last))


def test_flat_objectives_on_curved_constraints_do_not_creep():
    n = 6
    result = tw.minimize(
        lambda x: -tnp.sum(x[:n] * x[n:]) / n,
        np.zeros(2 * n),
        equalities=chain,
        bounds=[(-0.5, 0.5)] * n + [(0.0, 1.0)] * n,
    )
    assert result.success and result.nit < 100, result.message


def test_a_far_start_does_not_hide_the_gradient_of_the_end():
    def far(x):
        return (
            100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2 + x[2] ** 2 + x[3] ** 2
        )  # 2e20 at the start

    start = [-1.2, 1.0, 1e10, 1e10]
    for method in ("newton", "lbfgs", "cg", "scg", "newton-line", "interior-point"):
        result = tw.minimize(far, start, method)
        assert result.success, (method, result.message)
        np.testing.assert_allclose(result.x, [1.0, 1.0, 0.0, 0.0], atol=1e-5)
    assert not tw.minimize(far, start, "gd", max_iterations=3).success


def test_met_constraints_are_never_called_infeasible():
    # Double roots: no step of the restoration gets any further, at a violation of nothing.
    result = tw.minimize(
        lambda x: 0.0 * x[0],
        [0.3, 0.8],
        equalities=lambda x: [(x[0] - x[1]) ** 4, (x[0] + x[1] - 1.0) ** 4],
    )
    assert result.violation > 1e-6 or result.status is not Status.INFEASIBLE


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_units_of_variables_and_functions_do_not_matter_much(factor):
    result = tw.minimize(
        lambda x: factor * ((x[0] / factor - 3.0) ** 2 + 2.0 * (x[1] - 1.0) ** 2),
        [0.0, 0.0],
        inequalities=lambda x: factor * (x[0] / factor + x[1] - 2.0),
        bounds=[(0, None), (0, None)],
    )
    assert result.success, result.message
    np.testing.assert_allclose(result.x[0] / factor, 5.0 / 3.0, rtol=1e-5)
    np.testing.assert_allclose(result.x[1], 1.0 / 3.0, rtol=1e-5)


@pytest.mark.parametrize("patience", [0, 3, 10])
def test_both_barrier_updates_take_turns_and_go_on_where_they_were(patience, monkeypatch):
    def solved():
        return tw.minimize(
            lambda x: (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2 + x[2] ** 4,
            [-1.2, 1.0, 2.0],
            inequalities=lambda x: [x[0] ** 2 + x[1] ** 2 - 1.0, 0.3 - x[2]],
            equalities=lambda x: x[0] + x[2] - 1.0,
        )

    at_once = solved()
    monkeypatch.setattr(solver, "PATIENCE", patience)
    in_turn = solved()
    assert at_once.success and in_turn.success, in_turn.message
    assert in_turn.nit > at_once.nit
    np.testing.assert_allclose(in_turn.x, at_once.x, atol=1e-8)


def ring(x):
    """Eight atoms: neighbours at distance 1, next ones at √(8/3), as in cyclooctane."""
    v = x.reshape((8, 3))
    turned = [tnp.concatenate([v[k:], v[:k]]) for k in (1, 2)]
    return [tnp.sum((v - turned[0]) ** 2, axis=1) - 1.0,
            tnp.sum((v - turned[1]) ** 2, axis=1) - 8.0 / 3.0]  # fmt: skip


def test_a_violation_that_is_stationary_in_a_plane_is_no_verdict():
    # All atoms on a line: gradients of the constraints depend, and a plane is never left.
    result = tw.minimize(
        lambda x: 0.0 * x[0],
        np.repeat(np.arange(1.0, 9.0) / 8.0, 3),
        equalities=ring,
        bounds=[(0.0, 0.0)] * 4 + [(None, None)] * 20,
    )
    assert result.success and result.violation < 1e-9, result.message


def test_a_saddle_of_the_violation_is_no_verdict():
    # On the axis x = 0 the violation is least at the origin, beside it there are solutions.
    result = tw.minimize(
        lambda x: x[1] ** 2, [0.0, 0.5], equalities=lambda x: 1.0 - x[0] ** 2 + x[1] ** 2
    )
    assert result.success, result.message
    np.testing.assert_allclose(np.abs(result.x), [1.0, 0.0], atol=1e-6)


def test_equations_with_all_solutions_on_bounds():
    # Rosenbrock's chain: 1 is the only root, and a lower bound of every other entry.
    n = 25
    bounds = [(1.0, 100.0) if k % 2 == 0 else (-100.0, 100.0) for k in range(n)]
    result = tw.minimize(
        lambda x: 0.0 * x[0],
        np.full(n, 3.0),
        equalities=lambda x: tnp.concatenate([x[:1] - 1.0, 2.0 * (x[1:] - x[:-1] ** 2)]),
        bounds=bounds,
    )
    assert result.success, result.message
    np.testing.assert_allclose(result.x, 1.0, atol=1e-9)


def test_infeasible_is_certain():
    # The violation is stationary at x₁ = 0 although its column of the Jacobian vanishes there.
    result = tw.minimize(
        lambda x: (1.0 - x[0]) ** 2 + x[1] ** 2,
        [0.5, 0.5],
        inequalities=lambda x: [x[0] ** 2 + x[1] ** 2 - 1.0, 4.0 - x[0]],
    )
    assert result.status is Status.INFEASIBLE


def test_what_is_infeasible_is_not_called_unbounded():
    result = tw.minimize(
        lambda x: x[0] + x[1], [0.5, 0.5], inequalities=lambda x: [x[0] + 1.0, 1.0 - x[0]]
    )
    assert result.status is not Status.UNBOUNDED and not result.success


def test_a_narrow_winding_valley():
    # Between two sine curves that meet at the solution; the objective falls without limit outside.
    result = tw.minimize(
        lambda x: x[0],
        [1.0, 5.0],
        inequalities=lambda x: [tnp.sin(x[0]) - x[1], x[1] - tnp.sin(x[0]) - 1e-4 * x[0]],
    )
    assert result.success, result.message
    np.testing.assert_allclose(result.x, 0.0, atol=1e-4)


def test_constraints_that_are_infinitely_steep_at_the_start():
    result = tw.minimize(
        lambda x: x[0] + x[1],
        [0.0, 0.0],
        equalities=lambda x: tnp.sqrt(x[0]) + tnp.sqrt(x[1]) - 2.0,
        bounds=[(0, None)] * 2,
    )
    assert result.success, result.message
    np.testing.assert_allclose(result.x, 1.0, atol=1e-6)


@pytest.mark.parametrize("start", [0.5, 3.0])
@pytest.mark.parametrize(("power", "end"), [(4, 1e2), (4, 1e3), (4, 1e4)])
def test_a_constraint_that_is_flat_at_the_start_and_steep_at_the_solution(power, end, start):
    result = tw.minimize(
        lambda x: -x[0], [start], inequalities=lambda x: x[0] ** power - end**power
    )
    assert result.success
    assert result.x[0] == pytest.approx(end, rel=1e-6)


@pytest.mark.parametrize(("power", "end"), [(10, 1e3), (20, 10.0), (20, 1e5), (60, 1e5)])
@pytest.mark.parametrize("start", [0.5, 1.0, 3.0, 100.0])
def test_numbers_that_no_method_can_weigh_are_not_called_solved(power, end, start):
    result = tw.minimize(
        lambda x: -x[0], [start], inequalities=lambda x: x[0] ** power - end**power
    )
    assert not result.success or result.x[0] == pytest.approx(end, rel=1e-6)
    assert result.status is not Status.UNBOUNDED
