"""`compile`: arguments and results of every kind, threads, nesting, and the stages shown."""

import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.compiler.function import NativeGraph
from thalweg.errors import OptionError, ShapeError, TracingError

GOLDEN = Path(__file__).parent / "golden"
X = np.array([0.3, -1.2, 2.0])


class Point(NamedTuple):
    x: object
    y: object


def test_trees_of_arguments_and_results():
    f = lambda p, more: {"sum": p["a"] + more[0], "point": Point(more[1] * 2, None), "n": [p["b"]]}
    found = tw.compile(f)({"a": X, "b": 2.0}, (X, np.ones((2, 2))))
    np.testing.assert_array_equal(found["sum"], 2 * X)
    assert isinstance(found["point"], Point)
    assert found["point"].y is None
    assert found["n"] == [2.0]
    assert list(found) == ["sum", "point", "n"]


def test_structures_are_told_apart():
    f = tw.compile(lambda p: tnp.sum(p["a"]) - (p.get("b", 0.0)))
    assert f({"a": X}) == np.sum(X)
    assert f({"a": X, "b": 1.0}) == np.sum(X) - 1.0
    assert f({"b": 1.0, "a": X}) == np.sum(X) - 1.0


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
def test_dtypes_stay(dtype):
    x = np.array([0, 1, 1, 0, 1]).astype(dtype)
    f = tw.compile(lambda x: (x, tnp.sum(x * 2), x[::-1], tnp.max(x)))
    g = lambda x: (x, np.sum(x * 2), x[::-1], np.max(x))
    for found, traced, wanted in zip(f(x), tw.trace(f, x).outputs, g(x), strict=True):
        assert found.dtype == traced.dtype
        np.testing.assert_array_equal(found, wanted)


def test_float32_stays_float32():
    x = X.astype(np.float32)
    f = tw.compile(tw.value_and_grad(lambda x: tnp.sum(2.0 * tnp.sin(x) ** 2 + 1)))
    value, slope = f(x)
    assert (value.dtype, slope.dtype) == (np.float32, np.float32)
    assert f(X)[1].dtype == np.float64


def test_small_and_foreign_numbers():
    f = tw.compile(lambda x: x * 2)
    assert f(3) == 6.0
    assert f(np.float32(3)).dtype == np.float32
    assert f(np.float16(3)).dtype == np.float32
    assert f(np.int8(3)).dtype == np.int64
    assert f(True).dtype == tw.trace(f, True).outputs[0].dtype
    swapped = np.arange(3.0).astype(">f8")
    np.testing.assert_array_equal(f(swapped), [0.0, 2.0, 4.0])
    with pytest.raises(ShapeError, match="numbers"):
        f("text")


A = np.arange(60.0).reshape(4, 15)


@pytest.mark.parametrize(
    "given",
    [
        np.asfortranarray(A),
        A[:, ::2],
        A[::-1, 3:],
        A.T,
        np.broadcast_to(A[0], (3, 15)),
        np.lib.stride_tricks.as_strided(A, (5, 6), (16, 24)),
        np.ma.masked_array(A, A < 0),
        np.frombuffer(b"\0" + A.tobytes(), np.float64, 60, 1).reshape(A.shape),
    ],
)
def test_any_layout_of_the_input(given):
    f = tw.compile(lambda x: tnp.sum(x * x, axis=0) + x[0])
    np.testing.assert_allclose(f(given), np.sum(np.asarray(given) ** 2, axis=0) + given[0])


def test_read_only_input():
    x = X.copy()
    x.flags.writeable = False
    result = tw.compile(lambda x: x + 1)(x)
    result[:] = 0
    np.testing.assert_array_equal(x, X)


def test_results_are_memory_of_their_own():
    x = X.copy()
    f = tw.compile(lambda x: (x, x, np.ones(3), x + 1, x.T, x[1:]))
    first, second = f(x), f(x)
    every = [x, *first, *second]
    for k, a in enumerate(every):
        assert a.flags.writeable
        for b in every[k + 1 :]:
            assert not np.shares_memory(a, b)
    first[2][:] = 7
    assert f(x)[2].tolist() == [1.0, 1.0, 1.0]


