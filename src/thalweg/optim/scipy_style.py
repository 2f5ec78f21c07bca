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

from thalweg.errors import OptionError, TracingError, suggest
from thalweg.optim.functions import Given, Smooth, laid_out, smooth
from thalweg.optim.layout import Layout, Vector
from thalweg.optim.problem import Bounds
from thalweg.phrases import Phrase

__all__ = [
    "given_constraints",
    "method_hint",
    "option_hint",
    "split_bounds",
    "split_constraints",
]

METHODS = {
    **dict.fromkeys(("slsqp", "trust-constr", "cobyla", "cobyqa"), "interior-point"),
    **dict.fromkeys(("trust-ncg", "trust-krylov", "tnc"), "newton-cg"),
    **dict.fromkeys(("nelder-mead", "powell"), "bfgs"),
    **dict.fromkeys(("trf", "dogbox"), "lm"),
    "l-bfgs-b": "lbfgs",
    "trust-exact": "newton",
    "dogleg": "newton-dogleg",
}
"""Names of SciPy's methods, and what comes nearest."""

OPTIONS = {
    "maxiter": "max_iterations",
    **dict.fromkeys(("maxfun", "maxfev", "max_nfev"), "max_evaluations"),
    **dict.fromkeys(("ftol", "gtol", "xtol", "eps"), "tol"),
    **dict.fromkeys(("disp", "verbose", "iprint"), "callback"),
    "maxcor": "memory",
}
"""Names of SciPy's options, and the keywords here."""


def method_hint(name: str, known: Mapping[str, Any]) -> Phrase:
    """What to write instead of a method's name that is not known.

    Examples
    --------
    >>> method_hint("SLSQP", {})
    " Of SciPy's 'SLSQP' the nearest here is method='interior-point'."
    """
    ours = name.lower() if name.lower() in known else METHODS.get(name.lower())
    if ours is None:
        return suggest(name, known)
    return Phrase(" Of SciPy's {name!r} the nearest here is method={ours!r}.", name=name, ours=ours)


def option_hint(name: str) -> Phrase | None:
    """What to write instead of an option of SciPy's; None if it is none.

    Examples
    --------
    >>> option_hint("maxiter")
    " SciPy's maxiter is the keyword max_iterations here."
    """
    if name == "options":
        return Phrase(" Options are keywords of their own here, such as max_iterations=100.")
    if name not in OPTIONS:
        return None
    ours = OPTIONS[name]
    return Phrase(" SciPy's {name} is the keyword {ours} here.", name=name, ours=ours)


@dataclass(frozen=True)
class _WithJacobian:
    """A plain constraint with its Jacobian, in this library's sign."""

    fun: Callable[[Any], Any]
    jac: Any


def split_constraints(constraints: Any) -> tuple[list[Any], list[Any]]:
    """SciPy's dictionaries and constraint objects as equalities h = 0 and inequalities g ≤ 0.

    Raises
    ------
    OptionError
        For other things.
    """
    if constraints is None:
        return [], []
    single = isinstance(constraints, Mapping) or _is_object(constraints)
    equal: list[Any] = []
    unequal: list[Any] = []
    for one in [constraints] if single else list(constraints):
        if _is_object(one):
            _between(one, equal, unequal)
            continue
        kind = one.get("type") if isinstance(one, Mapping) else None
        if kind not in ("eq", "ineq") or not callable(one.get("fun")):
            raise OptionError(
                "constraints takes SciPy's dictionaries with type 'eq' or 'ineq' and a function "
                "fun (fun >= 0), LinearConstraint and NonlinearConstraint, not {one!r:.60}. Or "
                "pass equalities=h (h = 0) and inequalities=g (g <= 0).",
                one=one,
            )
        sign = 1.0 if kind == "eq" else -1.0
        (equal if kind == "eq" else unequal).append(_signed(one, sign))
    return equal, unequal


def _is_object(one: Any) -> bool:
    """Whether this is a LinearConstraint or a NonlinearConstraint."""
    return hasattr(one, "lb") and hasattr(one, "ub") and (hasattr(one, "A") or hasattr(one, "fun"))


def _between(one: Any, equal: list[Any], unequal: list[Any]) -> None:
    """Constraints of both kinds of lb ≤ c(x) ≤ ub."""
    if hasattr(one, "A"):
        matrix = one.A.toarray() if hasattr(one.A, "toarray") else np.atleast_2d(one.A)
        fun, jac = (lambda x: matrix @ x), None
    else:
        fun, jac = one.fun, one.jac
    low, high = np.broadcast_arrays(*(np.asarray(b, dtype=np.float64) for b in (one.lb, one.ub)))
    same = low == high
    for wanted, bound, sign, kind in (
        (same, low, 1.0, equal),
        (np.isfinite(low) & ~same, low, -1.0, unequal),
        (np.isfinite(high) & ~same, high, 1.0, unequal),
    ):
        if np.any(wanted):
            rows = np.flatnonzero(wanted) if wanted.ndim else slice(None)
            kind.append(_beyond(fun, jac, rows, bound[rows] if bound.ndim else bound, sign))


def _beyond(fun: Any, jac: Any, rows: Any, bound: Vector, sign: float) -> Any:
    """sign·(c(x) - bound) of some rows of c."""

    def value(x: Any) -> Any:
        return sign * (laid_out(fun(x))[rows] - bound)

    if not callable(jac):
        return value if jac is None else _WithJacobian(value, jac)
    return _WithJacobian(value, lambda x: sign * np.atleast_2d(np.asarray(jac(x)))[rows])


def _signed(one: Mapping[str, Any], sign: float) -> Any:
    fun, jac, given = one["fun"], one.get("jac"), one.get("args", ())
    args = tuple(given) if isinstance(given, list | tuple) else (given,)

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


def given_constraints(parts: Sequence[Any], layout: Layout, name: str, jac: Any) -> Smooth:
    """Constraints of which some have Jacobians or differences, stacked.

    Parameters
    ----------
    parts : sequence of callable or constraint with Jacobian
    layout : Layout
    name : str
    jac : str, optional
        ``"numerical"`` for differences of those that have no Jacobian and cannot be traced.
    """
    pieces: list[Smooth] = []
    for part in parts:
        fun, given = (part, jac) if callable(part) else (part.fun, part.jac)
        given = _on_vector(given, layout) if callable(given) else given
        pieces.append(_piece(_on_vector(fun, layout), layout.start, given, name))

    def value(x: Vector) -> Vector:
        return np.concatenate([p.value(x) for p in pieces])

    def jacobian(x: Vector) -> Any:
        return np.concatenate([p.derivative(x)[1] for p in pieces])

    def curvature(x: Vector, u: Vector) -> Any:
        ends = np.cumsum([p.m for p in pieces])[:-1]
        weights = np.split(u, ends)
        return sum(p.curvature(x, w) for p, w in zip(pieces, weights, strict=True))

    second = curvature if all(p.has_curvature for p in pieces) else None
    return Given(value, jacobian, second, layout.start)


def _piece(fun: Callable[[Vector], Any], x0: Vector, jac: Any, name: str) -> Smooth:
    """One constraint; where differences are asked for, derived all the same if it can be."""
    if callable(jac):
        return Given(fun, jac, None, x0)
    try:
        return smooth(fun, x0, name=name)
    except TracingError:
        if jac is None:
            raise
        return smooth(fun, x0, "numerical", name=name)


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
