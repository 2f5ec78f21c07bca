"""Tiles: as large as registers allow, and no larger than what a processor can have on its way."""

import math

import pytest

from thalweg.compiler.loops import PANELS
from thalweg.compiler.target import Target
from thalweg.compiler.vectorise import MOST_STORED
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import RULES
from thalweg.training.native_program import NativeProgram


def update_of(rule, inputs, outputs, monkeypatch, level="x86-64-v4"):
    """The nest that changes the weights of a layer."""
    monkeypatch.setattr("thalweg.compiler.program.host", lambda: Target.named(level))
    network = Network([Dense(inputs, outputs, "tanh"), Dense(outputs, 1)])
    program = NativeProgram(NetworkObjective(network, loss("mse")), RULES[rule](), "float32")
    nests = program._program(128)[0].nests
    return next(
        nest
        for nest in nests
        if PANELS in nest.reduced and nest.axes[:1] == (outputs,) and len(nest.axes) == 2
        if any(store.access.buffer.role == "state" for store in nest.stores)
    )


@pytest.mark.parametrize("rule", ["adam", "rmsprop", "momentum", "adagrad"])
def test_stores_of_an_update_fit_the_processor(rule, monkeypatch):
    nest = update_of(rule, 64, 128, monkeypatch)
    vectors = math.prod(nest.tiles)
    assert vectors * len(nest.stores) * nest.width * 4 <= MOST_STORED
    assert vectors >= 6  # additions need not wait for each other


@pytest.mark.parametrize(
    ("rule", "sizes", "level"),
    [
        ("gd", (64, 128), "x86-64-v4"),  # one array is stored
        ("adam", (1024, 1024), "x86-64-v4"),  # large: samples would be read too often
        ("adam", (64, 128), "x86-64-v3"),  # short vectors
    ],
)
def test_other_tiles_are_as_large_as_registers_allow(rule, sizes, level, monkeypatch):
    nest = update_of(rule, *sizes, monkeypatch, level)
    registers = Target.named(level).registers
    assert math.prod(nest.tiles) > 0.7 * (registers - 4)


def test_what_others_read_is_stored_last(monkeypatch):
    nest = update_of("adam", 64, 128, monkeypatch)
    names = [store.access.buffer.name for store in nest.stores]
    assert nest.late == 1 and names[-1] == "state0"  # the weights; before them their moments
    assert update_of("gd", 64, 128, monkeypatch).late == 0
