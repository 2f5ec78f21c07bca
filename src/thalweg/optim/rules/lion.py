"""Steps of one size, in the direction of the sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["Lion"]


@dataclass(frozen=True)
class Lion(Rule):
    """``w ← (1 - α λ) w - α sign(β₁ m + (1-β₁) g)``, then ``m ← β₂ m + (1-β₂) g``.

    References
    ----------
    X. Chen et al., NeurIPS 2023, algorithm 2.
    """

    learning_rate: float = 0.0003
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0

    def init(self, parameter: Any) -> State:
        return {"mean": np.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        direction = np.sign(self.beta1 * state["mean"] + (1.0 - self.beta1) * gradient)
        mean = self.beta2 * state["mean"] + (1.0 - self.beta2) * gradient
        kept = (1.0 - self.learning_rate * self.weight_decay) * parameter
        return kept - self.learning_rate * direction, {"mean": mean}
