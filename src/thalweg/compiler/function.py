"""`compile`: a Python function of arrays as one native function.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> import thalweg.numpy as tnp
>>> f = tw.compile(lambda x: tnp.sum(tnp.tanh(x) ** 2))
>>> f(np.array([0.5, 1.0]))
np.float64(0.793577925420...)
"""

from __future__ import annotations

import ctypes
import inspect
import math
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps
from time import perf_counter
from types import MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.compiler.assemble import ASSEMBLERS
from thalweg.compiler.assembly import Assembly, Value
from thalweg.compiler.crew import NativeTask
from thalweg.compiler.decompose import decompose
from thalweg.compiler.fuse import Fusion
from thalweg.compiler.guards import guards
from thalweg.compiler.llvm import MANY_NESTS
from thalweg.compiler.loops import Buffer, Nest
from thalweg.compiler.lowering import elementary_count
from thalweg.compiler.mailbox import PARAMETERS
from thalweg.compiler.memory import plan_memory, workspace
from thalweg.compiler.merge import merge
from thalweg.compiler.native import NativeCode, module_text
from thalweg.compiler.pace import Pace
from thalweg.compiler.parts import in_parts
from thalweg.compiler.patience import run_patiently
from thalweg.compiler.target import Target, available_threads, host
from thalweg.compiler.threads import BARRIER_BYTES, write_nests
from thalweg.compiler.vectorise import vectorise
from thalweg.compiler.verify import verify
from thalweg.differentiation.evaluation import finish
from thalweg.errors import CompilerError, OptionError, ShapeError, suggest
from thalweg.graph import Graph, Node, free_variables
from thalweg.interpreter import plan
from thalweg.tracing import Traced, as_array, trace_tree, tracing
from thalweg.trees import flatten, unflatten

__all__ = ["CompiledFunction", "NativeGraph", "compile"]

STAGES = ("graph", "loops", "llvm", "asm")

Array = NDArray[Any]
FLOAT = np.dtype("float64")
PLAIN = {float, int, np.float64}
"""Types of arguments that are one number of float64."""

MOST_WRITTEN = 150
"""Elementary functions above which their code is shared."""

WORK_PER_THREAD = 1.5e6
"""Operations of a call from which another thread pays."""

SLOWEST = 1e8
"""Operations a second that any machine makes."""

LARGEST_BLOCK = 512
"""Numbers up to which arguments, results and temporaries are passed as one block."""


@lru_cache(maxsize=1)
def _data_field() -> int:
    """Where an array object keeps the address of its entries: NumPy's first field.

    Native code reads it there, many times as fast as ``array.ctypes.data``.
    """
    array, place = np.zeros(1), object.__basicsize__
    known = sys.implementation.name == "cpython" and (
        ctypes.c_void_p.from_address(id(array) + place).value == array.ctypes.data
    )
    if not known:
        raise CompilerError("this Python keeps arrays in another way: use the interpreter")
    return place


