"""Fits from starts that are symmetric."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.optim.direction.gauss_newton import Orthogonal
from thalweg.optim.direction.saddle import beside_saddle
from thalweg.optim.functions import Traced
from thalweg.optim.problem import Bounds, Problem, SmoothLeastSquares

T = np.linspace(0.0, 10.0, 60)


def decays(b):
    return sum(b[2 * k] * tnp.exp(-b[2 * k + 1] * T) for k in range(b.shape[0] // 2))


def binding(b):
    return sum(b[k] * b[k + 1] * T / (1.0 + b[k + 1] * T) for k in (0, 2))


@pytest.mark.parametrize(
    ("model", "true"),
    [
        (decays, [5.0, 0.3, 2.0, 3.0]),
        (decays, [1.0, 0.5, 2.0, 2.0, 3.0, 8.0]),
        (binding, [3.0, 5.0, 4.0, 0.1]),
    ],
)
def test_all_parameters_may_start_at_one(model, true):
    data = model(np.array(true))
    fit = tw.least_squares(lambda b: model(b) - data, np.ones(len(true)))
    assert fit.success and fit.cost < 1e-20, fit.message
    pairs = sorted(fit.x.reshape(-1, 2).tolist())
    np.testing.assert_allclose(pairs, sorted(np.reshape(true, (-1, 2)).tolist()), rtol=1e-6)


def test_what_lies_beside_a_saddle_is_lower_and_a_minimum_has_no_such_side():
    data = decays(np.array([5.0, 0.3, 2.0, 3.0]))
    residual = SmoothLeastSquares(Traced(lambda b: decays(b) - data, 4))
    problem = Problem(residual, Bounds.none(4))
    held = tw.least_squares(lambda c: 2.0 * decays(c) - data, [1.0, 1.0])  # equal terms
    saddle = np.concatenate([held.x, held.x])
    model = Orthogonal(*residual.derivative(saddle))
    assert np.max(np.abs(model.gradient)) < 1e-8
    beside = beside_saddle(problem, saddle, model)
    assert residual.value(beside) < 0.99 * residual.value(saddle)
    best = tw.least_squares(lambda b: b[0] * b[1] * tnp.exp(-b[2] * T) - data, [1.0, 2.0, 1.0])
    flat = SmoothLeastSquares(Traced(lambda b: b[0] * b[1] * tnp.exp(-b[2] * T) - data, 3))
    there = Orthogonal(*flat.derivative(best.x))  # no full rank, but no saddle either
    assert beside_saddle(Problem(flat, Bounds.none(3)), best.x, there) is None


@pytest.mark.parametrize("bounds", [None, ([-5] * 4, [5] * 4), ([0] * 4, [5] * 4)])
def test_all_parameters_may_start_at_zero(bounds):
    t = np.linspace(0.0, 1.0, 20)  # a zero of two factors is a stationary point of any data
    fit = tw.least_squares(
        lambda b: b[0] * b[1] * t + b[2] * b[3] * t**2 - 3.0 * t - 2.0 * t**2,
        np.zeros(4),
        bounds=bounds,
    )
    assert fit.success and fit.cost < 1e-20, fit.message
    np.testing.assert_allclose([fit.x[0] * fit.x[1], fit.x[2] * fit.x[3]], [3.0, 2.0])


def test_a_maximum_is_left():
    fit = tw.least_squares(lambda b: b**2 - 1.0, np.zeros(2))
    assert fit.success
    np.testing.assert_allclose(np.abs(fit.x), 1.0)
