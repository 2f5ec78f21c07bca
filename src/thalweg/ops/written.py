"""How operations are written as NumPy code.

Most are written by the template in their record. This file holds what a reader expects beside
that: ``W.T``, ``W @ x`` for a vector, ``x[:, None]``, ``keepdims=True``, ``x[0]``, and
broadcasts left to NumPy wherever the result has the right shape by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg.graph import Node, scalar_value
from thalweg.graph.printing import number, slices_text
from thalweg.ops.families import Elementwise, Reduction
from thalweg.ops.spreading import widened

__all__ = ["Operands", "Text", "array_text", "constant_text", "write"]

ATOM, UNARY, PRODUCT, COMPARISON = 100, 35, 30, 10
MATRIX = 29  # "@" binds as "*" does; (A @ B) * c is written with parentheses all the same


@dataclass(frozen=True)
class Text:
    """An expression as it is written.

    Attributes
    ----------
    text : str
    precedence : int
        Of its outermost operation (see `Primitive.precedence`).
    shape : tuple of int
        What NumPy makes of the text; smaller than the node's where a broadcast is left out.
    weak : bool
        A plain Python number, which takes its dtype from what it meets.
    """

    text: str
    precedence: int = ATOM
    shape: tuple[int, ...] = ()
    weak: bool = False

    def at(self, precedence: int) -> str:
        """The text, in parentheses where it binds less tightly than its surroundings."""
        return self.text if self.precedence >= precedence else f"({self.text})"


@dataclass(frozen=True)
class Operands:
    """What is known about operands while an operation is written.

    Attributes
    ----------
    text : callable
        ``text(node)`` is the `Text` of an operand.
    inline : callable
        ``inline(node)``: whether the operand has no line of its own and no other use, so that
        its operation can be merged into this one.
    whole : set of Node
        What is needed in its whole shape (see `spreading`).
    """

    text: Callable[[Node], Text]
    inline: Callable[[Node], bool]
    whole: Set[Node]

    def full(self, node: Node) -> Text:
        """The operand with its broadcast and its dtype spelled out where they are needed."""
        given = self.text(node)
        if given.weak:
            given = replace(given, text=_typed(given.text, node.dtype), precedence=ATOM)
        if given.shape == node.shape:
            return given
        return Text(f"np.broadcast_to({given.text}, {node.shape})", ATOM, node.shape)


def write(node: Node, operands: Operands) -> Text:
    """Write one operation.

    Parameters
    ----------
    node : Node
        An operation or a constant.
    operands : Operands

    Returns
    -------
    Text
    """
    if node.is_constant:
        return constant_text(node)
    form = _FORMS.get(node.name)
    if form is not None:
        return form(node, operands)
    if isinstance(node.primitive, Elementwise):
        return _elementwise(node, operands)
    if isinstance(node.primitive, Reduction):
        return _reduction(node, operands, keepdims=False)
    return _by_template(node, [operands.full(i) for i in node.inputs])


# -- constants ------------------------------------------------------------------
def constant_text(node: Node) -> Text:
    """Write a constant: one number plainly, an array by `array_text`."""
    value = node.attributes["value"]
    if value.shape:
        return Text(array_text(value), ATOM, node.shape)
    text = _number(value)
    return Text(text, UNARY if text.startswith("-") else ATOM, (), weak=True)


def array_text(value: Any) -> str:
    """Write an array so that NumPy reads it back."""
    if value.size == 0:
        return f"np.zeros({value.shape}, '{value.dtype}')"
    if value.dtype == np.float64:
        if value.ndim == 2 and value.shape[0] > 1 and np.array_equal(value, np.eye(len(value))):
            return f"np.eye({len(value)})"
        for entry, name in ((0.0, "zeros"), (1.0, "ones")):
            if np.all(value == entry) and not np.signbit(value).any():
                return f"np.{name}({_sizes(value.shape)})"
    if value.dtype.name in ("float64", "int64", "bool"):
        return f"np.array({_nested(value)})"
    return f"np.array({_nested(value)}, '{value.dtype}')"


def _sizes(shape: tuple[int, ...]) -> str:
    return str(shape[0]) if len(shape) == 1 else str(shape)


def _nested(value: Any) -> str:
    if value.ndim:
        return "[" + ", ".join(_nested(part) for part in value) + "]"
    return _number(value)


def _number(value: Any) -> str:
    text = number(value)
    return text.replace("inf", "np.inf").replace("nan", "np.nan")


def _typed(text: str, dtype: np.dtype[Any]) -> str:
    """A Python number with its dtype said where NumPy would take another one."""
    return text if dtype.name in ("float64", "int64", "bool") else f"np.{dtype}({text})"


# -- the families ---------------------------------------------------------------
def _by_template(node: Node, parts: Sequence[Text]) -> Text:
    primitive = node.primitive
    assert primitive is not None
    tight = primitive.precedence
    texts = [part.text for part in parts]
    if tight < ATOM and len(parts) == 2:
        chains = tight > COMPARISON and primitive.name != "power"
        texts = [parts[0].at(tight if chains else tight + 1), parts[1].at(tight + 1)]
    elif tight < ATOM:
        texts = [parts[0].at(tight)]
    attributes = {key: _attribute(key, value) for key, value in node.attributes.items()}
    text = primitive.source.format(*texts, args=", ".join(texts), **attributes)
    return Text(text, tight, node.shape)


def _attribute(key: str, value: Any) -> str:
    return str(value[0]) if key == "axes" and len(value) == 1 else str(value)


def _elementwise(node: Node, operands: Operands) -> Text:
    parts = _together(node, operands, node.inputs)
    shape = np.broadcast_shapes(*(part.shape for part in parts))
    return replace(_by_template(node, parts), shape=shape)


def _together(node: Node, operands: Operands, inputs: Sequence[Node]) -> list[Text]:
    """Operands that broadcast to the node's shape and dtype, spelled out no more than needed."""
    parts = [operands.text(i) for i in inputs]
    if all(part.weak for part in parts):
        parts[0] = Text(_typed(parts[0].text, inputs[0].dtype), parts[0].precedence)
    place = widened(node, [part.shape for part in parts], operands.whole)
    if place is not None:
        parts[place] = operands.full(inputs[place])
    return parts


