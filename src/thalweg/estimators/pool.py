"""Programs that fits of the same kind share: cross-validation compiles once, not once a fold.

A program has workspace of its own, so it belongs to one fit at a time: it is taken out of the
pool and put back afterwards.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np

from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Rule
from thalweg.training.batches import Samples
from thalweg.training.engines import make_program
from thalweg.training.loop import Task
from thalweg.training.options import Training
from thalweg.training.program import EpochProgram

__all__ = ["borrowed"]

KINDS = 16
_pool: OrderedDict[Any, list[EpochProgram]] = OrderedDict()
_lock = Lock()


@contextmanager
def borrowed(
    objective: NetworkObjective, rule: Rule, dtype: Any, engine: str
) -> Iterator[EpochProgram]:
    """A program for the time of one fit.

    Parameters
    ----------
    objective : NetworkObjective
    rule : Rule
    dtype : float64 or float32
    engine : {"auto", "numpy", "native"}
    """
    key = (objective, rule, np.dtype(dtype), engine)
    with _lock:
        waiting = _pool.get(key)
        program = waiting.pop() if waiting else None
    if program is None:
        none = Samples(*(np.zeros((0, 0)) for _ in range(3)))
        task = Task(objective, [], none, None, Training(), rule, dtype=key[2], engine=engine)
        program, _ = make_program(task)
    yield program
    with _lock:
        _pool.setdefault(key, []).append(program)
        _pool.move_to_end(key)
        while len(_pool) > KINDS:
            _pool.popitem(last=False)
