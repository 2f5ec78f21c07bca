"""Tracing: what a graph records, and what is refused with advice."""

import math

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import ShapeError, ThalwegError, TracingError
from thalweg.graph import Graph
from thalweg.tracing import argument_names, inline, label, trace_tree, tracing
from thalweg.trees import flatten

X = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("function", "advice"),
    [
        (lambda x: 1.0 if x[0] > 0 else 2.0, "thalweg.numpy.where"),
        (lambda x: x[0] > 0 and x[1] > 0, "&"),
        (lambda x: max(x[0], x[1]), "where"),
        (lambda x: float(x[0]), "leave float"),
        (lambda x: int(x[0]), "astype"),
        (lambda x: complex(x[0]), "real"),
        (lambda x: math.sin(x[0]), "arrays"),
        (lambda x: x[0].item(), "keep it an array"),
        (lambda x: np.asarray(x), "thalweg.numpy"),
        (lambda x: np.array([x[0], x[1]]), "thalweg.numpy"),
        (lambda x: list(range(x[0])), "Python int"),
        (lambda x: [10.0, 20.0][x[0]], "take"),
        (lambda x: np.sort(x), "thalweg.numpy lists"),
        (lambda x: np.linalg.inv(x), "thalweg.numpy lists"),
        (lambda x: np.linalg.norm(x, 1), "ord"),
        (lambda x: np.sum(x, dtype=np.float32), "dtype"),
        (lambda x: np.add.reduce(x), "add.reduce"),
        (lambda x: np.tanh(x, out=X), "out="),
        (lambda x: np.mean(x, where=X > 1), "where="),
        (lambda x: x.astype(np.int64) & 3, "integers"),
        (lambda x: np.linspace(x[0], 1.0), "linspace"),
    ],
)
def test_what_needs_a_value_is_refused_with_advice(function, advice):
    with pytest.raises(TracingError, match=advice):
        tw.trace(function, X)


def test_assignment_is_refused_with_advice():
    def assigns(x):
        x[0] = 1.0
        return x

    def adds(x):
        x += 1.0  # rebinds the name: nothing changes in place
        return x

    with pytest.raises(TracingError, match="where"):
        tw.trace(assigns, X)
    before = X.copy()
    np.testing.assert_array_equal(tw.vjp(adds, X)[0], X + 1)
    np.testing.assert_array_equal(X, before)


def test_escaped_tracers_are_named():
    kept = []
    tw.trace(lambda x: kept.append(x) or x, 1.0)
    with pytest.raises(TracingError, match="another function"):
        tw.vjp(lambda y: y * kept[0], 2.0)


@pytest.mark.parametrize("value", ["text", {"a": "b"}, [None, object()], 1j, np.array(["a"])])
def test_arguments_that_are_no_numbers(value):
    with pytest.raises(ShapeError, match=r"numbers|cannot be traced"):
        tw.trace(lambda x: 1.0, value)


def test_results_that_are_no_numbers():
    with pytest.raises(TracingError, match="returned str 'text'"):
        tw.trace(lambda x: "text", 1.0)
    with pytest.raises(TracingError, match="returned"):
        tw.trace(lambda x: {"a": x, "b": object()}, 1.0)


def test_len_and_iteration():
    assert len(tw.trace(lambda x: [v * len(x) for v in x], X).outputs) == 3
    a, b, c = tw.vjp(lambda x: (lambda p, q, r: (r, q, p))(*x), X)[0]
    assert (a, b, c) == (3.0, 2.0, 1.0)
    with pytest.raises(TypeError):
        tw.trace(lambda x: len(x), 1.0)
    with pytest.raises(TypeError):
        tw.trace(lambda x: list(x), 1.0)


def test_names_of_arguments():
    def f(w, params, *rest):
        return w

    structure = flatten((1.0, {"b": [1.0, 2.0]}, 3.0))[1]
    assert argument_names(f, structure) == ["w", "params['b'][0]", "params['b'][1]", "arg2"]
    assert list(tw.trace(f, 1.0, {"b": 2.0}).labels) == ["w", "params['b']"]


def test_labels():
    def f(x):
        z = label(2.0 * x, "z[1]")
        return label(tnp.tanh(z), "a[1]")

    graph = tw.trace(f, X)
    assert list(graph.labels) == ["x", "z[1]", "a[1]"]
    assert graph.labels["a[1]"] is graph.outputs[0]
    np.testing.assert_array_equal(label(X, "plain"), X)
    assert label(3.0, "plain") == 3.0


def test_labels_pass_through_transforms():
    def loss(w, x):
        return tnp.sum(label(w * x, "z[1]") ** 2)

    for transform in (tw.grad(loss), tw.vmap(loss, (None, 0))):
        assert "z[1]" in tw.trace(transform, 2.0, X).labels
    labels = tw.trace(tw.grad(loss), 2.0, X).labels
    assert {"dz[1]", "dw"} <= labels.keys()
    nested = tw.trace(lambda w: tw.grad(loss)(w, X) * 2, 2.0).labels
    assert "z[1]" in nested


def test_failing_functions_leave_no_trace_behind():
    with pytest.raises(ZeroDivisionError):
        tw.trace(lambda x: 1 / 0, 1.0)
    assert not tracing()


def test_inline_moves_labels():
    inner = tw.trace(lambda x: label(x * 2, "z[1]") + 1, 1.0)
    outer = trace_tree(lambda y: inline(inner, [y * 3])[0], (1.0,))
    assert "z[1]" in outer.labels
    assert isinstance(outer.graph, Graph)
    assert [n.name for n in outer.graph.nodes() if n.primitive] == ["multiply", "multiply", "add"]


def test_dtypes_of_arguments():
    kinds = [1, 1.0, True, [1.0, 2.0], np.float32(1), np.int8(1), np.float16(1), np.array([1])]
    found = [str(tw.trace(lambda x: x, value).inputs[0].dtype) for value in kinds]
    assert found == [
        "float64", "float64", "bool", "float64", "float32", "int64", "float32", "int64",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "f",
    [
        lambda x, data: x * data,
        lambda x, data: tnp.where(data > 1.0, x, 0.0),
        lambda x, data: x @ data,
        lambda x, data: tnp.concatenate([x, data]),
        lambda x, data: x[np.ma.array([0, 1, 2], mask=data.mask)],
    ],
)
def test_masks_of_data_are_not_lost(f):
    data = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    with pytest.raises(ThalwegError, match="loses its mask"):
        tw.trace(lambda x: f(x, data), X)
    bare = np.ma.array([1.0, 2.0, 3.0])
    assert tw.trace(lambda x: x * bare, X).outputs[0].shape == (3,)


def test_repr_reads_as_a_formula():
    seen = []
    tw.trace(lambda x: seen.append(repr(2.0 * x + 1.0)) or x, X)
    assert seen[0].startswith("<traced float64[3]: 2.0 * x")


def test_errors_are_of_one_family():
    assert issubclass(TracingError, ThalwegError)
    assert issubclass(TracingError, TypeError)
