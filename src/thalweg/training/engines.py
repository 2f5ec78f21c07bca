"""Which program runs the epochs: native code where it can be made, otherwise NumPy."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from thalweg.compiler.target import available_threads
from thalweg.errors import CompilerError, OptionError, suggest
from thalweg.named import is_ours
from thalweg.training.loop import Task
from thalweg.training.program import EpochProgram, Program

__all__ = ["ENGINES", "make_program"]

ENGINES = ("auto", "numpy", "native")


def make_program(task: Task) -> tuple[EpochProgram, str]:
    """The program for a task, and the name of the engine that runs it.

    Raises
    ------
    OptionError
        If the engine is not known.
    CompilerError
        If native code is asked for and cannot be made.
    """
    if task.engine not in ENGINES:
        raise OptionError(
            "There is no engine {engine!r}.{hint}",
            engine=task.engine,
            hint=suggest(task.engine, ENGINES),
        )
    assert task.rule is not None
    arguments = (task.objective, task.rule, task.dtype, task.options.conditioning)
    if task.engine != "numpy":
        native = _native_program()
        if native is not None:
            try:
                shared = _is_fixed(task) and _is_hashable(arguments)
                share = _shared if shared else _shared.__wrapped__
                return share(native, available_threads(), *arguments), "native"
            except CompilerError:
                if task.engine == "native":
                    raise
        elif task.engine == "native":
            raise CompilerError("Native code is not available here; use engine='numpy'.")
    return Program(*arguments), "numpy"


@lru_cache(maxsize=8)
def _shared(native: Callable[..., EpochProgram], threads: int, *arguments: Any) -> EpochProgram:
    """A program keeps nothing of a fit: restarts, races and fits to other data share its code."""
    return native(*arguments, threads=threads)


def _is_fixed(task: Task) -> bool:
    """Whether nothing that it is made of can have changed since it was compiled."""
    return task.objective.fixed and is_ours(type(task.rule))


def _is_hashable(arguments: tuple[Any, ...]) -> bool:
    """Whether they can be looked up; a rule may be given lists or arrays."""
    try:
        hash(arguments)
    except TypeError:
        return False
    return True


def _native_program() -> Callable[..., Any] | None:
    """The class of native programs, where there is a compiler."""
    if find_spec("llvmlite") is None:
        return None
    try:
        from thalweg.training.native_program import NativeProgram
    except ImportError:
        return None
    return NativeProgram
