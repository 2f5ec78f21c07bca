"""Optimisation: rules inside the training loop, and solvers around any function.

`rules/` holds the first-order methods; they are compiled into the loop. A solver is a
*direction* (`direction/`) times a *globalisation* (`search/`), and asks a `Problem` for what it
needs; `constrained/` holds the interior-point method and the augmented Lagrangian. This room
knows nothing of networks. Names are loaded on first use: first-order training needs no SciPy.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Bounds": "problem",
    "LeastSquares": "problem",
    "Objective": "problem",
    "Problem": "problem",
    "Result": "result",
    "Status": "result",
    "least_squares": "residuals",
    "maximize": "minimisation",
    "minimize": "minimisation",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'thalweg.optim' has no attribute {name!r}")
    return getattr(import_module(f"thalweg.optim.{_HOME[name]}"), name)
