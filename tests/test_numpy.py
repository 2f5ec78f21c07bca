"""The namespace against NumPy: on ordinary arrays, and on traced ones."""

import inspect
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import ShapeError, TracingError
from thalweg.graph import Node
from thalweg.interpreter import interpret

A = np.array([[0.3, -1.2, 2.0], [1.5, 0.7, -0.4]])
B = np.array([[1.1, 0.2, -0.6], [0.9, -2.0, 0.5]])
V = np.array([0.5, -1.0, 2.0])
CUBE = np.linspace(-2, 2, 24).reshape(2, 3, 4)
POSITIVE = np.abs(A) + 0.1


def traced(f, *args):
    (value,) = interpret(tw.trace(f, *args), args)
    return value


def same(f, *args, exact=False):
    """The namespace's function equals NumPy's, plain and traced."""
    wanted = f(np, *args)
    plain = f(tnp, *args)
    found = traced(lambda *a: f(tnp, *a), *args)
    through_numpy = traced(lambda *a: f(np, *a), *args)
    for value in (plain, found, through_numpy):
        np.testing.assert_allclose(value, wanted, rtol=0 if exact else 1e-14, atol=1e-15)
        assert np.shape(value) == np.shape(wanted)
        assert np.asarray(value).dtype == np.asarray(wanted).dtype


ELEMENTWISE = [
    "abs",
    "negative",
    "exp",
    "expm1",
    "sin",
    "cos",
    "tan",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "sign",
    "floor",
    "ceil",
    "rint",
    "square",
    "reciprocal",
    "trunc",
    "exp2",
    "sinc",
    "isfinite",
    "isnan",
    "isinf",
    "positive",
    "cbrt",
]
ON_POSITIVE = ["log", "log1p", "sqrt", "log2", "log10"]
INSIDE = ["arcsin", "arccos", "arctanh"]
PAIRS = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "minimum",
    "arctan2",
    "hypot",
    "logaddexp",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "equal",
    "not_equal",
    "remainder",
    "floor_divide",
    "copysign",
    "heaviside",
]
AXES = ["sum", "mean", "max", "min", "var", "std", "prod", "any", "all", "count_nonzero"]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_functions_of_numbers(name):
    same(lambda xp, a: getattr(xp, name)(a), A)
    same(lambda xp, a: getattr(xp, name)(a), CUBE)


@pytest.mark.parametrize("name", ON_POSITIVE)
def test_functions_of_positive_numbers(name):
    same(lambda xp, a: getattr(xp, name)(a), POSITIVE)


@pytest.mark.parametrize("name", INSIDE)
def test_functions_on_the_unit_interval(name):
    same(lambda xp, a: getattr(xp, name)(a), A / 3)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("other", [B, V, B[:, :1], np.array(0.7)])
def test_functions_of_pairs_broadcast(name, other):
    same(lambda xp, a, b: getattr(xp, name)(a, b), A, other)
    same(lambda xp, a, b: getattr(xp, name)(b, a), A, other)


def test_power():
    same(lambda xp, a, b: xp.power(a, b), POSITIVE, B)
    same(lambda xp, a: a**2 + a**3 + a**-1 + 2.0**a, POSITIVE)


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-1, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_functions_along_axes(name, axis, keepdims):
    same(lambda xp, a: getattr(xp, name)(a, axis=axis, keepdims=keepdims), CUBE)