def _reduction(node: Node, operands: Operands, keepdims: bool) -> Text:
    (x,) = node.inputs
    primitive = node.primitive
    assert primitive is not None
    function = primitive.source.partition("(")[0]
    axes = node.attributes["axes"]
    options = "" if len(axes) == x.ndim else f", axis={_attribute('axes', axes)}"
    if function in ("np.argmax", "np.argmin") and x.ndim == 1:
        options = ""
    if keepdims:
        options += ", keepdims=True"
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape)) if keepdims else node.shape
    return Text(f"{function}({operands.full(x).text}{options})", ATOM, shape)


# -- forms that differ from their template ----------------------------------------
def _power(node: Node, operands: Operands) -> Text:
    x, y = node.inputs
    exponent = scalar_value(y)
    if exponent is None:
        parts = _together(node, operands, node.inputs)
        first = _typed(parts[0].text, node.dtype) if parts[0].weak else parts[0].text
        return Text(f"power({first}, {parts[1].text})", ATOM, node.shape)
    base = operands.full(x)
    if exponent == 2.0 and node.shape:
        return Text(f"{base.at(41)} ** 2", 40, node.shape)
    functions = {2.0: "np.square({})", 0.5: "np.sqrt({})", -1.0: "np.reciprocal({})"}
    if exponent in functions:
        return Text(functions[exponent].format(base.text), ATOM, node.shape)
    written = str(int(exponent)) if exponent == int(exponent) and exponent > 0 else None
    written = written or _number(np.asarray(exponent))
    if node.shape:
        return Text(f"{base.at(41)} ** {written}", 40, node.shape)
    return Text(f"np.power({base.text}, {written})", ATOM, node.shape)


def _logical_not(node: Node, operands: Operands) -> Text:
    if node.shape:
        return _elementwise(node, operands)
    return Text(f"np.logical_not({operands.text(node.inputs[0]).text})", ATOM, node.shape)


