"""The sides that are measured, each behind the same two calls.

A side is one library in one setting (``torch``, "compiled, 2 threads"). ``prepare`` builds the
training of a workload and returns a run: ``run(steps)`` trains on and returns seconds per step,
with everything that is not training (the batches' order, warm tables) done before the clock
starts. ``parameters_after`` trains in float64 from the workload's start over its batches, so
that one can see that all sides compute the same thing before they are compared in speed.
"""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from benchmarks.workloads import Parameters, Workload

__all__ = [
    "FAMILIES",
    "Run",
    "Side",
    "Unavailable",
    "cores",
    "in_words",
    "sides_of",
    "thread_counts",
]

Run = Callable[[int], float]


class Unavailable(Exception):
    """A side cannot take part here; the message says why."""


class Side(Protocol):
    """One library in one setting."""

    @property
    def family(self) -> str: ...

    @property
    def setting(self) -> str: ...

    @property
    def threads(self) -> int: ...

    @property
    def tolerance(self) -> float:
        """How far its float64 parameters may lie from the first side's, for a known reason."""
        ...

    @property
    def check_epsilon(self) -> float:
        """The ε of Adam at which it can be compared: the usual one if added at the usual place."""
        ...

    def prepare(self, workload: Workload) -> Run: ...

    def parameters_after(self, workload: Workload, steps: int) -> Parameters: ...


FAMILIES = {
    "thalweg": "thalweg_peer",
    "torch": "torch_peer",
    "jax": "jax_peer",
    "sklearn": "sklearn_peer",
    "tinygrad": "tinygrad_peer",
}


def sides_of(family: str) -> list[Side]:
    """All settings of one library, the plainest first.

    Raises
    ------
    Unavailable
        If the library is not installed, or not whole.
    """
    try:
        module = import_module(f"benchmarks.peers.{FAMILIES[family]}")
    except ModuleNotFoundError as error:
        raise Unavailable("not installed") from error
    except (ImportError, OSError) as error:
        raise Unavailable(f"cannot be imported: {error}") from error
    sides: list[Side] = module.sides()
    return sides


def cores() -> int:
    """The processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_counts() -> list[int]:
    """The numbers of threads worth trying: one and all."""
    return sorted({1, cores()})


def in_words(threads: int) -> str:
    """The number of threads as the table names it."""
    return "1 thread" if threads == 1 else f"{threads} threads"
