"""Work shared by threads: who does what, and where they wait for each other.

All threads run the same native code on parts of the same data (SPMD). A nest over panels is
split by panels; a sum over samples or an update is split by rows, so that every number is
computed by one thread alone, in an order that the program fixes: the bits of a result do not
depend on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.llvm import WHOLE, Share, write_nest
from thalweg.compiler.loops import PANELS, Buffer, Nest
from thalweg.compiler.target import YIELD

__all__ = ["BARRIER_BYTES", "Barriers", "split_kind", "write_barrier", "write_nests"]

BARRIER_BYTES = 128
"""What a barrier takes: a counter, and on another cache line a generation. Behind it is room."""

SPINS = 200
"""Looks at the barrier before the processor is offered to others."""

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


class Barriers:
    """Decides before which nests all threads must have caught up.

    Nests that are split by panels may follow each other freely: a thread reads what it has
    written itself. Anything else that touches a buffer written by another kind of split waits.
    """

    def __init__(self) -> None:
        self.read: dict[Buffer, set[str]] = {}
        self.written: dict[Buffer, set[str]] = {}

    def needed(self, nest: Nest, kind: str) -> bool:
        """Whether to wait before this nest; call once for every nest, in order."""
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
    barrier: Value | None = None,
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
    barrier : Value, optional
        Where threads meet; without it there is but one.
    """
    if barrier is None:
        for nest in nests:
            write_nest(code, nest, places, share, apart)
        return
    thread, threads = Value("%thread", "i64"), Value("%threads", "i64")
    barriers = Barriers()
    for nest in nests:
        kind = split_kind(nest)
        if barriers.needed(nest, kind):
            write_barrier(code, barrier, threads)
        if kind == "single":
            first = code.emit("i1", "icmp eq i64 %thread, 0")
            code.when(first, partial(write_nest, code, nest, places, share, apart))
        else:
            rows = (thread, threads) if kind == "rows" else None
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
    code.do(f"br label %look{n}")
    code.label(f"look{n}")
    code.lines.append(f"  %turn{n} = phi i64 [ 0, %spin{n} ], [ %next{n}, %again{n} ]")
    seen = code.emit("i64", f"load atomic i64, {place} acquire, align 8")
    open_ = code.emit("i1", f"icmp ne i64 {seen.text}, {now.text}")
    code.do(f"br i1 {open_.text}, label %past{n}, label %wait{n}")
    code.label(f"wait{n}")
    code.lines.append(f"  %next{n} = add i64 %turn{n}, 1")
    tired = code.emit("i1", f"icmp sgt i64 %turn{n}, {SPINS}")
    code.do(f"br i1 {tired.text}, label %yield{n}, label %again{n}")
    code.label(f"yield{n}")
    code.call("i32", YIELD)
    code.do(f"br label %again{n}")
    code.label(f"again{n}")
    code.do(f"br label %look{n}")
    code.label(f"past{n}")
