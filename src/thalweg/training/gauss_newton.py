r"""The normal equations of a network over its samples, streamed block by block.

With outputs :math:`z_i = f(θ, x_i)`, their Jacobian :math:`J_i = ∂z_i/∂θ` and the loss
:math:`ℓ(z, t)`, the generalised Gauss-Newton matrix (Schraudolph 2002) of the objective is

.. math:: H = \frac{1}{\sum w_i} \sum_i w_i\, J_i^\top \frac{∂^2ℓ}{∂z^2} J_i
          + \frac{∂^2\,\text{penalty}}{∂θ^2} ,

which is :math:`2 J^\top J / N` for the mean squared error. Blocks of rows of J are made by one
compiled function, added to H by a symmetric rank-k update, and forgotten: the memory is that of
H, whatever the number of samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import thalweg.numpy as tnp
from thalweg.compiler.function import NativeGraph
from thalweg.compiler.target import available_threads
from thalweg.differentiation import backward, grad, hessian
from thalweg.differentiation.batching import along_samples
from thalweg.graph import Graph, Node, constant, variable
from thalweg.interpreter import Plan, plan
from thalweg.nn.network import Params
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.blas import single_threaded_blas
from thalweg.trees import flatten

__all__ = ["NormalEquations", "Quadratic"]

Array = NDArray[Any]
BLOCK_BYTES = 2 << 20
"""About the size of a block of Jacobian rows."""


@dataclass(frozen=True)
class Quadratic:
    """A quadratic model of the objective at a point.

    Attributes
    ----------
    value : float
        Objective with its penalty.
    loss : float
        Without it.
    gradient : array of shape (P,)
    curvature : array of shape (P, P)
    """

    value: float
    loss: float
    gradient: Array
    curvature: Array

    def with_decay(self, theta: Array, decay: float) -> Quadratic:
        """The model of the objective and λ/2 |θ|², λ being the `decay`."""
        if decay == 0.0:
            return self
        curvature = self.curvature.copy()
        curvature[np.diag_indices(len(theta))] += decay
        value = self.value + 0.5 * decay * float(theta @ theta)
        return Quadratic(value, self.loss, self.gradient + decay * theta, curvature)


class NormalEquations:
    """Makes the quadratic model of an objective over given samples.

    Parameters
    ----------
    objective : NetworkObjective
    X, T, weights : array
        Of shapes (n, n[0]), (n, n[L]), (n,); weights of zero leave a sample out.
    native : bool
        Whether blocks are made by native code.
    """

    def __init__(
        self, objective: NetworkObjective, X: Array, T: Array, weights: Array, native: bool = True
    ) -> None:
        self.objective = objective
        self.sign = -1.0 if objective.loss.maximise else 1.0
        self.X, self.T, self.weights = (
            np.ascontiguousarray(a, np.float64) for a in (X, T, weights)
        )
        self.total = float(self.weights.sum()) or 1.0
        self.outputs = objective.network.outputs
        self.count = objective.network.count
        rows = max(64, BLOCK_BYTES // (8 * self.count * self.outputs))
        self.block = min(len(self.X), rows)
        graph = _block_graph(objective, self.block)
        self._run: NativeGraph | Plan = NativeGraph(graph) if native else plan(graph)

    def at(self, theta: Array) -> Quadratic:
        """The model at a point, given as one vector of all parameters.

        Blocks are worked on by several threads and added up in their own order, each with
        one thread of BLAS, so that the bits do not depend on the number of threads.
        """
        leaves = self.split(theta)
        curvature = np.zeros((self.count, self.count))
        gradient = np.zeros(self.count)
        loss = 0.0
        starts = range(0, len(self.X), self.block)
        with single_threaded_blas(), ThreadPoolExecutor(available_threads()) as pool:
            for value, slope, square in pool.map(lambda start: self._sums(leaves, start), starts):
                loss += value
                gradient += slope
                curvature += square
        curvature /= self.total
        gradient /= self.total
        loss *= self.sign / self.total
        return self._with_penalty(theta, loss, self.sign * gradient, curvature)

    def _sums(self, leaves: Sequence[Array], start: int) -> tuple[float, Array, Array]:
        """Loss, gradient and curvature of one block."""
        part = self._part(start)
        value, slope, rows, outer = self._run([*leaves, *part])
        scaled = self._scaled(rows, outer, part[2])
        return float(value), slope, scaled.T @ scaled

    def jacobian(self, theta: Array) -> Iterator[Array]:
        """∂z/∂θ of the samples, in blocks of shape (rows, n[L], P)."""
        leaves = self.split(theta)
        for start in range(0, len(self.X), self.block):
            _, _, rows, _ = self._run([*leaves, *self._part(start)])
            yield rows[: len(self.X) - start]

    def split(self, theta: Array) -> list[Array]:
        """One vector as W[1], b[1], W[2], ..."""
        parts, start = [], 0
        for layer in self.objective.network.layers:
            for shape in layer.shapes.values():
                size = int(np.prod(shape))
                parts.append(theta[start : start + size].reshape(shape))
                start += size
        return parts

    def _part(self, start: int) -> list[Array]:
        """A block of samples; the last one is filled up with weights of zero."""
        stop = start + self.block
        part = [self.X[start:stop], self.T[start:stop], self.weights[start:stop]]
        missing = self.block - len(part[0])
        if missing:
            part = [np.concatenate([a, np.repeat(a[-1:], missing, axis=0)]) for a in part]
            part[2][-missing:] = 0.0
        return part

    def _scaled(self, rows: Array, outer: Array, weights: Array) -> Array:
        """Rows whose products add up to Σ w Jᵀ (∂²ℓ/∂z²) J."""
        outer = self.sign * outer
        if self.outputs == 1:
            factor = np.sqrt(np.maximum(outer.reshape(-1), 0.0) * weights)
            return np.asarray(_flat(rows) * factor[:, None])
        diagonal = np.einsum("boo->bo", outer)
        if np.array_equal(outer, diagonal[:, :, None] * np.eye(self.outputs)):
            factor = np.sqrt(np.maximum(diagonal, 0.0) * weights[:, None])
            return np.asarray(_flat(rows) * factor.reshape(-1, 1))
        values, vectors = np.linalg.eigh(outer)
        root = vectors * np.sqrt(np.maximum(values, 0.0) * weights[:, None])[:, None, :]
        return _flat(np.matmul(root.transpose(0, 2, 1), rows))

    def _with_penalty(
        self, theta: Array, loss: float, gradient: Array, curvature: Array
    ) -> Quadratic:
        penalty = self.objective.penalty
        if not penalty:
            return Quadratic(loss, loss, gradient, curvature)

        def price(point: Any) -> Any:
            leaves = [
                tnp.reshape(point[a:b], shape) for (a, b), shape in zip(spans, shapes, strict=True)
            ]
            return penalty(self.objective.as_params(leaves), self.total)

        shapes = [leaf.shape for leaf in self.split(theta)]
        ends = np.cumsum([int(np.prod(s)) for s in shapes])
        spans = [(int(e - np.prod(s)), int(e)) for e, s in zip(ends, shapes, strict=True)]
        gradient = gradient + grad(price)(theta)
        curvature += np.diag(np.diag(hessian(price)(theta)))
        return Quadratic(loss + float(price(theta)), loss, gradient, curvature)


def _flat(rows: Array) -> Array:
    flat: Array = rows.reshape(-1, rows.shape[-1])
    return flat


def vector(params: Params) -> Array:
    """All parameters as one vector of float64."""
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in flatten(params)[0]])


def _block_graph(objective: NetworkObjective, samples: int) -> Graph:
    """Σ w ℓ, its gradient, the Jacobian rows and ∂²ℓ/∂z² of a block of samples."""
    one = objective.sample_graph(np.float64)
    *leaves, x, t = one.inputs
    (loss,) = one.outputs
    layers = len(objective.network.layers)
    output = one.labels[f"z[{layers}]" if objective.loss.classes else f"a[{layers}]"]
    X, T = variable((samples, *x.shape), "float64"), variable((samples, *t.shape), "float64")
    w = variable((samples,), "float64")
    rows = _rows(output, leaves)
    slope = backward(loss, [output]).gradient(output)
    outer = _rows(slope, [output])
    image = along_samples([loss, rows, outer], {x: X, t: T})
    each = image[loss]
    value = tnp.sum(w * each)
    derivation = backward(value, leaves)
    gradient = tnp.concatenate([tnp.reshape(derivation.gradient(p), -1) for p in leaves])
    return Graph((*leaves, X, T, w), (value, gradient, image[rows], image[outer]))


def _rows(output: Node, wanted: Sequence[Node]) -> Node:
    """The Jacobian of a vector: a row for every entry, columns for all entries of `wanted`."""
    seed = variable(output.shape, output.dtype)
    derivation = backward(output, wanted, seed)
    slopes = [tnp.reshape(derivation.gradient(node), -1) for node in wanted]
    row = tnp.concatenate(slopes) if len(slopes) > 1 else slopes[0]
    basis = constant(np.eye(output.size))
    found: Node = along_samples([row], {seed: basis})[row]
    return found
