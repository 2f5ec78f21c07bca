"""Which axis of a nest is laid along vector lanes, and what is kept in registers.

An axis is good when every access moves along it by one element or not at all. Matrix products
get a tile of rows × vectors whose sums stay in registers over the whole inner loop; a loaded
number is then used by the whole tile. Reductions without such reuse get several sums per lane,
so that additions need not wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from thalweg.compiler.loops import (
    ITEM_BYTES,
    PANELS,
    Access,
    Apply,
    Buffer,
    Expr,
    Load,
    Nest,
    Position,
    Reduced,
    postorder,
    rebuilt,
)
from thalweg.compiler.segments import LITTLE
from thalweg.compiler.target import Target
from thalweg.compiler.turn import is_turnable

__all__ = ["collapse", "vectorise"]

CHEAP = 4
"""Operations in a sum up to which registers alone limit its tile."""

SMALLEST_SQUARE = 4
"""Lanes from which vectors are transposed in registers."""

LONGEST_TILE = 32
"""Operations that a tile of a longer sum may have."""

ROWS_AT_ONCE = 16
"""Of which sums over samples are taken side by side: they are neighbours in each panel, and the
next panel's are far away."""

MOST_STORED = 1920
"""Bytes that a tile of an update may store. A processor remembers about as many (Zen 4: 64 times
32) while it waits until another lets go of a line; meanwhile it computes the sums of the next tile.
With 5376 of them, Adam's update of digits took 7.4 µs on each of two threads instead of 6.4."""

LARGEST_UPDATE = 1 << 21
"""Bytes of the matrix up to which that counts; then, how often samples are read counts more."""