@pytest.mark.parametrize("name", ["argmax", "argmin", "cumsum"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_functions_along_one_axis(name, axis):
    same(lambda xp, a: getattr(xp, name)(a, axis=axis), CUBE)


def test_reductions_of_numbers_and_of_nothing():
    for name in ("sum", "mean", "max", "prod"):
        same(lambda xp, a, n=name: getattr(xp, n)(a), np.array(3.0))
    same(lambda xp, a: xp.sum(a, axis=0), np.zeros((0, 3)))
    same(lambda xp, a: xp.prod(a, axis=0), np.zeros((0, 3)))
    with pytest.raises(ShapeError, match="no entries"):
        tw.trace(tnp.max, np.zeros((0, 3)))
    with pytest.raises(ShapeError, match="axis 2"):
        tw.trace(lambda x: tnp.sum(x, axis=2), A)
    with pytest.raises(ShapeError, match="twice"):
        tw.trace(lambda x: tnp.sum(x, axis=(0, -2)), A)


def test_ddof_is_correction():
    assert traced(lambda a: np.var(a, ddof=1), V) == pytest.approx(np.var(V, ddof=1))
    assert traced(lambda a: tnp.std(a, correction=1), V) == pytest.approx(np.std(V, ddof=1))
    assert traced(lambda a: a.std(ddof=1), V) == pytest.approx(np.std(V, ddof=1))


SHAPES = {
    "reshape": lambda xp, a: xp.reshape(a, (4, -1)),
    "ravel": lambda xp, a: xp.ravel(a),
    "transpose": lambda xp, a: xp.transpose(a),
    "transpose axes": lambda xp, a: xp.transpose(a, (2, 0, 1)),
    "matrix_transpose": lambda xp, a: xp.matrix_transpose(a),
    "swapaxes": lambda xp, a: xp.swapaxes(a, 0, -1),
    "moveaxis": lambda xp, a: xp.moveaxis(a, 0, -1),
    "moveaxis many": lambda xp, a: xp.moveaxis(a, (0, 1), (-1, 0)),
    "expand_dims": lambda xp, a: xp.expand_dims(a, 1),
    "expand_dims many": lambda xp, a: xp.expand_dims(a, (0, -1)),
    "squeeze": lambda xp, a: xp.squeeze(a[:, :1]),
    "squeeze axis": lambda xp, a: xp.squeeze(a[:, :1], axis=1),
    "broadcast_to": lambda xp, a: xp.broadcast_to(a, (5, 2, 3, 4)),
    "concatenate": lambda xp, a: xp.concatenate([a, 2 * a, a[:1]]),
    "concatenate axis": lambda xp, a: xp.concatenate([a, a[..., :1]], axis=-1),
    "concatenate flat": lambda xp, a: xp.concatenate([a, a[0]], axis=None),
    "stack": lambda xp, a: xp.stack([a, -a], axis=1),
    "stack last": lambda xp, a: xp.stack([a, -a], axis=-1),
    "hstack": lambda xp, a: xp.hstack([a, a]),
    "hstack vectors": lambda xp, a: xp.hstack([a[0, 0], a[1, 1]]),
    "vstack": lambda xp, a: xp.vstack([a[0, 0], a[0]]),
    "flip": lambda xp, a: xp.flip(a),
    "flip axis": lambda xp, a: xp.flip(a, axis=1),
    "roll": lambda xp, a: xp.roll(a, 3),
    "roll axis": lambda xp, a: xp.roll(a, -1, axis=2),
    "repeat": lambda xp, a: xp.repeat(a, 2),
    "repeat axis": lambda xp, a: xp.repeat(a, 3, axis=1),
    "tile": lambda xp, a: xp.tile(a, (2, 1, 3)),
    "tile more": lambda xp, a: xp.tile(a, (2, 1, 1, 1)),
    "tile less": lambda xp, a: xp.tile(a, 2),
    "diff": lambda xp, a: xp.diff(a),
    "diff twice": lambda xp, a: xp.diff(a, n=2, axis=1),
    "tril": lambda xp, a: xp.tril(a),
    "triu": lambda xp, a: xp.triu(a, 1),
    "diagonal": lambda xp, a: xp.diagonal(a),
    "diagonal offset": lambda xp, a: xp.diagonal(a, 1, 1, 2),
    "diag": lambda xp, a: xp.diag(a[0]),
    "diag of vector": lambda xp, a: xp.diag(a[0, 0]),
    "take": lambda xp, a: xp.take(a, [0, 2], axis=1),
    "take flat": lambda xp, a: xp.take(a, [0, 20]),
    "zeros_like": lambda xp, a: xp.zeros_like(a),
    "full_like": lambda xp, a: xp.full_like(a, 2.5),
    "clip": lambda xp, a: xp.clip(a, -0.5, 0.5),
    "round": lambda xp, a: xp.round(a, 1),
    "trapezoid": lambda xp, a: xp.trapezoid(a, dx=0.5),
    "trapezoid at": lambda xp, a: xp.trapezoid(a, np.array([0.0, 1.0, 3.0, 4.0])),
    "trace": lambda xp, a: xp.trace(a[..., 0]),
    "inner": lambda xp, a: xp.inner(a, a),
    "outer": lambda xp, a: xp.outer(a, a[0]),
    "cross": lambda xp, a: xp.cross(a[..., :3], a[..., 1:]),
    "tensordot": lambda xp, a: xp.tensordot(a, a, axes=([0, 1], [0, 1])),
    "tensordot count": lambda xp, a: xp.tensordot(a, xp.transpose(a, (1, 2, 0)), axes=2),
    "where": lambda xp, a: xp.where(a > 0, a, -2.0 * a),
    "meshgrid": lambda xp, a: xp.stack(xp.meshgrid(a[0, 0], a[0, :, 0])),
    "meshgrid ij": lambda xp, a: xp.stack(xp.meshgrid(a[0, 0], a[0, :, 0], indexing="ij")),
    "broadcast_arrays": lambda xp, a: xp.stack(list(xp.broadcast_arrays(a, a[:1]))),
}


@pytest.mark.parametrize("name", SHAPES)
def test_functions_of_shape(name):
    same(SHAPES[name], CUBE)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((5, 2, 3), (3,)),
        ((3,), (5, 3, 2)), ((0, 3), (3, 2)), ((4, 0, 3), (3, 2)),
    ],
)  # fmt: skip
def test_matmul(left, right):
    random = np.random.default_rng(0)
    a, b = random.normal(size=left), random.normal(size=right)
    same(lambda xp, a, b: xp.matmul(a, b), a, b)
    for one, other in ((a, b), (b, a)):
        np.testing.assert_allclose(
            traced(lambda x, one=one, b=b, a=a: (x @ b) if one is a else (a @ x), one), a @ b
        )
        assert other is not None


