"""tinygrad with one ``TinyJit`` step. Its CPU device needs clang (``CC`` names another)."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from tinygrad import Context, Device, Tensor, TinyJit, dtypes
from tinygrad.nn.optim import Adam

from benchmarks.peers import Run, Side, Unavailable, cores
from benchmarks.workloads import BETAS, Parameters, Workload

__all__ = ["sides"]


@dataclass(frozen=True)
class TinygradSide:
    threads: int
    family: str = "tinygrad"
    setting: str = "TinyJit"
    tolerance: float = 1e-9
    check_epsilon: float = 1e-8

    def prepare(self, workload: Workload) -> Run:
        train, _ = _training(workload, workload.dtype)

        def run(steps: int) -> float:
            batches = _batches(workload, steps)
            start = perf_counter()
            train(batches)
            return (perf_counter() - start) / steps

        return run

    def parameters_after(self, workload: Workload, steps: int) -> Parameters:
        train, layers = _training(workload, "float64")
        train(_batches(workload, steps))
        return [(W.numpy(), b.numpy()) for W, b in layers]


def _batches(workload: Workload, steps: int) -> list[Any]:
    if workload.full_batch:
        return [None] * steps
    order = workload.order(steps).astype(np.int32)
    return [Tensor(rows).realize() for rows in order]


def _training(workload: Workload, dtype: str) -> tuple[Callable[[list[Any]], None], Any]:
    layers = [(Tensor(W).is_param_(), Tensor(b).is_param_()) for W, b in workload.parameters(dtype)]
    parameters = [parameter for layer in layers for parameter in layer]
    optimiser = Adam(parameters, workload.learning_rate, *BETAS, eps=workload.epsilon)
    _keep_state_in(optimiser, workload.learning_rate, parameters[0].dtype)
    inputs, targets = (Tensor(array).realize() for array in workload.data(dtype))

    @TinyJit
    def step(rows: Any = None) -> Any:
        optimiser.zero_grad()
        batch = (inputs, targets) if rows is None else (inputs[rows], targets[rows])
        _loss(workload, layers, *batch).backward()
        optimiser.step()

    def train(batches: list[Any]) -> None:
        with Context(TRAINING=1):
            for rows in batches:
                step() if rows is None else step(rows)
        Device[Device.DEFAULT].synchronize()

    return train, layers


def _keep_state_in(optimiser: Any, rate: float, dtype: Any) -> None:
    """Its rate, moments and powers of β are float32 whatever the parameters are."""
    for name in ("m", "v"):
        zeros = [Tensor.zeros(p.shape, dtype=dtype) for p in optimiser.params]
        setattr(optimiser, name, zeros)
    optimiser.b1_t, optimiser.b2_t = (
        Tensor.ones((1,), dtype=dtype).is_param_(False) for _ in range(2)
    )
    optimiser.lr = Tensor([rate], dtype=dtype)


def _loss(workload: Workload, layers: Any, inputs: Any, targets: Any) -> Any:
    values = inputs
    for weight, bias in layers[:-1]:
        sums = values.linear(weight.T, bias)
        values = sums.tanh() if workload.activation == "tanh" else sums.relu()
    outputs = values.linear(layers[-1][0].T, layers[-1][1])
    if workload.loss == "cross_entropy":
        return outputs.sparse_categorical_crossentropy(targets.cast(dtypes.int32))
    return ((outputs - targets) ** 2).sum(axis=1).mean()


def sides() -> list[Side]:
    try:
        Tensor([1.0, 2.0]).sum().item()
    except (RuntimeError, OSError) as error:
        raise Unavailable(f"tinygrad finds no compiler here ({error})") from error
    return [TinygradSide(cores())]
