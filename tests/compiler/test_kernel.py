"""Equal graphs share their machine code, and nothing else."""

import gc
import threading
import weakref

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.compiler.function import NativeGraph
from thalweg.compiler.kernel import shared_kernel
from thalweg.graph.form import MOST_HELD, MOST_NODES, Form

X = np.linspace(-1.0, 1.0, 300).reshape(3, 100)


@pytest.fixture(autouse=True)
def nothing_shared():
    shared_kernel.cache_clear()


def native(f, *arguments):
    return NativeGraph(tw.trace(f, *arguments))


def product(scale):
    return lambda x: tnp.tanh(x @ x.T) * scale + tnp.sum(x)


def test_equal_graphs_share_code():
    one, other = native(product(2.0), X), native(product(2.0), X)
    assert one.kernel is other.kernel
    assert native(product(3.0), X).kernel is not one.kernel
    np.testing.assert_array_equal(one([X])[0], other([X])[0])


def test_who_shares_its_work_among_threads_counts():
    graph = tw.trace(product(2.0), X)
    assert NativeGraph(graph, alone=True).kernel is not NativeGraph(graph).kernel


def test_the_graph_and_its_labels_stay_its_own():
    native(lambda first: first * 2.0, 1.0)
    assert "second" in native(lambda second: second * 2.0, 1.0).show("graph")


def test_equal_graphs_work_at_the_same_time():
    rng = np.random.default_rng(0)
    points = [rng.normal(size=(40, 40)) for _ in range(4)]
    f = lambda x: tnp.sum(tnp.tanh(x @ x) @ tnp.sin(x @ x))
    wanted = [native(f, p)([p])[0] for p in points]
    wrong = []

    def work(point, value):
        own = native(f, point)
        wrong.extend(1 for _ in range(200) if own([point])[0] != value)

    threads = [
        threading.Thread(target=work, args=both) for both in zip(points, wanted, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_closure_that_changed_gives_another_function():
    scale = 2.0

    def f(x):
        return x * scale

    assert tw.compile(f)(3.0) == 6.0
    scale = 5.0
    assert tw.compile(f)(3.0) == 15.0


def test_only_so_many_are_kept():
    first = weakref.ref(native(lambda x: x * 0.5, 1.0).kernel)
    for number in range(shared_kernel.cache_parameters()["maxsize"]):
        native(lambda x, c=number: x + 100.0 + c, 1.0)
    gc.collect()
    assert first() is None


def test_much_data_is_not_kept():
    data = np.arange(MOST_HELD // 8 + 1.0)
    kept = weakref.ref(native(lambda x: tnp.sum(x * data), 1.0).kernel)
    gc.collect()
    assert kept() is None


def test_very_large_functions_are_not_kept():
    def deep(x):
        for _ in range(MOST_NODES):
            x = x * 1.5
        return x

    form = Form(tw.trace(deep, 1.0))
    assert form.heavy
    assert not form.light


def test_a_function_of_numbers_keeps_its_code():
    call = native(lambda x: x * x + 1.0, 2.0).quickest
    shared_kernel.cache_clear()
    for k in range(70):  # more than one linker holds
        native(lambda x, k=k: x * (k + 2.0), 1.0).quickest(1.0)
        shared_kernel.cache_clear()
    gc.collect()
    assert call(3.0) == [10.0]