def vectorise(nests: Sequence[Nest], target: Target, unrolled: bool = False) -> None:
    """Choose vector axis, width and tiles of every nest, and join axes where that is possible.

    Parameters
    ----------
    nests : sequence of Nest
        Changed in place.
    target : Target
    unrolled : bool
        Whether all loops will be written out.
    """
    readers = Counter(buffer for nest in nests for buffer in nest.reads())
    for nest in nests:
        if _is_update(nest):
            _read_by_others_last(nest, readers)
        if nest.vector == -1:  # must run one index after the other
            nest.vector = None
            continue
        collapse(nest)
        _choose(nest, target)
        if unrolled and nest.reductions and (nest.vector or 0) >= len(nest.axes):
            nest.tiles = _whole(nest.axes, target.registers // 2 // len(nest.reductions))


def _read_by_others_last(nest: Nest, readers: Mapping[Buffer, int]) -> None:
    """Store what only the update itself reads first: it need not wait for other processors."""
    nest.stores.sort(key=lambda store: readers[store.access.buffer])
    nest.late = sum(readers[store.access.buffer] > 1 for store in nest.stores)


def collapse(nest: Nest) -> None:
    """Join neighbouring axes that every access walks through as if they were one."""
    if any(isinstance(e, Position) for e in nest.walk()):
        return
    for first in range(len(nest.extents) - 2, -1, -1):
        second = first + 1
        if second == len(nest.axes) or PANELS in nest.extents[first : second + 1]:
            continue
        length = nest.extents[second]
        accesses = list(nest.accesses())
        fits = all(
            not a.picks
            and (len(a.strides) <= first or a.strides[first] == a.strides[second] * length)
            for a in accesses
        )
        if fits:
            _join_axes(nest, first)


def _join_axes(nest: Nest, first: int) -> None:
    """Make axes `first` and ``first + 1`` one."""

    def joined(access: Access) -> Access:
        strides = access.strides[:first] + access.strides[first + 1 :]
        return replace(access, strides=strides) if len(access.strides) > first else access

    def change(expr: Expr) -> Expr | None:
        if isinstance(expr, Load):
            return Load(joined(expr.access))
        if isinstance(expr, Reduced):
            return replace(expr, axes=frozenset(range(count)))
        return None

    inside = first < len(nest.axes)
    count = len(nest.axes) - inside
    length = nest.extents[first] * nest.extents[first + 1]
    new = rebuilt(nest, change, joined)
    nest.reductions, nest.inner, nest.stores = new.reductions, new.inner, new.stores
    if inside:
        nest.axes = (*nest.axes[:first], length, *nest.axes[first + 2 :])
    else:
        at = first - len(nest.axes)
        nest.reduced = (*nest.reduced[:at], length, *nest.reduced[at + 2 :])


def _choose(nest: Nest, target: Target) -> None:
    lanes = target.lanes(_item_bytes(nest))
    loads = [e.access for e in nest.walk() if isinstance(e, Load)]
    stores = [s.access for s in nest.stores]
    inner = [s.access for s in nest.inner]
    summed = postorder([*(r.value for r in nest.reductions), *(s.value for s in nest.inner)])
    inside = [e.access for e in summed if isinstance(e, Load)]
    running = nest.running
    best, best_score = None, 0.0
    for axis, extent in enumerate(nest.extents):
        if extent == PANELS or extent < 2:
            continue
        domain = axis < len(nest.axes)
        if not domain and (running or any(r.kind in ("any", "all") for r in nest.reductions)):
            continue
        touched = [*loads, *inner, *stores] if domain else [*inside, *inner]
        strides = [a.strides[axis] if len(a.strides) > axis else 0 for a in touched]
        picked = any(axis in expr.axes for a in touched for expr, _ in a.picks)
        good = sum(s in (0, 1) for s in strides) / max(1, len(strides))
        if any(s not in (0, 1) for s in (a.strides[axis] for a in inner)):
            continue
        width = min(lanes, _power_of_two(extent))
        score = width * (good**3) * (0.25 if picked else 1.0) * (1.0 if domain else 0.9)
        together = domain and all(a.strides[axis] in (0, 1) for a in stores)
        score += 1e-3 * any(s == 1 for s in strides) + 1e-4 * together + 1e-6 * axis
        if score > best_score:
            best, best_score, chosen = axis, score, width
    if best is None:
        nest.vector, nest.width = None, 1
        nest.tiles = (1,) * len(nest.axes)
        _rows(nest, target, loads)
        return
    nest.vector, nest.width = best, chosen
    nest.tiles = (1,) * len(nest.axes)
    if nest.reductions:
        _rows(nest, target, loads)
    elif best < len(nest.axes):
        heavy = sum(isinstance(e, Apply) for e in nest.walk()) > 24
        tiles = list(nest.tiles)
        tiles[best] = 1 if heavy else 2
        nest.tiles = tuple(tiles)
        _turn(nest, loads)


def _item_bytes(nest: Nest) -> int:
    """The longest number that is computed with; what only says where to load is not."""
    wide = postorder(list(nest.expressions()), lambda e: isinstance(e, Load))
    return max((ITEM_BYTES[e.dtype] for e in wide if e.dtype != "bool"), default=8)


def _turn(nest: Nest, loads: Sequence[Access]) -> None:
    """Find the axis along which loads that are strided along the vector are contiguous."""
    vector = nest.vector
    assert vector is not None
    for axis, extent in enumerate(nest.axes):
        width = min(nest.width, _power_of_two(max(1, extent)))
        if extent == PANELS or axis == vector or width < SMALLEST_SQUARE:
            continue
        if any(is_turnable(a, vector, axis) for a in loads):
            nest.turned, nest.width = axis, width
            nest.tiles = tuple(width if a == axis else 1 for a in range(len(nest.axes)))
            return


def _rows(nest: Nest, target: Target, loads: Sequence[Access]) -> None:
    """The tile of sums kept in registers."""
    if not nest.reductions:
        return
    count = len(nest.axes)
    parts = postorder([r.value for r in nest.reductions])
    body = [e.access for e in parts if isinstance(e, Load)]
    vertical = nest.vector is not None and nest.vector < count
    summed = [*(r.value for r in nest.reductions), *(s.value for s in nest.inner)]
    cost = sum(isinstance(e, Apply) for e in postorder(summed)) + len(nest.inner)
    budget = (target.registers - 4) // max(1, len(nest.reductions))
    if cost > CHEAP:  # arithmetic hides the waiting; a large tile would only be a lot of code
        budget = min(budget, max(1, LONGEST_TILE // cost))
    if _is_update(nest):
        stored = len(nest.stores) * nest.width * _item_bytes(nest)
        budget = min(budget, max(1, MOST_STORED // stored))
    tiles = [1] * count
    vectors = 1
    if vertical and nest.vector is not None:
        extent = nest.extents[nest.vector]
        vectors = 2 if extent >= 2 * nest.width and budget > 1 else 1
        tiles[nest.vector] = vectors
    reuse = [
        axis
        for axis in range(count)
        if axis != nest.vector
        and nest.extents[axis] != PANELS
        and nest.extents[axis] > 1
        and any(a.axes and axis not in a.axes for a in body)  # a lone number is there anyway
    ]
    if reuse and len(nest.reductions) == 1:
        if vertical or len(reuse) == 1:
            axis = max(reuse, key=lambda a: nest.extents[a])
            tiles[axis] = _even(max(1, budget // vectors), nest.extents[axis])
        else:  # a dot product of rows: a square tile
            side = int(budget**0.5)
            for axis in reuse[-2:]:
                tiles[axis] = min(side, nest.extents[axis])
    elif PANELS in nest.reduced and not vertical and count and len(nest.reductions) == 1:
        tiles[-1] = _even(min(budget, ROWS_AT_ONCE), nest.extents[count - 1])
    nest.tiles = tuple(tiles)
    total = 1
    for t in tiles:
        total *= t
    if total * len(nest.reductions) < 8 and not nest.running:
        most = 4 if cost <= CHEAP else max(1, LONGEST_TILE // (cost * total))
        nest.unroll = min(8 // max(1, total * len(nest.reductions)), 4, most)


def _is_update(nest: Nest) -> bool:
    """Whether sums over samples end in several arrays of state, none of them large."""
    states = [s.access.buffer for s in nest.stores if s.access.buffer.role == "state"]
    large = any(buffer.bytes > LARGEST_UPDATE for buffer in states)
    return PANELS in nest.reduced and len(states) > 1 and not large


def _whole(axes: Sequence[int], most: int) -> tuple[int, ...]:
    """A tile of so many neighbours that are added up across their lanes together.

    Examples
    --------
    >>> _whole((3, 8), 16), _whole((4, 2), 16), _whole((20,), 16)
    ((2, 8), (4, 2), (16,))
    """
    tiles: list[int] = []
    for extent in reversed(axes):
        tiles.insert(0, min(extent, max(1, most)))
        most //= tiles[0]
    return tuple(tiles)


def _even(most: int, extent: int) -> int:
    """The largest tile, or a smaller one that needs no second kind of tile at the end.

    One tile more is better than rows that are computed twice.

    Examples
    --------
    >>> _even(14, 784), _even(14, 60), _even(14, 128), _even(14, 10), _even(14, 32)
    (14, 12, 14, 10, 8)
    """
    if extent <= most:
        return extent
    count = -(-extent // most)
    if 0 < -extent % count <= extent // LITTLE and extent % (count + 1) == 0:
        return extent // (count + 1)
    return next((t for t in range(most, most * 5 // 6, -1) if extent % t == 0), most)


def _power_of_two(n: int) -> int:
    return 1 << (n.bit_length() - 1)
