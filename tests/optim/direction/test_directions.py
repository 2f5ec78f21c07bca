"""Directions against what their theory promises on quadratics, where all is known."""

import numpy as np
import pytest

from thalweg.optim.direction.base import Move
from thalweg.optim.direction.conjugate import FORMULAS, ConjugateGradient
from thalweg.optim.direction.newton import modified_newton_step
from thalweg.optim.direction.quasi_newton import BFGS, LBFGS

GENERATOR = np.random.default_rng(5)
ROOT = GENERATOR.normal(size=(6, 6))
MATRIX = ROOT @ ROOT.T + np.eye(6)
FREE = np.ones(6, dtype=bool)


def exact_run(direction, steps):
    """Exact line searches on ½xᵀAx from a fixed start; the gradient after some steps."""
    x = np.arange(1.0, 7.0)
    for _ in range(steps):
        g = MATRIX @ x
        d = direction.propose(x, g, FREE)
        x_next = x - (g @ d) / (d @ MATRIX @ d) * d
        g_next = MATRIX @ x_next
        direction.learn(Move(x_next - x, g_next - g, g, g_next, d))
        x = x_next
    return MATRIX @ x


@pytest.mark.parametrize("formula", FORMULAS)
def test_conjugate_gradients_end_after_n_exact_steps(formula):
    assert np.max(np.abs(exact_run(ConjugateGradient(formula), 5))) > 1e-6
    assert np.max(np.abs(exact_run(ConjugateGradient(formula), 6))) < 1e-8


@pytest.mark.parametrize("make", [BFGS, LBFGS])
def test_quasi_newton_ends_after_n_exact_steps_too(make):
    assert np.max(np.abs(exact_run(make(), 6))) < 1e-7


def moved(s, y, old=0.0):
    """A step from a gradient to the one that differs by y, as far as it can be written."""
    old = old + np.zeros_like(y)
    return Move(s, (old + y) - old, old, old + y, s)


def test_bfgs_has_learned_the_hessian_then():
    bfgs = BFGS()
    exact_run(bfgs, 6)
    np.testing.assert_allclose(bfgs.inverse @ MATRIX, np.eye(6), atol=1e-6)


@pytest.mark.parametrize("make", [BFGS, LBFGS])
def test_the_secant_equation(make):
    direction = make()
    s, y = GENERATOR.normal(size=6), None
    y = MATRIX @ s
    direction.learn(moved(s, y))
    np.testing.assert_allclose(direction.propose(s, y, FREE), -s, rtol=1e-12)


def test_lbfgs_with_enough_memory_is_bfgs():
    # They scale the first matrix differently (once against at every step), so one pair.
    a, b = BFGS(), LBFGS(5)
    s = GENERATOR.normal(size=6)
    move = moved(s, MATRIX @ s)
    a.learn(move)
    b.learn(move)
    g = GENERATOR.normal(size=6)
    np.testing.assert_allclose(a.propose(s, g, FREE), b.propose(s, g, FREE), rtol=1e-12)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 4, 11, 30])
def test_lbfgs_is_bfgs_over_what_it_remembers(steps, held):
    """The BFGS formula applied to the last four pairs, from γI, in dense matrices."""
    rng = np.random.default_rng(steps)
    free = np.array([True, True, not held, True, True, not held])
    direction, moves = LBFGS(4), []
    for _ in range(steps):
        s = rng.normal(size=6)
        moves.append(moved(s, MATRIX @ s))
        direction.learn(moves[-1])
    assert len(direction.pairs) == min(steps, 4)
    cut = [(np.where(free, m.s, 0.0), np.where(free, m.y, 0.0)) for m in moves[-4:]]
    cut = [(s, y) for s, y in cut if s @ y > 1e-14 * np.sqrt((s @ s) * (y @ y))]
    g = rng.normal(size=6)
    if not cut:
        return
    s, y = cut[-1]
    inverse = np.diag(np.where(free, s @ y / (y @ y), 0.0))
    for s, y in cut:
        across = np.eye(6) - np.outer(s, y) / (s @ y)
        inverse = across @ inverse @ across.T + np.outer(s, s) / (s @ y)
    expected = np.where(free, -inverse @ g, 0.0)
    np.testing.assert_allclose(direction.propose(s, g, free), expected, rtol=1e-8, atol=1e-10)


