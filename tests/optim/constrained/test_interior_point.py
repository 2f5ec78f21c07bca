"""The interior-point method on programs with known solutions, multipliers and prices.

Problems called HS n restate W. Hock and K. Schittkowski, Test Examples for Nonlinear Programming
Codes (1981), with their optimal values.
"""

import numpy as np
import pytest
import scipy.optimize

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import DifferentiationError, OptionError
from thalweg.optim import Status
from thalweg.optim.constrained.kkt import KKTSystem, Regulariser

FREE = (None, None)
HS = {
    "HS12": (
        lambda x: 0.5 * x[0] ** 2 + x[1] ** 2 - x[0] * x[1] - 7.0 * x[0] - 7.0 * x[1],
        [0.0, 0.0], {"inequalities": lambda x: 4.0 * x[0] ** 2 + x[1] ** 2 - 25.0}, -30.0),
    "HS21": (
        lambda x: 0.01 * x[0] ** 2 + x[1] ** 2 - 100.0, [-1.0, -1.0],
        {"inequalities": lambda x: 10.0 - 10.0 * x[0] + x[1],
         "bounds": [(2, 50), (-50, 50)]}, -99.96),
    "HS36": (
        lambda x: -x[0] * x[1] * x[2], [10.0, 10.0, 10.0],
        {"inequalities": lambda x: x[0] + 2.0 * x[1] + 2.0 * x[2] - 72.0,
         "bounds": [(0, 20), (0, 11), (0, 42)]}, -3300.0),
    "HS40": (
        lambda x: -x[0] * x[1] * x[2] * x[3], [0.8] * 4,
        {"equalities": lambda x: [x[0] ** 3 + x[1] ** 2 - 1.0, x[0] ** 2 * x[3] - x[2],
                                  x[3] ** 2 - x[1]]}, -0.25),
    "HS43": (
        lambda x: x[0] ** 2 + x[1] ** 2 + 2.0 * x[2] ** 2 + x[3] ** 2 - 5.0 * x[0] - 5.0 * x[1]
        - 21.0 * x[2] + 7.0 * x[3], [0.0] * 4,
        {"inequalities": lambda x: [
            x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2 + x[0] - x[1] + x[2] - x[3] - 8.0,
            x[0] ** 2 + 2.0 * x[1] ** 2 + x[2] ** 2 + 2.0 * x[3] ** 2 - x[0] - x[3] - 10.0,
            2.0 * x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + 2.0 * x[0] - x[1] - x[3] - 5.0]}, -44.0),
    "HS63": (
        lambda x: 1000.0 - x[0] ** 2 - 2.0 * x[1] ** 2 - x[2] ** 2 - x[0] * x[1] - x[0] * x[2],
        [2.0, 2.0, 2.0],
        {"equalities": lambda x: [8.0 * x[0] + 14.0 * x[1] + 7.0 * x[2] - 56.0,
                                  x[0] ** 2 + x[1] ** 2 + x[2] ** 2 - 25.0],
         "bounds": [(0, None)] * 3}, 961.7151721),
}  # fmt: skip


@pytest.mark.parametrize("name", HS)
@pytest.mark.parametrize("method", ["interior-point", "augmented-lagrangian"])
def test_hock_schittkowski(name, method):
    f, start, constraints, optimum = HS[name]
    result = tw.minimize(f, start, method, **constraints)
    assert result.success, result.message
    np.testing.assert_allclose(result.fun, optimum, rtol=1e-7)
    assert result.violation <= 1e-7
    if method == "interior-point":
        assert result.violation <= 1e-9 and result.kkt.stationarity < 1e-6


def test_document_004_standard_form_and_its_prices():
    """Multipliers are slopes of the optimal value: checked by solving again, shifted."""

    def solve(a, b, c):
        return tw.minimize(
            lambda x: (x[0] - 2.0) ** 2 + (x[1] - 1.0) ** 4,
            [0.5, 0.5],
            inequalities=lambda x: x[0] ** 2 + x[1] ** 2 - 1.0 - a,
            equalities=lambda x: x[0] - 2.0 * x[1] - 0.3 - b,
            bounds=[(None, None), (0.28 + c, None)],
        )

    h, middle = 1e-5, solve(0, 0, 0)
    slopes = [(solve(*(h * e)).fun - solve(*(-h * e)).fun) / (2 * h) for e in np.eye(3)]
    multipliers = middle.multipliers
    found = [
        -multipliers.inequalities[0],
        -multipliers.equalities[0],
        multipliers.lower[1],
    ]
    np.testing.assert_allclose(found, slopes, rtol=1e-4, atol=1e-6)
    assert multipliers.inequalities[0] >= 0 and multipliers.lower[1] >= 0


