r"""How outputs follow parameters, sample by sample, without writing a Jacobian down.

A weight enters :math:`z[l] = W[l]\,a[l-1] + b[l]` once, so that the Jacobian of the outputs has
for every layer the rows

.. math:: \frac{∂z_o}{∂(W, b)[l]} = δ_o[l] ⊗ [a[l-1], 1], \qquad δ_o[l] = \frac{∂z_o}{∂z[l]} .

Everything second order asks of a network is made of these δ and activations, which are far
smaller than J, and of the first two derivatives of the loss by the outputs. Here they are traced
once for one sample, compiled for a block of samples, and streamed over all of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import thalweg.numpy as tnp
from thalweg.compiler.crew import run_on_threads
from thalweg.compiler.once import once
from thalweg.compiler.target import available_threads
from thalweg.differentiation import backward
from thalweg.differentiation.batching import along_samples
from thalweg.graph import Graph, Node, constant, variable
from thalweg.interpreter import plan
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.training.batches import Samples

__all__ = ["Blocks", "Pieces", "Places", "Sensitivities", "pieces", "sensitivities"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Pieces:
    """Nodes of a graph over a block of samples.

    Attributes
    ----------
    inputs : tuple of Node
        W[1], b[1], W[2], ..., X, T, w.
    value : Node
        Σ w ℓ, of what is minimised.
    gradient : Node
        Its derivative by all parameters, shape (P,).
    slopes : Node
        w ∂ℓ/∂z, shape (samples, n[L]).
    curvatures : Node
        w ∂²ℓ/∂z², shape (samples, n[L], n[L]).
    deltas : list of Node
        δ[l] of every layer, shape (samples, n[L], n[l]).
    activations : list of Node
        [a[l-1], 1] of every layer; without the 1 where it has no biases.
    """

    inputs: tuple[Node, ...]
    value: Node
    gradient: Node
    slopes: Node
    curvatures: Node
    deltas: list[Node]
    activations: list[Node]


def pieces(objective: NetworkObjective, samples: int) -> Pieces:
    """Trace value, gradient and sensitivities of a block of samples, in float64."""
    one = objective.sample_graph(np.float64)
    *leaves, x, t = one.inputs
    cost = -one.outputs[0] if objective.loss.maximise else one.outputs[0]
    layers = objective.network.layers
    last = len(layers)
    output = one.labels[f"a[{last}]"]
    before = one.labels[f"z[{last}]"]
    if objective.loss.classes or _bypassed(one.outputs[0], output, before):
        output = before
    summed = [one.labels[f"z[{number}]"] for number in range(1, last + 1)]
    entering = [one.labels[f"a[{number}]"] for number in range(last)]
    slope = backward(cost, [output]).gradient(output)
    (outer,) = _rows(slope, [output])
    deltas = _rows(output, summed)
    X, T = variable((samples, *x.shape), "float64"), variable((samples, *t.shape), "float64")
    w = variable((samples,), "float64")
    image = along_samples([cost, slope, outer, *deltas, *entering], {x: X, t: T})
    ones = constant(np.ones((samples, 1)))
    activations = [
        tnp.concatenate([image[a], ones], axis=1) if layer.bias else image[a]
        for a, layer in zip(entering, layers, strict=True)
    ]
    slopes = tnp.reshape(w, (samples, 1)) * image[slope]
    own = [
        tnp.matmul(tnp.transpose(tnp.sum(tnp.expand_dims(slopes, 2) * image[delta], axis=1)), a)
        for delta, a in zip(deltas, activations, strict=True)
    ]
    parts = [
        tnp.reshape(part, -1)
        for sums, layer in zip(own, layers, strict=True)
        for part in (sums[:, : layer.inputs], sums[:, layer.inputs :])
    ]
    return Pieces(
        (*leaves, X, T, w),
        tnp.sum(w * image[cost]),
        tnp.concatenate(parts),
        slopes,
        tnp.reshape(w, (samples, 1, 1)) * _convex(image[outer]),
        [image[delta] for delta in deltas],
        activations,
    )


def _bypassed(loss: Node, output: Node, before: Node) -> bool:
    """Whether the loss depends on what comes before the output by ways around it.

    So it is after log(exp z) has become z, or log(softmax z) a difference: the loss is then a
    (convex) function of z[L], not of a[L] alone.
    """
    waiting, seen = [loss], {output}
    while waiting:
        node = waiting.pop()
        if node is before and node is not output:
            return True
        waiting += [i for i in node.inputs if i not in seen]
        seen.update(node.inputs)
    return False


def _convex(outer: Node) -> Any:
    """∂²ℓ/∂z² without negative curvature of single outputs."""
    outputs = outer.shape[-1]
    if outputs == 1:
        return tnp.maximum(outer, 0.0)
    return tnp.where(constant(np.eye(outputs, dtype=bool)), tnp.maximum(outer, 0.0), outer)


def _rows(output: Node, wanted: Sequence[Node]) -> list[Node]:
    """The Jacobians of a vector by vectors: a row for every entry."""
    seed = variable(output.shape, output.dtype)
    derivation = backward(output, wanted, seed)
    slopes = [derivation.gradient(node) for node in wanted]
    image = along_samples(slopes, {seed: constant(np.eye(output.size))})
    return [image[node] for node in slopes]


class Blocks:
    """Runs a graph over all samples, block by block, and hands the results on in order.

    Several threads work at once, but the blocks and their order do not depend on how many.

    Parameters
    ----------
    objective : NetworkObjective
    samples : Samples
        Weights of zero leave a sample out.
    block : int
        The most samples in a block.
    make : callable
        From `Pieces` and the network to the nodes that are wanted; it knows nothing else.
    native : bool
        Whether blocks are made by native code.
    trace : callable
        What makes the pieces, of objective and samples in a block.
    """

    def __init__(
        self,
        objective: NetworkObjective,
        samples: Samples,
        block: int,
        make: Callable[[Any, Network], Sequence[Node]],
        native: bool = True,
        trace: Callable[[NetworkObjective, int], Any] = pieces,
    ) -> None:
        self.samples = Samples(*(np.ascontiguousarray(a, np.float64) for a in samples))
        self.count = len(self.samples.X)
        self.block = even_block(self.count, block)
        self.places = Places(objective.network)
        graph = _graph if objective.fixed else _graph.__wrapped__
        self.graph, self.native = graph(objective, self.block, trace, make), native
        self._threads = available_threads() if native else 1
        self.slots = 2 * self._threads
        self.only = self._part(0) if self.count <= self.block else []
        self._theta = np.zeros(self.places.count)

    def map(self, theta: Array, use: Callable[[list[Array], int], Any]) -> Iterator[Any]:
        """``use(results, slot)`` of every block; the last one is filled up with weights of zero.

        What is handed on may lie in buffers: the slot, one of `slots`, is the number of one that
        nobody uses any more. The results are overwritten when the next block begins.
        """
        leaves = self.places.leaves(theta)
        if self.only:
            return iter([use(self._run(*leaves, *self.only), 0)])

        def work(number: int) -> Any:
            part = self._part(number * self.block)
            return use(self._run(*leaves, *part), number % self.slots)

        return self.each(work, range(-(-self.count // self.block)))

    def sums(self, theta: Array) -> Array:
        """All results, one behind the other, added up over the blocks."""
        self._theta[:] = theta
        return self._total()

    @once
    def _run(self) -> Callable[..., list[Any]]:
        return _native(self.graph) if self.native else _interpreted(self.graph)

    @once
    def _total(self) -> Callable[[], Array]:
        leaves, starts = self.places.leaves(self._theta), range(0, self.count, self.block)
        blocks = [[*leaves, *self._part(start)] for start in starts]
        if not self.native:
            return lambda: _added(self._run(*block) for block in blocks)
        from thalweg.compiler.blockwise import BlockSums

        return BlockSums(self.graph, blocks, self._threads).total

    def each(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """``map(work, items)`` by all threads, `slots` items ahead of what was handed on."""
        for start in range(0, len(items), self.slots):
            group = items[start : start + self.slots]
            found: list[Any] = [None] * len(group)

            def share(
                thread: int,
                threads: int,
                group: Sequence[Any] = group,
                found: list[Any] = found,
            ) -> None:
                for k in range(thread, len(group), threads):
                    found[k] = work(group[k])

            run_on_threads(share, min(self._threads, len(group)))
            yield from found

    def _part(self, start: int) -> list[Array]:
        stop = start + self.block
        part = [a[start:stop] for a in self.samples]
        missing = self.block - len(part[0])
        if missing:
            part = [np.concatenate([a, np.repeat(a[-1:], missing, axis=0)]) for a in part]
            part[2][-missing:] = 0.0
        return part


@lru_cache(maxsize=16)
def _graph(
    objective: NetworkObjective,
    samples: int,
    trace: Callable[[NetworkObjective, int], Any],
    make: Callable[[Any, Network], Sequence[Node]],
) -> Graph:
    """What is computed for a block of samples; restarts and fits to other data share it."""
    traced = trace(objective, samples)
    return Graph(traced.inputs, tuple(make(traced, objective.network)))


def even_block(count: int, most: int, lanes: int = 8) -> int:
    """The size of blocks that share samples evenly among an even number of blocks.

    Examples
    --------
    >>> even_block(2000, 300), even_block(41, 300)
    (256, 41)
    """
    if count <= most // 2:
        return max(1, count)
    blocks = 2 * -(-count // (2 * most))
    return min(most, -(-count // (blocks * lanes)) * lanes)


def _native(graph: Graph) -> Callable[..., list[Any]]:
    """The graph as native code, which writes into arrays that each thread keeps."""
    from thalweg.compiler.function import NativeGraph

    native, own = NativeGraph(graph, alone=True), threading.local()

    def run(*arguments: Array) -> list[Any]:
        if not hasattr(own, "results"):
            own.results = native.blank()
        return native.into(own.results, *arguments)

    return run


def _interpreted(graph: Graph) -> Callable[..., list[Any]]:
    run = plan(graph)
    return lambda *arguments: list(run(arguments))


def _added(results: Iterable[Sequence[Any]]) -> Array:
    """All results of each block, one behind the other, added up."""
    rows = (np.concatenate([np.ravel(a) for a in found]) for found in results)
    sums = next(rows)
    for row in rows:
        sums += row
    return sums


class Places:
    """Where the parameters of each layer stand in the vector of all of them.

    Examples
    --------
    >>> from thalweg.nn.network import Dense
    >>> places = Places(Network([Dense(2, 3), Dense(3, 1)]))
    >>> places.matrices(np.arange(13.0))[1]
    array([[ 9., 10., 11., 12.]])
    """

    def __init__(self, network: Network) -> None:
        self.network, self.count = network, network.count
        self.starts: list[int] = []
        self._parts: list[tuple[slice, tuple[int, ...]]] = []
        start = 0
        for layer in network.layers:
            self.starts.append(start)
            for shape in layer.shapes.values():
                stop = start + math.prod(shape)
                self._parts.append((slice(start, stop), shape))
                start = stop

    def leaves(self, theta: Array) -> list[Array]:
        """W[1], b[1], W[2], ... as parts of the vector."""
        return [theta[part].reshape(shape) for part, shape in self._parts]

    def matrices(self, theta: Array) -> list[Array]:
        """[W, b] of every layer."""
        found, leaves = [], iter(self.leaves(theta))
        for layer in self.network.layers:
            W = next(leaves)
            found.append(np.column_stack([W, next(leaves)]) if layer.bias else W)
        return found

    def vector(self, matrices: Sequence[Array]) -> Array:
        """The vector again."""
        parts = []
        for layer, matrix in zip(self.network.layers, matrices, strict=True):
            parts.append(matrix[:, : layer.inputs].ravel())
            if layer.bias:
                parts.append(matrix[:, -1])
        return np.concatenate(parts)

    def neuron_and_input(self, number: int) -> tuple[Array, Array]:
        """For every parameter of a layer, the row and column it has in [W, b]."""
        layer = self.network.layers[number]
        rows, columns = np.divmod(np.arange(layer.inputs * layer.outputs), layer.inputs)
        if not layer.bias:
            return rows, columns
        own = np.arange(layer.outputs)
        return np.concatenate([rows, own]), np.concatenate(
            [columns, np.full(layer.outputs, layer.inputs)]
        )


@dataclass(frozen=True)
class Sensitivities:
    """The numbers of `Pieces` on a block of samples, and products with its Jacobian."""

    value: float
    gradient: Array
    slopes: Array
    curvatures: Array
    deltas: Sequence[Array]
    activations: Sequence[Array]
    layers: Sequence[Dense]

    def product(self, matrices: Sequence[Array]) -> Array:
        """J·v, shape (samples, n[L]), of a vector given as [W, b] of every layer."""
        total = np.zeros(self.deltas[0].shape[:2])
        for delta, a, V in zip(self.deltas, self.activations, matrices, strict=True):
            total += np.matmul(delta, (a @ V.T)[:, :, None])[:, :, 0]
        return total

    def transposed(self, u: Array) -> list[Array]:
        """Jᵀu as [W, b] of every layer."""
        return [
            np.matmul(u[:, None, :], delta)[:, 0, :].T @ a
            for delta, a in zip(self.deltas, self.activations, strict=True)
        ]

    def rows(self) -> Array:
        """J itself, shape (samples, n[L], P)."""
        samples, outputs = self.deltas[0].shape[:2]
        found = []
        for delta, a, layer in zip(self.deltas, self.activations, self.layers, strict=True):
            inputs = a[:, : layer.inputs]
            weights = delta[:, :, :, None] * inputs[:, None, None, :]
            found.append(weights.reshape(samples, outputs, -1))
            found += [delta] * layer.bias
        return np.concatenate(found, axis=2)

    def diagonal(self) -> list[Array]:
        """The diagonal of JᵀSJ, S being the curvatures, as [W, b] of every layer."""
        return [
            np.sum(delta * np.matmul(self.curvatures, delta), axis=1).T @ (a * a)
            for delta, a in zip(self.deltas, self.activations, strict=True)
        ]


def sensitivities(
    objective: NetworkObjective, samples: Samples, block: int, native: bool = True
) -> tuple[Blocks, Callable[[list[Array], int], Sensitivities]]:
    """Blocks that give sensitivities, and what reads a block's results as such."""
    layers = objective.network.layers
    count = len(layers)

    def read(found: list[Array], slot: int) -> Sensitivities:
        value, gradient, slopes, curvatures, *rest = (np.array(a) for a in found)
        return Sensitivities(
            float(value), gradient, slopes, curvatures, rest[:count], rest[count:], layers
        )

    return Blocks(objective, samples, block, _all_pieces, native), read


def _all_pieces(p: Pieces, network: Network) -> list[Node]:
    return [p.value, p.gradient, p.slopes, p.curvatures, *p.deltas, *p.activations]
