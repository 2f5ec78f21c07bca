r"""The exact Hessian of a network's loss over many samples, from pairs of neurons and of inputs.

Parameters enter through :math:`z[l] = W[l]\,a[l-1] + b[l]` alone, and the loss of a sample has the
gradient :math:`δ[l] ⊗ ā[l-1]` by them, with :math:`δ[l] = ∂ℓ/∂z[l]` and
:math:`ā = [a, 1]`. Differentiated once more, the block for layers l ≤ m is

.. math:: \frac{∂^2ℓ}{∂θ[l]\,∂θ[m]}
          = \frac{∂δ[m]}{∂z[l]} ⊗ (ā[l-1]\, ā[m-1]^\top)
          + \frac{∂a[m-1]}{∂z[l]} ⊗ (ā[l-1]\, δ[m]^\top) ,

the second term for l < m only, where W[m] meets inputs that depend on layer l. Only the derivatives
by z, as many as neurons, are pushed through the network; the parameters are reached by two
matrix products over the samples, of the sizes that `thalweg.training.primal` has for the
Gauss-Newton matrix.

C. M. Bishop, Exact calculation of the Hessian matrix for the multilayer perceptron, Neural
Computation 4 (1992) 494-501.

Examples
--------
>>> import numpy as np
>>> from thalweg.nn.losses import loss
>>> from thalweg.nn.network import Dense, Network
>>> objective = NetworkObjective(Network([Dense(1, 1, bias=False)]), loss("mse"))
>>> samples = Samples(np.array([[1.0], [2.0]]), np.ones((2, 1)), np.ones(2))
>>> ExactHessian(objective, samples, native=False).at(np.zeros(1))  # of (w x - t)²
array([[5.]])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import thalweg.numpy as tnp
from thalweg.differentiation import backward, forward
from thalweg.differentiation.batching import along_samples
from thalweg.graph import Node, constant, variable
from thalweg.nn.network import Network
from thalweg.nn.objective import NetworkObjective
from thalweg.training.batches import Samples
from thalweg.training.layer_pairs import LayerPair, LayerPairs
from thalweg.training.sensitivities import Blocks, Places

__all__ = ["ExactHessian"]

Array = NDArray[Any]
BLOCK_BYTES = 8 << 20
"""About the size of the products of pairs in a block of samples."""


@dataclass(frozen=True)
class SecondPieces:
    """Nodes of a graph over a block of samples, with the samples as the last axis.

    Attributes
    ----------
    inputs : tuple of Node
        W[1], b[1], W[2], ..., X, T, w.
    slopes : list of Node
        w δ[l] of every layer, shape (n[l], samples).
    activations : list of Node
        [a[l-1], 1] of every layer; without the 1 where it has no biases.
    bends : dict of (int, int) to Node
        w ∂δ[m]/∂z[l] for layers l ≤ m, shape (n[l], n[m], samples).
    carried : dict of (int, int) to Node
        ∂a[m-1]/∂z[l] for layers l < m, shape (n[l], n[m-1], samples).
    """

    inputs: tuple[Node, ...]
    slopes: list[Node]
    activations: list[Node]
    bends: dict[tuple[int, int], Node]
    carried: dict[tuple[int, int], Node]


def second_pieces(objective: NetworkObjective, samples: int) -> SecondPieces:
    """Trace the second derivatives by z of a block of samples, in float64."""
    one = objective.sample_graph(np.float64)
    *leaves, x, t = one.inputs
    cost = -one.outputs[0] if objective.loss.maximise else one.outputs[0]
    layers, last = objective.network.layers, len(objective.network.layers)
    summed = [one.labels[f"z[{number}]"] for number in range(1, last + 1)]
    entering = [one.labels[f"a[{number}]"] for number in range(last)]
    derivation = backward(cost, summed)
    slopes = [derivation.gradient(z) for z in summed]
    bends: dict[tuple[int, int], Node] = {}
    carried: dict[tuple[int, int], Node] = {}
    for k, z in enumerate(summed):
        found = _along(z, [*slopes[k:], *entering[k + 1 :]])
        bends |= {(k, m): node for m, node in enumerate(found[: last - k], k)}
        carried |= {(k, m): node for m, node in enumerate(found[last - k :], k + 1)}
    X, T = variable((samples, *x.shape), "float64"), variable((samples, *t.shape), "float64")
    w = variable((samples,), "float64")
    wanted = [*slopes, *entering, *bends.values(), *carried.values()]
    image = along_samples(wanted, {x: X, t: T})
    ones = constant(np.ones((1, samples)))
    activations = [
        tnp.concatenate([tnp.transpose(image[a]), ones]) if layer.bias else tnp.transpose(image[a])
        for a, layer in zip(entering, layers, strict=True)
    ]
    return SecondPieces(
        (*leaves, X, T, w),
        [w * tnp.transpose(image[slope]) for slope in slopes],
        activations,
        {key: w * tnp.transpose(image[node], (1, 2, 0)) for key, node in bends.items()},
        {key: tnp.transpose(image[node], (1, 2, 0)) for key, node in carried.items()},
    )


def _along(wanted: Node, outputs: list[Node]) -> list[Node]:
    """The derivative of vectors by every entry of a vector: a row for each of its entries."""
    seed = variable(wanted.shape, wanted.dtype)
    pushed = forward(outputs, [wanted], [seed])
    image = along_samples(pushed, {seed: constant(np.eye(wanted.size))})
    return [image[node] for node in pushed]


class ExactHessian:
    """Makes the Hessian of the mean loss, streamed over the samples.

    Parameters
    ----------
    objective : NetworkObjective
        Its penalty is left out.
    samples : Samples
    native : bool
        Whether blocks are made by native code.
    """

    def __init__(self, objective: NetworkObjective, samples: Samples, native: bool = True) -> None:
        self.total = float(samples.weights.sum()) or 1.0
        self.places = Places(objective.network)
        self.pairs = LayerPairs(self.places)
        block = int(np.clip(BLOCK_BYTES // (16 * self.pairs.width), 32, 1024))
        self.blocks = Blocks(objective, samples, block, _products, native, second_pieces)

    def at(self, theta: Array) -> Array:
        """The Hessian at a point, shape (P, P); its bits do not depend on the threads."""
        sums = self.blocks.sums(theta) / self.total
        symmetric, mixed = np.split(sums, [self.pairs.starts[-1]])
        found = symmetric[self.pairs.index]
        for pair in self.pairs:
            if pair.left != pair.right:
                own, mixed = np.split(mixed, [_mixed_size(pair, self.places)])
                self._add(found, pair, own)
        return np.asarray(found)

    def _add(self, found: Array, pair: LayerPair, sums: Array) -> None:
        """Add Σ w ∂a[m-1]/∂z[l] ⊗ (ā[l-1] δ[m]ᵀ), which W[m] has and b[m] has not."""
        layers, starts = self.places.network.layers, self.places.starts
        one, other = layers[pair.left], layers[pair.right]
        i, h = self.places.neuron_and_input(pair.left)
        parts = sums.reshape(one.outputs, other.inputs, one.inputs + one.bias, other.outputs)
        block = parts.transpose(0, 2, 3, 1)[i, h].reshape(one.count, -1)
        rows = self.pairs.span(pair.left)
        columns = slice(starts[pair.right], starts[pair.right] + block.shape[1])
        found[rows, columns] += block
        found[columns, rows] += block.T


def _products(p: SecondPieces, network: Network) -> list[Node]:
    """For every pair of layers the sums of both terms."""
    symmetric, mixed = [], []
    for pair in LayerPairs(Places(network)):
        (i, j), (h, k) = pair.neurons, pair.inputs
        bends = p.bends[pair.left, pair.right]
        m, n, samples = bends.shape
        of_neurons = tnp.take(tnp.reshape(bends, (m * n, samples)), i * n + j, axis=0)
        left, right = p.activations[pair.left], p.activations[pair.right]
        of_inputs = tnp.take(left, h, axis=0) * tnp.take(right, k, axis=0)
        symmetric.append(tnp.matmul(of_neurons, tnp.transpose(of_inputs)))
        if pair.left != pair.right:
            carried = p.carried[pair.left, pair.right]
            pushed = tnp.expand_dims(left, 1) * tnp.expand_dims(p.slopes[pair.right], 0)
            rows, columns = (
                tnp.reshape(a, (a.shape[0] * a.shape[1], samples)) for a in (carried, pushed)
            )
            mixed.append(tnp.matmul(rows, tnp.transpose(columns)))
    return [*symmetric, *mixed]


def _mixed_size(pair: LayerPair, places: Places) -> int:
    """How many sums the second term has."""
    one, other = (places.network.layers[number] for number in (pair.left, pair.right))
    return one.outputs * other.inputs * (one.inputs + one.bias) * other.outputs
