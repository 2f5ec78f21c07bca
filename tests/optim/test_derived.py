"""What is shared between equal functions, and what is not."""

import gc
import threading
import weakref

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import TracingError
from thalweg.graph.form import MOST_INPUTS
from thalweg.optim import derived as module
from thalweg.optim.functions import Traced, numerical_jacobian

T = np.linspace(0.0, 4.0, 50)
P = np.array([2.5, 1.3, 0.5])


@pytest.fixture(autouse=True)
def nothing_shared():
    module._shared.cache_clear()


def decay(data):
    return lambda p: p[0] * tnp.exp(-p[1] * T) + p[2] - data


def curve(p):
    return p[0] * np.exp(-p[1] * T) + p[2]


def test_functions_of_other_data_share_derivatives_and_keep_their_data():
    sets = [curve(P) + 0.1 * k * np.sin(T) for k in range(3)]
    traced = [Traced(decay(data), 3) for data in sets]
    assert len({id(t._derived) for t in traced}) == 1
    x, v, u = np.array([2.0, 1.0, 0.4]), np.array([0.3, -0.2, 1.0]), np.cos(T)
    for one, data in zip(traced, sets, strict=True):
        value, jacobian = one.derivative(x)
        np.testing.assert_allclose(value, curve(x) - data, rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(jacobian, numerical_jacobian(one.value)(x), atol=1e-8)
        np.testing.assert_allclose(one.push(x, v), jacobian @ v, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(one.pull(x, u)[1], jacobian.T @ u, rtol=1e-12)
        np.testing.assert_allclose(
            one.curvature(x, u) @ v, one.curvature_product(x, u, v), rtol=1e-12, atol=1e-13
        )


def test_a_closure_that_changed_gives_another_function():
    for shift in (1.0, 2.0, 1.0):
        result = tw.minimize(lambda x, s=shift: (x - s) ** 2, 0.0)
        assert float(result.x) == pytest.approx(shift)


def test_starts_and_lengths():
    square = lambda x: tnp.sum((x - 1.0) ** 2)
    assert Traced(square, 2)._derived is Traced(square, 2)._derived
    assert Traced(square, 3)._derived is not Traced(square, 2)._derived
    for start in ([0.0, 0.0], [3.0, -1.0], [0.0, 0.0, 0.0]):
        np.testing.assert_allclose(tw.minimize(square, start).x, 1.0)


def test_results_do_not_depend_on_what_was_asked_before():
    first = tw.least_squares(decay(curve(P) + 0.01 * np.sin(9 * T)), [1.0, 1.0, 0.0])
    tw.least_squares(decay(curve(P) + 0.3 * np.cos(9 * T)), [1.0, 1.0, 0.0])
    again = tw.least_squares(decay(curve(P) + 0.01 * np.sin(9 * T)), [1.0, 1.0, 0.0])
    assert first.x.tobytes() == again.x.tobytes()
    assert first.nfev == again.nfev


def test_several_threads():
    sets = [curve(P) + 0.1 * k * np.sin(9 * T) for k in range(4)]
    alone = [tw.least_squares(decay(data), [1.0, 1.0, 0.0]).x.tobytes() for data in sets]
    module._shared.cache_clear()
    found = [None] * 4

    def work(k):
        for _ in range(5):
            found[k] = tw.least_squares(decay(sets[k]), [1.0, 1.0, 0.0]).x.tobytes()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone


def test_only_so_many_are_kept():
    kept = weakref.ref(Traced(lambda x: x * x, 2)._derived)
    for power in range(module._shared.cache_parameters()["maxsize"]):
        Traced(lambda x, p=power: x ** (3.0 + p), 2)
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("n", [2, MOST_INPUTS + 1])
def test_neither_data_nor_much_else_is_kept(n):
    data = np.arange(100_000.0)
    traced = Traced(lambda x: tnp.sum(data * tnp.sum(x)), n)
    traced.derivative(np.ones(n))
    kept = weakref.ref(traced._arrays[0])
    shared = weakref.ref(traced._derived)
    del traced
    gc.collect()
    assert kept() is None
    assert (shared() is None) == (n > MOST_INPUTS)


def test_arrays_that_escaped_are_refused_each_time():
    escaped = []
    tw.trace(lambda x: escaped.append(x) or x, 1.0)
    for _ in range(2):
        with pytest.raises(TracingError, match="another function"):
            tw.minimize(lambda x: x**2 * escaped[0], 1.0)
