"""Ends that would be wrong: 'infeasible' where a way out exists, 'unbounded' by rounding."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.optim import Status

METHODS = ["interior-point", "augmented-lagrangian"]


@pytest.mark.parametrize("method", METHODS)
def test_where_the_violation_is_greatest_a_way_out_is_found(method):
    result = tw.minimize(
        lambda x: x[0] ** 2 + x[1] ** 2,
        [0.0, 0.0],
        method,
        inequalities=lambda x: 1.0 - x[0] ** 2 - x[1] ** 2,
    )
    assert result.success
    assert result.fun == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("start", [1.0, 3.0])
def test_a_local_minimum_of_the_violation_is_left(method, start):
    # x^3 - 3x + 10 has its only root at -2.61, beyond a maximum; its minimum 8 lies at 1.
    root = min(np.roots([1.0, 0.0, -3.0, 10.0]).real)
    result = tw.minimize(
        lambda x: x[0] ** 2, [start], method, equalities=lambda x: x[0] ** 3 - 3.0 * x[0] + 10.0
    )
    assert result.success
    assert result.x[0] == pytest.approx(root, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_what_no_point_holds_is_still_infeasible(method):
    result = tw.minimize(
        lambda x: x[0],
        [1.0, 1.0],
        method,
        equalities=lambda x: x[0] ** 2 + x[1] ** 2 - 1.0,
        inequalities=lambda x: 2.0 - x[0],
    )
    assert result.status is Status.INFEASIBLE


@pytest.mark.parametrize("method", METHODS)
def test_far_away_rounding_makes_no_point_feasible(method):
    # At 1e20 both x + y <= 1 and x + y >= 2 hold in double precision; no point is nearer to
    # both than by a half.
    result = tw.minimize(
        lambda x: x[0],
        [2.0, 1.0],
        method,
        inequalities=lambda x: [x[0] + x[1] - 1.0, 2.0 - x[0] - x[1]],
    )
    assert result.status is Status.INFEASIBLE
    assert result.violation == pytest.approx(0.5, abs=1e-6)
    assert np.max(np.abs(result.x)) < 10.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["equalities", "inequalities", "bounds", "many"])
def test_an_objective_that_falls_along_contradictions(method, kind):
    rng = np.random.default_rng(3)
    n = 120 if kind == "many" else 4
    a, c = rng.normal(size=(2, n))
    given = {
        "equalities": {"equalities": lambda x: [a @ x - 1.0, 2.0 * (a @ x) - 4.0]},
        "inequalities": {"inequalities": lambda x: [a @ x - 1.0, 5.0 - 2.0 * (a @ x)]},
        "bounds": {  # x₀ + x₁ = 3 with both at most 1, the others free
            "equalities": lambda x: x[0] + x[1] - 3.0,
            "bounds": [(0, 1), (0, 1), (None, None), (None, None)],
        },
        "many": {"inequalities": lambda x: [a @ x - 1.0, 2.0 - a @ x]},
    }[kind]
    result = tw.minimize(lambda x: c @ x, np.ones(n), method, **given)
    assert result.status is Status.INFEASIBLE, result.message


@pytest.mark.parametrize("inner", ["lbfgs", "cg"])
@pytest.mark.parametrize("n", [150, 400])
def test_of_many_variables_a_stationary_violation_is_no_verdict(inner, n):
    def ask(**given):
        return tw.minimize(
            lambda x: (x**2).sum(), np.zeros(n), "augmented-lagrangian", inner=inner, **given
        )

    half = n // 2
    outside = ask(inequalities=lambda x: 1.0 - (x**2).sum())  # from where it is violated most
    assert outside.success and outside.fun == pytest.approx(1.0, abs=1e-6)
    saddle = ask(equalities=lambda x: (x[:half] ** 2).sum() - 2.0 * (x[half:] ** 2).sum() - 1.0)
    assert saddle.success and saddle.fun == pytest.approx(1.0, abs=1e-6)
    nowhere = ask(equalities=lambda x: (x**2).sum() + 1.0)
    assert nowhere.status is Status.INFEASIBLE and nowhere.violation == pytest.approx(1.0, abs=1e-3)


def test_a_bound_is_no_rounding_of_large_terms():
    result = tw.minimize(
        lambda x: -x[0],
        [1.0, 1.0],
        equalities=lambda x: x[0] - x[1],
        inequalities=lambda x: 1e10 * (x[0] - x[1]) + x[0] - 1e8,
    )
    assert result.success
    assert result.fun == pytest.approx(-1e8, rel=1e-6)


def test_a_constraint_that_overflows_on_the_ray_is_not_held():
    result = tw.minimize(lambda x: -x[0], [1.0], inequalities=lambda x: (x[0] / 1e6) ** 60 - 1.0)
    assert result.status is not Status.UNBOUNDED


@pytest.mark.parametrize("method", METHODS)
def test_far_from_a_feasible_start_unbounded_is_said(method):
    result = tw.minimize(
        lambda x: x[1] - x[0], [1.0, 1.0], method, inequalities=lambda x: [x[1] - 1.0, -x[1]]
    )
    assert result.status is Status.UNBOUNDED


@pytest.mark.parametrize("method", METHODS)
def test_a_start_on_the_bound_where_logarithms_end(method):
    result = tw.minimize(
        lambda x: x[0] * tnp.log(x[0]) + x[1] * tnp.log(x[1]),
        [0.0, 1.0],
        method,
        bounds=(0, 1),
        equalities=lambda x: x[0] + x[1] - 1.0,
    )
    assert result.success
    np.testing.assert_allclose(result.x, [0.5, 0.5], atol=1e-6)
