r"""What can be asked of a network, in the units of its table.

================================================ ==================================================
``monotone("age")``                              ∂y/∂age ≥ 0 (or ≤ 0) over a region
``convex("dose")``, ``concave("dose")``          ∂²y/∂dose² ≥ 0 (or ≤ 0) over a region
``output_between(0, 1)``                         0 ≤ y ≤ 1 over a region
``value_at({"x": 0}, 0)``, ``at_least=1``, ...   y at given points: equal, at least, at most
``slope_at({"x": 0}, "x", 0)``                   ∂y/∂x at given points
``weights_between(-1, 1)``                       bounds on the weights
``nonnegative_weights()``                        W ≥ 0
``inequality(g)``, ``equality(h)``               g(f, params) ≤ 0, h(f, params) = 0, your function
================================================ ==================================================

A region is the range of the table's inputs, or what is given for some of them:
``region={"age": (0, 100)}``. In your own functions f takes inputs and gives outputs in their own
units, traced, so that `thalweg.grad`, `thalweg.jvp` and `thalweg.vmap` apply to it; params are the
weights, which see scaled inputs.

Examples
--------
>>> monotone("age", increasing=True)
Derivative(inputs=('age',), order=1, sign=1, output=None, region=())
>>> output_between(0, 1).to_json()["kind"]
'output'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import OptionError
from thalweg.training.constraints.kinds import (
    INF,
    Custom,
    Derivative,
    Limits,
    Name,
    Output,
    Points,
    Weights,
)

__all__ = [
    "concave",
    "convex",
    "equality",
    "inequality",
    "monotone",
    "nonnegative_weights",
    "output_between",
    "slope_at",
    "value_at",
    "weights_between",
]


def monotone(
    *inputs: Name,
    increasing: bool = True,
    output: Name | None = None,
    region: Mapping[Name, Sequence[float]] | None = None,
) -> Derivative:
    """The outputs never fall (or never rise) along inputs.

    Parameters
    ----------
    *inputs : str or int
        Numeric columns by name, or by place from 0. Columns of arrays are x1, x2, ...
    increasing : bool
        False for outputs that never rise.
    output : str or int, optional
        One of several outputs; all by default.
    region : mapping of input to (low, high), optional
        Where; by default the range of the table.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> x = np.linspace(0.0, 1.0, 40)
    >>> y = x**2 + 0.1 * np.sin(12.0 * x)
    >>> net = tw.Network([tw.Dense(1, 3, "tanh"), tw.Dense(3, 1)])
    >>> model = tw.fit(net, x, y, constraints=[tw.monotone(0)], split="none")
    >>> bool(np.all(np.diff(model.predict(np.linspace(0.0, 1.0, 1001))) >= 0.0))
    True
    """
    sign = 1 if _truth("increasing", increasing) else -1
    return _derivative(inputs, 1, sign, output, region)


def convex(
    *inputs: Name,
    output: Name | None = None,
    region: Mapping[Name, Sequence[float]] | None = None,
) -> Derivative:
    """The outputs curve upwards along each of some inputs; arguments as for `monotone`.

    Activations whose slope jumps, such as relu, cannot be held so: at a jump there is no curvature.

    Examples
    --------
    >>> convex("dose").order
    2
    """
    return _derivative(inputs, 2, 1, output, region)


def concave(
    *inputs: Name,
    output: Name | None = None,
    region: Mapping[Name, Sequence[float]] | None = None,
) -> Derivative:
    """The outputs curve downwards along each of some inputs; see `convex`.

    Examples
    --------
    >>> concave("dose").sign
    -1
    """
    return _derivative(inputs, 2, -1, output, region)


def output_between(
    low: float | None,
    high: float | None,
    *,
    output: Name | None = None,
    region: Mapping[Name, Sequence[float]] | None = None,
) -> Output:
    """The outputs stay between bounds; None where there is no bound.

    Parameters
    ----------
    low, high : float or None
    output, region
        As for `monotone`.

    Examples
    --------
    >>> output_between(0, None).high
    inf
    """
    return Output(*_bounds(low, high), output, _limits(region))


def value_at(
    points: Any,
    equals: Any = None,
    *,
    at_least: Any = None,
    at_most: Any = None,
    output: Name | None = None,
) -> Points:
    """The output has given values, or bounds, at points.

    Parameters
    ----------
    points : array-like of shape (m, n[0]), or mapping of columns to values
        ``{"age": [0, 10]}`` names every input; one number is the point of a network of one input.
    equals, at_least, at_most : float or array-like of shape (m,)
    output : str or int, optional

    Examples
    --------
    >>> value_at({"x": [0.0, 1.0]}, 0.0).low
    (0.0,)
    """
    return _points(points, None, equals, at_least, at_most, output)


def slope_at(
    points: Any,
    input: Name,
    equals: Any = None,
    *,
    at_least: Any = None,
    at_most: Any = None,
    output: Name | None = None,
) -> Points:
    """The slope of the output along an input has given values, or bounds, at points.

    Parameters
    ----------
    points, equals, at_least, at_most, output
        As for `value_at`.
    input : str or int

    Examples
    --------
    >>> slope_at({"x": 0.0}, "x", at_most=0.0).high
    (0.0,)
    """
    return _points(points, input, equals, at_least, at_most, output)


def weights_between(
    low: float | None,
    high: float | None,
    *,
    layers: int | Iterable[int] | None = None,
    biases: bool = False,
) -> Weights:
    """Bounds of the weights; they see scaled inputs.

    Parameters
    ----------
    low, high : float or None
    layers : int or iterable of int, optional
        Counted from 1; all by default.
    biases : bool
        Whether biases are bounded, too.

    Examples
    --------
    >>> weights_between(-1, 1).low
    -1.0
    """
    return Weights(*_bounds(low, high), _layers(layers), _truth("biases", biases))


def nonnegative_weights(
    *, layers: int | Iterable[int] | None = None, biases: bool = False
) -> Weights:
    """No weight is negative; arguments as for `weights_between`.

    Examples
    --------
    >>> nonnegative_weights().high
    inf
    """
    return weights_between(0.0, None, layers=layers, biases=biases)


def inequality(g: Callable[[Any, Any], Any], name: str | None = None) -> Custom:
    """Your own g(f, params) ≤ 0: a number, an array, or a list of them.

    Parameters
    ----------
    g : callable
        ``g(f, params)`` in traced arrays: f takes and gives own units, params are the weights.
    name : str, optional
        For reports.

    Examples
    --------
    >>> inequality(lambda f, params: f(0.0) - f(1.0), name="rises").said("en")
    'rises ≤ 0'
    """
    return Custom(g, False, name or str(getattr(g, "__name__", "g")))


def equality(h: Callable[[Any, Any], Any], name: str | None = None) -> Custom:
    """Your own h(f, params) = 0; arguments as for `inequality`.

    Examples
    --------
    >>> equality(lambda f, params: f(0.0) - f(1.0), name="periodic").said("en")
    'periodic = 0'
    """
    return Custom(h, True, name or str(getattr(h, "__name__", "h")))


# -- reading what was given ------------------------------------------------------------------------
def _derivative(
    inputs: tuple[Name, ...], order: int, sign: int, output: Name | None, region: Any
) -> Derivative:
    if not inputs:
        raise OptionError("constraint: name an input, such as monotone('age').")
    return Derivative(inputs, order, sign, output, _limits(region))


def _limits(region: Mapping[Name, Sequence[float]] | None) -> Limits:
    if region is not None and not isinstance(region, Mapping):
        raise OptionError(
            "constraint: region={region!r:.60} names no inputs: write region=dict(age=(0, 100)).",
            region=region,
        )
    found = []
    for name, pair in (region or {}).items():
        ends = _numbers(pair)
        if ends.shape != (2,) or not -INF < ends[0] <= ends[1] < INF:
            raise OptionError(
                "constraint: the region of {name!r} is {pair!r:.60}: give two finite numbers, the "
                "lower one first.",
                name=name,
                pair=pair,
            )
        found.append((name, float(ends[0]), float(ends[1])))
    return tuple(found)


def _numbers(value: Any) -> NDArray[np.float64]:
    """One or several numbers in a row; one that is None counts as not a number."""
    try:
        return np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError):
        raise OptionError("constraint: {value!r:.60} is no number.", value=value) from None


def _number(value: Any) -> float:
    found = _numbers(value)
    if found.size != 1:
        raise OptionError("constraint: {value!r:.60} is no number.", value=value)
    return float(found[0])


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise OptionError(
            "constraint: {name}={value!r:.60} must be True or False.", name=name, value=value
        )
    return bool(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _layers(layers: int | Iterable[int] | None) -> tuple[int, ...] | None:
    if layers is None:
        return None
    found = tuple(layers) if isinstance(layers, Iterable) else (layers,)
    if not found or not all(map(_is_whole, found)):
        raise OptionError(
            "constraint: layers={layers!r:.60} says of no layer: give numbers from 1, or leave it "
            "out for all.",
            layers=layers,
        )
    return tuple(map(int, found))


def _bounds(low: float | None, high: float | None) -> tuple[float, float]:
    first, last = (
        fill if end is None else _number(end) for end, fill in ((low, -INF), (high, INF))
    )
    if not first <= last or (first == -INF and last == INF):
        raise OptionError(
            "constraint: the bounds {low} and {high} leave nothing to hold: give a lower bound, "
            "an upper one above it, or both.",
            low=low,
            high=high,
        )
    return first, last


def _points(
    points: Any, along: Name | None, equals: Any, low: Any, high: Any, output: Name | None
) -> Points:
    if (equals is None) == (low is None and high is None):
        raise OptionError("constraint: give equals, or at_least, at_most or both.")
    ends = (equals, equals) if equals is not None else (low, high)
    sides = [
        _numbers(fill if end is None else end) for end, fill in zip(ends, (-INF, INF), strict=True)
    ]
    if len({side.size for side in sides} | {1}) > 2:
        raise OptionError(
            "constraint: at_least has {low} values and at_most {high}.",
            low=sides[0].size,
            high=sides[1].size,
        )
    first, last = np.broadcast_arrays(*sides)
    for value in (v for v in (equals, low, high) if v is not None):
        if not np.all(np.isfinite(_numbers(value))):
            raise OptionError(
                "constraint: {value} is nothing to hold: give finite numbers, and leave out "
                "at_least or at_most where there is no bound.",
                value=value,
            )
    if not np.all(first <= last):
        raise OptionError("constraint: at_least is above at_most.")
    return Points(points, tuple(first.tolist()), tuple(last.tolist()), along, output)