def test_awkward_graphs():
    same = lambda x: (x, x)
    a, b = tw.compile(same)(X)
    np.testing.assert_array_equal(a, X)
    np.testing.assert_array_equal(b, X)
    constant = tw.compile(lambda x: (3.0, np.arange(4), np.float32(2)))
    found = constant(X)
    assert (found[0], found[1].tolist(), found[2].dtype) == (3.0, [0, 1, 2, 3], np.float32)
    assert tw.compile(lambda: 2.0)() == 2.0
    assert tw.compile(lambda x: ())(X) == ()
    assert tw.compile(lambda x: None)(X) is None
    unused = tw.compile(lambda x, y, z: y)
    assert unused(X, 2.0, X) == 2.0
    assert tw.compile(lambda x: tnp.sum(x))(np.ones((1, 1, 1))) == 1.0
    assert tw.compile(lambda x: x.reshape(0, 3).sum(axis=1))(np.zeros(0)).shape == (0,)
    many = tw.compile(lambda x: [tnp.sin(k * x) for k in range(200)])(X)
    np.testing.assert_allclose(many, [np.sin(k * X) for k in range(200)], rtol=1e-13, atol=1e-15)


def test_wrong_shapes():
    graph = NativeGraph(tw.trace(lambda x: x + 1, X))
    with pytest.raises(ShapeError, match=r"\(2,\), not \(3,\)"):
        graph([np.ones(2)])
    with pytest.raises(ValueError, match="argument"):
        graph([])
    f = tw.compile(lambda x, y: x + y)
    f(X, X)
    with pytest.raises(ShapeError, match="broadcast"):
        f(X, np.ones(2))
    with pytest.raises(TypeError):
        f(X)


def test_traced_once_for_every_shape():
    seen = []

    def f(x):
        seen.append(x.shape)
        return x * 2

    g = tw.compile(f)
    for n in (3, 3, 4, 3, 4):
        g(np.ones(n))
    assert seen == [(3,), (4,)]
    assert g.__wrapped__ is f


def test_numbers_of_every_type_share_the_quick_way():
    f = tw.compile(lambda x, y: (x * y, {"s": x - y}))
    for x in (3.0, 3, np.float64(3.0), np.array(3.0)):
        for _ in range(2):
            product, rest = f(x, 2.0)
            assert (product, rest["s"]) == (6.0, 1.0)
            assert isinstance(product, np.float64)
    assert f(np.float32(3), np.float32(2))[0].dtype == np.float32
    assert f(True, 2.0)[0] == 2.0
    with pytest.raises(TypeError):
        f(1.0)


def test_the_quick_way_with_long_functions():
    def f(x):
        for k in range(400):
            x = tnp.sin(x) + k / 400
        return x

    assert tw.compile(f)(0.3) == pytest.approx(f(0.3), rel=1e-12)


def test_nested_in_other_transforms():
    inner = tw.compile(lambda x: tnp.sum(tnp.sin(x) * x))
    plain = lambda x: tnp.sum(tnp.sin(x) * x)
    np.testing.assert_allclose(tw.grad(inner)(X), tw.grad(plain)(X), rtol=1e-15)
    np.testing.assert_allclose(tw.hessian(inner)(X), tw.hessian(plain)(X), rtol=1e-15)
    many = np.stack([X, 2 * X])
    np.testing.assert_allclose(tw.vmap(inner)(many), [plain(x) for x in many], rtol=1e-14)
    outer = tw.compile(lambda x: inner(x) ** 2)
    assert outer(X) == pytest.approx(plain(X) ** 2)
    twice = tw.compile(tw.compile(plain))
    assert twice(X) == pytest.approx(plain(X))
    assert tw.compile(tw.grad(inner))(X) == pytest.approx(tw.grad(plain)(X))


def test_what_closes_over_traced_arrays_is_not_kept():
    def product(w):
        return tw.compile(lambda x: w * x * x)(3.0)

    assert tw.grad(product)(2.0) == 9.0
    scale = {"w": 1.0}
    inner = tw.compile(lambda x: scale["w"] * x)

    def f(w):
        scale["w"] = w
        return inner(3.0)

    assert tw.grad(f)(2.0) == 3.0
    assert tw.grad(f)(5.0) == 3.0
    scale["w"] = 4.0
    assert inner(3.0) == 12.0


