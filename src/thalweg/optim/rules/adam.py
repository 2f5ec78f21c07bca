"""Momentum and a learning rate for each parameter, both corrected for their start at zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["Adam"]


@dataclass(frozen=True)
class Adam(Rule):
    """``m ← β₁ m + (1-β₁) g``, ``v ← β₂ v + (1-β₂) g²``, ``w ← w - α m̂/(√v̂ + ε)``.

    The hats divide by ``1 - β₁ᵏ`` and ``1 - β₂ᵏ`` in step k.

    References
    ----------
    D. Kingma and J. Ba, ICLR 2015, algorithm 1.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def init(self, parameter: Any) -> State:
        return {"mean": np.zeros_like(parameter), "square": np.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        mean = self.beta1 * state["mean"] + (1.0 - self.beta1) * gradient
        square = self.beta2 * state["square"] + (1.0 - self.beta2) * gradient * gradient
        rate = self.learning_rate / (1.0 - self.beta1**step)
        size = np.sqrt(square) / np.sqrt(1.0 - self.beta2**step) + self.epsilon
        return parameter - rate * mean / size, {"mean": mean, "square": square}
