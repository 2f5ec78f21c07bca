"""The functions of derivatives: results, trees, nesting, and what they refuse."""

from typing import NamedTuple

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.differentiation import backward
from thalweg.errors import DifferentiationError, ShapeError

X = np.array([0.3, -1.2, 2.0])


def test_gradient_of_several_arguments():
    f = lambda w, x, b: w * x + b
    assert tw.grad(f)(-2.0, 5.0, 3.0) == 5.0
    assert tw.grad(f, argnums=1)(-2.0, 5.0, 3.0) == -2.0
    assert tw.grad(f, argnums=-1)(-2.0, 5.0, 3.0) == 1.0
    assert tw.grad(f, argnums=(2, 0))(-2.0, 5.0, 3.0) == (1.0, 5.0)
    with pytest.raises(ShapeError, match="argnums=3"):
        tw.grad(f, argnums=3)(1.0, 2.0, 3.0)


def test_value_and_grad_with_aux():
    def f(x):
        return tnp.sum(x**2), {"double": 2 * x, "name": "kept"}

    (value, aux), slope = tw.value_and_grad(f, has_aux=True)(X)
    assert value == np.sum(X**2)
    np.testing.assert_array_equal(aux["double"], 2 * X)
    assert aux["name"] == "kept"
    np.testing.assert_array_equal(slope, 2 * X)
    slope, aux = tw.grad(f, has_aux=True)(X)
    np.testing.assert_array_equal(aux["double"], 2 * X)


class Point(NamedTuple):
    x: object
    y: object


def test_trees_keep_their_structure():
    def f(tree, scale=1.0):
        point, (w, nothing) = tree["point"], tree["pair"]
        assert nothing is None
        return scale * tnp.sum(point.x * point.y) + w[0] ** 2

    tree = {"point": Point(X, 2 * X), "pair": ([3.0], None)}
    slope = tw.grad(f)(tree, scale=2.0)
    assert isinstance(slope["point"], Point)
    np.testing.assert_array_equal(slope["point"].x, 4 * X)
    np.testing.assert_array_equal(slope["point"].y, 2 * X)
    assert slope["pair"] == ([6.0], None)


def test_vjp_and_jvp_of_trees():
    f = lambda p: {"s": p["a"] * p["b"], "t": tnp.sum(p["a"])}
    p = {"a": X, "b": X + 1}
    value, pullback = tw.vjp(f, p)
    np.testing.assert_allclose(value["s"], X * (X + 1))
    (slope,) = pullback({"s": np.ones(3), "t": 2.0})
    np.testing.assert_allclose(slope["a"], X + 3)
    np.testing.assert_allclose(slope["b"], X)
    _, tangent = tw.jvp(f, (p,), ({"a": np.ones(3), "b": np.zeros(3)},))
    np.testing.assert_allclose(tangent["s"], X + 1)
    assert tangent["t"] == 3.0
    with pytest.raises(ShapeError, match="structure"):
        pullback(np.ones(3))
    with pytest.raises(ShapeError, match="structure"):
        tw.jvp(f, (p,), (np.ones(3),))


def test_jacobian_wide_and_tall():
    A = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(tw.jacobian(lambda x: A @ x)(X), A)
    np.testing.assert_array_equal(tw.jacobian(lambda x: A.T @ x)(X[:2]), A.T)
    both = tw.jacobian(lambda x, y: A @ x + y, argnums=(0, 1))(X, X[:2])
    np.testing.assert_array_equal(both[0], A)
    np.testing.assert_array_equal(both[1], np.eye(2))
    tree = tw.jacobian(lambda p: {"s": p["a"] ** 2, "t": p["a"][0]})({"a": X})
    np.testing.assert_allclose(tree["s"]["a"], np.diag(2 * X))
    np.testing.assert_array_equal(tree["t"]["a"], [1, 0, 0])


def test_jacobian_of_a_constant_and_of_nothing():
    np.testing.assert_array_equal(tw.jacobian(lambda x: np.ones(2))(X), np.zeros((2, 3)))
    assert tw.jacobian(lambda x: x[:0])(X).shape == (0, 3)
    assert tw.jacobian(lambda x: tnp.stack([x.sum(), 1.0]))(X[:0]).shape == (2, 0)
    assert tw.grad(lambda x: 3.0)(X).tolist() == [0.0, 0.0, 0.0]


