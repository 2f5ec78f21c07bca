"""The training loop's inner part: epochs of one rule on one objective, in NumPy.

A program is built once for an objective and a rule; the number of samples, the size of a batch
(the last one may be short), learning rates and weights are given with each epoch. The native
program of the compiler has the same methods, and this one is their meaning.

Examples
--------
>>> import numpy as np
>>> from thalweg.nn.losses import loss
>>> from thalweg.nn.network import Dense, Network
>>> from thalweg.nn.objective import NetworkObjective
>>> from thalweg.optim.rules import SGD
>>> net = Network([Dense(1, 1, bias=False, weights=[[0.0]])])
>>> program = Program(NetworkObjective(net, loss("mse")), SGD())
>>> state = program.start(net.initial())
>>> X = np.array([[1.0], [2.0]])
>>> program.epoch(state, X, 3.0 * X, np.ones(2), np.arange(2), 2, np.array([0.1]))
22.5
>>> state.params[0]["W"]
array([[1.5]])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from thalweg.graph import Graph, variable
from thalweg.interpreter import Plan, plan
from thalweg.nn.dropout import keys
from thalweg.nn.network import Params
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Conditioning, Rule, State
from thalweg.optim.rules.stepping import advance
from thalweg.training.stopping import StopReason
from thalweg.trees import flatten, map_leaves, unflatten

__all__ = ["EpochProgram", "Program", "ProgramState", "batch_count"]

Array = NDArray[Any]


@dataclass
class ProgramState:
    """Where training stands; changed in place by every epoch.

    Attributes
    ----------
    params : list of dict
        The parameters of the network.
    memory : list of dict
        What the rule remembers of each parameter, in the order W[1], b[1], W[2], ...
    step : int
        Steps taken so far.
    penalty : float
        Mean penalty over the batches of the last epoch.
    seed : int
        Of dropout.
    finished : StopReason or None
        Why the program can go no further, if so.
    figures : dict of str to float
        What else a method has to say of its last step: ``"mu"``, a damping.
    """

    params: Params
    memory: list[State]
    step: int = 0
    penalty: float = 0.0
    seed: int = 0
    finished: StopReason | None = None
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def weights(self) -> Params | Array:
        """The parameters as the loop keeps them: layer by layer, or in one vector."""
        return self.params


class EpochProgram(Protocol):
    """What the training loop asks of a program, native or not."""

    def start(self, params: Params) -> ProgramState:
        """The state before the first step; the parameters are copied."""

    def epoch(
        self,
        state: ProgramState,
        X: Array,
        T: Array,
        weights: Array,
        order: Array,
        batch_size: int,
        learning_rates: Array,
    ) -> float:
        """One pass over the samples named by `order`; returns the mean training loss.

        Parameters
        ----------
        state : ProgramState
            Parameters, memory and step are moved on.
        X, T : array of shape (n, n[0]) and (n, n[L])
        weights : array of shape (n,)
        order : array of int, shape (k,)
            Indices of rows, in the order in which they are used.
        batch_size : int
        learning_rates : array of shape (ceil(k / batch_size),)
            One for each batch.

        Returns
        -------
        float
            Weighted mean of the loss over the batches, each at the parameters before its step,
            without the penalty; negated if the loss is maximised.
        """

    def loss(self, params: Params, X: Array, T: Array, weights: Array) -> float:
        """The weighted mean loss at some parameters, without the penalty."""

    def gradient(self, params: Params, X: Array, T: Array, weights: Array) -> tuple[float, Params]:
        """The objective with its penalty, and its gradient."""


def batch_count(samples: int, batch_size: int) -> int:
    """How many batches an epoch has, the last one possibly short."""
    return -(-samples // batch_size)


class Program:
    """The interpreter's program.

    Parameters
    ----------
    objective : NetworkObjective
    rule : Rule
    dtype : float64 or float32
    conditioning : Conditioning, optional
        Clipping and weight decay, before the rule sees the gradients.
    """

    def __init__(
        self,
        objective: NetworkObjective,
        rule: Rule,
        dtype: DTypeLike = np.float64,
        conditioning: Conditioning | None = None,
    ) -> None:
        self.objective, self.rule, self.conditioning = objective, rule, conditioning
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._plans: dict[tuple[str, int], Plan] = {}

    def start(self, params: Params) -> ProgramState:
        """The state before the first step; the parameters are copied."""
        own = map_leaves(lambda value: np.array(value, self.dtype), params)
        return ProgramState(own, [self.rule.init(leaf) for leaf in flatten(own)[0]])

    def epoch(
        self,
        state: ProgramState,
        X: Array,
        T: Array,
        weights: Array,
        order: Array,
        batch_size: int,
        learning_rates: Array,
    ) -> float:
        """One pass over the samples; see `EpochProgram.epoch`."""
        leaves, structure = flatten(state.params)
        memory, its_structure = flatten(state.memory)
        loss = penalty = total = 0.0
        for number, start in enumerate(range(0, len(order), batch_size)):
            rows = order[start : start + batch_size]
            w = weights[rows]
            state.step += 1
            run = self._plan("step", len(rows), self._step_graph)
            rate = learning_rates[number]
            key = [keys(state.seed, state.step, rows)] if self.objective.network.drops else []
            mean, price, *moved = run(
                [*leaves, *memory, X[rows], T[rows], w, *key, rate, float(state.step)]
            )
            leaves, memory = moved[: len(leaves)], moved[len(leaves) :]
            share = float(np.sum(w))
            loss, penalty = loss + share * float(mean), penalty + share * float(price)
            total += share
        state.params = unflatten(structure, leaves)
        state.memory = unflatten(its_structure, memory)
        state.penalty = penalty / total if total else 0.0
        return loss / total if total else 0.0

    def loss(self, params: Params, X: Array, T: Array, weights: Array) -> float:
        """The weighted mean loss at some parameters, without the penalty."""
        run = self._plan("loss", len(X), lambda n: self.objective.batch_graph(n, self.dtype, False))
        return float(run([*flatten(params)[0], X, T, weights])[0])

    def gradient(self, params: Params, X: Array, T: Array, weights: Array) -> tuple[float, Params]:
        """The objective with its penalty, and its gradient."""
        run = self._plan("gradient", len(X), lambda n: self.objective.batch_graph(n, self.dtype))
        mean, price, *slopes = run([*flatten(params)[0], X, T, weights])
        return float(mean) + float(price), self.objective.as_params(slopes)

    def _plan(self, what: str, samples: int, make: Callable[[int], Graph]) -> Plan:
        found = self._plans.get((what, samples))
        if found is None:
            found = self._plans[what, samples] = plan(make(samples))
        return found

    def _step_graph(self, samples: int) -> Graph:
        """Inputs parameters, memory, X, T, w, learning rate, step; outputs after the step.

        With dropout, the keys of the samples come after w.
        """
        drops = self.objective.network.drops
        batch = self.objective.batch_graph(samples, self.dtype, drop=drops)
        mean, price, *gradients = batch.outputs
        leaves = batch.inputs[: len(gradients)]
        memory = [_like(self.rule.init(np.zeros(p.shape, p.dtype))) for p in leaves]
        rate, step = variable((), self.dtype), variable((), self.dtype)
        moved, after = advance(self.rule, self.conditioning, leaves, gradients, memory, rate, step)
        inputs = (*leaves, *flatten(memory)[0], *batch.inputs[len(leaves) :], rate, step)
        return Graph(inputs, (mean, price, *moved, *_in_order(after, memory)))


def _like(state: State) -> State:
    return {
        name: variable(np.shape(value), np.asarray(value).dtype) for name, value in state.items()
    }


def _in_order(after: Sequence[State], before: Sequence[State]) -> list[Any]:
    """The new memory in the order of the old one."""
    return [new[name] for new, old in zip(after, before, strict=True) for name in old]
