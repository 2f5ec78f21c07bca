"""The sum of a graph's results over blocks of arguments: one native call for several blocks.

The threads take the blocks in turn, without Python between them. Then they meet, and each adds up
its part of the results, block after block: the bits do not depend on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.compiler.assembly import Assembly, Builder, Value
from thalweg.compiler.crew import NativeTask, run_on_threads
from thalweg.compiler.function import NativeGraph
from thalweg.compiler.mailbox import PARAMETERS, THREADS, WORDS
from thalweg.compiler.memory import workspace
from thalweg.compiler.native import NativeCode, module_text
from thalweg.compiler.target import host
from thalweg.compiler.threads import BARRIER_BYTES, write_barrier
from thalweg.compiler.whole import Whole
from thalweg.errors import CompilerError
from thalweg.graph import Graph

__all__ = ["BlockSums"]

Array = NDArray[Any]

ITEM = 8
"""Bytes of a number, and of a pointer."""

FUNCTION, TABLES, SPACES, ROWS, SUMS, BARRIER = range(6)
"""What the task's first word points to, in order: the graph's function, a table of its pointers
for every block, a workspace for every thread, a row of results for every block, what they are
added to, and where threads meet."""

BLOCKS, MORE, POINTERS, PITCH = 1, 2, 3, 4
"""Words of the task: the number of blocks, whether their sum is added to what was there, pointers
in a table, and numbers in a row."""


class BlockSums:
    """Adds up what a graph gives for each of several blocks of arguments.

    Parameters
    ----------
    graph : Graph
        With results of float64.
    blocks : sequence of sequences of array
        The arguments of each block: contiguous arrays of the graph's shapes and dtypes. What they
        hold when `total` is called is what counts.
    threads : int
        At most so many share the blocks.

    Raises
    ------
    CompilerError
        If the arguments are others, or the results, or these must be looked at after a call.

    Examples
    --------
    >>> import thalweg.numpy as tnp
    >>> from thalweg.graph import variable
    >>> x, blocks = variable((2,), "float64"), np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> sums = BlockSums(Graph((x,), (tnp.sum(x), x * x)), [[row] for row in blocks], threads=2)
    >>> sums.total()
    array([10., 10., 20.])
    """

    def __init__(self, graph: Graph, blocks: Sequence[Sequence[Array]], threads: int) -> None:
        native = NativeGraph(graph, alone=True)
        kernel = native.kernel
        if kernel.guards or kernel.numbers or {b.dtype for b in kernel.results} != {"float64"}:
            raise CompilerError("only arrays of float64 are added up over blocks")
        if not all(_fits(graph, block) for block in blocks):
            raise CompilerError(
                "a block needs contiguous arrays of the shapes and dtypes of the graph's inputs"
            )
        self.kernel, self.threads, self.slots = kernel, threads, 2 * threads
        ends = np.cumsum([b.size for b in kernel.results])
        self.size, lanes = int(ends[-1]), host().lanes(ITEM)
        pitch = -(-self.size // lanes) * lanes
        self.rows = workspace(self.slots * pitch * ITEM).view(np.float64).reshape(-1, pitch)
        results = [np.split(row[: self.size], ends[:-1]) for row in self.rows]
        known = [native.cells([*r, *kernel.fixed]) for r in results]
        width = len(graph.inputs) + len(known[0]) + 1
        self.tables = np.zeros((len(blocks), width), np.int64)
        for k, block in enumerate(blocks):
            self.tables[k, :-1] = [*native.cells(block), *known[k % self.slots]]
        self.pointers, self.task = self._task(results, blocks)

    def _task(self, *kept: object) -> tuple[Array, NativeTask]:
        """What the task's first word points to, and the task."""
        kernel, code = self.kernel, _blocks_code()
        spaces = [workspace(kernel.space) for _ in range(self.threads)]
        addresses = np.array([space.ctypes.data for space in spaces], np.int64)
        arrays = self.tables, addresses, self.rows, self.rows, workspace(BARRIER_BYTES)
        pointers = np.array([kernel.code.address, *(a.ctypes.data for a in arrays)], np.int64)
        words = [0] * WORDS
        words[0], words[THREADS] = pointers.ctypes.data, 1
        words[POINTERS], words[PITCH] = self.tables.shape[1], self.rows.shape[1]
        held = code, kernel, spaces, pointers, arrays, kept
        return pointers, NativeTask(code.address, words, held)

    def total(self) -> Array:
        """All results, one behind the other, added up over the blocks."""
        sums, words, count = np.zeros(self.rows.shape[1]), self.task.words, len(self.tables)
        self.pointers[SUMS] = sums.ctypes.data
        for start in range(0, count, self.slots):
            self.pointers[TABLES] = self.tables.ctypes.data + start * self.tables.strides[0]
            words[BLOCKS], words[MORE] = min(self.slots, count - start), int(start > 0)
            run_on_threads(self.task, min(self.threads, count - start))
        return sums[: self.size]