def _where(node: Node, operands: Operands) -> Text:
    condition, *branches = (operands.text(i) for i in node.inputs)
    if all(branch.weak for branch in branches):
        branches = [replace(b, text=_typed(b.text, node.dtype)) for b in branches]
    parts = [condition, *branches]
    place = widened(node, [part.shape for part in parts], operands.whole)
    if place is not None:
        parts[place] = operands.full(node.inputs[place])
    shape = np.broadcast_shapes(*(part.shape for part in parts))
    return Text(f"np.where({', '.join(part.text for part in parts)})", ATOM, shape)


def _broadcast(node: Node, operands: Operands) -> Text:
    return operands.text(node.inputs[0])


def _same(node: Node, operands: Operands) -> Text:
    return operands.full(node.inputs[0])


def _cast(node: Node, operands: Operands) -> Text:
    x = operands.full(node.inputs[0])
    return Text(f"{x.at(ATOM)}.astype('{node.dtype}')", ATOM, node.shape)


def _transpose(node: Node, operands: Operands) -> Text:
    x = operands.full(node.inputs[0])
    axes = node.attributes["axes"]
    rank = len(axes)
    if axes == tuple(reversed(range(rank))):
        return Text(f"{x.at(ATOM)}.T", ATOM, node.shape)
    if axes == (*range(rank - 2), rank - 1, rank - 2):
        return Text(f"np.swapaxes({x.text}, -1, -2)", ATOM, node.shape)
    return Text(f"np.transpose({x.text}, {axes})", ATOM, node.shape)


def _matmul(node: Node, operands: Operands) -> Text:
    a, b = (operands.text(i) for i in node.inputs)
    whole = all(
        given.shape[-2:] == i.shape[-2:] for given, i in zip((a, b), node.inputs, strict=True)
    )
    if not whole or np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) != node.shape[:-2]:
        a, b = (operands.full(i) for i in node.inputs)
    return Text(f"{a.at(MATRIX)} @ {b.at(PRODUCT + 1)}", MATRIX, node.shape)


def _reshape(node: Node, operands: Operands) -> Text:
    (x,) = node.inputs
    if operands.inline(x):
        merged = _merged_reshape(node, x, operands)
        if merged is not None:
            return merged
    given = operands.full(x)
    old = [n for n in x.shape if n != 1]
    if x.ndim and x.ndim < node.ndim and old == [n for n in node.shape if n != 1]:
        index = _new_axes(x.shape, node.shape)
        if index is not None:
            return Text(f"{given.at(ATOM)}[{index}]", ATOM, node.shape)
    if node.ndim == 1:
        return Text(f"np.ravel({given.text})", ATOM, node.shape)
    return Text(f"np.reshape({given.text}, {node.shape})", ATOM, node.shape)


def _new_axes(old: tuple[int, ...], new: tuple[int, ...]) -> str | None:
    """``:, None``: the index that puts axes of length one in, where nothing else changes."""
    steps, position = [], 0
    for length in new:
        if position < len(old) and old[position] == length:
            steps.append(":")
            position += 1
        elif length == 1:
            steps.append("None")
        else:
            return None
    return ", ".join(steps) if position == len(old) else None


def _merged_reshape(node: Node, x: Node, operands: Operands) -> Text | None:
    """A reshape as part of what it reshapes: keepdims, vectors in products, integer indices."""
    if isinstance(x.primitive, Reduction):
        axes, whole = x.attributes["axes"], x.inputs[0].shape
        if node.shape == tuple(1 if a in axes else n for a, n in enumerate(whole)):
            keeps = not x.name.startswith("arg")
            return _reduction(x, operands, keepdims=True) if keeps else None
    if x.name == "matmul" and x.ndim == 2:
        return _vector_product(node, x, operands)
    if x.name == "slice":
        return _integer_index(node, x, operands)
    return None


