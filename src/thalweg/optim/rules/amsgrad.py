"""Adam whose steps never grow again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["AMSGrad"]


@dataclass(frozen=True)
class AMSGrad(Rule):
    """Adam with the largest v seen so far in place of v.

    References
    ----------
    S. Reddi, S. Kale and S. Kumar, ICLR 2018, algorithm 2.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def init(self, parameter: Any) -> State:
        return {name: np.zeros_like(parameter) for name in ("mean", "square", "largest")}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        mean = self.beta1 * state["mean"] + (1.0 - self.beta1) * gradient
        square = self.beta2 * state["square"] + (1.0 - self.beta2) * gradient * gradient
        largest = np.maximum(state["largest"], square)
        rate = self.learning_rate / (1.0 - self.beta1**step)
        size = np.sqrt(largest) / np.sqrt(1.0 - self.beta2**step) + self.epsilon
        moved = parameter - rate * mean / size
        return moved, {"mean": mean, "square": square, "largest": largest}
