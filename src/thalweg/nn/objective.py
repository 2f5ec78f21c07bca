r"""What training lowers: the weighted mean loss of a network over samples, and a penalty.

.. math:: J(θ) = \frac{\sum_i w_i\,ℓ(θ, x_i, t_i)}{\sum_i w_i} + \text{penalty}(θ)

Network and loss are traced once, for one sample; the graph of many samples follows from that
one, and the gradient from the chain rule. A loss that is to be maximised enters with a minus.

Examples
--------
>>> from thalweg.nn.losses import loss
>>> from thalweg.nn.network import Dense, Network
>>> objective = NetworkObjective(Network([Dense(1, 1, bias=False)]), loss("mse"))
>>> sorted(objective.sample_graph().labels)
['W[1]', 'a[0]', 'a[1]', 'loss', 't', 'z[1]']
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import thalweg.numpy as tnp
from thalweg.differentiation import backward
from thalweg.differentiation.batching import along_samples
from thalweg.errors import DifferentiationError, OptionError
from thalweg.graph import Graph, Node, constant, variable
from thalweg.named import is_ours
from thalweg.nn.losses import Loss
from thalweg.nn.network import Network, Params
from thalweg.nn.stable import stabilise
from thalweg.tracing import label, trace_tree

__all__ = ["NetworkObjective", "Penalty"]


@dataclass(frozen=True)
class Penalty:
    r"""A price on large weights; biases are free.

    .. math:: λ_1 \sum |W| + \tfrac{λ_2}{2} \sum W^2

    Parameters
    ----------
    l1, l2 : float
        λ₁ and λ₂, 0 or more.
    shared : bool
        Whether it is divided by the sum of the sample weights in the batch, as scikit-learn's
        ``alpha`` is.
    """

    l1: float = 0.0
    l2: float = 0.0
    shared: bool = False

    def __post_init__(self) -> None:
        for name in ("l1", "l2"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise OptionError(
                    "{name}={value} is not a number from 0.", name=name, value=getattr(self, name)
                )

    def __bool__(self) -> bool:
        return self.l1 > 0.0 or self.l2 > 0.0

    def __call__(self, params: Params, total: Any = 1.0) -> Any:
        """The penalty; `total` is the sum of the sample weights, or 1 if that is 0."""
        weights = [layer["W"] for layer in params]
        price: Any = 0.0
        if self.l1:
            price = price + self.l1 * sum(tnp.sum(tnp.abs(W)) for W in weights)
        if self.l2:
            price = price + 0.5 * self.l2 * sum(tnp.sum(W * W) for W in weights)
        return price / total if self.shared else price


@dataclass(frozen=True)
class NetworkObjective:
    """A network, a loss and a penalty.

    Parameters
    ----------
    network : Network
    loss : Loss
    penalty : Penalty
    """

    network: Network
    loss: Loss
    penalty: Penalty = field(default=Penalty())

    def params_like(self, dtype: DTypeLike = np.float64) -> Params:
        """Stand-ins for the parameters in a graph."""
        return [
            {name: variable(shape, dtype) for name, shape in layer.shapes.items()}
            for layer in self.network.layers
        ]

    def sample_graph(
        self, dtype: DTypeLike = np.float64, stable: bool = True, drop: bool = False
    ) -> Graph:
        """The loss of one sample, as it stands in the loss's formula (not negated).

        Parameters
        ----------
        dtype : float64 or float32
        stable : bool
            Whether logarithms of softmax and sigmoid are rewritten (see `thalweg.nn.stable`).
        drop : bool
            Whether dropout is at work; the sample's key is then the last input.

        Returns
        -------
        Graph
            Inputs W[1], b[1], W[2], ..., x of shape (n[0],), t of shape (n[L],); output ℓ. Its
            labels are a[0], W[1], b[1], z[1], a[1], ..., t and loss.
        """
        traced = _sample_graph if self.fixed else _sample_graph.__wrapped__
        return traced(self.network, self.loss, np.dtype(dtype), stable, drop)

    @property
    def fixed(self) -> bool:
        """Whether its loss and activations are thalweg's own: what follows from them is kept."""
        functions = (self.loss, *(layer.g for layer in self.network.layers))
        return all(is_ours(one.function) for one in functions)

    def batch_graph(
        self, samples: int, dtype: DTypeLike = np.float64, grad: bool = True, drop: bool = False
    ) -> Graph:
        """The objective over samples, and its gradient.

        Parameters
        ----------
        samples : int
        dtype : float64 or float32
        grad : bool
            Whether the gradient is wanted.
        drop : bool
            Whether dropout is at work; keys of shape (samples,) are then the last input.

        Returns
        -------
        Graph
            Inputs W[1], b[1], ..., X (samples, n[0]), T (samples, n[L]), w (samples,). Outputs
            the mean loss, negated if it is maximised, the penalty, and the gradient of their sum
            with respect to W[1], b[1], ...

        Raises
        ------
        DifferentiationError
            If a gradient is wanted and no gradient can train the network.
        """
        if grad and self.network.untrainable:
            raise DifferentiationError(
                "This network cannot be trained: {untrainable}",
                untrainable=self.network.untrainable,
            )
        one = self.sample_graph(dtype, drop=drop)
        count = sum(len(layer.shapes) for layer in self.network.layers)
        leaves, of_sample = one.inputs[:count], one.inputs[count:]
        rows = {node: variable((samples, *node.shape), node.dtype) for node in of_sample}
        X, T, *key = rows.values()
        w = variable((samples,), dtype)
        each = along_samples(one.outputs, rows)[one.outputs[0]]
        total = tnp.sum(w)
        total = tnp.where(total > 0.0, total, 1.0)
        mean = tnp.sum(w * each) / total
        if self.loss.maximise:
            mean = -mean
        params = self.as_params(leaves)
        price = self.penalty(params, total) if self.penalty else constant(0.0, dtype)
        outputs = [mean, price]
        if grad:
            whole = mean + price if self.penalty else mean
            derivation = backward(whole, leaves)
            outputs += [derivation.gradient(leaf) for leaf in leaves]
        return Graph((*leaves, X, T, w, *key), tuple(outputs))

    def as_params(self, leaves: Sequence[Any]) -> Params:
        """The list of dictionaries from W[1], b[1], W[2], ... in a row."""
        found = iter(leaves)
        return [{name: next(found) for name in layer.shapes} for layer in self.network.layers]


@lru_cache(maxsize=64)
def _sample_graph(
    network: Network, loss: Loss, dtype: np.dtype[Any], stable: bool, drop: bool
) -> Graph:
    def of_sample(params: Params, x: Node, t: Node, *key: Node) -> Any:
        return label(loss.sample(network(params, x, *key), label(t, "t")), "loss")

    x, t = variable((network.inputs,), dtype), variable((network.outputs,), dtype)
    key = [variable((), np.int64)] if drop else []
    params = [
        {name: variable(shape, dtype) for name, shape in layer.shapes.items()}
        for layer in network.layers
    ]
    names = [
        f"{name}[{number}]"
        for number, layer in enumerate(network.layers, start=1)
        for name in layer.shapes
    ]
    names += ["a[0]", "t", *["key"] * drop]
    graph = trace_tree(of_sample, (params, x, t, *key), names).graph
    return stabilise(graph) if stable else graph
