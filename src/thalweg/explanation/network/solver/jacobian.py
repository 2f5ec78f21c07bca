"""The Jacobian of a network's outputs by all its parameters, from the graph of one sample.

Rows are the outputs of the first sample, then those of the second, and so on; columns are the
parameters in the order W[1] row by row, b[1], W[2], ... Where the loss joins with the output
activation (softmax with cross entropy), outputs are the last weighted sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import thalweg.numpy as tnp
from thalweg.differentiation import backward
from thalweg.differentiation.batching import along_samples
from thalweg.explanation.network.passes import Passes
from thalweg.explanation.records import Array
from thalweg.graph import Graph, constant, variable
from thalweg.interpreter import interpret
from thalweg.trees import flatten

__all__ = ["OutputSlopes", "output_slopes"]


@dataclass(frozen=True)
class OutputSlopes:
    """What second order is made of, of m samples and k outputs.

    Attributes
    ----------
    outputs : array of shape (m, k)
    jacobian : array of shape (m, k, P)
        Of the outputs by the parameters.
    slope : array of shape (m, k)
        Of what is minimised by the outputs, each sample's own.
    bend : array of shape (m, k, k)
        Its second derivatives.
    """

    outputs: Array
    jacobian: Array
    slope: Array
    bend: Array


def output_slopes(passes: Passes, samples: slice | None = None) -> OutputSlopes:
    """Jacobian and derivatives of the loss at the outputs.

    Parameters
    ----------
    passes : Passes
    samples : slice, optional
        Which rows; all by default.
    """
    graph, objective = passes.sample.graph, passes.objective
    *leaves, x, t = graph.inputs
    output = graph.labels[f"z[{passes.depth}]" if objective.loss.classes else f"a[{passes.depth}]"]
    seed = variable(output.shape, output.dtype)
    derivation = backward(output, leaves, seed)
    row = tnp.concatenate([tnp.reshape(derivation.gradient(leaf), -1) for leaf in leaves])
    slope = backward(graph.outputs[0], [output]).gradient(output)
    curve = backward(slope, [output], seed).gradient(output)
    basis = {seed: constant(np.eye(output.size))}
    wanted = [along_samples([node], basis)[node] for node in (row, curve)]
    X, T = passes.X[samples or slice(None)], passes.T[samples or slice(None)]
    many = {x: variable(X.shape, x.dtype), t: variable(T.shape, t.dtype)}
    nodes = [output, wanted[0], slope, wanted[1]]
    image = along_samples(nodes, many)
    results = tuple(image[node] for node in nodes)
    whole = Graph((*leaves, *many.values()), results)
    found = interpret(whole, [*flatten(passes.params)[0], X, T])
    m, k = len(X), output.size
    shapes = ((m, k), (m, k, -1), (m, k), (m, k, k))
    y, J, u, B = (np.asarray(a, np.float64) for a in found)
    B = np.broadcast_to(B, (m, k, k)) if B.ndim < 3 else B
    y, J, u, B = (a.reshape(s) for a, s in zip((y, J, u, B), shapes, strict=True))
    sign = objective.loss.sign
    return OutputSlopes(y, J, sign * u, sign * B)
