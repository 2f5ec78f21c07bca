"""Which nests of a step come before, for, and after the sums over its samples."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.compiler.loops import PANELS, Buffer, Nest

__all__ = ["phases"]


def phases(nests: Sequence[Nest], stacks: set[Buffer]) -> tuple[list[Nest], list[Nest], list[Nest]]:
    """Nests before the samples, of the samples, and after all sums over samples."""
    early: list[Nest] = []
    sampled: list[Nest] = []
    late: list[Nest] = []
    summed = set(stacks)
    for nest in nests:
        if PANELS in nest.extents:
            sampled.append(nest)
            if PANELS in nest.reduced:
                summed |= nest.writes()
        elif nest.reads() & summed or any(b.role == "state" for b in nest.writes()):
            late.append(nest)
            summed |= nest.writes()
        else:
            early.append(nest)
    return early, sampled, late
