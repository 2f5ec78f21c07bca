r"""The Gauss-Newton matrix of a network from pairs of neurons and pairs of inputs.

A block of it, for layers l and m, is a sum over samples of Kronecker products,

.. math:: H_{lm} = \sum_i (Δ_i[l]^\top S_i Δ_i[m]) ⊗ (ā_i[l]\, ā_i[m]^\top), \qquad
          S_i = w_i \frac{∂^2ℓ}{∂z^2} ,

and that is one matrix product: all products of two neurons' δ, by all products of two inputs,
over the samples. Within a layer both are symmetric, which halves the work of the
symmetric product JᵀSJ, and the outputs are summed before the product, which divides it by their
number. For a single output there is nothing to sum: between two layers the rows of J, made for a
block of samples at a time, give as many sums, and fewer factors have to be made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import thalweg.numpy as tnp
from thalweg.graph import Node
from thalweg.nn.network import Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.blas import single_threaded_blas
from thalweg.optim.definite import DefiniteSystem
from thalweg.training.batches import Samples
from thalweg.training.layer_pairs import LayerPairs
from thalweg.training.sensitivities import Blocks, Pieces, Places

__all__ = ["Primal"]

Array = NDArray[Any]
BLOCK_BYTES = 8 << 20
"""About the size of the products of pairs in a block of samples."""


class Primal:
    """Makes H as a matrix, streamed over the samples.

    Parameters
    ----------
    objective : NetworkObjective
    samples : Samples
    native : bool
        Whether blocks are made by native code.
    """

    def __init__(self, objective: NetworkObjective, samples: Samples, native: bool) -> None:
        self.pairs = _pairs(objective.network)
        self.total = float(samples.weights.sum()) or 1.0
        block = int(np.clip(BLOCK_BYTES // (8 * self.pairs.width), 32, 1024))
        self.blocks = Blocks(objective, samples, block, _products, native)
        self.places = self.blocks.places
        self.system = DefiniteSystem(self.places.count, native)
        self.entries = self.pairs.index[self.system.entries]

    def at(self, theta: Array) -> tuple[float, Array, Matrix]:
        """Mean loss, its gradient, and its curvature at a point."""
        found = self.blocks.sums(theta)
        count = 1 + self.places.count
        gradient = found[1:count] / self.total
        return float(found[0] / self.total), gradient, Matrix(self, found[count:], gradient)


def _pairs(network: Network) -> LayerPairs:
    return LayerPairs(Places(network), rows=network.outputs == 1)


def _products(p: Pieces, network: Network) -> list[Node]:
    """Value, gradient, and for every pair of layers the sums of its block of H."""
    deltas = [tnp.transpose(d, (1, 2, 0)) for d in p.deltas]
    S = tnp.transpose(p.curvatures, (1, 2, 0))
    weighted = [_weighted(S, d) for d in deltas]
    inputs = [tnp.transpose(a) for a in p.activations]
    found = [p.value, p.gradient]
    for pair in _pairs(network):
        left, right = deltas[pair.left], weighted[pair.right]
        if pair.rows:
            factors = _rows(left, inputs[pair.left]), _rows(right, inputs[pair.right])
        else:
            (i, j), (h, k) = pair.neurons, pair.inputs
            of_neurons = tnp.take(left, i, axis=1) * tnp.take(right, j, axis=1)
            of_inputs = tnp.take(inputs[pair.left], h, axis=0) * tnp.take(
                inputs[pair.right], k, axis=0
            )
            factors = tnp.sum(of_neurons, axis=0), of_inputs
        found.append(tnp.matmul(factors[0], tnp.transpose(factors[1])))
    return found


def _rows(delta: Node, inputs: Node) -> Any:
    """The derivatives of a single output by all parameters of a layer, [W, b] row by row."""
    products = tnp.transpose(delta, (1, 0, 2)) * inputs
    return tnp.reshape(products, (-1, inputs.shape[-1]))


def _weighted(S: Node, delta: Node) -> Any:
    """S Δ of every sample, shape (n[L], n[l], samples)."""
    if S.shape[0] == 1:
        return S * delta
    return tnp.sum(tnp.expand_dims(S, 2) * tnp.expand_dims(delta, 0), axis=1)


class Matrix:
    """A curvature as a matrix.

    Parameters
    ----------
    form : Primal
    sums : array
        The entries that differ, times the sum of the weights.
    gradient : array of shape (P,)
    """

    def __init__(self, form: Primal, sums: Array, gradient: Array) -> None:
        self.form, self.sums, self.gradient = form, sums, gradient

    @property
    def diagonal(self) -> Array:
        """Its diagonal."""
        return np.asarray(self.sums[self.form.pairs.index.diagonal()] / self.form.total)

    def solve(self, diagonal: Array, extra: Array) -> Array | None:
        """By Cholesky's factors of the equations times the sum of the weights."""
        form, total = self.form, self.form.total
        right = -total * (self.gradient + extra)
        return form.system.solve(total * diagonal, right, (self.sums, form.entries))

    def matrix(self) -> Array:
        """All of it."""
        return np.asarray(self.sums[self.form.pairs.index] / self.form.total)

    def eigenvalues(self) -> Array:
        """By a symmetric reduction."""
        with single_threaded_blas():
            return np.asarray(np.linalg.eigvalsh(self.matrix()))
