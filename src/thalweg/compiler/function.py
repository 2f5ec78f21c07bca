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
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from time import perf_counter
from types import MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.compiler.crew import NativeTask
from thalweg.compiler.kernel import WORK_PER_THREAD, check_stage, kernel_of
from thalweg.compiler.memory import workspace
from thalweg.compiler.once import once
from thalweg.compiler.pace import Pace
from thalweg.compiler.patience import run_patiently
from thalweg.compiler.results import Results
from thalweg.compiler.target import Target, available_threads, host
from thalweg.differentiation.evaluation import finish
from thalweg.errors import CompilerError, OptionError, ShapeError
from thalweg.graph import Graph, Node, free_variables
from thalweg.tracing import Traced, as_array, trace_tree, tracing
from thalweg.trees import flatten, unflatten

__all__ = ["CompiledFunction", "NativeGraph", "compile"]

Array = NDArray[Any]
PLAIN = {float, int, np.float64}
"""Types of arguments that are one number of float64."""

SLOWEST = 1e8
"""Operations a second that any machine makes."""

_results = Results()


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
    kernel : Kernel
        The code, which equal graphs share.
    """

    def __init__(self, graph: Graph, target: Target | None = None, alone: bool = False) -> None:
        self.graph = graph
        self.kernel = kernel_of(graph, target or host(), alone)
        self._local = threading.local()
        self._field = _data_field()

    @once
    def _pace(self) -> Pace:
        most = min(available_threads(), int(self.kernel.work / WORK_PER_THREAD))
        return Pace(most, self.kernel.work / SLOWEST)

    def _on_threads(self, table: Any, arrays: Sequence[Any]) -> None:
        """Run what may be shared among threads, or take long; `table` points to `arrays`."""
        pace, local = self._pace, self._local
        words = (ctypes.addressof(table), 0, 0, 0, 0, 0, 1, 0)
        held = (self, table, arrays, getattr(local, "space", None))
        task = NativeTask(self.kernel.code.address, words, held)
        threads, began = pace.threads, perf_counter()
        try:
            run_patiently(task, threads, pace.expected(threads))
        except BaseException:
            local.__dict__.clear()  # the workspace is lost
            raise
        pace.note(threads, 1, perf_counter() - began)

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
        return self.kernel.of_numbers if self.kernel.numbers else self.of_arrays

    def of_arrays(self, *arguments: Any) -> list[Any]:
        """Evaluate at arrays of the inputs' shapes."""
        return self.into(self.blank(), *arguments)

    def blank(self) -> list[Array]:
        """Arrays for the results."""
        return [_results.array(shape, dtype) for shape, dtype in self.kernel.made]

    def into(self, results: Sequence[Array], *arguments: Any) -> list[Any]:
        """Evaluate at arrays of the inputs' shapes, into what `blank` made.

        Large results are then not given fresh memory at every call, which takes the operating
        system longer than many a computation.
        """
        kernel = self.kernel
        given = [
            np.ascontiguousarray(a, dtype)
            for a, dtype in zip(arguments, kernel.dtypes, strict=True)
        ]
        table = self.cells((*given, *results, *kernel.fixed))
        if kernel.space:
            table.append(self._workspace())
        if kernel.threaded:
            self._on_threads(kernel.table(*table), (given, results))
        else:
            kernel.function(kernel.table(*table))
        found = [r if shape else r[()] for r, (shape, _) in zip(results, kernel.made, strict=True)]
        for guard in reversed(kernel.guards):
            if not found.pop():
                raise guard.error(guard.message)
        return found

    def cells(self, arrays: Iterable[Array]) -> list[int]:
        """Where arrays keep the addresses of their entries: what a table of pointers holds."""
        return [id(a) + self._field for a in arrays]

    def _workspace(self) -> int:
        """A workspace of this thread's own: calls from several threads do not meet."""
        local = self._local
        if not hasattr(local, "address"):
            local.space = workspace(self.kernel.space)
            local.address = local.space.ctypes.data
        address: int = local.address
        return address

    def show(self, stage: str = "loops") -> str:
        """One stage of the compilation as text: graph, loops, llvm or asm."""
        return str(self.graph) if stage == "graph" else self.kernel.show(stage)


@dataclass
class _Known:
    """What is known for one combination of shapes and dtypes."""

    traced: Traced
    target: Target | None

    @once
    def native(self) -> NativeGraph:
        return NativeGraph(self.traced.graph, self.target)

    @once
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

    @once
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
        """A stage of the compilation, as text that Python's prompt shows line by line.

        Parameters
        ----------
        stage : {"graph", "loops", "llvm", "asm"}
        *arguments
            Examples, if the function has not been called yet.

        Raises
        ------
        OptionError
            If there is no such stage, or nothing is known of the arguments.

        Examples
        --------
        >>> import numpy as np
        >>> import thalweg as tw
        >>> tw.compile(lambda x: 2.0 * x).show("graph", np.ones(3))
        inputs   x float64[3]
        %1       broadcast_to(2.0, shape=(3,))                      float64[3]
        %2       multiply(%1, x)                                    float64[3]
        outputs  %2
        """
        check_stage(stage)
        if arguments:
            return _Listing(self._prepared(arguments)[1].native.show(stage))
        known = self._known or self._by_name._known
        if not known:
            raise OptionError("call the function first, or give example arguments to show()")
        return _Listing(next(reversed(known.values())).native.show(stage))


class _Listing(str):
    """Lines that are shown as they are."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


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
        interpreter's values up to rounding. ``.show("graph"|"loops"|"llvm"|"asm")`` shows
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