def test_matmul_refuses():
    with pytest.raises(ShapeError, match="3 columns meet 2 rows"):
        tw.trace(lambda a, b: a @ b, A, A)
    with pytest.raises(ShapeError, match=r"use \*"):
        tw.trace(lambda a: a @ 2.0, A)


def test_operators_and_methods():
    same(lambda xp, a, b: (a + b) * (a - b) / (b + 3) - -a + abs(a) + (+b), A, B)
    same(lambda xp, a, b: a // b + a % b, A, B)
    same(lambda xp, a: 2 // a + 2 % a + 2 / a + 2**a + (2 - a) * 3, POSITIVE)
    same(lambda xp, a, b: (a > 0) & (b <= 1) | ~(a == b) ^ (a != 1), A, B)
    same(lambda xp, a: a.sum(0) + a.mean(0) * a.max(0) - a.min(0) + a.prod(0), A)
    same(lambda xp, a: a.reshape(3, 2) @ a.reshape((2, 3)) + a.T.dot(a)[0, 0], A)
    same(lambda xp, a: a.ravel() + a.flatten() + a.T.ravel() + a.transpose(1, 0).ravel(), A)
    same(lambda xp, a: a.clip(-1, 1).round(1).cumsum(1).swapaxes(0, 1).squeeze(), A)
    same(lambda xp, a: a.var() + a.std() + a.argmax(0) + a.argmin() + a.any() + a.all(), A)
    same(lambda xp, a: a.mT @ a, CUBE)
    same(lambda xp, a: A * a + A @ a.T @ A, A)
    assert tw.trace(lambda a: a.copy(), A).outputs[0].name == "variable"


def test_mixed_dtypes_follow_numpy():
    kinds = [np.float32(1), np.float64(1), np.int64(1), np.int32(2), True, 2, 0.5]
    kinds += [np.ones(2, np.float32), np.ones(2, np.int64), np.ones(2), np.array([True, False])]
    for one in kinds:
        for other in kinds:
            if type(one) in (bool, int, float):
                continue
            for op in (lambda a, b: a * b, lambda a, b: a / b, lambda a, b: tnp.maximum(a, b)):
                wanted = np.asarray(op(np.asarray(one), other)).dtype
                found = tw.trace(lambda a, op=op, other=other: op(a, other), one).outputs[0].dtype
                assert found == wanted, (one, other)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "log_sigmoid", "erf", "softmax"])
