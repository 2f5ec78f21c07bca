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
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from thalweg.errors import ShapeError, TracingError
from thalweg.graph.protocol import call_function, call_ufunc

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

_NUMBERS = frozenset(dtype.num for dtype in DTYPES.values())

_interned: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()
_serial = itertools.count()
_INTERNED_CONSTANT_BYTES = 1024


class Node:
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

    # Operators look their primitive up by name, so that this file need not know ops/.
    operators: Mapping[str, Callable[..., Any]] = {}
    __array_priority__ = 1000
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

    @property
    def T(self) -> Node:
        """The transpose (all axes reversed)."""
        transposed: Node = self._call("transpose")
        return transposed

    @property
    def mT(self) -> Node:
        """The transpose of the last two axes."""
        transposed: Node = self._call("matrix_transpose")
        return transposed

    def _call(self, name: str, *others: Any, **attributes: Any) -> Any:
        return self.operators[name](self, *others, **attributes)

    # -- operators ------------------------------------------------------------------------
    def __add__(self, other: Any) -> Any:
        return self._call("add", other)

    def __radd__(self, other: Any) -> Any:
        return self.operators["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return self._call("subtract", other)

    def __rsub__(self, other: Any) -> Any:
        return self.operators["subtract"](other, self)

    def __mul__(self, other: Any) -> Any:
        return self._call("multiply", other)

    def __rmul__(self, other: Any) -> Any:
        return self.operators["multiply"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._call("divide", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.operators["divide"](other, self)

    def __pow__(self, other: Any) -> Any:
        return self._call("power", other)

    def __rpow__(self, other: Any) -> Any:
        return self.operators["power"](other, self)

    def __matmul__(self, other: Any) -> Any:
        return self._call("matmul", other)

    def __rmatmul__(self, other: Any) -> Any:
        return self.operators["matmul"](other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self._call("floor_divide", other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self.operators["floor_divide"](other, self)

    def __mod__(self, other: Any) -> Any:
        return self._call("remainder", other)

    def __rmod__(self, other: Any) -> Any:
        return self.operators["remainder"](other, self)

    def __neg__(self) -> Any:
        return self._call("negative")

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self._call("abs")

    def __lt__(self, other: Any) -> Any:
        return self._call("less", other)

    def __le__(self, other: Any) -> Any:
        return self._call("less_equal", other)

    def __gt__(self, other: Any) -> Any:
        return self._call("greater", other)

    def __ge__(self, other: Any) -> Any:
        return self._call("greater_equal", other)

    def __eq__(self, other: object) -> Any:
        return self._call("equal", other)

    def __ne__(self, other: object) -> Any:
        return self._call("not_equal", other)

    def __and__(self, other: Any) -> Any:
        return np.bitwise_and(self, other)

    def __or__(self, other: Any) -> Any:
        return np.bitwise_or(self, other)

    def __xor__(self, other: Any) -> Any:
        return np.bitwise_xor(self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Any:
        return np.invert(self)

    def __getitem__(self, index: Any) -> Any:
        return self._call("getitem", index)

    # -- methods of arrays ----------------------------------------------------------------
    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Sum over axes, as `numpy.ndarray.sum`."""
        return self._call("sum", axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Mean over axes, as `numpy.ndarray.mean`."""
        return self._call("mean", axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Maximum over axes, as `numpy.ndarray.max`."""
        return self._call("max", axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Minimum over axes, as `numpy.ndarray.min`."""
        return self._call("min", axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Product over axes, as `numpy.ndarray.prod`."""
        return self._call("prod", axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, ddof: float = 0.0, keepdims: bool = False) -> Any:
        """Variance over axes, as `numpy.ndarray.var`."""
        return self._call("var", axis=axis, correction=ddof, keepdims=keepdims)

    def std(self, axis: Any = None, ddof: float = 0.0, keepdims: bool = False) -> Any:
        """Standard deviation over axes, as `numpy.ndarray.std`."""
        return self._call("std", axis=axis, correction=ddof, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether any entry holds, as `numpy.ndarray.any`."""
        return self._call("any", axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Whether every entry holds, as `numpy.ndarray.all`."""
        return self._call("all", axis=axis, keepdims=keepdims)

    def cumsum(self, axis: Any = None) -> Any:
        """Running totals, as `numpy.ndarray.cumsum`."""
        return self._call("cumsum", axis=axis)

    def argmax(self, axis: Any = None) -> Any:
        """Index of the largest entry, as `numpy.ndarray.argmax`."""
        return self._call("argmax", axis=axis)

    def argmin(self, axis: Any = None) -> Any:
        """Index of the smallest entry, as `numpy.ndarray.argmin`."""
        return self._call("argmin", axis=axis)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """Entries held between two bounds, as `numpy.ndarray.clip`."""
        return self._call("clip", min, max)

    def round(self, decimals: int = 0) -> Any:
        """Rounded entries, as `numpy.ndarray.round`."""
        return self._call("round", decimals)

    def squeeze(self, axis: Any = None) -> Any:
        """Axes of length 1 removed, as `numpy.ndarray.squeeze`."""
        return self._call("squeeze", axis)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Two axes exchanged, as `numpy.ndarray.swapaxes`."""
        return self._call("swapaxes", axis1, axis2)

    def reshape(self, *shape: Any) -> Any:
        """The same entries in another shape, as `numpy.ndarray.reshape`."""
        return self._call("reshape", shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order, as `numpy.ndarray.transpose`."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return self._call("transpose", order or None)

    def ravel(self) -> Any:
        """All entries along one axis."""
        return self._call("reshape", -1)

    flatten = ravel

    def astype(self, dtype: npt.DTypeLike) -> Any:
        """The same entries in another dtype."""
        return self._call("astype", dtype)

    def dot(self, other: Any) -> Any:
        """Matrix product, as ``@``."""
        return self._call("dot", other)

    def copy(self) -> Node:
        """The node itself: nodes never change."""
        return self

    def item(self) -> float:
        """Refused: a traced array has no known value."""
        raise self._no_value("x.item()", "keep it an array")

    # -- NumPy's own functions on traced arrays ----------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return call_ufunc(self.operators, ufunc, method, inputs, options)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call_function(self.operators, func, args, kwargs)

    # -- what a traced array cannot do --------------------------------------------------------
    def _no_value(self, found: str, advice: str) -> TracingError:
        return TracingError(
            f"{found} needs a value, but this is a traced {self.dtype} array of shape "
            f"{self.shape}, which stands for any value: {advice}."
        )

    def __bool__(self) -> bool:
        raise self._no_value(
            "a Python 'if', 'while', 'and', 'or' or bool()",
            "write thalweg.numpy.where(condition, a, b) instead, and &, | for 'and', 'or'",
        )

    def __float__(self) -> float:
        raise self._no_value("float(x)", "leave float() away, arrays work everywhere here")

    def __int__(self) -> int:
        raise self._no_value("int(x)", "use x.astype('int64') to round towards zero")

    def __complex__(self) -> complex:
        raise self._no_value("complex(x)", "only real numbers are traced")

    def __index__(self) -> int:
        raise self._no_value(
            "an index or a range()", "index with thalweg.numpy.take, or pass a Python int"
        )

    def __array__(self, *unused: Any, **options: Any) -> Any:
        raise self._no_value(
            "np.asarray(x) or a NumPy function that wants numbers",
            "use the function of thalweg.numpy with the same name",
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TracingError(
            "x[...] = value on a traced array: arrays never change here. Write "
            "x = thalweg.numpy.where(mask, value, x), or build it with concatenate or stack."
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a traced array without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over a traced array without axes")
        return (self[i] for i in range(self.shape[0]))

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
    key = (primitive.name, *(id(i) for i in inputs), *attributes.items(), dtype.char)
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
        For values that are no numbers (text, objects, complex).

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
    """Map a NumPy dtype to one that graphs have; small ints and float16 are widened."""
    if dtype.num in _NUMBERS:
        return dtype
    if dtype.name in DTYPES:
        return DTYPES[dtype.name]
    if dtype.kind in "iu":
        return DTYPES["int64"]
    if dtype.kind == "f":
        return DTYPES["float32"] if dtype.itemsize < 4 else DTYPES["float64"]
    raise ShapeError(f"dtype {dtype} cannot be traced: use float64, float32, integers or bool.")


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
