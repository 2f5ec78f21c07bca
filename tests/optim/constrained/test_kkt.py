"""Factors of KKT systems against dense linear algebra."""

import numpy as np
import pytest

from thalweg.optim.constrained.kkt import Factor, KKTSystem, Regulariser

RNG = np.random.default_rng(3)


def system(n, m, spread, indefinite=False):
    """A system with a slack for each of m constraints, whose bends differ by e^(2 spread)."""
    block = RNG.normal(size=(n, n))
    block = block + block.T if indefinite else block @ block.T + 0.1 * np.eye(n)
    jacobian = np.concatenate([RNG.normal(size=(m, n)), np.eye(m)], axis=1)
    return KKTSystem(block, np.exp(RNG.uniform(-spread, spread, m)), jacobian)


def dense(found, slack):
    m = len(found.jacobian)
    n = len(found.block)
    top = np.zeros((n + m, n + m))
    top[:n, :n] = found.block
    top[n:, n:] = np.diag(found.diagonal)
    return np.block([[top, found.jacobian.T], [found.jacobian, -slack * np.eye(m)]])


@pytest.mark.parametrize("slack", [0.0, 1e-6])
@pytest.mark.parametrize(("m", "spread"), [(20, 8.0), (150, 8.0), (150, 0.1), (150, 16.0)])
def test_many_constraints_are_eliminated_without_a_loss(m, spread, slack):
    found = system(12, m, spread)
    factor = Factor(found, 0.0, slack)
    assert bool(factor.gone.any()) == (m > 50)
    a, b = RNG.normal(size=12 + m), RNG.normal(size=m)
    dw, dy = factor.solve(a, b)
    exact = np.linalg.solve(dense(found, slack), np.concatenate([a, b]))
    np.testing.assert_allclose(
        np.concatenate([dw, dy]), exact, rtol=1e-6, atol=1e-7 * np.max(np.abs(exact))
    )
    eigenvalues = np.linalg.eigvalsh(dense(found, slack))
    assert (factor.positive + m, factor.negative) == (
        int(np.sum(eigenvalues > 0)),
        int(np.sum(eigenvalues < 0)),
    )


def test_the_wrong_inertia_is_seen_through_the_elimination():
    found = system(12, 120, 1.0, indefinite=True)
    found = KKTSystem(found.block - 300.0 * np.eye(12), found.diagonal, found.jacobian)
    plain = Factor(found, 0.0, 0.0)
    assert (plain.positive, plain.negative) != (12, 120)
    factor = Regulariser().factor(found, 0.1)
    assert factor is not None and factor.shift > 0.0
    assert (factor.positive, factor.negative) == (12, 120)
