"""Scaling: each column shifted and stretched so that all of them are of the same size.

A scaling is plain data, fitted on the training rows, applied to any rows, undone exactly as far
as rounding allows. A column that does not vary is only shifted.

Examples
--------
>>> X = np.array([[1.0, 10.0], [3.0, 30.0]])
>>> scaling = StandardScaling.fit(X)
>>> scaling.apply(X)
array([[-1., -1.],
       [ 1.,  1.]])
>>> scaling.undo(scaling.apply(X))
array([[ 1., 10.],
       [ 3., 30.]])
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, ModelFileError
from thalweg.training import records

__all__ = ["SCALINGS", "Identity", "MinMax", "Scaling", "StandardScaling", "scaling_from_json"]

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Identity:
    """Columns as they are."""

    @classmethod
    def fit(cls, X: Matrix, leave: NDArray[np.bool_] | None = None) -> Self:
        """Nothing to fit; for symmetry with the other scalings."""
        return cls()

    @property
    def width(self) -> None:
        """Number of columns: any."""
        return None

    def apply(self, X: Matrix) -> Matrix:
        """X itself."""
        return X

    def undo(self, X: Matrix) -> Matrix:
        """X itself."""
        return X

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {"kind": "none"}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        records.fields(data, "scaling", kind=str)
        return cls()


@dataclass(frozen=True)
class StandardScaling:
    """Mean 0 and standard deviation 1: x ↦ (x - mean) / std.

    Parameters
    ----------
    mean, std : tuple of float
        One per column; std is the population's (divided by n), 1 for a column that is constant.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(cls, X: Matrix, leave: NDArray[np.bool_] | None = None) -> Self:
        """Scaling of X of shape (n, p); columns marked in `leave`, shape (p,), stay as they are."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = X.mean(axis=0), X.std(axis=0)
        std = np.where((X.min(axis=0) == X.max(axis=0)) | (std == 0), 1.0, std)
        return cls(*_plain(mean, std, leave, neutral=(0.0, 1.0)))

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.mean)

    def apply(self, X: Matrix) -> Matrix:
        """Scaled columns of X, shape (n, p)."""
        return (X - _row(self.mean)) / _row(self.std)

    def undo(self, X: Matrix) -> Matrix:
        """The columns that `apply` would have turned into X."""
        return X * _row(self.std) + _row(self.mean)

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {"kind": "standard", "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        record = records.fields(data, "scaling", kind=str, mean=list, std=list)
        mean = records.numbers(record["mean"], "scaling mean")
        std = records.numbers(record["std"], "scaling std")
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ModelFileError("scaling: every mean needs one std, and that above 0.")
        return cls(mean, std)


@dataclass(frozen=True)
class MinMax:
    """Range -1 to 1, as MATLAB's ``mapminmax``: x ↦ 2 (x - low) / (high - low) - 1.

    A constant column, for which the formula has no value, is put in the middle of a range and
    becomes 0.

    Parameters
    ----------
    low, high : tuple of float
        Smallest and largest value per column.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def fit(cls, X: Matrix, leave: NDArray[np.bool_] | None = None) -> Self:
        """Scaling of X of shape (n, p); columns marked in `leave`, shape (p,), stay as they are."""
        low, high = X.min(axis=0), X.max(axis=0)
        half = np.where(low == high, np.maximum(1.0, np.abs(low)), 0.0)
        low, high = low - half, high + half
        return cls(*_plain(low, high, leave, neutral=(-1.0, 1.0)))

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.low)

    def apply(self, X: Matrix) -> Matrix:
        """Scaled columns of X, shape (n, p)."""
        low, high = _row(self.low), _row(self.high)
        return 2.0 * (X - low) / (high - low) - 1.0

    def undo(self, X: Matrix) -> Matrix:
        """The columns that `apply` would have turned into X."""
        low, high = _row(self.low), _row(self.high)
        return (X + 1.0) * (high - low) / 2.0 + low

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {"kind": "minmax", "low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        record = records.fields(data, "scaling", kind=str, low=list, high=list)
        low = records.numbers(record["low"], "scaling low")
        high = records.numbers(record["high"], "scaling high")
        if len(low) != len(high) or not all(a < b for a, b in zip(low, high, strict=True)):
            raise ModelFileError("scaling: every low needs one high, and that above it.")
        return cls(low, high)


Scaling = Identity | StandardScaling | MinMax

SCALINGS: Mapping[str, type[Identity] | type[StandardScaling] | type[MinMax]] = MappingProxyType(
    {"standard": StandardScaling, "minmax": MinMax, "none": Identity}
)
"""The scalings by the name that options and model files use."""


def scaling_from_json(data: object) -> Scaling:
    """Read any scaling's record.

    Examples
    --------
    >>> scaling_from_json({"kind": "standard", "mean": [0.5], "std": [2.0]})
    StandardScaling(mean=(0.5,), std=(2.0,))
    """
    readers: dict[str, Callable[[object], Scaling]] = {
        name: scaling.from_json for name, scaling in SCALINGS.items()
    }
    return records.chosen(data, "scaling", readers)


def _row(values: tuple[float, ...]) -> Matrix:
    return np.array(values, np.float64)


def _plain(
    first: Matrix, second: Matrix, leave: NDArray[np.bool_] | None, neutral: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both parameters as tuples, neutral where a column is to stay as it is."""
    if leave is not None:
        first, second = np.where(leave, neutral[0], first), np.where(leave, neutral[1], second)
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(second - first).all()
    if not finite:
        raise DataError("Values are too large to scale; write them in a larger unit.")
    return tuple(first.tolist()), tuple(second.tolist())
