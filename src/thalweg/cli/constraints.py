"""Constraints as they are typed: ``--monotone +age,-price --bound-output 0,1``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thalweg.cli.orders import Compare, Fit
from thalweg.errors import OptionError

if TYPE_CHECKING:
    from thalweg.training.constraints.kinds import Constraint

__all__ = ["constraints_of"]


def constraints_of(order: Fit | Compare) -> tuple[Constraint, ...]:
    """What the network is to be held to.

    Raises
    ------
    OptionError
        If something typed cannot be read.
    """
    from thalweg.training.constraints import asking

    found: list[Constraint] = []
    for sign, name in _signed("--monotone", order.monotone):
        found.append(asking.monotone(name, increasing=sign == "+"))
    for sign, name in _signed("--convex", order.convex):
        found.append(asking.convex(name) if sign == "+" else asking.concave(name))
    if order.bound_output is not None:
        found.append(asking.output_between(*_bounds(order.bound_output)))
    if order.weights_nonnegative:
        found.append(asking.nonnegative_weights())
    return tuple(found)


def _signed(option: str, text: str | None) -> list[tuple[str, str]]:
    """Columns with their signs.

    Examples
    --------
    >>> _signed("--monotone", "+age, -price")
    [('+', 'age'), ('-', 'price')]
    """
    if text is None:
        return []
    parts = [part.strip() for part in text.split(",")]
    if not all(len(part) > 1 and part[0] in "+-" for part in parts):
        raise OptionError(
            "{option} {text!r}: write a sign before every column, such as {option}=+age,-price "
            "(+ rises or is convex, - falls or is concave).",
            option=option,
            text=text,
        )
    return [(part[0], part[1:].strip()) for part in parts]


def _bounds(text: str) -> tuple[float | None, float | None]:
    """Two bounds, of which one may be left out.

    Examples
    --------
    >>> _bounds("0,1"), _bounds("0,")
    ((0.0, 1.0), (0.0, None))
    """
    try:
        low, high = (float(part) if part.strip() else None for part in text.split(","))
    except ValueError:
        low = high = None
    if (low is None and high is None) or any(b is not None and math.isnan(b) for b in (low, high)):
        raise OptionError(
            "--bound-output {text!r} are no bounds: write --bound-output=0,1, or 0, for a lower "
            "bound alone.",
            text=text,
        )
    return low, high
