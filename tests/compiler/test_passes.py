"""The passes: what the verifier refuses, what is merged, and that no two live values meet."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.compiler.random_functions import arrays, functions

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.compiler.decompose import decompose
from thalweg.compiler.function import NativeGraph
from thalweg.compiler.fuse import Fusion
from thalweg.compiler.loops import (
    PANELS,
    Access,
    Apply,
    Buffer,
    Load,
    Nest,
    Number,
    Reduced,
    Reduction,
    Store,
    postorder,
    rewrite,
)
from thalweg.compiler.memory import ALIGNMENT, plan_memory
from thalweg.compiler.merge import merge
from thalweg.compiler.segments import segments
from thalweg.compiler.target import Target
from thalweg.compiler.vectorise import vectorise
from thalweg.compiler.verify import verify
from thalweg.errors import CompilerError

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
FAST = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)

X = Buffer("x", (4, 5), "float64", "input")
Y = Buffer("y", (4, 5), "float64", "output")
T = Buffer("t", (4, 5), "float64", "temporary")
ZERO = Number(0.0, "float64")


def copy(source, target, strides=(5, 1), offset=0, axes=(4, 5)):
    load = Load(Access(source, strides, offset))
    return Nest(axes, [Store(Access(target, (5, 1)), load)])


def test_a_legal_nest():
    verify([copy(X, T), copy(T, Y)], "fuse")
    verify([copy(X, Y, (0, 0), 19)], "fuse")
    verify([copy(X, Y, (-5, -1), 19)], "fuse")


MISSING = Store(Access(Y, (5,)), Reduced(1, "float64", frozenset()))
ILLEGAL = {
    "beyond the end": [copy(X, Y, offset=1)],
    "before the start": [copy(X, Y, (-5, 1), 14)],
    "too long an axis": [copy(X, Y, axes=(5, 5))],
    "too many strides": [copy(X, Y, (5, 1, 1))],
    "too few strides": [copy(X, Y, (1,))],
    "no such reduction": [Nest((4,), [MISSING], (5,), [Reduction("sum", ZERO)])],
    "read before written": [copy(T, Y), copy(X, T)],
    "never written": [copy(T, Y)],
}


@pytest.mark.parametrize("name", ILLEGAL)
@pytest.mark.parametrize("after", ["fuse", "merge", "vectorise"])
def test_illegal_nests_are_refused_by_name(name, after):
    with pytest.raises(CompilerError, match=f"after {after}, nest 0"):
        verify(ILLEGAL[name], after)


def test_panels_are_not_bounded():
    panel = Buffer("p", (3, 8), "float64", "input", panels=True)
    nest = Nest((PANELS, 3, 8), [Store(Access(panel, (24, 8, 1)), ZERO)])
    verify([nest], "fuse")


# -- expressions -------------------------------------------------------------------------------
def test_rewriting_keeps_what_is_shared():
    load = Load(Access(X, (5, 1)))
    square = Apply("multiply", (load, load), "float64")
    total = Apply("add", (square, square), "float64")
    assert postorder([total]) == [load, square, total]
    (same,) = rewrite([total], lambda e: None)
    assert same is total
    (new,) = rewrite([total], lambda e: ZERO if e is load else None)
    assert new.args[0] is new.args[1]
    assert str(new) == "add(v0, v0)"


def test_run_time_indices_are_rewritten_too():
    index = Load(Access(Buffer("i", (4,), "int64", "temporary"), (1,)))
    picked = Load(Access(X, (0,), 0, ((index, 5),)))
    (new,) = rewrite([picked], lambda e: Number(3, "int64") if e is index else None)
    assert str(new) == "x[5*3]"


@given(st.integers(1, 300), st.integers(1, 30), st.sampled_from([1, 2, 4, 8, 16]), st.booleans())
def test_segments_cover_an_axis(extent, tile, width, overlap):
    if width > extent:
        return
    covered = np.zeros(extent, int)
    for part in segments(extent, tile, width, overlap):
        for start in range(part.start, part.stop, part.step):
            if part.last is not None:
                start = min(start, part.last)
            assert start >= 0
            covered[start : start + part.step] += 1
            assert start + part.step <= extent
    assert (covered >= 1).all()
    assert overlap or (covered == 1).all()


# -- merging and memory ----------------------------------------------------------------------------
def fused(f, points):
    graph = tw.trace(f, *points)
    buffers = {
        n: Buffer(f"in{k}", n.shape, n.dtype.name, "input") for k, n in enumerate(graph.inputs)
    }
    fusion = Fusion(buffers)
    outputs = decompose(graph.outputs)
    fusion.prepare(outputs)
    for k, node in enumerate(outputs):
        fusion.copy(node, Buffer(f"out{k}", node.shape, node.dtype.name, "output"))
    return fusion.nests


@FAST
@given(functions())
def test_no_two_live_temporaries_overlap(drawn):
    f, points = drawn
    nests = merge(fused(tw.grad(f.total, tuple(range(len(points)))), points))
    plan = plan_memory(nests)
    life = {}
    for position, nest in enumerate(nests):
        for buffer in nest.reads() | nest.writes():
            if buffer.role == "temporary":
                first, _ = life.get(buffer, (position, position))
                life[buffer] = first, position
    assert set(life) == set(plan.offsets)
    places = [(b, plan.offsets[b][0], *life[b]) for b in life]
    for k, (one, at, first, last) in enumerate(places):
        assert at % ALIGNMENT == 0
        assert at + one.bytes <= plan.size()
        for other, start, begin, end in places[k + 1 :]:
            alive_together = first <= end and begin <= last
            apart = at + one.bytes <= start or start + other.bytes <= at
            assert apart or not alive_together


def test_memory_is_used_again():
    def f(x):
        for _ in range(20):
            x = tnp.tanh(x @ x)
        return x

    native = NativeGraph(tw.trace(f, np.ones((16, 16))))
    assert native.kernel.memory.size() <= 3 * 16 * 16 * 8
    apart = plan_memory(native.kernel.nests, reuse=False)
    assert apart.size() >= 19 * 16 * 16 * 8


def test_memory_of_panels_grows_with_them():
    one = Buffer("one", (3, 8), "float32", "temporary", panels=True)
    two = Buffer("two", (5,), "float32", "temporary")
    nests = [
        Nest((PANELS, 3, 8), [Store(Access(one, (24, 8, 1)), Number(0.0, "float32"))]),
        Nest((5,), [Store(Access(two, (1,)), Number(0.0, "float32"))]),
    ]
    plan = plan_memory(nests)
    assert (plan.fixed, plan.per_panel) == (64, 128)
    assert plan.size(10) == 64 + 1280
    assert plan.offsets[one] == (64, 0)


@FAST
@given(functions(), st.sampled_from(["x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"]))
def test_every_pass_keeps_nests_legal(drawn, name):
    f, points = drawn
    nests = fused(tw.value_and_grad(f.total, tuple(range(len(points)))), points)
    verify(nests, "fuse")
    before = {b for n in nests for b in n.writes() if b.role == "output"}
    merged = merge(nests)
    verify(merged, "merge")
    assert len(merged) <= len(nests)
    assert {b for n in merged for b in n.writes() if b.role == "output"} == before
    vectorise(merged, Target.named(name))
    verify(merged, "vectorise")
    for nest in merged:
        assert nest.width == 1 or nest.extents[nest.vector] >= nest.width


@pytest.mark.parametrize(
    ("f", "count"),
    [
        (lambda x: tnp.sum(tnp.sin(x) * x + 1), 1),
        (lambda x: (tnp.sin(x), tnp.cos(x), tnp.sum(x)), 2),
        (lambda x: tnp.maximum(x @ x.T + 1.0, 0.0), 1),
        (lambda x: tnp.softmax(x), 3),
        (lambda x: x - tnp.mean(x, axis=0), 2),
        (lambda x: tnp.concatenate([x, 2 * x]), 3),
        (lambda x: tnp.reshape(x + 1, (7, 5)) @ tnp.reshape(x + 1, (5, 7)), 2),
    ],
)
def test_what_is_merged(f, count):
    assert len(merge(fused(f, arrays(1, [(5, 7)], np.float64)))) <= count


def test_what_must_not_be_merged():
    # The second nest reads what the first writes, but elsewhere.
    nests = [copy(X, T), copy(T, Y, (-5, -1), 19)]
    assert len(merge(nests)) == 2
    # Both sum over the rows of what the second changes in place.
    state = Buffer("s", (4,), "float64", "state")
    total = Buffer("r", (4,), "float64", "output")
    result = Reduced(0, "float64", frozenset({0}))
    first = Nest((4,), [Store(Access(total, (1,)), result)], (4,),
                 [Reduction("sum", Load(Access(state, (0, 1))))])  # fmt: skip
    second = Nest((4,), [Store(Access(state, (1,)), result)], (4,),
                  [Reduction("sum", Load(Access(X, (5, 1))))])  # fmt: skip
    assert len(merge([first, second])) == 2


def test_the_last_store_counts():
    nests = [
        Nest((4, 5), [Store(Access(T, (5, 1)), ZERO)]),
        copy(X, T),
        copy(T, Y),
    ]
    (nest,) = merge(nests)
    (store,) = nest.stores
    assert str(store.value) == "x[5*i0 + i1]"


@pytest.mark.parametrize("shape", [(300, 301), (90_000,), (65_537,), (40, 50, 60)])
def test_large_reductions_in_parts(shape):
    x = np.random.default_rng(1).normal(size=shape)
    f = tw.compile(lambda x: (x.sum(), x.max(), x.min(), (x > 4.0).any(), tnp.mean(x * x)))
    total, high, low, some, mean = f(x)
    assert np.allclose([total, mean], [x.sum(), (x * x).mean()], rtol=1e-12, atol=1e-9)
    assert (high, low, some) == (x.max(), x.min(), (x > 4.0).any())
    i = np.random.default_rng(2).integers(0, x.size, 70_000)
    g = tw.compile(lambda x: tnp.sum(tnp.take(x.reshape(-1), i)))
    assert np.isclose(g(x), x.reshape(-1)[i].sum(), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("shape", [(300, 301), (90_000,), (65_537,), (40, 50, 60)])
def test_value_and_gradient_are_found_in_one_pass(shape):
    """Unless the sum is one that threads could not share then: its length is prime."""
    a, b = arrays(3, [shape, shape], np.float64)
    both = tw.value_and_grad(lambda a, b: tnp.mean(tnp.tanh(a * b) * a), (0, 1))
    compiled = tw.compile(both)
    value, slopes = compiled(a, b)
    kept = re.search(r" t[0-9]+\[.*\] = .*tanh", compiled.show("loops"))
    assert bool(kept) == (shape == (65_537,))
    t = np.tanh(a * b)
    wanted = (t + a * b * (1 - t * t)) / a.size, a * a * (1 - t * t) / a.size
    assert np.isclose(value, np.mean(t * a), rtol=1e-13)
    for found, slope in zip(slopes, wanted, strict=True):
        assert np.allclose(found, slope, rtol=1e-12, atol=1e-18)


def test_what_a_sum_leaves_behind_waits_for_it():
    """A second sum may use the terms of the first, but not what the first comes to."""
    x = np.random.default_rng(0).normal(size=(300, 301))
    f = tw.compile(lambda x: tnp.sum(tnp.exp(x) / tnp.sum(tnp.exp(x), axis=1, keepdims=True) * x))
    e = np.exp(x)
    assert np.isclose(f(x), (e / e.sum(1, keepdims=True) * x).sum(), rtol=1e-12)
    g = tw.compile(lambda x: tnp.sum(tnp.exp(x) * tnp.sum(tnp.exp(x))))
    assert np.isclose(g(x), e.sum() ** 2, rtol=1e-12)


def test_sums_of_equal_sizes_are_no_part_of_each_other():
    """A product and a sum whose loops are as long as those of a sum before, or of what it is of."""
    x, k = arrays(5, [(30, 2), (2, 2)], np.float64)
    e = np.exp(x)

    def f(x, k):
        total = tnp.sum(tnp.exp(x), axis=1)
        own = tnp.sum(tnp.exp(x) * x, axis=1)
        return total, tnp.exp(x) @ k, total / (1 + own * total), tnp.exp(x) * 2

    total, own = e.sum(1), (e * x).sum(1)
    wanted = total, e @ k, total / (1 + own * total), e * 2
    for found, value in zip(tw.compile(f)(x, k), wanted, strict=True):
        assert np.allclose(found, value, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_any_length_are_summed_up(dtype):
    for length in range(1, 50):
        x = np.random.default_rng(length).normal(size=(3, length)).astype(dtype)
        found, both = tw.compile(lambda x: (tnp.sum(tnp.exp(x), axis=1), tnp.cos(x) * 2))(x)
        most = tw.compile(lambda x: tnp.max(x, axis=1))(x)
        assert np.allclose(found, np.exp(x.astype("f8")).sum(1), rtol=20 * np.finfo(dtype).eps)
        assert np.allclose(both, 2 * np.cos(x.astype("f8")), rtol=0, atol=8 * np.finfo(dtype).eps)
        assert np.array_equal(most, x.max(1))


UNARY = [
    tnp.tanh,
    lambda x: tnp.exp(-x * x),
    lambda x: x.T,
    lambda x: tnp.maximum(x, 0.0),
    lambda x: tnp.sum(x, axis=-1) if x.ndim else x,
    lambda x: tnp.sum(x * x, axis=0) if x.ndim else x,
    lambda x: tnp.softmax(x) if x.ndim else x,
    lambda x: x * tnp.mean(x, axis=-1, keepdims=True) if x.ndim else x,
    lambda x: tnp.logsumexp(x, axis=0, keepdims=True) if x.ndim else x,
]
BINARY = [
    lambda x, y: x * y if x.shape == y.shape else x,
    lambda x, y: x + y if x.shape == y.shape[1:] else x,
    lambda x, y: x @ y if x.ndim == 2 and x.shape[1] == y.shape[0] else x,
    lambda x, y: x.T @ y if x.ndim == 2 == y.ndim and x.shape[0] == y.shape[0] else x,
]


@pytest.mark.parametrize("seed", range(40))
def test_loops_of_equal_lengths_are_not_taken_for_each_other(seed):
    """Values and gradients where sizes coincide, so that sums and products look alike."""
    random = np.random.default_rng(seed)
    n, m = random.integers(2, 5, 2)
    plan = random.integers(0, 1000, (random.integers(4, 14), 4))

    def f(*given):
        pool = list(given)
        for kind, which, first, second in plan:
            x, y = pool[-1 - first % min(4, len(pool))], pool[-1 - second % min(5, len(pool))]
            one = kind % 2 == 0 or not y.ndim
            pool.append(UNARY[which % 9](x) if one else BINARY[which % 4](x, y))
        return sum(tnp.mean(x * (1.0 + 0.1 * k)) for k, x in enumerate(pool[3:]))

    points = [random.normal(size=shape) for shape in ((n, m), (m, m), (n,))]
    both = tw.value_and_grad(f, (0, 1, 2))
    value, slopes = tw.compile(both)(*points)
    wanted, exact = both(*points)
    assert np.isclose(value, wanted, rtol=1e-11, atol=1e-12)
    for found, slope in zip(slopes, exact, strict=True):
        assert np.allclose(found, slope, rtol=1e-9, atol=1e-11 * (1 + np.abs(slope).max()))
