"""A graph as machine code: its loops, its memory and its text.

What is made here depends on nothing but the graph's form, so that equal graphs share it; the
memory that a call works in belongs to the caller (`thalweg.compiler.function.NativeGraph`).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.binary import ELEMENTARY_2
from thalweg.compiler.decompose import decompose
from thalweg.compiler.elementary import ELEMENTARY
from thalweg.compiler.fuse import Fusion
from thalweg.compiler.guards import guards
from thalweg.compiler.llvm import MANY_NESTS
from thalweg.compiler.loops import Apply, Buffer, Expr, Nest
from thalweg.compiler.lowering import elementary_count
from thalweg.compiler.mailbox import PARAMETERS
from thalweg.compiler.memory import plan_memory
from thalweg.compiler.merge import merge
from thalweg.compiler.native import NativeCode, module_text
from thalweg.compiler.once import once
from thalweg.compiler.parts import by_rows, in_parts
from thalweg.compiler.target import Target
from thalweg.compiler.threads import BARRIER_BYTES, Barriers, write_nests
from thalweg.compiler.turn import turn_products
from thalweg.compiler.vectorise import vectorise
from thalweg.compiler.verify import verify
from thalweg.errors import OptionError, suggest
from thalweg.graph import Graph, Node
from thalweg.graph.form import Form
from thalweg.interpreter import refuse_strangers

__all__ = ["WORK_PER_THREAD", "Kernel", "check_stage", "kernel_of", "shared_kernel"]

STAGES = ("graph", "loops", "llvm", "asm")

Array = NDArray[Any]
FLOAT = np.dtype("float64")

MOST_WRITTEN = 150
"""Elementary functions above which their code is shared."""

WORK_PER_THREAD = 1.5e6
"""Operations of a call from which another thread pays."""

FUNCTION, CALL = 5, 50
"""How many of them an elementary function counts for, and one of two numbers."""

LARGEST_BLOCK = 512
"""Numbers up to which arguments, results and temporaries are passed as one block."""


def kernel_of(graph: Graph, target: Target, alone: bool = False) -> Kernel:
    """The kernel of a graph: that of an equal graph, where one was made a short while ago."""
    form = Form(graph)
    return Kernel(graph, target, alone) if form.heavy else shared_kernel(form, target, alone)


@lru_cache(maxsize=16)
def shared_kernel(form: Form, target: Target, alone: bool) -> Kernel:
    """The same by a form."""
    return Kernel(form.take(), target, alone)


class Kernel:
    """One native function of arrays of fixed shapes.

    Parameters
    ----------
    graph : Graph
    target : Target
    alone : bool
        Whether it is never to share its work among threads.

    Attributes
    ----------
    numbers : bool
        Whether all inputs and outputs are single numbers of float64.
    space : int
        Bytes of the workspace of a call.
    """

    def __init__(self, graph: Graph, target: Target, alone: bool = False) -> None:
        refuse_strangers(graph)
        self.graph = graph
        self.target = target
        self.guards = guards(graph.outputs)
        self.nests, self.buffers, self.results = self._loops()
        self.work = float(sum(map(_work, self.nests)))
        self.threaded = not alone and self.work >= 2 * WORK_PER_THREAD
        self.memory = plan_memory(self.nests, reuse=not self.threaded)
        self.space = self.memory.size() + BARRIER_BYTES * self.threaded
        self.constants = [b for b in self.buffers.values() if b.role == "constant"]
        self.numbers = self._only_numbers()
        self.code = NativeCode(self.text(), "kernel", self.target)

    def _loops(self) -> tuple[list[Nest], dict[Node, Buffer], list[Buffer]]:
        outputs = decompose([*self.graph.outputs, *(g.condition for g in self.guards)])
        fusion = Fusion(
            {
                node: Buffer(f"in{k}", node.shape, node.dtype.name, "input")
                for k, node in enumerate(self.graph.inputs)
            }
        )
        results = [
            Buffer(f"out{k}", node.shape, node.dtype.name, "output")
            for k, node in enumerate(outputs)
        ]
        fusion.destinations = dict(zip(outputs, results, strict=True))
        fusion.prepare(outputs)
        for node, buffer in zip(outputs, results, strict=True):
            fusion.copy(node, buffer)
        verify(fusion.nests, "fuse")
        nests = turn_products(in_parts(merge(by_rows(fusion.nests))), self.target)
        verify(nests, "turn")
        vectorise(nests, self.target)
        verify(nests, "vectorise")
        return nests, fusion.buffers, results

    def _only_numbers(self) -> bool:
        outside = (*self.graph.inputs, *self.graph.outputs)
        temporaries = self.memory.size() // FLOAT.itemsize
        work = sum(math.prod(nest.extents) for nest in self.nests)
        return (
            all(node.shape == () and node.dtype == FLOAT for node in outside)
            and not self.constants
            and not self.guards
            and len(outside) + temporaries <= LARGEST_BLOCK
            and work <= LARGEST_BLOCK
        )

    def text(self) -> str:
        """LLVM assembly: a function of a table of pointers, or of a block with the numbers."""
        code = Assembly(sharing=elementary_count(self.nests) > MOST_WRITTEN)
        pointers: dict[Buffer, Value] = {}
        arguments = [self.buffers[node] for node in self.graph.inputs]
        arguments += [*self.results, *self.constants]
        for k, buffer in enumerate(arguments):
            place = code.emit("ptr", f"getelementptr ptr, ptr %arguments, i64 {k}")
            if not self.numbers:
                place = code.emit("ptr", f"load ptr, {place}")
                place = code.emit("ptr", f"load ptr, {place}", "b")
            pointers[buffer] = place
        order = None
        if self.space:
            place = code.emit("ptr", f"getelementptr ptr, ptr %arguments, i64 {len(arguments)}")
            workspace = place if self.numbers else code.emit("ptr", f"load ptr, {place}", "w")
            order = Barriers(code, workspace) if self.threaded else None
            for buffer, (at, _) in self.memory.offsets.items():
                at += BARRIER_BYTES * self.threaded
                pointers[buffer] = code.emit("ptr", f"getelementptr i8, {workspace}, i64 {at}")
        apart = len(self.nests) > MANY_NESTS
        write_nests(code, self.nests, pointers, apart=apart, order=order)
        return module_text(
            code, "kernel", PARAMETERS if self.threaded else "ptr noalias %arguments"
        )

    # -- what a call needs ----------------------------------------------------------------------
    @once
    def function(self) -> Any:
        """What is called with a table of pointers."""
        return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.code.address)

    @once
    def dtypes(self) -> list[np.dtype[Any]]:
        """Those of the arguments."""
        return [np.dtype(node.dtype.name) for node in self.graph.inputs]

    @once
    def made(self) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shapes and dtypes of the results."""
        return [(b.shape, np.dtype(b.dtype)) for b in self.results]

    @once
    def fixed(self) -> list[Array]:
        """The constants."""
        return [np.ascontiguousarray(b.value, b.dtype) for b in self.constants]

    @once
    def table(self) -> Any:
        """The type of the table of pointers."""
        count = len(self.graph.inputs) + len(self.results) + len(self.constants)
        return ctypes.c_void_p * (count + bool(self.space))

    @once
    def of_numbers(self) -> Callable[..., list[Any]]:
        """Evaluate at numbers of float64, where all inputs and outputs are such."""
        inputs, outputs = len(self.graph.inputs), len(self.graph.outputs)
        size = inputs + outputs + -(-self.memory.size() // FLOAT.itemsize)
        block_type = ctypes.c_double * size
        function: Any = ctypes.PYFUNCTYPE(None, block_type)(self.code.address)
        function.code = self.code  # it may be kept longer than the kernel
        last = inputs + outputs
        number = np.float64

        def call(*numbers: Any) -> list[Any]:
            block = block_type(*numbers)
            function(block)
            return [number(value) for value in block[inputs:last]]

        return call

    def show(self, stage: str = "loops") -> str:
        """One stage of the compilation as text: loops, llvm or asm."""
        check_stage(stage)
        if stage == "loops":
            return "\n".join(map(str, self.nests))
        return self.code.text if stage == "llvm" else self.code.assembly()


def check_stage(stage: str) -> None:
    """Refuse what is no stage of the compilation."""
    if stage not in STAGES:
        raise OptionError(
            "unknown stage {stage!r}.{hint}", stage=stage, hint=suggest(stage, STAGES)
        )


def _work(nest: Nest) -> int:
    """About the operations of a nest; a load counts as one, a function as several."""
    return math.prod(nest.extents) * sum(_cost(e) for e in nest.walk())


def _cost(expr: Expr) -> int:
    if isinstance(expr, Apply) and expr.op in ELEMENTARY_2:
        return CALL
    return FUNCTION if isinstance(expr, Apply) and expr.op in ELEMENTARY else 1
