"""thalweg itself: the whole run as one compiled program, on one thread and on all."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

import thalweg as tw
from benchmarks.peers import Run, Side, Unavailable, in_words, thread_counts
from benchmarks.workloads import BETAS, Parameters, Workload

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
            order = workload.order(steps)
            start = perf_counter()
            train(order)
            return (perf_counter() - start) / steps

        return run

    def parameters_after(self, workload: Workload, steps: int) -> Parameters:
        train, parameters = _training(workload, "float64", self.threads)
        train(workload.order(steps))
        return parameters()


def _training(
    workload: Workload, dtype: str, threads: int
) -> tuple[Train, Callable[[], Parameters]]:
    """A call that trains over the given batches, and one that reads the parameters.

    The only place here that knows thalweg's interface. It assumes a compiled program that
    carries parameters and Adam's moments from call to call, takes rows (steps, batch) as a
    run-time argument, and starts from given weights.
    """
    layers = [
        tw.Dense(n, m, workload.activation)
        for n, m in zip(workload.sizes[:-2], workload.sizes[1:-1], strict=True)
    ]
    net = tw.Network([*layers, tw.Dense(*workload.sizes[-2:])])
    program = tw.training_program(
        net,
        loss=tw.mse if workload.loss == "mse" else tw.softmax_cross_entropy,
        method=tw.Adam(learning_rate=workload.learning_rate, betas=BETAS, eps=workload.epsilon),
        dtype=dtype,
        threads=threads,
    )
    program.start(workload.parameters(dtype), *workload.data(dtype))
    return program.train, program.parameters


def sides() -> list[Side]:
    if not hasattr(tw, "training_program"):
        raise Unavailable("this thalweg has no training_program yet")
    return [ThalwegSide(n) for n in thread_counts()]
