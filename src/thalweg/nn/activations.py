r"""Activation functions, each in a line or two, with its formula; no derivative is written here.

They work entry by entry on arrays of any shape, except softmax, which works on vectors (the last
axis). At a kink the derivative is the one of the branch that holds there, which is ReLU'(0) = 0
and leaky ReLU'(0) = 0.01.

Examples
--------
>>> import thalweg as tw
>>> relu = activation("relu")
>>> tw.grad(relu)(0.0), tw.grad(relu)(2.0)
(np.float64(0.0), np.float64(1.0))
>>> activation("leaky_relu(slope=0.2)")(-1.0)
array(-0.2)
>>> activation("tahn")
Traceback (most recent call last):
...
thalweg.errors.OptionError: There is no activation 'tahn'. Did you mean 'tanh'?
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.named import Named, find
from thalweg.phrases import Phrase

__all__ = ["ACTIVATIONS", "Activation", "activation"]

INF = math.inf


@dataclass(frozen=True, kw_only=True, repr=False)
class Activation(Named):
    r"""An activation function and what is known about it.

    Parameters
    ----------
    latex : str
        The formula of :math:`g(z)`.
    range : tuple of (low, high)
        The smallest interval that holds all its values.
    kinks : tuple of float
        Where it has no derivative, or where its derivative has none.
    entrywise : bool
        Whether every output depends on one input only; softmax's do not.
    initialiser : str
        What draws the weights of a layer with this activation, unless said otherwise.
    untrainable : str
        Why a network with it cannot be trained by gradients; empty if it can.
    """

    latex: str = ""
    range: tuple[float, float] = (-INF, INF)
    kinks: tuple[float, ...] = ()
    entrywise: bool = True
    initialiser: str = "glorot_uniform"
    untrainable: str = ""


ACTIVATIONS: dict[str, Activation] = {}
"""All activations by name."""

ALIASES = {
    "linear": "identity",
    "purelin": "identity",
    "logistic": "sigmoid",
    "logsig": "sigmoid",
    "tansig": "tanh",
    "poslin": "relu",
    "swish": "silu",
    "satlins": "hard_tanh",
    "hardlim": "step",
}
"""The same functions under the names of other libraries."""


def activation(given: str | Activation) -> Activation:
    """Look up an activation by its text, such as ``"tanh"`` or ``"leaky_relu(slope=0.2)"``.

    Raises
    ------
    OptionError
        If there is none of this name; the nearest is suggested.
    """
    return find(given, ACTIVATIONS, Phrase("activation"), ALIASES)


def _register(latex: str, **facts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__.rstrip("_")
        ACTIVATIONS[name] = Activation(name=name, function=function, latex=latex, **facts)
        return function

    return keep


# -- the documents' own ------------------------------------------------------------------------
@_register(r"z")
def identity(z: Any) -> Any:
    """``z``: for outputs that are quantities."""
    return z


@_register(r"\frac{1}{1 + e^{-z}}", range=(0.0, 1.0))
def sigmoid(z: Any) -> Any:
    """``1 / (1 + exp(-z))``; its derivative is ``a (1 - a)``."""
    return np.sigmoid(z)


@_register(r"\tanh z", range=(-1.0, 1.0))
def tanh(z: Any) -> Any:
    """``(exp(z) - exp(-z)) / (exp(z) + exp(-z))``; its derivative is ``1 - a²``."""
    return np.tanh(z)


@_register(r"\max(0, z)", range=(0.0, INF), kinks=(0.0,), initialiser="he_normal")
def relu(z: Any) -> Any:
    """``z`` if ``z > 0``, otherwise 0."""
    return np.where(z > 0.0, z, 0.0)


@_register(
    r"\begin{cases} z & z > 0 \\ 0.01\,z & \text{otherwise} \end{cases}",
    kinks=(0.0,),
    initialiser="he_normal",
)
def leaky_relu(z: Any, *, slope: float = 0.01) -> Any:
    """``z`` if ``z > 0``, otherwise ``slope * z``."""
    return np.where(z > 0.0, z, slope * z)


@_register(r"\frac{e^{z_i}}{\sum_j e^{z_j}}", range=(0.0, 1.0), entrywise=False)
def softmax(z: Any) -> Any:
    """``exp(z_i) / Σ_j exp(z_j)``: a distribution over classes."""
    return np.softmax(z)


@_register(
    r"\begin{cases} 1 & z \ge t \\ 0 & \text{otherwise} \end{cases}",
    range=(0.0, 1.0),
    kinks=(0.0,),
    untrainable=Phrase(
        "the derivative of the step function is zero almost everywhere, so no gradient passes "
        "through it and no weight before it would ever move; the sigmoid is its smooth form"
    ),
)
def step(z: Any, *, threshold: float = 0.0) -> Any:
    """1 if ``z >= threshold``, otherwise 0; a threshold t is a bias of -t on a constant input 1."""
    return np.where(z >= threshold, np.ones_like(z), 0.0 * z)


# -- beyond the documents -------------------------------------------------------------------------
@_register(
    r"\tfrac{z}{2}\left(1 + \operatorname{erf}\tfrac{z}{\sqrt 2}\right)",
    range=(-0.16997120747990369, INF),
    initialiser="he_normal",
)
def gelu(z: Any) -> Any:
    """``z Φ(z)`` with the normal distribution function Φ (Hendrycks and Gimpel, 2016)."""
    return 0.5 * z * (1.0 + np.erf(z / math.sqrt(2.0)))


@_register(
    r"\tfrac{z}{2}\left(1 + \tanh\left(\sqrt{2/\pi}\,(z + 0.044715\,z^3)\right)\right)",
    range=(-0.17004088, INF),
    initialiser="he_normal",
)
def gelu_tanh(z: Any) -> Any:
    """GELU by its approximation with tanh."""
    return 0.5 * z * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z * z * z)))


@_register(r"\frac{z}{1 + e^{-z}}", range=(-0.2784645427610738, INF), initialiser="he_normal")
def silu(z: Any) -> Any:
    """``z σ(z)``, also called swish (Elfwing, Uchibe and Doya, 2018)."""
    return z * np.sigmoid(z)


@_register(
    r"\begin{cases} z & z > 0 \\ \alpha(e^z - 1) & \text{otherwise} \end{cases}",
    range=(-1.0, INF),
    kinks=(0.0,),
    initialiser="he_normal",
)
def elu(z: Any, *, alpha: float = 1.0) -> Any:
    """``z`` if ``z > 0``, otherwise ``alpha (exp(z) - 1)`` (Clevert et al., 2016)."""
    return np.where(z > 0.0, z, alpha * np.expm1(np.where(z > 0.0, 0.0, z)))


@_register(
    r"\lambda\begin{cases} z & z > 0 \\ \alpha(e^z - 1) & \text{otherwise} \end{cases}",
    range=(-1.7580993408473766, INF),
    kinks=(0.0,),
    initialiser="lecun_normal",
)
def selu(z: Any) -> Any:
    """ELU scaled so that layers keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    return 1.0507009873554805 * elu(z, alpha=1.6732632423543772)


