"""Adam as scikit-learn computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.optim.rules import Rule, State

__all__ = ["ShortAdam"]


@dataclass(frozen=True)
class ShortAdam(Rule):
    r"""Adam with ε added before the correction of the start.

    .. math:: w ← w - α\frac{\sqrt{1-β_2^k}}{1-β_1^k}\,\frac{m}{\sqrt v + ε}

    `thalweg.optim.rules.Adam` corrects :math:`v` first, which in effect makes ε larger in the
    first steps; the difference shows from the eighth digit on.

    References
    ----------
    D. Kingma and J. Ba, ICLR 2015, the end of section 2.

    Examples
    --------
    >>> import numpy
    >>> rule, w = ShortAdam(learning_rate=0.1), numpy.array([1.0])
    >>> rule.update(w, 2.0 * w, rule.init(w), 1.0)[0]
    array([0.90000002])
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def init(self, parameter: Any) -> State:
        """Two moments, both zero."""
        return {"mean": np.zeros_like(parameter), "square": np.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        """One step."""
        mean = self.beta1 * state["mean"] + (1.0 - self.beta1) * gradient
        square = self.beta2 * state["square"] + (1.0 - self.beta2) * gradient * gradient
        correction = np.sqrt(1.0 - self.beta2**step) / (1.0 - self.beta1**step)
        size = np.sqrt(square) + self.epsilon
        moved = parameter - self.learning_rate * correction * mean / size
        return moved, {"mean": mean, "square": square}
