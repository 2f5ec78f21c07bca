"""What depends on nothing but a step's numbers is computed before the loop, for all steps.

Adam's ``1 - β₁ᵏ`` needs a power at every step; as a column over all steps of an epoch it is one
call of NumPy, in double precision, and the native loop only reads it. What is the same at every
step, β₁ itself, is passed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.graph import Node, rebuild, substitute, topological, variable
from thalweg.graph.graph import keep
from thalweg.ops import Elementwise

__all__ = ["Numbers", "numbers_first"]


TABLE = 64
"""Consecutive powers that share a factor."""

PART = 4096
"""Steps whose numbers are computed at once: they stay in the cache."""

RAMP = np.arange(float(PART))


@dataclass(frozen=True)
class Numbers:
    """A small program on columns of numbers, one row for each step.

    Attributes
    ----------
    inputs : tuple of Node
        The step's own numbers.
    results : tuple of Node
        What is computed from them.
    inputs_after : tuple of Node
        The variables that stand for the results in the loop.
    fixed : int
        How many of the results, the first, are the same at every step.
    """

    inputs: tuple[Node, ...]
    results: tuple[Node, ...]
    inputs_after: tuple[Node, ...]
    fixed: int

    @cached_property
    def _order(self) -> list[Node]:
        return topological(self.results)

    def columns(self, given: Sequence[Any], steps: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Results for all steps, computed in float64.

        Parameters
        ----------
        given : sequence of array of shape (steps,), or of numbers
            One for each input; a number is the same at every step.
        steps : int
        dtype : dtype
            Of what is returned.

        Returns
        -------
        array of shape (fixed + steps · others,)
            The fixed results, then the others step by step.
        """
        fixed, others = self.results[: self.fixed], self.results[self.fixed :]
        columns = np.empty(len(fixed) + steps * len(others), dtype)
        rows = columns[len(fixed) :].reshape(steps, len(others))
        for first in range(0, steps, PART):
            part = slice(first, first + PART)
            values = self._values([g[part] if np.shape(g) else g for g in given])
            columns[: len(fixed)] = [values[result] for result in fixed]
            for position, result in enumerate(others):
                rows[part, position] = values[result]
        return columns

    def _values(self, given: Sequence[Any]) -> dict[Node, Any]:
        values: dict[Node, Any] = dict(zip(self.inputs, given, strict=True))
        with np.errstate(all="ignore"):
            for node in self._order:
                if node.is_constant:
                    values[node] = np.float64(node.attributes["value"].reshape(()))
                elif node not in values and node.primitive is not None:
                    arguments = [values[i] for i in node.inputs]
                    evaluate = _powers if node.name == "power" else node.primitive.evaluate
                    values[node] = evaluate(*arguments)
        return values


def _powers(base: Any, exponent: Any) -> Any:
    """``base ** exponent``; the exponents of steps from a table of two factors each.

    A power does not depend on which others are asked for with it.
    """
    if np.shape(base) or not np.shape(exponent):
        return np.power(base, exponent)
    first, count = exponent[0], len(exponent)
    if first % 1.0 or not (exponent - first == RAMP[:count]).all():
        return np.power(base, exponent)
    start = int(first) // TABLE
    near = np.power(base, np.arange(TABLE, dtype=np.float64))
    far = np.power(base, TABLE * np.arange(start, (int(first) + count - 1) // TABLE + 1.0))
    skipped = int(first) - TABLE * start
    return np.multiply.outer(far, near).ravel()[skipped : skipped + count]


def _alone(outputs: Sequence[Node], scalars: Sequence[Node]) -> set[Node]:
    """The numbers that depend on the scalars alone."""
    alone = set(scalars)
    for node in topological(outputs):
        known = all(i in alone or i.is_constant for i in node.inputs)
        simple = isinstance(node.primitive, Elementwise) and node.dtype.kind == "f"
        if node.shape == () and simple and known and any(i in alone for i in node.inputs):
            alone.add(node)
    return alone


def _with_reciprocals(outputs: Sequence[Node], alone: set[Node]) -> list[Node]:
    """Divide by a step's number once, not for every entry of an array."""

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        divisor = node.inputs[1] if node.name == "divide" and node.shape else None
        if divisor is None or divisor.name != "broadcast_to" or divisor.inputs[0] not in alone:
            return keep(node, inputs)
        moved: Node = inputs[0] * (1.0 / divisor.inputs[0])
        return moved

    image = rebuild(outputs, change)
    return [image[node] for node in outputs]


def numbers_first(
    outputs: Sequence[Node], scalars: Sequence[Node], settings: Sequence[Node] = ()
) -> tuple[Numbers, list[Node]]:
    """Split off what depends on the scalars alone.

    Parameters
    ----------
    outputs : sequence of Node
    scalars, settings : sequence of Node
        Variables of no axes: those that change from step to step, and those that do not.

    Returns
    -------
    Numbers
    list of Node
        The outputs in terms of its results.
    """
    inputs = (*scalars, *settings)
    outputs = _with_reciprocals(outputs, _alone(outputs, inputs))
    alone = _alone(outputs, inputs)
    wanted: dict[Node, Node] = {}
    for node in topological(outputs):
        for i in node.inputs:
            if i in alone and node not in alone and i not in wanted:
                wanted[i] = variable((), i.dtype)
    image = substitute(outputs, wanted)
    fixed = _alone(list(wanted), settings)
    results = tuple(sorted(wanted, key=lambda node: node not in fixed))
    after = tuple(wanted[node] for node in results)
    numbers = Numbers(inputs, results, after, sum(node in fixed for node in wanted))
    return numbers, [image.get(node, node) for node in outputs]
