"""Every method on functions whose minima are known, freely, within bounds, and as users call it."""

import numpy as np
import pytest
import scipy.optimize

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import DifferentiationError, OptionError, ShapeError, TracingError
from thalweg.optim import Status
from thalweg.optim.methods import METHODS

FREE = sorted(
    set(METHODS)
    - {"lm", "marquardt", "gauss-newton", "interior-point", "augmented-lagrangian", "gd"}
)
GRADIENT = [m for m in FREE if "newton" not in m]


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11.0) ** 2 + (x[0] + x[1] ** 2 - 7.0) ** 2


def beale(x):
    return sum((c - x[0] * (1.0 - x[1] ** k)) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))


HIMMELBLAU = np.array(
    [[3, 2], [-2.805118086952745, 3.131312518250573], [-3.779310253377747, -3.283185991286170],
     [3.584428340330492, -1.848126526964404]]
)  # fmt: skip


@pytest.mark.parametrize("method", FREE)
def test_classic_functions(method):
    result = tw.minimize(rosenbrock, [-1.2, 1.0], method)
    assert result.success and result.status is Status.CONVERGED
    np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-6)
    result = tw.minimize(himmelblau, [0.5, 0.5], method)
    assert result.success
    assert np.min(np.max(np.abs(HIMMELBLAU - result.x), axis=1)) < 1e-7
    result = tw.minimize(beale, [1.0, 0.8], method)
    assert result.success
    np.testing.assert_allclose(result.x, [3.0, 0.5], atol=1e-6)


@pytest.mark.parametrize("method", FREE)
def test_a_convex_quadratic_has_its_closed_form(method):
    generator = np.random.default_rng(1)
    root = generator.normal(size=(8, 8))
    matrix, b = root @ root.T + np.eye(8), generator.normal(size=8)
    result = tw.minimize(lambda x: 0.5 * x @ (matrix @ x) - b @ x, np.zeros(8), method)
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.solve(matrix, b), atol=1e-7)


@pytest.mark.parametrize("method", FREE)
@pytest.mark.parametrize(
    "bounds", [[(None, None), (0.2, 0.5)], [(None, 0.6), (-1, 0.5)], [(1.5, 3), (-2, 9)]]
)
def test_bounds_against_the_interior_point_and_scipy(method, bounds):
    start = [2.0, 0.3]
    result = tw.minimize(rosenbrock, start, method, bounds=bounds, max_iterations=3000)
    other = scipy.optimize.minimize(
        rosenbrock, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-10}
    )
    assert result.success and result.violation == 0.0
    np.testing.assert_allclose(result.fun, other.fun, rtol=1e-7, atol=1e-10)


def test_steepest_descent_gets_there_slowly():
    result = tw.minimize(lambda x: x[0] ** 2 + 5.0 * x[1] ** 2, [1.0, 1.0], "gd")
    assert result.success
    assert tw.minimize(rosenbrock, [-1.2, 1.0], "gd").status is Status.ITERATIONS_USED_UP


@pytest.mark.parametrize("method", ["newton", "newton-line"])
def test_newton_is_exact_at_the_end_and_leaves_saddles(method):
    result = tw.minimize(lambda x: x[0] ** 4 - x[0] ** 2 + x[1] ** 2, [1e-3, 1.0], method)
    assert result.success
    np.testing.assert_allclose(np.abs(result.x), [np.sqrt(0.5), 0.0], atol=1e-7)


def test_newton_leaves_a_stationary_start_of_negative_curvature():
    result = tw.minimize(lambda x: x[0] ** 4 - x[0] ** 2 + x[1] ** 2, [0.0, 0.0], "newton")
    np.testing.assert_allclose(result.fun, -0.25, atol=1e-12)


def test_many_parameters_with_products_only():
    def chain(x):
        return tnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    start = np.tile([-1.2, 1.0], 100)
    for method in ("newton-cg", "lbfgs"):
        result = tw.minimize(chain, start, method, max_iterations=3000)
        assert result.success and result.fun < 1e-12


@pytest.mark.parametrize("method", ["newton", "newton-cg", "lbfgs", "bfgs"])
def test_many_bounds_become_active_together(method):
    """A membrane over an obstacle, and a curved chain against a wall: 60 bounds each."""
    n, h = 60, 1.0 / 61.0
    obstacle = 0.2 - 4.0 * (np.arange(1, n + 1) * h - 0.5) ** 2

    def membrane(x):
        return (tnp.sum((x[1:] - x[:-1]) ** 2) + x[0] ** 2 + x[-1] ** 2) / (2.0 * h)

    def chain(x):
        return tnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    for f, start, lower, upper in (
        (membrane, np.maximum(obstacle, 0.0), obstacle, None),
        (chain, np.tile([-1.2, 1.0], n // 2), None, 0.9),
    ):
        bounds = (lower, upper)
        result = tw.minimize(f, start, method, bounds=bounds, max_iterations=500)
        assert result.success, result.message
        inside = tw.minimize(f, result.x, "interior-point", bounds=bounds)
        np.testing.assert_allclose(result.fun, inside.fun, rtol=1e-7)


def test_maximize_returns_the_utility_itself():
    result = tw.maximize(lambda x: 3.0 - (x[0] - 1.0) ** 2, [0.0])
    assert result.success
    np.testing.assert_allclose([result.fun, result.x[0]], [3.0, 1.0])
    assert result.history[-1].fun >= result.history[0].fun
    bounded = tw.maximize(lambda x: x[0] * x[1], [0.1, 0.1], inequalities=lambda x: sum(x) - 2.0)
    np.testing.assert_allclose(bounded.fun, 1.0, rtol=1e-7)


def test_parameters_may_be_trees():
    data, t = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])

    def loss(p):
        return tnp.sum((p["w"][0] * t + p["b"] - data) ** 2)

    result = tw.minimize(loss, {"w": np.zeros(1), "b": 0.0}, "bfgs")
    np.testing.assert_allclose([result.x["w"][0], result.x["b"]], [1.0, 1.0], atol=1e-7)
    assert set(result.jac) == {"w", "b"}
    one = tw.minimize(lambda x: (x - 2.0) ** 2, 5.0)
    assert np.ndim(one.x) == 0 and float(one.x) == pytest.approx(2.0)


