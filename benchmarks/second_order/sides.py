"""The sides: each is a library and a setting, and runs a method for so many iterations."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks.second_order.problems import Problem, Trace

__all__ = ["MEMORY", "Side", "all_sides"]

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


def all_sides(families: list[str]) -> list[Side]:
    """The sides of the libraries that are here."""
    sides: list[Side] = []
    if "thalweg" in families:
        from benchmarks.second_order import thalweg_sides

        sides += thalweg_sides.sides()
    if "scipy" in families:
        from benchmarks.second_order import scipy_sides

        sides += scipy_sides.sides()
    if "jax" in families and find_spec("jax"):
        from benchmarks.second_order import jax_sides

        sides += jax_sides.sides()
    if "pyrenn" in families and find_spec("pyrenn"):
        from benchmarks.second_order import pyrenn_side

        sides += pyrenn_side.sides()
    if "torch" in families and find_spec("torch"):
        from benchmarks.second_order import torch_sides

        sides += torch_sides.sides()
    return sides
