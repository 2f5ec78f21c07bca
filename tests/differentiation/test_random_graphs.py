"""Random expressions of all shapes and broadcasts: derivatives, modes and printed source."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.interpreter import interpret

SHAPES = [(), (1,), (3,), (2, 1), (2, 3), (1, 3), (4, 2, 3), (2, 2)]


def every_other(x):
    """A fixed mask: at a condition on values, finite differences would step over the jump."""
    return (np.arange(x.size) % 2 == 0).reshape(x.shape)


UNARY = [
    tnp.tanh,
    tnp.sin,
    tnp.sigmoid,
    tnp.softplus,
    tnp.arctan,
    lambda x: tnp.exp(-0.3 * x * x),
    lambda x: tnp.log1p(x * x),
    lambda x: tnp.sqrt(1 + x * x),
    lambda x: x**2,
    lambda x: (1.5 + tnp.tanh(x)) ** 1.7,
    lambda x: -x / 2,
    lambda x: tnp.where(every_other(x), x, 0.3 * x * x),
    lambda x: x.T,
    lambda x: tnp.reshape(x, -1),
    lambda x: x[..., None],
    lambda x: x[None],
    lambda x: tnp.broadcast_to(x, (2, *x.shape)) if x.ndim < 3 else x,
    lambda x: tnp.sum(x, axis=-1) if x.ndim else x,
    lambda x: tnp.mean(x, axis=0, keepdims=True) if x.ndim else x,
    lambda x: tnp.logsumexp(x, axis=-1, keepdims=True) if x.ndim else x,
    lambda x: tnp.softmax(x) if x.ndim else x,
    lambda x: tnp.norm(x + 1.1) if x.ndim else x,
    lambda x: tnp.cumsum(x, axis=0) if x.ndim else x,
    lambda x: x[::-1] if x.ndim else x,
    lambda x: x[0] if x.ndim else x,
    lambda x: x[..., -1:] if x.ndim else x,
    lambda x: x[np.array([0, 0])] if x.ndim else x,
    lambda x: tnp.concatenate([x, 2 * x], -1) if x.ndim else x,
    lambda x: tnp.stack([x, x * x], 0) if x.ndim < 3 else x,
    lambda x: tnp.swapaxes(x, 0, -1) if x.ndim else x,
]


def product(a, b):
    if a.ndim and b.ndim and a.shape[-1] == b.shape[-2 if b.ndim > 1 else 0]:
        try:
            np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            return a
        return a @ b
    return a


BINARY = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / (1.2 + b * b),
    lambda a, b: tnp.arctan2(a, 1.5 + b * b),
    lambda a, b: (1.3 + tnp.sin(a)) ** tnp.tanh(b),  # steeper ones are too steep for differences
    lambda a, b: tnp.where(every_other(a), a, b * 0.5),
    lambda a, b: tnp.logaddexp(a, b),
]


@st.composite
def expressions(draw):
    """A function of two arrays, as a list of steps, and the arrays."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    points = [random.normal(size=draw(st.sampled_from(SHAPES))) * 0.8 for _ in range(2)]
    plan = draw(
        st.lists(
            st.tuples(st.booleans(), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
            min_size=2,
            max_size=9,
        )
    )

    def f(x, y):
        pool = [x, y]
        for unary, which, first, second in plan:
            a, b = pool[first % len(pool)], pool[second % len(pool)]
            if unary:
                made = UNARY[which % len(UNARY)](a)
            else:
                try:
                    np.broadcast_shapes(a.shape, b.shape)
                    made = BINARY[which % len(BINARY)](a, b)
                except ValueError:
                    made = product(a, b)
            if made.size <= 200 and made.ndim <= 4:
                pool.append(made)
        return sum(tnp.mean(node * (1.0 + 0.1 * k)) for k, node in enumerate(pool[2:] or pool))

    return f, points


RELAXED = settings(
    deadline=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LONG = settings(RELAXED, max_examples=3000)


def close(found, wanted, tolerance):
    scale = np.maximum(1.0, np.abs(wanted))
    assert np.max(np.abs(found - wanted) / scale, initial=0.0) <= tolerance


def check_derivatives(case):
    f, points = case
    for k, slope in enumerate(tw.grad(f, (0, 1))(*points)):
        assert np.shape(slope) == np.shape(points[k])
        close(slope, tw.numerical_gradient(f, *points, argnums=k), 3e-7)
    directions = [np.cos(np.arange(p.size)).reshape(p.shape) for p in points]
    value, pushed = tw.jvp(f, points, directions)
    slopes = tw.grad(f, (0, 1))(*points)
    pulled = sum(np.sum(d * s) for d, s in zip(directions, slopes, strict=True))
    close(pushed, pulled, 1e-11)
    close(value, f(*points), 1e-12)
    along = lambda *p: tw.jvp(f, p, directions)[1]
    curved = tw.grad(along)(*points)
    other = tw.jvp(tw.grad(f), points, directions)[1]
    close(curved, other, 1e-8)


def check_source(case):
    f, points = case
    points = [p[()] for p in points]
    for function in (f, tw.grad(f, (0, 1)), lambda *p: tw.hvp(lambda x: f(x, p[1]), p[0], p[0])):
        text = tw.source(function, *points)
        space: dict = {}
        exec(text, space)
        name = text.rpartition("\ndef ")[2].partition("(")[0]
        with np.errstate(all="ignore"):
            found = space[name](*points)
        found = found if isinstance(found, tuple) else (found,)
        wanted = interpret(tw.trace(function, *points), points)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=text)
            assert np.shape(a) == np.shape(b), text


def test_source_of_sums_of_what_is_repeated():
    """The order of a sum goes by how its array lies in memory, and so by where it is repeated."""
    y = np.random.default_rng(5).normal(size=(2, 3))
    f = lambda x, y: tnp.sum(tnp.arctan2(x, 1.5 + y.T * y.T))
    for x in np.linspace(0.1, 3.0, 50):
        check_source((f, [x, y * x]))


def test_source_of_products_of_what_is_repeated():
    column = tnp.array(np.array([[0.5], [-2.0]]))
    f = lambda x, y: tnp.sum(tnp.broadcast_to(column * y, (2, 2)) @ (x @ x.T))
    check_source((f, [np.arange(6.0).reshape(2, 3), np.float64(0.7)]))


def check_batch(case):
    f, points = case
    many = [np.stack([p, 0.5 * p, p - 0.1]) for p in points]
    gradient = tw.grad(f, (0, 1))
    for axes in ((0, 0), (0, None), (None, 0)):
        chosen = [m if a == 0 else p for m, p, a in zip(many, points, axes, strict=True)]
        mapped = tw.vmap(gradient, axes)(*chosen)
        for k in range(3):
            row = [c[k] if a == 0 else c for c, a in zip(chosen, axes, strict=True)]
            for found, wanted in zip(mapped, gradient(*row), strict=True):
                close(found[k], wanted, 1e-10)


@RELAXED
@given(expressions())
def test_derivatives(case):
    check_derivatives(case)


@RELAXED
@given(expressions())
def test_source(case):
    check_source(case)


@RELAXED
@given(expressions())
def test_batches(case):
    check_batch(case)


@pytest.mark.slow
@LONG
@given(expressions())
def test_many_derivatives(case):
    check_derivatives(case)


@pytest.mark.slow
@LONG
@given(expressions())
def test_much_source(case):
    check_source(case)


@pytest.mark.slow
@LONG
@given(expressions())
def test_many_batches(case):
    check_batch(case)
