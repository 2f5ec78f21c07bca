import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import ShapeError
from thalweg.interpreter import interpret, plan


def test_values_of_many_outputs():
    graph = tw.trace(lambda x, y: {"s": x + y, "t": (x * y, x)}, np.zeros(2), 0.0)
    x = np.array([1.0, 2.0])
    s, t, same = interpret(graph, [x, 3.0])
    np.testing.assert_array_equal(s, x + 3)
    np.testing.assert_array_equal(t, 3 * x)
    np.testing.assert_array_equal(same, x)


def test_results_are_copies():
    x = np.array([1.0, 2.0])
    for f in (lambda x: x, lambda x: x[::-1], lambda x: tnp.broadcast_to(x[0], (2,))):
        (out,) = interpret(tw.trace(f, x), [x])
        out[:] = 7.0
        np.testing.assert_array_equal(x, [1.0, 2.0])
    graph = tw.trace(lambda x: np.array([1.0, 2.0]), x)
    interpret(graph, [x])[0][:] = 9.0
    np.testing.assert_array_equal(interpret(graph, [x])[0], [1.0, 2.0])


def test_arguments_are_checked_and_converted():
    graph = tw.trace(lambda x: x * 2, np.zeros(3, np.float32))
    assert interpret(graph, [[1, 2, 3]])[0].dtype == np.float32
    with pytest.raises(ShapeError, match=r"argument 1 has shape \(2,\), not \(3,\)"):
        interpret(graph, [np.zeros(2)])
    with pytest.raises(ValueError):
        interpret(graph, [])


def test_scalars_are_numpy_numbers():
    assert isinstance(tw.grad(lambda x: x * x)(2.0), np.float64)
    assert isinstance(tw.vjp(lambda x: x * x, np.float32(2))[0], np.float32)


def test_a_plan_is_used_many_times():
    run = plan(tw.trace(lambda x: tnp.sum(tnp.exp(x) * x), np.zeros(3)))
    x = np.array([0.1, 0.2, 0.3])
    assert run([x]) == run([x]) == [np.sum(np.exp(x) * x)]
    assert run([2 * x]) == [np.sum(np.exp(2 * x) * 2 * x)]


def test_no_warnings(recwarn):
    assert np.isnan(tw.vjp(lambda x: tnp.log(x) - tnp.log(x), 0.0)[0])
    assert not recwarn.list


def test_same_argument_twice():
    f = lambda x: x - x
    assert tw.grad(f)(3.0) == 0.0
    assert interpret(tw.trace(lambda x, y: (x, y, x), 1.0, 2.0), [1.0, 2.0]) == [1.0, 2.0, 1.0]


def test_what_ufuncs_repeat_themselves_is_not_repeated_before():
    x = np.array([0.5, -2.0, 3.0])
    graph = tw.trace(lambda x: (x[0] * x + x[1], tnp.broadcast_to(x[2], (3, 3)) @ x), x)
    names = [node.name for node in graph.nodes() if node.primitive is not None]
    steps = plan(graph).steps
    assert names.count("broadcast_to") == names.count("slice") == 3
    assert len(steps) == len(names) - 2 - 3  # numbers are picked from x, not sliced first
    first, second = interpret(graph, [x])
    np.testing.assert_array_equal(first, x[0] * x + x[1])
    np.testing.assert_array_equal(second, np.full((3, 3), x[2]) @ x)


def test_what_depends_on_constants_alone_is_computed_once():
    table = np.arange(6.0).reshape(2, 3)
    graph = tw.trace(lambda x, y: x * tnp.sum(tnp.array(table)[0] * y) + y, 2.0, np.ones(3))
    y = np.array([1.0, 2.0, 3.0])
    run = plan(graph)
    bound = run.given([y])
    assert len(bound.steps) == 2 < len(run.steps)
    np.testing.assert_array_equal(bound([5.0]), run([5.0, y]))
    np.testing.assert_array_equal(run([5.0, y])[0], 5.0 * 8.0 + y)
    with pytest.raises(ShapeError, match=r"\(2,\), not \(3,\)"):
        run.given([np.ones(2)])


def test_what_is_given_is_never_handed_out_itself():
    y = np.ones(3)
    (found,) = plan(tw.trace(lambda x, y: y, 2.0, y)).given([y])([2.0])
    found[:] = 7.0
    assert y.tolist() == [1.0, 1.0, 1.0]