@_register(r"\log(1 + e^z)", range=(0.0, INF), initialiser="he_normal")
def softplus(z: Any) -> Any:
    """``log(1 + exp(z))``: a smooth ReLU, and positive."""
    return np.softplus(z)


@_register(r"\frac{z}{1 + |z|}", range=(-1.0, 1.0), kinks=(0.0,))
def softsign(z: Any) -> Any:
    """``z / (1 + |z|)``."""
    return z / (1.0 + np.abs(z))


@_register(r"z\tanh\log(1 + e^z)", range=(-0.30884341, INF), initialiser="he_normal")
def mish(z: Any) -> Any:
    """``z tanh(softplus(z))`` (Misra, 2020)."""
    return z * np.tanh(np.softplus(z))


@_register(r"\max(-1, \min(1, z))", range=(-1.0, 1.0), kinks=(-1.0, 1.0))
def hard_tanh(z: Any) -> Any:
    """``z`` between -1 and 1, and these values outside."""
    return np.where(np.abs(z) < 1.0, z, np.sign(z))


@_register(r"\max(0, \min(1, z/6 + 1/2))", range=(0.0, 1.0), kinks=(-3.0, 3.0))
def hard_sigmoid(z: Any) -> Any:
    """``z/6 + 1/2`` between 0 and 1, and these values outside."""
    return 0.5 + 0.5 * hard_tanh(z / 3.0)


@_register(r"\min(6, \max(0, z))", range=(0.0, 6.0), kinks=(0.0, 6.0), initialiser="he_normal")
def relu6(z: Any) -> Any:
    """ReLU held below 6."""
    return np.where(z < 6.0, relu(z), 6.0)


@_register(r"\arctan z", range=(-math.pi / 2, math.pi / 2))
def arctan(z: Any) -> Any:
    """The angle whose tangent is z."""
    return np.arctan(z)


@_register(r"e^{-z^2}", range=(0.0, 1.0))
def gaussian(z: Any) -> Any:
    """``exp(-z²)``: a bump around 0."""
    return np.exp(-(z * z))


@_register(r"\sin z", range=(-1.0, 1.0))
def sin(z: Any) -> Any:
    """The sine, for periodic signals."""
    return np.sin(z)


@_register(r"e^z", range=(0.0, INF))
def exp(z: Any) -> Any:
    """The exponential: the mean of a Poisson variable from its logarithm."""
    return np.exp(z)
