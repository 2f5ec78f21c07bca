"""Sums over samples in two halves, so that two threads exchange as little as they can.

What one thread writes and another reads or overwrites changes cores, at some 7 ns for each cache
line. Threads that share the samples of a batch, and then the rows of the sums over them, exchange
the values and derivatives of half the samples. With sums over half the batch they exchange half of
each sum:

=======  =======================================  =============================================
         one thread, or more than two             two threads, each with half of the samples
=======  =======================================  =============================================
first    sums over the first half, for its rows   sums over its half, for the other's rows
second   sums over the second half; the first     sums over its half, for its own rows; what
         half's are added; update                 the other has found is added; update
=======  =======================================  =============================================

Both add the same two numbers, so that no bit depends on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from thalweg.compiler.loops import (
    PANELS,
    Access,
    Apply,
    Buffer,
    Expr,
    Load,
    Nest,
    Reduced,
    Store,
    rewrite,
    row_major,
)
from thalweg.compiler.phases import phases
from thalweg.compiler.threads import split_kind

__all__ = ["Halves", "in_halves"]


@dataclass
class Halves:
    """The nests of a step whose sums over samples come in two halves.

    Attributes
    ----------
    before : list of Nest
        What needs no sums.
    small : list of Nest
        Sums over one half, to be run for each of them,
    stacks : dict of Buffer to Buffer
        and for where they go, where those of both halves are.
    after : list of Nest
        Sums over one half that are shared by rows, and all that needs sums,
    others : set of Buffer
        and where they find what they add: sums over the other half.
    """

    before: list[Nest]
    small: list[Nest] = field(default_factory=list)
    stacks: dict[Buffer, Buffer] = field(default_factory=dict)
    after: list[Nest] = field(default_factory=list)
    others: set[Buffer] = field(default_factory=set)

    @property
    def first(self) -> list[Nest]:
        """What comes before `after`: its sums over samples, for the other half.

        They are taken from there, so that threads share the rows of both alike.
        """
        return [self._sums_of(nest) for nest in self.after if PANELS in nest.reduced]

    def _sums_of(self, nest: Nest) -> Nest:
        stores = {}
        for expr in nest.walk():
            if isinstance(expr, Apply) and isinstance(expr.args[0], Load):
                access = expr.args[0].access
                if access.buffer in self.others:
                    stores[access.buffer] = Store(access, expr.args[1])
        return replace(nest, stores=list(stores.values()))

    @property
    def nests(self) -> list[Nest]:
        """All of them, in order."""
        return [*self.before, *self.small, *self.first, *self.after]


def in_halves(nests: Sequence[Nest]) -> Halves:
    """Cut the sums over the samples of a batch in two.

    Parameters
    ----------
    nests : sequence of Nest
        Of a step, not vectorised yet.

    Returns
    -------
    Halves
    """
    early, sampled, _ = phases(nests, set())
    halves = Halves([n for n in (*early, *sampled) if PANELS not in n.reduced])
    for nest in nests:
        if PANELS not in nest.reduced:
            halves.after += [] if nest in halves.before else [nest]
        elif len(nest.axes) > 1 and split_kind(nest) == "rows":
            _share_rows(halves, nest)
        else:
            _stack(halves, nest)
    return halves


def _share_rows(halves: Halves, nest: Nest) -> None:
    """Add what is stored before of the sums over the other half."""
    places: list[Access] = []
    for reduction in nest.reductions:
        name = f"half{len(halves.others)}"
        buffer = Buffer(name, nest.axes, reduction.value.dtype, "temporary")
        halves.others.add(buffer)
        places.append(Access(buffer, row_major(nest.axes)))
    stores = _with_sums(nest, lambda own: _added(Load(places[own.number]), own))
    halves.after.append(Nest(nest.axes, stores, nest.reduced, list(nest.reductions)))


def _stack(halves: Halves, nest: Nest) -> None:
    """One nest stores the sums over each half; the other adds up those of both."""
    strides, size = row_major(nest.axes), math.prod(nest.axes)
    parts, stacks = [], []
    for reduction in nest.reductions:
        name, dtype = f"stack{len(halves.stacks)}", reduction.value.dtype
        part = Buffer(f"{name}_part", nest.axes, dtype, "output")
        halves.stacks[part] = Buffer(name, (2, *nest.axes), dtype, "input")
        parts.append(Access(part, strides))
        stacks.append(halves.stacks[part])
    axes = frozenset(range(len(nest.axes)))
    stores = [Store(part, Reduced(k, part.buffer.dtype, axes)) for k, part in enumerate(parts)]
    halves.small.append(Nest(nest.axes, stores, nest.reduced, list(nest.reductions)))

    def of_both(own: Reduced) -> Expr:
        one, other = (Load(Access(stacks[own.number], strides, at)) for at in (0, size))
        return _added(one, other)

    halves.after.append(Nest(nest.axes, _with_sums(nest, of_both)))


def _added(one: Expr, other: Expr) -> Expr:
    return Apply("add", (one, other), other.dtype)


def _with_sums(nest: Nest, total: Callable[[Reduced], Expr]) -> list[Store]:
    """The stores of a nest with something in place of its sums."""

    def change(expr: Expr) -> Expr | None:
        return total(expr) if isinstance(expr, Reduced) else None

    values = rewrite([s.value for s in nest.stores], change)
    return [Store(s.access, v) for s, v in zip(nest.stores, values, strict=True)]
