"""From what a user hands over to scaled samples: rows divided, columns encoded, weights given.

Examples
--------
>>> import numpy as np
>>> data = from_arrays(np.arange(60.0).reshape(30, 2), np.arange(30.0), Purpose())
>>> data
Data(30 rows: 21 training, 5 validation and 4 test; 2 inputs, 1 output)
>>> [part.X.shape for part in (data.samples("training"), data.samples("validation"))]
[(21, 2), (5, 2)]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, OptionError, ShapeError
from thalweg.phrases import Phrase
from thalweg.training.arrays import from_mapping
from thalweg.training.batches import Samples
from thalweg.training.columns import Table
from thalweg.training.encoding import Encoding, Preparation, prepare
from thalweg.training.labels import ClassLabels
from thalweg.training.predictors import NumberColumn
from thalweg.training.scaling import SCALINGS, Identity
from thalweg.training.splits import VALIDATION_GIVEN, Split, split_rows
from thalweg.training.tables import read_table
from thalweg.training.values import as_texts

__all__ = ["Data", "Purpose", "from_arrays", "from_table", "row_weights", "table_of_rows"]


@dataclass(frozen=True)
class Purpose:
    """How samples are to be divided, scaled and weighted.

    Parameters
    ----------
    split : str or sequence of index arrays
        See `thalweg.training.splits.split_rows`.
    validation : tuple of (X, y), optional
        Validation samples of their own; the split then has no validation part.
    seed : int
    scale, scale_targets : str
        ``"standard"``, ``"minmax"`` or ``"none"``.
    classes : bool or None
        Whether the target is a class; None looks at it: text and true/false are.
    sample_weight : array-like of shape (n,), optional
    class_weight : mapping of class to float, or "balanced", optional
    """

    split: str | Sequence[Any] = "70/15/15"
    validation: Any = None
    seed: int = 0
    scale: str = "standard"
    scale_targets: str = "standard"
    classes: bool | None = None
    sample_weight: Any = None
    class_weight: Mapping[Any, float] | str | None = None

    def __post_init__(self) -> None:
        for name in ("scale", "scale_targets"):
            if getattr(self, name) not in SCALINGS:
                raise OptionError(
                    "{name}={value!r} is not one of {names}.",
                    name=name,
                    value=getattr(self, name),
                    names=", ".join(SCALINGS),
                )


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """Samples, and how they came about.

    Attributes
    ----------
    table : Table
    encoding : Encoding
    split : Split
    X, T : array of shape (n, n[0]) and (n, n[L])
        All rows, encoded and scaled.
    weights : array of shape (n,)
    notes : tuple of str
        What a user should know.
    """

    table: Table
    encoding: Encoding
    split: Split
    X: NDArray[np.float64]
    T: NDArray[np.float64]
    weights: NDArray[np.float64]
    notes: tuple[str, ...] = field(default=())

    def samples(self, part: str, dtype: Any = np.float64) -> Samples:
        """The training, validation or test rows."""
        rows = self.split.parts()[part]
        return Samples(*(a[rows].astype(dtype) for a in (self.X, self.T, self.weights)))

    def __repr__(self) -> str:
        parts = str(self.split).split(" rows")[0]
        inputs, outputs = self.X.shape[1], self.T.shape[1]
        return (
            f"Data({len(self.X)} rows: {parts}; {inputs} input{'s' * (inputs != 1)}, "
            f"{outputs} output{'s' * (outputs != 1)})"
        )


def from_table(table: Table, target: str | Sequence[str], purpose: Purpose, **how: Any) -> Data:
    """Samples from a table.

    Parameters
    ----------
    table : Table
    target : str or sequence of str
    purpose : Purpose
    **how
        ``task`` and ``preparation`` of `Encoding.fit`; ``groups`` and ``weights``, the columns
        that hold each row's group and weight, which are no inputs.
    """
    preparation: Preparation = how.get("preparation") or Preparation(scaling=purpose.scale)
    table = prepare(table, target, preparation.missing)
    names = (target,) if isinstance(target, str) else tuple(target)
    labelled = how.get("task") == "classification" and len(names) == 1
    groups = how.get("groups")
    split = split_rows(
        len(table),
        purpose.split,
        purpose.seed,
        stratify=as_texts(table[names[0]]) if labelled else None,
        groups=as_texts(table[groups]) if groups else None,
    )
    weights = how.get("weights")
    if weights is not None:
        purpose = replace(purpose, sample_weight=_weights_in(table, weights, names))
    used = table.without([column for column in (groups, weights) if column is not None])
    encoding = Encoding.fit(used, names, split.train, how.get("task"), preparation)
    return _data(used, encoding, split, purpose)


def _weights_in(table: Table, column: Any, targets: Sequence[str]) -> NDArray[np.float64]:
    """The numbers of a column that holds each row's weight."""
    if not isinstance(column, str):
        raise OptionError("sample_weight names the column that holds the weights of the rows.")
    values = table[column]
    if column in targets:
        raise OptionError("The target {column!r} cannot hold the rows' weights too.", column=column)
    if values.dtype.kind not in "biuf":
        raise OptionError("The weights of the rows, {column!r}, are no numbers.", column=column)
    return values.astype(np.float64)