def _fits(graph: Graph, block: Sequence[Array]) -> bool:
    """Whether native code finds in arrays what it looks for."""
    return len(block) == len(graph.inputs) and all(
        a.shape == node.shape and a.dtype == node.dtype and a.flags.c_contiguous
        for a, node in zip(block, graph.inputs, strict=True)
    )


@lru_cache(maxsize=1)
def _blocks_code() -> NativeCode:
    """The native task."""
    code, target = Assembly(), host()
    _Writer(code, target.lanes(ITEM)).write()
    return NativeCode(module_text(code, "blocks", PARAMETERS), "blocks", target)


class _Writer:
    """Writes the task: a share of the blocks, then a share of the sums."""

    def __init__(self, code: Assembly, lanes: int) -> None:
        self.code, self.whole, self.lanes = code, Whole(code), lanes
        self.vector = Builder(code, lanes, "float64")
        self.thread, self.threads = Value("%thread", "i64"), Value("%threads", "i64")
        self.blocks, self.pitch = Value(f"%w{BLOCKS}", "i64"), Value(f"%w{PITCH}", "i64")

    def write(self) -> None:
        """All of it."""
        self.space = self._pointer(self._pointer_to(SPACES), self.thread)
        self.tables, self.function = self._pointer_to(TABLES), self._pointer_to(FUNCTION)
        self.code.loop(self.thread, self.blocks, self.threads, self._block)
        write_barrier(self.code, self._pointer_to(BARRIER), self.threads)
        self.rows, self.sums = self._pointer_to(ROWS), self._pointer_to(SUMS)
        vectors = self.whole.quotient(self.pitch, self.lanes)
        first, last = self.whole.share(vectors, self.thread, self.threads)
        self.code.loop(first, last, 1, self._add)

    def _block(self, number: Value, carried: Sequence[Value]) -> list[Value]:
        """One block, in this thread's workspace."""
        pointers = Value(f"%w{POINTERS}", "i64")
        table = self._place(self.tables, self.whole.times(number, pointers))
        last = self._place(table, self.whole.minus(pointers, 1))
        self.code.do(f"store {self.space}, {last}, align 8")
        self.code.do(f"call void {self.function.text}({table})")
        return []

    def _add(self, number: Value, carried: Sequence[Value]) -> list[Value]:
        """One vector of the sums."""
        code, type, at = self.code, self.vector.type, self.whole.times(number, self.lanes)

        def load(place: Value) -> Value:
            return code.emit(type, f"load {type}, {place}, align 8")

        def add(block: Value, carried: Sequence[Value]) -> list[Value]:
            row = self._place(self.rows, self.whole.times(block, self.pitch))
            return [self.vector.fadd(carried[0], load(self._place(row, at)))]

        place = self._place(self.sums, at)
        more = code.emit("i1", f"icmp ne i64 %w{MORE}, 0")
        start = self.vector.select(more, load(place), self.vector.constant(0.0))
        (total,) = code.loop(Value("0", "i64"), self.blocks, 1, add, [start])
        code.do(f"store {total}, {place}, align 8")
        return []

    def _pointer_to(self, number: int) -> Value:
        return self._pointer(Value("%arguments", "ptr"), Value(str(number), "i64"))

    def _pointer(self, base: Value, number: Value) -> Value:
        return self.code.emit("ptr", f"load ptr, {self._place(base, number)}, align 8")

    def _place(self, base: Value, index: Value) -> Value:
        return self.code.emit("ptr", f"getelementptr double, {base}, {index}")
