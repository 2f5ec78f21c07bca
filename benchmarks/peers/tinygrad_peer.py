"""tinygrad with one ``TinyJit`` step on its CPU device, on one thread and on all.

It needs clang: the one that ``CC`` names, or the newest that is here. Its search for better kernels
(``BEAM=2``) is left out, because it takes minutes for a workload; the environment can ask for it.
"""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

os.environ["DEV"] = "CPU"  # read when tinygrad is imported

from tinygrad import Context, Device, Tensor, TinyJit, dtypes
from tinygrad.nn.optim import Adam

from benchmarks.peers import Run, Side, Unavailable, in_words, thread_counts
from benchmarks.workloads import BETAS, Parameters, Workload

__all__ = ["sides"]

CLANG = re.compile(r"clang-(\d+)(\.exe)?")


@dataclass(frozen=True)
class TinygradSide:
    threads: int
    family: str = "tinygrad"
    tolerance: float = 1e-9
    check_epsilon: float = 1e-8

    @property
    def setting(self) -> str:
        return f"TinyJit, {in_words(self.threads)}"

    def prepare(self, workload: Workload) -> Run:
        train, _ = _training(workload, workload.dtype, self.threads)

        def run(steps: int) -> float:
            batches = _batches(workload, steps)
            start = perf_counter()
            train(batches)
            return (perf_counter() - start) / steps

        return run

    def parameters_after(self, workload: Workload, steps: int) -> Parameters:
        train, layers = _training(workload, "float64", self.threads)
        train(_batches(workload, steps))
        return [(W.numpy(), b.numpy()) for W, b in layers]


def _batches(workload: Workload, steps: int) -> list[Any]:
    if workload.full_batch:
        return [None] * steps
    order = workload.order(steps).astype(np.int32)
    return [Tensor(rows).realize() for rows in order]


def _training(
    workload: Workload, dtype: str, threads: int
) -> tuple[Callable[[list[Any]], None], Any]:
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
        with Context(TRAINING=1, NUM_CPU_THREADS=threads):
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


def _clang() -> str | None:
    """The newest clang that is here, also under a name with a version."""
    if shutil.which("clang"):
        return "clang"
    folders = map(Path, os.environ.get("PATH", "").split(os.pathsep))
    names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
    numbered = [(int(found[1]), found[0]) for found in map(CLANG.fullmatch, names) if found]
    return max(numbered)[1] if numbered else None


def sides() -> list[Side]:
    os.environ.setdefault("CC", _clang() or "clang")
    try:
        Tensor([1.0, 2.0]).sum().item()
    except (RuntimeError, OSError) as error:
        raise Unavailable("no clang") from error
    return [TinygradSide(n) for n in thread_counts()]
