"""A whole training run as one native function: every batch of an epoch without Python.

For each batch: gather the rows, forward, loss, backward, sums over samples, update. The loss is
given for one sample; here every per-sample array gets a last axis of *lanes*, and a batch is a
number of *panels* of that many samples. Samples lie along vector lanes, so any operation is
vectorised, and ``W x`` for a panel is a matrix product in registers.

Number of samples, size of a batch, the short last batch, learning rates and hyperparameters
are arguments of the native function. Lanes beyond the end of a batch repeat its last sample
with weight zero.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from thalweg.compiler.assembly import Assembly, Value, llvm_type
from thalweg.compiler.crew import run_on_threads
from thalweg.compiler.decompose import decompose
from thalweg.compiler.fuse import Fusion
from thalweg.compiler.llvm import MANY_NESTS, Share, write_nest
from thalweg.compiler.loops import (
    ITEM_BYTES,
    PANELS,
    Access,
    Buffer,
    Load,
    Nest,
    Store,
    verify,
)
from thalweg.compiler.memory import MemoryPlan, plan_memory
from thalweg.compiler.merge import merge
from thalweg.compiler.native import NativeCode, module_text
from thalweg.compiler.numbers import numbers_first
from thalweg.compiler.rows import Given, RowWriter
from thalweg.compiler.target import Target, host
from thalweg.compiler.threads import Barriers, split_kind, write_barrier
from thalweg.compiler.turn import Layout, row_of, turn_sums
from thalweg.compiler.vectorise import SMALLEST_SQUARE, vectorise
from thalweg.differentiation.chain_rule import backward
from thalweg.graph import Graph, Node, substitute, topological, variable

__all__ = ["BatchProgram", "Step"]

FEWEST_USES = 8
"""Rows of a sum over samples from which the other factor is transposed for it."""

Array = NDArray[Any]
Update = Callable[
    [Sequence[Node], Sequence[Node], Sequence[Node], Sequence[Node], Node],
    tuple[Sequence[Node], Sequence[Node]],
]


@dataclass(frozen=True)
class Step:
    """What one training step computes, as graphs.

    Attributes
    ----------
    sample : Graph
        Inputs: the parameters, then x and t of one sample, and its key if it has one (an
        integer, for dropout); output: its loss.
    memory : sequence of Node
        Variables for what is remembered from step to step.
    scalars : int
        How many numbers the update takes at every step (step count, learning rate, ...).
    update : callable or None
        ``update(parameters, gradients, memory, scalars, total weight) -> (parameters,
        memory)``; None to compute losses only.
    price : callable, optional
        ``price(parameters, total weight)``: the penalty.
    sign : float
        -1 to maximise.
    keyed : bool
        Whether samples have keys.
    """

    sample: Graph
    memory: Sequence[Node]
    scalars: int
    update: Update | None
    price: Callable[[Sequence[Node], Node], Any] | None = None
    sign: float = 1.0
    keyed: bool = False

    @property
    def parameters(self) -> tuple[Node, ...]:
        """The parameters' variables."""
        return self.sample.inputs[: -3 if self.keyed else -2]