def test_escaped_arrays_are_refused():
    kept = []
    tw.trace(lambda x: kept.append(x) or x, X)
    with pytest.raises(TracingError, match="another function"):
        tw.compile(lambda x: x + kept[0])(X)


def test_labels_join_the_outer_trace():
    inner = tw.compile(lambda x: tw.tracing.label(x * 2, "double") + 1)
    assert "double" in tw.trace(lambda x: inner(x), X).labels


def run_in_threads(task, count=8):
    failures = []

    def guarded(number):
        try:
            task(number)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(k,)) for k in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_several_threads_at_once():
    # A softmax keeps temporaries in the workspace: every thread must have its own.
    f = tw.compile(lambda x: tnp.softmax(x @ x.T) @ x)
    g = tw.compile(lambda x, y: tnp.sin(x) * y - tnp.exp(-y))
    random = np.random.default_rng(0)
    inputs = [random.normal(size=(40, 30)) for _ in range(8)]
    wanted = [f(x) for x in inputs]

    def task(number):
        for _ in range(50):
            np.testing.assert_array_equal(f(inputs[number]), wanted[number])
            y = number + 0.5
            assert g(float(number), y) == pytest.approx(np.sin(number) * y - np.exp(-y), abs=1e-14)

    run_in_threads(task)


def test_first_calls_from_several_threads():
    f = tw.compile(lambda x: tnp.sum(tnp.tanh(x)) * 2)

    def task(number):
        x = np.full(1 + number % 3, 0.5)
        assert f(x) == pytest.approx(2 * len(x) * np.tanh(0.5))

    run_in_threads(task)


def test_the_gil_is_released():
    n = 500
    f = tw.compile(lambda x: tnp.tanh(x @ x) @ x)
    x = np.full((n, n), 1e-3)
    f(x)
    ticks, done = 0, threading.Event()

    def work():
        for _ in range(5):
            f(x)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        ticks += 1
        done.wait(1e-4)
    thread.join()
    assert ticks > 5


def test_one_function_called_while_it_is_traced():
    f = tw.compile(lambda x: x if x.shape == () else f(x[0]) + f(x[1:].sum()))
    assert f(X) == pytest.approx(X.sum())


SHOWN = {
    "chain": (lambda x, y: tnp.tanh(x * y + 1.0) - y, (np.ones((3, 5)), np.ones(5))),
    "softmax": (lambda x: tnp.softmax(x), (np.ones((4, 9)),)),
    "layer": (
        lambda W, x, b: tnp.maximum(W @ x + b[:, None], 0.0),
        (np.ones((3, 4)), np.ones((4, 8)), np.ones(3)),
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_loops_shown(name, refresh_loops):
    f, points = SHOWN[name]
    target = tw.compiler.target.Target.named("x86-64-v3")
    text = NativeGraph(tw.trace(f, *points), target).show("loops") + "\n"
    path = GOLDEN / f"{name}.txt"
    if refresh_loops:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_every_stage_is_shown():
    f = tw.compile(lambda x: tnp.sin(x) * 2)
    with pytest.raises(OptionError, match="call the function first"):
        f.show("graph")
    assert "sin(x)" in f.show("graph", X)
    f(X)
    assert "for i0<3" in f.show()
    assert "define void @kernel" in f.show("llvm")
    assert "kernel:" in f.show("asm")
    with pytest.raises(OptionError, match="asm"):
        f.show("ams")


def test_shared_expressions_are_shown_once():
    def f(x):
        for _ in range(60):  # as a tree this has 2^60 leaves
            x = x * x + x
        return x

    assert len(tw.compile(f).show("loops", 0.1)) < 10_000


def test_arguments_by_name():
    f = tw.compile(lambda x, scale=2.0, shift=0.0: x * scale + shift)
    x = np.array([1.0, 2.0])
    assert np.array_equal(f(x, shift=1.0), [3.0, 5.0])
    assert np.array_equal(f(scale=3.0, x=x), [3.0, 6.0])
    assert np.array_equal(f(x), [2.0, 4.0])
    with pytest.raises(TypeError, match="unexpected"):
        f(x, factor=1.0)
    assert np.array_equal(tw.compile(lambda x, *, only: x * only)(x, only=2.0), [2.0, 4.0])
