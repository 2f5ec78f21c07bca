r"""Signs of weights that keep a network monotone everywhere: a start that surely holds.

Where all activations rise, a path from input j to output k through neurons h, i, ... raises the
output if the product of its weights is positive. If every neuron is given a sign s, and every
weight has the sign of :math:`s_i s_h`, then so do all products along paths, and the output is
monotone at every point, not only at those that were looked at. (J. Sill, Monotonic networks,
NeurIPS 10 (1997); H. Daniels and M. Velikova, IEEE Transactions on Neural Networks 21 (2010)
906-917.) Many monotone networks are not of this kind, so it is where training under the constraints
begins, not where it ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from thalweg.nn.activations import Activation
from thalweg.training.constraints.bound import Condition, ConstraintSet
from thalweg.training.constraints.frame import Vector

__all__ = ["kept_by_signs", "rises", "sign_bounds"]

GRID = np.linspace(-30.0, 30.0, 6001)
"""Where activations are looked at, whether they rise."""


def kept_by_signs(constraints: ConstraintSet) -> list[Condition]:
    """The conditions that signs of weights can keep: slopes along inputs that do not change sign.

    Empty where an activation does not rise.
    """
    if not all(rises(layer.g) for layer in constraints.frame.network.layers):
        return []
    return [
        c
        for c in constraints.conditions
        if c.region is not None and c.stated.quantity.order == 1 and not c.limits.any()
    ]


def sign_bounds(constraints: ConstraintSet, theta: Vector) -> tuple[Vector, Vector] | None:
    """Bounds of all parameters that keep these conditions, near some weights.

    Returns
    -------
    (lower, upper) or None
        None where no signs do: an output that rises and falls along one input.
    """
    conditions = kept_by_signs(constraints)
    directions = _directions(conditions, constraints.frame.network.sizes)
    if directions is None:
        return None
    ahead, along = directions
    lower, upper = constraints.lower.copy(), constraints.upper.copy()
    stop = len(theta)
    layers = constraints.frame.network.layers
    params = constraints.frame.params(theta)
    for number, (layer, own) in reversed(list(enumerate(zip(layers, params, strict=True)))):
        W = np.asarray(own["W"])
        behind = along if number == 0 else np.where(ahead @ W >= 0.0, 1.0, -1.0)
        wanted = np.outer(ahead, behind).ravel()
        start = stop - layer.count
        place = slice(start, start + W.size)
        lower[place] = np.where(wanted > 0.0, np.maximum(lower[place], 0.0), lower[place])
        upper[place] = np.where(wanted < 0.0, np.minimum(upper[place], 0.0), upper[place])
        ahead, stop = behind, start
    return None if np.any(lower > upper) else (lower, upper)


def rises(g: Activation) -> bool:
    """Whether an activation works entry by entry and never falls."""
    return g.entrywise and bool(np.all(np.diff(np.asarray(g(GRID))) >= 0.0))


def _directions(
    conditions: Sequence[Condition], sizes: Sequence[int]
) -> tuple[Vector, NDArray[np.float64]] | None:
    """A sign for every output and input, 0 for one that is free; None if they contradict."""
    if not conditions:
        return None
    wanted = np.zeros((sizes[-1], sizes[0]))
    for one in conditions:
        place = one.stated.quantity.output, one.stated.quantity.input
        if wanted[place] == one.sign:
            return None
        wanted[place] = -one.sign
    bound = np.flatnonzero(wanted.any(axis=1))
    outputs, inputs = np.zeros(sizes[-1]), np.zeros(sizes[0])
    for k in bound:
        shared = wanted[k] * inputs
        outputs[k] = -1.0 if np.any(shared < 0.0) else 1.0
        signed = outputs[k] * wanted[k]
        if np.any(signed * inputs < 0.0):
            return None
        inputs = np.where(inputs == 0.0, signed, inputs)
    return outputs, inputs
