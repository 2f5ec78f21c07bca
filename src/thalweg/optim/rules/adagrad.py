"""A learning rate for each parameter, which falls as its gradients add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["AdaGrad"]


@dataclass(frozen=True)
class AdaGrad(Rule):
    """``s ← s + g²``, ``w ← w - α/(1 + (k-1) decay) · g/(√s + ε)`` in step k.

    References
    ----------
    J. Duchi, E. Hazan and Y. Singer, Journal of Machine Learning Research 12, 2121 (2011).
    """

    learning_rate: float = 0.05
    decay: float = 0.0
    epsilon: float = 1e-10

    def init(self, parameter: Any) -> State:
        return {"squares": np.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        squares = state["squares"] + gradient * gradient
        rate = self.learning_rate / (1.0 + (step - 1.0) * self.decay)
        change = gradient / (np.sqrt(squares) + self.epsilon)
        return parameter - rate * change, {"squares": squares}
