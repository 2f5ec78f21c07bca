"""Numbers below the smallest normal one count as zero while a program trains.

What decays, as Adam's moments do where a gradient vanishes, ends among such denormal numbers, and
stays there: ``0.9 m`` is rounded to ``m`` again. A processor may take a hundred cycles for an
operation on one. They are no use to training, so it is told to make zeros of them, by a register
that belongs to the thread and is left as it was found.
"""

from __future__ import annotations

from collections.abc import Callable

from thalweg.compiler.assembly import Assembly, Value

__all__ = ["without_denormals"]

FLUSH_X86 = 0x8040
"""Results (bit 15) and operands (bit 6) that are denormal are zeros,"""

FLUSH_ARM = 1 << 24
"""and the same, as one bit."""


def without_denormals(code: Assembly, triple: str, body: Callable[[], None]) -> None:
    """Write code in which denormal numbers are zeros.

    Parameters
    ----------
    code : Assembly
    triple : str
        The kind of machine; for one that is not known nothing is changed.
    body : callable
        Writes the code.
    """
    machine = triple.split("-")[0]
    if machine in ("x86_64", "amd64", "i686"):
        _x86(code, body)
    elif machine in ("aarch64", "arm64"):
        _arm(code, body)
    else:
        body()


def _x86(code: Assembly, body: Callable[[], None]) -> None:
    place = code.emit("ptr", "alloca i32, align 4")
    put, get = (f"llvm.x86.sse.{name}mxcsr" for name in ("ld", "st"))
    for name in (put, get):
        code.declared[name] = f"declare void @{name}(ptr)"
    code.do(f"call void @{get}({place})")
    before = code.emit("i32", f"load i32, {place}")
    flushing = code.emit("i32", f"or {before}, {FLUSH_X86}")
    code.do(f"store {flushing}, {place}")
    code.do(f"call void @{put}({place})")
    body()
    code.do(f"store {before}, {place}")
    code.do(f"call void @{put}({place})")


def _arm(code: Assembly, body: Callable[[], None]) -> None:
    put = "llvm.aarch64.set.fpcr"
    code.declared[put] = f"declare void @{put}(i64)"
    before: Value = code.call("i64", "llvm.aarch64.get.fpcr")
    flushing = code.emit("i64", f"or {before}, {FLUSH_ARM}")
    code.do(f"call void @{put}({flushing})")
    body()
    code.do(f"call void @{put}({before})")
