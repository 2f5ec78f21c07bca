"""Every registered loss: derivatives, extremes, definitions against closed forms."""

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError, ShapeError
from thalweg.nn.activations import activation
from thalweg.nn.losses import LOSSES, loss
from thalweg.nn.stable import stabilise
from thalweg.tracing import trace

names = pytest.mark.parametrize("name", LOSSES)
Y = np.array([0.31, 0.12, 0.57])
T = np.array([0.6, 0.25, 0.15])


def central(f, h=1e-3):
    weights = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
    return sum(w * (f(k * h) - f(-k * h)) for k, w in weights) / h


@names
def test_derivatives(name):
    ell = LOSSES[name]
    slope = tw.grad(ell.sample)
    exact, curved = slope(Y, T), tw.hessian(ell.sample)(Y, T)
    for i, unit in enumerate(np.eye(3)):
        first = central(lambda s, u=unit: ell.sample(Y + s * u, T))
        second = central(lambda s, u=unit: slope(Y + s * u, T))
        assert abs(exact[i] - first) <= 1e-7 * max(1, abs(exact[i]))
        assert np.all(abs(curved[i] - second) <= 1e-5 * np.maximum(1, abs(curved[i])))


@names
def test_batches_are_means_of_samples(name):
    ell = LOSSES[name]
    rng = np.random.default_rng(0)
    y, t = rng.uniform(0.1, 0.9, (2, 5, 3))
    each = [ell.sample(a, b) for a, b in zip(y, t, strict=True)]
    assert np.isclose(ell(y, t), np.mean(each), rtol=1e-14)
    w = np.array([1.0, 2.0, 0.0, 1.0, 0.5])
    assert np.isclose(ell(y, t, w), np.average(each, weights=w), rtol=1e-14)


@names
def test_residuals_square_to_the_loss(name):
    ell = LOSSES[name]
    if ell.residual is not None:
        assert np.isclose(np.sum(ell.residual(Y, T) ** 2), ell.sample(Y, T), rtol=1e-14)


@names
def test_scales_as_its_degree_says(name):
    ell = LOSSES[name]
    if ell.degree is not None:
        larger = ell.with_options(**{key: 3.0 * ell.settings[key] for key in ell.in_units})
        assert np.isclose(larger.sample(3 * Y, 3 * T), 3.0**ell.degree * ell.sample(Y, T))


def test_mse_is_the_mean_over_samples_of_the_squared_norm():
    y, t = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[2.0, 2.0], [0.0, 8.0]])
    assert tw.mse(y, t) == (1 + 25) / 2
    assert tw.half_mse(y, t) == 0.5 * np.mean((y - t) ** 2)


def test_performance_is_maximised():
    assert tw.performance.maximise and tw.performance.sign == -1.0
    assert tw.performance.sample(np.array([0.5]), np.array([1.0])) == -0.125


def test_huber_meets_its_two_halves():
    ell = loss("huber(delta=2)")
    sizes = np.array([[0.5], [2.0], [5.0]])
    found = ell.sample(sizes, np.zeros((3, 1)))
    assert found.tolist() == [0.125, 2.0, 2 * (5 - 1)]


def test_log_cosh_far_out():
    e = np.array([[1e4], [0.0], [0.5]])
    found = loss("log_cosh").sample(e, np.zeros((3, 1)))
    assert np.allclose(found, [1e4 - math.log(2), 0.0, math.log(math.cosh(0.5))], atol=1e-15)


def test_log_of_zero_under_zero_weight():
    y, t = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    assert loss("cross_entropy").sample(y, t) == 0.0
    assert loss("binary_cross_entropy").sample(y, t) == 0.0
    slope = tw.grad(loss("cross_entropy").sample)(y, t)
    assert slope.tolist() == [0.0, -1.0]


def test_a_loss_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"outputs of shape \(3,\) and targets of shape \(3, 1\)"):
        tw.mse(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(OptionError, match="Did you mean 'cross_entropy'"):
        loss("cross_entrpy")


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("last", "ell"), [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")]
)
def test_stable_joint_form(last, ell, size, dtype):
    """Values and gradients of the joint form are those of the closed form at any size."""
    from thalweg.differentiation import backward
    from thalweg.graph import Graph
    from thalweg.interpreter import interpret

    z = (size * np.array([-1.0, 0.25, 1.0])).astype(dtype)
    t = np.array([1.0, 0.0, 0.0], dtype)
    graph = stabilise(trace(lambda z, t: loss(ell).sample(activation(last)(z), t), z, t))
    derivation = backward(graph.outputs[0], graph.inputs[:1])
    both = Graph(graph.inputs, (graph.outputs[0], derivation.gradient(graph.inputs[0])))
    value, slope = interpret(both, [z, t])
    wide = z.astype(np.float64)
    if last == "softmax":
        top = wide.max()
        total = top + np.log(np.sum(np.exp(wide - top)))
        expected, probability = total - wide[0], np.exp(wide - total)
    else:
        soft = np.logaddexp(0, wide)
        expected, probability = soft.sum() - wide[0], np.exp(wide - soft)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    assert np.isclose(value, expected, rtol=tolerance)
    assert np.allclose(slope, probability - t, rtol=tolerance, atol=tolerance)
