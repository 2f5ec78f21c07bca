"""Programs that fits of the same kind share: cross-validation compiles once, not once a fold.

A program keeps nothing of a fit, so that several fits may use one at the same time.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from thalweg.named import is_ours
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Rule
from thalweg.training.batches import Samples
from thalweg.training.engines import make_program
from thalweg.training.loop import Task
from thalweg.training.options import Training
from thalweg.training.program import EpochProgram

__all__ = ["shared_program"]


def shared_program(
    objective: NetworkObjective, rule: Rule, dtype: np.dtype[np.generic], engine: str
) -> EpochProgram:
    """The program of a kind of fit, made when it is first asked for.

    Parameters
    ----------
    objective : NetworkObjective
    rule : Rule
    dtype : float64 or float32
    engine : {"auto", "numpy", "native"}
    """
    make = _program if objective.fixed and is_ours(type(rule)) else _program.__wrapped__
    return make(objective, rule, dtype, engine)


@lru_cache(maxsize=16)
def _program(
    objective: NetworkObjective, rule: Rule, dtype: np.dtype[np.generic], engine: str
) -> EpochProgram:
    none = Samples(*(np.zeros((0, 0)) for _ in range(3)))
    task = Task(objective, [], none, None, Training(), rule, dtype=dtype, engine=engine)
    return make_program(task)[0]
