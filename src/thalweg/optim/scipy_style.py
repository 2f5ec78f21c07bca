"""Bounds and constraints as SciPy writes them, read with SciPy's sign.

Examples
--------
>>> equal, unequal = split_constraints({"type": "ineq", "fun": lambda x: x[0] - 1.0})
>>> unequal[0]([3.0])                    # SciPy's c(x) ≥ 0 is -c(x) ≤ 0 here
-2.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import OptionError
from thalweg.optim.functions import Given, Smooth, numerical_jacobian
from thalweg.optim.layout import Layout, Vector
from thalweg.optim.problem import Bounds

__all__ = ["given_constraints", "split_bounds", "split_constraints"]


@dataclass(frozen=True)
class _WithJacobian:
    """A plain constraint with its Jacobian, in this library's sign."""

    fun: Callable[[Any], Any]
    jac: Any


def split_constraints(constraints: Any) -> tuple[list[Any], list[Any]]:
    """SciPy's dictionaries as equalities h = 0 and inequalities g ≤ 0.

    Raises
    ------
    OptionError
        For other things than dictionaries of type "eq" or "ineq".
    """
    if constraints is None:
        return [], []
    given = [constraints] if isinstance(constraints, Mapping) else list(constraints)
    equal: list[Any] = []
    unequal: list[Any] = []
    for one in given:
        kind = one.get("type") if isinstance(one, Mapping) else None
        if kind not in ("eq", "ineq"):
            raise OptionError(
                "constraints takes SciPy's dictionaries with type 'eq' or 'ineq' (fun >= "
                "0), not {one!r:.60}. Or pass equalities=h (h = 0) and inequalities=g (g "
                "<= 0).",
                one=one,
            )
        assert isinstance(one, Mapping)
        sign = 1.0 if kind == "eq" else -1.0
        (equal if kind == "eq" else unequal).append(_signed(one, sign))
    return equal, unequal


def _signed(one: Mapping[str, Any], sign: float) -> Any:
    fun, jac, args = one["fun"], one.get("jac"), tuple(one.get("args", ()))

    def times_sign(function: Callable[..., Any]) -> Callable[[Any], Any]:
        def of(x: Any) -> Any:
            value = function(x, *args)
            if isinstance(value, list | tuple):
                return [sign * v for v in value]
            return sign * value

        return of

    if jac is None:
        return times_sign(fun)
    return _WithJacobian(times_sign(fun), times_sign(jac) if callable(jac) else jac)


def given_constraints(parts: Sequence[Any], layout: Layout, name: str) -> Smooth:
    """Constraints of which some have given Jacobians, stacked; second derivatives by differences.

    Parameters
    ----------
    parts : sequence of callable or constraint with Jacobian
    layout : Layout
    name : str
    """
    from thalweg.optim.functions import smooth

    pieces: list[Smooth] = []
    for part in parts:
        if callable(part):
            pieces.append(smooth(_on_vector(part, layout), layout.start, name=name))
            continue
        fun = _on_vector(part.fun, layout)
        jac = numerical_jacobian(fun) if not callable(part.jac) else _on_vector(part.jac, layout)
        pieces.append(Given(fun, jac, None, layout.start))

    def value(x: Vector) -> Vector:
        return np.concatenate([p.value(x) for p in pieces])

    def jacobian(x: Vector) -> Any:
        return np.concatenate([p.derivative(x)[1] for p in pieces])

    return Given(value, jacobian, None, layout.start)


def _on_vector(function: Callable[[Any], Any], layout: Layout) -> Callable[[Vector], Any]:
    return lambda x: function(layout.unravel(x))


def split_bounds(bounds: Any, layout: Layout, pairs: bool = True) -> Bounds:
    """Bounds from pairs, from a pair of trees, or from `scipy.optimize.Bounds`.

    Parameters
    ----------
    bounds : optional
    layout : Layout
    pairs : bool
        How two entries for two parameters are read: as one pair for each, which is what
        SciPy's ``minimize`` means, or as (lower, upper), which is what its ``least_squares``
        means.

    Raises
    ------
    OptionError
        If they do not fit x0.
    """
    if bounds is None:
        return Bounds.none(layout.size)
    if isinstance(bounds, Bounds):
        return bounds
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        bounds = (np.asarray(bounds.lb), np.asarray(bounds.ub))
        lower, upper = (np.broadcast_to(b, layout.size).astype(np.float64) for b in bounds)
        return Bounds(lower, upper)
    given = list(bounds) if isinstance(bounds, list | tuple | np.ndarray) else []
    if (pairs or len(given) != 2) and _are_pairs(given, layout.size):
        lower = np.array([-np.inf if a is None else a for a, _ in given], dtype=np.float64)
        upper = np.array([np.inf if b is None else b for _, b in given], dtype=np.float64)
        return Bounds(lower, upper)
    if len(given) == 2:
        return Bounds(layout.spread(given[0], -np.inf), layout.spread(given[1], np.inf))
    raise OptionError(
        "bounds must be {size} pairs (lower, upper), or a pair of lower and upper bounds "
        "in the structure of x0; None means no bound.",
        size=layout.size,
    )


def _are_pairs(given: list[Any], count: int) -> bool:
    def is_pair(one: Any) -> bool:
        return (
            isinstance(one, list | tuple | np.ndarray)
            and len(one) == 2
            and all(v is None or np.ndim(v) == 0 for v in one)
        )

    return len(given) == count and all(is_pair(one) for one in given)
