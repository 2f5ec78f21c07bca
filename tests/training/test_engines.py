"""Which program a task gets."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.nn.activations import Activation
from thalweg.nn.losses import Loss, loss
from thalweg.nn.network import flat
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import GD, Adam
from thalweg.training.batches import Samples
from thalweg.training.engines import make_program
from thalweg.training.loop import Task
from thalweg.training.options import Training


def test_tasks_that_differ_in_data_alone_share_native_code():
    def task(rows):
        network = tw.Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 1)])
        samples = Samples(np.ones((rows, 2)), np.ones((rows, 1)), np.ones(rows))
        objective = NetworkObjective(network, loss("mse"))
        return Task(objective, network.initial(rows), samples, None, Training(), GD())

    program, engine = make_program(task(5))
    assert engine == "native" and make_program(task(7))[0] is program
    price = NetworkObjective(task(5).objective.network, loss("mse"), Penalty(l2=0.1))
    for other in ({"rule": Adam()}, {"dtype": np.dtype(np.float32)}, {"objective": price}):
        assert make_program(replace(task(5), **other))[0] is not program
    assert make_program(replace(task(5), engine="numpy"))[1] == "numpy"


@dataclass(frozen=True)
class Weighed(GD):
    """A rule with something that has no hash."""

    factors: Any = None

    def update(self, parameter: Any, gradient: Any, state: Any, step: Any) -> Any:
        return parameter - self.learning_rate * self.factors[0] * gradient, state


@pytest.mark.parametrize("factors", [[0.5], np.array([0.5])])
def test_a_rule_of_ones_own_may_keep_lists_and_arrays(factors):
    network = tw.Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 1)])
    X = np.random.default_rng(0).normal(size=(9, 2))

    def trained(rule):
        model = tw.fit(network, X, X[:, 0], method=rule, epochs=3, split="none", engine="native")
        return flat(model.params)

    wanted = trained(GD(learning_rate=0.1))
    np.testing.assert_allclose(trained(Weighed(learning_rate=0.2, factors=factors)), wanted)


class Outside:
    """What functions of one's own read."""

    factor = 1.0


@dataclass(frozen=True)
class Stretched(GD):
    """A rule that reads it."""

    def update(self, parameter, gradient, state, step):
        return super().update(parameter, Outside.factor * gradient, state, step)


def steep(z):
    return tnp.tanh(Outside.factor * z)


def fourth(y, t):
    return tnp.sum(Outside.factor * (y - t) ** 4, axis=-1)


OWN = {
    "rule": {"method": Stretched()},
    "activation": {"activation": Activation(name="steep", function=steep)},
    "activation of a solver": {
        "activation": Activation(name="steep", function=steep),
        "method": "lm",
    },
    "loss": {"loss": Loss(name="fourth", function=fourth)},
}


@pytest.mark.parametrize("engine", ["numpy", "native"])
@pytest.mark.parametrize("name", OWN)
def test_functions_of_ones_own_may_have_changed(name, engine, monkeypatch):
    x = np.linspace(0.0, 1.0, 20)
    options = {"method": "gd", "engine": engine, "epochs": 3, "split": "none", **OWN[name]}
    activation = options.pop("activation", "tanh")
    found = []
    for factor in (1.0, 0.5, 1.0):
        monkeypatch.setattr(Outside, "factor", factor)
        network = tw.Network([tw.Dense(1, 3, activation), tw.Dense(3, 1)])
        found.append(tw.fit(network, x, x**2, **options).params[0]["W"])
    assert np.any(found[0] != found[1])
    np.testing.assert_array_equal(found[0], found[2])
