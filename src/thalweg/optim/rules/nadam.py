"""Adam with Nesterov's look ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["NAdam"]


@dataclass(frozen=True)
class NAdam(Rule):
    """Adam with m̂ replaced by ``μₖ₊₁ m/(1 - Π μ) + (1 - μₖ) g/(1 - Π μ)``.

    ``μₖ = β₁ (1 - ½ 0.96^(k·decay))`` warms the momentum up; the products run to k+1 and k.

    References
    ----------
    T. Dozat, ICLR workshop 2016.
    """

    learning_rate: float = 0.002
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.004

    def init(self, parameter: Any) -> State:
        zero = np.zeros_like(parameter)
        return {"mean": zero, "square": zero, "product": np.ones_like(np.sum(parameter))}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        now = self.beta1 * (1.0 - 0.5 * 0.96 ** (step * self.decay))
        then = self.beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1.0) * self.decay))
        product = state["product"] * now
        mean = self.beta1 * state["mean"] + (1.0 - self.beta1) * gradient
        square = self.beta2 * state["square"] + (1.0 - self.beta2) * gradient * gradient
        ahead = (1.0 - now) / (1.0 - product) * gradient + then / (1.0 - product * then) * mean
        size = np.sqrt(square / (1.0 - self.beta2**step)) + self.epsilon
        moved = parameter - self.learning_rate * ahead / size
        return moved, {"mean": mean, "square": square, "product": product}