def test_functions_of_integers_are_floats(name):
    f = getattr(tnp, name)
    ints, floats = np.array([1, 2, -3]), np.array([1.0, 2.0, -3.0])
    np.testing.assert_array_equal(f(ints), f(floats))
    np.testing.assert_array_equal(traced(f, ints), f(floats))


def test_special_functions_against_scipy():
    special = pytest.importorskip("scipy.special")
    x = np.linspace(-6, 6, 101)
    np.testing.assert_allclose(tnp.sigmoid(x), special.expit(x), rtol=1e-15)
    np.testing.assert_allclose(tnp.log_sigmoid(x), special.log_expit(x), rtol=1e-14)
    np.testing.assert_allclose(tnp.softmax(x), special.softmax(x), rtol=1e-14)
    np.testing.assert_allclose(tnp.logsumexp(x), special.logsumexp(x), rtol=1e-15)
    np.testing.assert_allclose(tnp.erf(x), special.erf(x), rtol=1e-15)
    np.testing.assert_allclose(tnp.xlogy(x**2, x**2), special.xlogy(x**2, x**2), rtol=1e-15)


def test_asarray_of_traced_numbers():
    found = traced(lambda x: tnp.asarray([[x[0], 1.0], [2.0, x[1]]]), V)
    np.testing.assert_array_equal(found, [[0.5, 1], [2, -1]])
    assert tw.trace(lambda x: tnp.asarray(x, dtype=np.float32), V).outputs[0].dtype == np.float32


def test_the_namespace_is_explicit():
    natural = [re.sub(r"\d+", lambda m: m[0].zfill(4), name) for name in tnp.__all__]
    assert natural == sorted(natural)
    for name in tnp.__all__:
        value = getattr(tnp, name)
        assert not inspect.ismodule(value), name
        assert not name.startswith("_")
        if callable(value) and not isinstance(value, type):
            assert value.__doc__, name
    assert all(not name.startswith("_") for name in Node.operators)
    assert set(Node.operators) <= set(tnp.__all__)


