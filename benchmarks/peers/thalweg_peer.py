"""thalweg itself: the whole run as one compiled program, on one thread and on all."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Run, Side, in_words, thread_counts
from benchmarks.workloads import BETAS, Parameters, Workload
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Adam
from thalweg.training.batches import Samples
from thalweg.training.native_program import NativeProgram

__all__ = ["sides"]

Train = Callable[[NDArray[np.int64]], None]


@dataclass(frozen=True)
class ThalwegSide:
    threads: int
    family: str = "thalweg"
    tolerance: float = 1e-9
    check_epsilon: float = 1e-8

    @property
    def setting(self) -> str:
        return in_words(self.threads)

    def prepare(self, workload: Workload) -> Run:
        train, _ = _training(workload, workload.dtype, self.threads)

        def run(steps: int) -> float:
            batches = _batches(workload, steps)
            start = perf_counter()
            train(batches)
            return (perf_counter() - start) / steps

        return run

    def parameters_after(self, workload: Workload, steps: int) -> Parameters:
        train, parameters = _training(workload, "float64", self.threads)
        train(_batches(workload, steps))
        return parameters()


def _batches(workload: Workload, steps: int) -> NDArray[np.int64]:
    """The rows of each batch, shape (steps, batch); in their order where a step sees them all."""
    if workload.full_batch:
        return np.broadcast_to(np.arange(workload.samples), (steps, workload.samples))
    return workload.order(steps)


def _training(
    workload: Workload, dtype: str, threads: int
) -> tuple[Train, Callable[[], Parameters]]:
    """A call that trains over the given batches, and one that reads the parameters.

    The program carries parameters and Adam's moments from call to call and starts from the
    workload's weights. A call's rows, of shape (steps, batch), are one epoch to it, or as many as
    there are steps where each sees all samples.
    """
    classes = workload.loss != "mse"
    shapes = list(zip(workload.sizes[:-1], workload.sizes[1:], strict=True))
    layers = [Dense(n, m, workload.activation) for n, m in shapes[:-1]]
    layers.append(Dense(*shapes[-1], "softmax" if classes else "identity"))
    objective = NetworkObjective(Network(layers), loss("cross_entropy" if classes else "mse"))
    rule = Adam(workload.learning_rate, *BETAS, workload.epsilon)
    program = NativeProgram(objective, rule, dtype, threads=threads)
    X, T = workload.data(dtype)
    if classes:
        T = np.eye(workload.sizes[-1], dtype=dtype)[T]
    given = [{"W": np.array(W), "b": np.array(b)} for W, b in workload.parameters(dtype)]
    state = program.start(given)
    weights = np.ones(len(X), dtype)

    def train(batches: NDArray[np.int64]) -> None:
        rates = np.full((len(batches), 1), workload.learning_rate)
        if workload.full_batch:
            program.epochs(state, Samples(X, T, weights), batches, workload.batch, rates)
        else:
            program.epoch(state, X, T, weights, batches.ravel(), workload.batch, rates.ravel())

    return train, lambda: [(layer["W"], layer["b"]) for layer in state.params]


def sides() -> list[Side]:
    return [ThalwegSide(n) for n in thread_counts()]
