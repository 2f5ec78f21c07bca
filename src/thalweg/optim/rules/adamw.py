"""Adam with weight decay that its denominators do not touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["AdamW"]


@dataclass(frozen=True)
class AdamW(Rule):
    """Adam, after ``w ← (1 - α λ) w`` with the weight decay λ.

    References
    ----------
    I. Loshchilov and F. Hutter, ICLR 2019, algorithm 2.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01

    def init(self, parameter: Any) -> State:
        return {"mean": np.zeros_like(parameter), "square": np.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        mean = self.beta1 * state["mean"] + (1.0 - self.beta1) * gradient
        square = self.beta2 * state["square"] + (1.0 - self.beta2) * gradient * gradient
        rate = self.learning_rate / (1.0 - self.beta1**step)
        size = np.sqrt(square) / np.sqrt(1.0 - self.beta2**step) + self.epsilon
        kept = (1.0 - self.learning_rate * self.weight_decay) * parameter
        return kept - rate * mean / size, {"mean": mean, "square": square}