class BatchProgram:
    """Steps over batches, compiled for one network, loss and rule.

    Parameters
    ----------
    step : Step
    lanes : int
        Samples in a panel: one or two vectors.
    threaded : bool
        Whether the code can be run by several threads.
    blocked : bool
        Whether a batch is worked off in blocks of samples that fit the cache, sums over
        samples being added up from block to block.
    target : Target, optional
    """

    def __init__(
        self,
        step: Step,
        lanes: int,
        threaded: bool = False,
        blocked: bool = False,
        target: Target | None = None,
    ) -> None:
        self.step = replace(step, sample=_fresh(step.sample))
        self.lanes = lanes
        self.threaded = threaded
        self.blocked = blocked
        self.target = target or host()
        self.dtype = step.sample.outputs[0].dtype.name
        self._variables()
        self.nests = self._nests()
        # Threads may be at different nests, and sums must outlive the next block: no place twice.
        self.memory: MemoryPlan = plan_memory(self.nests, reuse=not threaded and not blocked)
        self.code = NativeCode(self._text(), "train", self.target)
        self._function: Any = None

    # -- graphs to nests --------------------------------------------------------------------
    def _variables(self) -> None:
        self.x, self.t, *self.key = self.step.sample.inputs[len(self.step.parameters) :]
        self.weight = variable((), self.dtype)
        self.inverse = variable((), self.dtype)
        self.total = variable((), self.dtype)
        self.keep = variable((), self.dtype)
        self.scalars = [variable((), self.dtype) for _ in range(self.step.scalars)]
        self.gradients = [variable(p.shape, p.dtype) for p in self.step.parameters]

    def _nests(self) -> list[Nest]:
        (loss,) = self.step.sample.outputs
        leaves = self.step.parameters
        share = self.weight * self.inverse
        per_sample = [share * loss * self.step.sign]
        price = self.step.price(leaves, self.total) if self.step.price else None
        if self.step.update is None:
            late = [] if price is None else [price]
            self.numbers, late = numbers_first(late, self.scalars)
            return self._lower(decompose(per_sample), decompose(late), price is not None)
        derivation = backward(loss, leaves, self.step.sign * share)
        per_sample = decompose([*per_sample, *(derivation.gradient(leaf) for leaf in leaves)])
        gradients: list[Node] = list(self.gradients)
        if price is not None:
            slopes = backward(price, leaves)
            gradients = [g + slopes.gradient(p) for g, p in zip(gradients, leaves, strict=True)]
        moved, after = self.step.update(
            leaves, gradients, self.step.memory, self.scalars, self.total
        )
        late = [*moved, *after, *([price] if price is not None else [])]
        self.numbers, late = numbers_first(late, self.scalars)
        return self._lower(per_sample, decompose(late), price is not None)

    def _lower(self, per_sample: list[Node], late: list[Node], priced: bool) -> list[Nest]:
        leaves, memory = self.step.parameters, self.step.memory
        state = {
            node: Buffer(f"state{k}", node.shape, self.dtype, "state")
            for k, node in enumerate((*leaves, *memory))
        }
        buffers = dict(state)
        for name, node in (("x", self.x), ("t", self.t), ("w", self.weight)):
            buffers[node] = Buffer(name, (*node.shape, self.lanes), self.dtype, "input", True)
        for k, node in enumerate((self.inverse, self.total, self.keep, *self.numbers.inputs_after)):
            buffers[node] = Buffer(f"s{k}", (), self.dtype, "input")
        for node in self.key:
            buffers[node] = Buffer("key", (self.lanes,), "int64", "input", True)
        self.rows = Buffer("rows", (self.lanes,), "int64", "input", True)
        self.state, self.buffers = list(state.values()), buffers
        fusion = Fusion(buffers, self.lanes, self._sampled(per_sample))
        self._gather(fusion)
        self.losses = [
            Buffer("loss", (), self.dtype, "output"),
            Buffer("price", (), self.dtype, "output"),
        ]
        first, *slopes = per_sample
        heads = [s for s in slopes if s in fusion.sampled]
        fusion.prepare([first, *heads])
        keep = buffers[self.keep] if self.blocked else None
        fusion.sum_over_samples(first, self.losses[0], keep)
        for variable_, slope in zip(self.gradients, slopes, strict=False):
            buffer = Buffer(f"g{len(buffers)}", variable_.shape, self.dtype, "temporary")
            buffers[variable_] = buffer
            if slope in fusion.sampled:
                fusion.sum_over_samples(slope, buffer, keep)
            else:
                fusion.copy(slope, buffer)
        if priced:
            fusion.copy(late.pop(), self.losses[1])
        # All new values first, then the state: an update may read what another one changes.
        fusion.prepare(late, themselves=True)
        for node, buffer in zip(late, self.state, strict=False):
            if fusion.buffers.get(node) is not buffer:
                fusion.copy(node, buffer)
        verify(fusion.nests, "fuse")
        nests = turn_sums(fusion.nests, self.turned, self.lanes, self._per_vector(), FEWEST_USES)
        verify(nests, "turn")
        nests = merge(nests)
        verify(nests, "merge")
        vectorise(nests, self.target)
        verify(nests, "vectorise")
        return nests

    def _sampled(self, outputs: Sequence[Node]) -> set[Node]:
        found = {self.x, self.t, self.weight, *self.key}
        for node in topological(outputs):
            if any(i in found for i in node.inputs):
                found.add(node)
        return found

    def _gather(self, fusion: Fusion) -> None:
        """Nests that bring the rows of a batch into panels, features before lanes."""
        self.sources = []
        self.turned: dict[Layout, Buffer] = {}
        for name, node in (("X", self.x), ("T", self.t)):
            (width,) = node.shape
            source = Buffer(name, (1 << 40, width), self.dtype, "input")
            self.sources.append(source)
            panel = fusion.buffers[node]
            place = Access(panel, (panel.size, self.lanes, 1))
            if width < SMALLEST_SQUARE:
                row = Load(Access(self.rows, (self.lanes, 0, 1)))
                value = Load(Access(source, (0, 1, 0), 0, ((row, width),)))
            else:
                copy = row_of(panel, width, self.lanes, self._per_vector())
                step = copy.strides[0]
                row = Load(Access(self.rows, (self.lanes, 1, 0)))
                value = Load(Access(source, (0, 0, 1), 0, ((row, width),)))
                store = Store(Access(copy, (copy.size, step, 1)), value)
                fusion.nests.append(Nest((PANELS, self.lanes, width), [store]))
                self.turned[panel, 0, self.lanes, width] = copy
                value = Load(Access(copy, (copy.size, 1, step)))
            fusion.nests.append(Nest((PANELS, width, self.lanes), [Store(place, value)]))

    def _per_vector(self) -> int:
        return self.target.lanes(ITEM_BYTES[self.dtype])

    # -- the native function --------------------------------------------------------------------
    ARGUMENTS = (
        "ptr noalias %arguments, i64 %first, i64 %last, i64 %count, i64 %size, "
        "i64 %thread, i64 %threads, i64 %block"
    )

    def _text(self) -> str:
        code = Assembly()
        pointers = _Places()
        table = [
            *self.state,
            *self.sources,
            "weights",
            "order",
            "keys",
            "scalars",
            "losses",
            "work",
        ]
        table += self._constants()
        given = []
        for k, entry in enumerate(table):
            if isinstance(entry, Buffer):
                pointers.later[entry] = partial(_argument, code, k)
            else:
                given.append(_argument(code, k))
        weights, order, keys, scalars, losses, work = given
        rows_given = Given(weights, order, keys)
        self._place(code, pointers, work)

        def batch(index: Value, carried: Sequence[Value]) -> list[Value]:
            begin = code.emit("i64", f"mul nsw i64 {index.text}, %size")
            left = code.emit("i64", f"sub nsw i64 %count, {begin.text}")
            samples = _smaller(code, left, Value("%size", "i64"))
            total = self._numbers(code, pointers, index, scalars, losses)
            rows = self._row_writer(code, pointers, total)
            rows.write_sum(rows_given, begin, samples)
            self._write_batch(rows, rows_given, (begin, samples), pointers, work)
            return []

        code.loop(Value("%first", "i64"), Value("%last", "i64"), 1, batch)
        return module_text(code, "train", self.ARGUMENTS)

    def _row_writer(self, code: Assembly, pointers: dict[Buffer, Value], total: Value) -> RowWriter:
        def place(node: Node) -> Value:
            return pointers[self.buffers[node]]

        return RowWriter(
            code,
            self.dtype,
            self.lanes,
            rows=pointers[self.rows],
            weight=place(self.weight),
            keys=[place(node) for node in self.key],
            totals=[place(self.total), total],
            inverse=place(self.inverse),
        )

    def _write_batch(
        self,
        rows: RowWriter,
        given: Given,
        span: tuple[Value, Value],
        pointers: dict[Buffer, Value],
        work: Value,
    ) -> None:
        """Everything that is done for one batch, in one piece or block by block."""
        code = rows.code
        begin, samples = span
        early, sampled, late = _phases(self.nests)

        def block(start: Value, carried: Sequence[Value]) -> list[Value]:
            first = code.emit("i64", f"add nsw i64 {begin.text}, {start.text}")
            left = code.emit("i64", f"sub nsw i64 {samples.text}, {start.text}")
            number = _smaller(code, left, Value("%room", "i64"))
            above = code.emit("i64", f"add nsw i64 {number.text}, {self.lanes - 1}")
            panels = code.emit("i64", f"sdiv i64 {above.text}, {self.lanes}")
            share = self._share(code, panels)
            rows.write_lanes(given, first, number, share.own)
            if self.blocked:
                self._note_first(code, pointers, start)
            self._write_nests(code, pointers, sampled, share, work)
            if self.threaded and self.blocked:
                write_barrier(code, work, Value("%threads", "i64"))
            return []

        zero = Value("0", "i64")
        whole = Share((zero, zero), (zero, zero))
        if not self.blocked:
            sampled = [*early, *sampled, *late]
            block(zero, [])
        else:
            self._write_nests(code, pointers, early, whole, work)
            if early and self.threaded:
                write_barrier(code, work, Value("%threads", "i64"))
            step = Value("%room", "i64")
            code.loop(zero, samples, step, block)
            self._write_nests(code, pointers, late, whole, work)
        if self.threaded:
            write_barrier(code, work, Value("%threads", "i64"))

    def _note_first(self, code: Assembly, pointers: dict[Buffer, Value], start: Value) -> None:
        """Say whether sums are continued (1) or begun (0) in this block."""
        element = llvm_type(self.dtype)
        first = code.emit("i1", f"icmp eq i64 {start.text}, 0")
        flag = code.emit(element, f"select {first}, {element} 0.0, {element} 1.0")
        code.do(f"store {flag}, {pointers[self.buffers[self.keep]]}")

    def _share(self, code: Assembly, panels: Value) -> Share:
        """The panels of the running thread."""
        zero = Value("0", "i64")
        if not self.threaded:
            return Share((zero, panels), (zero, panels))
        ends = []
        for number in ("%thread", code.emit("i64", "add nsw i64 %thread, 1").text):
            scaled = code.emit("i64", f"mul nsw i64 {number}, {panels.text}")
            ends.append(code.emit("i64", f"udiv i64 {scaled.text}, %threads"))
        return Share((zero, panels), (ends[0], ends[1]))

    def _write_nests(
        self,
        code: Assembly,
        pointers: dict[Buffer, Value],
        nests: Sequence[Nest],
        share: Share,
        work: Value,
    ) -> None:
        apart = len(self.nests) > MANY_NESTS
        if not self.threaded:
            for nest in nests:
                write_nest(code, nest, pointers, share, apart)
            return
        thread, threads = Value("%thread", "i64"), Value("%threads", "i64")
        barriers = Barriers()
        for nest in nests:
            kind = split_kind(nest)
            if barriers.needed(nest, kind):
                write_barrier(code, work, threads)
            if kind == "single":
                first = code.emit("i1", "icmp eq i64 %thread, 0")
                code.when(first, partial(write_nest, code, nest, pointers, share, apart))
            elif kind == "rows":
                write_nest(code, nest, pointers, replace(share, rows=(thread, threads)), apart)
            else:
                write_nest(code, nest, pointers, share, apart)

    def _constants(self) -> list[Any]:
        self.constants = [b for b in self.buffers.values() if b.role == "constant"]
        return list(self.constants)

    def _place(self, code: Assembly, pointers: _Places, work: Value) -> None:
        """Pointers into the workspace: panels of samples first, then single arrays."""
        panel_buffers = self._panel_inputs()
        most = Value("%most", "i64")
        room = "%block" if self.blocked else "%size"
        code.lines.append(f"  %room = add i64 {room}, 0")
        above = code.emit("i64", f"add nsw i64 %room, {self.lanes - 1}")
        code.lines.append(f"  %most = sdiv i64 {above.text}, {self.lanes}")
        at = Value("128", "i64")  # before it the barrier
        for buffer in panel_buffers:
            pointers[buffer] = code.emit("ptr", f"getelementptr i8, {work}, {at}")
            length = code.emit("i64", f"mul nsw i64 {most.text}, {_rounded(buffer.bytes)}")
            at = code.emit("i64", f"add nsw i64 {at.text}, {length.text}")
        for node in (self.inverse, self.total, self.keep):
            pointers[self.buffers[node]] = code.emit("ptr", f"getelementptr i8, {work}, {at}")
            at = code.emit("i64", f"add nsw i64 {at.text}, 64")
        base = code.emit("ptr", f"getelementptr i8, {work}, {at}")
        for buffer, offsets in self.memory.offsets.items():
            pointers.later[buffer] = partial(_temporary, code, base, offsets)

    def panel_bytes(self) -> int:
        """Bytes of workspace for one panel."""
        return sum(_rounded(b.bytes) for b in self._panel_inputs()) + self.memory.per_panel

    def _panel_inputs(self) -> list[Buffer]:
        return [self.rows, *(self.buffers[n] for n in (self.x, self.t, self.weight, *self.key))]

    def workspace_bytes(self, samples: int) -> int:
        """Size of the workspace for so many samples at once (a batch, or a block)."""
        panels = -(-samples // self.lanes)
        return self.panel_bytes() * panels + self.memory.fixed + 512

    def _numbers(
        self,
        code: Assembly,
        pointers: dict[Buffer, Value],
        index: Value,
        scalars: Value,
        losses: Value,
    ) -> Value:
        """Where this step's scalars are read and its losses are put; the total's place."""
        element = llvm_type(self.dtype)
        row = code.emit("i64", f"mul nsw i64 {index.text}, {len(self.numbers.inputs_after)}")
        for k, node in enumerate(self.numbers.inputs_after):
            at = code.emit("i64", f"add nsw i64 {row.text}, {k}")
            place = code.emit("ptr", f"getelementptr {element}, {scalars}, {at}")
            pointers[self.buffers[node]] = place
        row = code.emit("i64", f"mul nsw i64 {index.text}, 3")
        places = []
        for k in range(3):
            at = code.emit("i64", f"add nsw i64 {row.text}, {k}")
            places.append(code.emit("ptr", f"getelementptr {element}, {losses}, {at}"))
        pointers |= dict(zip(self.losses, places[:2], strict=True))
        return places[2]

    # -- running --------------------------------------------------------------------------------
    def run(
        self,
        state: Sequence[Array],
        data: Sequence[Array],
        scalars: Array,
        batch_size: int,
        losses: Array,
        span: tuple[int, int],
        workspace: Array,
        threads: int = 1,
        block: int = 0,
    ) -> None:
        """Run the batches `span` of an epoch.

        Parameters
        ----------
        state : sequence of array
            Parameters, then memory; changed in place, contiguous, of the program's dtype.
        data : sequence of array
            X, T, weights (of the program's dtype), order and keys (int64, one for each place in
            the order; anything where samples have none), contiguous.
        scalars : array of shape (batches, number of scalars)
            As `numbers` makes them from the step's own.
        batch_size : int
        losses : array of shape (batches, 3)
            Receives mean loss, penalty and sum of weights of every batch.
        span : (int, int)
            First batch, and the one after the last.
        workspace : array
            At least `workspace_bytes` long, aligned to 64 bytes, zeroed.
        threads : int
            More than one only for a threaded program.
        block : int
            Samples in a block, a multiple of the lanes, for a blocked program.
        """
        arrays = [*state, *data, scalars, losses, workspace, *(b.value for b in self.constants)]
        table = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
        if self._function is None:
            kinds = (ctypes.c_void_p, *(ctypes.c_int64,) * 7)
            self._function = ctypes.CFUNCTYPE(None, *kinds)(self.code.address)
        function, count = self._function, len(data[3])

        def task(thread: int, threads: int) -> None:
            function(table, span[0], span[1], count, batch_size, thread, threads, block)

        run_on_threads(task, threads)


class _Places(dict[Buffer, Value]):
    """Where buffers are; pointers that are made anew where they are needed keep no register."""

    def __init__(self) -> None:
        super().__init__()
        self.later: dict[Buffer, Callable[[], Value]] = {}

    def __missing__(self, buffer: Buffer) -> Value:
        return self.later[buffer]()


def _fresh(graph: Graph) -> Graph:
    """The graph with variables of its own: the order of its nodes is that of this program alone."""
    inputs = tuple(variable(node.shape, node.dtype) for node in graph.inputs)
    image = substitute(graph.outputs, dict(zip(graph.inputs, inputs, strict=True)))
    return Graph(inputs, tuple(image[node] for node in graph.outputs))


def _argument(code: Assembly, number: int) -> Value:
    place = code.emit("ptr", f"getelementptr ptr, ptr %arguments, i64 {number}")
    return code.emit("ptr", f"load ptr, {place}", "b")


def _temporary(code: Assembly, base: Value, offsets: tuple[int, int]) -> Value:
    fixed, per_panel = offsets
    scaled = code.emit("i64", f"mul nsw i64 %most, {per_panel}")
    place = code.emit("i64", f"add nsw i64 {scaled.text}, {fixed}")
    return code.emit("ptr", f"getelementptr i8, {base}, {place}")


def _smaller(code: Assembly, a: Value, b: Value) -> Value:
    less = code.emit("i1", f"icmp slt i64 {a.text}, {b.text}")
    return code.emit("i64", f"select {less}, {a}, {b}")


def _phases(nests: Sequence[Nest]) -> tuple[list[Nest], list[Nest], list[Nest]]:
    """Nests before the samples, of the samples, and after all sums over samples."""
    early: list[Nest] = []
    sampled: list[Nest] = []
    late: list[Nest] = []
    summed: set[Buffer] = set()
    for nest in nests:
        if PANELS in nest.extents:
            sampled.append(nest)
            if PANELS in nest.reduced:
                summed |= nest.writes()
        elif nest.reads() & summed or any(b.role == "state" for b in nest.writes()):
            late.append(nest)
            summed |= nest.writes()
        else:
            early.append(nest)
    return early, sampled, late


def _rounded(count: int) -> int:
    return -(-count // 64) * 64
