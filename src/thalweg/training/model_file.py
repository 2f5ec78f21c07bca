"""Models to files and back.

The document in a model file is read field by field against a closed list; whatever does not fit
is a `ModelFileError`. Arrays are called ``W[1]``, ``b[1]``, ..., those of snapshots
``init/W[1]``, ``epoch=5/W[1]``; the rows of the split are ``rows/training``, ...
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import thalweg
from thalweg.errors import ModelFileError, OptionError, ThalwegError
from thalweg.io.container import Arrays, read_container, write_container
from thalweg.nn.losses import LOSSES
from thalweg.nn.losses import loss as find_loss
from thalweg.nn.network import Network, Params
from thalweg.phrases import recorded, reread
from thalweg.training import records
from thalweg.training.encoding import Encoding
from thalweg.training.history import History
from thalweg.training.model import Model, Origin
from thalweg.training.splits import Split, made_again
from thalweg.training.stopping import StopReason

if TYPE_CHECKING:
    from thalweg.training.constraints.report import ConstraintReport

__all__ = ["load", "save"]

PARTS = ("training", "validation", "test")
_NOTHING = np.zeros(0)


def save(model: Model, path: str | os.PathLike[str], force: bool = False) -> None:
    """Write a model to a file.

    Parameters
    ----------
    model : Model
    path : path
        For example ``"price.thalweg"``.
    force : bool
        Replace a file that is there already.

    Raises
    ------
    OptionError
        If the file exists, or the model has functions of your own, which no file can hold.
    ModelFileError
        If the file cannot be written.
    """
    if model.loss.name not in LOSSES:
        raise OptionError(
            "{loss!r} is your own loss: a model file holds names only.", loss=model.loss
        )
    arrays = _named(model.network, model.params, "")
    for moment, params in model.snapshots.items():
        arrays |= _named(model.network, params, f"{moment}/")
    for part, rows in model.split.parts().items():
        arrays[f"rows/{part}"] = np.asarray(rows, np.int64)
    write_container(path, arrays, _document(model), force)


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model from a file.

    Parameters
    ----------
    path : path

    Returns
    -------
    Model

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, edited, from a newer version, or no model file.
    """
    arrays, document = read_container(path)
    try:
        return _model(arrays, document)
    except ModelFileError as error:
        raise ModelFileError(
            "{path}: {error} Fit and save the model again.", path=os.fspath(path), error=error
        ) from None
    except (ThalwegError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise ModelFileError(
            "{path}: the parts of the file do not fit together ({error}). Fit and save "
            "the model again.",
            path=os.fspath(path),
            error=error,
        ) from None


def _named(network: Network, params: Params, prefix: str) -> Arrays:
    return {
        f"{prefix}{name}[{number}]": np.asarray(own[name])
        for number, (layer, own) in enumerate(zip(network.layers, params, strict=True), start=1)
        for name in layer.shapes
    }


def _document(model: Model) -> dict[str, Any]:
    origin = model.origin
    held = origin.constraints
    return {
        **({} if held is None else {"constraints": held.to_json()}),
        "thalweg": thalweg.__version__,
        "network": model.network.to_json(),
        "loss": str(model.loss),
        "encoding": model.encoding.to_json(),
        "snapshots": list(model.snapshots),
        "method": origin.method,
        "settings": dict(origin.settings),
        "split": {
            "made": origin.split.made,
            "seed": origin.split.seed,
            "notes": [recorded(note) for note in origin.split.notes],
        },
        "history": origin.history.to_json(),
        "stop": origin.stop.to_json(),
        "kept_epoch": origin.kept_epoch,
        "figures": {
            part: {name: _plain(value) for name, value in figures.items()}
            for part, figures in origin.figures.items()
        },
        "notes": [recorded(note) for note in origin.notes],
    }


def _notes(written: list[Any]) -> tuple[str, ...]:
    try:
        return tuple(reread(note) for note in written)
    except ValueError as error:
        raise ModelFileError("notes: {note} is not a note of thalweg.", note=str(error)) from None


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _model(arrays: Arrays, document: dict[str, Any]) -> Model:
    held = document.pop("constraints", None)
    record = records.fields(
        document,
        "model",
        **dict.fromkeys(("thalweg", "loss", "method"), str),
        **dict.fromkeys(("network", "encoding", "settings", "split"), dict),
        **dict.fromkeys(("history", "stop", "figures"), dict),
        **dict.fromkeys(("snapshots", "notes"), list),
        kept_epoch=int,
    )
    network = Network.from_json(record["network"])
    encoding = Encoding.from_json(record["encoding"])
    _check_fit(network, encoding)
    moments = records.texts(record["snapshots"], "snapshots")
    origin = Origin(
        record["method"],
        _settings(record["settings"]),
        _split(record["split"], arrays),
        History.from_json(record["history"]),
        StopReason.from_json(record["stop"]),
        record["kept_epoch"],
        _figures(record["figures"]),
        _notes(record["notes"]),
        None if held is None else _constraints(held),
    )
    params = _params(network, arrays, "")
    snapshots = {moment: _params(network, arrays, f"{moment}/") for moment in moments}
    if arrays:
        raise ModelFileError(
            "there is an array {name!r} that belongs nowhere.", name=next(iter(arrays))
        )
    return Model(network, params, find_loss(record["loss"]), encoding, origin, snapshots)


def _constraints(record: dict[str, Any]) -> ConstraintReport:
    from thalweg.training.constraints.report import ConstraintReport

    return ConstraintReport.from_json(record)


def _check_fit(network: Network, encoding: Encoding) -> None:
    outputs = len(encoding.outputs)
    one_for_two = encoding.classes is not None and outputs == 2 and network.outputs == 1
    if network.inputs != len(encoding.features) or not (network.outputs == outputs or one_for_two):
        raise ModelFileError("{network!r} does not fit its columns.", network=network)


def _params(network: Network, arrays: Arrays, prefix: str) -> Params:
    """Take the parameters out of the arrays, each checked for shape and dtype."""
    params: Params = []
    kinds = set()
    for number, layer in enumerate(network.layers, start=1):
        own = {}
        for name, shape in layer.shapes.items():
            array = arrays.pop(f"{prefix}{name}[{number}]", None)
            if array is None or array.shape != shape or array.dtype.kind != "f":
                raise ModelFileError(
                    "array {prefix}{name}[{number}] is missing or misshapen.",
                    prefix=prefix,
                    name=name,
                    number=number,
                )
            if not np.isfinite(array).all():
                raise ModelFileError(
                    "array {prefix}{name}[{number}] holds no finite numbers.",
                    prefix=prefix,
                    name=name,
                    number=number,
                )
            own[name] = array
            kinds.add(array.dtype)
        params.append(own)
    if len(kinds) != 1:
        raise ModelFileError("the weights are of several dtypes.")
    return params


def _split(data: object, arrays: Arrays) -> Split:
    record = records.fields(data, "split", made=str, seed=int | None, notes=list)
    train, validation, test = (arrays.pop(f"rows/{part}", _NOTHING) for part in PARTS)
    for rows in (train, validation, test):
        if rows.ndim != 1 or rows.dtype != np.int64 or (rows < 0).any():
            raise ModelFileError("the rows of the split are missing or misshapen.")
    notes = _notes(record["notes"])
    return Split(train, validation, test, made_again(record["made"]), record["seed"], notes)


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Plain facts for people: numbers, texts, and one level of them by name."""
    for name, value in data.items():
        inner = value.values() if isinstance(value, dict) else [value]
        if not all(v is None or isinstance(v, str | int | float) for v in inner):
            raise ModelFileError("settings: {name!r} is neither a number nor a text.", name=name)
    return dict(data)


def _figures(data: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for part, figures in data.items():
        if part not in PARTS or not isinstance(figures, dict):
            raise ModelFileError("figures: {part!r} is no part of the rows.", part=part)
        for name, value in figures.items():
            if value is not None and type(value) not in (int, float):
                raise ModelFileError(
                    "figures: {name!r} is {value!r}, not a number.", name=name, value=value
                )
        found[part] = {k: math.nan if v is None else float(v) for k, v in figures.items()}
    return found
