"""What every primitive operation must state, whatever its family.

The families (elementwise, reduction, linear) in :mod:`thalweg.ops` implement the rules here
once each; a new operation is then a record of one family, a few lines long.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.graph.node import Node, Shape, make_node

__all__ = ["PRIMITIVES", "Domain", "Primitive"]

PRIMITIVES: dict[str, Primitive] = {}

Domain = tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Primitive(ABC):
    """One operation: what it computes and how it is differentiated, batched and printed.

    Attributes
    ----------
    name : str
    evaluate : callable
        The meaning in NumPy: ``evaluate(*arrays, **attributes)`` returns an array.
    source, latex : str
        How the operation is written as NumPy code and in LaTeX; ``{0}``, ``{1}``, ... stand
        for the operands and ``{axes}``, ... for attributes.
    precedence : int
        Of the written form: 100 binds tightest (a call); an operand with a lower one is put
        in parentheses.
    helper : callable or None
        The function that `source` calls where NumPy has none; printed along with it.
    domain : tuple of (low, high)
        For each operand an interval on which the tests draw values.
    """

    name: str
    evaluate: Callable[..., Any]
    source: str = ""
    latex: str = ""
    precedence: int = 100
    helper: Callable[..., Any] | None = None
    domain: Domain = field(default=((-2.0, 2.0),))

    def __post_init__(self) -> None:
        if self.name in PRIMITIVES:
            raise ValueError(f"primitive {self.name!r} is registered twice")
        PRIMITIVES[self.name] = self

    @abstractmethod
    def infer(self, *inputs: Node, **attributes: Any) -> tuple[Shape, np.dtype[Any]]:
        """Return shape and dtype of the result, or raise `ShapeError`."""

    @abstractmethod
    def push(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        """Forward mode: the tangent of the node from those of its inputs (None is zero)."""

    @abstractmethod
    def pull(self, node: Node, cotangent: Node, position: int) -> Node | None:
        """Reverse mode: the contribution of `cotangent` to the input at `position`.

        None where the derivative is zero everywhere.
        """

    @abstractmethod
    def batch(
        self, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
    ) -> Node:
        """Apply the operation along a leading sample axis of the inputs that have one."""

    def local(self, node: Node, position: int) -> Node | None:
        """The local derivative as an array of the input's shape, where it has that form."""
        return None

    def step(self, node: Node, cotangent: Node, position: int) -> tuple[Node | None, Node | None]:
        """One step of the chain rule: `local` and `pull` together."""
        return self.local(node, position), self.pull(node, cotangent, position)

    def mask(self, node: Node, position: int) -> Node | None:
        """Where the operation lets its input through (where, maximum), or None: everywhere."""
        return None

    def carry_mask(self, node: Node, mask: Node, position: int) -> Node | None:
        """What a mask on the result says of the input at `position`; None: nothing."""
        return None

    @property
    def bounded(self) -> bool:
        """Whether the derivative stays finite wherever the inputs are."""
        return True

    def bind(self, *inputs: Node, **attributes: Any) -> Node:
        """Return the node of this operation on nodes of fitting shapes and dtypes."""
        shape, dtype = self.infer(*inputs, **attributes)
        return make_node(self, inputs, attributes, shape, dtype)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"
