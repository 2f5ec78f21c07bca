"""The numbers of the source documents, against closed forms written out in NumPy."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp

EXACT = {"rtol": 1e-12, "atol": 1e-14}


def s(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("x", [-3.0, -0.4, 0.0, 1.0, 5.0])
def test_a3_the_sigmoid_taken_apart(x):
    steps = [tnp.negative, tnp.exp, lambda v: v + 1, tnp.reciprocal]
    value, product = x, 1.0
    for step in steps:
        value, local = tw.value_and_grad(step)(value)
        product *= local
    a = s(x)
    np.testing.assert_allclose(value, a, **EXACT)
    np.testing.assert_allclose(product, a * (1 - a), **EXACT)
    np.testing.assert_allclose(tw.grad(tnp.sigmoid)(x), a * (1 - a), **EXACT)
    np.testing.assert_allclose(tw.grad(tnp.tanh)(x), 1 - np.tanh(x) ** 2, **EXACT)


def test_b2_composite_functions():
    def f(w, x, b):
        g = w * x
        return g + b

    value, slopes = tw.value_and_grad(f, (0, 1, 2))(-2.0, 5.0, 3.0)
    assert value == -7.0
    assert slopes == (5.0, -2.0, 1.0)
    x, y = 1.7, -0.3
    slopes = tw.grad(lambda x, y: (x + y) ** 2, (0, 1))(x, y)
    np.testing.assert_allclose(slopes, [2 * (x + y)] * 2, **EXACT)


@pytest.mark.parametrize(("x", "d", "w1", "w2"), [(1.0, 1.0, 0.5, 0.5), (-0.7, 0.2, 1.3, -2.0)])
def test_b3_the_two_neuron_chain(x, d, w1, w2):
    def performance(w1, w2):
        y = tnp.sigmoid(w1 * x)
        z = tnp.sigmoid(w2 * y)
        return -0.5 * (d - z) ** 2

    y = s(w1 * x)
    z = s(w2 * y)
    common = (d - z) * z * (1 - z)
    wanted = np.array([common * w2 * y * (1 - y) * x, common * y])
    value, found = tw.value_and_grad(performance, (0, 1))(w1, w2)
    np.testing.assert_allclose(value, -0.5 * (d - z) ** 2, **EXACT)
    np.testing.assert_allclose(found, wanted, **EXACT)
    ascended = np.array([w1, w2]) + 1.0 * np.array(found)
    np.testing.assert_allclose(ascended, np.array([w1, w2]) + wanted, **EXACT)
    assert performance(*ascended) > value


def test_b3_with_the_old_weights():
    chain = lambda w1, w2: -0.5 * (1 - tnp.sigmoid(w2 * tnp.sigmoid(w1))) ** 2
    assert round(float(tw.grad(chain)(0.5, 0.5)), 5) == 0.01212


def network(W1, W2, x):
    return W2 @ tnp.maximum(W1 @ x, 0.0)


def test_c3_the_two_layer_regression_network():
    random = np.random.default_rng(4)
    W1, W2 = random.normal(size=(5, 3)), random.normal(size=(2, 5))
    X, T = random.normal(size=(7, 3)), random.normal(size=(7, 2))

    def cost(W1, W2):
        Y = tw.vmap(network, (None, None, 0))(W1, W2, X)
        return tnp.mean(tnp.sum((T - Y) ** 2, axis=1))

    Z1 = X @ W1.T
    A1 = np.where(Z1 > 0, Z1, 0)
    Y = A1 @ W2.T
    dW1, dW2 = np.zeros_like(W1), np.zeros_like(W2)
    for n in range(7):  # neuron by neuron, as document 004 does
        for k in range(2):
            common2 = -2 * (T[n, k] - Y[n, k]) / 7
            dW2[k] += common2 * A1[n]
            for m in range(5):
                common1 = common2 * W2[k, m] * (1.0 if Z1[n, m] > 0 else 0.0)
                dW1[m] += common1 * X[n]
    value, (found1, found2) = tw.value_and_grad(cost, (0, 1))(W1, W2)
    np.testing.assert_allclose(value, np.mean(np.sum((T - Y) ** 2, 1)), **EXACT)
    np.testing.assert_allclose(found1, dW1, **EXACT)
    np.testing.assert_allclose(found2, dW2, **EXACT)
    J = tw.jacobian(network, 2)(W1, W2, X[0])  # of the layer view: W2 · diag(f') · W1
    np.testing.assert_allclose(J, W2 @ np.diag((Z1[0] > 0) * 1.0) @ W1, **EXACT)


def test_f3_the_layer_view():
    # Document 003: tanh hidden layer, sigmoid output, binary cross entropy; samples in columns.
    random = np.random.default_rng(3)
    m, X = 6, random.normal(size=(3, 6))
    Y = (random.random((1, 6)) > 0.5) * 1.0
    W1, b1 = random.normal(size=(4, 3)), random.normal(size=(4, 1))
    W2, b2 = random.normal(size=(1, 4)), random.normal(size=(1, 1))

    def cost(W1, b1, W2, b2):
        Z2 = W2 @ tnp.tanh(W1 @ X + b1) + b2
        losses = Y * tnp.log_sigmoid(Z2) + (1 - Y) * tnp.log_sigmoid(-Z2)
        return -tnp.sum(losses) / m

    A1 = np.tanh(W1 @ X + b1)
    A2 = s(W2 @ A1 + b2)
    dZ2 = A2 - Y
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    wanted = (
        dZ1 @ X.T / m,
        dZ1.sum(1, keepdims=True) / m,
        dZ2 @ A1.T / m,
        dZ2.sum(1, keepdims=True) / m,
    )
    found = tw.grad(cost, (0, 1, 2, 3))(W1, b1, W2, b2)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, **EXACT)
    unfused = lambda Z: (
        -tnp.sum(Y * tnp.log(tnp.sigmoid(Z)) + (1 - Y) * tnp.log(1 - tnp.sigmoid(Z)))
    )
    np.testing.assert_allclose(tw.grad(unfused)(W2 @ A1 + b2), dZ2, **EXACT)


def test_softmax_with_cross_entropy():
    z, t = np.array([0.2, -1.0, 2.0]), np.array([0.1, 0.2, 0.7])
    y = np.exp(z) / np.exp(z).sum()
    np.testing.assert_allclose(
        tw.grad(lambda z: -tnp.sum(t * tnp.log_softmax(z)))(z), y - t, **EXACT
    )
    np.testing.assert_allclose(tw.jacobian(tnp.softmax)(z), np.diag(y) - np.outer(y, y), **EXACT)