def test_prices_of_an_active_bound():
    result = tw.minimize(
        lambda x: tnp.sum((x - np.array([2.0, -1.0])) ** 2),
        [0.5, 0.5],
        "interior-point",
        bounds=[(0, 1), (0, 1)],
    )
    np.testing.assert_allclose(result.multipliers.upper, [2.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(result.multipliers.lower, [0.0, 2.0], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_linear_programs_against_scipy(seed):
    generator = np.random.default_rng(seed)
    a, cost = generator.uniform(0.1, 1.0, (6, 4)), -generator.uniform(0.5, 1.5, 4)
    b = generator.uniform(1.0, 2.0, 6)
    result = tw.minimize(
        lambda x: cost @ x, np.zeros(4), inequalities=lambda x: a @ x - b, bounds=[(0, None)] * 4
    )
    other = scipy.optimize.linprog(cost, a, b)
    assert result.success
    np.testing.assert_allclose(result.fun, other.fun, rtol=1e-8)
    np.testing.assert_allclose(result.multipliers.inequalities, -other.ineqlin.marginals, atol=1e-6)


def test_quadratic_program_against_its_kkt_system():
    generator = np.random.default_rng(0)
    root, a = generator.normal(size=(5, 5)), generator.normal(size=(2, 5))
    matrix, g, b = root @ root.T + np.eye(5), generator.normal(size=5), np.array([1.0, -1.0])
    result = tw.minimize(
        lambda x: 0.5 * x @ (matrix @ x) + g @ x, np.zeros(5), equalities=lambda x: a @ x - b
    )
    whole = np.block([[matrix, a.T], [a, np.zeros((2, 2))]])
    solution = np.linalg.solve(whole, np.concatenate([-g, b]))
    np.testing.assert_allclose(result.x, solution[:5], atol=1e-9)
    np.testing.assert_allclose(result.multipliers.equalities, solution[5:], atol=1e-7)
    assert result.nit <= 3


def test_two_hundred_variables():
    n = 200
    target = np.sin(np.arange(n))

    def tension(x):
        return tnp.sum((x - target) ** 2) + 10.0 * tnp.sum((x[1:] - x[:-1]) ** 2)

    result = tw.minimize(
        tension,
        np.zeros(n),
        inequalities=lambda x: x[:-1] - x[1:],
        equalities=lambda x: tnp.sum(x) - 1.0,
        bounds=[(-0.5, 0.5)] * n,
    )
    assert result.success and result.violation < 1e-9
    assert np.all(np.diff(result.x) >= -1e-9)


def test_without_second_derivatives_it_approximates_them():
    result = tw.minimize(
        lambda x: float(np.asarray(x[0], dtype=float) * x[1] * -1.0),
        [0.3, 0.3],
        jac=lambda x: np.array([-x[1], -x[0]]),
        constraints={
            "type": "eq",
            "fun": lambda x: np.array([x @ x - 2.0]),
            "jac": lambda x: 2.0 * x[None, :],
        },
    )
    assert result.success and result.nhev >= 0
    np.testing.assert_allclose(np.abs(result.x), [1.0, 1.0], atol=1e-6)


def test_the_step_of_maratos_and_an_empty_interior():
    circle = tw.minimize(  # full steps raise f and violation until corrected to second order
        lambda x: 2.0 * (x[0] ** 2 + x[1] ** 2 - 1.0) - x[0],
        [np.cos(1.0), np.sin(1.0)],
        equalities=lambda x: x[0] ** 2 + x[1] ** 2 - 1.0,
    )
    np.testing.assert_allclose(circle.x, [1.0, 0.0], atol=1e-7)
    squeezed = tw.minimize(
        lambda x: x[1], [3.0, 3.0], inequalities=lambda x: [x[0] - 1.0, 1.0 - x[0], x[0] - x[1]]
    )
    np.testing.assert_allclose(squeezed.x, [1.0, 1.0], atol=1e-6)


def test_a_wrong_local_minimum_is_still_honest():
    result = tw.minimize(  # x = ±1 with values 0.9 and 1.1: it must satisfy KKT at either
        lambda x: 1.0 - 0.1 * x[0], [-0.5], inequalities=lambda x: 1.0 - x[0] ** 2,
        bounds=[(-3, 3)],
    )  # fmt: skip
    assert result.success and result.kkt.stationarity < 1e-6 and result.violation < 1e-9


def test_the_inertia_is_corrected_and_the_solution_refined():
    generator = np.random.default_rng(4)
    block = generator.normal(size=(6, 6))
    block, jacobian = block + block.T - 3.0 * np.eye(6), generator.normal(size=(3, 8))
    jacobian[2] = jacobian[1]  # dependent
    system = KKTSystem(block, np.array([2.0, 5.0]), jacobian)
    factor = Regulariser().factor(system, 0.1)
    assert (factor.positive, factor.negative) == (6, 3) and factor.slack > 0 and factor.shift > 0
    a, b = generator.normal(size=8), generator.normal(size=3)
    dw, dy = factor.solve(a, b)
    top, bottom = system.times(dw, dy, factor.shift, factor.slack)
    size = np.max(np.abs(dy))  # about 1/δc, since b does not lie in the range of J
    np.testing.assert_allclose(top, a, atol=1e-15 * size)
    np.testing.assert_allclose(bottom, b, atol=1e-15 * size)


def test_restoration_finds_the_way_back():
    result = tw.minimize(
        lambda x: x[0],
        [-2.0, 1.0, 1.0],
        equalities=lambda x: [x[0] ** 2 - x[1] - 1.0, x[0] - x[2] - 0.5],
        bounds=[FREE, (0, None), (0, None)],
    )  # Wächter and Biegler's example on which line-search interior points without it fail
    assert result.status in (Status.CONVERGED, Status.INFEASIBLE), result.message
    if result.success:
        np.testing.assert_allclose(result.x, [1.0, 0.0, 0.5], atol=1e-6)


def random_program(seed):
    """A feasible, bounded linear program; every third with an equality stated twice."""
    generator = np.random.default_rng(seed)
    n, m = int(generator.integers(3, 20)), int(generator.integers(2, 25))
    inside, a = generator.normal(size=n), generator.normal(size=(m, n))
    equal = generator.normal(size=(2, n))
    if seed % 3 == 0:
        equal = np.vstack([equal, 2.0 * equal[:1]])
    low, high = inside - generator.uniform(0, 3, n), inside + generator.uniform(0, 3, n)
    low = np.where(generator.uniform(size=n) < 0.3, inside, low)  # degenerate vertices
    return (generator.normal(size=n), a, a @ inside + generator.uniform(0, 1, m), equal,
            equal @ inside, list(zip(low, high, strict=True)))  # fmt: skip


@pytest.mark.parametrize("barrier", ["monotone", "adaptive"])
@pytest.mark.parametrize("seed", range(6))
def test_degenerate_linear_programs_with_redundant_equalities(seed, barrier):
    cost, a, b, equal, right, bounds = random_program(seed)
    result = tw.minimize(
        lambda x: cost @ x,
        np.zeros(cost.size),
        bounds=bounds,
        inequalities=lambda x: a @ x - b,
        equalities=lambda x: equal @ x - right,
        barrier=barrier,
    )
    other = scipy.optimize.linprog(cost, a, b, equal, right, bounds=bounds)
    assert result.success, result.message
    np.testing.assert_allclose(result.fun, other.fun, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_infeasible_linear_programs_are_called_so(seed):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(2, 10))
    a, b = generator.normal(size=(n + 5, n)), generator.normal(size=n + 5)
    y = generator.uniform(0, 1, n + 5)  # Farkas: yᵀA = 0 and yᵀb = -1 with y ≥ 0
    a[-1] = -(y[:-1] @ a[:-1]) / y[-1]
    b[-1] = -(y[:-1] @ b[:-1] + 1.0) / y[-1]
    cost = generator.normal(size=n)
    result = tw.minimize(lambda x: cost @ x, np.zeros(n), inequalities=lambda x: a @ x - b)
    assert result.status is Status.INFEASIBLE and result.violation > 1e-3, result.message


@pytest.mark.parametrize("seed", range(6))
def test_unbounded_linear_programs_are_called_so(seed):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(3, 12))
    a, ray = generator.normal(size=(2 * n, n)), generator.normal(size=n)
    a *= -np.sign(a @ ray)[:, None]  # the ray leaves no half space
    equal = generator.normal(size=(1, n))
    equal -= (equal @ ray) * ray / (ray @ ray)
    cost = generator.normal(size=n)
    cost -= (cost @ ray + 1.0) * ray / (ray @ ray)  # and the cost falls along it
    result = tw.minimize(
        lambda x: cost @ x,
        np.zeros(n),
        inequalities=lambda x: a @ x - 1.0,
        equalities=lambda x: equal @ x - 0.5,
    )
    assert result.status is Status.UNBOUNDED and not result.success, result.message


@pytest.mark.parametrize("seed", range(6))
def test_convex_quadratic_programs_close_the_duality_gap(seed):
    generator = np.random.default_rng(seed)
    n, m = int(generator.integers(3, 25)), int(generator.integers(2, 15))
    root = generator.normal(size=(n, int(generator.integers(0, n))))  # singular Hessians
    matrix, g, a = root @ root.T, generator.normal(size=n), generator.normal(size=(m, n))
    b = np.zeros(m) if seed % 2 else generator.uniform(0, 1, m)
    result = tw.minimize(
        lambda x: 0.5 * x @ (matrix @ x) + g @ x,
        np.zeros(n),
        inequalities=lambda x: a @ x - b,
        bounds=[(-1, 1)] * n,
    )
    y = result.multipliers
    assert result.success
    slope = matrix @ result.x + g + a.T @ y.inequalities - y.lower + y.upper
    np.testing.assert_allclose(slope, 0.0, atol=1e-7)
    dual = -0.5 * result.x @ matrix @ result.x - b @ y.inequalities - np.sum(y.lower + y.upper)
    np.testing.assert_allclose(result.fun, dual, rtol=1e-7, atol=1e-8)


def test_a_violation_that_the_first_scaling_hid_is_worked_off():
    result = tw.minimize(  # at the start the constraint's gradient is 1e10 times that at the end
        lambda x: 5.0 * x[0] + 5e4 / x[0] + 20.0 * x[1] + 72e3 / x[1] + 10.0 * x[2] + 144e3 / x[2],
        [1e-5, 3.0, 1e-5],
        inequalities=lambda x: 4.0 / x[0] + 32.0 / x[1] + 120.0 / x[2] - 1.0,
        bounds=[(1e-5, None)] * 3,
    )  # HS64
    assert result.success and result.violation <= 1e-8
    np.testing.assert_allclose(result.fun, 6299.842428, rtol=1e-8)


def test_unknown_barrier_updates_are_refused():
    with pytest.raises(OptionError, match="adaptive"):
        tw.minimize(lambda x: x[0], [1.0], "interior-point", bounds=[(0, 2)], barrier="adaptiv")


@pytest.mark.parametrize("name", HS)
def test_a_learned_hessian_gets_there_too(name):
    f, start, constraints, optimum = HS[name]
    result = tw.minimize(f, start, "interior-point", hessian="learned", **constraints)
    assert result.success and result.nhev == 0, result.message
    np.testing.assert_allclose(result.fun, optimum, rtol=1e-7)


def test_a_learned_hessian_of_many_variables_remembers_the_last_steps_only():
    n = 120
    target = np.cos(np.arange(n))

    def curved(x):
        return tnp.sum((x - target) ** 4 + (x - target) ** 2) + tnp.sum(x[1:] * x[:-1])

    def solve(hessian):
        return tw.minimize(
            curved, np.zeros(n), inequalities=lambda x: tnp.sum(x**2) - 20.0,
            bounds=[(-1, 1)] * n, hessian=hessian,
        )  # fmt: skip

    learned, exact = solve("learned"), solve("exact")
    assert learned.success and exact.success and learned.nhev == 0 < exact.nhev
    np.testing.assert_allclose(learned.fun, exact.fun, rtol=1e-8)


def test_kinds_of_hessians_are_known_or_refused():
    with pytest.raises(OptionError, match="learned"):
        tw.minimize(lambda x: x[0], [1.0], "interior-point", bounds=[(0, 2)], hessian="learnt")
    with pytest.raises(DifferentiationError, match="second derivatives"):
        tw.minimize(
            lambda x: float(x[0]) ** 2, [1.0], "interior-point", jac=lambda x: 2.0 * x,
            hessian="exact",
        )  # fmt: skip
