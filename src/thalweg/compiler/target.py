"""What depends on the processor: vector width, registers, features, threads.

Examples
--------
>>> Target.named("x86-64-v3").vector_bytes
32
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from thalweg.errors import OptionError, suggest

__all__ = ["YIELD", "Target", "available_threads", "host"]


YIELD = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
"""The system's function that offers the processor to other threads."""


@dataclass(frozen=True)
class Target:
    """A processor to generate code for.

    Attributes
    ----------
    triple, cpu, features : str
        In LLVM's words.
    vector_bytes : int
        Bytes in a vector register.
    registers : int
        Vector registers.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int

    def lanes(self, item_bytes: int) -> int:
        """How many numbers of a size fit a vector."""
        return max(1, self.vector_bytes // item_bytes)

    @property
    def architecture(self) -> str:
        """The family of processors."""
        name = self.triple.split("-")[0]
        return "aarch64" if name == "arm64" else name

    @property
    def runs_here(self) -> bool:
        """Whether the processor this runs on has all that its code needs."""
        own = _own()
        return self.architecture == own.architecture and self.vector_bytes <= own.vector_bytes

    @staticmethod
    def named(name: str) -> Target:
        """A target by the name of its level, for tests and cross compilation.

        Parameters
        ----------
        name : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"}

        Raises
        ------
        OptionError
            For other names.
        """
        linux = "x86_64-unknown-linux-gnu"
        known = {
            "x86-64-v2": Target(linux, "x86-64-v2", "", 16, 16),
            "x86-64-v3": Target(linux, "x86-64-v3", "", 32, 16),
            "x86-64-v4": Target(linux, "x86-64-v4", "-prefer-256-bit", 64, 32),
            "aarch64": Target("aarch64-unknown-linux-gnu", "generic", "+neon", 16, 32),
        }
        if name not in known:
            raise OptionError(
                "unknown target {name!r}.{hint}", name=name, hint=suggest(name, known)
            )
        return known[name]


@lru_cache(maxsize=1)
def host() -> Target:
    """The processor this runs on; ``THALWEG_TARGET`` names a lower level instead."""
    asked = os.environ.get("THALWEG_TARGET")
    if not asked:
        return _own()
    target = Target.named(asked)
    if not target.runs_here:
        raise OptionError(
            "THALWEG_TARGET={name} needs another processor than this one: name a lower level, "
            "or leave it out.",
            name=asked,
        )
    return replace(target, triple=_own().triple)


@lru_cache(maxsize=1)
def _own() -> Target:
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    triple = llvm.get_process_triple()
    cpu = llvm.get_host_cpu_name()
    text = features.flatten()
    if platform.machine().lower() in ("arm64", "aarch64"):
        return Target(triple, cpu, text, 16, 32)
    if features.get("avx512f") and features.get("avx512dq") and features.get("avx512vl"):
        return Target(triple, cpu, text + ",-prefer-256-bit", 64, 32)
    if features.get("avx2") and features.get("fma"):
        return Target(triple, cpu, text, 32, 16)
    return Target(triple, cpu, text, 16, 16)


def available_threads() -> int:
    """Processors this process may use: affinity, a container's share and ``OMP_NUM_THREADS``."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    count = min(count, _container_share())
    return max(1, min(count, int(limit))) if limit.isdigit() and int(limit) > 0 else count


CONTAINER_SHARE = Path("/sys/fs/cgroup/cpu.max")


@lru_cache(maxsize=1)
def _container_share() -> int:
    """Whole processors a Linux container may use up: more threads would only be put to sleep."""
    try:
        quota, period = CONTAINER_SHARE.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no container, or "max"
        return os.cpu_count() or 1
