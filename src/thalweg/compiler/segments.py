"""How an axis is cut into parts that are walked with one tile each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Segment", "segments", "strips"]

LITTLE = 32
"""The part of an axis that may be run twice so that the code is written once."""


@dataclass(frozen=True)
class Segment:
    """A part of an axis that is walked with one tile and one vector width.

    With `last`, steps overlap at the end: none starts after it, and the code is written once.
    """

    start: int
    stop: int
    tile: int
    width: int
    last: int | None = None

    @property
    def step(self) -> int:
        """How far one iteration goes."""
        return self.tile * self.width


def segments(
    extent: int,
    tile: int,
    width: int,
    overlap: bool = False,
    whole: bool = False,
    even: bool = False,
) -> list[Segment]:
    """Cut an axis into parts whose tiles fit evenly, or let the last vectors overlap.

    A `whole` tile is as long as asked for, or one; an `even` number of them can be shared. What
    is left over is done in narrower vectors.

    Examples
    --------
    >>> [(s.start, s.stop, s.tile) for s in segments(29, 14, 1)]
    [(0, 20, 10), (20, 29, 9)]
    >>> [(s.start, s.stop, s.tile, s.width) for s in segments(45, 2, 16)]
    [(0, 32, 2, 16), (32, 40, 1, 8), (40, 44, 1, 4), (44, 45, 1, 1)]
    >>> [(s.start, s.stop, s.last) for s in segments(45, 2, 16, overlap=True)]
    [(0, 45, 13)]
    """
    if overlap and (width > 1 or whole):
        tile = min(tile, extent // width)
        parts = [Segment(0, extent, tile, width, extent - tile * width)]
    elif whole and width == 1:
        cut = extent // tile * tile
        parts = [Segment(0, cut, tile, 1), Segment(cut, extent, 1, 1)]
    elif width == 1:
        count = -(-extent // tile)
        count += even and count % 2
        large = -(-extent // max(count, 1))
        if overlap and count > 1 and count * large - extent <= extent // LITTLE:
            return [Segment(0, extent, large, 1, extent - large)]
        number = extent - count * (large - 1)
        cut = number * large
        parts = [Segment(0, cut, large, 1), Segment(cut, extent, large - 1, 1)]
    else:
        done = extent // (tile * width) * tile * width
        parts = [Segment(0, done, tile, width)]
        while width:
            full = extent // width * width
            parts.append(Segment(done, full, 1, width))
            done, width = full, width // 2
    return [p for p in parts if p.stop > p.start]


def strips(extent: int, tile: int, width: int) -> list[Segment]:
    """Cut an axis into strips of about as many vectors each, at most so many as a tile.

    What is left over is done in narrower vectors.

    Examples
    --------
    >>> [(s.start, s.stop, s.tile, s.width) for s in strips(784, 14, 16)]
    [(0, 208, 13, 16), (208, 784, 12, 16)]
    >>> [(s.start, s.stop, s.tile, s.width) for s in strips(100, 14, 16)]
    [(0, 96, 6, 16), (96, 100, 1, 4)]
    """
    whole = extent // width
    parts = [
        Segment(s.start * width, s.stop * width, s.tile, width) for s in segments(whole, tile, 1)
    ]
    rest = segments(extent - whole * width, 1, width)
    return parts + [
        Segment(s.start + whole * width, s.stop + whole * width, 1, s.width) for s in rest
    ]
