"""Graphs of one function have equal forms, graphs of two functions have not."""

import numpy as np
import pytest
from tests.compiler.random_functions import RandomFunction, arrays

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.graph import Graph, variable
from thalweg.graph.form import Form
from thalweg.interpreter import interpret

T = np.linspace(0.0, 4.0, 50)


def form(f, *arguments, apart=False):
    return Form(tw.trace(f, *arguments), apart)


def decay(data):
    return lambda p: p[0] * tnp.exp(-p[1] * T) - data


def test_tracing_again_gives_an_equal_form():
    first, second = (form(decay(T), np.ones(2)) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != "no form"


def test_what_was_made_before_does_not_count():
    first = form(lambda x: (x + 2.5) * (x - 3.5), 0.0)
    kept = [tw.trace(lambda x, c=c: c - x, 0.0) for c in (3.5, 2.5)]  # constants in another order
    assert form(lambda x: (x + 2.5) * (x - 3.5), 0.0) == first
    del kept


@pytest.mark.parametrize(
    "other",
    [
        lambda x, y: y - x,
        lambda x, y: x + y,
        lambda x, y: x - y + 1.0,
        lambda x, y: (x - y, x),
        lambda x, y: (x - y)[:2],
    ],
)
def test_other_functions_have_other_forms(other):
    points = np.ones(3), np.ones(3)
    assert form(lambda x, y: x - y, *points) != form(other, *points)


@pytest.mark.parametrize("point", [np.ones(4), np.ones(3, "float32"), np.ones((3, 1))])
def test_shapes_and_dtypes_count(point):
    assert form(lambda x: x * x, np.ones(3)) != form(lambda x: x * x, point)


@pytest.mark.parametrize(("one", "other"), [(0.0, -0.0), (1.0, 1.0 + 2**-52), ([2.0], [[2.0]])])
def test_constants_count_bit_by_bit(one, other):
    pair = [form(lambda x, c=c: x * np.array(c), np.ones((1, 1))) for c in (one, other)]
    assert pair[0] != pair[1]


def test_constants_are_told_apart_in_either_order_of_bytes():
    data = np.arange(1.0, 4.0).astype(">f8")  # as read from files of other machines
    pair = [form(lambda x, c=c: (x, c), np.ones(3)) for c in (data, data.view("<f8"))]
    assert pair[0] != pair[1]
    both = tw.compile(lambda x: tnp.concatenate([x, data, data.view("<f8")]))(np.ones(3))
    np.testing.assert_array_equal(both, [1, 1, 1, *data, *data.view("<f8")])


def test_which_input_is_used_counts():
    assert form(lambda x, y: x * 2.0, 1.0, 1.0) != form(lambda x, y: y * 2.0, 1.0, 1.0)
    assert form(lambda x, y: (x, y), 1.0, 1.0) != form(lambda x, y: (y, x), 1.0, 1.0)


def test_an_input_given_twice_is_no_other_node():
    x = variable((), "float64")
    more = x + 2.0
    assert Form(Graph((x, x), (more * x,))) != Form(Graph((x, x), (more * 2.0,)))


def test_data_may_be_left_out():
    one, other = (form(decay(data), np.ones(2), apart=True) for data in (2.0 * T, T + 1.0))
    assert one == other
    assert form(decay(2.0 * T), np.ones(2)) != form(decay(T + 1.0), np.ones(2))
    values = [node.attributes["value"] for node in other.arrays]
    np.testing.assert_array_equal(values, [T, T + 1.0])
    p = np.array([2.0, 0.5])
    (wanted,) = interpret(other.graph, [p])
    (found,) = interpret(one.take(), [p, *values])
    np.testing.assert_array_equal(found, wanted)
    assert one == other


def test_numbers_and_indices_are_never_left_out():
    both = form(lambda x: tnp.take(x, np.array([0, 2])) * 3.0, np.ones(3), apart=True)
    assert both.arrays == []
    assert both.held > 0
    graph = both.graph
    assert both.take() is graph


def test_variables_that_are_no_inputs_equal_only_themselves():
    x, escaped, other = (variable((), "float64") for _ in range(3))
    assert Form(Graph((x,), (x + escaped,))) == Form(Graph((x,), (x + escaped,)))
    assert Form(Graph((x,), (x + escaped,))) != Form(Graph((x,), (x + other,)))


def test_depth_is_limited_by_memory_only():
    def deep(x):
        for _ in range(5000):
            x = tnp.sin(x)
        return x

    assert form(deep, 1.0) == form(deep, 1.0)


def test_random_functions():
    """Equal where they are traced from one function, else not."""
    random = np.random.default_rng(0)
    found = []
    for seed in range(20):
        f = RandomFunction([tuple(map(int, random.integers(0, 999, 4))) for _ in range(12)], 3)
        points = arrays(seed, [(5, 7), (17,)], np.float64)
        pair = [form(tw.grad(f.total), *points) for _ in range(2)]
        assert pair[0] == pair[1]
        found.append(pair[0])
    assert len(set(found)) == len({str(f.graph) for f in found})
