"""Gradients of what is used slice by slice: right, and every entry written once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.compiler.function import NativeGraph
from thalweg.interpreter import interpret
from thalweg.tracing import trace_tree


def graph_of(f, *arguments):
    return trace_tree(f, arguments).graph


def stored(native, buffer="out0"):
    """How many entries are written to a buffer."""
    stores = [(n, s) for n in native.kernel.nests for s in n.stores]
    return sum(math.prod(n.axes) for n, s in stores if s.access.buffer.name == buffer)


CASES = {
    "differences": lambda x: tnp.sum((x[1:] - x[:-1]) ** 2),
    "laplace": lambda x: tnp.sum(
        (4.0 * x[1:-1, 1:-1] - x[2:, 1:-1] - x[:-2, 1:-1] - x[1:-1, 2:] - x[1:-1, :-2]) ** 2
    ),
    "columns": lambda x: sum(tnp.sum(tnp.sin(k * x[:, k])) for k in range(x.shape[1])),
    "with a whole term": lambda x: tnp.sum(x[2:4, 1] ** 3) + tnp.sum(tnp.sin(x)),
    "one piece": lambda x: tnp.sum(x[2:4] ** 3),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_the_interpreters_values_each_written_once(name, dtype):
    x = np.random.default_rng(0).normal(size=(7, 9)).astype(dtype)
    graph = graph_of(tw.grad(CASES[name]), x)
    native = NativeGraph(graph)
    (found,), (wanted,) = native([x]), interpret(graph, [x])
    np.testing.assert_allclose(found, wanted, rtol=1e-5 if dtype is np.float32 else 1e-13)
    assert stored(native) == x.size


def test_a_step_between_entries_and_many_boxes():
    x = np.random.default_rng(1).normal(size=400)
    for f in (
        lambda x: tnp.sum(x[::3] ** 2) + tnp.sum(x[1::2] ** 3) + x[7] * x[8],
        lambda x: sum(tnp.sum(tnp.cos(k * x[k : 400 - k])) for k in range(150)),
    ):
        np.testing.assert_allclose(tw.compile(tw.grad(f))(x), tw.grad(f)(x), rtol=1e-12)


def test_a_piece_that_is_wanted_itself():
    def both(x):
        piece = tw.grad(lambda x: tnp.sum(x[2:5] ** 2))(x)
        other = tw.grad(lambda x: tnp.sum(x[1:4] ** 3))(x)
        return piece, piece + other, tnp.sum(other)

    x = np.arange(8.0)
    for found, wanted in zip(tw.compile(both)(x), both(x), strict=True):
        np.testing.assert_allclose(found, wanted)


slices = st.tuples(st.integers(0, 5), st.integers(1, 6)).filter(lambda ends: ends[0] < ends[1])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(slices, slices), min_size=1, max_size=5), st.booleans())
def test_any_slices(pairs, whole):
    def f(x):
        total = tnp.sum(x * x) if whole else 0.0
        for k, ((a, b), (c, d)) in enumerate(pairs):
            total = total + tnp.sum(tnp.sin(x[a:b, c:d] * (k + 1.0)))
        return total

    x = np.random.default_rng(2).normal(size=(6, 6))
    np.testing.assert_allclose(tw.compile(tw.grad(f))(x), tw.grad(f)(x), rtol=1e-12, atol=1e-14)
