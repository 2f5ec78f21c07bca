"""What is asked for before it is needed, so that the caches have it by then."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from thalweg.compiler.assembly import Value
from thalweg.compiler.loops import ITEM_BYTES, PANELS, Access, Load, Nest
from thalweg.compiler.whole import Whole

if TYPE_CHECKING:
    from thalweg.compiler.llvm import NestWriter

__all__ = ["Ahead"]

FAR_BYTES = 1 << 16
"""Size of what an update changes from which the next tile's part is asked for."""

LONG_ROW = 1 << 10
"""Bytes of rows that are picked from a table from which each is asked for beside the one before it:
the processor learns too late how far such a row goes."""

ROWS_AHEAD = 4
"""How far ahead an update that goes from row to row asks: wide 4 %; for the next row 2 %."""

Offsets = tuple[int, ...]


class Ahead:
    """Writes the requests of one nest."""

    def __init__(self, writer: NestWriter) -> None:
        self.w = writer
        self.far = _far(writer.nest)
        self.picked = _picked(writer.nest)

    def ask(self, members: Sequence[Offsets]) -> None:
        """Ask for what comes after some members of a tile."""
        self._next_tile(members)
        self._next_row(members)

    def _next_tile(self, members: Sequence[Offsets]) -> None:
        """What a tile changes that comes soon: sums over samples have taken its place meanwhile."""
        w, axis = self.w, self.w.count - 1
        if w.nest.vector != axis or w.width != w.nest.width:
            return
        step = w.tile[axis] * w.width
        if w.nest.skipping:
            axis, step = axis - 1, ROWS_AHEAD
        for access, member in product(self.far, members):
            following = (*member[:axis], member[axis] + step, *member[axis + 1 :])
            w.code.prefetch(w.address(access, following, 0))

    def _next_row(self, members: Sequence[Offsets]) -> None:
        """The same part of the row that is picked next, or of the last one again."""
        w, whole = self.w, Whole(self.w.code)
        for access, row, axis in self.picked:
            last = Value(str(w.nest.axes[axis] - 1), "i64")
            step = whole.smaller(whole.minus(last, w.index[axis]), Value("1", "i64"))
            place = w.moved(w.places[id(row)], row, step, row.strides[axis])
            number = w.code.emit("i64", f"load i64, {place}")
            ((_, length),) = access.picks
            following = w.moved(w.places[id(access)], access, number, length)
            for member in members:
                distance = sum(s * o for s, o in zip(access.strides, member, strict=False))
                w.code.prefetch(w.moved(following, access, Value(str(distance), "i64"), 1))


def _far(nest: Nest) -> list[Access]:
    """What an update behind sums over samples changes, if it is large."""
    if PANELS not in nest.reduced:
        return []
    stores = (s.access for s in nest.stores)
    return [a for a in stores if a.buffer.role == "state" and a.buffer.bytes >= FAR_BYTES]


def _picked(nest: Nest) -> list[tuple[Access, Access, int]]:
    """Long rows that are copied from a table; where their numbers are, and along which axis."""
    axis = len(nest.axes) - 2
    if axis < 0 or nest.reduced or nest.vector != axis + 1 or nest.axes[axis] == PANELS:
        return []
    found = []
    for expr in nest.walk():
        if not isinstance(expr, Load) or len(expr.access.picks) != 1:
            continue
        row, length = expr.access.picks[0][0], nest.axes[-1] * ITEM_BYTES[expr.dtype]
        if isinstance(row, Load) and axis in row.axes and length >= LONG_ROW:
            found.append((expr.access, row.access, axis))
    return found
