"""What makes loop nests legal, checked between the passes; a pass that breaks them is named."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.compiler.loops import PANELS, Access, Buffer, Nest, Reduced
from thalweg.errors import CompilerError

__all__ = ["verify"]


def verify(nests: Sequence[Nest], after: str) -> None:
    """Check that nests are legal; a pass that breaks them is named.

    Raises
    ------
    CompilerError
        An access has not one stride for every axis, leaves its buffer, or a temporary is read
        before it is written.
    """
    written: set[Buffer] = set()
    for number, nest in enumerate(nests):
        where = f"after {after}, nest {number}"
        for access in nest.accesses():
            _check_access(access, nest, where)
        for expr in nest.walk():
            if isinstance(expr, Reduced) and expr.number >= len(nest.reductions):
                raise CompilerError(
                    "{where}: no reduction {number}", where=where, number=expr.number
                )
        unwritten = {b for b in nest.reads() - nest.writes() if b.role == "temporary"} - written
        if unwritten:
            raise CompilerError(
                "{where}: {unwritten} read before written", where=where, unwritten=unwritten
            )
        written |= nest.writes()


def _check_access(access: Access, nest: Nest, where: str) -> None:
    if len(access.strides) not in (len(nest.axes), len(nest.extents)):
        raise CompilerError(
            "{where}: {access} has {count} strides",
            where=where,
            access=access,
            count=len(access.strides),
        )
    if access.picks:
        return
    low = high = access.offset
    for stride, extent in zip(access.strides, nest.extents, strict=False):
        if extent != PANELS:
            low += min(0, stride * (extent - 1))
            high += max(0, stride * (extent - 1))
    empty = 0 in nest.extents
    if not empty and (low < 0 or high >= max(access.buffer.size, 1)):
        raise CompilerError(
            "{where}: {access} reaches [{low}, {high}] of {size}",
            where=where,
            access=access,
            low=low,
            high=high,
            size=access.buffer.size,
        )
