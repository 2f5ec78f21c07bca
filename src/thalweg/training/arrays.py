"""Tables out of what is in memory, and out of array files.

NumPy arrays, mappings of arrays, any dataframe narwhals knows (pandas, polars, pyarrow, ...),
``.npy``, ``.npz`` and MATLAB's ``.mat``. Rows are samples. A mapping of MATLAB's neural network
data, which has samples in columns, is turned round, and a note says so.

Examples
--------
>>> from_mapping({"inputs": np.ones((4, 2)), "y": np.arange(4.0)}, "the arrays").names
('inputs1', 'inputs2', 'y')
"""

import math
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError
from thalweg.phrases import Phrase
from thalweg.training.columns import Column, Table, listed

__all__ = ["from_array", "from_frame", "from_mapping", "read_mat", "read_numpy"]


def from_array(array: NDArray[Any], source: str) -> Table:
    """A table of an array of shape (n, p) or (n,); its columns are called x1, x2, ...

    The fields of a structured array become columns by their names.
    """
    if array.dtype.names:
        return from_mapping({name: array[name] for name in array.dtype.names}, source)
    return from_mapping({"x": np.atleast_2d(array.T).T}, source, numbered=True)


def from_mapping(arrays: Mapping[str, Any], source: str, numbered: bool = False) -> Table:
    """A table of arrays by name, all with the same number of rows.

    An array of shape (n, p) becomes p columns ``name1`` ... ``namep``; with p = 1 it keeps its
    name, unless `numbered`.
    """
    tall = {name: np.atleast_2d(np.asarray(array).T).T for name, array in arrays.items()}
    for name, array in tall.items():
        if array.ndim != 2:
            raise DataError(
                "{source}: {name!r} has shape {shape}; a table takes arrays of one or "
                "two dimensions, with samples as rows.",
                source=source,
                name=name,
                shape=array.shape,
            )
    notes: tuple[str, ...] = ()
    lengths = {len(array) for array in tall.values()}
    flat = lengths == {1} and len(tall) > 1 and all(a.shape[1] > 1 for a in tall.values())
    if len(lengths) > 1 or flat:
        tall, notes = _turned(tall, source)
    names: list[str] = []
    columns: list[Column] = []
    for name, array in tall.items():
        single = array.shape[1] == 1 and not numbered
        names += [name] if single else [f"{name}{j + 1}" for j in range(array.shape[1])]
        columns += [_typed(array[:, j], source, name) for j in range(array.shape[1])]
    return _with_rows(Table(tuple(names), tuple(columns), source, notes))


def from_frame(frame: Any, source: str | None = None) -> Table:
    """A table of any dataframe or series that narwhals knows; a lazy one is collected."""
    import narwhals as nw

    try:
        found: Any = nw.from_native(frame, allow_series=True)
    except TypeError:
        raise DataError(
            "A {kind} is not a table. Give a path, an array, a mapping of arrays, or a "
            "dataframe (pandas, polars, pyarrow, ...).",
            kind=type(frame).__name__,
        ) from None
    except nw.exceptions.DuplicateError:
        twice = [name for name, count in Counter(map(str, frame.columns)).items() if count > 1]
        raise DataError(
            "The dataframe has more than one column named {names}. Give every column its own name.",
            names=listed(twice),
        ) from None
    if isinstance(found, nw.LazyFrame):
        found = found.collect()
    if isinstance(found, nw.Series):
        found = found.alias(found.name or "x1").to_frame()
    names = tuple(str(name) for name in found.columns)
    source = source or Phrase("the dataframe")
    Table(names, tuple(np.empty(0) for _ in names), source)  # names all different
    columns = tuple(_from_series(found[:, j], source, name) for j, name in enumerate(names))
    return _with_rows(Table(names, columns, source))


