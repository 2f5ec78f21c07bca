"""Step sizes that follow the sign of the gradient only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import thalweg.numpy as np
from thalweg.optim.rules.rule import Rule, State

__all__ = ["RProp"]


@dataclass(frozen=True)
class RProp(Rule):
    """A step size Δ of its own for each weight: ``w ← w - sign(g) Δ``, on all samples.

    Δ grows by `grow` while the gradient keeps its sign and falls by `shrink` when it changes; in
    that step the weight rests. `learning_rate` is the first Δ.

    References
    ----------
    M. Riedmiller and H. Braun, IEEE International Conference on Neural Networks (1993); in the
    form Rprop- of C. Igel and M. Hüsken, Neurocomputing 50, 105 (2003), with the rest.
    """

    learning_rate: float = 0.01
    grow: float = 1.2
    shrink: float = 0.5
    smallest: float = 1e-6
    largest: float = 50.0
    full_batch: ClassVar[bool] = True

    def init(self, parameter: Any) -> State:
        size = np.full_like(parameter, self.learning_rate)
        return {"before": np.zeros_like(parameter), "size": size}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        agree, size = gradient * state["before"], state["size"]
        size = np.where(
            agree > 0.0, self.grow * size, np.where(agree < 0.0, self.shrink * size, size)
        )
        size = np.clip(size, self.smallest, self.largest)
        gradient = np.where(agree < 0.0, 0.0, gradient)
        return parameter - np.sign(gradient) * size, {"before": gradient, "size": size}
