"""Weights to begin with under constraints: trained without them, or moved within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import ThalwegError
from thalweg.training.loop import Outcome, Task

__all__ = ["reflected", "trained_freely"]

Vector = NDArray[np.float64]

EPOCHS, PARAMETERS = 50, 2000
"""The most epochs, and the parameters up to which Levenberg-Marquardt serves."""
SMOOTH = 3e-3
"""Penalty on squares of weights: what is smooth violates less."""
LEFT_OUT: Mapping[str, Any] = MappingProxyType(
    {
        "learning_rate": None,
        "schedule": "constant",
        "clip_norm": None,
        "clip_value": None,
        "min_gradient": 0.0,
        "keep": None,
    }
)
"""Options that those methods cannot have."""


def trained_freely(task: Task) -> Outcome | None:
    """A short training by Levenberg-Marquardt, or L-BFGS where that does not serve."""
    from thalweg.training.methods import method, settle

    options, penalty = task.options, task.objective.penalty
    epochs = min(EPOCHS, (options.epochs or EPOCHS) // 2)
    patience = 6 if task.validation is not None else 0
    options = replace(options, epochs=epochs, patience=patience, **LEFT_OUT)
    objective = replace(task.objective, penalty=replace(penalty, l2=max(SMOOTH, penalty.l2)))
    free = replace(task, objective=objective, constraints=None, rule=None, options=options)
    small = task.objective.network.count <= PARAMETERS
    for name in ("lm", "lbfgs") if small else ("lbfgs",):
        chosen = method(name)
        try:
            outcome = chosen.run(settle(chosen, free))
        except ThalwegError:
            continue
        if outcome.stop.kind != "diverged":
            return outcome
    return None


def reflected(theta: Vector, lower: Vector, upper: Vector) -> Vector:
    """Weights outside their bounds mirrored at them: projected, they would all be the same."""
    mirrored = np.where(theta < lower, 2.0 * lower - theta, theta)
    mirrored = np.where(mirrored > upper, 2.0 * upper - mirrored, mirrored)
    return np.clip(mirrored, lower, upper)
