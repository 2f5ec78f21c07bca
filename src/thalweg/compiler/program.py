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
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import thalweg.numpy as tnp
from thalweg.compiler.assembly import Assembly, Value, llvm_type
from thalweg.compiler.decompose import decompose
from thalweg.compiler.fuse import Fusion
from thalweg.compiler.llvm import write_nest
from thalweg.compiler.loops import PANELS, Access, Buffer, Load, Nest, Store, verify
from thalweg.compiler.memory import MemoryPlan, plan_memory
from thalweg.compiler.merge import merge
from thalweg.compiler.native import NativeCode, module_text
from thalweg.compiler.target import Target, host
from thalweg.compiler.vectorise import vectorise
from thalweg.differentiation.chain_rule import backward
from thalweg.graph import Graph, Node, topological, variable

__all__ = ["BatchProgram", "Step"]

Array = NDArray[Any]
Update = Callable[
    [Sequence[Node], Sequence[Node], Sequence[Node], Sequence[Node]],
    tuple[Sequence[Node], Sequence[Node]],
]


@dataclass(frozen=True)
class Step:
    """What one training step computes, as graphs.

    Attributes
    ----------
    sample : Graph
        Inputs: the parameters, then x and t of one sample; output: its loss.
    memory : sequence of Node
        Variables for what the rule remembers.
    scalars : int
        How many numbers the update takes at every step (step count, learning rate, ...).
    update : callable
        ``update(parameters, gradients, memory, scalars) -> (parameters, memory)``.
    price : callable, optional
        ``price(parameters, total weight)``: the penalty.
    sign : float
        -1 to maximise.
    """

    sample: Graph
    memory: Sequence[Node]
    scalars: int
    update: Update
    price: Callable[[Sequence[Node], Node], Any] | None = None
    sign: float = 1.0

    @property
    def parameters(self) -> tuple[Node, ...]:
        """The parameters' variables."""
        return self.sample.inputs[:-2]


@dataclass
class _Layout:
    """The buffers that the native function is given or makes for itself."""

    inputs: list[Buffer] = field(default_factory=list)
    own: dict[str, Buffer] = field(default_factory=dict)


