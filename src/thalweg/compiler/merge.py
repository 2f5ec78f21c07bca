"""Nests of one domain become one, and values pass in registers instead of through memory.

A nest joins an earlier one when it runs over the same domain and everything it needs is there
by then. A matrix product thereby gets bias, activation or optimiser update as its epilogue.
Temporaries that nobody reads any more are not stored.
"""

from __future__ import annotations

from collections.abc import Sequence

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

__all__ = ["merge"]

MOST_STORES = 24


def merge(nests: Sequence[Nest]) -> list[Nest]:
    """Join nests where that is allowed and useful.

    Parameters
    ----------
    nests : sequence of Nest
        In an order in which they can run.

    Returns
    -------
    list of Nest
    """
    done: list[Nest] = []
    last_touch: dict[Buffer, int] = {}
    last_write: dict[Buffer, int] = {}
    for nest in nests:
        reads, writes = nest.reads(), nest.writes()
        earliest = max(
            [last_write.get(b, -1) for b in reads] + [last_touch.get(b, -1) for b in writes],
            default=-1,
        )
        for position in range(len(done) - 1, max(earliest, 0) - 1, -1):
            joined = _join(done[position], nest) if position >= earliest else None
            if joined is not None:
                done[position] = joined
                break
        else:
            done.append(nest)
            position = len(done) - 1
        for b in reads | writes:
            last_touch[b] = max(last_touch.get(b, -1), position)
        for b in writes:
            last_write[b] = max(last_write.get(b, -1), position)
    return _without_dead_stores(done)


def _join(first: Nest, second: Nest) -> Nest | None:
    """One nest that does what both do, or None."""
    if first.vector == -1 or second.vector == -1:
        return None
    if len(first.stores) + len(second.stores) > MOST_STORES:
        return None
    depends = bool(first.writes() & second.reads())
    if not depends and not _related(first, second):
        return None
    alike = first.reduced == second.reduced and _same_kind(first, second)
    if not depends and (first.reductions or second.reductions) and not alike:
        return None
    if first.axes == second.axes and not second.reduced:
        return _append(first, second)
    if first.axes == second.axes and first.reduced == second.reduced and not depends:
        return _together(first, second)
    over_samples = PANELS in second.reduced  # run by rows, what is per panel by panels
    if not first.reduced and first.axes == second.extents and depends and not over_samples:
        return _into_reduction(first, second)
    return None


def _related(first: Nest, second: Nest) -> bool:
    """Whether both read or write a common buffer, so that joining saves a pass over it."""
    return bool((first.reads() | first.writes()) & (second.reads() | second.writes()))


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


def _append(first: Nest, second: Nest) -> Nest | None:
    if PANELS in first.reduced:
        return None  # sums over lanes end as single numbers; what follows is better vectorised
    known = {s.access: s.value for s in first.stores}
    stores = _forwarded(second.stores, known, first)
    if stores is None:
        return None
    return Nest(first.axes, [*first.stores, *stores], first.reduced, first.reductions, first.inner)


def _together(first: Nest, second: Nest) -> Nest | None:
    start = len(first.reductions)

    def renumber(expr: Expr) -> Expr | None:
        if isinstance(expr, Reduced):
            return Reduced(expr.number + start, expr.dtype, expr.axes)
        return None

    values = rewrite([s.value for s in second.stores], renumber)
    stores = [Store(s.access, v) for s, v in zip(second.stores, values, strict=True)]
    return Nest(
        first.axes,
        [*first.stores, *stores],
        first.reduced,
        [*first.reductions, *second.reductions],
        [*first.inner, *second.inner],
    )


def _into_reduction(first: Nest, second: Nest) -> Nest | None:
    known = {s.access: s.value for s in first.stores}
    nowhere = Access(Buffer("", (), "float64", "temporary"), ())
    values = _forwarded([Store(nowhere, r.value) for r in second.reductions], known, first)
    late = {e.access.buffer for e in postorder([s.value for s in second.stores])
            if isinstance(e, Load)}  # fmt: skip
    if values is None or first.writes() & late:
        return None
    reductions = [
        Reduction(r.kind, v.value) for r, v in zip(second.reductions, values, strict=True)
    ]
    return Nest(
        second.axes, second.stores, second.reduced, reductions, [*first.stores, *second.inner]
    )


def _forwarded(
    stores: Sequence[Store], known: dict[Access, Expr], first: Nest
) -> list[Store] | None:
    """The stores with loads of what `first` has just computed replaced by the value.

    None if something is read at another place than where it was written, or written where
    `first` reads another place.
    """
    written = first.writes()
    legal = True

    def forward(expr: Expr) -> Expr | None:
        nonlocal legal
        if not isinstance(expr, Load) or expr.access.buffer not in written:
            return None
        for access, value in reversed(known.items()):  # the last store counts
            if access.same_place(expr.access):
                return value
        legal = False
        return None

    values = rewrite([s.value for s in stores], forward)
    result = [Store(s.access, v) for s, v in zip(stores, values, strict=True)]
    for store in result:
        for access in first.accesses():
            if access.buffer is store.access.buffer and not access.same_place(store.access):
                legal = False
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
