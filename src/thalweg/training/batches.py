"""Samples as the training loop sees them, and the order in which it does.

Examples
--------
>>> orders = Orders(5, seed=0)
>>> orders.next(), orders.next()
(array([1, 4, 3, 0, 2]), array([1, 3, 4, 2, 0]))
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Orders", "Samples", "default_batch_size"]


class Samples(NamedTuple):
    """Encoded and scaled samples.

    Parameters
    ----------
    X, T : array of shape (n, n[0]) and (n, n[L])
    weights : array of shape (n,)
    """

    X: NDArray[np.floating]
    T: NDArray[np.floating]
    weights: NDArray[np.floating]

    def take(self, rows: NDArray[np.int64]) -> Samples:
        """Some of the samples."""
        return Samples(self.X[rows], self.T[rows], self.weights[rows])


class Orders:
    """A new order of the rows for every epoch, from a seed.

    Parameters
    ----------
    samples : int
    seed : int
    shuffle : bool
        Whether the order changes at all.
    """

    def __init__(self, samples: int, seed: int = 0, shuffle: bool = True) -> None:
        self.samples, self.shuffle = samples, shuffle
        self.rng = np.random.Generator(np.random.PCG64([seed, 1]))

    def next(self) -> NDArray[np.int64]:
        """The order for the next epoch, shape (samples,)."""
        if not self.shuffle:
            return np.arange(self.samples)
        return self.rng.permutation(self.samples)

    def some(self, epochs: int) -> NDArray[np.int64]:
        """Those for the next epochs, shape (epochs, samples); one in memory if all are the same."""
        if not self.shuffle:
            return np.broadcast_to(self.next(), (epochs, self.samples))
        return np.array([self.next() for _ in range(epochs)])


def default_batch_size(samples: int) -> int:
    """32 rows, fewer in small tables so that an epoch has at least eight steps, at least 8.

    Examples
    --------
    >>> [default_batch_size(n) for n in (4, 100, 1000)]
    [4, 12, 32]
    """
    return min(samples, max(8, min(32, samples // 8)))
