"""Gradient descent on all samples at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg.optim.rules.rule import Rule, State

__all__ = ["GD"]


@dataclass(frozen=True)
class GD(Rule):
    """Gradient descent: ``w ← w - α g`` with the gradient over all samples.

    References
    ----------
    A. Cauchy, Comptes rendus 25, 536 (1847).
    """

    learning_rate: float = 0.1
    full_batch: ClassVar[bool] = True

    def init(self, parameter: Any) -> State:
        return {}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        return parameter - self.learning_rate * gradient, state
