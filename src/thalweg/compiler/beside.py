"""Sums over samples of what a matrix product over them reads as well: done beside it.

The gradient of a bias sums up the same derivatives as that of the weights, `Σ δ` beside
`Σ δ aᵀ`. By itself such a sum waits for memory; beside the product, whose vectors are in
registers anyway, it costs next to nothing. Its stores lack the product's other axis and are
done where that index is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thalweg.compiler.loops import (
    PANELS,
    Access,
    Expr,
    Load,
    Nest,
    Reduced,
    rebuilt,
)

__all__ = ["sums_beside_products"]

LARGEST_TILE = 4
"""Rows of a tile that leave registers for their sums."""


def sums_beside_products(nests: Sequence[Nest]) -> list[Nest]:
    """Move plain sums over samples into the products that read what they sum up.

    Parameters
    ----------
    nests : sequence of Nest
        Of one phase, with vector axes and tiles.

    Returns
    -------
    list of Nest
    """
    done: list[Nest] = []
    for nest in nests:
        position = _product_of(nest, done) if _is_plain_sum(nest) else None
        if position is None:
            done.append(nest)
        else:
            done[position] = _joined(done[position], nest)
    return done


def _is_plain_sum(nest: Nest) -> bool:
    """Whether a nest sums rows over all samples, and nothing else."""
    one = len(nest.axes) == 1 == len(nest.reductions) and not nest.inner
    return one and PANELS in nest.reduced and isinstance(nest.reductions[0].value, Load)


def _product_of(nest: Nest, before: Sequence[Nest]) -> int | None:
    """The place of a product that reads the same rows, to which the sum can be moved."""
    for position in range(len(before) - 1, -1, -1):
        other = before[position]
        if _reads_the_same(other, nest):
            return position
        if other.writes() & (nest.reads() | nest.writes()) or other.reads() & nest.writes():
            return None
    return None


def _reads_the_same(product: Nest, nest: Nest) -> bool:
    """Whether a product over samples, which lie along lanes, has the rows as one of its factors."""
    if len(product.axes) != 2 or product.reduced != nest.reduced or len(product.reductions) != 1:
        return False
    if product.inner or product.vector != 3 or nest.vector != 2:  # both along the samples
        return False
    if product.writes() & (nest.reads() | nest.writes()) or product.reads() & nest.writes():
        return False
    (summed,) = (r.value for r in nest.reductions)
    assert isinstance(summed, Load)
    row = _along(summed.access)
    loads = (e.access for e in product.walk() if isinstance(e, Load))
    return any(access.same_place(row) and access.axes == row.axes for access in loads)


def _along(access: Access) -> Access:
    """The same place in a nest that has one more axis, its second."""
    return replace(access, strides=(*access.strides[:1], 0, *access.strides[1:]))


def _joined(product: Nest, nest: Nest) -> Nest:
    def moved(expr: Expr) -> Expr | None:
        if isinstance(expr, Load):
            return Load(_along(expr.access))
        if isinstance(expr, Reduced):
            return Reduced(expr.number + 1, expr.dtype, frozenset({0}))
        return None

    own = rebuilt(nest, moved, _along)
    rows, columns = product.tiles
    return replace(
        product,
        reductions=[*product.reductions, *own.reductions],
        stores=[*product.stores, *own.stores],
        tiles=(min(rows, LARGEST_TILE), columns),
    )
