"""What the interpreter refuses while it runs, as conditions that native code computes as well.

Native code never reads outside an array (indices are clamped), but a clamped index would give
a wrong number in silence; so the conditions are results of their own and looked at after the
call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.errors import OptionError, PositionError, ThalwegError
from thalweg.graph import PRIMITIVES, Node, topological
from thalweg.phrases import Phrase

__all__ = ["Guard", "guards"]


@dataclass(frozen=True)
class Guard:
    """A condition that must hold.

    Attributes
    ----------
    condition : Node
        A boolean of no axes.
    error : type of ThalwegError
        Raised where it does not hold.
    message : Phrase
    """

    condition: Node
    error: type[ThalwegError]
    message: Phrase


def guards(outputs: Sequence[Node]) -> list[Guard]:
    """The conditions under which the outputs have values.

    Parameters
    ----------
    outputs : sequence of Node

    Returns
    -------
    list of Guard

    Raises
    ------
    PositionError
        If a constant index is out of range.
    OptionError
        If a constant exponent of integers is negative.
    """
    found: dict[Node, Guard] = {}
    for node in topological(outputs):
        if node.name in ("gather", "scatter_add"):
            shape = node.inputs[0].shape if node.name == "gather" else node.shape
            for axis, index in enumerate(node.inputs[1:]):
                _check_index(found, index, shape[axis], axis)
        elif node.name == "power" and node.dtype.kind == "i":
            _check_exponent(found, node.inputs[1])
    return list(found.values())


def _check_index(found: dict[Node, Guard], index: Node, length: int, axis: int) -> None:
    message = Phrase(
        "an index is out of range for axis {axis} of length {length}", axis=axis, length=length
    )
    if index.is_constant:
        value = index.attributes["value"]
        if np.any((value < -length) | (value >= length)):
            raise PositionError(message)
    elif index.size:
        _add(found, (index >= -length) & (index < length), PositionError, message)


def _check_exponent(found: dict[Node, Guard], exponent: Node) -> None:
    message = Phrase("integers to negative integer powers are not allowed")
    if exponent.is_constant and np.any(exponent.attributes["value"] < 0):
        raise OptionError(message)
    if not exponent.is_constant and exponent.size:
        _add(found, exponent >= 0, OptionError, message)


def _add(
    found: dict[Node, Guard], condition: Node, error: type[ThalwegError], message: Phrase
) -> None:
    axes = tuple(range(condition.ndim))
    every = PRIMITIVES["all"].bind(condition, axes=axes) if axes else condition
    found[every] = Guard(every, error, message)
