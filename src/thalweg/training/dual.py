r"""Gauss-Newton steps in the space of the outputs, for fewer outputs of samples than parameters.

With :math:`S = RR^\top` the curvature of the loss by the outputs (over the sum of the weights),
q its slope, and a diagonal D, the step of :math:`(J^\top S J + D)\,s = -(J^\top q + g_p)` is

.. math:: s = -D^{-1}(g_0 + J^\top R\,v), \qquad
          (I + R^\top K R)\,v = p - R^\top J D^{-1} g_0, \qquad K = J D^{-1} J^\top ,

where :math:`q = R\,p + q_0` and :math:`g_0 = J^\top q_0 + g_p`: p is what least squares would
call the residuals, :math:`q_0` what no curvature answers for (the straight branch of Huber's
loss). Nothing cancels however small D becomes. And J is not formed:

.. math:: J J^\top = \sum_l (Δ[l]\,Δ[l]^\top) ∘ (Ā[l]\,Ā[l]^\top) ,

with the δ and the activations of all samples as the rows of Δ and Ā.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.nn.objective import NetworkObjective
from thalweg.optim.blas import single_threaded_blas
from thalweg.optim.definite import DefiniteSystem
from thalweg.training.batches import Samples
from thalweg.training.sensitivities import Places, Sensitivities, sensitivities

__all__ = ["Dual", "Outputs"]

Array = NDArray[Any]
BLOCK = 256
FLAT = 1e-13
"""Curvature by an output that is too small a part of the largest to have a residual."""


class Dual:
    """Keeps δ and activations of all samples.

    Parameters
    ----------
    objective : NetworkObjective
    samples : Samples
    native : bool
        Whether blocks are made by native code.
    """

    def __init__(self, objective: NetworkObjective, samples: Samples, native: bool) -> None:
        self.total = float(samples.weights.sum()) or 1.0
        self.samples = len(samples.X)
        self.blocks, self.read = sensitivities(objective, samples, BLOCK, native)
        self.apart = bool(objective.penalty)
        self.system = DefiniteSystem(self.samples * objective.network.outputs, native)

    def at(self, theta: Array) -> tuple[float, Array, Outputs]:
        """Mean loss, its gradient, and its curvature at a point."""
        parts = list(self.blocks.map(theta, self.read))
        whole = _joined(parts, self.samples, self.total)
        curvature = Outputs(whole, self.blocks.places, self.apart, self.system)
        return whole.value, whole.gradient, curvature


def _joined(parts: list[Sensitivities], samples: int, total: float) -> Sensitivities:
    """All blocks as one, divided by the sum of the weights; the filling is left out."""

    def rows(arrays: list[Array]) -> Array:
        return np.concatenate(arrays)[:samples]

    return Sensitivities(
        sum(p.value for p in parts) / total,
        np.sum([p.gradient for p in parts], axis=0) / total,
        rows([p.slopes for p in parts]) / total,
        rows([p.curvatures for p in parts]) / total,
        [rows(list(layer)) for layer in zip(*(p.deltas for p in parts), strict=True)],
        [rows(list(layer)) for layer in zip(*(p.activations for p in parts), strict=True)],
        parts[0].layers,
    )


class Outputs:
    """A curvature through the outputs.

    Parameters
    ----------
    seen : Sensitivities
        Of all samples, as parts of the mean.
    places : Places
    apart : bool
        Whether weights and biases may be given different diagonals.
    system : DefiniteSystem
        Of as many rows as there are outputs of all samples.
    """

    def __init__(
        self, seen: Sensitivities, places: Places, apart: bool, system: DefiniteSystem
    ) -> None:
        self.seen, self.places, self.apart, self.system = seen, places, apart, system
        values, vectors = np.linalg.eigh(seen.curvatures)
        values = np.maximum(values, 0.0)
        self.root = vectors * np.sqrt(values)[:, None, :]
        steep = values > FLAT * np.max(values, initial=0.0)
        along = np.einsum("sor,so->sr", vectors, seen.slopes)
        self.residual = np.where(steep, along / np.sqrt(np.where(steep, values, 1.0)), 0.0)
        rest = np.einsum("sor,sr->so", vectors, np.where(steep, 0.0, along))
        self.rest = places.vector(seen.transposed(rest))

    @property
    def diagonal(self) -> Array:
        """Its diagonal."""
        return self.places.vector(self.seen.diagonal())

    @cached_property
    def _grams(self) -> list[Array]:
        """RᵀJJᵀR; the weights' and the biases' part apart where they are asked for."""
        own = self.seen
        samples, outputs = own.slopes.shape
        grams = [np.zeros((samples * outputs,) * 2) for _ in range(1 + self.apart)]
        with single_threaded_blas():
            for delta, a, layer in zip(own.deltas, own.activations, own.layers, strict=True):
                rows = np.matmul(self.root.transpose(0, 2, 1), delta)
                flat = rows.reshape(samples * outputs, -1)
                of_neurons = (flat @ flat.T).reshape(samples, outputs, samples, outputs)
                split = [a[:, : layer.inputs], a[:, layer.inputs :]] if self.apart else [a]
                for gram, part in zip(grams, split, strict=True):
                    of_inputs = (part @ part.T)[:, None, :, None]
                    gram += (of_neurons * of_inputs).reshape(gram.shape)
        return grams

    def solve(self, diagonal: Array, extra: Array) -> Array | None:
        """By Cholesky's factors of I + RᵀKR."""
        first = self.rest + extra
        product = self.seen.product(self.places.matrices(first / diagonal))
        right = self.residual - np.einsum("sor,so->sr", self.root, product)
        matrix = np.zeros_like(self._grams[0])
        for gram, entry in zip(self._grams, self._entries(diagonal), strict=True):
            matrix += gram / entry
        self.system.load(matrix)
        v = self.system.solve(np.ones(len(matrix)), right.ravel())
        if v is None:
            return None
        u = np.einsum("sor,sr->so", self.root, v.reshape(right.shape))
        back = self.places.vector(self.seen.transposed(u))
        return np.asarray(-(first + back) / diagonal)

    def _entries(self, diagonal: Array) -> list[float]:
        """The diagonal's entries for weights and for biases: penalties treat all alike."""
        if not self.apart:
            return [float(diagonal[0])]
        layers = self.seen.layers
        bias = next((k for k, layer in enumerate(layers) if layer.bias), None)
        if bias is None:
            return [float(diagonal[0]), 1.0]
        place = self.places.starts[bias] + layers[bias].inputs * layers[bias].outputs
        return [float(diagonal[0]), float(diagonal[place])]

    def matrix(self) -> Array:
        """All of it; as large as what this form avoids."""
        rows = self.seen.rows()
        half = np.matmul(self.root.transpose(0, 2, 1), rows).reshape(-1, rows.shape[-1])
        return np.asarray(half.T @ half)

    def eigenvalues(self) -> Array:
        """Those of RᵀJJᵀR, and zeros."""
        with single_threaded_blas():
            found = np.linalg.eigvalsh(sum(self._grams[1:], self._grams[0]))
        missing = max(0, self.places.count - len(found))
        return np.concatenate([np.zeros(missing), found])[-self.places.count :]
