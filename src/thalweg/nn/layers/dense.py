"""The fully connected layer: a = g(W x + b).

Examples
--------
>>> import numpy as np
>>> layer = Dense(2, 1, "relu", weights=[[1.0, -1.0]], biases=[0.5])
>>> params = layer.initial(np.random.default_rng(0))
>>> layer(params, np.array([3.0, 1.0]))
array([2.5])
>>> layer(params, np.array([[3.0, 1.0], [1.0, 3.0]]))
array([[2.5],
       [0. ]])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

import thalweg.numpy as tnp
from thalweg.errors import ModelFileError, OptionError, ShapeError, ThalwegError
from thalweg.nn.activations import ACTIVATIONS, Activation, activation
from thalweg.nn.dropout import mask
from thalweg.nn.initializers import INITIALISERS, Initialiser, initialiser
from thalweg.phrases import Phrase
from thalweg.tracing import label

__all__ = ["MOST_NEURONS", "Dense"]

MOST_NEURONS = 1_000_000
"""A layer of more inputs or neurons than this is refused, whatever a file says."""


@dataclass(frozen=True)
class Dense:
    """A layer in which every neuron sees every input.

    Parameters
    ----------
    inputs, outputs : int
        Numbers of inputs n[l-1] and of neurons n[l].
    activation : str or Activation
        For example ``"tanh"`` or ``"leaky_relu(slope=0.2)"``.
    bias : bool
        Whether the neurons have biases.
    initialiser : str or Initialiser
        What draws the first weights; ``"auto"`` is what suits the activation (He for ReLU and its
        kin, LeCun for SELU, Glorot for the rest).
    weights : array-like of shape (outputs, inputs), optional
        First weights, given instead of drawn.
    biases : array-like of shape (outputs,), optional
        First biases; 0, or what the initialiser draws, by default.
    dropout : float
        Share of this layer's outputs that is silenced at random in each training step; the others
        are scaled up to keep the mean (Srivastava et al., 2014).

    Raises
    ------
    OptionError
        If a name is not known or a number makes no sense.
    ShapeError
        If given weights have another shape.
    """

    inputs: int
    outputs: int
    activation: str | Activation = "identity"
    bias: bool = True
    initialiser: str | Initialiser = "auto"
    weights: Any = field(default=None, compare=False, repr=False, kw_only=True)
    biases: Any = field(default=None, compare=False, repr=False, kw_only=True)
    dropout: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            count = getattr(self, name)
            if isinstance(count, bool) or not isinstance(count, int | np.integer):
                raise OptionError(
                    "Dense: {name}={count!r} is not a whole number.", name=name, count=count
                )
            if not 1 <= count <= MOST_NEURONS:
                raise OptionError(
                    "Dense: {name}={count} is not between 1 and {most}.",
                    name=name,
                    count=count,
                    most=MOST_NEURONS,
                )
            object.__setattr__(self, name, int(count))
        if not isinstance(self.bias, bool):
            raise OptionError("Dense: bias={bias!r} is not True or False.", bias=self.bias)
        if not 0.0 <= self.dropout < 1.0:
            raise OptionError(
                "Dense: dropout={dropout} is not a share from 0 to below 1.", dropout=self.dropout
            )
        object.__setattr__(self, "activation", activation(self.activation))
        if self.initialiser != "auto":
            object.__setattr__(self, "initialiser", initialiser(self.initialiser))
        self._keep("weights", (self.outputs, self.inputs))
        self._keep("biases", (self.outputs,))
        if self.biases is not None and not self.bias:
            raise OptionError("Dense: biases are given, but bias=False says there are none.")

    def _keep(self, name: str, shape: tuple[int, ...]) -> None:
        """Turn a given array into a read-only copy of the right shape."""
        given = getattr(self, name)
        if given is None:
            return
        array = np.array(given, np.float64)
        if array.shape != shape:
            turned = array.ndim == 2 and array.shape[::-1] == shape
            raise ShapeError(
                "Dense({inputs}, {outputs}): {name} have shape {found}, not {shape}: one "
                "row per neuron, one column per input.{advice}",
                inputs=self.inputs,
                outputs=self.outputs,
                name=name,
                found=array.shape,
                shape=shape,
                advice=Phrase(" Transpose them (.T).") if turned else "",
            )
        if not np.isfinite(array).all():
            raise ShapeError("Dense: {name} are not all finite numbers.", name=name)
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @property
    def g(self) -> Activation:
        """The activation."""
        return activation(self.activation)

    @property
    def count(self) -> int:
        """The number of its weights and biases."""
        return self.outputs * (self.inputs + self.bias)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its parameters by name."""
        shapes: dict[str, tuple[int, ...]] = {"W": (self.outputs, self.inputs)}
        return {**shapes, "b": (self.outputs,)} if self.bias else shapes

    def initial(self, rng: Any) -> dict[str, NDArray[np.float64]]:
        """The first parameters: ``{"W": (outputs, inputs), "b": (outputs,)}``, float64.

        Parameters
        ----------
        rng : numpy.random.Generator
            Drawn from even if all is given, so that the layers after it draw the same.
        """
        chosen = self.initialiser if self.initialiser != "auto" else self.g.initialiser
        W, b = initialiser(chosen)(rng, self.outputs, self.inputs, self.g.name)
        W = np.array(W if self.weights is None else self.weights)
        b = np.array(b if self.biases is None else self.biases)
        return {"W": W, "b": b} if self.bias else {"W": W}

    def __call__(
        self, params: Mapping[str, Any], x: Any, number: int | None = None, key: Any = None
    ) -> Any:
        """The activations of one sample, shape (inputs,), or of rows of samples.

        Parameters
        ----------
        params : mapping
            ``"W"`` and, with biases, ``"b"``.
        x : array of shape (inputs,) or (samples, inputs)
        number : int, optional
            Place in the network, from 1; names W, b, z and a in the graph that is being traced.
        key : int64, optional
            With it, and one sample, dropout silences some of the neurons (`thalweg.nn.dropout`).
        """
        W = params["W"]
        z = W @ x if x.ndim == 1 else x @ W.T
        if self.bias:
            z = z + params["b"]
        a = self.g(z)
        if key is not None and self.dropout:
            a = tnp.astype(mask(key, number or 0, self.outputs, self.dropout), a.dtype) * a
        if number is not None:
            label(W, f"W[{number}]")
            if self.bias:
                label(params["b"], f"b[{number}]")
            label(z, f"z[{number}]")
            label(a, f"a[{number}]")
        return a

    def to_json(self) -> dict[str, Any]:
        """The record for a model file; without given weights, which are only first values.

        Raises
        ------
        OptionError
            If its activation or initialiser is not one of thalweg's own.
        """
        for chosen, known in ((self.g, ACTIVATIONS), (self.initialiser, INITIALISERS)):
            if chosen != "auto" and str(chosen).split("(")[0] not in known:
                raise OptionError(
                    "{chosen!r} is your own function: a model file holds names only, so "
                    "a network with it cannot be saved.",
                    chosen=chosen,
                )
        return {
            "kind": "dense",
            "inputs": self.inputs,
            "outputs": self.outputs,
            "activation": str(self.activation),
            "bias": self.bias,
            "initialiser": str(self.initialiser),
            "dropout": float(self.dropout),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        expected = {"kind", "inputs", "outputs", "activation", "bias", "initialiser", "dropout"}
        if set(data) != expected:
            raise ModelFileError(
                "dense layer: expected the keys {names}.", names=", ".join(sorted(expected))
            )
        names = data["activation"], data["initialiser"]
        if not all(isinstance(name, str) for name in names) or type(data["dropout"]) is not float:
            raise ModelFileError("dense layer: names must be texts and dropout a number.")
        try:
            return cls(**{key: value for key, value in data.items() if key != "kind"})
        except (ThalwegError, TypeError, ValueError) as error:
            raise ModelFileError("dense layer: {error}", error=error) from None
