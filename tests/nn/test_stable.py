"""The rewrite of logarithms keeps values and labels, and finds them behind moves."""

import numpy as np
import pytest

import thalweg.numpy as tnp
from thalweg.interpreter import interpret
from thalweg.nn.stable import stabilise
from thalweg.tracing import label, trace

Z = np.array([-3.0, -0.5, 0.2, 2.0])

CASES = {
    "log exp": lambda z: tnp.log(tnp.exp(z)),
    "log softmax": lambda z: tnp.log(tnp.softmax(z)),
    "log sigmoid": lambda z: tnp.log(tnp.sigmoid(z)),
    "log rest": lambda z: tnp.log(1.0 - tnp.sigmoid(z)),
    "log1p rest": lambda z: tnp.log1p(-tnp.sigmoid(z)),
    "log softplus": lambda z: tnp.log(tnp.softplus(z)),
    "behind where": lambda z: tnp.log(tnp.where(z > 0.0, tnp.exp(z), 1.0)),
    "behind moves": lambda z: tnp.log(tnp.reshape(tnp.softmax(z), (2, 2)).T[0]),
    "rest behind moves": lambda z: tnp.log(1.0 - tnp.reshape(tnp.sigmoid(z), (2, 2))),
}


@pytest.mark.parametrize("name", CASES)
def test_equal_where_nothing_is_lost(name):
    graph = trace(CASES[name], Z)
    rewritten = stabilise(graph)
    assert np.allclose(interpret(graph, [Z])[0], interpret(rewritten, [Z])[0], rtol=1e-12)
    assert str(rewritten) != str(graph)


@pytest.mark.parametrize("name", CASES)
def test_finite_far_out(name):
    z = 1e4 * Z if name != "log exp" else 1e3 * Z
    assert np.isfinite(interpret(stabilise(trace(CASES[name], z)), [z])[0]).all()


def test_what_has_no_stable_form_stays():
    graph = trace(lambda z: tnp.log(1.0 + z * z), Z)
    assert stabilise(graph).outputs[0] is graph.outputs[0]


def test_labels_move_along():
    graph = stabilise(trace(lambda z: tnp.log(label(tnp.softmax(z), "a")), Z))
    assert graph.labels["a"].name == "exp"
