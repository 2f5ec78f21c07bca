"""The families of primitives, and the rules that each family has once for all its members.

============  ===========================================  =================================
family        a member states                              forward and reverse mode follow as
============  ===========================================  =================================
Elementwise   its partial derivatives, as expressions of   Σ partialᵢ·tangentᵢ;
              result and operands                          partialᵢ·cotangent
Reduction     one partial derivative, of the operand's     Σ over axes of partial·tangent;
              shape                                        partial·expanded cotangent
Linear        its transpose in each operand                itself on tangents; the transpose
============  ===========================================  =================================

Operands of an elementwise primitive have one shape; `align` brings them there by explicit
``broadcast_to`` nodes. Broadcasting is thereby undone in one place: its transpose is a sum.

Some primitives let an operand through only in places (``where``, ``maximum``). They state the
mask, and the chain rule uses it to keep ``0 · inf`` out of the places not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import PRIMITIVES, Node, Primitive, as_node, constant, scalar_value
from thalweg.graph.node import unmasked
from thalweg.phrases import joined

__all__ = [
    "Elementwise",
    "Linear",
    "Reduction",
    "align",
    "broadcast",
    "cast_to",
    "expand",
    "reduced_shape",
    "reshaped",
    "select",
    "times",
]

Partial = Callable[..., Any]
Transpose = Callable[[Node, Node], Node | None]
BOOL = np.dtype("bool")
FLOAT = np.dtype("float64")


def align(*operands: Any, inexact: bool = False) -> list[Node]:
    """Bring operands to one dtype and one shape, as NumPy does.

    Python numbers take the dtype of the arrays they meet (NEP 50).

    Parameters
    ----------
    *operands : Node, array-like or number
    inexact : bool
        Integers and booleans become float64.

    Returns
    -------
    list of Node

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    """
    typed = [o if type(o) in _TYPED else unmasked(o) for o in operands]
    dtype = _common_dtype(typed)
    if inexact and dtype.kind != "f":
        dtype = FLOAT
    nodes = [cast_to(o, dtype) if type(o) is Node else constant(o, dtype) for o in typed]
    shape = _common_shape(nodes)
    return [broadcast(node, shape) for node in nodes]


def _aligned_soon(operands: Sequence[Any], inexact: bool) -> Sequence[Node] | None:
    """The same for the most frequent operands: like nodes, or one beside a Python number."""
    if len(operands) > 2:
        return None
    first, last = operands[0], operands[-1]
    if type(first) is Node:
        if type(last) is Node:
            same = first.shape == last.shape and first.dtype is last.dtype
            return operands if same and (first.dtype.kind == "f" or not inexact) else None
        if type(last) in _WEAK and first.dtype.kind == "f":
            return first, _full(float(last), first)
    elif type(first) in _WEAK and type(last) is Node and last.dtype.kind == "f":
        return _full(float(first), last), last
    return None


_WEAK = (float, int)
_TYPED = (Node, float, int, bool)  # NumPy's own numbers are not weak, Python's are


def _common_dtype(operands: Sequence[Any]) -> np.dtype[Any]:
    dtypes = [o if type(o) in (float, int, bool) else o.dtype for o in operands]
    first = next((d for d in dtypes if isinstance(d, np.dtype)), FLOAT)
    if all(d is first or (type(d) in (float, int) and first.kind == "f") for d in dtypes):
        return first
    return np.result_type(*dtypes)


def cast_to(node: Node, dtype: np.dtype[Any]) -> Node:
    """The node in another dtype, itself if it has it."""
    if node.dtype == dtype:
        return node
    if node.is_constant:
        return constant(node.attributes["value"], dtype)
    return _primitive("cast").bind(node, dtype=dtype.name)


def _primitive(name: str) -> Primitive:
    return PRIMITIVES[name]


def _common_shape(nodes: Sequence[Node]) -> tuple[int, ...]:
    shapes = {node.shape for node in nodes}
    if len(shapes) == 1:
        return nodes[0].shape
    shapes.discard(())
    if len(shapes) == 1:
        return shapes.pop()
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        found = joined(node.shape for node in nodes)
        raise ShapeError(
            "shapes {found} do not broadcast: axes are compared from the last one, and "
            "must be equal or 1.",
            found=found,
        ) from None


def broadcast(node: Node, shape: tuple[int, ...]) -> Node:
    """The node repeated to a shape; itself if it has it."""
    if node.shape == shape:
        return node
    if node.name == "broadcast_to":  # one broadcast of a broadcast
        inner = node.inputs[0]
        if not inner.shape or len(node.shape) - inner.ndim == 0:
            node = inner
    return _primitive("broadcast_to").bind(node, shape=shape)


def reshaped(node: Node, shape: tuple[int, ...]) -> Node:
    """The node in another shape, for the rules of derivatives and batches.

    Undoes a reshape instead of adding another one, and leaves broadcast numbers broadcast.
    Traced functions are never simplified like this: their nodes may be labelled.
    """
    if node.name == "reshape":
        node = node.inputs[0]
    if node.shape == shape:
        return node
    if node.name == "broadcast_to" and not node.inputs[0].shape:
        return broadcast(node.inputs[0], shape)
    return _primitive("reshape").bind(node, shape=shape)


def times(cotangent: Node, partial: Node) -> Node:
    """Multiply along the chain; factors of one and minus one leave no node."""
    value = scalar_value(partial)
    if value == 1.0:
        return cotangent
    if value == -1.0:
        return _primitive("negative").bind(cotangent)
    return _primitive("multiply").bind(cotangent, partial)


@dataclass(frozen=True, eq=False, kw_only=True)
class Elementwise(Primitive):
    """A function of numbers, applied entry by entry.

    Attributes
    ----------
    partials : tuple of callable or None
        For each operand ``partial(out, *operands)``, a graph expression; None where the
        derivative is zero (almost) everywhere.
    result : {"same", "bool"}
        Dtype of the result.
    inexact : bool
        Integers are turned into float64 first.
    unbounded : bool
        Whether a partial can be infinite at finite operands.
    masks : tuple of callable or None
        For each operand ``mask(out, *operands)``: where it is let through.
    simplify : callable or None
        ``simplify(*operands)`` returns a simpler node of equal value, or None.
    """

    partials: tuple[Partial | None, ...] = ()
    result: str = "same"
    inexact: bool = False
    unbounded: bool = False
    masks: tuple[Partial | None, ...] = ()
    simplify: Callable[..., Node | None] | None = None

    def __call__(self, *operands: Any) -> Any:
        if len(operands) != len(self.partials):
            raise TypeError(f"{self.name} takes {len(self.partials)} operands, not {len(operands)}")
        nodes = _aligned_soon(operands, self.inexact)
        if nodes is not None:
            return self.bind(*nodes)
        if not any(isinstance(o, Node) for o in operands):
            return self.evaluate(*operands)
        return self.bind(*align(*operands, inexact=self.inexact))

    def bind(self, *inputs: Node, **attributes: Any) -> Node:
        if self.simplify is not None:
            simpler = self.simplify(*inputs)
            if simpler is not None:
                return simpler
        numbers: list[Any] = []
        for node in inputs:
            number = _number(node)
            if number is None:
                return super().bind(*inputs, **attributes)
            numbers.append(number)
        with np.errstate(all="ignore"):
            return broadcast(constant(self.evaluate(*numbers)), inputs[0].shape)

    def infer(self, *inputs: Node, **attributes: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        first = inputs[0]
        return first.shape, BOOL if self.result == "bool" else first.dtype

    @property
    def bounded(self) -> bool:
        return not self.unbounded

    def local(self, node: Node, position: int) -> Node | None:
        if position >= len(self.partials) or node.dtype.kind != "f":
            return None
        rule = self.partials[position]
        partial = None if rule is None else rule(node, *node.inputs)
        return None if partial is None else broadcast(as_like(partial, node), node.shape)

    def push(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        total: Node | None = None
        for position, tangent in enumerate(tangents):
            partial = None if tangent is None else self.local(node, position)
            if tangent is None or partial is None:
                continue
            term = times(tangent, partial)
            mask = self.mask(node, position)
            if mask is not None:
                term = select(mask, term, 0.0)
            total = term if total is None else total + term
        return total

    def pull(self, node: Node, cotangent: Node, position: int) -> Node | None:
        return self.step(node, cotangent, position)[1]

    def step(self, node: Node, cotangent: Node, position: int) -> tuple[Node | None, Node | None]:
        partial = self.local(node, position)
        return partial, None if partial is None else times(cotangent, partial)

    def mask(self, node: Node, position: int) -> Node | None:
        if not self.masks:
            return None
        rule = self.masks[position]
        found: Node | None = None if rule is None else rule(node, *node.inputs)
        return found

    def carry_mask(self, node: Node, mask: Node, position: int) -> Node | None:
        return mask

    def batch(
        self, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
    ) -> Node:
        shape = next(i.shape for i, b in zip(inputs, batched, strict=True) if b)
        return self.bind(*(broadcast(i, shape) for i in inputs), **attributes)


def _number(node: Node) -> Any:
    """The value of a constant of one number, broadcast or not."""
    if node.primitive is not None:
        if node.primitive.name != "broadcast_to" or node.inputs[0].shape:
            return None
        node = node.inputs[0]
    value = node.attributes.get("value")
    return value if value is not None and value.size == 1 else None


def as_like(value: Any, node: Node) -> Node:
    """A node of `node`'s dtype from a node or a Python number."""
    return cast_to(as_node(value), node.dtype)


