"""Momentum that looks ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["Nesterov"]


@dataclass(frozen=True)
class Nesterov(Rule):
    """Momentum with a look ahead: ``v ← μ v + g``, ``w ← w - α (g + μ v)``.

    References
    ----------
    Y. Nesterov, Soviet Mathematics Doklady 27, 372 (1983); in this form I. Sutskever et al.,
    ICML 2013.
    """

    learning_rate: float = 0.01
    momentum: float = 0.9

    def init(self, parameter: Any) -> State:
        return {"velocity": np.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        velocity = self.momentum * state["velocity"] + gradient
        ahead = gradient + self.momentum * velocity
        return parameter - self.learning_rate * ahead, {"velocity": velocity}
