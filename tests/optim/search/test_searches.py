"""Line searches meet the conditions they promise; trust-region steps the optimality of theirs."""

import numpy as np
import pytest

from thalweg.optim.methods import SEARCHES
from thalweg.optim.search.line import Trial
from thalweg.optim.search.trust import Quadratic, dogleg, more_sorensen, steihaug

# The test functions of Moré and Thuente (1994), section 5, and two of our own.
FUNCTIONS = {
    "one": (lambda a: -a / (a**2 + 2.0), lambda a: (a**2 - 2.0) / (a**2 + 2.0) ** 2),
    "two": (
        lambda a: (a + 0.004) ** 5 - 2.0 * (a + 0.004) ** 4,
        lambda a: 5.0 * (a + 0.004) ** 4 - 8.0 * (a + 0.004) ** 3,
    ),
    "quadratic": (lambda a: (a - 3.0) ** 2, lambda a: 2.0 * (a - 3.0)),
    "wall": (
        lambda a: -a if a < 2.0 else np.inf,
        lambda a: -1.0 + 0.0 * a if a < 2.0 else np.nan,
    ),
    "log": (lambda a: a - np.log(0.1 + a) if a > -0.1 else np.nan, lambda a: 1 - 1 / (0.1 + a)),
}


def phi_of(name):
    value, slope = FUNCTIONS[name]

    def phi(a):
        return Trial(a, float(value(a)), float(slope(a)), np.array([a]), np.array([slope(a)]))

    return phi


@pytest.mark.parametrize("first", [1e-3, 1e-1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("name", ["one", "two", "quadratic", "log"])
@pytest.mark.parametrize("search", SEARCHES)
def test_conditions(search, name, first):
    phi = phi_of(name)
    start = phi(0.0)
    found = SEARCHES[search](phi, start, first, 1e10)
    assert found is not None
    decrease = 0.1 if search == "hager-zhang" else 1e-4
    noise = 1e-12 * abs(start.value)
    assert found.value <= start.value + noise
    if search != "hager-zhang":
        assert found.value <= start.value + decrease * found.step * start.slope
    if search in ("wolfe", "near-exact"):
        assert abs(found.slope) <= {"wolfe": 0.9, "near-exact": 0.1}[search] * abs(start.slope)
    if search == "hager-zhang":
        assert found.slope >= 0.9 * start.slope


@pytest.mark.parametrize("search", SEARCHES)
def test_infinite_values_are_avoided_and_the_longest_step_kept(search):
    found = SEARCHES[search](phi_of("wall"), phi_of("wall")(0.0), 16.0, 1e10)
    assert found is not None and found.value < 0
    bounded = SEARCHES[search](phi_of("quadratic"), phi_of("quadratic")(0.0), 1.0, 1.5)
    assert 0 < bounded.step <= 1.5


@pytest.mark.parametrize("seed", range(20))
def test_more_sorensen_is_optimal(seed):
    generator = np.random.default_rng(seed)
    n = 6
    basis = np.linalg.qr(generator.normal(size=(n, n)))[0]
    values = generator.normal(size=n) * 10.0 ** generator.integers(-2, 3)
    matrix, g = (basis * values) @ basis.T, generator.normal(size=n)
    if seed % 4 == 0:  # the hard case: no gradient along the lowest eigenvector
        g -= basis[:, np.argmin(values)] * (basis[:, np.argmin(values)] @ g)
    radius = 10.0 ** generator.uniform(-2, 2)
    p = more_sorensen(Quadratic(g, matrix), radius)
    assert np.linalg.norm(p) <= radius * (1 + 1e-6)
    rest = matrix @ p + g  # = -λp
    lam = -float(rest @ p) / float(p @ p)
    size = np.max(np.abs(values)) + abs(lam)
    assert lam >= -1e-8 * size and lam >= -np.min(values) - 1e-6 * size
    np.testing.assert_allclose(rest, -lam * p, atol=1e-6 * (size * np.linalg.norm(p)))
    if lam > 1e-6 * size:
        np.testing.assert_allclose(np.linalg.norm(p), radius, rtol=1e-6)


@pytest.mark.parametrize("solve", [dogleg, steihaug])
@pytest.mark.parametrize("radius", [1e-2, 1.0, 100.0])
def test_cheaper_subproblems_do_better_than_cauchy(solve, radius):
    generator = np.random.default_rng(2)
    root = generator.normal(size=(5, 5))
    model = Quadratic(generator.normal(size=5), root @ root.T + 0.1 * np.eye(5))
    p = solve(model, radius)
    g = model.gradient
    step = min(radius / np.linalg.norm(g), (g @ g) / (g @ model.product(g)))
    assert np.linalg.norm(p) <= radius * (1 + 1e-10)
    assert model.reduction(p) >= model.reduction(-step * g) * (1 - 1e-10)
    assert model.reduction(p) <= model.reduction(more_sorensen(model, radius)) * (1 + 1e-6)


@pytest.mark.parametrize("radius", [1e-2, 0.1, 1.0])
def test_dogleg_goes_along_negative_curvature(radius):
    model = Quadratic(np.array([1.0, 1e-2]), np.diag([100.0, -1e-2]))
    p = dogleg(model, radius)
    assert np.linalg.norm(p) <= radius * (1 + 1e-10)
    best = model.reduction(more_sorensen(model, radius))
    assert 0.5 * best <= model.reduction(p) <= best * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_more_sorensen_by_cholesky_factors_agrees_with_the_eigenvalues(seed):
    generator = np.random.default_rng(seed)
    n = 40  # beyond the size up to which eigenvalues are used
    basis = np.linalg.qr(generator.normal(size=(n, n)))[0]
    values, g = generator.normal(size=n) + seed - 2.0, generator.normal(size=n)
    if seed == 0:  # the hard case
        g -= basis[:, np.argmin(values)] * (basis[:, np.argmin(values)] @ g)
    matrix = (basis * values) @ basis.T
    for radius in (0.01, 1.0, 100.0):
        model = Quadratic(g, 0.5 * (matrix + matrix.T))
        p = more_sorensen(model, radius)
        assert np.linalg.norm(p) <= radius * (1 + 1e-6)
        rest = matrix @ p + g
        lam = -float(rest @ p) / float(p @ p)
        assert lam >= -1e-7 and lam >= -np.min(values) - 1e-6
        np.testing.assert_allclose(rest, -lam * p, atol=1e-6 * (1 + abs(lam)) * (1 + radius))
