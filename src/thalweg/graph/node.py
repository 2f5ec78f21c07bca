"""A node: one operation on earlier nodes, known by its shape and dtype, not by its value.

Nodes are immutable and interned: building the same expression twice gives the same node, so
common subexpressions are shared without a pass that looks for them. The table of nodes holds
them weakly; a graph that nobody needs any more is freed.

A node is also what a traced function sees in place of an array: it has NumPy's operators,
answers NumPy's functions, and refuses with advice what needs a known value.

Examples
--------
>>> from thalweg.graph import variable
>>> x = variable((3,), "float64")
>>> (x * 2.0 + 1.0) is (x * 2.0 + 1.0)
True
>>> (x * 2.0).shape
(3,)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from thalweg.errors import ShapeError
from thalweg.graph.operators import ArrayOperators

if TYPE_CHECKING:
    from thalweg.graph.primitive import Primitive

__all__ = [
    "Node",
    "as_node",
    "constant",
    "is_scalar_constant",
    "make_node",
    "scalar_value",
    "variable",
]

Shape = tuple[int, ...]

DTYPES = {name: np.dtype(name) for name in ("float32", "float64", "int64", "int32", "bool")}

_NATIVE = {dtype.num: dtype for dtype in DTYPES.values()}

_interned: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()
_serial = itertools.count()
_INTERNED_CONSTANT_BYTES = 1024


class Node(ArrayOperators):
    """One operation of a graph, and the traced array that stands for its value.

    Attributes
    ----------
    primitive : Primitive or None
        The operation; None for a variable (an input of the graph) and for a constant.
    inputs : tuple of Node
        What it is applied to.
    attributes : mapping
        Its fixed parameters (axes, shapes); a constant keeps its array as ``value``.
    shape : tuple of int
    dtype : numpy.dtype
    serial : int
        Counts nodes in the order of their making, so that every input has a smaller serial
        than what uses it.
    """

    __slots__ = ("__weakref__", "attributes", "dtype", "inputs", "primitive", "serial", "shape")

    primitive: Primitive | None
    inputs: tuple[Node, ...]
    attributes: Mapping[str, Any]
    shape: Shape
    dtype: np.dtype[Any]
    serial: int

    __hash__ = object.__hash__

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def name(self) -> str:
        """The primitive's name, or ``variable``, or ``constant``."""
        if self.primitive is not None:
            return self.primitive.name
        return "constant" if "value" in self.attributes else "variable"

    @property
    def is_constant(self) -> bool:
        """Whether the node is a constant array."""
        return self.primitive is None and "value" in self.attributes

    @property
    def is_variable(self) -> bool:
        """Whether the node is an input of the graph."""
        return self.primitive is None and "value" not in self.attributes

    def __repr__(self) -> str:
        from thalweg.graph.printing import expression

        text = expression(self)
        if len(text) > 60:
            text = text[:57] + "..."
        return f"<traced {self.dtype}{list(self.shape)}: {text}>"


def _new(
    primitive: Primitive | None,
    inputs: tuple[Node, ...],
    attributes: Mapping[str, Any],
    shape: Shape,
    dtype: np.dtype[Any],
) -> Node:
    node = object.__new__(Node)
    node.primitive = primitive
    node.inputs = inputs
    node.attributes = attributes
    node.shape = shape
    node.dtype = dtype
    node.serial = next(_serial)
    return node


def make_node(
    primitive: Primitive,
    inputs: tuple[Node, ...],
    attributes: Mapping[str, Any],
    shape: Shape,
    dtype: np.dtype[Any],
) -> Node:
    """Return the node of this expression, the existing one where there is one.

    Parameters
    ----------
    primitive : Primitive
    inputs : tuple of Node
    attributes : mapping
        Hashable values only.
    shape, dtype
        Of the result.

    Returns
    -------
    Node
    """
    key = (primitive.name, *map(id, inputs), *attributes.items(), dtype.char)
    node = _interned.get(key)
    if node is None:
        node = _interned[key] = _new(primitive, inputs, attributes, shape, dtype)
    return node


def variable(shape: Shape, dtype: npt.DTypeLike) -> Node:
    """Return a fresh input of a graph: equal to no other node.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype-like
        float32, float64, int32, int64 or bool.

    Returns
    -------
    Node
    """
    return _new(None, (), {}, tuple(shape), supported_dtype(np.dtype(dtype)))


def constant(value: Any, dtype: npt.DTypeLike | None = None) -> Node:
    """Return the node of a known array.

    Parameters
    ----------
    value : array-like
    dtype : dtype-like, optional
        Taken from the value by default; Python floats and lists of them are float64.

    Returns
    -------
    Node

    Raises
    ------
    ShapeError
        For values that are no numbers (text, objects, complex), and for masked ones.

    Examples
    --------
    >>> constant(2.0) is constant(2.0)
    True
    """
    if type(value) is float:  # by far the most frequent ones
        kind = "d" if dtype is None else np.dtype(dtype).char
        key = ("number", value, math.copysign(1.0, value), kind)
        node = _interned.get(key)
        if node is None:
            node = _interned[key] = _constant_of(np.array(value, dtype=dtype))
        return node
    if hasattr(value, "filled"):
        value = unmasked(value)
    return _constant_of(np.array(value, dtype=dtype))


def _constant_of(array: np.ndarray[Any, Any]) -> Node:
    array = array.astype(supported_dtype(array.dtype), copy=False)
    array.flags.writeable = False
    if array.nbytes > _INTERNED_CONSTANT_BYTES:
        return _new(None, (), {"value": array}, array.shape, array.dtype)
    key = ("constant", array.shape, array.dtype.char, array.tobytes())
    node = _interned.get(key)
    if node is None:
        node = _interned[key] = _new(None, (), {"value": array}, array.shape, array.dtype)
    return node


def supported_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Map a NumPy dtype to one that graphs have; small ints and float16 are widened.

    In this machine's order of bytes: constants are told apart by their bytes.
    """
    native = _NATIVE.get(dtype.num)
    if native is not None:
        return native
    if dtype.name in DTYPES:
        return DTYPES[dtype.name]
    if dtype.kind in "iu":
        return DTYPES["int64"]
    if dtype.kind == "f":
        return DTYPES["float32"] if dtype.itemsize < 4 else DTYPES["float64"]
    raise ShapeError(
        "dtype {dtype} cannot be traced: use float64, float32, integers or bool.", dtype=dtype
    )


def unmasked(value: Any) -> np.ndarray[Any, Any]:
    """The value as an array; a ShapeError if something of it is masked, which would be lost."""
    if hasattr(value, "filled") and np.ma.is_masked(value):
        raise ShapeError("a masked array loses its mask here: fill it first, x.filled(value).")
    return np.asarray(value)


def as_node(value: Any) -> Node:
    """Return the value itself if it is a node, else the constant of it."""
    return value if isinstance(value, Node) else constant(value)


def scalar_value(node: Node) -> float | None:
    """Return the number that every entry of a constant equals, or None.

    Looks through broadcasts, so that the 2 of ``2 * x`` is recognised for any shape of x.
    """
    while node.primitive is not None:
        if node.primitive.name not in ("broadcast_to", "reshape"):
            return None
        node = node.inputs[0]
    if node.is_constant and node.size == 1:
        return float(node.attributes["value"].item())
    return None


def is_scalar_constant(node: Node, value: float) -> bool:
    """Whether every entry of the node is known to equal `value`."""
    return scalar_value(node) == value
