"""A network: layers one after another, as a plain function of parameters and inputs.

``net(params, x)`` takes one sample of shape (n[0],) or rows of samples of shape (m, n[0]).
`params` is a list with one dictionary for each layer, W of shape (n[l], n[l-1]) and b of shape
(n[l],).

Examples
--------
>>> import numpy as np
>>> net = Network([Dense(3, 20, "tanh"), Dense(20, 1)])
>>> net
Network 3 → 20 tanh → 1 identity (101 parameters)
>>> params = net.initial(seed=0)
>>> net(params, np.zeros(3)).shape, net(params, np.zeros((5, 3))).shape
((1,), (5, 1))
>>> import thalweg as tw
>>> [layer["W"].shape for layer in tw.grad(lambda p: net(p, np.ones(3)).sum())(params)]
[(20, 3), (1, 20)]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from thalweg.errors import ModelFileError, OptionError, ShapeError
from thalweg.graph import Node
from thalweg.nn.layers import Dense, layer_from_json
from thalweg.phrases import Phrase, joined
from thalweg.tracing import label

__all__ = ["Dense", "Network", "Params", "dense_network"]

Params = list[dict[str, Any]]
"""The parameters of a network: one dictionary for each layer."""


class Network:
    """Fully connected layers, each taking the outputs of the one before.

    Parameters
    ----------
    layers : sequence of Dense

    Raises
    ------
    ShapeError
        If a layer takes another number of inputs than the one before it has neurons.

    Examples
    --------
    >>> Network([Dense(3, 20, "tanh"), Dense(10, 1)])
    Traceback (most recent call last):
    ...
    thalweg.errors.ShapeError: layer 2 takes 10 inputs, but layer 1 has 20 neurons: write
    Dense(20, 1) there, or Dense(3, 10) before it.
    """

    def __init__(self, layers: Sequence[Dense]) -> None:
        self.layers = tuple(layers)
        if not self.layers:
            raise OptionError("A network needs at least one layer: Network([Dense(3, 1)]).")
        for number, layer in enumerate(self.layers, start=1):
            if not isinstance(layer, Dense):
                raise OptionError(
                    "layer {number} is {layer!r}, not a layer such as Dense(3, 1).",
                    number=number,
                    layer=layer,
                )
        for number, (before, layer) in enumerate(pairwise(self.layers), start=2):
            if layer.inputs != before.outputs:
                raise ShapeError(
                    "layer {number} takes {inputs} inputs, but layer {previous} has "
                    "{neurons} neurons: write Dense({neurons}, {outputs}) there, or "
                    "Dense({before}, {inputs}) before it.",
                    number=number,
                    inputs=layer.inputs,
                    previous=number - 1,
                    neurons=before.outputs,
                    outputs=layer.outputs,
                    before=before.inputs,
                )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of neurons n[0], n[1], ..., the inputs first."""
        return (self.layers[0].inputs, *(layer.outputs for layer in self.layers))

    @property
    def inputs(self) -> int:
        """The number of inputs, n[0]."""
        return self.sizes[0]

    @property
    def outputs(self) -> int:
        """The number of outputs, n[L]."""
        return self.sizes[-1]

    @property
    def count(self) -> int:
        """The number of parameters."""
        return sum(layer.count for layer in self.layers)

    @property
    def drops(self) -> bool:
        """Whether a layer has dropout."""
        return any(layer.dropout for layer in self.layers)

    @property
    def untrainable(self) -> str:
        """Why gradients cannot train it, or an empty text."""
        for number, layer in enumerate(self.layers, start=1):
            if layer.g.untrainable:
                return Phrase(
                    "layer {number} has activation {g}: {reason}.",
                    number=number,
                    g=layer.g,
                    reason=layer.g.untrainable,
                )
        return ""

    def initial(self, seed: Any = 0, dtype: DTypeLike = np.float64) -> Params:
        """The parameters to start from; the same seed gives the same bits.

        Parameters
        ----------
        seed : int, or a NumPy generator or RandomState
        dtype : float64 or float32

        Returns
        -------
        list of dict
        """
        rng = seed if hasattr(seed, "uniform") else np.random.default_rng(seed)
        drawn = [layer.initial(rng) for layer in self.layers]
        return [{k: v.astype(dtype, copy=False) for k, v in layer.items()} for layer in drawn]

    def __call__(self, params: Sequence[Mapping[str, Any]], x: Any, key: Any = None) -> Any:
        """The outputs for one sample, shape (n[0],), or for rows of samples, (m, n[0]).

        With a `key`, and one sample, dropout is at work as in training.

        Raises
        ------
        ShapeError
            If x or the parameters do not fit the layers.
        """
        x = x if isinstance(x, Node) else np.asarray(x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.inputs:
            turned = x.ndim == 2 and x.shape[0] == self.inputs
            raise ShapeError(
                "the network takes {inputs} inputs, but x has shape {shape}: give "
                "({inputs},) for one sample or (samples, {inputs}).{advice}",
                inputs=self.inputs,
                shape=tuple(x.shape),
                advice=Phrase(" Samples must be rows: transpose x (x.T).") if turned else "",
            )
        self.check(params)
        a = label(x, "a[0]")
        for number, (layer, own) in enumerate(zip(self.layers, params, strict=True), start=1):
            a = layer(own, a, number, key)
        return a

    def check(self, params: Sequence[Mapping[str, Any]]) -> None:
        """Refuse parameters that do not fit the layers.

        Raises
        ------
        ShapeError
        """
        if len(params) != len(self.layers):
            raise ShapeError(
                "{count} sets of parameters for {layers} layers",
                count=len(params),
                layers=len(self.layers),
            )
        for number, (layer, own) in enumerate(zip(self.layers, params, strict=True), start=1):
            found = {name: tuple(value.shape) for name, value in own.items()}
            if found != layer.shapes:
                raise ShapeError(
                    "layer {number} has parameters of shapes {found}, not {shapes}",
                    number=number,
                    found=found,
                    shapes=layer.shapes,
                )

    # -- as plain data ----------------------------------------------------------------------------
    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {"kind": "network", "layers": [layer.to_json() for layer in self.layers]}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        ModelFileError
            If it is anything else.
        """
        if not isinstance(data, dict) or set(data) != {"kind", "layers"}:
            raise ModelFileError("network: expected a record with the keys kind, layers.")
        if data["kind"] != "network" or not isinstance(data["layers"], list):
            raise ModelFileError("network: expected kind 'network' and a list of layers.")
        try:
            return cls([layer_from_json(layer) for layer in data["layers"]])
        except (OptionError, ShapeError) as error:
            raise ModelFileError("network: {error}", error=error) from None

    # -- as text ----------------------------------------------------------------------------------
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.layers == other.layers

    def __hash__(self) -> int:
        return hash(self.layers)

    def __repr__(self) -> str:
        return f"Network {self.phrase}"

    @property
    def phrase(self) -> Phrase:
        """Its layers and the number of its parameters, as words for every language."""
        steps = [
            f"{layer.outputs} {layer.g}"
            if layer.bias
            else Phrase("{neurons} {g} no bias", neurons=layer.outputs, g=layer.g)
            for layer in self.layers
        ]
        layers = joined([self.inputs, *steps], "{left} → {right}")
        return Phrase("{layers} ({count} parameters)", layers=layers, count=self.count)

    def _repr_html_(self) -> str:
        import html

        head = "<tr><th>layer</th><th>W</th><th>b</th><th>activation</th><th>parameters</th></tr>"
        rows = "".join(
            f"<tr><td>{number}</td><td>{layer.outputs} × {layer.inputs}</td>"
            f"<td>{layer.outputs if layer.bias else '–'}</td>"
            f"<td>{html.escape(str(layer.g))}</td><td>{layer.count}</td></tr>"
            for number, layer in enumerate(self.layers, start=1)
        )
        return f"<table><caption>{html.escape(repr(self))}</caption>{head}{rows}</table>"


def dense_network(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    activation: str,
    output: str = "identity",
    initialiser: str = "auto",
) -> Network:
    """A network with one activation in all hidden layers and another one at the end.

    Parameters
    ----------
    inputs : int
    hidden : sequence of int
        Neurons of the hidden layers; none for a linear model.
    outputs : int
    activation, output : str
    initialiser : str
        Of the hidden layers.

    Examples
    --------
    >>> dense_network(4, [8, 8], 3, "relu", "softmax")
    Network 4 → 8 relu → 8 relu → 3 softmax (139 parameters)
    """
    sizes = [inputs, *hidden]
    layers = [Dense(n, m, activation, True, initialiser) for n, m in pairwise(sizes)]
    return Network([*layers, Dense(sizes[-1], outputs, output)])


def flat(params: Sequence[Mapping[str, NDArray[Any]]]) -> NDArray[Any]:
    """All parameters in one vector: W[1] row by row, b[1], W[2], ..."""
    return np.concatenate([np.ravel(v) for layer in params for v in layer.values()])
