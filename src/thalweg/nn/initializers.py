r"""Initial weights: what is drawn before the first step, and why from that distribution.

With n inputs and m neurons in a layer. Variances are chosen so that signals keep their size on
the way forward (1/n), gradients on the way back (1/m), or a compromise of both.

Examples
--------
>>> import numpy as np
>>> W, b = initialiser("glorot_uniform")(np.random.default_rng(0), 3, 2, "tanh")
>>> W.shape, b
((3, 2), array([0., 0., 0.]))
>>> bool(abs(W).max() <= np.sqrt(6 / 5))
True
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.named import Named, find
from thalweg.phrases import Phrase

__all__ = ["INITIALISERS", "Initialiser", "initialiser"]

Drawn = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, repr=False)
class Initialiser(Named):
    """Draws the first weights of a layer.

    Called as ``(rng, m, n, activation)`` with NumPy's generator, the numbers of neurons and of
    inputs and the activation's name, it returns W of shape (m, n) and b of shape (m,).

    Parameters
    ----------
    latex : str
        The distribution of the weights.
    """

    latex: str = ""


INITIALISERS: dict[str, Initialiser] = {}
"""All initialisers by name."""


def initialiser(given: str | Initialiser) -> Initialiser:
    """Look up an initialiser by its text, such as ``"he_normal"`` or ``"normal(std=0.1)"``.

    Raises
    ------
    OptionError
        If there is none of this name; the nearest is suggested.
    """
    return find(given, INITIALISERS, Phrase("initialiser"))


def _register(latex: str) -> Callable[[Callable[..., Drawn]], Callable[..., Drawn]]:
    def keep(function: Callable[..., Drawn]) -> Callable[..., Drawn]:
        name = function.__name__
        INITIALISERS[name] = Initialiser(name=name, function=function, latex=latex)
        return function

    return keep


@_register(r"U\left(\pm\sqrt{6/(n+m)}\right)")
def glorot_uniform(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """Uniform with variance 2/(n+m) (Glorot and Bengio, 2010); for sigmoid, tanh, softmax."""
    return _uniform(rng, m, n, np.sqrt(6.0 / (n + m)))


@_register(r"N\left(0, 2/(n+m)\right)")
def glorot_normal(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """Normal with variance 2/(n+m) (Glorot and Bengio, 2010)."""
    return _normal(rng, m, n, np.sqrt(2.0 / (n + m)))


@_register(r"U\left(\pm\sqrt{6/n}\right)")
def he_uniform(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """Uniform with variance 2/n (He et al., 2015); for ReLU and its kin."""
    return _uniform(rng, m, n, np.sqrt(6.0 / n))


@_register(r"N(0, 2/n)")
def he_normal(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """Normal with variance 2/n (He et al., 2015); for ReLU and its kin."""
    return _normal(rng, m, n, np.sqrt(2.0 / n))


@_register(r"U\left(\pm\sqrt{3/n}\right)")
def lecun_uniform(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """Uniform with variance 1/n (LeCun et al., 1998)."""
    return _uniform(rng, m, n, np.sqrt(3.0 / n))


@_register(r"N(0, 1/n)")
def lecun_normal(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """Normal with variance 1/n (LeCun et al., 1998); for SELU."""
    return _normal(rng, m, n, np.sqrt(1.0 / n))


@_register(r"U\left(\pm 1/\sqrt{n}\right)")
def fan_in_uniform(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """Uniform between ±1/√n, biases too, as PyTorch's ``Linear``: neurons bend in many places."""
    bound = 1.0 / np.sqrt(n)
    return rng.uniform(-bound, bound, (m, n)), rng.uniform(-bound, bound, m)


@_register(r"\lVert w_i\rVert = 0.7\,s\,m^{1/n}")
def nguyen_widrow(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """Directions at random, active regions spread evenly over inputs in [-1, 1].

    The active region of a neuron is where its activation bends: weighted sums of ±2 for tanh and
    ±4 for the sigmoid, s in the formula (Nguyen and Widrow, 1990; MATLAB's ``initnw``).
    """
    size = 0.7 * m ** (1.0 / n) * {"tanh": 2.0, "sigmoid": 4.0}.get(activation, 1.0)
    direction = rng.uniform(-1.0, 1.0, (m, n))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    spread = np.linspace(-1.0, 1.0, m) if m > 1 else np.zeros(1)
    return size * direction, size * spread * np.sign(direction[:, 0])


@_register(r"U(\pm\text{limit})")
def uniform(rng: Any, m: int, n: int, activation: str, *, limit: float = 0.5) -> Drawn:
    """Uniform between -limit and limit."""
    return _uniform(rng, m, n, limit)


@_register(r"N(0, \text{std}^2)")
def normal(rng: Any, m: int, n: int, activation: str, *, std: float = 0.1) -> Drawn:
    """Normal with a given standard deviation."""
    return _normal(rng, m, n, std)


@_register(r"0")
def zeros(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """All zero: of use for one layer only, because equal neurons stay equal."""
    return np.zeros((m, n)), np.zeros(m)


@_register(r"U\left(\pm\sqrt{6/(n+m)}\right)")
def scikit_learn(rng: Any, m: int, n: int, activation: str) -> Drawn:
    """As scikit-learn's perceptrons: Glorot's bound (2 in place of 6 for the sigmoid), biases too.

    Drawn in scikit-learn's order, so that its ``RandomState`` gives its numbers.
    """
    bound = np.sqrt((2.0 if activation == "sigmoid" else 6.0) / (n + m))
    return rng.uniform(-bound, bound, (n, m)).T, rng.uniform(-bound, bound, m)


def _uniform(rng: Any, m: int, n: int, bound: float) -> Drawn:
    return rng.uniform(-bound, bound, (m, n)), np.zeros(m)


def _normal(rng: Any, m: int, n: int, std: float) -> Drawn:
    return std * rng.standard_normal((m, n)), np.zeros(m)
