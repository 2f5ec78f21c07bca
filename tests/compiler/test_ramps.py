"""ReLU's derivative looks at its result: the same bits, and one array less in memory."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.compiler.ramps import from_results
from thalweg.graph import variable
from thalweg.nn.activations import activation
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import GD
from thalweg.training.native_program import NativeProgram

Z = variable((5,), "float64")
VALUES = np.array([-np.inf, -2.0, -0.0, 0.0, 5e-324, 1e-300, 2.0, np.inf, np.nan])


def test_the_sign_of_the_result_is_asked_for():
    a = tnp.where(Z > 0.0, Z, 0.0)
    other = tnp.where(Z > 0.0, 3.0, 0.0)
    found, after = from_results([a, other])
    assert found is a
    assert after.inputs[0].name == "greater" and after.inputs[0].inputs[0] is a


@pytest.mark.parametrize(
    "ramp",
    [
        lambda z: tnp.where(z > 0.0, z, -0.5 * z),
        lambda z: tnp.where(z > 0.0, 2.0 * z, 0.0),
        lambda z: tnp.where(z > 1.0, z, 0.0),
        lambda z: tnp.where(z < 0.0, z, 0.0),
        lambda z: tnp.where(z > 0.0, z, 1.0),
        lambda z: tnp.where(z > 0.0, z, z * z),
    ],
)
def test_what_is_no_ramp_is_left_alone(ramp):
    outputs = [ramp(Z), tnp.where(Z > 0.0, 3.0, 0.0), tnp.where(Z < 0.0, 3.0, 0.0)]
    assert all(a is b for a, b in zip(from_results(outputs), outputs, strict=True))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "relu6"])
def test_values_and_gradients(name):
    f = activation(name)
    for g in (f, tw.vmap(tw.grad(f)), lambda z: f(z) + tnp.where(z > 0.0, 7.0, 3.0)):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(tw.compile(g)(VALUES), g(VALUES))


def test_no_mask_is_stored():
    layers = [Dense(20, 40, "relu"), Dense(40, 30, "relu"), Dense(30, 2)]
    goal = NetworkObjective(Network(layers), loss("mse"))
    program, _ = NativeProgram(goal, GD(), "float32")._program(64)
    stored = {b for nest in program.nests for b in nest.writes()}
    assert {b.dtype for b in stored} == {"float32"}
    assert sum(b.panels and b.shape[0] == 40 for b in stored) == 2  # the value, its derivative
