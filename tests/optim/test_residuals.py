"""Least squares against certified values, closed forms and SciPy.

`nist.json` restates four of the Statistical Reference Datasets of NIST (data, both starts,
certified values of eleven digits). Digits are counted as NIST does: -log10 of the relative error.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.optim.direction.gauss_newton import refined_step

NIST = json.loads((Path(__file__).parent / "nist.json").read_text())["problems"]
MODELS = {
    "Misra1c": lambda b, x: b[0] * (1.0 - (1.0 + 2.0 * b[1] * x) ** -0.5),
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH17": lambda b, x: b[0] + b[1] * tnp.exp(-x * b[3]) + b[2] * tnp.exp(-x * b[4]),
    "Rat43": lambda b, x: b[0] / (1.0 + tnp.exp(b[1] - b[2] * x)) ** (1.0 / b[3]),
}


def digits(found, certified):
    certified = np.array(certified)
    return float(np.min(-np.log10(np.abs(found - certified) / np.abs(certified) + 1e-16)))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("start", [0, 1])
def test_certified_values(name, start):
    problem = NIST[name]
    x, y = np.array(problem["x"]), np.array(problem["y"])
    result = tw.least_squares(lambda b: MODELS[name](b, x) - y, problem["starts"][start])
    assert result.success, result.message
    assert digits(result.x, problem["certified"]) > 9.5
    np.testing.assert_allclose(2.0 * result.cost, problem["rss"], rtol=1e-9)
    np.testing.assert_allclose(result.cost, 0.5 * np.sum(result.fun**2))


def test_a_linear_problem_is_lstsq():
    generator = np.random.default_rng(3)
    matrix, b = generator.normal(size=(20, 5)), generator.normal(size=20)
    for method in ("lm", "marquardt", "gauss-newton", "newton", "bfgs"):
        result = tw.least_squares(lambda x: matrix @ x - b, np.zeros(5), method)
        assert result.success
        np.testing.assert_allclose(result.x, np.linalg.lstsq(matrix, b)[0], atol=1e-7)
    np.testing.assert_allclose(result.jac, matrix)


def test_the_refined_step_keeps_digits_that_normal_equations_lose():
    t = np.linspace(0.0, 1.0, 12)
    matrix = np.vander(t, 9)  # condition about 1e7: squared, it would leave two digits
    truth = np.arange(1.0, 10.0)
    step = refined_step(-(matrix @ truth), matrix)
    np.testing.assert_allclose(step, truth, rtol=1e-9)
    assert refined_step(np.ones(3), np.ones((3, 2))) is None


MORE_GARBOW_HILLSTROM = {
    "rosenbrock": (lambda x: [10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]], [-1.2, 1.0]),
    "brown badly scaled": (
        lambda x: [x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2.0], [1.0, 1.0]),
    "powell singular": (
        lambda x: [x[0] + 10.0 * x[1], 5.0**0.5 * (x[2] - x[3]), (x[1] - 2.0 * x[2]) ** 2,
                   10.0**0.5 * (x[0] - x[3]) ** 2], [3.0, -1.0, 0.0, 1.0]),
    "wood": (
        lambda x: [10.0 * (x[1] - x[0] ** 2), 1.0 - x[0], 90.0**0.5 * (x[3] - x[2] ** 2),
                   1.0 - x[2], 10.0**0.5 * (x[1] + x[3] - 2.0), 0.1**0.5 * (x[1] - x[3])],
        [-3.0, -1.0, -3.0, -1.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", MORE_GARBOW_HILLSTROM)
@pytest.mark.parametrize("factor", [1, 10, 100])
def test_far_starts_of_zero_residual_problems(name, factor):
    residual, start = MORE_GARBOW_HILLSTROM[name]
    result = tw.least_squares(residual, factor * np.array(start))
    assert result.success and 2.0 * result.cost < 1e-12


def test_large_residuals_end_in_newtons_method():
    def jennrich_sampson(x):
        i = np.arange(1.0, 11.0)
        return 2.0 + 2.0 * i - (tnp.exp(i * x[0]) + tnp.exp(i * x[1]))

    result = tw.least_squares(jennrich_sampson, [0.3, 0.4])
    assert result.success
    np.testing.assert_allclose(2.0 * result.cost, 124.36218235561, rtol=1e-11)


def test_bounds_against_scipy():
    t = np.linspace(0.0, 2.0, 30)
    data = 2.0 * np.exp(-1.5 * t) + 0.05 * np.sin(40.0 * t)
    bounds = ([0.0, 0.0], [1.5, 10.0])
    result = tw.least_squares(lambda b: b[0] * tnp.exp(-b[1] * t) - data, [1.0, 1.0], bounds=bounds)
    other = scipy.optimize.least_squares(
        lambda b: b[0] * np.exp(-b[1] * t) - data, [1.0, 1.0], bounds=bounds, xtol=1e-14,
        ftol=1e-14, gtol=1e-14,
    )  # fmt: skip
    assert result.success and result.violation == 0.0
    np.testing.assert_allclose(result.x, other.x, rtol=1e-6)
    assert result.multipliers.upper[0] > 0


def test_an_objective_known_by_its_normal_equations_only():
    """What a network's trainer supplies: costs, and JᵀJ with Jᵀr; both solvers take it."""
    from thalweg.optim.direction.marquardt import Normal
    from thalweg.optim.problem import Bounds, LeastSquares, Problem
    from thalweg.optim.solution import solve

    t = np.linspace(0.0, 1.0, 40)
    data = 2.0 * np.exp(-3.0 * t)

    class Decay(LeastSquares):
        def parts(self, x):
            e = np.exp(-x[1] * t)
            return x[0] * e - data, np.stack([e, -x[0] * t * e], axis=1)

        def value(self, x):
            return 0.5 * float(self.parts(x)[0] @ self.parts(x)[0])

        def value_and_gradient(self, x):
            residual, jacobian = self.parts(x)
            return 0.5 * float(residual @ residual), jacobian.T @ residual

        def linearise(self, x):
            residual, jacobian = self.parts(x)
            return Normal(self.value(x), jacobian.T @ residual, jacobian.T @ jacobian)

    for method in ("marquardt", "lm", "bfgs", "lbfgs", "cg", "scg"):
        result = solve(Problem(Decay(), Bounds.none(2)), np.array([1.0, 1.0]), method)
        assert result.success, method
        np.testing.assert_allclose(result.x, [2.0, 3.0], rtol=1e-5)


