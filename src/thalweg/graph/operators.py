"""NumPy's operators and methods for traced arrays, and what a traced array refuses to do.

Each looks its function up by name in `ArrayOperators.operators`, which :mod:`thalweg.numpy`
fills, so that the graph need not know the operations it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from thalweg.errors import TracingError
from thalweg.graph.protocol import call_function, call_ufunc
from thalweg.phrases import Phrase

__all__ = ["ArrayOperators"]


class ArrayOperators:
    """What makes a node of a graph an array in the eyes of Python and NumPy."""

    __slots__ = ()

    operators: Mapping[str, Callable[..., Any]] = {}
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    __array_priority__ = 1000
    __hash__ = object.__hash__

    @property
    def T(self) -> Any:
        """The transpose (all axes reversed)."""
        return self._call("transpose")

    @property
    def mT(self) -> Any:
        """The transpose of the last two axes."""
        return self._call("matrix_transpose")

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

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

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

    def copy(self) -> Any:
        """The node itself: nodes never change."""
        return self

    def item(self) -> float:
        """Refused: a traced array has no known value."""
        raise self._no_value("x.item()", Phrase("keep it an array"))

    # -- NumPy's own functions on traced arrays ----------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return call_ufunc(self.operators, ufunc, method, inputs, options)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call_function(self.operators, func, args, kwargs)

    # -- what a traced array cannot do --------------------------------------------------------
    def _no_value(self, found: str, advice: Phrase) -> TracingError:
        return TracingError(
            "{found} needs a value, but this is a traced {dtype} array of shape "
            "{shape}, which stands for any value: {advice}.",
            found=found,
            dtype=self.dtype,
            shape=self.shape,
            advice=advice,
        )

    def __bool__(self) -> bool:
        raise self._no_value(
            Phrase("a Python 'if', 'while', 'and', 'or' or bool()"),
            Phrase("write thalweg.numpy.where(condition, a, b) instead, and &, | for 'and', 'or'"),
        )

    def __float__(self) -> float:
        raise self._no_value("float(x)", Phrase("leave float() away, arrays work everywhere here"))

    def __int__(self) -> int:
        raise self._no_value("int(x)", Phrase("use x.astype('int64') to round towards zero"))

    def __complex__(self) -> complex:
        raise self._no_value("complex(x)", Phrase("only real numbers are traced"))

    def __index__(self) -> int:
        raise self._no_value(
            Phrase("an index or a range()"),
            Phrase("index with thalweg.numpy.take, or pass a Python int"),
        )

    def __array__(self, *unused: Any, **options: Any) -> Any:
        raise self._no_value(
            Phrase("np.asarray(x) or a NumPy function that wants numbers"),
            Phrase(
                "use the function of thalweg.numpy with the same name, and for a list of such "
                "arrays first thalweg.numpy.array"
            ),
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TracingError(
            "x[...] = value on a traced array: arrays never change here. Write "
            "x = thalweg.numpy.where(mask, value, x), or build it with concatenate or stack."
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TracingError("len() of a traced array without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TracingError("iteration over a traced array without axes")
        return (self[i] for i in range(self.shape[0]))
