"""Adam with the largest recent gradient in place of its root mean square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["Adamax"]


@dataclass(frozen=True)
class Adamax(Rule):
    """``m ← β₁ m + (1-β₁) g``, ``u ← max(β₂ u, |g| + ε)``, ``w ← w - α/(1 - β₁ᵏ) · m/u``.

    References
    ----------
    D. Kingma and J. Ba, ICLR 2015, algorithm 2.
    """

    learning_rate: float = 0.002
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def init(self, parameter: Any) -> State:
        return {"mean": np.zeros_like(parameter), "largest": np.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        mean = self.beta1 * state["mean"] + (1.0 - self.beta1) * gradient
        largest = np.maximum(self.beta2 * state["largest"], np.abs(gradient) + self.epsilon)
        rate = self.learning_rate / (1.0 - self.beta1**step)
        return parameter - rate * mean / largest, {"mean": mean, "largest": largest}
