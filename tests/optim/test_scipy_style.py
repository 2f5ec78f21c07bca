"""Called as a user of SciPy would call: the same meaning, or an error that says what to write."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint
from scipy.optimize import minimize as scipy_minimize
from scipy.sparse import csr_array

import thalweg as tw
from thalweg.errors import OptionError, ShapeError, TracingError


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


OBJECTS = {
    "linear": LinearConstraint([[1.0, 1.0]], -np.inf, 1.0),
    "two rows": LinearConstraint([[1.0, 1.0], [1.0, -1.0]], [-np.inf, 0.1], [0.8, 0.1]),
    "nonlinear": NonlinearConstraint(lambda x: x[0] ** 2 + x[1] ** 2, 0.2, 1.0),
    "list": NonlinearConstraint(lambda x: [x[0] * x[1], x[0] - x[1]], [0.1, -1.0], [0.2, 1.0]),
    "with jac": NonlinearConstraint(
        lambda x: float(x[0]) ** 2 + float(x[1]) ** 2, -np.inf, 1.0,
        jac=lambda x: np.array([[2.0 * x[0], 2.0 * x[1]]]),
    ),
    "untraceable": NonlinearConstraint(lambda x: math.hypot(x[0], x[1]), 0.2, 1.0),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Equality and inequality")
@pytest.mark.parametrize("name", OBJECTS)
def test_constraint_objects_mean_what_they_mean_in_scipy(name):
    theirs = scipy_minimize(
        rosenbrock, [0.3, 0.1], constraints=[OBJECTS[name]], method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    for given in (OBJECTS[name], [OBJECTS[name]]):
        ours = tw.minimize(rosenbrock, [0.3, 0.1], constraints=given)
        assert ours.success, ours.message
        np.testing.assert_allclose(ours.fun, theirs.fun, rtol=1e-6)


@pytest.mark.parametrize("jac", ["numerical", "2-point", "3-point"])
def test_differences_are_taken_of_constraints_too(jac):
    result = tw.minimize(
        lambda x: math.exp(x[0]) + float(x[1]) ** 2,
        [2.0, 1.0],
        jac=jac,
        inequalities=lambda x: 1.5 - float(x[0]),
        constraints={"type": "eq", "fun": lambda x: x[0] + x[1] - 3.0},
    )
    assert result.success
    np.testing.assert_allclose(result.x, [1.5, 1.5], atol=1e-6)
    with pytest.raises(TracingError, match="jac='numerical'"):
        tw.minimize(rosenbrock, [0.0, 0.0], inequalities=lambda x: float(x[0]))


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"method": "SLSQP"}, "method='interior-point'"),
        ({"method": "L-BFGS-B"}, "method='lbfgs'"),
        ({"method": "BFGS"}, "method='bfgs'"),
        ({"method": "bgfs"}, "Did you mean 'bfgs'"),
        ({"options": {"maxiter": 5}}, "max_iterations=100"),
        ({"maxiter": 5}, "keyword max_iterations"),
        ({"jac": "cs"}, "'numerical' for"),
        ({"jac": 3}, "no derivative"),
        ({"max_iterations": -1}, "from 0 up"),
        ({"max_time": "soon"}, "from 0 up"),
        ({"tol": -1e-8}, "from 0 up"),
        ({"tol": float("nan")}, "from 0 up"),
        ({"inequalities": "x < 1"}, "takes functions"),
        ({"inequalities": {"type": "ineq", "fun": rosenbrock}}, "constraints="),
        ({"inequalities": lambda x: x[0] <= 0.5}, "true or false"),
        ({"equalities": lambda x: bool(1)}, "true or false"),
        ({"constraints": {"type": "ineq"}}, "LinearConstraint"),
        ({"constraints": [3]}, "LinearConstraint"),
        ({"bounds": [(float("nan"), 1.0), (0, 1)]}, "not a number"),
        ({"bounds": [(0, 1)]}, "2 pairs"),
        ({"bounds": Bounds([0.0, 0.0, 0.0], 1.0)}, "2 pairs"),
        ({"goal": "low"}, "no value"),
        ({"goal": float("nan")}, "no value"),
        ({"callback": 3}, "takes a function"),
        ({"constraints": 3}, "LinearConstraint"),
        ({"constraints": {"type": "ineq", "fun": rosenbrock, "arg": 1}}, "Did you mean 'args'"),
        ({"constraints": LinearConstraint(np.eye(2), np.nan, 1.0)}, "row 0 .* between nan and 1"),
        ({"constraints": LinearConstraint(np.eye(2), [0, 3], [1, 2])}, "row 1 .* between 3 and 2"),
        ({"constraints": LinearConstraint(np.eye(2), np.inf, np.inf)}, "write infinity"),
        ({"constraints": LinearConstraint(np.eye(3), 0.0, 1.0)}, "3 columns"),
        ({"constraints": LinearConstraint(np.eye(2), 0, 1, keep_feasible=True)}, "keep_feasible"),
        ({"constraints": NonlinearConstraint(lambda x: x, [0] * 3, [1] * 3)}, "3 rows.*returns 2"),
        (
            {"constraints": NonlinearConstraint(lambda x: x, [0] * 3, [1] * 2)},
            "3 lower and 2 upper",
        ),
        ({"method": "lbfgs", "memory": "5"}, "memory='5'"),
        ({"method": "lbfgs", "memory": None}, "memory=None"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_says_what_to_write(keywords, said):
    with pytest.raises(OptionError, match=said):
        tw.minimize(rosenbrock, [0.0, 0.0], **keywords)


def test_one_limit_in_a_list_holds_all_rows():
    held = NonlinearConstraint(lambda x: x, [-1.0], [0.5])
    result = tw.minimize(lambda x: ((x - 2.0) ** 2).sum(), np.zeros(3), constraints=held)
    np.testing.assert_allclose(result.x, 0.5, atol=1e-8)
    short = NonlinearConstraint(lambda x: x, [-1.0, -1.0], [0.5, 0.5])
    with pytest.raises(OptionError, match="2 rows, and its function returns 3"):
        tw.minimize(lambda x: ((x - 2.0) ** 2).sum(), np.zeros(3), constraints=short)


@pytest.mark.parametrize("limits", [(1.0, 2.0), ([-np.inf, 0.1], [1.0, 0.1])])
def test_hessians_of_constraints_are_used(limits):
    def fun(x):
        return np.array([x[0] ** 2 + x[1] ** 2, x[0] * x[1]])[: np.size(limits[0])]

    def jac(x):
        rows = np.array([[2.0 * x[0], 2.0 * x[1]], [x[1], x[0]]])[: np.size(limits[0])]
        return csr_array(rows)

    seen = []

    def hess(x, v):
        seen.append(v)
        bent = np.array([[0.0, 1.0], [1.0, 0.0]])
        return csr_array(2.0 * v[0] * np.eye(2) + (v[1] * bent if v.size > 1 else 0.0))

    start = [0.9, 0.6]
    given = NonlinearConstraint(fun, *limits, jac=jac, hess=hess)
    wanted = tw.minimize(rosenbrock, start, constraints=NonlinearConstraint(fun, *limits, jac=jac))
    found = tw.minimize(rosenbrock, start, constraints=given, check_derivatives=True)
    assert found.success and seen and {v.shape for v in seen} == {(np.size(limits[0]),)}
    np.testing.assert_allclose(found.x, wanted.x, atol=1e-6)


def test_functions_may_change_what_they_are_given():
    def bowl(x):
        x[0] = x[0] - 2.0
        return float(x @ x)

    def slopes(x):
        x[0] = x[0] - 2.0
        x *= 2.0
        return x

    start = np.zeros(3)
    for jac in (slopes, "numerical"):
        result = tw.minimize(bowl, start, "bfgs", jac=jac)
        assert result.success
        np.testing.assert_allclose(result.x, [2.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_array_equal(start, 0.0)


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg", "newton-cg"])
def test_value_and_gradient_come_from_one_call(method):
    seen = []

    def both(x, scale):
        seen.append(x.copy())
        return scale * float(x @ x), 2.0 * scale * x

    result = tw.minimize(both, [3.0, 4.0], method, jac=True, args=(2.0,))
    assert result.success
    assert all(np.any(a != b) for a, b in itertools.pairwise(seen))  # none twice
    with pytest.raises(OptionError, match="value and gradient, not 3"):
        tw.minimize(lambda x: 3.0, [1.0], jac=True)


def test_functions_that_are_none():
    with pytest.raises(OptionError, match="must be a function"):
        tw.minimize("x", [0.0])
    with pytest.raises(OptionError, match="true or false"):
        tw.minimize(lambda x: x[0] > 1.0, [0.0])
    with pytest.raises(OptionError, match="true or false"):
        tw.minimize(lambda x: bool(x[0] > 1.0), [0.0], jac="numerical")


def test_one_further_argument_need_not_be_a_tuple():
    assert float(tw.minimize(lambda x, a: (x - a) ** 2, 0.0, args=3.0).x) == 3.0
    assert tw.minimize(rosenbrock, [0.0, 0.0], jac=False).success


def test_lists_of_numbers_are_vectors_wherever_they_stand():
    def bowl(p):
        return (p["a"] - 1.0) ** 2 + ((p["b"] - 2.0) ** 2).sum()

    start = {"a": 0.0, "b": [0.0, 0.0]}
    free = tw.minimize(bowl, start)
    np.testing.assert_allclose(free.x["b"], [2.0, 2.0])
    held = tw.minimize(bowl, start, bounds=({"a": None, "b": [0, None]}, {"a": 0.5, "b": 1.0}))
    assert held.success and float(held.x["a"]) == 0.5
    np.testing.assert_allclose(held.x["b"], [1.0, 1.0])
    np.testing.assert_allclose(tw.minimize(bowl, start, bounds=(None, 1.5)).x["b"], [1.5, 1.5])
    for bounds in (({"a": None, "c": 0.0}, None), ({"a": None, "b": [0, 0, 0]}, None)):
        with pytest.raises(ShapeError, match="x0"):
            tw.minimize(bowl, start, bounds=bounds)


def test_bounds_objects():
    result = tw.minimize(rosenbrock, [0.0, 0.0], bounds=Bounds([-np.inf, 0.0], [0.5, 2.0]))
    np.testing.assert_allclose(result.x, [0.5, 0.25], atol=1e-8)