class BatchProgram:
    """Steps over batches, compiled for one network, loss and rule.

    Parameters
    ----------
    step : Step
    lanes : int
        Samples in a panel: one or two vectors.
    target : Target, optional
    """

    def __init__(self, step: Step, lanes: int, target: Target | None = None) -> None:
        self.step = step
        self.lanes = lanes
        self.target = target or host()
        self.dtype = step.sample.outputs[0].dtype.name
        self._variables()
        self.nests = self._nests()
        self.memory: MemoryPlan = plan_memory(self.nests)
        self.code = NativeCode(self._text(), "train", self.target)
        self._function: Any = None

    # -- graphs to nests --------------------------------------------------------------------
    def _variables(self) -> None:
        *_, x, t = self.step.sample.inputs
        self.x, self.t = x, t
        self.weight = variable((), self.dtype)
        self.inverse = variable((), self.dtype)
        self.total = variable((), self.dtype)
        self.scalars = [variable((), self.dtype) for _ in range(self.step.scalars)]
        self.gradients = [variable(p.shape, p.dtype) for p in self.step.parameters]

    def _nests(self) -> list[Nest]:
        (loss,) = self.step.sample.outputs
        leaves = self.step.parameters
        share = self.weight * self.inverse
        derivation = backward(loss, leaves, self.step.sign * share)
        per_sample = [
            share * loss * self.step.sign,
            *(derivation.gradient(leaf) for leaf in leaves),
        ]
        per_sample = decompose(per_sample)
        price = self.step.price(leaves, self.total) if self.step.price else None
        gradients: list[Node] = list(self.gradients)
        if price is not None:
            slopes = backward(price, leaves)
            gradients = [g + slopes.gradient(p) for g, p in zip(gradients, leaves, strict=True)]
        moved, after = self.step.update(leaves, gradients, self.step.memory, self.scalars)
        late = decompose([*moved, *after, *([price] if price is not None else [])])
        return self._lower(per_sample, late, price is not None)

    def _lower(self, per_sample: list[Node], late: list[Node], priced: bool) -> list[Nest]:
        leaves, memory = self.step.parameters, self.step.memory
        state = {
            node: Buffer(f"state{k}", node.shape, self.dtype, "state")
            for k, node in enumerate((*leaves, *memory))
        }
        buffers = dict(state)
        for name, node in (("x", self.x), ("t", self.t), ("w", self.weight)):
            buffers[node] = Buffer(name, (*node.shape, self.lanes), self.dtype, "input", True)
        for k, node in enumerate((self.inverse, self.total, *self.scalars)):
            buffers[node] = Buffer(f"s{k}", (), self.dtype, "input")
        self.rows = Buffer("rows", (self.lanes,), "int64", "input", True)
        self.state, self.buffers = list(state.values()), buffers
        fusion = Fusion(buffers, self.lanes, self._sampled(per_sample))
        self._gather(fusion)
        self.losses = [Buffer("loss", (), self.dtype, "output"), Buffer("price", (), self.dtype, "output")]
        first, *slopes = per_sample
        heads = [s for s in slopes if s in fusion.sampled]
        fusion.prepare([first, *heads])
        fusion.sum_over_samples(first, self.losses[0])
        for variable_, slope in zip(self.gradients, slopes, strict=True):
            buffer = Buffer(f"g{len(buffers)}", variable_.shape, self.dtype, "temporary")
            buffers[variable_] = buffer
            if slope in fusion.sampled:
                fusion.sum_over_samples(slope, buffer)
            else:
                fusion.copy(slope, buffer)
        if priced:
            fusion.copy(late.pop(), self.losses[1])
        fusion.prepare(late)
        for node, buffer in zip(late, self.state, strict=True):
            fusion.copy(node, buffer)
        verify(fusion.nests, "fuse")
        nests = merge(fusion.nests)
        verify(nests, "merge")
        vectorise(nests, self.target)
        verify(nests, "vectorise")
        return nests

    def _sampled(self, outputs: Sequence[Node]) -> set[Node]:
        found = {self.x, self.t, self.weight}
        for node in topological(outputs):
            if any(i in found for i in node.inputs):
                found.add(node)
        return found

    def _gather(self, fusion: Fusion) -> None:
        """Nests that bring the rows of a batch into panels, features before lanes."""
        self.sources = []
        for name, node in (("X", self.x), ("T", self.t)):
            (width,) = node.shape
            source = Buffer(name, (1 << 40, width), self.dtype, "input")
            self.sources.append(source)
            panel = fusion.buffers[node]
            row = Load(Access(self.rows, (self.lanes, 0, 1)))
            value = Load(Access(source, (0, 1, 0), 0, ((row, width),)))
            store = Store(Access(panel, (panel.size, self.lanes, 1)), value)
            fusion.nests.append(Nest((PANELS, width, self.lanes), [store]))

    # -- the native function --------------------------------------------------------------------
    ARGUMENTS = "ptr noalias %arguments, i64 %first, i64 %last, i64 %count, i64 %size"

    def _text(self) -> str:
        code = Assembly()
        pointers: dict[Buffer, Value] = {}
        table = [*self.state, *self.sources, "weights", "order", "scalars", "losses", "work"]
        table += self._constants()
        given = []
        for k, entry in enumerate(table):
            place = code.emit("ptr", f"getelementptr ptr, ptr %arguments, i64 {k}")
            pointer = code.emit("ptr", f"load ptr, {place}", "b")
            given.append(pointer)
            if isinstance(entry, Buffer):
                pointers[entry] = pointer
        start = len(self.state) + 2
        weights, order, scalars, losses, work = given[start : start + 5]
        panels = Value("%panels", "i64")
        self._place(code, pointers, work)

        def batch(index: Value, carried: Sequence[Value]) -> list[Value]:
            begin = code.emit("i64", f"mul nsw i64 {index.text}, %size")
            left = code.emit("i64", f"sub nsw i64 %count, {begin.text}")
            short = code.emit("i1", f"icmp slt i64 {left.text}, %size")
            samples = code.emit("i64", f"select {short}, {left}, i64 %size")
            above = code.emit("i64", f"add nsw i64 {samples.text}, {self.lanes - 1}")
            number = code.emit("i64", f"sdiv i64 {above.text}, {self.lanes}")
            _Rows(self, code, pointers).write(begin, samples, number, weights, order)
            self._numbers(code, pointers, index, scalars, losses)
            for nest in self.nests:
                write_nest(code, nest, pointers, (Value("0", "i64"), number))
            self._total(code, pointers, index, losses)
            return []

        _ = panels
        code.loop(Value("%first", "i64"), Value("%last", "i64"), 1, batch)
        return module_text(code, "train", self.ARGUMENTS)

    def _constants(self) -> list[Any]:
        self.constants = [b for b in self.buffers.values() if b.role == "constant"]
        return list(self.constants)

    def _place(self, code: Assembly, pointers: dict[Buffer, Value], work: Value) -> None:
        """Pointers into the workspace: panels of samples first, then single arrays."""
        panel_buffers = [self.buffers[n] for n in (self.x, self.t, self.weight)] + [self.rows]
        most = Value("%most", "i64")
        above = code.emit("i64", f"add nsw i64 %size, {self.lanes - 1}")
        code.lines.append(f"  %most = sdiv i64 {above.text}, {self.lanes}")
        at = Value("0", "i64")
        for buffer in panel_buffers:
            pointers[buffer] = code.emit("ptr", f"getelementptr i8, {work}, {at}")
            length = code.emit("i64", f"mul nsw i64 {most.text}, {_rounded(buffer.bytes)}")
            at = code.emit("i64", f"add nsw i64 {at.text}, {length.text}")
        for k, node in enumerate((self.inverse, self.total)):
            pointers[self.buffers[node]] = code.emit("ptr", f"getelementptr i8, {work}, {at}")
            at = code.emit("i64", f"add nsw i64 {at.text}, 64")
            _ = k
        for buffer, (fixed, per_panel) in self.memory.offsets.items():
            scaled = code.emit("i64", f"mul nsw i64 {most.text}, {per_panel}")
            place = code.emit("i64", f"add nsw i64 {scaled.text}, {fixed}")
            total = code.emit("i64", f"add nsw i64 {place.text}, {at.text}")
            pointers[buffer] = code.emit("ptr", f"getelementptr i8, {work}, {total}")

    def workspace_bytes(self, batch_size: int) -> int:
        """Size of the workspace for batches of a size."""
        panels = -(-batch_size // self.lanes)
        own = [self.buffers[n] for n in (self.x, self.t, self.weight)] + [self.rows]
        return sum(_rounded(b.bytes) for b in own) * panels + 128 + self.memory.size(panels) + 64

    def _numbers(
        self,
        code: Assembly,
        pointers: dict[Buffer, Value],
        index: Value,
        scalars: Value,
        losses: Value,
    ) -> None:
        """Where this step's scalars are read and its losses are put."""
        element = llvm_type(self.dtype)
        row = code.emit("i64", f"mul nsw i64 {index.text}, {len(self.scalars)}")
        for k, node in enumerate(self.scalars):
            at = code.emit("i64", f"add nsw i64 {row.text}, {k}")
            place = code.emit("ptr", f"getelementptr {element}, {scalars}, {at}")
            pointers[self.buffers[node]] = place
        row = code.emit("i64", f"mul nsw i64 {index.text}, 3")
        for k, buffer in enumerate(self.losses):
            at = code.emit("i64", f"add nsw i64 {row.text}, {k}")
            pointers[buffer] = code.emit("ptr", f"getelementptr {element}, {losses}, {at}")

    def _total(
        self, code: Assembly, pointers: dict[Buffer, Value], index: Value, losses: Value
    ) -> None:
        element = llvm_type(self.dtype)
        total = code.emit(element, f"load {element}, {pointers[self.buffers[self.total]]}")
        row = code.emit("i64", f"mul nsw i64 {index.text}, 3")
        at = code.emit("i64", f"add nsw i64 {row.text}, 2")
        place = code.emit("ptr", f"getelementptr {element}, {losses}, {at}")
        code.do(f"store {total}, {place}")

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
    ) -> None:
        """Run the batches `span` of an epoch.

        Parameters
        ----------
        state : sequence of array
            Parameters, then memory; changed in place, contiguous, of the program's dtype.
        data : sequence of array
            X, T, weights (of the program's dtype) and order (int64), contiguous.
        scalars : array of shape (batches, number of scalars)
        batch_size : int
        losses : array of shape (batches, 3)
            Receives mean loss, penalty and sum of weights of every batch.
        span : (int, int)
            First batch, and the one after the last.
        workspace : array
            At least `workspace_bytes` long, aligned to 64 bytes.
        """
        arrays = [*state, *data, scalars, losses, workspace, *(b.value for b in self.constants)]
        table = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
        if self._function is None:
            kinds = (ctypes.c_void_p, *(ctypes.c_int64,) * 4)
            self._function = ctypes.CFUNCTYPE(None, *kinds)(self.code.address)
        self._function(table, span[0], span[1], len(data[3]), batch_size)


