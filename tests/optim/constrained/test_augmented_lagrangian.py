"""The augmented Lagrangian around every kind of method."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError
from thalweg.optim.direction.gauss_newton import Orthogonal
from thalweg.optim.direction.marquardt import Normal
from thalweg.optim.functions import Traced
from thalweg.optim.methods import METHODS
from thalweg.optim.problem import Bounds, Problem, SmoothLeastSquares, SmoothObjective
from thalweg.optim.rules import RULES, Adam
from thalweg.optim.run import Limits, Run
from thalweg.optim.solution import solve

RNG = np.random.default_rng(8)
A, T = RNG.normal(size=(9, 3)), RNG.normal(size=9)
INNER = [name for name in METHODS if name not in ("interior-point", "augmented-lagrangian")]
SQUARES = ("lm", "marquardt", "gauss-newton")


def squares(method, iterations=1000, **options):
    """min ½‖Ax - t‖² with x₀ + x₁ = 1, x₂ ≤ 0.1 - x₀², by any method."""
    problem = Problem(
        SmoothLeastSquares(Traced(lambda x: A @ x - T, 3)),
        Bounds.none(3),
        Traced(lambda x: x[:1] + x[1:2] - 1.0, 3),
        Traced(lambda x: x[2:] + x[:1] ** 2 - 0.1, 3),
        Run(Limits(iterations)),
    )
    return solve(problem, np.zeros(3), method, options.pop("tol", 1e-7), options=options)


EXACT = squares("interior-point", tol=1e-10)


@pytest.mark.parametrize("inner", INNER)
def test_any_method_inside_finds_the_solution_and_the_multipliers(inner):
    found = squares("augmented-lagrangian", inner=inner)
    assert found.success, found.message
    np.testing.assert_allclose(found.x, EXACT.x, atol=1e-5)
    for side in ("equalities", "inequalities"):
        ours, theirs = (getattr(r.multipliers, side) for r in (found, EXACT))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("inner", sorted(set(RULES) - set(METHODS)))
def test_first_order_rules_come_near(inner):
    found = squares("augmented-lagrangian", inner=inner, tol=1e-4, iterations=4000)
    assert found.violation <= 1e-3
    assert found.fun <= EXACT.fun * 1.05


def test_a_rule_with_hyperparameters_of_its_own():
    found = squares("augmented-lagrangian", inner=Adam(learning_rate=0.03, beta1=0.8), tol=1e-4)
    assert abs(found.fun - EXACT.fun) <= 1e-3


def test_every_iteration_of_the_inner_method_is_seen():
    found = squares("augmented-lagrangian", inner="lm")
    assert len(found.history) >= found.nit
    assert all(np.isfinite(line.violation) for line in found.history)


def test_known_prices_save_most_of_the_way():
    cold = squares("augmented-lagrangian")
    warm = squares("augmented-lagrangian", prices=EXACT.multipliers)
    assert warm.success and warm.nit < cold.nit
    new = type(EXACT.multipliers)(
        *(np.full_like(side, np.nan) for side in vars(EXACT.multipliers).values())
    )
    assert squares("augmented-lagrangian", prices=new).success


def test_joined_residuals_are_those_of_the_longer_sum():
    residual, jacobian, more, rows = T, A, RNG.normal(size=4), RNG.normal(size=(4, 3))
    whole = Orthogonal(np.concatenate([residual, more]), np.concatenate([jacobian, rows]))
    normal = Normal(0.5 * residual @ residual, jacobian.T @ residual, jacobian.T @ jacobian)
    for model in (Orthogonal(residual, jacobian).joined(more, rows), normal.joined(more, rows)):
        assert model.cost == pytest.approx(whole.cost)
        np.testing.assert_allclose(model.gradient, whole.gradient, atol=1e-12)
        free, scale = np.ones(3, bool), np.ones(3)
        steps = [m.prepare(scale, free)(0.1) for m in (model, whole)]
        np.testing.assert_allclose(*steps, atol=1e-10)


@pytest.mark.parametrize("inner", SQUARES)
def test_squares_are_asked_for_where_they_are_needed(inner):
    with pytest.raises(OptionError, match="needs residuals"):
        tw.minimize(
            lambda x: (x**2).sum(),
            [1.0, 1.0],
            "augmented-lagrangian",
            inner=inner,
            equalities=lambda x: x[0] - 1.0,
        )


def test_a_rate_that_is_far_too_long_is_no_success():
    steep = SmoothObjective(Traced(lambda x: 1e6 * (x**4).sum(), 2))
    problem = Problem(steep, Bounds.none(2), Traced(lambda x: x[:1] - 0.5, 2))
    options = {"inner": RULES["sgd"](learning_rate=10.0)}
    found = solve(problem, np.ones(2), "augmented-lagrangian", 1e-5, options=options)
    assert found.fun <= 1e6 * 2.0
    assert not found.success or abs(found.x[0] - 0.5) <= 1e-5


@pytest.mark.parametrize("evaluations", range(30, 80, 4))
def test_the_certificate_belongs_to_the_point_that_is_handed_back(evaluations):
    found = tw.minimize(
        lambda x: (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2,
        [-2.0, 0.5],
        "augmented-lagrangian",
        inner="scg",
        inequalities=lambda x: x[0] ** 2 + x[1] ** 2 - 1.0,
        max_evaluations=evaluations,
    )
    rest = found.jac + 2.0 * found.x * found.multipliers.inequalities
    assert found.kkt.stationarity == pytest.approx(np.max(np.abs(rest)), rel=1e-6)
    assert found.kkt.violation == pytest.approx(found.violation, abs=1e-12)
