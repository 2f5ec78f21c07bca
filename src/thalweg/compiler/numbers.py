"""What depends on nothing but a step's numbers is computed once a step, in double precision.

Adam's ``1 - β₁ᵏ`` needs a power at every step k. Such numbers are a small graph of their own here,
in float64 whatever the program's dtype; `thalweg.compiler.clock` computes it beside the loops. A
power of the step is a product of two table entries, ``βᵏ = β^(256 q) · βʳ``, each of which NumPy's
power gives: so it does not depend on which steps are run in one call, and errors do not add up.

Examples
--------
>>> beta, step, rate = (variable((), "float32") for _ in range(3))
>>> numbers, _ = numbers_first([rate / (1.0 - beta**step) * variable((3,), "float32")],
...                            step, rate, [beta])
>>> len(numbers.powers), len(numbers.once), len(numbers.each)
(1, 0, 1)
>>> numbers.table(0, 1000, [0.9]).shape  # steps before, β, 256 powers, 4 powers of β²⁵⁶
(262,)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from thalweg.graph import Node, constant, rebuild, substitute, topological, variable
from thalweg.graph.graph import keep
from thalweg.ops import Elementwise

__all__ = ["TABLE", "Numbers", "numbers_first"]

TABLE = 256
"""Consecutive powers that share a factor."""

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """Numbers of a step, as a graph in float64.

    Attributes
    ----------
    step, rate : Node
        The count of steps, from 1, and the learning rate.
    settings : tuple of Node
        What is the same at every step.
    powers : dict of Node to Node
        A variable for a power of the step, and its base: one of the settings, or a constant.
    once, each : dict of Node to Node
        Numbers that depend on the settings alone, and those of each step, by the variables that
        stand for them in the loop.
    """

    step: Node
    rate: Node
    settings: tuple[Node, ...]
    powers: dict[Node, Node]
    once: dict[Node, Node]
    each: dict[Node, Node]

    @property
    def inputs_after(self) -> list[Node]:
        """The variables that stand for the numbers in the loop."""
        return [*self.once, *self.each]

    def table(self, before: int, steps: int, settings: Sequence[float]) -> Column:
        """What native code needs to know for some steps.

        Parameters
        ----------
        before : int
            Steps that have been made.
        steps : int
        settings : sequence of float

        Returns
        -------
        array
            `before`; the settings; for each base its powers below `TABLE`; and the powers by
            whole tables, from that of the first step on, of all bases side by side.
        """
        given = dict(zip(self.settings, settings, strict=True))
        bases = [
            given[b] if b in given else b.attributes["value"].item() for b in self.powers.values()
        ]
        whole = np.arange((before + 1) // TABLE, (before + steps) // TABLE + 1.0)
        with np.errstate(all="ignore"):
            far = [np.power(base, TABLE * whole) for base in bases]
        near = [_near(base) for base in bases]
        head = np.array([before, *settings], np.float64)
        return np.concatenate([head, *near, np.ravel(far, order="F")])


@lru_cache(maxsize=64)
def _near(base: float) -> Column:
    powers: Column = np.power(base, np.arange(float(TABLE)))
    return powers


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
    outputs: Sequence[Node], step: Node, rate: Node, settings: Sequence[Node] = ()
) -> tuple[Numbers, list[Node]]:
    """Split off what depends on the numbers of a step alone.

    Parameters
    ----------
    outputs : sequence of Node
    step, rate : Node
        Variables of no axes that change from step to step,
    settings : sequence of Node
        and those that do not.

    Returns
    -------
    Numbers
    list of Node
        The outputs in terms of its results.
    """
    inputs = (step, rate, *settings)
    outputs = _with_reciprocals(outputs, _alone(outputs, inputs))
    alone = _alone(outputs, inputs)
    used = [i for node in topological(outputs) if node not in alone for i in node.inputs]
    wanted = {i: variable((), i.dtype) for i in dict.fromkeys([*used, *outputs]) if i in alone}
    image = substitute(outputs, wanted)
    numbers = _in_double(wanted, inputs, _alone(list(wanted), settings))
    return numbers, [image.get(node, node) for node in outputs]


def _in_double(wanted: dict[Node, Node], inputs: Sequence[Node], fixed: set[Node]) -> Numbers:
    """The numbers that are wanted, in float64; powers of the step are variables."""
    wide = {node: variable((), np.float64) for node in inputs}
    powers: dict[Node, Node] = {}
    for node in topological(wanted):
        if node.is_constant:
            known = node.dtype.kind == "f"
            wide[node] = constant(node.attributes["value"], np.float64) if known else node
        elif node.name == "power" and node.inputs[1] is inputs[0] and _is_given(node.inputs[0]):
            wide[node] = variable((), np.float64)
            powers[wide[node]] = wide[node.inputs[0]]
        elif node.name == "cast":
            wide[node] = wide[node.inputs[0]]
        elif node.primitive is not None:
            wide[node] = node.primitive.bind(*(wide[i] for i in node.inputs), **node.attributes)
    step, rate, *settings = (wide[node] for node in inputs)
    once, each = (
        {after: wide[node] for node, after in wanted.items() if (node in fixed) is same}
        for same in (True, False)
    )
    return Numbers(step, rate, tuple(settings), powers, once, each)


def _is_given(base: Node) -> bool:
    """Whether a number is known before the steps: a constant, or an input."""
    return base.primitive is None