def test_lbfgs_forgets():
    rng = np.random.default_rng(3)
    used, fresh = LBFGS(3), LBFGS(3)
    for _ in range(5):
        s = rng.normal(size=6)
        used.learn(moved(s, MATRIX @ s))
    used.reset()
    assert not used.has_length and np.array_equal(used.propose(s, s, FREE), -s)
    for _ in range(2):
        s = rng.normal(size=6)
        for direction in (used, fresh):
            direction.learn(moved(s, MATRIX @ s))
    np.testing.assert_array_equal(used.propose(s, s, FREE), fresh.propose(s, s, FREE))


def test_held_entries_stay_and_bfgs_solves_among_the_free_ones():
    bfgs = BFGS()
    exact_run(bfgs, 6)
    free = np.array([True, False, True, True, False, True])
    g = GENERATOR.normal(size=6)
    d = bfgs.propose(g, g, free)
    assert np.all(d[~free] == 0)
    np.testing.assert_allclose(d[free], -np.linalg.solve(MATRIX[np.ix_(free, free)], g[free]),
                               rtol=1e-4)  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_modified_newton_descends_and_is_newton_where_it_may(seed):
    generator = np.random.default_rng(seed)
    symmetric = generator.normal(size=(7, 7))
    symmetric = symmetric + symmetric.T
    g = generator.normal(size=7)
    assert g @ modified_newton_step(symmetric, g) < 0
    definite = symmetric @ symmetric + np.eye(7)
    np.testing.assert_allclose(
        modified_newton_step(definite, g), -np.linalg.solve(definite, g), rtol=1e-8
    )


def two_loops(pairs, gradient):
    """Nocedal's recursion, as it stands in his paper."""
    q, factors = gradient.copy(), []
    for s, y in reversed(pairs):
        factors.append((s @ q) / (s @ y))
        q -= factors[-1] * y
    if pairs:
        s, y = pairs[-1]
        q *= (s @ y) / (y @ y)
    for (s, y), factor in zip(pairs, reversed(factors), strict=True):
        q += s * (factor - (y @ q) / (s @ y))
    return -q


@pytest.mark.parametrize("memory", [1, 2, 5, 20])
def test_the_compact_form_is_the_recursion_whatever_steps_come(memory):
    rng = np.random.default_rng(memory)
    half = rng.normal(size=(6, 6))
    lbfgs, pairs, hessian = LBFGS(memory), [], half @ half.T + 0.1 * np.eye(6)
    for number in range(50):
        if number == 33:
            lbfgs.reset()
            pairs = []
        s = rng.normal(size=6) * 10.0 ** rng.integers(-6, 6)
        y = hessian @ s * (1.0, 1.0, -1.0, 0.0)[number % 4]  # curved, bent down, straight
        if number % 13 == 6 and pairs:
            s, y = pairs[-1]
        move = moved(s, y, rng.normal(size=6))
        s, y = move.s.copy(), move.y.copy()
        lbfgs.learn(move)
        if s @ y > 0.0:
            pairs = [*pairs, (s, y)][-memory:]
        gradient = rng.normal(size=6)
        for free in (np.ones(6, bool), rng.random(6) < 0.6):
            masked = [(s * free, y * free) for s, y in pairs]
            masked = [(s, y) for s, y in masked if s @ y > 0.0]
            wanted = two_loops(masked, gradient * free)
            found = lbfgs.propose(gradient, gradient, free)
            np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-7 * abs(wanted).max())
