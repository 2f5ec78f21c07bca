"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thalweg.optim.rules.rule import Rule, State

__all__ = ["SGD"]


@dataclass(frozen=True)
class SGD(Rule):
    """Stochastic gradient descent: ``w ← w - α g`` with the gradient over a batch.

    References
    ----------
    H. Robbins and S. Monro, Annals of Mathematical Statistics 22, 400 (1951).
    """

    learning_rate: float = 0.05

    def init(self, parameter: Any) -> State:
        return {}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        return parameter - self.learning_rate * gradient, state
