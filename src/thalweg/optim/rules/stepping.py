"""One step of a rule on all parameters: what the programs of the training loop trace.

Examples
--------
>>> import numpy as np
>>> from thalweg.optim.rules import SGD
>>> advance(SGD(), None, [np.ones(2)], [np.ones(2)], [{}], 0.5, 1.0)
([array([0.5, 0.5])], [{}])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from thalweg.optim.rules.conditioning import Conditioning
from thalweg.optim.rules.rule import Rule, State

__all__ = ["advance"]


def advance(
    rule: Rule,
    conditioning: Conditioning | None,
    parameters: Sequence[Any],
    gradients: Sequence[Any],
    memory: Sequence[State],
    learning_rate: Any,
    step: Any,
) -> tuple[list[Any], list[State]]:
    """Move all parameters by one step.

    Parameters
    ----------
    rule : Rule
    conditioning : Conditioning or None
        What is done to the gradients first.
    parameters, gradients : sequence of array
    memory : sequence of dict
        What the rule remembers of each parameter.
    learning_rate, step : float or traced number
        The rate takes the place of the rule's own; steps count from 1.

    Returns
    -------
    list of array, list of dict
    """
    if conditioning is not None:
        gradients = conditioning(parameters, gradients)
    rule = replace(rule, learning_rate=learning_rate)
    moved = [
        rule.update(p, g, m, step) for p, g, m in zip(parameters, gradients, memory, strict=True)
    ]
    return [p for p, _ in moved], [m for _, m in moved]
