"""For random networks: what the step records multiply and add up to is training's gradient."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.explanation import NetworkExplanation, Setting
from thalweg.explanation.network import names
from thalweg.explanation.records import Explanation, Step, product
from thalweg.nn.activations import ACTIVATIONS
from thalweg.nn.losses import LOSSES
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import Penalty
from thalweg.optim.rules import GD
from thalweg.training.program import Program

TRAINABLE = sorted(set(ACTIVATIONS) - {"step"})
OUTPUTS = {
    "cross_entropy": ["softmax"],
    "binary_cross_entropy": ["sigmoid"],
    "poisson": ["exp", "softplus"],
    "poisson_deviance": ["exp", "softplus"],
}
"""Losses that are for some outputs only; the others take any."""


@dataclass(frozen=True)
class Case:
    """A network at a point, and what it is trained on."""

    network: Network
    params: list[dict[str, np.ndarray]]
    X: np.ndarray
    T: np.ndarray
    weights: np.ndarray
    loss: str
    penalty: Penalty

    def told(self) -> NetworkExplanation:
        setting = Setting(weights=self.weights, penalty=self.penalty)
        return tw.explain_network(
            self.network, self.params, self.X, self.T, self.loss, None, setting
        )


def _targets(loss: str, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    if loss == "cross_entropy":
        return np.eye(shape[1])[rng.integers(shape[1], size=shape[0])]
    if loss == "binary_cross_entropy":
        return rng.integers(2, size=shape).astype(float)
    if loss.startswith("poisson"):
        return rng.poisson(2.0, size=shape).astype(float)
    return rng.normal(size=shape)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    loss = draw(st.sampled_from(sorted(LOSSES)))
    last = draw(st.sampled_from(OUTPUTS.get(loss, ["identity", "tanh", "sigmoid", "softplus"])))
    hidden = [draw(st.sampled_from(TRAINABLE)) for _ in sizes[2:]]
    bias, m = draw(st.booleans()), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    pairs = zip(sizes[:-1], sizes[1:], [*hidden, last], strict=True)
    net = Network([Dense(n, k, g, bias) for n, k, g in pairs])
    params = [
        {k: 0.5 * v + 0.3 * rng.normal(size=v.shape) for k, v in own.items()}
        for own in net.initial(1)
    ]
    weights = rng.uniform(0.5, 2.0, m) if draw(st.booleans()) else np.ones(m)
    X, T = rng.normal(size=(m, sizes[0])), _targets(loss, rng, (m, sizes[-1]))
    penalty = Penalty(l2=draw(st.sampled_from([0.0, 0.3])))
    return Case(net, params, X, T, weights, loss, penalty)


def _trained(case: Case) -> list[dict[str, np.ndarray]]:
    """The gradient as training's own program has it; of what is to be made large, its opposite."""
    told = case.told()
    program = Program(told.passes.objective, GD())
    _, gradient = program.gradient(case.params, case.X, case.T, case.weights)
    sign = LOSSES[case.loss].sign
    return [{k: sign * np.asarray(v) for k, v in own.items()} for own in gradient]


def _parameters(case: Case) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    for layer, own in enumerate(case.params, start=1):
        for kind, value in own.items():
            for place in np.ndindex(value.shape):
                yield layer, kind, place


@settings(deadline=None, max_examples=40)
@given(cases())
def test_entries_of_the_layer_view_open_into_the_gradient(case: Case) -> None:
    gradient, view = _trained(case), case.told().layers()
    for layer, kind, place in _parameters(case):
        table = gradient[layer - 1][kind]
        row, column = (*place, 0)[:2]
        opened = product(view.open(f"d{kind}[{layer}]", row + 1, column + 1))
        size = float(np.max(np.abs(table)))
        assert opened == pytest.approx(float(table[place]), rel=1e-12, abs=1e-12 * (1.0 + size))


@settings(deadline=None, max_examples=25)
@given(cases())
def test_chains_of_single_samples_add_up_to_the_gradient(case: Case) -> None:
    told, gradient = case.told(), _trained(case)
    walks = [_chains(told.walk(sample=s)) for s in range(1, len(case.X) + 1)]
    shares = case.weights / np.sum(case.weights)
    for layer, kind, place in _parameters(case):
        index = tuple(i + 1 for i in place)
        name = names.weight(layer, *index) if kind == "W" else names.bias(layer, *index)
        chains = [product(walk[str(name)].terms) for walk in walks]
        value = float(shares @ chains)
        if kind == "W":
            price = case.penalty.l2 * float(case.params[layer - 1]["W"][place])
            value += LOSSES[case.loss].sign * price
        table = gradient[layer - 1][kind]
        size = float(np.max(np.abs(table)))
        assert value == pytest.approx(float(table[place]), rel=1e-12, abs=1e-12 * (1.0 + size))


def _chains(walk: Explanation) -> dict[str, Step]:
    """The global derivatives of weights and biases, by the parameter's name."""
    roles = ("weight_global", "bias_global")
    return {str(s.name.parts[1]): s for s in walk.steps() if s.role in roles}


@settings(deadline=None, max_examples=25)
@given(cases())
def test_every_factor_is_the_value_of_its_own_step(case: Case) -> None:
    """So that the chain can be followed link by link, from any weight back to the loss."""
    walk = case.told().walk(sample=len(case.X))
    values: dict[str, Any] = {}
    followed = 0
    for step in walk.steps():
        if step.terms:
            size = max(1.0, *(abs(term.value) for term in step.terms))
            close = pytest.approx(float(step.value), rel=1e-12, abs=1e-12 * size)
            assert product(step.terms) == close, step.id
        for factor in (f for term in step.terms for f in term.factors):
            known = values.get(str(factor.name))
            if known is not None:
                followed += 1
                assert factor.value == pytest.approx(known, rel=1e-12, abs=1e-14), step.id
        if step.value.ndim == 0 and step.value.size:
            values[step.id] = float(step.value)
    assert followed >= len(case.params)


def test_every_activation_and_every_loss_takes_part() -> None:
    assert set(OUTPUTS) <= set(LOSSES)
    assert {g for group in OUTPUTS.values() for g in group} <= set(TRAINABLE)
