"""`compile`: a Python function of arrays as one native function.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> import thalweg.numpy as tnp
>>> f = tw.compile(lambda x: tnp.sum(tnp.tanh(x) ** 2))
>>> bool(np.isclose(f(np.array([0.5, 1.0])), 0.7935913))
True
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.decompose import decompose
from thalweg.compiler.fuse import Fusion
from thalweg.compiler.llvm import write_nest
from thalweg.compiler.loops import Buffer, Nest, verify
from thalweg.compiler.memory import plan_memory
from thalweg.compiler.merge import merge
from thalweg.compiler.native import NativeCode, module_text
from thalweg.compiler.target import Target, host
from thalweg.compiler.vectorise import vectorise
from thalweg.differentiation.evaluation import finish
from thalweg.errors import OptionError, suggest
from thalweg.graph import Graph, Node
from thalweg.interpreter import plan
from thalweg.tracing import Traced, as_array, trace_tree
from thalweg.trees import flatten, unflatten

__all__ = ["CompiledFunction", "NativeGraph", "compile"]

STAGES = ("graph", "loops", "llvm", "asm")


class NativeGraph:
    """A graph as one native function of arrays of fixed shapes.

    Parameters
    ----------
    graph : Graph
    target : Target, optional
    """

    def __init__(self, graph: Graph, target: Target | None = None) -> None:
        plan(graph)  # refuses traced arrays that escaped
        self.graph = graph
        self.target = target or host()
        self.nests, self.buffers, self.results = self._loops()
        self.memory = plan_memory(self.nests)
        self.code = NativeCode(self._text(), "kernel", self.target)
        self._constants = {b: np.ascontiguousarray(b.value) for b in self.buffers.values()
                           if b.role == "constant"}  # fmt: skip
        self._local = threading.local()
        self._function: Any = None

    def _loops(self) -> tuple[list[Nest], dict[Node, Buffer], list[Buffer]]:
        outputs = decompose(self.graph.outputs)
        buffers = {
            node: Buffer(f"in{k}", node.shape, node.dtype.name, "input")
            for k, node in enumerate(self.graph.inputs)
        }
        fusion = Fusion(dict(buffers))
        results = []
        for k, node in enumerate(outputs):
            buffer = Buffer(f"out{k}", node.shape, node.dtype.name, "output")
            results.append(buffer)
        fusion.prepare(outputs)
        for node, buffer in zip(outputs, results, strict=True):
            fusion.copy(node, buffer)
        verify(fusion.nests, "fuse")
        nests = merge(fusion.nests)
        verify(nests, "merge")
        vectorise(nests, self.target)
        verify(nests, "vectorise")
        return nests, fusion.buffers, results

    def _text(self) -> str:
        code = Assembly()
        pointers: dict[Buffer, Value] = {}
        arguments = [*self._arguments(), *self.results, *self._constant_buffers()]
        for k, buffer in enumerate(arguments):
            place = code.emit("ptr", f"getelementptr ptr, ptr %arguments, i64 {k}")
            pointers[buffer] = code.emit("ptr", f"load ptr, {place}", "b")
        if self.memory.size():
            place = code.emit("ptr", f"getelementptr ptr, ptr %arguments, i64 {len(arguments)}")
            workspace = code.emit("ptr", f"load ptr, {place}", "w")
            for buffer, (at, _) in self.memory.offsets.items():
                pointers[buffer] = code.emit("ptr", f"getelementptr i8, {workspace}, i64 {at}")
        for nest in self.nests:
            write_nest(code, nest, pointers)
        return module_text(code, "kernel", "ptr noalias %arguments")

    def _arguments(self) -> list[Buffer]:
        return [self.buffers[node] for node in self.graph.inputs]

    def _constant_buffers(self) -> list[Buffer]:
        return [b for b in self.buffers.values() if b.role == "constant"]

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        """Evaluate at arrays of the inputs' shapes and dtypes."""
        arrays = [
            np.ascontiguousarray(a, dtype=node.dtype)
            for a, node in zip(arguments, self.graph.inputs, strict=True)
        ]
        results = [np.empty(b.shape, b.dtype) for b in self.results]
        constants = [self._constants[b] for b in self._constant_buffers()]
        pointers = [a.ctypes.data for a in (*arrays, *results, *constants)]
        if self.memory.size():
            pointers.append(self._workspace())
        table = (ctypes.c_void_p * len(pointers))(*pointers)
        self._native()(table)
        return [r[()] if r.ndim == 0 else r for r in results]

    def _native(self) -> Any:
        if self._function is None:
            self._function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.code.address)
        return self._function

    def _workspace(self) -> int:
        """This thread's own workspace: calls from several threads do not meet."""
        space = getattr(self._local, "space", None)
        if space is None:
            space = self._local.space = np.zeros(self.memory.size() + 64, np.uint8)
        start = int(space.ctypes.data)
        return start + (-start) % 64

    def show(self, stage: str = "loops") -> str:
        """One stage of the compilation as text: graph, loops, llvm or asm."""
        if stage not in STAGES:
            raise OptionError(f"unknown stage {stage!r}.{suggest(stage, STAGES)}")
        if stage == "graph":
            return str(self.graph)
        if stage == "loops":
            return "\n".join(map(str, self.nests))
        return self.code.text if stage == "llvm" else self.code.assembly()


