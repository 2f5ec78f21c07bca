"""The sides: each is a library and a setting, and runs a method for so many iterations."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.second_order.problems import Problem, Trace

__all__ = ["MEMORY", "Side"]

MEMORY = 20
"""Steps that every L-BFGS remembers."""


@dataclass(frozen=True)
class Side:
    """A way to train.

    Attributes
    ----------
    family, setting : str
    kind : {"lm", "lbfgs", "bfgs"}
    run : callable
        ``run(problem, iterations) -> Trace``, from the problem's start; what is compiled is
        compiled before the clock runs.
    most : int
        Iterations it is given at most.
    """

    family: str
    setting: str
    kind: str
    run: Callable[[Problem, int], Trace]
    most: int = 10**9
