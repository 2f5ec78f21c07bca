"""How a table becomes matrices for a network, and how a network's answers become columns again.

An `Encoding` is plain data fitted on the training rows: one record per input column, the scalings,
and the classes if the target has any. It travels with the model, so that a later table is read by
name in exactly the same way, wherever its columns stand.

Examples
--------
>>> table = Table(
...     ("size", "colour", "price"),
...     (
...         np.array([1.0, 2.0, 3.0, 4.0]),
...         np.array(["red", "blue", "red", "red"], object),
...         np.array([1.5, 2.0, 3.5, 4.0]),
...     ),
... )
>>> encoding = Encoding.fit(table, "price")
>>> encoding.features
('size', 'colour=blue', 'colour=red')
>>> encoding.inputs(table, scaled=False)
array([[1., 0., 1.],
       [2., 1., 0.],
       [3., 0., 1.],
       [4., 0., 1.]])
>>> encoding.decode(encoding.targets(table))["price"]
array([1.5, 2. , 3.5, 4. ])
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, ModelFileError, OptionError, ShapeError, suggest
from thalweg.phrases import Phrase, joined
from thalweg.training import records
from thalweg.training.columns import Table, did_you_mean, listed
from thalweg.training.labels import ClassLabels, Task, decide_task
from thalweg.training.predictors import (
    InputColumn,
    NumberColumn,
    Preparation,
    dropped_because,
    fit_column,
    input_column_from_json,
    refuse_missing,
)
from thalweg.training.scaling import (
    SCALINGS,
    Identity,
    MinMax,
    Scaling,
    StandardScaling,
    scaling_from_json,
)
from thalweg.training.values import as_numbers, is_missing

__all__ = [
    "Encoding",
    "Identity",
    "MinMax",
    "Preparation",
    "StandardScaling",
    "decide_task",
    "prepare",
]

FEWEST_ROWS = 3
"""A table of fewer rows is refused."""

_MANY_ROWS = 20

_REMEDY = Phrase("Fill them in, or choose missing=mean, median or drop.")


def prepare(table: Table, targets: str | Sequence[str], missing: str = "refuse") -> Table:
    """The rows that can be learned from; comes before rows are divided.

    Parameters
    ----------
    table : Table
    targets : str or sequence of str
        The target columns.
    missing : {"refuse", "mean", "median", "drop"}
        With "drop", rows with a missing value are left out, and a note says how many. Columns
        that are empty altogether do not count.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If a target is not there, a target value is missing (unless its row is dropped), or fewer
        than three rows remain.

    Examples
    --------
    >>> table = Table(("x", "y"), (np.array([1, np.nan, 3, 4]), np.array([1.0, 2, 3, 4])))
    >>> prepare(table, "y", missing="drop").notes
    ('1 row with missing values left out: row 2',)
    """
    Preparation(missing=missing)
    targets = _names(targets)
    for name in targets:
        table[name]
    if missing == "drop":
        lost = np.zeros(len(table), np.bool_)
        for name, column in zip(table.names, table.columns, strict=True):
            gone = is_missing(column)
            if name in targets or not gone.all():
                lost |= gone
        rows = np.flatnonzero(lost)
        if len(rows):
            note = Phrase(
                "{count} row{s} with missing values left out: {places}",
                count=len(rows),
                s="s" * (len(rows) > 1),
                places=table.places(rows),
            )
            table = table.take(np.flatnonzero(~lost)).noting(note)
    if len(table) < FEWEST_ROWS:
        raise DataError(
            "{source} has {count} usable row{s}; at least {fewest} are needed to learn from.",
            source=table.source,
            count=len(table),
            s="s" * (len(table) != 1),
            fewest=FEWEST_ROWS,
        )
    refuse_missing(table, targets, Phrase("A target is never filled in; choose missing=drop."))
    return table


@dataclass(frozen=True)
class Encoding:
    """Which columns are inputs and targets, and what numbers they become.

    Parameters
    ----------
    columns : tuple of NumberColumn or CategoryColumn
        The input columns, in the order of the matrix.
    names : tuple of str
        The target columns.
    classes : ClassLabels or None
        The classes of the target; None for regression.
    input_scaling, target_scaling : Scaling
        Applied to the encoded columns; the target's is `Identity` for classification.
    dropped : tuple of str
        Columns of the table fitted on that are not used.
    warnings : tuple of str
        What fitting noticed; not part of the record.
    """

    columns: tuple[InputColumn, ...]
    names: tuple[str, ...]
    classes: ClassLabels | None
    input_scaling: Scaling
    target_scaling: Scaling
    dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def fit(
        cls,
        table: Table,
        targets: str | Sequence[str],
        train: NDArray[np.int64] | None = None,
        task: str | None = None,
        preparation: Preparation | None = None,
    ) -> Self:
        """Fit an encoding on the training rows of a table.

        Parameters
        ----------
        table : Table
            As `prepare` gives it.
        targets : str or sequence of str
            One target column, or several for a regression of several outputs. All the other
            columns are inputs; leave some out with `Table.without`.
        train : array of int, optional
            Indices of the training rows; by default all rows.
        task : {"regression", "classification"}, optional
            By default what `decide_task` says.
        preparation : Preparation, optional
            Missing values, unknown categories, scaling.

        Returns
        -------
        Encoding
            With `warnings` about columns that were left out.

        Raises
        ------
        DataError
            If the table cannot be learned from.
        OptionError
            If an option is not known.
        """
        preparation = preparation or Preparation()
        names = _names(targets)
        table = prepare(table, names)
        rows = np.arange(len(table)) if train is None else np.asarray(train, np.int64)
        classes, target_scaling, warnings = _fit_targets(
            table, names, rows, task, preparation.scaling
        )
        columns: list[InputColumn] = []
        dropped: list[str] = []
        for name in table.names:
            if name in names:
                continue
            reason = dropped_because(table, name, rows)
            if reason is None:
                columns.append(fit_column(table, name, rows, preparation))
                warnings += _remarks(table, columns[-1])
            else:
                dropped.append(name)
                warnings += (reason,)
        if not columns:
            left = Phrase(": {all}", all=joined(warnings, "{left}; {right}")) if warnings else ""
            raise DataError(
                "{source} has no input column to learn from{left}.", source=table.source, left=left
            )
        X = _matrix(table, columns, _REMEDY)[rows]
        indicators = np.array([f != c.name for c in columns for f in c.features])
        input_scaling = SCALINGS[preparation.scaling].fit(X, leave=indicators)
        return cls(
            tuple(columns), names, classes, input_scaling, target_scaling, tuple(dropped), warnings
        )

    @property
    def task(self) -> Task:
        """Whether the target is a quantity or a class."""
        return "regression" if self.classes is None else "classification"

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the matrix columns: ``("size", "colour=blue", "colour=red")``."""
        return tuple(feature for column in self.columns for feature in column.features)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs: the targets, or ``("kind=fern", "kind=oak")``."""
        if self.classes is None:
            return self.names
        return tuple(f"{self.names[0]}={text}" for text in self.classes.texts)

    def inputs(self, table: Table, scaled: bool = True) -> NDArray[np.float64]:
        """The input matrix of a table, found by column names.

        Parameters
        ----------
        table : Table
            Any table with the input columns, in any order.
        scaled : bool, default True
            Whether to apply `input_scaling`.

        Returns
        -------
        array of shape (n, number of features), float64

        Raises
        ------
        DataError
            If a column is missing, or a value is not what the column holds.
        """
        absent = [column.name for column in self.columns if column.name not in table]
        if absent:
            what = f"{len(absent)} columns" if len(absent) > 1 else "the column"
            raise DataError(
                "{source} lacks {what} {names} that the model was fitted on.{hint} Its "
                "columns: {known}.",
                source=table.source,
                what=what,
                names=listed(absent),
                hint=did_you_mean(absent[0], table.names),
                known=listed(table.names),
            )
        X = _matrix(
            table, self.columns, Phrase("Fill them in, or fit with missing=mean or median.")
        )
        return self.input_scaling.apply(X) if scaled else X

    def targets(self, table: Table, scaled: bool = True) -> NDArray[np.float64]:
        """The target matrix of a table: one column per target, or one indicator per class.

        Returns
        -------
        array of shape (n, number of outputs), float64
        """
        if self.classes is not None:
            return np.eye(len(self.classes.texts))[self.class_indices(table)]
        refuse_missing(table, self.names, Phrase("A target is never filled in."))
        Y = np.column_stack([as_numbers(table, name) for name in self.names])
        return self.target_scaling.apply(Y) if scaled else Y

    def class_indices(self, table: Table) -> NDArray[np.int64]:
        """The class of every row as an index from 0, shape (n,)."""
        if self.classes is None:
            raise OptionError("A regression has no classes.")
        refuse_missing(table, self.names, Phrase("A target is never filled in."))
        return self.classes.indices(table, self.names[0])

    def decode(self, Y: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        """Columns by target name, from a network's outputs.

        Parameters
        ----------
        Y : array of shape (n, number of outputs)
            Scaled values for regression; for classification one score per class, of which the
            largest wins. Two classes may also come as one column: the probability of the second.

        Returns
        -------
        dict of str to array of shape (n,)
            Numbers in the target's own unit, or classes in the type they came in.
        """
        Y = np.asarray(Y, np.float64)
        width = 1 if Y.ndim == 1 else Y.shape[-1]
        Y = Y.reshape(-1, width)
        binary = self.classes is not None and len(self.classes.texts) == 2 and width == 1
        if width != len(self.outputs) and not binary:
            raise ShapeError(
                "{width} outputs cannot be {names}.", width=width, names=listed(self.outputs)
            )
        if self.classes is None:
            return dict(zip(self.names, self.target_scaling.undo(Y).T, strict=True))
        winners = (Y[:, 0] > 0.5).astype(np.int64) if binary else Y.argmax(axis=1)
        return {self.names[0]: self.classes.decode(winners)}

    def notes(self, table: Table) -> tuple[str, ...]:
        """What a person should know about using this encoding on a table: columns passed over."""
        used = {column.name for column in self.columns} | {*self.names, *self.dropped}
        extra = [name for name in table.names if name not in used]
        return (
            (Phrase("columns not used by the model: {names}", names=listed(extra)),)
            if extra
            else ()
        )

    def to_json(self) -> dict[str, Any]:
        """The record for a model file: JSON-safe, and floats come back exactly."""
        return {
            "columns": [column.to_json() for column in self.columns],
            "names": list(self.names),
            "classes": None if self.classes is None else self.classes.to_json(),
            "input_scaling": self.input_scaling.to_json(),
            "target_scaling": self.target_scaling.to_json(),
            "dropped": list(self.dropped),
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        record = records.fields(
            data,
            "encoding",
            **dict.fromkeys(("columns", "names", "dropped"), list),
            **dict.fromkeys(("input_scaling", "target_scaling"), dict),
            classes=dict | None,
        )
        classes = record["classes"]
        encoding = cls(
            tuple(input_column_from_json(column) for column in record["columns"]),
            records.texts(record["names"], "target names"),
            None if classes is None else ClassLabels.from_json(classes),
            scaling_from_json(record["input_scaling"]),
            scaling_from_json(record["target_scaling"]),
            records.texts(record["dropped"], "dropped columns"),
        )
        encoding._check()
        return encoding

    def _check(self) -> None:
        """Refuse a record whose parts do not belong together."""
        columns = [column.name for column in self.columns]
        all_names = [*columns, *self.names, *self.dropped]
        if not columns or not self.names or len(set(all_names)) < len(all_names):
            raise ModelFileError(
                "encoding: columns {names} are empty or repeated.", names=listed(all_names)
            )
        if self.classes is not None and (len(self.names) > 1 or self.target_scaling != Identity()):
            raise ModelFileError("encoding: classes need one target, and that not scaled.")
        for scaling, names in (
            (self.input_scaling, self.features),
            (self.target_scaling, self.names),
        ):
            if scaling.width not in (None, len(names)):
                raise ModelFileError(
                    "encoding: {width} columns are scaled, but there are {count}.",
                    width=scaling.width,
                    count=len(names),
                )


def _names(targets: str | Sequence[str]) -> tuple[str, ...]:
    names = (targets,) if isinstance(targets, str) else tuple(targets)
    if not names or len(set(names)) < len(names):
        raise OptionError(
            "targets {names}: name one column or more, each once.", names=listed(names)
        )
    return names


def _matrix(table: Table, columns: Sequence[InputColumn], remedy: str) -> NDArray[np.float64]:
    """The encoded input columns side by side, shape (n, number of features), not scaled."""
    blocks = [column.encode(table) for column in columns]
    refuse_missing(table, [column.name for column in columns if column.fill is None], remedy)
    return np.hstack(blocks)


def _remarks(table: Table, column: InputColumn) -> tuple[str, ...]:
    """What is odd about an input column that is used all the same."""
    if isinstance(column, NumberColumn):
        steps = np.diff(column.encode(table)[:, 0])
        if len(steps) >= _MANY_ROWS and np.all(steps == 1):
            return (
                Phrase(
                    "column {name!r} counts the rows; leave it out if it means no more",
                    name=column.name,
                ),
            )
    elif column.unseen:
        return (
            Phrase(
                "column {name!r}: {names} in no training row, so treated as none of the known "
                "categories",
                name=column.name,
                names=listed(column.unseen),
            ),
        )
    return ()


def _fit_targets(
    table: Table,
    names: tuple[str, ...],
    train: NDArray[np.int64],
    task: str | None,
    scaling: str,
) -> tuple[ClassLabels | None, Scaling, tuple[str, ...]]:
    """Classes or target scaling, and warnings."""
    if task not in (None, "regression", "classification"):
        hint = suggest(str(task), ("regression", "classification"))
        raise OptionError("task={task!r} is not known.{hint}", task=task, hint=hint)
    if task is None:
        task = decide_task(table[names[0]])[0] if len(names) == 1 else "regression"
    if task == "regression":
        Y = np.column_stack([as_numbers(table, name) for name in names])[train]
        for name, column in zip(names, Y.T, strict=True):
            if np.all(column == column[0]):
                raise DataError(
                    "{source}: target {name!r} is always {value:g} in the training rows; "
                    "there is nothing to learn.",
                    source=table.source,
                    name=name,
                    value=column[0],
                )
        return None, SCALINGS[scaling].fit(Y), ()
    if len(names) > 1:
        raise DataError(
            "Classification takes one target, not {count}: {names}.",
            count=len(names),
            names=listed(names),
        )
    classes = ClassLabels.of(table[names[0]])
    trained = set(classes.indices(table, names[0])[train].tolist())
    if len(trained) < 2:
        where = Phrase(" in the training rows") if len(classes.texts) > 1 else ""
        only = classes.texts[trained.pop()]
        raise DataError(
            "{source}: target {name!r} has one class only{where}, {only!r}; at least 2 are needed.",
            source=table.source,
            name=names[0],
            where=where,
            only=only,
        )
    untrained = [text for i, text in enumerate(classes.texts) if i not in trained]
    told = Phrase(
        "target {name!r}: no training row has the class {names}",
        name=names[0],
        names=listed(untrained),
    )
    return classes, Identity(), (told,) if untrained else ()