def test_hessian_and_products():
    H = np.array([[2.0, -1.0, 0.5], [-1.0, 3.0, 0.0], [0.5, 0.0, 1.0]])
    f = lambda x: 0.5 * x @ H @ x + tnp.sum(x) ** 3 / 6
    wanted = H + np.sum(X) * np.ones((3, 3))
    np.testing.assert_allclose(tw.hessian(f)(X), wanted, rtol=1e-13)
    v = np.array([1.0, -2.0, 0.7])
    np.testing.assert_allclose(tw.hvp(f, X, v), wanted @ v, rtol=1e-13)
    reverse = tw.vjp(tw.grad(f), X)[1](v)[0]
    np.testing.assert_allclose(reverse, wanted @ v, rtol=1e-13)


def test_any_order():
    f = lambda x: tnp.sin(x) * x**3
    derivative = f
    for _ in range(5):
        derivative = tw.grad(derivative)
    x = 0.7  # (x³ sin x)⁗′ by Leibniz
    wanted = x**3 * np.cos(x) + 5 * 3 * x**2 * np.sin(x) - 10 * 6 * x * np.cos(x)
    wanted -= 10 * 6 * np.sin(x)
    assert derivative(x) == pytest.approx(wanted, rel=1e-13)


def test_fourth_derivative_in_mixed_modes():
    f = lambda x: tnp.exp(2 * x)
    along = lambda g: lambda x: tw.jvp(g, (x,), (1.0,))[1]
    for nest in (
        tw.grad(along(tw.grad(along(f)))),
        along(tw.grad(along(tw.grad(f)))),
        along(along(along(along(f)))),
        tw.jacobian(tw.hessian(tw.grad(f))),
    ):
        assert nest(0.3) == pytest.approx(16 * np.exp(0.6), rel=1e-13)


