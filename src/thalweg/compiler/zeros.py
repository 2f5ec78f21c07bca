"""Which products pass over the zeros of a factor.

A number is often zero where it was chosen by whether another is positive: what a ReLU gives, and
every derivative that has come back through one. Sums over samples, ``dW = Σ δ aᵀ``, can pass over
the zeros as they are (`thalweg.compiler.skipping`): a number δ is multiplied with a row of a.
In ``W a`` and ``Wᵀ δ`` samples lie along the lanes, and zeros of all of them never coincide;
there the samples are laid out one after the other, so that a number of a sample is multiplied with
a row of weights. What it takes to transpose values, results and, going forward, weights is less
than half of the product where the layers are wide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from thalweg.compiler.loops import (
    ITEM_BYTES,
    PANELS,
    Access,
    Apply,
    Buffer,
    Expr,
    Load,
    Nest,
    Number,
    Reduced,
    Reduction,
    Skipping,
    Store,
    postorder,
)
from thalweg.compiler.memory import line_pitch
from thalweg.compiler.segments import strips
from thalweg.compiler.skipping import BLOCK, GROUP
from thalweg.compiler.target import Target
from thalweg.compiler.turn import Seen, row_of, transposition

__all__ = ["often_zero", "products_by_rows", "skip_zeros"]

FINDING = 2.5
"""What it takes to find a term that is not zero, in products of vectors, with a share of what it
takes to begin a row,"""

LEAST = 5.5
"""and what a term takes at least."""

GAIN = 0.9
"""Part of the time that products with all terms take which passing over half of them may take."""

REGISTERS_LEFT = 18
"""Of 32: a row of sums takes the others. More of them would be more than a block of the other
factor may take of the nearest cache."""

FEWEST_WEIGHTS = 64
"""For each value that is transposed, from which products by rows pay."""


def products_by_rows(
    nests: Sequence[Nest], known: Mapping[Seen, Buffer], lanes: int, target: Target
) -> tuple[list[Nest], dict[Seen, Buffer]]:
    """Let products of weights with what is often zero go sample by sample, where that pays.

    Parameters
    ----------
    nests : sequence of Nest
        As fusion leaves them: a product is stored as it is.
    known : mapping of Seen to Buffer
        What is laid out sample by sample already.
    lanes : int
        Of a panel.
    target : Target

    Returns
    -------
    list of Nest
    dict of Seen to Buffer
        What is now laid out sample by sample.
    """
    there, turned = dict(known), dict[Buffer, Buffer]()
    result: list[Nest] = []
    sparse = often_zero(nests)
    for nest in nests:
        found = _product_over_panels(nest, sparse, lanes, target)
        if found is None:
            result.append(nest)
            continue
        weights, values = found
        (_, count, _), (terms,) = nest.axes, nest.reduced
        key = (values.access.buffer, values.access.offset, lanes, terms)
        if key not in there:
            there[key] = row_of(values.access.buffer, terms, lanes, BLOCK)
            result.append(transposition(key, there[key], lanes))
        matrix = weights.access.buffer
        if weights.access.strides[1] != 1:
            if matrix not in turned:
                turned[matrix] = _turned(matrix)
                result.append(_turning(matrix, turned[matrix]))
            matrix = turned[matrix]
        (store,) = nest.stores
        per_vector = target.lanes(ITEM_BYTES[values.dtype])
        sums = row_of(store.access.buffer, count, lanes, per_vector)
        result.append(_product(there[key], matrix, sums, lanes))
        back = Load(Access(sums, (sums.size, 1, sums.strides[0])))
        result.append(Nest(nest.axes, [Store(store.access, back)]))
    return result, there


def often_zero(nests: Sequence[Nest]) -> set[Buffer]:
    """The buffers whose numbers are often zero."""
    sparse: set[Buffer] = set()
    for nest in nests:
        found: dict[int, bool] = {}
        for expr in postorder([s.value for s in nest.stores]):
            found[id(expr)] = _is_zero(expr) or _is_often_zero(expr, found, sparse)
        sparse |= {s.access.buffer for s in nest.stores if found[id(s.value)]}
    return sparse


def _is_often_zero(expr: Expr, found: Mapping[int, bool], sparse: set[Buffer]) -> bool:
    """Whether a value is zero, or a condition fails, about half of the time.

    What was `found` of its parts is given.
    """
    if isinstance(expr, Load):
        return expr.access.buffer in sparse
    if not isinstance(expr, Apply):
        return False
    parts = [found[id(a)] for a in expr.args]
    if expr.op == "where":
        condition, then, otherwise = parts
        return otherwise and (then or (condition and _is_zero(expr.args[2])))
    if expr.op == "greater":
        return _is_zero(expr.args[1])
    if expr.op in ("multiply", "logical_and"):
        return any(parts)
    return expr.op in ("divide", "cast", "negative") and parts[0]


def _product_over_panels(
    nest: Nest, sparse: set[Buffer], lanes: int, target: Target
) -> tuple[Load, Load] | None:
    """Weights and values of a product whose values are often zero, if going by rows pays."""
    if not nest.plain or len(nest.axes) != 3 or (nest.axes[0], nest.axes[2]) != (PANELS, lanes):
        return None
    if len(nest.reduced) != 1 or nest.axes[1] * nest.reduced[0] < FEWEST_WEIGHTS * (
        nest.axes[1] + nest.reduced[0]
    ):
        return None
    (store,) = nest.stores
    if store.access.strides != (store.access.buffer.size, lanes, 1) or store.access.offset:
        return None
    for weights, values in _factors(nest):
        matrix, size = weights.access, values.access.buffer.size
        if values.access.buffer not in sparse or values.access.strides != (size, 0, 1, lanes):
            continue
        if not _pays(nest.axes[1], target.lanes(ITEM_BYTES[values.dtype]), target):
            continue
        pitch = matrix.buffer.strides[0] if len(matrix.buffer.shape) == 2 else 0
        if matrix.offset or {0, 2} & matrix.axes or not pitch:
            continue
        if matrix.strides in ((0, pitch, 0, 1), (0, 1, 0, pitch)):
            return weights, values
    return None


def _factors(nest: Nest) -> Iterator[tuple[Load, Load]]:
    """The factors of the only sum of a nest, in both orders."""
    if len(nest.reductions) != 1 or nest.inner:
        return
    (reduction,) = nest.reductions
    value = reduction.value
    if reduction.kind != "sum" or not isinstance(value, Apply) or value.op != "multiply":
        return
    one, other = value.args
    if not isinstance(one, Load) or not isinstance(other, Load):
        return
    if not one.access.picks and not other.access.picks:
        yield one, other
        yield other, one


def _turned(matrix: Buffer) -> Buffer:
    rows, columns = matrix.shape
    pitch = line_pitch(rows, ITEM_BYTES[matrix.dtype])
    return Buffer(f"{matrix.name}_turned", (columns, rows), matrix.dtype, "temporary", pitch=pitch)


def _turning(matrix: Buffer, turned: Buffer) -> Nest:
    place = Access(turned, (1, turned.strides[0]))
    return Nest(matrix.shape, [Store(place, Load(Access(matrix, matrix.strides)))])


def _product(values: Buffer, matrix: Buffer, sums: Buffer, lanes: int) -> Nest:
    """Sums of rows of a matrix for each sample."""
    terms, count = matrix.shape
    one = Load(Access(values, (values.size, values.strides[0], 0, 1)))
    other = Load(Access(matrix, (0, 0, 1, matrix.strides[0])))
    total = Reduced(0, sums.dtype, frozenset({0, 1, 2}))
    place = Access(sums, (sums.size, sums.strides[0], 1))
    product = Reduction("sum", Apply("multiply", (one, other), sums.dtype))
    return Nest((PANELS, lanes, count), [Store(place, total)], (terms,), [product])


def skip_zeros(nests: Sequence[Nest], target: Target) -> None:
    """Let sums pass over the zeros of a factor, where that pays.

    Parameters
    ----------
    nests : sequence of Nest
        With vector axes and tiles; changed in place.
    target : Target
    """
    sparse = often_zero(nests)
    for nest in nests:
        factors = _factors_to_skip(nest, sparse)
        if factors is not None:
            _skip(nest, *factors, target)


def _pays(columns: int, width: int, target: Target) -> bool:
    """Whether passing over half of the terms of rows of sums is quicker than adding up all.

    Narrow vectors at the end of a row take as long as whole ones, and so does finding each term for
    them once more.

    Examples
    --------
    >>> avx512 = Target.named("x86-64-v4")
    >>> [n for n in (32, 48, 50, 64, 77, 100, 128, 133, 200, 784) if _pays(n, 16, avx512)]
    [64, 128, 200, 784]
    """
    parts = [
        (part.tile, (part.stop - part.start) // part.step)
        for part in strips(columns, _most(target), width)
    ]
    all_terms = sum(count * tile for tile, count in parts)
    half = sum(count * max(LEAST, tile + FINDING) for tile, count in parts) / 2
    return half < GAIN * all_terms


def _most(target: Target) -> int:
    """Vectors of a row of sums."""
    return max(4, target.registers - REGISTERS_LEFT)


def _is_zero(expr: Expr) -> bool:
    return isinstance(expr, Number) and expr.value == 0.0


def _factors_to_skip(nest: Nest, sparse: set[Buffer]) -> tuple[Load, Load] | None:
    """The factor of a sum whose zeros may be passed over, and the other one."""
    vector = len(nest.axes) - 1
    if PANELS not in nest.extents or nest.vector != vector or vector < 1 or nest.width < 2:
        return None
    if PANELS not in nest.reduced and not nest.plain:
        return None
    for one, other in _factors(nest):
        if one.access.buffer in sparse and vector not in one.axes and one.access.strides[-1] == 1:
            return (one, other) if other.access.strides[vector] == 1 else None
    return None


def _skip(nest: Nest, factor: Load, other: Load, target: Target) -> None:
    """Do so, if it pays."""
    columns = -(-nest.axes[-1] // nest.width) * nest.width
    if other.access.strides[-1] < columns:
        columns = nest.axes[-1]
    if not _pays(columns, nest.width, target):
        return
    largest, *_ = strips(columns, _most(target), nest.width)
    nest.tiles = (*[1] * (len(nest.axes) - 1), largest.tile)
    shape = (min(nest.axes[0], GROUP) if PANELS in nest.reduced else 0, largest.step)
    room = Buffer(f"{factor.access.buffer}_sums", shape, factor.dtype, "room")
    nest.skipping = Skipping(factor, columns, room)
