"""Work shared by threads: who does what, and where they meet.

All threads run the same native code on parts of the same data (SPMD). A nest over panels is
split by panels; a sum over samples or an update is split by rows, so that every number is
computed by one thread alone, in an order that the program fixes: the bits of a result do not
depend on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol

from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.llvm import WHOLE, Share, write_nest
from thalweg.compiler.loops import PANELS, Buffer, Nest
from thalweg.compiler.target import YIELD

__all__ = [
    "BARRIER_BYTES",
    "Barriers",
    "Order",
    "split_kind",
    "write_barrier",
    "write_nests",
    "write_spin",
]

BARRIER_BYTES = 128
"""What a barrier takes: a counter, and on another cache line a generation. Behind it is room."""

SPINS = 200
"""Looks at what is waited for before the processor is offered to others."""

THREAD, THREADS = Value("%thread", "i64"), Value("%threads", "i64")

SMALLEST_SPLIT = 4096
"""Values below which a nest is left to one thread."""


def split_kind(nest: Nest) -> str:
    """How a nest is split: by ``panels``, by ``rows`` of its first axis, or ``single``."""
    if nest.axes and nest.axes[0] == PANELS:
        return "panels"
    work = 64 if PANELS in nest.reduced else 1
    for extent in nest.extents:
        work *= max(1, extent)
    return "rows" if nest.axes and nest.axes[0] > 1 and work >= SMALLEST_SPLIT else "single"


class Order(Protocol):
    """Sees to it that threads do a nest after what it needs."""

    def around(self, nest: Nest) -> AbstractContextManager[None]:
        """Inside, the nest is written; call once for every nest, in order."""


class Barriers:
    """Barriers before the nests for which all threads must have caught up.

    Nests that are split by panels may follow each other freely: a thread reads what it has
    written itself. Anything else that touches a buffer written by another kind of split waits.

    Parameters
    ----------
    code : Assembly
        Of a function with ``%threads``.
    state : Value
        See `write_barrier`.
    """

    def __init__(self, code: Assembly, state: Value) -> None:
        self.code, self.state = code, state
        self.read: dict[Buffer, set[str]] = {}
        self.written: dict[Buffer, set[str]] = {}

    @contextmanager
    def around(self, nest: Nest) -> Iterator[None]:
        """See `Order`."""
        if self._needed(nest, split_kind(nest)):
            write_barrier(self.code, self.state, THREADS)
        yield

    def _needed(self, nest: Nest, kind: str) -> bool:
        reads, writes = nest.reads(), nest.writes()
        wait_here = any(self._others(self.written, b, kind, nest) for b in reads | writes) or any(
            self._others(self.read, b, kind, nest) for b in writes
        )
        if wait_here:
            self.read, self.written = {}, {}
        for buffer in reads:
            self.read.setdefault(buffer, set()).add(kind)
        for buffer in writes:
            self.written.setdefault(buffer, set()).add(kind)
        return wait_here

    def _others(
        self, touched: dict[Buffer, set[str]], buffer: Buffer, kind: str, nest: Nest
    ) -> bool:
        kinds = touched.get(buffer, set())
        same = kind in ("panels", "single")
        return bool(kinds - {kind}) or bool(kinds and not same)


def write_nests(
    code: Assembly,
    nests: Sequence[Nest],
    places: Mapping[Buffer, Value],
    share: Share = WHOLE,
    apart: bool = False,
    order: Order | None = None,
) -> None:
    """Write nests one after the other; threads share them, and wait where they need to.

    Parameters
    ----------
    code : Assembly
        Of a function with ``%thread`` and ``%threads``, if there are threads.
    nests : sequence of Nest
    places : mapping of Buffer to Value
    share : Share
        The panels of all threads and of this one.
    apart : bool
        See `write_nest`.
    order : Order, optional
        Of several threads; without it there is but one.
    """
    for nest in nests:
        if order is None:
            write_nest(code, nest, places, share, apart)
            continue
        with order.around(nest):
            if split_kind(nest) == "single":
                first = code.emit("i1", f"icmp eq {THREAD}, 0")
                code.when(first, partial(write_nest, code, nest, places, share, apart))
            else:
                rows = (THREAD, THREADS) if split_kind(nest) == "rows" else None
                write_nest(code, nest, places, replace(share, rows=rows), apart)


def write_barrier(code: Assembly, state: Value, threads: Value) -> None:
    """Write a barrier: everyone waits until all have come.

    Parameters
    ----------
    code : Assembly
    state : Value
        Pointer to `BARRIER_BYTES` zeroed bytes.
    threads : Value
        How many must come.
    """
    place = code.emit("ptr", f"getelementptr i8, {state}, i64 64")
    now = code.emit("i64", f"load atomic i64, {place} acquire, align 8")
    before = code.emit("i64", f"atomicrmw add {state}, i64 1 acq_rel")
    missing = code.emit("i64", f"sub i64 {threads.text}, 1")
    last = code.emit("i1", f"icmp eq i64 {before.text}, {missing.text}")
    code.count += 1
    n = code.count
    code.do(f"br i1 {last.text}, label %open{n}, label %spin{n}")
    code.label(f"open{n}")
    code.do(f"store atomic i64 0, {state} monotonic, align 8")
    following = code.emit("i64", f"add i64 {now.text}, 1")
    code.do(f"store atomic {following}, {place} release, align 8")
    code.do(f"br label %past{n}")
    code.label(f"spin{n}")
    write_spin(code, place, f"icmp ne i64 {{seen}}, {now.text}")
    code.do(f"br label %past{n}")
    code.label(f"past{n}")


def write_spin(code: Assembly, place: Value, until: str) -> None:
    """Look at a place in memory until a condition holds, offering the processor now and then.

    Parameters
    ----------
    code : Assembly
    place : Value
        Pointer to an i64.
    until : str
        The condition, an instruction in which ``{seen}`` is what was found there.
    """
    code.count += 1
    n, before = code.count, code.block
    code.do(f"br label %look{n}")
    code.label(f"look{n}")
    code.lines.append(f"  %turn{n} = phi i64 [ 0, %{before} ], [ %next{n}, %again{n} ]")
    seen = code.emit("i64", f"load atomic i64, {place} acquire, align 8")
    found = code.emit("i1", until.format(seen=seen.text))
    code.do(f"br i1 {found.text}, label %found{n}, label %wait{n}")
    code.label(f"wait{n}")
    code.lines.append(f"  %next{n} = add i64 %turn{n}, 1")
    tired = code.emit("i1", f"icmp sgt i64 %turn{n}, {SPINS}")
    code.do(f"br i1 {tired.text}, label %yield{n}, label %again{n}")
    code.label(f"yield{n}")
    code.call("i32", YIELD)
    code.do(f"br label %again{n}")
    code.label(f"again{n}")
    code.do(f"br label %look{n}")
    code.label(f"found{n}")
