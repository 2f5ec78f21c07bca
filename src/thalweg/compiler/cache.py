"""Compiled objects on disk, so that the second start of the same training compiles nothing.

The key covers everything the code depends on: the assembly itself, the passes over it, the
processor and its features, the versions of LLVM and of thalweg. Entries are written beside their
place and renamed, hold a checksum, and are made anew when damaged; only the user's own files are
run.
``THALWEG_CACHE=0`` turns the cache off; ``THALWEG_CACHE=<folder>`` puts it elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from thalweg.compiler.target import Target

__all__ = ["cache_folder", "load_object", "object_key", "store_object"]

_MAGIC = b"thalweg-object-1\n"


def cache_folder() -> Path | None:
    """Where objects are kept, or None if the cache is off."""
    asked = os.environ.get("THALWEG_CACHE", "")
    if asked == "0":
        return None
    if asked:
        return Path(asked).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "thalweg"


@lru_cache(maxsize=1)
def _versions() -> str:
    import llvmlite.binding

    from thalweg import __version__

    llvm = ".".join(map(str, llvmlite.binding.llvm_version_info))
    return f"{__version__}/{llvmlite.__version__}/{llvm}"


def object_key(text: str, target: Target, passes: Sequence[str] = ()) -> str:
    """Name an object by everything that it depends on; `passes` are run over its assembly."""
    parts = (_versions(), target.triple, target.cpu, target.features, *passes, text)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def load_object(key: str) -> bytes | None:
    """An object from the cache, or None if it is not there or damaged."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        with (folder / key[:2] / f"{key}.o").open("rb") as file:
            if not _own(os.fstat(file.fileno())):
                return None
            data = file.read()
    except OSError:
        return None
    start = len(_MAGIC) + 32
    head, body = data[:start], data[start:]
    if head != _MAGIC + hashlib.sha256(body).digest():
        return None
    return body


def _own(status: os.stat_result) -> bool:
    """Whether a file is this user's, and nobody else could have written it: it will be run."""
    return not hasattr(os, "getuid") or (
        status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def store_object(key: str, binary: bytes) -> None:
    """Put an object into the cache; a cache that cannot be written is no error."""
    folder = cache_folder()
    if folder is None:
        return
    place = folder / key[:2] / f"{key}.o"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.parent.mkdir(exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=place.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(binary).digest() + binary)
            os.replace(name, place)
        except OSError:
            with suppress(OSError):
                os.unlink(name)