@dataclass
class _Rows:
    """Which row of the data is in which lane, and with what weight."""

    program: BatchProgram
    code: Assembly
    pointers: dict[Buffer, Value]

    def write(
        self, begin: Value, samples: Value, panels: Value, weights: Value, order: Value
    ) -> None:
        """Write the loop over all lanes of a batch."""
        code, program = self.code, self.program
        element = llvm_type(program.dtype)
        rows = self.pointers[program.rows]
        own = self.pointers[program.buffers[program.weight]]
        slots = code.emit("i64", f"mul nsw i64 {panels.text}, {program.lanes}")
        last = code.emit("i64", f"sub nsw i64 {samples.text}, 1")
        zero = Value("0.0", element)

        def lane(index: Value, carried: Sequence[Value]) -> list[Value]:
            inside = code.emit("i1", f"icmp slt i64 {index.text}, {samples.text}")
            safe = code.emit("i64", f"select {inside}, {index}, {last}")
            at = code.emit("i64", f"add nsw i64 {begin.text}, {safe.text}")
            place = code.emit("ptr", f"getelementptr i64, {order}, {at}")
            row = code.emit("i64", f"load i64, {place}")
            target = code.emit("ptr", f"getelementptr i64, {rows}, {index}")
            code.do(f"store {row}, {target}")
            source = code.emit("ptr", f"getelementptr {element}, {weights}, {row}")
            weight = code.emit(element, f"load {element}, {source}")
            used = code.emit(element, f"select {inside}, {weight}, {zero}")
            target = code.emit("ptr", f"getelementptr {element}, {own}, {index}")
            code.do(f"store {used}, {target}")
            return [code.emit(element, f"fadd {element} {carried[0].text}, {used.text}")]

        (total,) = code.loop(Value("0", "i64"), slots, 1, lane, [zero])
        positive = code.emit("i1", f"fcmp ogt {total}, 0.0")
        divisor = code.emit(element, f"select {positive}, {total}, {element} 1.0")
        inverse = code.emit(element, f"fdiv {element} 1.0, {divisor.text}")
        code.do(f"store {total}, {self.pointers[program.buffers[program.total]]}")
        code.do(f"store {inverse}, {self.pointers[program.buffers[program.inverse]]}")


def _rounded(count: int) -> int:
    return -(-count // 64) * 64


_ = np, tnp