def from_arrays(X: Any, y: Any, purpose: Purpose) -> Data:
    """Samples from arrays; rows are samples.

    Parameters
    ----------
    X : array-like of shape (n, p), or a dataframe
    y : array-like of shape (n,) or (n, k)
    purpose : Purpose

    Raises
    ------
    DataError, ShapeError
        If they cannot be learned from.
    """
    count = None
    if purpose.validation is not None:
        if not isinstance(purpose.validation, tuple | list) or len(purpose.validation) != 2:
            raise OptionError(
                "validation={given!r:.40} is not a pair (X, y); shares of rows are given by split.",
                given=purpose.validation,
            )
        Xv, yv = purpose.validation
        count = len(X)
        X, y = _joined(X, Xv), _joined(np.asarray(y), np.asarray(yv))
    table, inputs, targets = _table_of(X, y)
    classes = _are_classes(table, targets) if purpose.classes is None else purpose.classes
    labelled = classes and len(targets) == 1
    if count is not None:
        rows = np.arange(len(table))
        split = split_rows(len(table), (rows[:count], rows[count:], rows[:0]), purpose.seed)
        split = replace(split, made=VALIDATION_GIVEN)
    else:
        stratify = as_texts(table[targets[0]]) if labelled else None
        split = split_rows(len(table), purpose.split, purpose.seed, stratify=stratify)
    if isinstance(X, np.ndarray | list | tuple):
        encoding = _plain_encoding(
            table, inputs, targets, split, replace(purpose, classes=labelled)
        )
    else:
        task = "classification" if labelled else "regression"
        how = Preparation(scaling=purpose.scale)
        encoding = Encoding.fit(table, targets, split.train, task, how)
        if not labelled and purpose.scale_targets != purpose.scale:
            Y = encoding.targets(table, scaled=False)[split.train]
            scaling = SCALINGS[purpose.scale_targets].fit(Y)
            encoding = replace(encoding, target_scaling=scaling)
    return _data(table, encoding, split, purpose)


def _data(table: Table, encoding: Encoding, split: Split, purpose: Purpose) -> Data:
    weights = row_weights(table, encoding, split, purpose)
    notes = (*table.notes, *split.notes, *encoding.warnings)
    return Data(
        table, encoding, split, encoding.inputs(table), encoding.targets(table), weights, notes
    )


def _joined(first: Any, second: Any) -> Any:
    """Rows of one after those of the other: arrays or dataframes."""
    if not isinstance(first, np.ndarray | list | tuple):
        import narwhals as nw

        return nw.concat([nw.from_native(first), nw.from_native(second)]).to_native()
    a, b = np.asarray(first), np.asarray(second)
    if a.shape[1:] != b.shape[1:]:
        raise ShapeError(
            "validation samples have shape {validation}, training samples {training}",
            validation=b.shape,
            training=a.shape,
        )
    return np.concatenate([a, b])


def _table_of(X: Any, y: Any) -> tuple[Table, tuple[str, ...], tuple[str, ...]]:
    """One table of inputs and targets, and their names."""
    if isinstance(X, np.ndarray | list | tuple):
        X = np.asarray(X)
        X = X.reshape(-1, 1) if X.ndim == 1 else X
        if X.ndim != 2 or X.dtype.kind not in "fiub":
            raise ShapeError(
                "X has shape {shape} and dtype {dtype}: give numbers, one row per sample "
                "and one column per input, or a dataframe if there are texts among them.",
                shape=X.shape,
                dtype=X.dtype,
            )
        left = Table(
            tuple(f"x{i + 1}" for i in range(X.shape[1])), tuple(X.T.astype(np.float64)), "X"
        )
    else:
        left = read_table(X)
    values = np.asarray(y)
    name = "y" if "y" not in left else "target"
    right = from_mapping({name: values}, "y")
    if len(left) != len(right):
        turned = isinstance(X, np.ndarray) and X.shape[1] == len(right)
        raise ShapeError(
            "X has {samples} samples, y has {targets}.{advice}",
            samples=len(left),
            targets=len(right),
            advice=Phrase(" Samples must be rows of X: transpose it (X.T).") if turned else "",
        )
    names = (*left.names, *right.names)
    return (
        Table(names, (*left.columns, *right.columns), Phrase("the data")),
        left.names,
        right.names,
    )