def _vector_product(node: Node, x: Node, operands: Operands) -> Text | None:
    """``W @ x`` and ``x @ W`` where the graph has a column or a row."""
    left, right = x.inputs
    row = _vector(left, (1, left.shape[1])) if left.shape[0] == 1 else None
    column = _vector(right, (right.shape[0], 1)) if right.shape[1] == 1 else None
    wanted = tuple(
        n for n, gone in zip(x.shape, (row is not None, column is not None), strict=True)
        if not gone
    )  # fmt: skip
    if (row is None and column is None) or node.shape != wanted:
        return None
    a = operands.full(left if row is None else row)
    b = operands.full(right if column is None else column)
    return Text(f"{a.at(MATRIX)} @ {b.at(PRODUCT + 1)}", MATRIX, node.shape)


def _vector(node: Node, shape: tuple[int, int]) -> Node | None:
    """The vector of which a matrix of one row or column was made."""
    if node.name == "reshape" and node.inputs[0].ndim == 1 and node.shape == shape:
        return node.inputs[0]
    return None


def _integer_index(node: Node, x: Node, operands: Operands) -> Text | None:
    """``x[0]`` where the graph has a slice of length one and a reshape."""
    starts = x.attributes["starts"]
    texts = slices_text(x, whole=True).split(", ")
    kept: list[int] = []
    for axis, (length, whole) in enumerate(zip(x.shape, x.inputs[0].shape, strict=True)):
        if length == 1 and whole != 1:
            texts[axis] = str(starts[axis])
        else:
            kept.append(length)
    if tuple(kept) != node.shape:
        return None
    while len(texts) > 1 and texts[-1] == ":":
        texts.pop()
    given = operands.full(x.inputs[0])
    return Text(f"{given.at(ATOM)}[{', '.join(texts)}]", ATOM, node.shape)


def _slice(node: Node, operands: Operands) -> Text:
    given = operands.full(node.inputs[0])
    return Text(f"{given.at(ATOM)}[{slices_text(node)}]", ATOM, node.shape)


def _place(node: Node, operands: Operands) -> Text:
    given = operands.full(node.inputs[0])
    text = f"place({given.text}, {node.shape}, np.s_[{slices_text(node)}])"
    return Text(text, ATOM, node.shape)


def _gather(node: Node, operands: Operands) -> Text:
    given = operands.full(node.inputs[0])
    indices = [_index(i, operands) for i in node.inputs[1:]]
    return Text(f"{given.at(ATOM)}[{', '.join(indices)}]", ATOM, node.shape)


def _scatter_add(node: Node, operands: Operands) -> Text:
    given = operands.full(node.inputs[0])
    indices = [operands.full(i).text for i in node.inputs[1:]]
    text = f"scatter_add({given.text}, {', '.join(indices)}, shape={node.shape})"
    return Text(text, ATOM, node.shape)


def _index(node: Node, operands: Operands) -> str:
    if node.is_constant and node.shape and node.size and operands.inline(node):
        return _nested(node.attributes["value"])
    return operands.full(node).text


def _concatenate(node: Node, operands: Operands) -> Text:
    axis = node.attributes["axis"]
    inputs = _stacked(node, operands)
    function = "np.concatenate" if inputs is None else "np.stack"
    texts = [operands.full(i).text for i in (inputs or node.inputs)]
    option = "" if axis == 0 else f", axis={axis}"
    return Text(f"{function}([{', '.join(texts)}]{option})", ATOM, node.shape)


def _stacked(node: Node, operands: Operands) -> list[Node] | None:
    """The arrays of which a stack was made: each got a new axis of length one."""
    axis = node.attributes["axis"]
    inner = (*node.shape[:axis], *node.shape[axis + 1 :])
    if not all(
        i.name == "reshape" and operands.inline(i) and i.inputs[0].shape == inner
        for i in node.inputs
    ):
        return None
    return [i.inputs[0] for i in node.inputs]


_FORMS: dict[str, Callable[[Node, Operands], Text]] = {
    "broadcast_to": _broadcast,
    "cast": _cast,
    "concatenate": _concatenate,
    "gather": _gather,
    "logical_not": _logical_not,
    "matmul": _matmul,
    "place": _place,
    "power": _power,
    "reshape": _reshape,
    "scatter_add": _scatter_add,
    "slice": _slice,
    "stop_gradient": _same,
    "transpose": _transpose,
    "where": _where,
}