# -- indexing -------------------------------------------------------------------
INDICES = [
    0, -1, slice(None, None, -1), slice(3, 0, -2), slice(-2, None), slice(5, 2), None, ...,
    (..., 0), (0, ...), (None, 0), (slice(None), None, 1), (..., None), (0, 1, 2), (0, -1, -2),
    [0, 1], [-1, 0, 0], (slice(None), [2, 0]), ([0, 1], [2, 0]), ([0, 1], slice(None), [2, 0]),
    (0, [1, 2]), ([1, 0], 2), (slice(None), 1, [0, 3]), ([[0, 1], [1, 0]], 0, slice(1, 3)),
    (slice(None, None, -1), [0, 2], slice(None, None, 2)), (None, [0, 1], None, [2, 1]),
    (..., [3, 0]), ([0], [[1], [2]], [[3, 2]]), (slice(None), None, [0, 1]),
    np.array([True, False]), (slice(None), np.array([True, False, True])),
    np.ones((2, 3), bool), CUBE > 0, np.array(1), (np.int64(1), np.array([0, 2])), [],
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing(index):
    wanted = CUBE[index]
    found = traced(lambda x: x[index], CUBE)
    np.testing.assert_array_equal(found, wanted)
    assert np.shape(found) == wanted.shape
    slope = tw.grad(lambda x: tnp.sum(x[index] ** 2))(CUBE)
    counts = np.zeros(CUBE.shape)
    numbers = np.arange(CUBE.size).reshape(CUBE.shape)[index]
    np.add.at(counts.reshape(-1), numbers, 1)
    np.testing.assert_allclose(slope, 2 * CUBE * counts, atol=1e-15)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_indexing_against_numpy(data):
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=4, max_side=4))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    if data.draw(st.booleans()):
        index = data.draw(arrays.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    else:
        picks = arrays.integer_array_indices(
            shape[: data.draw(st.integers(1, len(shape)))],
            result_shape=arrays.array_shapes(max_dims=2, max_side=3),
        )
        index = list(data.draw(picks))
        for _ in range(data.draw(st.integers(0, 2))):
            at = data.draw(st.integers(0, len(index)))
            if len([i for i in index if i is not None]) < x.ndim:
                extra = data.draw(st.sampled_from([slice(None), slice(None, None, -1), 0, None]))
            else:
                extra = None
            index.insert(at, extra)
        index = tuple(index)
    try:
        wanted = x[index]
    except IndexError:
        with pytest.raises(IndexError):
            tw.trace(lambda x: x[index], x)
        return
    found = traced(lambda x: x[index], x)
    np.testing.assert_array_equal(found, wanted)
    assert np.shape(found) == np.shape(wanted)


def test_indexing_by_traced_integers():
    x, i = CUBE, np.array([1, 0, 1])
    np.testing.assert_array_equal(traced(lambda x, i: x[i], x, i), x[i])
    np.testing.assert_array_equal(traced(lambda x, i: x[:, i, 0], x, i), x[:, i, 0])
    np.testing.assert_array_equal(traced(lambda i: tnp.take(V, i), i), V[i])
    np.testing.assert_array_equal(traced(lambda i: tnp.take(V, i), np.array(2)), V[2])
    picks = np.argsort(A, axis=1)
    same(lambda xp, a: xp.take_along_axis(a, picks, 1), A)


def test_indexing_refuses():
    with pytest.raises(ShapeError, match="where"):
        tw.trace(lambda x: x[x > 0], V)
    with pytest.raises(IndexError, match="index 3 is outside axis 0 of length 3"):
        tw.trace(lambda x: x[3], V)
    with pytest.raises(IndexError, match="-4"):
        tw.trace(lambda x: x[[0, -4]], V)
    with pytest.raises(IndexError, match="mask"):
        tw.trace(lambda x: x[np.array([True, False])], V)
    with pytest.raises(ShapeError, match="2 indices for"):
        tw.trace(lambda x: x[0, 0], V)
    with pytest.raises(ShapeError, match=r"one '\.\.\.'"):
        tw.trace(lambda x: x[..., ...], V)
    with pytest.raises(ShapeError, match="integer"):
        tw.trace(lambda x: x[x], V)
    with pytest.raises((TypeError, ShapeError)):
        tw.trace(lambda x: x["a"], V)


def test_broadcasts_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2,\)"):
        tw.trace(lambda a, b: a + b, A, np.ones(2))
    with pytest.raises(ShapeError, match="6 entries"):
        tw.trace(lambda a: a.reshape(4, 2), A)
    with pytest.raises(ShapeError, match="concatenate"):
        tw.trace(lambda a: tnp.concatenate([a, a[:, :1]]), A)
    with pytest.raises(TracingError):
        tw.trace(lambda a: np.sort(a), A)
