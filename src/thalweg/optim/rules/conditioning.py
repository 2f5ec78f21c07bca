"""What happens to gradients before a rule sees them: clipping and weight decay.

Examples
--------
>>> import numpy as np
>>> condition = Conditioning(clip_norm=1.0)
>>> [g] = condition([np.zeros(2)], [np.array([3.0, 4.0])])
>>> g.round(6)
array([0.6, 0.8])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import thalweg.numpy as np
from thalweg.errors import OptionError

__all__ = ["Conditioning"]


@dataclass(frozen=True)
class Conditioning:
    """Clips all gradients together, then adds weight decay.

    Parameters
    ----------
    clip_norm : float, optional
        Gradients are scaled down, all by one factor, until the Euclidean norm of all their entries
        is no larger (R. Pascanu, T. Mikolov and Y. Bengio, ICML 2013).
    clip_value : float, optional
        Every entry is held between -clip_value and clip_value.
    weight_decay : float
        ``g ← g + λ w`` for every parameter, biases too (a penalty leaves those out).
    """

    clip_norm: float | None = None
    clip_value: float | None = None
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("clip_norm", "clip_value"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise OptionError("{name}={limit} is not above 0.", name=name, limit=limit)

    def __call__(self, parameters: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
        """The gradients that the rule is to see.

        Parameters
        ----------
        parameters, gradients : sequence of array
            Ordinary or traced.
        """
        found = list(gradients)
        if self.clip_value is not None:
            found = [np.clip(g, -self.clip_value, self.clip_value) for g in found]
        if self.clip_norm is not None:
            total = np.sqrt(sum(np.sum(g * g) for g in found))
            scale = np.minimum(self.clip_norm / (total + 1e-6), 1.0)
            found = [scale * g for g in found]
        if self.weight_decay:
            found = [g + self.weight_decay * p for p, g in zip(parameters, found, strict=True)]
        return found
