"""LAPACK as SciPy has it, without the rest of `scipy.linalg`.

That package takes forty times as long to load as the routines, half of the time that a small
problem takes from the start of Python to its solution. Where they are not found by themselves, or
the package is there already, they come from it.

Examples
--------
>>> import numpy as np
>>> factor, failed = lapack.dpotrf(np.array([[4.0, 0.0], [2.0, 2.0]]), lower=1)
>>> factor.tolist(), failed
([[2.0, 0.0], [1.0, 1.0]], 0)
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from os.path import join
from typing import Any

__all__ = ["lapack"]


def _alone() -> Any:
    """The extension module itself, if SciPy has it where it has always had it."""
    package = find_spec("scipy")
    folders = [] if package is None else package.submodule_search_locations or []
    spec = PathFinder.find_spec(
        "scipy.linalg._flapack", [join(folder, "linalg") for folder in folders]
    )
    if spec is None or spec.loader is None:
        return None
    try:
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:
        return None
    return module


def _whole() -> Any:
    """The public module."""
    from scipy.linalg import lapack

    return lapack


def _loaded() -> Any:
    if sys.platform == "win32":  # there the package says where its libraries are
        import scipy  # noqa: F401
    return (None if "scipy.linalg" in sys.modules else _alone()) or _whole()


lapack: Any = _loaded()
