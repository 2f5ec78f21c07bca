r"""Dropout by counting: which neurons rest follows from seed, step, row, layer and neuron alone.

No generator is carried along. Each neuron's number is hashed with the key of its sample, so the
same step gives the same masks on every engine, in any order, with any number of threads.

The hash is a few rounds of x ↦ x⁵ + c in the integers modulo the prime p = 2³¹ - 1. Fifth powers
permute them, because 5 does not divide p - 1, and products stay below 2⁶². Keys take three rounds;
what is drawn from a key, which is mixed already, takes two: it is then a polynomial of degree 25,
and by Weil's bound no two neurons' numbers are correlated by more than 25/√p = 5e-4.

Examples
--------
>>> import numpy as np
>>> key = keys(seed=0, step=1, rows=np.array([7]))[0]
>>> mask(key, layer=1, count=6, rate=0.5)
array([2., 2., 2., 2., 0., 0.])
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import thalweg.numpy as tnp

__all__ = ["keys", "mask"]

PRIME = 2**31 - 1
ROUNDS = (1_640_531_527, 1_013_904_223, 362_437_069)


def _mixed(h: Any, rounds: int = len(ROUNDS)) -> Any:
    """A hash of integers modulo `PRIME`, ordinary or traced."""
    h = h % PRIME
    for c in ROUNDS[:rounds]:
        square = h * h % PRIME
        h = (square * square % PRIME * h + c) % PRIME
    return h


def keys(seed: int, step: Any, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """A key for each sample of a step (or of one step each), shape of `rows`."""
    start = _mixed(_mixed(np.int64(seed % PRIME)) + step)
    return np.asarray(_mixed(start + np.asarray(rows, np.int64)))


def mask(key: Any, layer: int, count: int, rate: float) -> Any:
    """What a layer's activations are multiplied by: 0, or 1/(1 - rate), shape (count,).

    Parameters
    ----------
    key : int64, ordinary or traced
        Of the sample.
    layer : int
        Its number in the network.
    count : int
        Of its neurons.
    rate : float
        The share that rests, below 1.
    """
    drawn = _mixed(_mixed(key + layer) + np.arange(count), rounds=2)
    return tnp.where(drawn < round(rate * PRIME), 0.0, 1.0 / (1.0 - rate))
