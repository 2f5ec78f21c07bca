"""Every registered activation: derivatives against finite differences, extremes, conventions."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError
from thalweg.nn.activations import ACTIVATIONS, ALIASES, activation

names = pytest.mark.parametrize("name", ACTIVATIONS)
POINTS = np.array([-3.7, -2.2, -1.3, -0.6, -0.11, 0.13, 0.4, 1.4, 2.6, 4.5])


def central(f, z, h):
    """The central difference of order six."""
    weights = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
    return sum(w * (f(z + k * h) - f(z - k * h)) for k, w in weights) / h


def along(function, z):
    """The diagonal, or for softmax a weighted sum, so that all outputs count."""
    weights = np.linspace(0.3, 1.7, len(z))
    return (weights * function(z)).sum()


@names
def test_first_derivative(name):
    g = ACTIVATIONS[name]
    exact = tw.grad(lambda z: along(g, z))(POINTS)
    for i in range(len(POINTS)):
        unit = np.eye(len(POINTS))[i]
        numerical = central(lambda s, u=unit: along(g, POINTS + s * u), 0.0, 5e-3)
        assert abs(exact[i] - numerical) <= 1e-7 * max(1, abs(exact[i]))


@names
def test_second_derivative(name):
    g = ACTIVATIONS[name]
    slope = tw.grad(lambda z: along(g, z))
    exact = tw.hessian(lambda z: along(g, z))(POINTS)
    for i in range(len(POINTS)):
        unit = np.eye(len(POINTS))[i]
        numerical = central(lambda s, u=unit: slope(POINTS + s * u), 0.0, 5e-3)
        assert np.all(abs(exact[i] - numerical) <= 1e-5 * np.maximum(1, abs(exact[i])))


@names
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_inputs_stay_finite_and_in_range(name, dtype):
    g = ACTIVATIONS[name]
    z = np.array([-1e4, -100, -1, 0, 1, 100, 1e4], dtype)
    if name == "exp":
        z = np.minimum(z, 80).astype(dtype)
    low, high = g.range
    with np.errstate(over="ignore"):
        value, slope = tw.value_and_grad(lambda z: along(g, z))(z)
        a = np.asarray(g(z))
    assert np.isfinite(value) and np.isfinite(slope).all()
    assert slope.dtype == dtype
    assert a.min() >= low - 1e-6 and a.max() <= high + 1e-6


@names
def test_eager_and_traced_values_agree(name):
    g = ACTIVATIONS[name]
    traced, _ = tw.value_and_grad(lambda z: along(g, z))(POINTS)
    assert np.isclose(traced, along(g, POINTS), rtol=1e-14)


@names
def test_says_its_formula(name):
    g = ACTIVATIONS[name]
    assert g.latex and g.function.__doc__
    assert activation(str(g)) == g


def test_derivatives_at_kinks():
    def slope(name, z):
        return float(tw.grad(activation(name))(z))

    assert slope("relu", 0.0) == 0.0
    assert slope("leaky_relu", 0.0) == 0.01
    assert slope("elu", 0.0) == 1.0
    assert slope("step", 0.3) == 0.0


def test_derivatives_in_terms_of_the_output():
    z = np.linspace(-4, 4, 9)
    for name, of_output in (("sigmoid", lambda a: a * (1 - a)), ("tanh", lambda a: 1 - a * a)):
        g = activation(name)
        exact = tw.grad(lambda z, g=g: g(z).sum())(z)
        assert np.allclose(exact, of_output(g(z)), rtol=0, atol=1e-15)


def test_step_has_a_threshold_which_is_a_bias():
    step = activation("step(threshold=0.5)")
    z = np.array([0.4, 0.5, 0.6])
    assert step(z).tolist() == [0.0, 1.0, 1.0]
    assert activation("step")(z - 0.5).tolist() == [0.0, 1.0, 1.0]
    assert "zero almost everywhere" in step.untrainable


def test_options_are_read_and_refused():
    assert activation("leaky_relu(slope=0.2)")(np.array(-1.0)) == -0.2
    for text in ("leaky_relu(slop=1)", "tanh(x=1)", "relu(", "leaky_relu(slope=many)", "nothing"):
        with pytest.raises(OptionError):
            activation(text)
    with pytest.raises(OptionError, match=r"has no option 'slop'\. Did you mean 'slope'"):
        activation("leaky_relu(slop=1)")


def test_aliases_lead_somewhere():
    assert set(ALIASES.values()) <= set(ACTIVATIONS)
    assert activation("logistic") is ACTIVATIONS["sigmoid"]
