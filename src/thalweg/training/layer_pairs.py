"""Pairs of layers, of their neurons and of their inputs: how a symmetric P × P matrix is summed.

A matrix whose block for two layers is a sum over samples of Kronecker products, of a matrix of
neurons with one of inputs, is one matrix product for each pair of layers: all products of two
neurons, by all products of two inputs, over the samples. Within a layer both are symmetric, so
that each unordered pair is needed once.

Where the matrix of neurons is a product of two vectors, one of each layer, the block of two layers
may as well be a product of **rows**, one for each parameter of a layer: these are as many sums, but
a layer has its rows in common for all others. So it is within a layer of one neuron.

Examples
--------
>>> from thalweg.nn.network import Dense, Network
>>> from thalweg.training.sensitivities import Places
>>> pairs = LayerPairs(Places(Network([Dense(2, 3), Dense(3, 1)])))
>>> [(pair.left, pair.right, pair.size) for pair in pairs]
[(0, 0, 36), (0, 1, 36), (1, 1, 10)]
>>> [(pair.left, pair.right, pair.shape) for pair in LayerPairs(pairs.places, rows=True)]
[(0, 0, (6, 6)), (0, 1, (9, 4)), (1, 1, (4, 4))]
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.nn.network import Network
from thalweg.training.sensitivities import Places

__all__ = ["LayerPair", "LayerPairs"]

Array = NDArray[Any]


class LayerPair:
    """Two layers, and the pairs of neurons and of inputs that are multiplied.

    Attributes
    ----------
    left, right : int
        Numbers of the layers, from 0.
    neurons, inputs : pair of arrays of int
        Which are multiplied; within a layer each unordered pair once.
    rows : bool
        Whether rows are multiplied instead. Then `left` has at least as many as `right`.
    shape : pair of int
        The numbers of factors.
    """

    def __init__(self, network: Network, left: int, right: int, rows: bool = False) -> None:
        layers = network.layers
        self.rows = rows and (left != right or layers[left].outputs == 1)
        if self.rows and layers[left].count < layers[right].count:
            left, right = right, left
        self.left, self.right = left, right
        one, other = layers[left], layers[right]
        self.neurons = self._pairs(one.outputs, other.outputs)
        self.inputs = self._pairs(one.inputs + one.bias, other.inputs + other.bias)
        factors = self.neurons[0].size, self.inputs[0].size
        self.shape = (one.count, other.count) if self.rows else factors

    @property
    def size(self) -> int:
        """The number of sums."""
        return math.prod(self.shape)

    def numbers(self, places: Places) -> Array:
        """Which of the sums each entry of the block is."""
        (i, h), (j, k) = map(places.neuron_and_input, (self.left, self.right))
        if self.rows:
            one, other = (places.network.layers[number] for number in (self.left, self.right))
            first = i * (one.inputs + one.bias) + h
            second = j * (other.inputs + other.bias) + k
            return np.asarray(first[:, None] * other.count + second)
        neurons, inputs = self.place_of(self.neurons, i, j), self.place_of(self.inputs, h, k)
        return neurons * self.inputs[0].size + inputs

    def _pairs(self, m: int, n: int) -> tuple[Array, Array]:
        if self.left == self.right:
            rows, columns = np.triu_indices(m)
        else:
            rows, columns = np.divmod(np.arange(m * n), n)
        return rows, columns

    def place_of(self, pairs: tuple[Array, Array], i: Array, j: Array) -> Array:
        """The number of the pair for every i (down) and j (across)."""
        rows, columns = pairs
        table = np.empty((rows.max() + 1, columns.max() + 1), np.intp)
        table[rows, columns] = np.arange(rows.size)
        if self.left == self.right:
            table[columns, rows] = table[rows, columns]
        return np.asarray(table[i[:, None], j])


class LayerPairs:
    """All pairs of layers of a network, and where their sums stand in a row and in the matrix.

    Parameters
    ----------
    places : Places
    rows : bool
        Whether rows may be multiplied.

    Attributes
    ----------
    starts : array of int
        Where the sums of each pair begin; the last is their number.
    """

    def __init__(self, places: Places, rows: bool = False) -> None:
        self.places = places
        network = places.network
        numbers = range(len(network.layers))
        self.pairs = [
            LayerPair(network, *both, rows) for both in combinations_with_replacement(numbers, 2)
        ]
        self.starts = np.concatenate([[0], np.cumsum([pair.size for pair in self.pairs])])

    def __iter__(self) -> Iterator[LayerPair]:
        return iter(self.pairs)

    @property
    def width(self) -> int:
        """The number of factors of a sample, those of each pair of layers counted apart."""
        return sum(sum(pair.shape) for pair in self.pairs)

    def span(self, number: int) -> slice:
        """The parameters of a layer."""
        start = self.places.starts[number]
        return slice(start, start + self.places.network.layers[number].count)

    @cached_property
    def index(self) -> Array:
        """For every entry of the matrix, which of the sums it is."""
        count = self.places.count
        found = np.empty((count, count), np.intp)
        for pair, start in zip(self.pairs, self.starts, strict=False):
            own = start + pair.numbers(self.places)
            if pair.left == pair.right:  # of two sums that differ by rounding, one for both places
                own = np.minimum(own, own.T)
            found[self.span(pair.left), self.span(pair.right)] = own
            found[self.span(pair.right), self.span(pair.left)] = own.T
        return found
