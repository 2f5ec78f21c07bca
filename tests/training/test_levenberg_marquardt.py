"""The quadratic model against exact second derivatives, and what Levenberg-Marquardt reaches."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.training.gauss_newton import NormalEquations, vector


def _network(final: str) -> Network:
    return Network([Dense(3, 4, "tanh"), Dense(4, 2, final)])


def _samples(classes: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(30, 3))
    T = np.eye(2)[rng.integers(0, 2, 30)] if classes else rng.normal(size=(30, 2))
    return X, T, rng.uniform(0.0, 2.0, 30)


def _exact(network: Network, name: str, data, theta: np.ndarray, outputs: str):
    """Value, gradient and JᵀHJ by the plain definition, in dense arrays."""
    X, T, w = data
    shapes = [s for layer in network.layers for s in layer.shapes.values()]

    def params(point):
        found, start = [], 0
        for layer in network.layers:
            entry = {}
            for key, shape in layer.shapes.items():
                size = int(np.prod(shape))
                entry[key] = tnp.reshape(point[start : start + size], shape)
                start += size
            found.append(entry)
        return found

    def linear(point):  # the outputs before a softmax, or the outputs themselves
        p = params(point)
        hidden = tnp.tanh(X @ p[0]["W"].T + p[0]["b"])
        return hidden @ p[1]["W"].T + p[1]["b"]

    def outer(z, t):
        if outputs == "softmax":
            return -tnp.sum(t * tnp.log_softmax(z))
        return tnp.sum((t - z) ** 2)

    assert sum(int(np.prod(s)) for s in shapes) == theta.size
    z = linear(theta)
    J = tw.jacobian(linear)(theta)
    total = w.sum()
    value = sum(w[i] * outer(z[i], T[i]) for i in range(len(X))) / total
    g = np.zeros_like(theta)
    H = np.zeros((theta.size, theta.size))
    for i in range(len(X)):
        g += w[i] * J[i].T @ tw.grad(outer)(z[i], T[i]) / total
        H += w[i] * J[i].T @ tw.hessian(outer)(z[i], T[i]) @ J[i] / total
    return value, g, H


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(("name", "final"), [("mse", "identity"), ("cross_entropy", "softmax")])
def test_model_is_the_generalised_gauss_newton_model(name, final, native, monkeypatch):
    network = _network(final)
    objective = NetworkObjective(network, loss(name))
    data = _samples(name != "mse")
    theta = vector(network.initial(1))
    monkeypatch.setattr("thalweg.training.gauss_newton.BLOCK_BYTES", 1)
    equations = NormalEquations(objective, *data, native=native)
    equations.block = min(equations.block, 30)
    model = equations.at(theta)
    value, gradient, curvature = _exact(network, name, data, theta, final)
    assert model.value == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(model.gradient, gradient, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(model.curvature, curvature, rtol=1e-11, atol=1e-13)


def test_blocks_and_a_short_last_block_change_nothing():
    network = _network("identity")
    objective = NetworkObjective(network, loss("mse"), Penalty(l2=0.3))
    X, T, w = _samples(classes=False)
    theta = vector(network.initial(1))
    whole = NormalEquations(objective, X, T, w)
    parts = NormalEquations(objective, *(np.concatenate([a] * 5) for a in (X, T, w)))
    assert parts.block > whole.block
    one, five = whole.at(theta), parts.at(theta)
    assert five.value == pytest.approx(one.value, rel=1e-12)
    np.testing.assert_allclose(five.curvature, one.curvature, rtol=1e-10, atol=1e-12)


def test_sine_is_fitted_closely():
    x = np.linspace(-1.0, 1.0, 41)[:, None]
    sine = np.sin(np.pi * x)
    network = Network([Dense(1, 5, "tanh"), Dense(5, 1)])
    reached = []
    for seed in range(3):
        model = tw.fit(network, x, sine, method="lm", split="none", seed=seed, epochs=200)
        reached.append(float(np.mean((np.ravel(model.predict(x)) - sine[:, 0]) ** 2)))
    assert min(reached) < 1e-6


def test_xor_by_levenberg_marquardt():
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([0.0, 1.0, 1.0, 0.0])
    network = Network([Dense(2, 4, "tanh"), Dense(4, 1)])
    model = tw.fit(network, X, y, method="lm", split="none", seed=0, epochs=100)
    np.testing.assert_allclose(np.ravel(model.predict(X)), y, atol=1e-6)
