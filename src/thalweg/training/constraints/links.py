r"""Outputs in a form that does not saturate, for constraints that mean the same there.

The last activation may flatten: where a sigmoid's output is near 1, its slope and all its
derivatives by the weights are next to nothing, and no solver finds its way back. But y = σ(z)
rises with z, so :math:`y ≤ u` says the same as :math:`z ≤ σ^{-1}(u)`, and
:math:`∂y/∂x ≥ 0` the same as :math:`∂z/∂x ≥ 0`. For softmax the part of z is played by
:math:`z_k - \log Σ_{j≠k} e^{z_j}`, whose sigmoid is the output :math:`y_k`.

Examples
--------
>>> import numpy as np
>>> link = LINKS["softmax"]
>>> z = np.array([2.0, 0.5, -1.0])
>>> y = np.exp(z) / np.exp(z).sum()
>>> bool(np.isclose(link.of(z, 0), link.inverse(y[0])))
True
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import thalweg.numpy as tnp

__all__ = ["LINKS", "Link"]


@dataclass(frozen=True)
class Link:
    """What rises with an output, and does not saturate.

    Attributes
    ----------
    inverse : callable
        Of an output within the range of the activation.
    slope : callable
        The output's derivative by the link, as a function of the output.
    of : callable
        ``of(z, k)``: for output k, from what enters the last activation, shape (n[L],).
    """

    inverse: Callable[[float], float]
    slope: Callable[[Any], Any]
    of: Callable[[Any, int], Any] = lambda z, k: z[k]


def _logit(y: float) -> float:
    return math.log(y) - math.log1p(-y)


def _against_the_others(z: Any, k: int) -> Any:
    others = [j for j in range(z.shape[0]) if j != k]
    return z[k] - tnp.logsumexp(tnp.take(z, others))


LINKS: Mapping[str, Link] = MappingProxyType(
    {
        "sigmoid": Link(_logit, lambda y: y * (1.0 - y)),
        "softmax": Link(_logit, lambda y: y * (1.0 - y), _against_the_others),
        "tanh": Link(math.atanh, lambda y: 1.0 - y * y),
        "arctan": Link(math.tan, lambda y: tnp.cos(y) ** 2),
        "exp": Link(math.log, lambda y: y),
        "softplus": Link(lambda y: y + math.log(-math.expm1(-y)), lambda y: -tnp.expm1(-y)),
    }
)
"""By the name of the last activation."""
