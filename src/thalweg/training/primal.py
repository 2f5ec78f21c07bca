r"""The Gauss-Newton matrix of a network from pairs of neurons and pairs of inputs.

A block of it, for layers l and m, is a sum over samples of Kronecker products,

.. math:: H_{lm} = \sum_i (Δ_i[l]^\top S_i Δ_i[m]) ⊗ (ā_i[l]\, ā_i[m]^\top), \qquad
          S_i = w_i \frac{∂^2ℓ}{∂z^2} ,

and that is one matrix product: all products of two neurons' δ, by all products of two inputs,
over the samples. Within a layer both are symmetric, which halves the work of the
symmetric product JᵀSJ, and the outputs are summed before the product, which divides it by their
number. Rows of J are never made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import thalweg.numpy as tnp
from thalweg.graph import Node
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
        self.pairs = LayerPairs(Places(objective.network))
        self.total = float(samples.weights.sum()) or 1.0
        block = int(np.clip(BLOCK_BYTES // (8 * self.pairs.width), 32, 1024))
        self.blocks = Blocks(objective, samples, block, self._products, native)
        self.places = self.blocks.places
        self.parts = np.empty((self.blocks.slots, self.pairs.starts[-1]))
        self.system = DefiniteSystem(self.places.count, native)
        self.entries = self.pairs.index[self.system.entries]

    def at(self, theta: Array) -> tuple[float, Array, Matrix]:
        """Mean loss, its gradient, and its curvature at a point."""
        sums = np.zeros(self.pairs.starts[-1])
        gradient, loss = np.zeros(self.places.count), 0.0
        with single_threaded_blas():
            for value, slope, part in self.blocks.map(theta, self._part):
                loss += value
                gradient += slope
                sums += part
        sums /= self.total
        gradient /= self.total
        return loss / self.total, gradient, Matrix(self, sums, gradient)

    def _products(self, p: Pieces) -> list[Node]:
        """Value, gradient, and for every pair of layers the sums of its block of H."""
        deltas = [tnp.transpose(d, (1, 2, 0)) for d in p.deltas]
        S = tnp.transpose(p.curvatures, (1, 2, 0))
        weighted = [_weighted(S, d) for d in deltas]
        inputs = [tnp.transpose(a) for a in p.activations]
        found = [p.value, p.gradient]
        for pair in self.pairs:
            i, j = pair.neurons
            of_neurons = tnp.take(deltas[pair.left], i, axis=1) * tnp.take(
                weighted[pair.right], j, axis=1
            )
            h, k = pair.inputs
            of_inputs = tnp.take(inputs[pair.left], h, axis=0) * tnp.take(
                inputs[pair.right], k, axis=0
            )
            found.append(tnp.matmul(tnp.sum(of_neurons, axis=0), tnp.transpose(of_inputs)))
        return found

    def _part(self, results: list[Array], slot: int) -> tuple[float, Array, Array]:
        """Loss, gradient and all sums of a block of samples."""
        value, gradient, *sums = results
        part = np.concatenate([s.ravel() for s in sums], out=self.parts[slot])
        return float(value), np.array(gradient), part


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
        The entries that differ.
    gradient : array of shape (P,)
    """

    def __init__(self, form: Primal, sums: Array, gradient: Array) -> None:
        self.form, self.sums, self.gradient = form, sums, gradient

    @property
    def diagonal(self) -> Array:
        """Its diagonal."""
        return np.asarray(self.sums[self.form.pairs.index.diagonal()])

    def solve(self, diagonal: Array, extra: Array) -> Array | None:
        """By Cholesky's factors."""
        system = self.form.system
        np.take(self.sums, self.form.entries, out=system.panels, mode="clip")  # the quickest
        return system.solve(diagonal, -(self.gradient + extra))

    def matrix(self) -> Array:
        """All of it."""
        return np.asarray(self.sums[self.form.pairs.index])

    def eigenvalues(self) -> Array:
        """By a symmetric reduction."""
        with single_threaded_blas():
            return np.asarray(np.linalg.eigvalsh(self.matrix()))
