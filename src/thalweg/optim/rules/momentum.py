"""Gradient descent with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["Momentum"]


@dataclass(frozen=True)
class Momentum(Rule):
    """A heavy ball: ``v ← μ v + g``, ``w ← w - α v``.

    References
    ----------
    B. Polyak, USSR Computational Mathematics and Mathematical Physics 4, 1 (1964).
    """

    learning_rate: float = 0.01
    momentum: float = 0.9

    def init(self, parameter: Any) -> State:
        return {"velocity": np.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        velocity = self.momentum * state["velocity"] + gradient
        return parameter - self.learning_rate * velocity, {"velocity": velocity}
