"""Nests of one domain become one, and values pass in registers instead of through memory.

A nest joins an earlier one when it runs over the same domain and everything it needs is there
by then. A matrix product thereby gets bias, activation or optimiser update as its epilogue.
Temporaries that nobody reads any more are not stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from thalweg.compiler.loops import (
    PANELS,
    Access,
    Apply,
    Buffer,
    Expr,
    Load,
    Nest,
    Reduced,
    Reduction,
    Store,
    postorder,
    rewrite,
)
from thalweg.compiler.once import once
from thalweg.compiler.parts import can_be_cut

__all__ = ["merge"]

MOST_STORES = 24


def merge(*groups: Sequence[Nest]) -> list[Nest]:
    """Join nests where that is allowed and useful.

    Parameters
    ----------
    *groups : sequence of Nest
        In an order in which they can run; those of different groups are not joined.

    Returns
    -------
    list of Nest
    """
    return _without_dead_stores([nest for group in groups for nest in _merged(group)])


def _merged(nests: Sequence[Nest]) -> list[Nest]:
    done: list[_Part] = []
    last_touch: dict[Buffer, int] = {}
    last_write: dict[Buffer, int] = {}
    for part in map(_Part.of, nests):
        earliest = max(
            [last_write.get(b, -1) for b in part.reads]
            + [last_touch.get(b, -1) for b in part.writes],
            default=-1,
        )
        for position in range(len(done) - 1, max(earliest, 0) - 1, -1):
            joined = _join(done[position], part)
            if joined is not None:
                done[position] = _Part.of_both(joined, done[position], part)
                break
        else:
            done.append(part)
            position = len(done) - 1
        for b in part.reads | part.writes:
            last_touch[b] = max(last_touch.get(b, -1), position)
        for b in part.writes:
            last_write[b] = max(last_write.get(b, -1), position)
    return [part.nest for part in done]


@dataclass(frozen=True)
class _Part:
    """A nest, and what it touches."""

    nest: Nest
    reads: set[Buffer]
    writes: set[Buffer]

    @staticmethod
    def of(nest: Nest) -> _Part:
        return _Part(nest, nest.reads(), nest.writes())

    @staticmethod
    def of_both(joined: Nest, one: _Part, other: _Part) -> _Part:
        reads = one.reads | (other.reads - one.writes)  # those pass in registers
        return _Part(joined, reads, one.writes | other.writes)

    @once
    def touches(self) -> set[Buffer]:
        return self.reads | self.writes


def _join(one: _Part, other: _Part) -> Nest | None:
    """One nest that does what both do, or None."""
    first, second = one.nest, other.nest
    if first.vector == -1 or second.vector == -1:
        return None
    if sum(len(n.stores) + len(n.inner) for n in (first, second)) > MOST_STORES:
        return None
    depends = not one.writes.isdisjoint(other.reads)
    if not depends and one.touches.isdisjoint(other.touches):
        return None  # joining saves no pass over anything
    alike = first.reduced == second.reduced and _same_kind(first, second)
    if not depends and (first.reductions or second.reductions) and not alike:
        return None
    if first.axes == second.axes and not second.reduced:
        return _append(one, other)
    if not one.touches.isdisjoint(other.writes):
        return None  # would be changed before the sum over it is complete
    if first.axes == second.axes and first.reduced == second.reduced:
        return _together(one, other)
    if depends and first.extents == second.extents == second.axes and _is_shared(first):
        return _inside(one, other)
    over_samples = PANELS in second.reduced  # run by rows, what is per panel by panels
    if not first.reduced and first.axes == second.extents and depends and not over_samples:
        return _into_reduction(one, other)
    return None


def _same_kind(first: Nest, second: Nest) -> bool:
    return not _is_product(first) and not _is_product(second)


def _is_product(nest: Nest) -> bool:
    """Whether a nest is a matrix product (of operands that repeat over the domain)."""
    return any(
        isinstance(r.value, Apply)
        and r.value.op == "multiply"
        and all(len(a.axes) < len(nest.extents) for a in r.value.args)
        for r in nest.reductions
    )


def _append(one: _Part, other: _Part) -> Nest | None:
    first, second = one.nest, other.nest
    if PANELS in first.reduced and not _ends_in_vectors(first):
        return None  # what follows single numbers is better vectorised by itself
    stores = _forwarded(second.stores, one, first.stores)
    if stores is None:
        return None
    return Nest(first.axes, [*first.stores, *stores], first.reduced, first.reductions, first.inner)


def _ends_in_vectors(nest: Nest) -> bool:
    """Whether a sum over samples gives neighbours at once, and is complete."""
    last = len(nest.axes) - 1
    loads = [e.access for r in nest.reductions for e in postorder([r.value]) if isinstance(e, Load)]
    continued = {b for b in nest.reads() & nest.writes() if b.role == "temporary"}
    return not continued and any(a.strides[last] == 1 and not any(a.strides[:last]) for a in loads)


def _together(one: _Part, other: _Part) -> Nest | None:
    """Both reductions in one pass; what the second needs of the first is there at every index."""
    first, second = one.nest, other.nest
    start = len(first.reductions)

    def renumber(expr: Expr) -> Expr | None:
        if isinstance(expr, Reduced):
            return Reduced(expr.number + start, expr.dtype, expr.axes)
        return None

    def renumbered(stores: Sequence[Store]) -> list[Store]:
        values = rewrite([s.value for s in stores], renumber)
        return [Store(s.access, v) for s, v in zip(stores, values, strict=True)]

    terms = [Store(_NOWHERE, r.value) for r in second.reductions]
    inside = _forwarded([*terms, *renumbered(second.inner)], one, first.inner)
    ends = _forwarded(renumbered(second.stores), one, first.stores)
    if inside is None or ends is None or first.running:
        return None
    kinds = [r.kind for r in second.reductions]
    sums = [Reduction(k, s.value) for k, s in zip(kinds, inside, strict=False)]
    return Nest(
        first.axes,
        [*first.stores, *ends],
        first.reduced,
        [*first.reductions, *sums],
        [*first.inner, *inside[len(terms) :]],
    )


def _is_shared(nest: Nest) -> bool:
    """Whether a reduction of no product is one that threads can share, also with more to do."""
    if not nest.reductions or nest.running or _is_product(nest) or PANELS in nest.extents:
        return False
    return bool(nest.axes) or can_be_cut(nest)


def _inside(one: _Part, other: _Part) -> Nest | None:
    """What is done at every index of a reduction, while its terms are there."""
    first, second = one.nest, other.nest
    stores = _forwarded(second.stores, one, first.inner)
    if stores is None:
        return None
    return replace(first, inner=[*first.inner, *stores])


def _into_reduction(one: _Part, other: _Part) -> Nest | None:
    first, second = one.nest, other.nest
    terms = [Store(_NOWHERE, r.value) for r in second.reductions]
    stores = _forwarded([*terms, *second.inner], one, first.stores)
    late = postorder([s.value for s in second.stores])
    if stores is None or any(_reads_any(e, one.writes) for e in late):
        return None
    reductions = [
        Reduction(r.kind, s.value) for r, s in zip(second.reductions, stores, strict=False)
    ]
    inner = [*first.stores, *stores[len(terms) :]]
    return Nest(second.axes, second.stores, second.reduced, reductions, inner)


_NOWHERE = Access(Buffer("", (), "float64", "temporary"), ())


def _reads_any(expr: Expr, buffers: set[Buffer]) -> bool:
    return isinstance(expr, Load) and expr.access.buffer in buffers


def _forwarded(
    stores: Sequence[Store], first: _Part, computed: Sequence[Store]
) -> list[Store] | None:
    """The stores with loads of what `first` has just computed replaced by the value.

    None if something is read at another place than where it was written, or written where
    `first` reads another place.
    """
    known = {s.access: s.value for s in computed}
    legal = True

    def forward(expr: Expr) -> Expr | None:
        nonlocal legal
        if not isinstance(expr, Load) or expr.access.buffer not in first.writes:
            return None
        for access, value in reversed(known.items()):  # the last store counts
            if access.same_place(expr.access):
                return value
        legal = False
        return None

    values = rewrite([s.value for s in stores], forward)
    result = [Store(s.access, v) for s, v in zip(stores, values, strict=True)]
    for store in result:
        if legal and store.access.buffer in first.touches:
            legal = all(
                access.same_place(store.access)
                for access in first.nest.accesses()
                if access.buffer is store.access.buffer
            )
    return result if legal else None


def _without_dead_stores(nests: Sequence[Nest]) -> list[Nest]:
    read: set[Buffer] = set()
    kept: list[Nest] = []
    for nest in reversed(nests):
        nest.stores = [s for s in nest.stores if _needed(s, read)]
        nest.inner = [s for s in nest.inner if _needed(s, read)]
        if nest.stores or nest.inner:
            kept.append(nest)
            read |= nest.reads()
    return kept[::-1]


def _needed(store: Store, read: set[Buffer]) -> bool:
    return store.access.buffer.role != "temporary" or store.access.buffer in read