class CompiledFunction:
    """A function compiled once for every combination of argument shapes and dtypes.

    Parameters
    ----------
    f : callable
        Of arrays, or of dicts, lists and tuples of them; pure: what it reads from outside is
        fixed when it is first called.
    """

    def __init__(self, f: Callable[..., Any], target: Target | None = None) -> None:
        wraps(f)(self)
        self._f = f
        self._target = target
        self._known: dict[Any, tuple[Traced, NativeGraph]] = {}

    def _prepared(self, arguments: tuple[Any, ...]) -> tuple[list[Any], Traced, NativeGraph]:
        leaves, structure = flatten(arguments)
        values = [as_array(v) for v in leaves]
        key = (structure, tuple((v.shape, v.dtype.char) for v in values))
        found = self._known.get(key)
        if found is None:
            traced = trace_tree(self._f, arguments)
            found = self._known[key] = traced, NativeGraph(traced.graph, self._target)
        return values, *found

    def __call__(self, *arguments: Any) -> Any:
        values, traced, native = self._prepared(arguments)
        if any(isinstance(v, Node) for v in values):
            graph = traced.graph
            return unflatten(traced.result, finish(graph.outputs, graph.inputs, values))
        return unflatten(traced.result, native(values))

    def show(self, stage: str = "loops", *arguments: Any) -> str:
        """Print a stage of the compilation.

        Parameters
        ----------
        stage : {"graph", "loops", "llvm", "asm"}
        *arguments
            Examples, if the function has not been called yet.
        """
        if arguments:
            return self._prepared(arguments)[2].show(stage)
        if not self._known:
            raise OptionError("call the function first, or give example arguments to show()")
        return next(reversed(self._known.values()))[1].show(stage)


def compile(f: Callable[..., Any]) -> CompiledFunction:
    """Compile a function of arrays to machine code, on its first call.

    Parameters
    ----------
    f : callable
        Any traceable function; also a gradient, Jacobian or Hessian product.

    Returns
    -------
    CompiledFunction
        Called as `f`; compiled once for every combination of shapes and dtypes. Gives the
        interpreter's values up to rounding. ``.show("graph"|"loops"|"llvm"|"asm")`` prints
        what became of it.

    Raises
    ------
    CompilerError
        Where no native code can be made.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> g = compile(tw.grad(lambda x: (x ** 3).sum()))
    >>> g(np.array([1.0, 2.0]))
    array([ 3., 12.])
    """
    return CompiledFunction(f)