class NativeGraph:
    """A graph as one native function of arrays of fixed shapes.

    Parameters
    ----------
    graph : Graph
    target : Target, optional
    alone : bool
        Whether it is never to share its work among threads, for callers that do so themselves.

    Attributes
    ----------
    numbers : bool
        Whether all inputs and outputs are single numbers of float64: then `of_numbers` is
        there, which is much quicker to call.
    """

    def __init__(self, graph: Graph, target: Target | None = None, alone: bool = False) -> None:
        plan(graph)  # refuses traced arrays that escaped
        self.graph = graph
        self.target = target or host()
        self.guards = guards(graph.outputs)
        self.nests, self.buffers, self.results = self._loops()
        self.work = float(sum(map(_work, self.nests)))
        self.threaded = not alone and self.work >= 2 * WORK_PER_THREAD
        self.memory = plan_memory(self.nests, reuse=not self.threaded)
        self.space = self.memory.size() + BARRIER_BYTES * self.threaded
        self.constants = [b for b in self.buffers.values() if b.role == "constant"]
        self.numbers = self._only_numbers()
        self.code = NativeCode(self._text(), "kernel", self.target)
        self._local = threading.local()
        self._field = _data_field()

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
        fusion.destinations = {
            n: b for n, b in zip(outputs, results, strict=True) if n.name in ASSEMBLERS
        }
        fusion.prepare(outputs)
        for node, buffer in zip(outputs, results, strict=True):
            fusion.copy(node, buffer)
        verify(fusion.nests, "fuse")
        nests = in_parts(merge(fusion.nests))
        verify(nests, "merge")
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

    # -- the native function ------------------------------------------------------------------
    def _text(self) -> str:
        """The function of a table of pointers; of numbers, of a block with the numbers."""
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
        barrier = None
        if self.space:
            place = code.emit("ptr", f"getelementptr ptr, ptr %arguments, i64 {len(arguments)}")
            workspace = place if self.numbers else code.emit("ptr", f"load ptr, {place}", "w")
            barrier = workspace if self.threaded else None
            for buffer, (at, _) in self.memory.offsets.items():
                at += BARRIER_BYTES * self.threaded
                pointers[buffer] = code.emit("ptr", f"getelementptr i8, {workspace}, i64 {at}")
        apart = len(self.nests) > MANY_NESTS
        write_nests(code, self.nests, pointers, apart=apart, barrier=barrier)
        return module_text(
            code, "kernel", PARAMETERS if self.threaded else "ptr noalias %arguments"
        )

    @cached_property
    def _function(self) -> Any:
        return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.code.address)

    @cached_property
    def _pace(self) -> Pace:
        most = min(available_threads(), int(self.work / WORK_PER_THREAD))
        return Pace(most, self.work / SLOWEST)

    def _on_threads(self, table: Any, arrays: Sequence[Any]) -> None:
        """Run what may be shared among threads, or take long; `table` points to `arrays`."""
        pace, local = self._pace, self._local
        words = (ctypes.addressof(table), 0, 0, 0, 0, 0, 1, 0)
        held = (self, table, arrays, getattr(local, "space", None))
        task = NativeTask(self.code.address, words, held)
        threads, began = pace.threads, perf_counter()
        try:
            run_patiently(task, threads, pace.expected(threads))
        except BaseException:
            local.__dict__.clear()  # the workspace is lost
            raise
        pace.note(threads, 1, perf_counter() - began)

    @cached_property
    def _dtypes(self) -> list[np.dtype[Any]]:
        return [np.dtype(node.dtype.name) for node in self.graph.inputs]

    @cached_property
    def _made(self) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shapes and dtypes of the results."""
        return [(b.shape, np.dtype(b.dtype)) for b in self.results]

    @cached_property
    def _fixed(self) -> list[Array]:
        return [np.ascontiguousarray(b.value, b.dtype) for b in self.constants]

    @cached_property
    def _table(self) -> Any:
        """The type of the table of pointers."""
        count = len(self.graph.inputs) + len(self.results) + len(self.constants)
        return ctypes.c_void_p * (count + bool(self.space))

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        """Evaluate at arrays of the inputs' shapes, converted to their dtypes.

        Raises
        ------
        ShapeError
            If an argument has another shape than the input.
        IndexError, ValueError
            Where the interpreter raises it: see `thalweg.compiler.guards`.
        """
        for node, argument in zip(self.graph.inputs, arguments, strict=True):
            if np.shape(argument) != node.shape:
                raise ShapeError(
                    "an argument has shape {found}, not {wanted}",
                    found=np.shape(argument),
                    wanted=node.shape,
                )
        return self.quickest(*arguments)

    @property
    def quickest(self) -> Callable[..., list[Any]]:
        """What evaluates at arguments whose shapes are known to be right."""
        return self.of_numbers if self.numbers else self.of_arrays

    def of_arrays(self, *arguments: Any) -> list[Any]:
        """Evaluate at arrays of the inputs' shapes."""
        return self.into(self.blank(), *arguments)

    def blank(self) -> list[Array]:
        """Arrays for the results."""
        return [np.empty(shape, dtype) for shape, dtype in self._made]

    def into(self, results: Sequence[Array], *arguments: Any) -> list[Any]:
        """Evaluate at arrays of the inputs' shapes, into what `blank` made.

        Large results are then not given fresh memory at every call, which takes the operating
        system longer than many a computation.
        """
        given = [
            np.ascontiguousarray(a, dtype) for a, dtype in zip(arguments, self._dtypes, strict=True)
        ]
        table = [id(a) + self._field for a in (*given, *results, *self._fixed)]
        if self.space:
            table.append(self._workspace())
        if self.threaded:
            self._on_threads(self._table(*table), (given, results))
        else:
            self._function(self._table(*table))
        found = [r if shape else r[()] for r, (shape, _) in zip(results, self._made, strict=True)]
        if self.guards:
            for guard in reversed(self.guards):
                if not found.pop():
                    raise guard.error(guard.message)
        return found

    def _workspace(self) -> int:
        """A workspace of this thread's own: calls from several threads do not meet."""
        local = self._local
        if not hasattr(local, "address"):
            local.space = workspace(self.space)
            local.address = local.space.ctypes.data
        address: int = local.address
        return address

    @cached_property
    def of_numbers(self) -> Callable[..., list[Any]]:
        """Evaluate at numbers of float64, where all inputs and outputs are such."""
        inputs, outputs = len(self.graph.inputs), len(self.graph.outputs)
        size = inputs + outputs + -(-self.memory.size() // FLOAT.itemsize)
        block_type = ctypes.c_double * size
        function = ctypes.PYFUNCTYPE(None, block_type)(self.code.address)
        last = inputs + outputs
        number = np.float64

        def call(*numbers: Any) -> list[Any]:
            block = block_type(*numbers)
            function(block)
            return [number(value) for value in block[inputs:last]]

        return call

    def show(self, stage: str = "loops") -> str:
        """One stage of the compilation as text: graph, loops, llvm or asm."""
        if stage not in STAGES:
            raise OptionError(
                "unknown stage {stage!r}.{hint}", stage=stage, hint=suggest(stage, STAGES)
            )
        if stage == "graph":
            return str(self.graph)
        if stage == "loops":
            return "\n".join(map(str, self.nests))
        return self.code.text if stage == "llvm" else self.code.assembly()


def _work(nest: Nest) -> int:
    """About the operations of a nest, a load counted as one."""
    return math.prod(nest.extents) * sum(1 for _ in nest.walk())


@dataclass
class _Known:
    """What is known for one combination of shapes and dtypes."""

    traced: Traced
    target: Target | None

    @cached_property
    def native(self) -> NativeGraph:
        return NativeGraph(self.traced.graph, self.target)

    @cached_property
    def single(self) -> bool:
        """Whether the result is one array."""
        return self.traced.result.kind is None

    def result(self, values: Sequence[Any]) -> Any:
        return values[0] if self.single else unflatten(self.traced.result, values)


class CompiledFunction:
    """A function compiled once for every combination of argument shapes and dtypes.

    Parameters
    ----------
    f : callable
        Of arrays, or of dicts, lists and tuples of them; pure: what it reads from outside is
        fixed when it is first called.
    target : Target, optional
    """

    def __init__(self, f: Callable[..., Any], target: Target | None = None) -> None:
        if not callable(f):
            raise OptionError(
                "compile takes a function, not {kind} {value!r:.40}", kind=type(f).__name__, value=f
            )
        wraps(f)(self)
        self._f = f
        self._target = target
        self._known: dict[Any, _Known] = {}
        self._quick: dict[Any, tuple[_Known, Callable[..., list[Any]]]] = {}

    def _prepared(self, arguments: tuple[Any, ...]) -> tuple[list[Any], _Known]:
        leaves, structure = flatten(arguments)
        values = [as_array(v) for v in leaves]
        key = (structure, tuple((v.shape, v.dtype) for v in values))
        found = self._known.get(key)
        if found is None:
            found = _Known(trace_tree(self._f, arguments), self._target)
            graph = found.traced.graph
            if not (tracing() and free_variables(graph.outputs, graph.inputs)):
                self._known[key] = found  # what closes over traced arrays is good for one call
        return values, found

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Evaluate, or join the trace that is under way."""
        if named:
            bound = inspect.signature(self._f).bind(*arguments, **named)
            arguments = bound.args
            if bound.kwargs:
                return self._by_name(*arguments, bound.kwargs)
        signature = _signature(arguments)
        quick = self._quick.get(signature)
        if quick is not None:
            known, call = quick
            return known.result(call(*arguments))
        values, known = self._prepared(arguments)
        traced = known.traced
        if tracing() and self._nested(values, traced.graph):
            graph = traced.graph
            found = finish(graph.outputs, graph.inputs, values, traced.labels)
            return unflatten(traced.result, found)
        native = known.native
        if all(type(a) in PLAIN or _is_plain(a) for a in arguments):
            self._quick[signature] = known, native.quickest
        return known.result(native.quickest(*values))

    @cached_property
    def _by_name(self) -> CompiledFunction:
        """The same function; its last argument is a dict of what is given by name alone."""
        f = self._f

        @wraps(f)
        def called(*given: Any) -> Any:
            return f(*given[:-1], **given[-1])

        return CompiledFunction(called, self._target)

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        """As a method it is given the object, as every function is."""
        return self if owner is None else MethodType(self, owner)

    def __reduce__(self) -> tuple[Any, ...]:
        """As for other processes, which compile it themselves, or find it in the cache."""
        return CompiledFunction, (self._f, self._target)

    def __repr__(self) -> str:
        return f"compile({getattr(self._f, '__qualname__', self._f)})"

    @staticmethod
    def _nested(values: Sequence[Any], graph: Graph) -> bool:
        """Whether the result is part of another trace."""
        nodes = any(isinstance(v, Node) for v in values)
        return nodes or bool(free_variables(graph.outputs, graph.inputs))

    def show(self, stage: str = "loops", *arguments: Any) -> str:
        """Print a stage of the compilation.

        Parameters
        ----------
        stage : {"graph", "loops", "llvm", "asm"}
        *arguments
            Examples, if the function has not been called yet.
        """
        if arguments:
            return self._prepared(arguments)[1].native.show(stage)
        known = self._known or self._by_name._known
        if not known:
            raise OptionError("call the function first, or give example arguments to show()")
        return next(reversed(known.values())).native.show(stage)


def _is_plain(value: Any) -> bool:
    """Whether it is an array that only has to be converted; large unsigned integers are refused."""
    return type(value) is np.ndarray and value.dtype.kind != "u"


def _signature(arguments: tuple[Any, ...]) -> Any:
    """What tells calls apart whose arguments are arrays and numbers; also of others, unused."""
    return tuple([(a.shape, a.dtype) if type(a) is np.ndarray else type(a) for a in arguments])


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
