"""Large reductions to a single value are done in parts, which threads can share.

The number of parts depends on the shape alone, so the order of the sum does, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from thalweg.compiler.loops import (
    Access,
    Buffer,
    Expr,
    Load,
    Nest,
    Position,
    Reduced,
    Reduction,
    Store,
    rebuilt,
)
from thalweg.compiler.vectorise import collapse

__all__ = ["by_rows", "can_be_cut", "in_parts"]

LARGE = 1 << 16
"""Values from which a reduction is done in parts."""

LONG_ROW = 128
"""Values in a row, and"""

MOST_PARTS, FEWEST_PARTS = 64, 8
"""parts of a single axis that is cut; so many rows, if they are long, are parts themselves."""


def by_rows(nests: Sequence[Nest]) -> list[Nest]:
    """Reduce many long rows, then what they come to, so that more can be done row by row.

    Parameters
    ----------
    nests : sequence of Nest

    Returns
    -------
    list of Nest
    """

    def rows(nest: Nest) -> Nest | None:
        many = len(nest.reduced) > 1 and nest.reduced[0] >= MOST_PARTS
        return nest if many and math.prod(nest.reduced[1:]) >= LONG_ROW else None

    return _each(nests, rows, "rows")


def in_parts(nests: Sequence[Nest]) -> list[Nest]:
    """Reduce parts of what is left, then what they come to.

    Parameters
    ----------
    nests : sequence of Nest

    Returns
    -------
    list of Nest
    """
    return _each(nests, _cut, "part")


def can_be_cut(nest: Nest) -> bool:
    """Whether threads can share a reduction to one value."""
    return _is_large(nest) and _cut(nest) is not None


def _each(nests: Sequence[Nest], cut: Callable[[Nest], Nest | None], name: str) -> list[Nest]:
    result: list[Nest] = []
    for nest in nests:
        rows = cut(nest) if _is_large(nest) else None
        result += [nest] if rows is None else _both(rows, f"{name}{len(result)}")
    return result


def _is_large(nest: Nest) -> bool:
    return (
        nest.axes == ()
        and nest.vector != -1
        and bool(nest.reductions)
        and not nest.running
        and math.prod(nest.reduced) >= LARGE
    )


def _cut(nest: Nest) -> Nest | None:
    """The nest with at least two reduced axes; None if its only one cannot be cut evenly.

    Axes that are walked through as if they were one become one, so that parts are equally long.
    """
    nest = replace(nest)
    collapse(nest)
    if len(nest.reduced) > 1:
        return nest
    (extent,) = nest.reduced
    count = next((n for n in range(MOST_PARTS, FEWEST_PARTS - 1, -1) if extent % n == 0), None)
    placed = any(isinstance(e, Position) for e in nest.walk())
    if count is None or placed or any(access.picks for access in nest.accesses()):
        return None
    length = extent // count

    def cut(access: Access) -> Access:
        if not access.strides:
            return access
        return replace(access, strides=(access.strides[0] * length, access.strides[0]))

    def reload(expr: Expr) -> Expr | None:
        return Load(cut(expr.access)) if isinstance(expr, Load) else None

    return replace(rebuilt(nest, reload, cut), reduced=(count, length))


def _both(nest: Nest, name: str) -> list[Nest]:
    """Partial results for every index of the first reduced axis, and what they come to."""
    count = nest.reduced[0]
    first = frozenset({0})
    partial, whole = [], []
    for k, reduction in enumerate(nest.reductions):
        dtype = reduction.value.dtype
        buffer = Buffer(f"{name}_{k}", (count,), dtype, "temporary")
        partial.append(Store(Access(buffer, (1,)), Reduced(k, dtype, first)))
        whole.append(Reduction(reduction.kind, Load(Access(buffer, (1,)))))
    parts = Nest((count,), partial, nest.reduced[1:], nest.reductions, nest.inner)
    return [parts, Nest((), nest.stores, (count,), whole)]