def _are_classes(table: Table, targets: Sequence[str]) -> bool:
    return len(targets) == 1 and table[targets[0]].dtype != np.float64


def _plain_encoding(
    table: Table,
    inputs: Sequence[str],
    targets: Sequence[str],
    split: Split,
    purpose: Purpose,
) -> Encoding:
    """An encoding that keeps every column of an array, in its order."""
    columns = tuple(NumberColumn(name) for name in inputs)
    bare = Encoding(columns, tuple(targets), None, Identity(), Identity())
    X = bare.inputs(table)[split.train]
    scaling = SCALINGS[purpose.scale].fit(X)
    if purpose.classes:
        prepare(table, targets)
        classes = ClassLabels.of(table[targets[0]])
        if len(classes.texts) < 2:
            raise DataError(
                "y holds one class only, {only!r}; two are needed.", only=classes.texts[0]
            )
        return replace(bare, classes=classes, input_scaling=scaling)
    Y = bare.targets(table)[split.train]
    target_scaling = SCALINGS[purpose.scale_targets].fit(Y)
    return replace(bare, input_scaling=scaling, target_scaling=target_scaling)


def row_weights(
    table: Table, encoding: Encoding, split: Split, purpose: Purpose
) -> NDArray[np.float64]:
    """The weight of every row: its own times its class's.

    Raises
    ------
    OptionError
        If weights are negative, not finite, of the wrong number, or for unknown classes.
    """
    weights: NDArray[np.float64] = np.ones(len(table))
    if purpose.sample_weight is not None:
        weights = np.array(purpose.sample_weight, np.float64)
        if weights.shape != (len(table),):
            raise OptionError(
                "sample_weight has shape {shape} for {rows} rows.",
                shape=weights.shape,
                rows=len(table),
            )
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise OptionError("sample_weight must be finite numbers from 0, not all of them 0.")
    if purpose.class_weight is None:
        return weights
    if encoding.classes is None:
        raise OptionError("class_weight needs classes; this target is a quantity.")
    indices = encoding.class_indices(table)
    of_classes = _of_classes(encoding.classes, indices, split, purpose.class_weight)
    weights = np.asarray(weights * of_classes[indices])
    if not weights[split.train].any():
        raise OptionError("class_weight leaves no training row any weight.")
    return weights


def _of_classes(
    classes: ClassLabels,
    indices: NDArray[np.int64],
    split: Split,
    given: Mapping[Any, float] | str,
) -> NDArray[np.float64]:
    """One weight per class."""
    if not isinstance(given, Mapping):
        if given != "balanced":
            raise OptionError(
                "class_weight={given!r} is not 'balanced' or weights by class.", given=given
            )
        counts = np.bincount(indices[split.train], minlength=len(classes.texts))
        return np.asarray(counts.sum() / (len(counts) * np.maximum(counts, 1)))
    weights = np.ones(len(classes.texts))
    known: dict[Any, int] = dict(zip(classes.texts, range(len(weights)), strict=True))
    known.update(zip(classes.values, range(len(weights)), strict=True))
    for value, weight in given.items():
        if value not in known or not _is_weight(weight):
            raise OptionError(
                "class_weight: {value!r}: {weight!r} for classes {values}.",
                value=value,
                weight=weight,
                values=classes.values,
            )
        weights[known[value]] = weight
    return weights


def _is_weight(value: Any) -> bool:
    return isinstance(value, Real) and 0 <= float(value) < np.inf


def table_of_rows(X: Any, encoding: Encoding) -> Table:
    """Rows for a fitted encoding: columns of arrays by place, of everything else by name.

    Raises
    ------
    ShapeError
        If an array has another number of columns.
    """
    if not isinstance(X, np.ndarray | list | tuple):
        return read_table(X)
    names = [column.name for column in encoding.columns]
    rows = np.asarray(X)
    if rows.ndim == 1:
        rows = rows.reshape(-1, 1) if len(names) == 1 else rows.reshape(1, -1)
    if rows.ndim != 2 or rows.shape[1] != len(names):
        turned = rows.ndim == 2 and rows.shape[0] == len(names)
        raise ShapeError(
            "X has shape {shape}, but the model takes {count} columns: one row per sample.{advice}",
            shape=rows.shape,
            count=len(names),
            advice=Phrase(" Transpose it (X.T).") if turned else "",
        )
    table = from_mapping({"x": rows}, "X", numbered=True)
    return replace(table, names=tuple(names))