def test_closures_over_outer_variables_do_not_confuse_perturbations():
    # Siskind & Pearlmutter: d/dx (x · d/dy (x + y) at y = 1) = 1, not 2.
    assert tw.grad(lambda x: x * tw.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    forward = lambda f, x: tw.jvp(f, (x,), (1.0,))[1]
    assert forward(lambda x: x * forward(lambda y: x + y, 1.0), 1.0) == 1.0
    assert forward(lambda x: x * tw.grad(lambda y: x + y)(1.0), 1.0) == 1.0
    assert tw.grad(lambda x: x * forward(lambda y: x * y, x))(3.0) == 6.0
    # ∂/∂x of x·∂(x²y³)/∂y at y = x: d/dx 3x⁵ = 15x⁴
    inner = lambda x: x * tw.grad(lambda y: x**2 * y**3)(x)
    assert tw.grad(inner)(2.0) == pytest.approx(15 * 16)


def test_vmap_inside_and_outside():
    W = np.array([[1.0, -2.0, 0.5], [0.3, 0.1, -1.0]])
    many = np.stack([X, 2 * X, X - 1, X + 0.5])
    sample = lambda W, x: tnp.sum(tnp.tanh(W @ x) ** 2)
    loop = np.stack([tw.grad(sample)(W, x) for x in many])
    np.testing.assert_allclose(tw.vmap(tw.grad(sample), (None, 0))(W, many), loop, rtol=1e-13)
    total = lambda W: tnp.sum(tw.vmap(sample, (None, 0))(W, many))
    np.testing.assert_allclose(tw.grad(total)(W), loop.sum(0), rtol=1e-13)
    # grad of vmap of grad
    steep = lambda W: tnp.sum(tw.vmap(lambda x: tnp.sum(tw.grad(sample)(W, x) ** 2))(many))
    slow = lambda W: sum(tnp.sum(tw.grad(sample)(W, x) ** 2) for x in many)
    np.testing.assert_allclose(tw.grad(steep)(W), tw.grad(slow)(W), rtol=1e-12)
    assert tw.check_gradients(steep, W)
    hessians = np.stack([tw.hessian(sample, 1)(W, x) for x in many])
    mapped = tw.vmap(tw.hessian(sample, 1), (None, 0))(W, many)
    np.testing.assert_allclose(mapped, hessians, rtol=1e-12, atol=1e-14)
    block = tw.hessian(lambda m: tnp.sum(tw.vmap(sample, (None, 0))(W, m)))(many)
    for k in range(4):
        np.testing.assert_allclose(block[k, :, k], hessians[k], rtol=1e-12, atol=1e-14)


def test_vmap_axes():
    many = np.arange(24.0).reshape(2, 3, 4)
    f = lambda x: x * 2 + x.sum()
    for axis in (0, 1, 2, -1):
        for out in (0, 1, 2, -1):
            wanted = np.stack(
                [np.take(many, k, axis) * 2 + np.take(many, k, axis).sum()
                 for k in range(many.shape[axis])], out)  # fmt: skip
            np.testing.assert_array_equal(tw.vmap(f, axis, out)(many), wanted)
    nested = tw.vmap(tw.vmap(lambda x, y: x * y, (0, None)), (None, 0))(np.ones(2), np.arange(3.0))
    np.testing.assert_array_equal(nested, np.arange(3.0)[:, None] * np.ones(2))
    tree = tw.vmap(lambda p: p["a"] * p["b"], ({"a": 0, "b": None},))({"a": np.ones(2), "b": 3.0})
    np.testing.assert_array_equal(tree, [3.0, 3.0])
    same = tw.vmap(lambda x: np.ones(2))(np.zeros((3, 1)))
    np.testing.assert_array_equal(same, np.ones((3, 2)))


def test_vmap_refuses():
    with pytest.raises(ShapeError, match=r"\(2,\), \(3,\)"):
        tw.vmap(lambda a, b: a + b)(np.ones(2), np.ones(3))
    with pytest.raises(ShapeError, match="at least one"):
        tw.vmap(lambda a: a, in_axes=None)(np.ones(2))
    with pytest.raises(ShapeError, match="axis"):
        tw.vmap(lambda a: a, in_axes=1)(np.ones(2))
    with pytest.raises(ShapeError, match="in_axes names 1"):
        tw.vmap(lambda a, b: a, in_axes=(0,))(np.ones(2), np.ones(2))


@pytest.mark.parametrize(
    "value", [np.array([1, 2]), np.int32(3), True, np.array([True]), np.arange(3)]
)
def test_integers_are_refused_with_advice(value):
    with pytest.raises(DifferentiationError, match="astype"):
        tw.grad(lambda x: tnp.sum(x * 1.0))(value)


def test_python_ints_are_floats():
    assert tw.grad(lambda x: x**2)(3) == 6.0
    assert tw.grad(lambda p: p["a"] ** 2)({"a": 3}) == {"a": 6.0}


def test_results_without_derivative_are_refused():
    with pytest.raises(DifferentiationError, match="one number"):
        tw.grad(lambda x: x * 2)(X)
    with pytest.raises(DifferentiationError, match="int64"):
        tw.grad(lambda x: tnp.argmax(x))(X)
    with pytest.raises(DifferentiationError, match="minimise a loss"):
        tw.grad(lambda x: tnp.mean(tnp.equal(x, 1.0) * 1) > 0)(X)
    with pytest.raises(DifferentiationError, match="integers"):
        tw.jacobian(lambda x: x > 0)(X)


def test_float32_stays_float32():
    x = X.astype(np.float32)
    f = lambda x: tnp.sum(tnp.where(x > 0, 3 * tnp.log1p(x), 0.5 * tnp.maximum(x, -1)) ** 2)
    assert tw.grad(f)(x).dtype == np.float32
    assert tw.hessian(f)(x).dtype == np.float32
    assert tw.jvp(f, (x,), (x,))[1].dtype == np.float32
    value, slope = tw.value_and_grad(lambda x: tnp.mean(tnp.softmax(x) * tnp.var(x)))(x)
    assert (value.dtype, slope.dtype) == (np.float32, np.float32)


def test_a_derivation_keeps_every_step():
    graph = tw.trace(lambda x, y: (x + y) ** 2, 0.0, 0.0)
    derivation = backward(graph.outputs[0], graph.inputs)
    assert all(e.consumer.inputs[e.position] is e.source for e in derivation.edges)
    x = graph.inputs[0]
    assert [e.consumer.name for e in derivation.edges_into(x)] == ["add"]


def test_deep_chains_need_no_recursion():
    def f(x):
        for _ in range(3000):
            x = x * 1.0001 + 0.0001
        return x

    assert tw.grad(f)(1.0) == pytest.approx(1.0001**3000, rel=1e-10)
