"""Printed code: how it reads, and that it runs without thalweg."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import ShapeError
from thalweg.tracing import label

P = [
    {"W": np.arange(6.0).reshape(3, 2) / 7, "b": np.ones(3)},
    {"W": np.ones((2, 3)), "b": np.zeros(2)},
]


def loss(params, x, t):
    a = x
    for number, layer in enumerate(params, 1):
        W, b = label(layer["W"], f"W[{number}]"), label(layer["b"], f"b[{number}]")
        z = label(W @ a + b, f"z[{number}]")
        a = z if number == len(params) else label(tnp.tanh(z), f"a[{number}]")
    return tnp.sum((a - t) ** 2)


def body(text):
    return text.rpartition("import numpy as np\n\n\n")[2]


def run(text, *args):
    space: dict = {}
    exec(text, space)
    name = text.rpartition("\ndef ")[2].partition("(")[0]
    return space[name](*args)


def test_the_gradient_of_a_network_reads_like_a_textbook():
    text = tw.source(tw.grad(loss), P, np.ones(2), np.ones(2))
    assert body(text) == (
        'def grad_loss(params, x, t):\n'
        '    W1, b1 = params[0]["W"], params[0]["b"]\n'
        '    W2, b2 = params[1]["W"], params[1]["b"]\n'
        '    z1 = W1 @ x + b1\n'
        '    a1 = np.tanh(z1)\n'
        '    z2 = W2 @ a1 + b2\n'
        '    dz2 = 2.0 * (z2 - t)\n'
        '    dW2 = dz2[:, None] @ a1[None, :]\n'
        '    da1 = W2.T @ dz2\n'
        '    dz1 = da1 * (1.0 - a1 * a1)\n'
        '    dW1 = dz1[:, None] @ x[None, :]\n'
        '    return [{"W": dW1, "b": dz1}, {"W": dW2, "b": dz2}]'
    )  # fmt: skip


def test_the_gradient_over_a_batch():
    X, T = np.ones((5, 2)), np.zeros((5, 2))
    batch = lambda params, X, T: tnp.mean(tw.vmap(loss, (None, 0, 0))(params, X, T))
    text = tw.source(tw.grad(batch), P, X, T)
    assert "z1 = X @ W1.T + b1" in text
    assert "dW1 = dz1.T @ X" in text
    found, wanted = run(text, P, X, T), tw.grad(batch)(P, X, T)
    for a, b in zip(found, wanted, strict=True):
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def test_without_examples():
    assert body(tw.source(lambda w, x, b=1.0: w * x)) == "def f(w, x):\n    return w * x"
    with pytest.raises(ShapeError, match=r"source\(f, W, x\)"):
        tw.source(lambda W, x: W @ x)


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda x: x - tnp.mean(x, axis=1, keepdims=True),
         "return x - np.sum(x, axis=1, keepdims=True) / 3.0"),
        (lambda x: tnp.logsumexp(x, axis=1), "return logsumexp(x, axis=1)"),
        (lambda x: x[0] + x[-1, ::2].sum(), "return x[0] + np.sum(x[1, ::2])"),
        (lambda x: x[[1, 0], [0, 2]], "return x[[1, 0], [0, 2]]"),
        (lambda x: tnp.stack([x, x * x]), "return np.stack([x, x * x])"),
        (lambda x: tnp.where(x > 0, x, 0.0), "return np.where(x > 0.0, x, 0.0)"),
        (lambda x: x + np.array([1.0, 2.0, 3.0]), "return x + np.array([1.0, 2.0, 3.0])"),
        (lambda x: (x @ x.T).T, "return (x @ x.T).T"),
        (lambda x: x * 2 + (x**2) / (x + 1) - x**3,
         "return x * 2.0 + x ** 2 / (x + 1.0) - x ** 3"),
        (lambda x: tnp.argmax(x, axis=1), "return np.argmax(x, axis=1)"),
        (lambda x: {"a": x, "b": (x[0, 0], None)}, 'return {"a": x, "b": (x[0, 0], None)}'),
    ],
)  # fmt: skip
def test_how_it_reads(function, line):
    x = np.array([[0.5, -1.0, 2.0], [1.0, 3.0, 0.1]])
    text = tw.source(function, x)
    assert text.splitlines()[-1].strip() == line
    run(text, x)


def test_special_constants():
    f = lambda x: tnp.where(x > 0, x, np.inf) + tnp.where(x > 1, np.array([np.nan, -np.inf]), x)
    x = np.array([0.5, 2.0])
    np.testing.assert_array_equal(run(tw.source(f, x), x), tw.vjp(f, x)[0])
    g = lambda x: x @ np.random.default_rng(0).normal(size=(2, 30))
    text = tw.source(g, x)
    assert text.splitlines()[2].startswith("c1 = np.array([[")
    np.testing.assert_array_equal(run(text, x), tw.vjp(g, x)[0])


def test_lines_stay_short():
    def f(x):
        for k in range(40):
            x = tnp.sin(x * 1.1) + 0.01 * k
        return x

    text = tw.source(tw.grad(f), 0.3)
    assert max(map(len, text.splitlines())) <= 92
    assert run(text, np.float64(0.3)) == tw.grad(f)(0.3)


def test_names_do_not_clash():
    def sigmoid(np, t1):
        return tnp.sigmoid(np) * t1 + tnp.sigmoid(np * t1) * label(t1 * 3.0, "lambda")

    text = tw.source(sigmoid, 1.0, 2.0)
    assert run(text, 1.0, 2.0) == tw.vjp(sigmoid, 1.0, 2.0)[0]


def test_no_thalweg_inside():
    text = tw.source(lambda x: tnp.erf(tnp.norm(x) + tnp.softplus(x[0])) ** x[1], np.ones(2))
    assert "thalweg" not in text
    assert text.count("def ") == 5
