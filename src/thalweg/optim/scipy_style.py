"""Bounds and constraints as SciPy writes them, read with SciPy's sign.

Examples
--------
>>> equal, unequal = split_constraints({"type": "ineq", "fun": lambda x: x[0] - 1.0})
>>> unequal[0]([3.0])                    # SciPy's c(x) ≥ 0 is -c(x) ≤ 0 here
-2.0
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import OptionError, TracingError, suggest
from thalweg.optim.functions import Given, Smooth, laid_out, smooth
from thalweg.optim.layout import Layout, Matrix, Vector
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

KEYS = ("type", "fun", "jac", "args")
"""What a constraint's dictionary may hold."""


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
    """A plain constraint with its derivatives, in this library's sign."""

    fun: Callable[[Any], Any]
    jac: Any
    hess: Callable[[Any, Vector], Any] | None = None


def split_constraints(constraints: Any) -> tuple[list[Any], list[Any]]:
    """SciPy's dictionaries and constraint objects as equalities h = 0 and inequalities g ≤ 0.

    Raises
    ------
    OptionError
        For other things, and for limits and keys that mean nothing.
    """
    if constraints is None:
        return [], []
    single = isinstance(constraints, Mapping) or not isinstance(constraints, Iterable)
    equal: list[Any] = []
    unequal: list[Any] = []
    for one in [constraints] if single else constraints:
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
        for key in one:
            if key not in KEYS:
                raise OptionError(
                    "a constraint's dictionary has no {key!r}.{hint}",
                    key=key,
                    hint=suggest(str(key), KEYS),
                )
        sign = 1.0 if kind == "eq" else -1.0
        (equal if kind == "eq" else unequal).append(_signed(one, sign))
    return equal, unequal


def _is_object(one: Any) -> bool:
    """Whether this is a LinearConstraint or a NonlinearConstraint."""
    return hasattr(one, "lb") and hasattr(one, "ub") and (hasattr(one, "A") or hasattr(one, "fun"))


def _between(one: Any, equal: list[Any], unequal: list[Any]) -> None:
    """Constraints of both kinds of lb ≤ c(x) ≤ ub."""
    part = _linear(one.A) if hasattr(one, "A") else _nonlinear(one)
    low, high = _limits(one)
    same = low == high
    for wanted, bound, sign, kind in (
        (same, low, 1.0, equal),
        (np.isfinite(low) & ~same, low, -1.0, unequal),
        (np.isfinite(high) & ~same, high, 1.0, unequal),
    ):
        if np.any(wanted):
            kind.append(_beyond(part, wanted, bound, sign))


def _linear(A: Any) -> _WithJacobian:
    """A·x."""
    matrix = np.atleast_2d(_dense(A))

    def product(x: Any) -> Any:
        shape = getattr(x, "shape", None)
        if shape != matrix.shape[1:]:
            raise OptionError(
                "a LinearConstraint with {columns} columns needs x to be one vector of as many "
                "entries, as x0 is not. Write inequalities=... or equalities=... instead.",
                columns=matrix.shape[1],
            )
        return matrix @ x

    return _WithJacobian(product, None)


def _dense(matrix: Any) -> Matrix:
    """A matrix that may be sparse as an array."""
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)


def _nonlinear(one: Any) -> _WithJacobian:
    hess = getattr(one, "hess", None)
    return _WithJacobian(one.fun, one.jac, hess if callable(hess) else None)


def _limits(one: Any) -> tuple[Vector, Vector]:
    """Lower and upper limits of all rows; without axes where one number stands for all."""
    if np.any(getattr(one, "keep_feasible", False)):
        raise OptionError(
            "keep_feasible=True of a constraint cannot be kept: on the way to the solution "
            "constraints may be violated, bounds are not. Leave it out."
        )
    low, high = (np.asarray(b, dtype=np.float64) for b in (one.lb, one.ub))
    try:
        low, high = np.broadcast_arrays(low, high)
    except ValueError:
        raise OptionError(
            "a constraint has {lower} lower and {upper} upper limits.",
            lower=low.size,
            upper=high.size,
        ) from None
    if low.size == 1:
        low, high = low.reshape(()), high.reshape(())
    empty = np.flatnonzero(~(low <= high) | (low == np.inf) | (high == -np.inf))
    if empty.size:
        k = int(empty[0])
        raise OptionError(
            "a constraint's row {k} (counted from 0) is to lie between {lower:g} and {upper:g}, "
            "and nothing does. Where there is no limit, write infinity.",
            k=k,
            lower=low.flat[k],
            upper=high.flat[k],
        )
    return low, high


def _beyond(part: _WithJacobian, wanted: Any, bound: Vector, sign: float) -> Any:
    """sign·(c(x) - bound) of the wanted rows of c."""
    rows = np.flatnonzero(wanted) if wanted.ndim else slice(None)
    limits = bound[rows] if bound.ndim else bound

    def value(x: Any) -> Any:
        c = laid_out(part.fun(x))
        if bound.ndim and c.shape != bound.shape:
            raise OptionError(
                "a constraint has limits for {limits} rows, and its function returns {rows}.",
                limits=bound.size,
                rows=c.size,
            )
        return sign * (c[rows] - limits)

    def second(x: Any, u: Vector) -> Any:
        weights = np.zeros(bound.shape or u.shape)
        weights[rows] = sign * u
        return _dense(part.hess(x, weights)) if part.hess else None

    if not callable(part.jac):
        return value if part.jac is None else _WithJacobian(value, part.jac)
    slopes = part.jac
    return _WithJacobian(
        value,
        lambda x: sign * np.atleast_2d(_dense(slopes(x)))[rows],
        second if part.hess else None,
    )


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
        one = _WithJacobian(part, jac) if callable(part) else part
        pieces.append(_piece(_on_vectors(one, layout), layout.start, name))

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


def _piece(part: _WithJacobian, x0: Vector, name: str) -> Smooth:
    """One constraint; where differences are asked for, derived all the same if it can be."""
    if callable(part.jac):
        return Given(part.fun, part.jac, part.hess, x0)
    try:
        return smooth(part.fun, x0, name=name)
    except TracingError:
        if part.jac is None:
            raise
        return smooth(part.fun, x0, "numerical", name=name)


def _on_vectors(part: _WithJacobian, layout: Layout) -> _WithJacobian:
    """The same constraint of one vector."""

    def of_vector(function: Any) -> Any:
        if not callable(function):
            return function
        return lambda x, *more: function(layout.unravel(x), *more)

    return _WithJacobian(*map(of_vector, (part.fun, part.jac, part.hess)))


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
        sides = [np.asarray(b, dtype=np.float64).ravel() for b in (bounds.lb, bounds.ub)]
        if all(side.size in (1, layout.size) for side in sides):
            return Bounds(*(np.broadcast_to(side, layout.size).copy() for side in sides))
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
