"""The work that speed is measured on, as data: one record per row of the table.

Everything a side needs is given, so that all sides do the same arithmetic: the samples, the
initial parameters and the rows of every batch come from the workload and its seed. The method
is Adam with β = (0.9, 0.999); no side may choose differently.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["BETAS", "WORKLOADS", "Parameters", "Workload"]

Array = NDArray[Any]
Parameters = list[tuple[Array, Array]]
"""One (W, b) per layer; W has shape (neurons, inputs), b (neurons,)."""

BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class Workload:
    """One network, its table of samples and how it is trained.

    ``mse`` is the mean over samples of the sum over outputs of (t - y)²;
    ``cross_entropy`` is that of softmax outputs against one class per sample.
    """

    name: str
    sizes: tuple[int, ...]
    activation: Literal["tanh", "relu"]
    loss: Literal["mse", "cross_entropy"]
    samples: int
    batch: int
    dtype: Literal["float32", "float64"] = "float32"
    learning_rate: float = 1e-3
    epsilon: float = 1e-8
    check_steps: int = 100
    seed: int = 0

    @property
    def full_batch(self) -> bool:
        """Every step sees all samples: no side needs to gather rows."""
        return self.batch == self.samples

    @property
    def flops(self) -> int:
        """Multiply-adds of one step's matrix products, two operations each.

        Forward, weight gradient and input gradient cost the same; the first layer hands no
        gradient back. Activations, loss and update are not counted.
        """
        products = [n * m for n, m in zip(self.sizes[:-1], self.sizes[1:], strict=True)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    def data(self, dtype: str | None = None) -> tuple[Array, Array]:
        """Inputs (samples, n) and targets: (samples, outputs), or classes (samples,)."""
        inputs, targets = _samples(self)
        wanted = np.dtype(dtype or self.dtype)
        if self.loss == "mse":
            targets = targets.astype(wanted)
        return inputs.astype(wanted), targets

    def parameters(self, dtype: str | None = None) -> Parameters:
        """The initial parameters: Glorot's uniform weights, biases of zero."""
        rng = np.random.default_rng([self.seed, 1])
        wanted = np.dtype(dtype or self.dtype)
        layers = []
        for n, m in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            bound = np.sqrt(6.0 / (n + m))
            # Through float32, so that both dtypes start from the same numbers.
            weight = rng.uniform(-bound, bound, size=(m, n)).astype(np.float32)
            layers.append((weight.astype(wanted), np.zeros(m, wanted)))
        return layers

    def order(self, steps: int) -> NDArray[np.int64]:
        """The rows of each of the first ``steps`` batches, (steps, batch).

        Every epoch is a fresh shuffle; a remainder shorter than a batch sits that epoch out.
        """
        rng = np.random.default_rng([self.seed, 2])
        per_epoch = self.samples // self.batch
        epochs = [
            rng.permutation(self.samples)[: per_epoch * self.batch].reshape(per_epoch, self.batch)
            for _ in range(-(-steps // per_epoch))
        ]
        return np.concatenate(epochs)[:steps]


@lru_cache(maxsize=1)
def _samples(workload: Workload) -> tuple[Array, Array]:
    """Synthetic samples that can be learned: a smooth function, or the classes of a teacher."""
    if workload.name == "xor":
        return np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array(
            [[0.0], [1.0], [1.0], [0.0]]
        )
    rng = np.random.default_rng([workload.seed, 0])
    n, outputs = workload.sizes[0], workload.sizes[-1]
    inputs = rng.standard_normal((workload.samples, n), dtype=np.float32)
    teacher = rng.standard_normal((n, outputs), dtype=np.float32) / np.float32(np.sqrt(n))
    if workload.loss == "cross_entropy":
        return inputs, np.argmax(inputs @ teacher, axis=1)
    return inputs, np.sin(2.0 * (inputs @ teacher))


WORKLOADS = [
    Workload("xor", (2, 4, 1), "tanh", "mse", samples=4, batch=4),
    Workload("small", (8, 64, 64, 1), "tanh", "mse", samples=16_384, batch=64),
    Workload("digits", (64, 128, 64, 10), "relu", "cross_entropy", samples=1792, batch=128),
    Workload(
        "mnist-sized", (784, 256, 128, 10), "relu", "cross_entropy", samples=16_384, batch=128
    ),
    Workload(
        "wide",
        (784, 1024, 1024, 10),
        "relu",
        "cross_entropy",
        samples=16_384,
        batch=256,
        check_steps=20,
    ),
    Workload("simplechains", (4, 32, 16, 4), "tanh", "mse", samples=10_000, batch=10_000),
]