def test_given_jacobian_and_trees():
    t = np.linspace(0.0, 1.0, 9)
    given = tw.least_squares(
        lambda b: np.asarray(b[0] * np.exp(float(b[1]) * t) - 3.0 * np.exp(-t)),
        [1.0, 0.0],
        jac=lambda b: np.stack([np.exp(b[1] * t), b[0] * t * np.exp(b[1] * t)], axis=1),
        check_derivatives=True,
    )
    np.testing.assert_allclose(given.x, [3.0, -1.0], rtol=1e-9)
    tree = tw.least_squares(
        lambda p: p["a"] * tnp.exp(p["k"] * t) - 3.0 * np.exp(-t), {"a": 1.0, "k": 0.0}
    )
    np.testing.assert_allclose([tree.x["a"], tree.x["k"]], [3.0, -1.0], rtol=1e-9)


def test_limits_and_overflow_on_the_way():
    t = np.linspace(0.0, 100.0, 20)
    result = tw.least_squares(lambda b: tnp.exp(b[0] * t) - np.exp(0.01 * t), [3.0])
    assert np.isfinite(result.cost)
    assert tw.least_squares(lambda b: b**2 + 1.0, [3.0], max_iterations=2).nit <= 2


BARD = np.array(
    [.14, .18, .22, .25, .29, .32, .35, .39, .37, .58, .73, .96, 1.34, 2.10, 4.39]
)  # fmt: skip


@pytest.mark.parametrize("factor", [1, 10, 100])
def test_a_plateau_at_infinity_is_not_the_last_word(factor):
    """From far starts long first steps lead to 17.4287 with two parameters at infinity."""
    u = np.arange(1.0, 16.0)
    v, w = 16.0 - u, np.minimum(u, 16.0 - u)
    result = tw.least_squares(
        lambda x: BARD - (x[0] + u / (v * x[1] + w * x[2])), factor * np.ones(3)
    )
    assert result.success
    np.testing.assert_allclose(2.0 * result.cost, 8.21487730657e-3, rtol=1e-9)


@pytest.mark.parametrize("factor", [1, 10, 100])
@pytest.mark.parametrize("n", [10, 40])
def test_residuals_that_are_rounding_are_a_success(n, factor):
    def variably_dimensioned(x):
        total = tnp.sum(np.arange(1.0, n + 1) * (x - 1.0))
        return tnp.concatenate([x - 1.0, tnp.stack([total, total**2])])

    start = 1.0 - np.arange(1.0, n + 1) / n
    result = tw.least_squares(variably_dimensioned, factor * start)
    assert result.success and 2.0 * result.cost < 1e-20, result.message


def test_rounding_inside_the_residuals_counts_too():
    i = np.arange(1.0, 11.0)
    result = tw.least_squares(
        lambda x: 10.0 - tnp.sum(tnp.cos(x)) + i * (1.0 - tnp.cos(x)) - tnp.sin(x),
        np.full(10, 0.1),
    )
    assert result.success and 2.0 * result.cost < 1e-28, result.message


def test_a_jacobian_is_asked_for_once_at_a_point():
    t, seen = np.linspace(0.0, 1.0, 20), []

    def jacobian(b):
        seen.append(b.copy())
        decay = np.exp(-b[1] * t)
        return np.stack([decay, -b[0] * t * decay], axis=1)

    data = 2.0 * np.exp(-3.0 * t) + 0.1 * np.sin(40.0 * t)
    result = tw.least_squares(lambda b: b[0] * np.exp(-b[1] * t) - data, [1.0, 1.0], jac=jacobian)
    assert result.success and len(seen) > 3
    assert not any(np.array_equal(a, b) for a, b in pairwise(seen))
