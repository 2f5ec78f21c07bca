"""Weights whose outputs are pulled together until they hold all constraints.

A network whose last layer is W·a + b goes over into a constant one as W → 0, b → c. What a
constant keeps with room (bounds of outputs; outputs that do not fall), a network on the way to it
keeps, too. So where a solver ends with outputs a little beyond a bound, a part of the last layer
holds, and costs little.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from thalweg.nn.network import Network, Params
from thalweg.training.constraints.frame import Vector
from thalweg.trees import flatten

__all__ = ["pulled_together"]

LEAST, HALVINGS = 0.5, 7
"""The least part of the last layer that is worth keeping, and how closely it is determined."""


def pulled_together(
    network: Network, params: Params, X: NDArray[np.float64], holds: Callable[[Vector], bool]
) -> tuple[float, Vector] | None:
    """The largest part of the last layer that holds, and the weights with it.

    Parameters
    ----------
    network : Network
    params : list of dict
    X : array of shape (n, n[0])
        Samples around whose mean output the outputs are pulled together.
    holds : callable
        Whether weights, as one vector of shape (P,), hold all constraints.

    Returns
    -------
    (float, array) or None
        None where less than half of it would be left, or layers are no functions of entries.

    Examples
    --------
    >>> from thalweg.nn.network import Dense
    >>> X, params = np.array([[-1.0], [1.0]]), [{"W": np.array([[4.0]]), "b": np.ones(1)}]
    >>> pulled_together(Network([Dense(1, 1)]), params, X, lambda theta: theta[0] <= 3.0)
    (0.75, array([3., 1.]))
    """
    *hidden, last = network.layers
    if not all(layer.g.entrywise for layer in hidden):
        return None
    *before, own = params
    a = X
    for layer, one in zip(hidden, before, strict=True):
        a = np.asarray(layer.g(a @ one["W"].T + one.get("b", 0.0)))
    centre = np.mean(a @ own["W"].T + own["b"], axis=0) if last.bias else None

    def at(part: float) -> Vector:
        moved = {"W": part * own["W"]}
        if centre is not None:
            moved["b"] = part * own["b"] + (1.0 - part) * centre
        return np.concatenate([np.ravel(leaf) for leaf in flatten([*before, moved])[0]])

    low, high = LEAST, 1.0
    if not holds(at(low)):
        return None
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(at(middle)) else (low, middle)
    return low, at(low)
