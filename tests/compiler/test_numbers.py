"""Numbers of a step: powers against mpmath, rules of one's own, any cut of a training."""

from dataclasses import dataclass

import mpmath
import numpy as np
import pytest

import thalweg.numpy as tnp
from thalweg.compiler.numbers import TABLE, numbers_first
from thalweg.graph import variable
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import RULES
from thalweg.optim.rules.rule import Rule
from thalweg.training.native_program import NativeProgram
from thalweg.training.program import Program
from thalweg.trees import flatten

NET = Network([Dense(2, 4, "tanh"), Dense(4, 1)])
WIDE = Network([Dense(2, 40, "tanh"), Dense(40, 1)])  # its values are in memory
RNG = np.random.default_rng(4)
X, T = RNG.normal(size=(8, 2)), RNG.normal(size=(8, 1))


@dataclass(frozen=True)
class Own(Rule):
    """Numbers of a step of every kind: of settings, of the rate, of the step, and their mixture."""

    learning_rate: float = 0.1
    first: float = 0.9
    second: float = 0.3

    def init(self, parameter):
        return {"rate": np.zeros((), parameter.dtype)}

    def update(self, parameter, gradient, state, step):
        rate = self.learning_rate * self.first**step / tnp.sqrt(1.0 + self.second * step)
        other = 0.99**step * self.second ** (0.1 * step) + (self.first - 0.5) ** step
        kept = tnp.where(step < 5.0, 0.5, tnp.exp(-self.first) * 1.25)
        return kept * parameter - (rate + other) * gradient / (self.first + step), {"rate": rate}


def trained(program, network, cuts, before=0, dtype=np.float64):
    """The state after so many steps in each call."""
    state = program.start(network.initial(1))
    state.step = before
    data = [a.astype(dtype) for a in (X, T, np.ones(8))]
    for steps in cuts:
        order, rates = np.tile(np.arange(8), steps), np.full(steps, 0.01)
        program.epoch(state, *data, order, 8, rates)
    return flatten([state.params, state.memory])[0]


def distance(found, wanted):
    pairs = zip(found, wanted, strict=True)
    return max(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-3) for a, b in pairs)


@pytest.mark.parametrize("base", [0.5, 0.9, 0.999, 0.99999])
def test_powers(base):
    beta, step, rate = (variable((), "float32") for _ in range(3))
    numbers, _ = numbers_first([variable((2,), "float32") * beta**step], step, rate, [beta])
    for before in (0, 62, 63, 64, 12_345, 1_000_000):
        table = numbers.table(before, 200, [base])
        near, far = table[2 : 2 + TABLE], table[2 + TABLE :]
        for k in range(before + 1, before + 201, 7):
            found = near[k % TABLE] * far[k // TABLE - (before + 1) // TABLE]
            with mpmath.workprec(200):
                wanted = mpmath.power(mpmath.mpf(base), k)
            assert abs(found - wanted) <= 4e-16 * wanted or wanted < 1e-300
        assert len(far) == (before + 200) // TABLE - (before + 1) // TABLE + 1


@pytest.mark.parametrize("network", [NET, WIDE])
@pytest.mark.parametrize("rule", [*sorted(RULES), "own"])
@pytest.mark.parametrize("before", [0, 1_000_000])
def test_as_the_interpreter_has_it_at_any_step(network, rule, before):
    goal = NetworkObjective(network, loss("mse"))
    rule = Own() if rule == "own" else RULES[rule]()
    native, plain = (
        trained(make(goal, rule), network, [20], before) for make in (NativeProgram, Program)
    )
    assert distance(native, plain) < 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", [RULES["adam"](), RULES["nadam"](), Own()])
def test_bits_do_not_depend_on_calls(rule, dtype):
    program = NativeProgram(NetworkObjective(NET, loss("mse")), rule, dtype)
    whole = trained(program, NET, [200], dtype=dtype)
    for cuts in ([1] * 200, [63, 1, 1, 135], [64, 64, 72], [150, 50]):
        for a, b in zip(trained(program, NET, cuts, dtype=dtype), whole, strict=True):
            np.testing.assert_array_equal(a, b)


def test_rates_of_every_step():
    rates = np.linspace(0.1, 0.001, 90)
    states = []
    for make in (NativeProgram, Program):
        program = make(NetworkObjective(NET, loss("mse")), RULES["adam"]())
        state = program.start(NET.initial(1))
        program.epoch(state, X, T, np.ones(8), np.tile(np.arange(8), 90), 8, rates)
        states.append(flatten(state.params)[0])
    assert distance(*states) < 1e-12