def tangent_or_zero(tangent: Node | None, operand: Node) -> Node:
    """The tangent, or zeros like the operand where there is none."""
    return _full(0.0, operand) if tangent is None else tangent


def _full(value: float, like: Node) -> Node:
    return broadcast(constant(value, like.dtype), like.shape)


def select(condition: Any, yes: Any, no: Any) -> Node:
    """``where`` on operands of any shapes and dtypes that broadcast."""
    condition = cast_to(as_node(condition), BOOL)
    yes, no = align(yes, no)
    shape = _common_shape((condition, yes))
    nodes = (broadcast(node, shape) for node in (condition, yes, no))
    return _primitive("where").bind(*nodes)


def reduced_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that is left when the axes are gone."""
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def expand(node: Node, axes: tuple[int, ...], shape: tuple[int, ...]) -> Node:
    """Put reduced axes back and repeat along them."""
    if not node.shape:
        return broadcast(node, shape)
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    return broadcast(reshaped(node, kept), shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduction(Primitive):
    """A function of all entries along some axes; attribute ``axes``, sorted, not negative.

    Attributes
    ----------
    partial : callable or None
        ``partial(out, x, axes)`` with `out` expanded to the shape of `x`; None for no
        derivative.
    result : {"same", "bool", "int64"}
    empty : bool
        Whether it is defined for no entries at all.
    """

    partial: Callable[[Node, Node, tuple[int, ...]], Any] | None = None
    result: str = "same"
    empty: bool = False

    def __call__(self, operand: Any, *, axes: tuple[int, ...]) -> Any:
        if isinstance(operand, Node):
            return self.bind(operand, axes=axes)
        return self.evaluate(np.asarray(operand), axes=axes)

    def infer(self, *inputs: Node, **attributes: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        (operand,), axes = inputs, attributes["axes"]
        if not self.empty and any(operand.shape[axis] == 0 for axis in axes):
            raise ShapeError(
                "{name} of no entries: shape {shape}, axes {axes}",
                name=self.name,
                shape=operand.shape,
                axes=axes,
            )
        dtype = operand.dtype if self.result == "same" else np.dtype(self.result)
        if self.name == "sum" and dtype == BOOL:
            dtype = np.dtype("int64")
        return reduced_shape(operand.shape, axes), dtype

    def local(self, node: Node, position: int) -> Node | None:
        if self.partial is None or node.dtype.kind != "f":
            return None
        (operand,) = node.inputs
        axes = node.attributes["axes"]
        out = expand(node, axes, operand.shape)
        return broadcast(as_like(self.partial(out, operand, axes), operand), operand.shape)

    def push(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        (tangent,) = tangents
        partial = self.local(node, 0)
        if tangent is None or partial is None:
            return None
        return _primitive("sum").bind(times(tangent, partial), axes=node.attributes["axes"])

    def pull(self, node: Node, cotangent: Node, position: int) -> Node | None:
        return self.step(node, cotangent, position)[1]

    def step(self, node: Node, cotangent: Node, position: int) -> tuple[Node | None, Node | None]:
        partial = self.local(node, 0)
        if partial is None:
            return None, None
        wide = expand(cotangent, node.attributes["axes"], node.inputs[0].shape)
        return partial, times(wide, partial)

    def carry_mask(self, node: Node, mask: Node, position: int) -> Node | None:
        return expand(mask, node.attributes["axes"], node.inputs[0].shape)

    def batch(
        self, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
    ) -> Node:
        return self.bind(inputs[0], axes=tuple(axis + 1 for axis in attributes["axes"]))


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Primitive):
    """A function linear in some of its operands; the others (indices) have no derivative.

    Attributes
    ----------
    transposes : tuple of callable or None, or callable
        For each operand ``transpose(cotangent, node)``, the contribution to that operand (the
        last one serves all operands after it); or a function from position to transpose.
    shape_of : callable
        ``shape_of(*inputs, **attributes)`` returns the shape of the result.
    batched_form : callable
        ``batched_form(primitive, inputs, batched, attributes)`` returns the operation with a
        leading sample axis.
    jointly : bool
        Linear in all operands together (concatenate) rather than in each one (matmul).
    carriers : tuple of callable
        For each operand ``carrier(mask, node)``: the mask of the contribution to it. None are
        given where entries are only moved, repeated or added up: masks move as cotangents do.
    """

    transposes: tuple[Transpose | None, ...] | Callable[[int], Transpose]
    shape_of: Callable[..., tuple[int, ...]]
    batched_form: Callable[..., Node]
    jointly: bool = False
    carriers: tuple[Transpose, ...] = ()
    selects: bool = False

    def __call__(self, *operands: Any, **attributes: Any) -> Any:
        if any(isinstance(o, Node) for o in operands):
            return self.bind(*(as_node(o) for o in operands), **attributes)
        return self.evaluate(*(np.asarray(o) for o in operands), **attributes)

    def infer(self, *inputs: Node, **attributes: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
        dtype = attributes.get("dtype")
        return self.shape_of(*inputs, **attributes), np.dtype(dtype) if dtype else (
            inputs[1 if self.selects else 0].dtype
        )

    def transpose_of(self, position: int) -> Transpose | None:
        """The transpose in one operand."""
        if callable(self.transposes):
            return self.transposes(position)
        return self.transposes[min(position, len(self.transposes) - 1)]

    def push(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        live = [
            p for p, t in enumerate(tangents) if t is not None and self.transpose_of(p) is not None
        ]
        if not live or node.dtype.kind != "f":
            return None
        if self.jointly:
            inputs = [
                operand if self.transpose_of(p) is None else tangent_or_zero(tangents[p], operand)
                for p, operand in enumerate(node.inputs)
            ]
            return self.bind(*inputs, **node.attributes)
        total: Node | None = None
        for position in live:
            inputs = list(node.inputs)
            inputs[position] = tangents[position]  # type: ignore[assignment]
            term = self.bind(*inputs, **node.attributes)
            total = term if total is None else total + term
        return total

    def pull(self, node: Node, cotangent: Node, position: int) -> Node | None:
        rule = self.transpose_of(position)
        return None if rule is None else rule(cotangent, node)

    def mask(self, node: Node, position: int) -> Node | None:
        if not self.selects or position == 0:
            return None
        condition = node.inputs[0]
        if position == 1:
            return condition
        return _primitive("logical_not").bind(condition)

    def carry_mask(self, node: Node, mask: Node, position: int) -> Node | None:
        if self.carriers:
            return self.carriers[position](mask, node)
        moved = self.pull(node, cast_to(mask, node.dtype), position)
        return None if moved is None else _primitive("not_equal").bind(*align(moved, 0.0))

    def batch(
        self, inputs: Sequence[Node], batched: Sequence[bool], attributes: dict[str, Any]
    ) -> Node:
        return self.batched_form(self, inputs, batched, attributes)
