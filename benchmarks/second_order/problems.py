"""What second-order methods are measured on: a table, a network, and where everyone starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["GOALS", "PROBLEMS", "Problem", "Trace", "iteration_reaching"]

Array = np.ndarray[Any, np.dtype[np.float64]]
GOALS = (1e-3, 1e-5, 1e-7)


@dataclass(frozen=True)
class Problem:
    """A table with one target, and a network of tanh neurons with one linear output.

    Attributes
    ----------
    name : str
    sizes : tuple of int
        Neurons of every layer, the inputs first.
    data : callable
        Gives X of shape (N, n[0]) and t of shape (N,).
    lengths : dict of str to int
        Iterations of each kind of method, at most.
    """

    name: str
    sizes: tuple[int, ...]
    data: Callable[[], tuple[Array, Array]]
    lengths: dict[str, int]

    def start(self, seed: int = 0) -> list[tuple[Array, Array]]:
        """W and b of every layer: Glorot's uniform numbers, and zeros."""
        rng = np.random.default_rng(seed)
        found = []
        for n, m in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            reach = np.sqrt(6.0 / (n + m))
            found.append((rng.uniform(-reach, reach, (m, n)), np.zeros(m)))
        return found

    def theta(self, seed: int = 0) -> Array:
        """The start as one vector: W[1] row by row, b[1], W[2], ..."""
        return np.concatenate([np.ravel(a) for layer in self.start(seed) for a in layer])

    def layers(self, theta: Any) -> list[tuple[Any, Any]]:
        """A vector as W and b of every layer, of any library's arrays."""
        found, at = [], 0
        for n, m in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            found.append((theta[at : at + n * m].reshape(m, n), theta[at + n * m :][:m]))
            at += n * m + m
        return found


@dataclass
class Trace:
    """What a run left behind: seconds from the start and mse after every iteration.

    Where a library works through many evaluations unseen, `mse` has one entry for each of them,
    and `iterations` says how many iterations they were.
    """

    seconds: list[float]
    mse: list[float]
    iterations: int

    @property
    def per_iteration(self) -> float:
        """Seconds."""
        return self.seconds[-1] / max(1, self.iterations)

    def time_to(self, goal: float) -> float | None:
        """Seconds until the mse was first at most so large; None if it never was."""
        k = iteration_reaching(self.mse, goal)
        return None if k is None else self.seconds[k]


def iteration_reaching(mse: list[float], goal: float) -> int | None:
    """Where a goal is first met."""
    return next((k for k, value in enumerate(mse) if value <= goal), None)


def _surface() -> tuple[Array, Array]:
    X = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
    x, y = X.T
    return X, np.sin(np.pi * x) * np.cos(np.pi * y) + x * y**2 / 2


def _sine() -> tuple[Array, Array]:
    X = np.linspace(-1.0, 1.0, 41)[:, None]
    return X, np.sin(np.pi * X[:, 0])


PROBLEMS = (
    Problem("surface", (2, 20, 20, 1), _surface, {"lm": 200, "lbfgs": 2000, "bfgs": 2000}),
    Problem("sine", (1, 5, 1), _sine, {"lm": 200, "lbfgs": 2000, "bfgs": 1000}),
)