def read_numpy(path: Path, source: str) -> Table:
    """A table of a ``.npy`` or ``.npz`` file; pickled objects are refused."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return from_array(loaded, source)
        with loaded:
            return from_mapping({name: loaded[name] for name in loaded.files}, source)
    except DataError:
        raise
    except Exception as error:  # numpy's readers raise whatever a damaged file leads them to
        raise DataError(
            "{source} cannot be read as NumPy data: {reason}.",
            source=source,
            reason=_first_line(error),
        ) from None


def read_mat(path: Path, source: str) -> Table:
    """A table of a MATLAB file (up to version 7).

    SciPy's reader trusts the file: one that was damaged on purpose can end the process, so this
    format is for files of one's own.
    """
    from scipy.io import loadmat

    try:
        loaded = loadmat(path)
    except NotImplementedError:
        raise DataError(
            "{source} is a MATLAB 7.3 file; save it with -v7, or export a CSV.", source=source
        ) from None
    except Exception as error:  # as above
        raise DataError(
            "{source} cannot be read as MATLAB data: {reason}.",
            source=source,
            reason=_first_line(error),
        ) from None
    arrays = {name: array for name, array in loaded.items() if not name.startswith("__")}
    return from_mapping({name: _uncelled(array) for name, array in arrays.items()}, source)


# --- one column ----------------------------------------------------------------------------------


def _typed(values: NDArray[Any], source: str, name: str) -> Column:
    """Numbers, flags or texts from one column of any dtype."""
    if values.dtype.kind == "b":
        return values.astype(np.bool_)
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    if values.dtype.kind in "UMm":
        missing = np.isnat(values) if values.dtype.kind in "Mm" else values == ""
        return _texts(values.astype(np.str_).tolist(), missing)
    if values.dtype.kind == "O":
        return _from_objects(values.tolist())
    raise DataError(
        "{source}: column {name!r} has dtype {dtype}; columns are numbers, true/false or texts.",
        source=source,
        name=name,
        dtype=values.dtype,
    )


def _from_series(series: Any, source: str, name: str) -> Column:
    """One column of a narwhals frame."""
    import narwhals as nw

    missing = series.is_null().to_numpy().astype(np.bool_)
    if series.dtype == nw.Boolean and not missing.any():
        return _typed(series.to_numpy().astype(np.bool_), source, name)
    if series.dtype.is_numeric() or series.dtype == nw.Boolean:
        numbers = series.cast(nw.Float64).to_numpy().astype(np.float64)
        return np.asarray(np.where(missing, np.nan, numbers), np.float64)
    values = [None if gone else v for v, gone in zip(series.to_list(), missing, strict=True)]
    return _from_objects(values)


def _from_objects(values: list[Any]) -> Column:
    """Numbers or flags if every value is one, otherwise texts."""
    present = [value for value in values if not _is_absent(value)]
    absent = np.fromiter(map(_is_absent, values), np.bool_, len(values))
    if present and len(present) == len(values) and all(_is_flag(value) for value in present):
        return np.array(values, np.bool_)
    if all(isinstance(value, Real | Decimal | np.bool_) for value in present):
        return np.array([math.nan if _is_absent(v) else float(v) for v in values], np.float64)
    return _texts([str(value) for value in values], absent)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_absent(value: Any) -> bool:
    """``None``, not-a-number, or an empty text."""
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value)
    )


def _texts(values: list[str], missing: NDArray[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), np.object_)
    column[:] = values
    column[missing] = None
    return column


# --- shapes --------------------------------------------------------------------------------------


def _turned(arrays: dict[str, Any], source: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Arrays whose numbers of columns agree have samples in columns: turn them round."""
    widths = {max(array.shape) if 1 in array.shape else array.shape[1] for array in arrays.values()}
    if len(widths) == 1:
        n = widths.pop()
        turned = {name: a if len(a) == n and a.shape[1] == 1 else a.T for name, a in arrays.items()}
        return turned, (Phrase("samples were in columns ({n} of them): turned round", n=n),)
    found = ", ".join(f"{name!r} {array.shape}" for name, array in arrays.items())
    raise DataError(
        "{source} holds arrays with different numbers of rows: {found}. Keep only those "
        "that belong to one table.",
        source=source,
        found=found,
    )


def _uncelled(array: NDArray[Any]) -> NDArray[Any]:
    """MATLAB's cells of texts arrive as arrays of arrays of one text each."""
    if array.dtype.kind != "O":
        return array
    plain = np.empty(array.size, np.object_)
    plain[:] = [cell.item() if np.size(cell) == 1 else str(cell) for cell in array.flat]
    return plain.reshape(array.shape)


def _with_rows(table: Table) -> Table:
    if len(table) == 0:
        raise DataError(
            "{source} has {count} columns but no rows.", source=table.source, count=len(table.names)
        )
    return table


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
