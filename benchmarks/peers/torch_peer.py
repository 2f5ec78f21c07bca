"""PyTorch, eager and compiled, on one thread and on all, with its fused Adam."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch
import torch._dynamo
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers import Run, Side, in_words, thread_counts
from benchmarks.workloads import BETAS, Parameters, Workload

__all__ = ["sides"]

# Each workload and setting compiles the same Python function anew.
torch._dynamo.config.recompile_limit = 256


@dataclass(frozen=True)
class TorchSide:
    threads: int
    compiled: bool
    family: str = "torch"
    tolerance: float = 1e-9
    check_epsilon: float = 1e-8

    @property
    def setting(self) -> str:
        return f"{'compiled' if self.compiled else 'eager'}, {in_words(self.threads)}"

    def prepare(self, workload: Workload) -> Run:
        training = _Training(workload, workload.dtype, self.compiled)

        def run(steps: int) -> float:
            torch.set_num_threads(self.threads)
            batches = training.batches(steps)
            start = perf_counter()
            training.train(batches)
            return (perf_counter() - start) / steps

        return run

    def parameters_after(self, workload: Workload, steps: int) -> Parameters:
        torch.set_num_threads(self.threads)
        training = _Training(workload, "float64", self.compiled)
        training.train(training.batches(steps))
        return [(W.detach().numpy(), b.detach().numpy()) for W, b in training.layers]


class _Training:
    """The parameters, the loss of a batch and the optimiser of one workload."""

    def __init__(self, workload: Workload, dtype: str, compiled: bool) -> None:
        self.workload = workload
        inputs, targets = workload.data(dtype)
        self.inputs, self.targets = torch.from_numpy(inputs), torch.from_numpy(targets)
        self.layers = [
            (torch.from_numpy(W).requires_grad_(), torch.from_numpy(b).requires_grad_())
            for W, b in workload.parameters(dtype)
        ]
        self.optimiser = torch.optim.Adam(
            [parameter for layer in self.layers for parameter in layer],
            lr=workload.learning_rate,
            betas=BETAS,
            eps=workload.epsilon,
            fused=True,
        )
        loss = self._loss
        self.loss: Callable[[Tensor | None], Tensor] = torch.compile(loss) if compiled else loss

    def batches(self, steps: int) -> list[Tensor | None]:
        """The rows of each batch; None where a step sees all samples."""
        if self.workload.full_batch:
            return [None] * steps
        return list(torch.from_numpy(self.workload.order(steps)).unbind())

    def train(self, batches: list[Tensor | None]) -> None:
        for rows in batches:
            self.optimiser.zero_grad(set_to_none=True)
            self.loss(rows).backward()
            self.optimiser.step()

    def _loss(self, rows: Tensor | None) -> Tensor:
        inputs = self.inputs if rows is None else self.inputs[rows]
        targets = self.targets if rows is None else self.targets[rows]
        activation = torch.tanh if self.workload.activation == "tanh" else torch.relu
        values = inputs
        for weight, bias in self.layers[:-1]:
            values = activation(F.linear(values, weight, bias))
        outputs = F.linear(values, *self.layers[-1])
        if self.workload.loss == "cross_entropy":
            return F.cross_entropy(outputs, targets)
        return F.mse_loss(outputs, targets, reduction="sum") / len(outputs)


def sides() -> list[Side]:
    return [TorchSide(n, compiled) for compiled in (False, True) for n in thread_counts()]
