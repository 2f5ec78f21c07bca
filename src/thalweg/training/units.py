"""Losses inside the model, on scaled targets, and outside, in the target's own unit.

Examples
--------
>>> from thalweg.nn.losses import huber, mse
>>> from thalweg.training.scaling import StandardScaling
>>> scaling = StandardScaling((100.0,), (20.0,))
>>> inside(mse, scaling, 1)
(<loss mse>, 400.0)
>>> inside(huber.with_options(delta=30.0), scaling, 1)
(<loss huber(delta=1.5)>, 400.0)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.nn.losses import Loss
from thalweg.training.scaling import Scaling

__all__ = ["inside", "unit_sizes"]


def unit_sizes(scaling: Scaling, width: int) -> NDArray[np.float64]:
    """The size of one scaled unit in the target's own, for every output."""
    one, zero = (scaling.undo(np.full((1, width), value)) for value in (1.0, 0.0))
    sizes: NDArray[np.float64] = (one - zero)[0]
    return sizes


def inside(loss: Loss, scaling: Scaling, width: int) -> tuple[Loss, float]:
    """The loss as it is applied to scaled targets, and what turns its values into own units.

    Options of the loss that are measured in the target's unit (Huber's delta) are divided by the
    size of a scaled unit; with several outputs by the geometric mean of their sizes. The second
    is 1 where several outputs have different units: there is no one factor then.

    Parameters
    ----------
    loss : Loss
    scaling : Scaling
    width : int
        The number of outputs.
    """
    sizes = unit_sizes(scaling, width)
    if loss.degree is None or np.all(sizes == 1.0):
        return loss, 1.0
    same = bool(np.all(sizes == sizes[0]))
    size = float(sizes[0] if same else np.exp(np.mean(np.log(sizes))))
    changed = loss.with_options(**{key: loss.settings[key] / size for key in loss.in_units})
    return changed, float(size**loss.degree) if same else 1.0
