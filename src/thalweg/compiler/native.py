"""LLVM: assembly text to machine code, in memory or from the cache on disk."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from thalweg.compiler.assembly import Assembly
from thalweg.compiler.cache import load_object, object_key, store_object
from thalweg.compiler.target import Target, host
from thalweg.errors import CompilerError

__all__ = ["NativeCode", "available", "module_text"]

PASSES = ("instruction_combine", "sroa", "instruction_combine")
"""What puts the variables of a small function into registers."""

_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child would wait for ever for what another thread compiles
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
_numbers = itertools.count()


def available() -> bool:
    """Whether native code can be made here (llvmlite is installed and works)."""
    try:
        _linker.engine()
    except (ImportError, OSError, RuntimeError):
        return False
    return True


@lru_cache(maxsize=1)
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm


@lru_cache(maxsize=8)
def _machine(target: Target) -> Any:
    llvm = _llvm()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="default"
    )


class _Linker:
    """Just-in-time linkers, each for a number of modules.

    LLVM keeps a table for every module that was ever linked, also after its code is gone; with
    the linker they go too, when the last of its modules is no longer used.
    """

    MODULES = 64

    def __init__(self) -> None:
        self._engine: Any = None
        self._count = 0

    def engine(self) -> Any:
        """The linker for the next module."""
        if self._engine is None or self._count == self.MODULES:
            # JITLink keeps the parts of an object together; the older linker may put them so far
            # apart, in a process with much memory, that they cannot reach each other.
            self._engine = _llvm().create_lljit_compiler(
                _machine(host()), use_jit_link=sys.platform != "win32"
            )
            self._count = 0
        self._count += 1
        return self._engine


_linker = _Linker()


def module_text(code: Assembly, name: str, parameters: str, constants: Iterable[str] = ()) -> str:
    """A module with one function.

    Parameters
    ----------
    code : Assembly
        Its body, without the final return.
    name, parameters : str
    constants : iterable of str
        Global definitions.

    Returns
    -------
    str
    """
    return "\n".join(
        [
            *constants,
            *sorted(set(code.declared.values())),
            *code.defined.values(),
            f"define void @{name}({parameters}) #0 {{",
            "entry:",
            *code.lines,
            "  ret void",
            "}",
            'attributes #0 = { nounwind "no-trapping-math"="true" '
            '"prefer-vector-width"="512" "frame-pointer"="none" }',
        ]
    )


def _to_registers(module: Any, target: Target) -> None:
    llvm = _llvm()
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    builder = llvm.create_pass_builder(_machine(target), options)
    if hasattr(llvm.ModulePassManager, "add_sroa_pass"):
        passes = llvm.create_new_module_pass_manager()
        for name in PASSES:
            getattr(passes, f"add_{name}_pass")()
    else:  # llvmlite 0.44: all passes of the lowest level
        passes = builder.getModulePassManager()
    passes.run(module, builder)


class NativeCode:
    """Machine code of one module, kept alive as long as this object.

    Parameters
    ----------
    text : str
        LLVM assembly.
    name : str
        Of the function in it.
    target : Target, optional
        This machine by default; code for another one can be looked at but not run.
    local : bool
        Whether the function has variables of its own, which are to be put into registers.
    """

    def __init__(
        self, text: str, name: str, target: Target | None = None, local: bool = False
    ) -> None:
        self.text = text
        self.local = local
        self.name = name
        self.target = target or host()
        self._engine: Any = None  # kept as long as the code is
        self._tracker: Any = None
        self._address = 0

    @property
    def address(self) -> int:
        """Of the function, compiled or loaded on first use."""
        with _lock:
            if not self._address:
                self._link()
        return self._address

    def _link(self) -> None:
        if not self.target.runs_here:
            raise CompilerError(
                "code for {cpu} does not run on this processor.", cpu=self.target.cpu
            )
        key = object_key(self.text, self.target, PASSES if self.local else ())
        binary = load_object(key)
        if binary is None:
            binary = self.object_code()
            store_object(key, binary)
        builder = _llvm().JITLibraryBuilder().add_object_img(binary).add_current_process()
        self._engine = _linker.engine()
        library = f"thalweg{next(_numbers)}"
        self._tracker = builder.export_symbol(self.name).link(self._engine, library)
        self._address = self._tracker[self.name]

    @contextmanager
    def _module(self) -> Iterator[Any]:
        """The text as a module of a context of its own, where nothing of it stays behind."""
        llvm = _llvm()
        context = llvm.create_context()
        try:
            module = llvm.parse_assembly(self.text, context)
        except RuntimeError as error:
            context.close()
            raise CompilerError(
                "the generated assembly is not valid: {error}", error=error
            ) from None
        module.triple = self.target.triple
        try:
            if self.local:
                _to_registers(module, self.target)
            yield module
        finally:
            module.close()
            context.close()

    def assembly(self) -> str:
        """The machine code as assembly text."""
        with self._module() as module:
            return str(_machine(self.target).emit_assembly(module))

    def object_code(self) -> bytes:
        """The machine code as an object file."""
        with self._module() as module:
            return bytes(_machine(self.target).emit_object(module))
