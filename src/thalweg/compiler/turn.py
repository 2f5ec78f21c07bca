"""Transposition: where it is done, and how a square of vectors is transposed in registers.

A sum over samples, ``dW[i, j] = Σ δ[i]·a[j]``, whose operands both have samples along their
lanes ends in single numbers, each of which costs the adding up of a vector. With ``a`` laid out
the other way it ends in vectors along j, is computed like any other matrix product, and the
update of the weights can follow in registers. A product ``Σ_k x[i, k]·W[j, k]`` of short rows, the
layer of a network for samples one after the other, ends in single numbers in the same way; there W
is transposed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.loops import (
    ITEM_BYTES,
    PANELS,
    Access,
    Apply,
    Buffer,
    Expr,
    Load,
    Nest,
    Reduction,
    Store,
)
from thalweg.compiler.memory import spread
from thalweg.compiler.target import Target

__all__ = [
    "Seen",
    "is_turnable",
    "row_of",
    "transposed",
    "transposition",
    "turn_products",
    "turn_sums",
]

FEWEST_COLUMNS = 8
"""Entries j from which a sum may end in vectors along them."""

FEWEST_SPARSE = 8
"""Rows i below which it never pays; half as many as else are enough where they are often zero."""

LONGEST_ROW = 16
"""Vectors in a row up to which adding up their lanes takes longer than a transposition,"""

FEWEST_ROWS = 16
"""and how often its result must be used."""

USUAL_SAMPLES = 128
"""Samples of a batch, over which the adding up of lanes is thought to be spread, and"""

ADDING_UP = 4
"""what it costs for each entry, in products of vectors."""

Seen = tuple[Buffer, int, int, int]
"""What was transposed: a buffer, where it is begun, the step between entries, their number."""


def is_turnable(access: Access, vector: int, axis: int) -> bool:
    """Whether an access that is strided along the vector is contiguous along an axis."""
    return (
        len(access.strides) > max(vector, axis)
        and access.strides[vector] not in (0, 1)
        and access.strides[axis] == 1
        and not access.picks
        and access.buffer.dtype != "bool"
    )


def transposed(code: Assembly, rows: Sequence[Value]) -> list[Value]:
    """The columns of a square of vectors, by exchanging ever larger blocks of it.

    Parameters
    ----------
    code : Assembly
    rows : sequence of Value
        As many vectors as each has lanes, a power of two.

    Returns
    -------
    list of Value
    """
    rows = list(rows)
    width, type = len(rows), rows[0].type
    step = width // 2
    while step:
        upper = [k if not k & step else width + k - step for k in range(width)]
        lower = [k + step if not k & step else width + k for k in range(width)]
        for k in range(width):
            if not k & step:
                pair = rows[k], rows[k + step]
                rows[k], rows[k + step] = (_shuffled(code, type, pair, m) for m in (upper, lower))
        step //= 2
    return rows


def _shuffled(code: Assembly, type: str, pair: tuple[Value, Value], lanes: Sequence[int]) -> Value:
    mask = ", ".join(f"i32 {lane}" for lane in lanes)
    return code.emit(type, f"shufflevector {pair[0]}, {pair[1]}, <{len(lanes)} x i32> <{mask}>")


def row_of(buffer: Buffer, width: int, lanes: int, per_vector: int) -> Buffer:
    """A buffer for samples one after the other, each with its `width` entries side by side.

    Parameters
    ----------
    buffer : Buffer
        Of the same numbers, entries before lanes.
    width, lanes : int
    per_vector : int
        Rows begin at multiples of so many numbers.
    """
    whole = -(-width // per_vector) * per_vector
    pitch = spread(whole, ITEM_BYTES[buffer.dtype])
    return Buffer(f"{buffer.name}_rows", (lanes, width), buffer.dtype, "temporary", True, pitch)


def turn_sums(
    nests: Sequence[Nest],
    known: Mapping[Seen, Buffer],
    lanes: int,
    per_vector: int,
    fewest: int,
    sparse: Set[Buffer] = frozenset(),
) -> list[Nest]:
    """Let sums of products over samples end in vectors, where the transposition pays.

    Parameters
    ----------
    nests : sequence of Nest
    known : mapping of Seen to Buffer
        What is there in the other layout already.
    lanes : int
        Of a panel.
    per_vector : int
        Numbers in a vector.
    fewest : int
        Uses of a transposed entry from which its transposition pays.
    sparse : set of Buffer
        What is often zero, so that half of the terms can then be passed over.

    Returns
    -------
    list of Nest
    """
    there = dict(known)
    result: list[Nest] = []
    first = next((k for k, nest in enumerate(nests) if PANELS in nest.reduced), len(nests))
    for nest in nests:
        found = _product_over_samples(nest, lanes)
        if found is None or not _fills(nest.axes[1], per_vector):
            result.append(nest)
            continue
        other, load = found
        half = isinstance(other, Load) and other.access.buffer in sparse
        if nest.axes[0] < (max(fewest // 2, FEWEST_SPARSE) if half else fewest):
            result.append(nest)
            continue
        access, width = load.access, nest.axes[1]
        key = (access.buffer, access.offset, access.strides[1], width)
        if key not in there:
            there[key] = row_of(access.buffer, width, lanes, per_vector)
            # Before all sums, by panels: threads need not wait for each other once more.
            result.insert(first, transposition(key, there[key], lanes))
            first += 1
        rows = there[key]
        seen = Load(Access(rows, (0, 1, rows.size, rows.strides[0])))
        value = Apply("multiply", (other, seen), seen.dtype)
        sums = [Reduction("sum", value)]
        result.append(Nest(nest.axes, nest.stores, nest.reduced, sums))
    return result


def _fills(columns: int, per_vector: int) -> bool:
    """Whether vectors along so many entries j are full enough.

    Otherwise it costs less to lay the samples along the lanes and to add these up. What is left
    of a row comes in shorter vectors, each of which takes about half the time of a whole one.

    Examples
    --------
    >>> [n for n in range(8, 36) if not _fills(n, 16)]
    [9, 10, 11, 13, 14, 15, 19, 21, 23, 31]
    """
    vectors = columns // per_vector + 0.5 * (columns % per_vector).bit_count()
    return vectors / columns <= 1 / per_vector + ADDING_UP / USUAL_SAMPLES


def transposition(key: Seen, rows: Buffer, lanes: int) -> Nest:
    """What lays numbers out sample by sample."""
    buffer, offset, step, width = key
    source = Load(Access(buffer, (buffer.size, 1, step), offset))
    place = Access(rows, (rows.size, rows.strides[0], 1))
    return Nest((PANELS, lanes, width), [Store(place, source)])


def _product_over_samples(nest: Nest, lanes: int) -> tuple[Expr, Load] | None:
    """The factors that depend on i alone and on j alone, of a sum over samples for (i, j)."""
    if nest.reduced != (PANELS, lanes) or len(nest.axes) != 2 or len(nest.reductions) != 1:
        return None
    (reduction,) = nest.reductions
    if nest.axes[1] < FEWEST_COLUMNS or nest.inner:
        return None
    if nest.stores[0].access.strides[1] != 1 or not isinstance(reduction.value, Apply):
        return None
    if reduction.kind != "sum" or reduction.value.op != "multiply":
        return None
    for one, other in (reduction.value.args, reduction.value.args[::-1]):
        if 1 in one.axes or 0 in other.axes or not isinstance(other, Load):
            continue
        access = other.access
        buffer = access.buffer
        if buffer.panels and not access.picks and access.strides[2:] == (buffer.size, 1):
            return one, other
    return None


def turn_products(nests: Sequence[Nest], target: Target) -> list[Nest]:
    """Let products of short rows end in vectors, where the transposition of one operand pays.

    Parameters
    ----------
    nests : sequence of Nest
        In which every buffer is written once.
    target : Target

    Returns
    -------
    list of Nest
    """
    there: dict[tuple[Buffer, int, int, tuple[int, int]], Buffer] = {}
    result: list[Nest] = []
    for nest in nests:
        found = _product_of_rows(nest, target)
        if found is None:
            result.append(nest)
            continue
        other, access = found
        j, shape = len(nest.axes) - 1, (nest.reduced[0], nest.axes[-1])
        key = (access.buffer, access.offset, access.strides[j], shape)
        if key not in there:
            name = f"{access.buffer.name}_turned{len(there)}"
            there[key] = Buffer(name, shape, access.buffer.dtype, "temporary")
            source = Load(Access(access.buffer, (1, access.strides[j]), access.offset))
            place = Access(there[key], there[key].strides)
            result.append(Nest(shape, [Store(place, source)]))
        seen = Load(Access(there[key], (*[0] * j, 1, shape[1])))
        value = Apply("multiply", (other, seen), seen.dtype)
        result.append(replace(nest, reductions=[Reduction("sum", value)]))
    return result


def _product_of_rows(nest: Nest, target: Target) -> tuple[Expr, Access] | None:
    """The factor without j and the access of the other, of a sum over k for (..., j)."""
    if len(nest.axes) < 2 or len(nest.reduced) != 1 or len(nest.reductions) != 1 or nest.inner:
        return None
    (reduction,), j, k = nest.reductions, len(nest.axes) - 1, len(nest.axes)
    value = reduction.value
    if reduction.kind != "sum" or not isinstance(value, Apply) or value.op != "multiply":
        return None
    lanes = target.lanes(ITEM_BYTES[value.dtype])
    uses = math.prod(nest.axes[:-1])
    if nest.axes[j] < lanes or nest.reduced[0] > LONGEST_ROW * lanes or uses < FEWEST_ROWS:
        return None
    for one, other in (value.args, value.args[::-1]):
        if j in one.axes or not isinstance(one, Load) or not isinstance(other, Load):
            continue
        rows, access = one.access, other.access
        if access.axes == {j, k} and access.strides[k] == rows.strides[k] == 1 and not access.picks:
            return one, access
    return None
