"""JAX with all steps of a run under one jitted ``lax.scan``; XLA chooses the threads itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.peers import Run, Side, cores
from benchmarks.workloads import BETAS, Parameters, Workload

__all__ = ["sides"]


@dataclass(frozen=True)
class JaxSide:
    threads: int
    family: str = "jax"
    setting: str = "scan"
    tolerance: float = 1e-9
    check_epsilon: float = 1e-8

    def prepare(self, workload: Workload) -> Run:
        data = _on_device(workload.data())
        state = _start(workload, workload.dtype)
        train = _trainer(workload)

        def run(steps: int) -> float:
            nonlocal state
            order = _order(workload, steps)
            start = perf_counter()
            state = jax.block_until_ready(train(state, data, order, steps))
            return (perf_counter() - start) / steps

        return run

    def parameters_after(self, workload: Workload, steps: int) -> Parameters:
        with jax.enable_x64(True):
            data = _on_device(workload.data("float64"))
            state = _start(workload, "float64")
            trained = _trainer(workload)(state, data, _order(workload, steps), steps)
            return [(np.asarray(W), np.asarray(b)) for W, b in trained[0]]


def _on_device(data: Any) -> Any:
    return jax.tree.map(jnp.asarray, data)


def _order(workload: Workload, steps: int) -> Any:
    return None if workload.full_batch else jnp.asarray(workload.order(steps), jnp.int32)


def _start(workload: Workload, dtype: str) -> Any:
    """Parameters, first and second moments, and the number of steps taken."""
    parameters = _on_device(workload.parameters(dtype))
    return parameters, _zeros(parameters), _zeros(parameters), jnp.zeros((), dtype)


def _zeros(tree: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, tree)


def _trainer(workload: Workload) -> Callable[..., Any]:
    def step(state: Any, rows: Any, data: Any) -> tuple[Any, None]:
        inputs, targets = data if rows is None else (data[0][rows], data[1][rows])
        gradient = jax.grad(partial(_loss, workload))(state[0], inputs, targets)
        return _adam(workload, state, gradient), None

    @partial(jax.jit, static_argnums=3, donate_argnums=0)
    def train(state: Any, data: Any, order: Any, steps: int) -> Any:
        return lax.scan(lambda s, rows: step(s, rows, data), state, order, length=steps)[0]

    trained: Callable[..., Any] = train
    return trained


def _loss(workload: Workload, layers: Any, inputs: Any, targets: Any) -> Any:
    activation = jnp.tanh if workload.activation == "tanh" else jax.nn.relu
    values = inputs
    for weight, bias in layers[:-1]:
        values = activation(values @ weight.T + bias)
    weight, bias = layers[-1]
    outputs = values @ weight.T + bias
    if workload.loss == "cross_entropy":
        chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), targets[:, None], axis=1)
        return -jnp.mean(chosen)
    return jnp.mean(jnp.sum((outputs - targets) ** 2, axis=1))


def _adam(workload: Workload, state: Any, gradient: Any) -> Any:
    parameters, first, second, steps = state
    steps = steps + 1
    first = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, first, gradient)
    second = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, second, gradient)
    unbias_first, unbias_second = 1 - BETAS[0] ** steps, 1 - BETAS[1] ** steps
    parameters = jax.tree.map(
        lambda p, m, v: (
            p
            - workload.learning_rate
            * (m / unbias_first)
            / (jnp.sqrt(v / unbias_second) + workload.epsilon)
        ),
        parameters,
        first,
        second,
    )
    return parameters, first, second, steps


def sides() -> list[Side]:
    return [JaxSide(cores())]