def plain(x):
    return float(np.linalg.norm(np.asarray(x, dtype=float) - 1.0) ** 2)


def test_plain_functions_need_derivatives_or_a_choice():
    with pytest.raises(TracingError, match="jac='numerical'"):
        tw.minimize(plain, [3.0, 4.0])
    given = tw.minimize(plain, [3.0, 4.0], "bfgs", jac=lambda x: 2.0 * (x - 1.0))
    numerical = tw.minimize(plain, [3.0, 4.0], jac="numerical", tol=1e-6)
    both = tw.minimize(lambda x: (plain(x), 2.0 * (x - 1.0)), [3.0, 4.0], jac=True)
    newton = tw.minimize(
        plain, [3.0, 4.0], "newton", jac=lambda x: 2.0 * (x - 1.0), hess=lambda x: 2.0 * np.eye(2)
    )
    for result in (given, numerical, both, newton):
        assert result.success
        np.testing.assert_allclose(result.x, 1.0, atol=1e-6)
    with pytest.raises(DifferentiationError, match="hess"):
        tw.minimize(plain, [3.0, 4.0], "newton", jac=lambda x: 2.0 * (x - 1.0))


def test_wrong_derivatives_are_named_on_request():
    with pytest.raises(DifferentiationError, match=r"x\[1\]"):
        tw.minimize(plain, [3.0, 4.0], jac=lambda x: (x - 1.0) * [2.0, 3.0], check_derivatives=True)
    with pytest.raises(DifferentiationError, match="Hessian"):
        tw.minimize(
            plain,
            [3.0, 4.0],
            jac=lambda x: 2.0 * (x - 1.0),
            hess=lambda x: np.eye(2),
            check_derivatives=True,
        )


def test_scipys_constraints_keep_their_sign():
    constraints = (
        {"type": "ineq", "fun": lambda x: x[0] - 2.0 * x[1] + 2.0},
        {"type": "ineq", "fun": lambda x: -x[0] - 2.0 * x[1] + 6.0},
        {"type": "ineq", "fun": lambda x: -x[0] + 2.0 * x[1] + 2.0},
    )
    result = tw.minimize(
        lambda x: (x[0] - 1.0) ** 2 + (x[1] - 2.5) ** 2,
        [2.0, 0.0],
        constraints=constraints,
        bounds=scipy.optimize.Bounds([0, 0], [np.inf, np.inf]),
    )
    np.testing.assert_allclose(result.x, [1.4, 1.7], atol=1e-7)
    with_jac = {"type": "eq", "fun": lambda x: np.sum(np.asarray(x)) - 1.0, "jac": np.ones_like}
    result = tw.minimize(lambda x: tnp.sum(x**2), [3.0, 4.0], constraints=with_jac)
    np.testing.assert_allclose(result.x, [0.5, 0.5], atol=1e-7)
    with pytest.raises(OptionError, match="eq"):
        tw.minimize(rosenbrock, [0.0, 0.0], constraints={"type": "less", "fun": rosenbrock})


def test_unknown_names_are_refused_with_a_hint():
    with pytest.raises(OptionError, match="lbfgs"):
        tw.minimize(rosenbrock, [0.0, 0.0], "lbfg")
    with pytest.raises(OptionError, match="wolfe"):
        tw.minimize(rosenbrock, [0.0, 0.0], "bfgs", search="wolf")
    with pytest.raises(OptionError, match="augmented-lagrangian"):
        tw.minimize(rosenbrock, [0.0, 0.0], "bfgs", equalities=lambda x: x[0])
    with pytest.raises(OptionError, match="lower"):
        tw.minimize(rosenbrock, [0.0, 0.0], bounds=[(1, 0), (None, None)])
    with pytest.raises(ShapeError):
        tw.minimize(rosenbrock, [])


@pytest.mark.parametrize("search", ["armijo", "wolfe", "hager-zhang"])
@pytest.mark.parametrize("method", ["bfgs", "newton-line"])
def test_every_pairing_of_direction_and_search(method, search):
    assert tw.minimize(rosenbrock, [-1.2, 1.0], method, search=search).success


def test_first_order_rules_do_not_load_scipy():
    import subprocess
    import sys

    code = "import sys, thalweg.optim.rules; assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
