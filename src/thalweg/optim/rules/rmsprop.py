"""Steps divided by a running root mean square of the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["RMSProp"]


@dataclass(frozen=True)
class RMSProp(Rule):
    """``s ← ρ s + (1-ρ) g²``, ``v ← μ v + g/(√s + ε)``, ``w ← w - α v``.

    References
    ----------
    T. Tieleman and G. Hinton, Neural Networks for Machine Learning, lecture 6.5 (2012).
    """

    learning_rate: float = 0.001
    rho: float = 0.99
    momentum: float = 0.0
    epsilon: float = 1e-8

    def init(self, parameter: Any) -> State:
        return {"squares": np.zeros_like(parameter), "velocity": np.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        squares = self.rho * state["squares"] + (1.0 - self.rho) * gradient * gradient
        change = gradient / (np.sqrt(squares) + self.epsilon)
        velocity = self.momentum * state["velocity"] + change
        return parameter - self.learning_rate * velocity, {"squares": squares, "velocity": velocity}
