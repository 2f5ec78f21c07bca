"""The forward and the backward pass of a network at one point, with every intermediate array.

Weight gradients are the outputs of the very graph that training runs (`batch_graph` of
`thalweg.nn.objective.NetworkObjective`). What lies on the way, dZ[l] and dA[l] of each sample, is
read off the derivation of the one-sample graph from which that graph is made. Samples are columns
here, as in the documents, and numbers are computed for all samples at once.

Examples
--------
>>> import numpy as np
>>> from thalweg.nn.losses import loss
>>> from thalweg.nn.network import Dense, Network
>>> net = Network([Dense(1, 1, "sigmoid", bias=False), Dense(1, 1, "sigmoid", bias=False)])
>>> params = [{"W": np.array([[0.5]])}, {"W": np.array([[0.5]])}]
>>> passes = Passes.of(net, params, np.ones((1, 1)), np.ones((1, 1)), loss("performance"))
>>> float(passes.dW[1][0, 0].round(5))
0.01212
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg.differentiation import Derivation, backward
from thalweg.differentiation.batching import along_samples
from thalweg.errors import ShapeError
from thalweg.explanation.network.names import Columns
from thalweg.explanation.records import Array
from thalweg.graph import Graph, Node, substitute, variable
from thalweg.interpreter import interpret
from thalweg.nn.losses import Loss
from thalweg.nn.losses import loss as find_loss
from thalweg.nn.network import Network, Params
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.trees import flatten

__all__ = ["Passes", "rows_of"]


@dataclass(frozen=True, eq=False)
class Passes:
    """Every array of one forward and one backward pass.

    Attributes
    ----------
    objective : NetworkObjective
    params : list of dict
    X, T : array of shape (m, n[0]) and (m, n[L])
        Rows are samples, already scaled.
    weights : array of shape (m,)
        Of the samples.
    Z, A, dZ, dA : dict of int to array of shape (n[l], m)
        By layer; A[0] is the input. dZ and dA are derivatives of each sample's own loss.
    dW, db : dict of int to array
        Derivatives of the objective, as training uses them; db has shape (n[l], 1).
    slopes : dict of int to array of shape (n[l], m)
        g'(Z[l]), of layers whose activation works entry by entry.
    dA_plain, dZ_plain : array of shape (n[L], m)
        At the output layer, through loss and activation step by step.
    losses : array of shape (m,)
    mean, penalty : float
        The objective is their sum (with a minus before the mean where it is maximised).
    columns : Columns
        What the reader's table calls inputs and outputs.
    """

    objective: NetworkObjective
    params: Params
    X: Array
    T: Array
    weights: Array
    Z: Mapping[int, Array]
    A: Mapping[int, Array]
    dZ: Mapping[int, Array]
    dA: Mapping[int, Array]
    dW: Mapping[int, Array]
    db: Mapping[int, Array]
    slopes: Mapping[int, Array]
    dA_plain: Array
    dZ_plain: Array
    losses: Array
    mean: float
    penalty: float
    fused: bool
    sample: _Sample = field(repr=False)
    columns: Columns = field(default_factory=Columns)

    @classmethod
    def of(
        cls,
        network: Network,
        params: Sequence[Mapping[str, Any]],
        X: ArrayLike,
        T: ArrayLike,
        loss: Loss | str,
        weights: ArrayLike | None = None,
        penalty: Penalty | None = None,
        columns: Columns | None = None,
    ) -> Passes:
        """Run both passes.

        Raises
        ------
        ShapeError
            If rows and columns of X and T do not fit the network or each other.
        """
        objective = NetworkObjective(network, find_loss(loss), penalty or Penalty())
        rows, targets = rows_of(X, network.inputs, "x"), rows_of(T, network.outputs, "t")
        if len(rows) != len(targets):
            raise ShapeError(
                "{rows} rows of inputs and {targets} rows of targets",
                rows=len(rows),
                targets=len(targets),
            )
        own = [{k: np.asarray(v, np.float64) for k, v in layer.items()} for layer in params]
        network.check(own)
        w = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)
        if w.shape != (len(rows),):
            raise ShapeError(
                "sample weights of shape {shape} for {rows} samples", shape=w.shape, rows=len(rows)
            )
        return replace(_run(objective, own, rows, targets, w), columns=columns or Columns())

    @property
    def network(self) -> Network:
        """The network."""
        return self.objective.network

    @property
    def depth(self) -> int:
        """The number of layers, L."""
        return len(self.network.layers)

    @property
    def samples(self) -> int:
        """The number of samples, m."""
        return len(self.X)

    @cached_property
    def evenly(self) -> bool:
        """Whether all samples weigh the same, so that the objective divides by m."""
        return bool(np.all(self.weights == self.weights[0]))

    @cached_property
    def shares(self) -> Array:
        """What part of the objective each sample is: 1/m, or its weight by their sum."""
        return np.asarray(self.weights / np.sum(self.weights), np.float64)

    @property
    def value(self) -> float:
        """The loss shown: the mean over samples and the penalty, not negated."""
        return self.mean + self.penalty

    def jacobian(self, layer: int, sample: int) -> Array:
        """∂a[l]/∂z[l] of one sample (counted from 1), shape (n[l], n[l])."""
        if layer in self.slopes:
            return np.diag(self.slopes[layer][:, sample - 1])
        import thalweg as tw

        g = self.network.layers[layer - 1].g
        found: Array = tw.jacobian(lambda z: g(z))(self.Z[layer][:, sample - 1])
        return found

    def loss_at(self, params: Params, X: Array) -> float:
        """The objective at other parameters or inputs, for central differences."""
        graph = self.objective.batch_graph(self.samples, np.float64, grad=False)
        mean, price = interpret(graph, [*flatten(params)[0], X, self.T, self.weights])
        return self.objective.loss.sign * (float(mean) + float(price))


@dataclass(frozen=True, eq=False)
class _Sample:
    """The one-sample graphs: as trained, and with loss and activation step by step.

    Attributes
    ----------
    graph, plain : Graph
    derivation, plain_derivation : Derivation
    slopes : dict of int to Node
        g'(z[l]) as a node of the plain graph's z[l] and a[l].
    """

    graph: Graph
    plain: Graph
    derivation: Derivation
    plain_derivation: Derivation
    slopes: Mapping[int, Node]

    @classmethod
    def of(cls, objective: NetworkObjective) -> _Sample:
        graph = objective.sample_graph()
        plain = _on_inputs(objective.sample_graph(stable=False), graph.inputs)
        slopes = {}
        for number, layer in enumerate(objective.network.layers, start=1):
            if layer.g.entrywise:
                a, z = plain.labels[f"a[{number}]"], plain.labels[f"z[{number}]"]
                slopes[number] = backward(a, [z]).gradient(z)
        return cls(graph, plain, _derive(graph), _derive(plain), slopes)

    @property
    def fused(self) -> bool:
        """Whether the trained graph joins loss and output activation."""
        return self.graph.outputs[0] is not self.plain.outputs[0]


def _on_inputs(graph: Graph, inputs: Sequence[Node]) -> Graph:
    """The graph with its inputs replaced."""
    wanted = [*graph.outputs, *graph.labels.values()]
    image = substitute(wanted, dict(zip(graph.inputs, inputs, strict=True)))
    return Graph(
        tuple(inputs),
        tuple(image[n] for n in graph.outputs),
        {name: image[n] for name, n in graph.labels.items()},
    )


def _derive(graph: Graph) -> Derivation:
    *leaves, x, _ = graph.inputs
    return backward(graph.outputs[0], [*leaves, x])


def rows_of(values: ArrayLike, width: int, name: str) -> Array:
    """Rows of samples from one sample or rows.

    Raises
    ------
    ShapeError
        If they are not `width` wide.
    """
    rows = np.asarray(values, np.float64)
    if rows.ndim < 2:
        rows = rows.reshape(1, -1) if rows.size == width else rows.reshape(-1, 1)
    if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
        raise ShapeError(
            "{name} has shape {shape}: {width} number(s) for one sample, or rows of {width}",
            name=name,
            shape=np.shape(values),
            width=width,
        )
    return rows


def _run(objective: NetworkObjective, params: Params, X: Array, T: Array, weights: Array) -> Passes:
    sample, depth = _Sample.of(objective), len(objective.network.layers)
    layers = range(1, depth + 1)
    labels, plain = sample.graph.labels, sample.plain.labels
    wanted = {
        "loss": sample.graph.outputs[0],
        "dA_plain": sample.plain_derivation.gradient(plain[f"a[{depth}]"]),
        "dZ_plain": sample.plain_derivation.gradient(plain[f"z[{depth}]"]),
        **{f"A{number}": labels[f"a[{number}]"] for number in (0, *layers)},
        **{f"Z{number}": labels[f"z[{number}]"] for number in layers},
        **{f"dA{n}": sample.derivation.gradient(labels[f"a[{n}]"]) for n in range(depth)},
        **{f"dZ{n}": sample.derivation.gradient(labels[f"z[{n}]"]) for n in layers},
        **{f"slope{n}": node for n, node in sample.slopes.items()},
    }
    *leaves, x, t = sample.graph.inputs
    many = {x: variable((len(X), *x.shape), x.dtype), t: variable((len(T), *t.shape), t.dtype)}
    image = along_samples(list(wanted.values()), many)
    inputs = (*leaves, *many.values())
    own = flatten(params)[0]
    outputs = tuple(image[node] for node in wanted.values())
    found = dict(zip(wanted, interpret(Graph(inputs, outputs), [*own, X, T]), strict=True))
    columns = {name: np.asarray(value, np.float64).T for name, value in found.items()}
    mean, price, gradient = _gradient(objective, params, X, T, weights, columns)
    named = objective.as_params(gradient)
    return Passes(
        objective, params, X, T, weights,
        Z={n: columns[f"Z{n}"] for n in layers},
        A={n: columns[f"A{n}"] for n in (0, *layers)},
        dZ={n: columns[f"dZ{n}"] for n in layers},
        dA={**{n: columns[f"dA{n}"] for n in range(depth)}, depth: columns["dA_plain"]},
        dW={n: named[n - 1]["W"] for n in layers},
        db={n: named[n - 1]["b"][:, None] for n in layers if "b" in named[n - 1]},
        slopes={n: columns[f"slope{n}"] for n in sample.slopes},
        dA_plain=columns["dA_plain"],
        dZ_plain=columns["dZ_plain"],
        losses=found["loss"],
        mean=mean, penalty=price, fused=sample.fused, sample=sample,
    )  # fmt: skip


def _gradient(
    objective: NetworkObjective,
    params: Params,
    X: Array,
    T: Array,
    weights: Array,
    columns: Mapping[str, Array],
) -> tuple[float, float, list[Array]]:
    """Mean loss, penalty and gradient by the graph that training runs, not negated."""
    trainable = not objective.network.untrainable
    graph = objective.batch_graph(len(X), np.float64, grad=trainable)
    values = [*flatten(params)[0], X, T, weights]
    mean, price, *gradient = interpret(graph, values)
    sign = objective.loss.sign
    if not trainable:  # training refuses such a network; its derivatives are shown all the same
        share = weights / np.sum(weights)
        for number, layer in enumerate(objective.network.layers, start=1):
            delta = sign * columns[f"dZ{number}"] * share
            gradient.append(delta @ columns[f"A{number - 1}"].T)
            gradient += [delta.sum(axis=1)] if layer.bias else []
    return sign * float(mean), sign * float(price), [sign * np.asarray(g) for g in gradient]
