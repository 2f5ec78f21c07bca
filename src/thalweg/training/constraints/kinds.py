"""Records of what can be asked of a network: plain data, but for your own functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from types import UnionType
from typing import Any, Self

import numpy as np

from thalweg.errors import ModelFileError
from thalweg.language import tr
from thalweg.training import records

__all__ = [
    "Constraint",
    "Custom",
    "Derivative",
    "Limits",
    "Name",
    "Output",
    "Points",
    "Weights",
    "constraint_from_json",
]

Name = str | int
Limits = tuple[tuple[Name, float, float], ...]
INF = math.inf


@dataclass(frozen=True)
class Derivative:
    """A derivative along inputs that keeps its sign over a region.

    Parameters
    ----------
    inputs : tuple of str or int
    order : int
        1 for monotone, 2 for convex or concave.
    sign : int
        1 or -1.
    output : str or int, optional
    region : tuple of (input, low, high)
    """

    inputs: tuple[Name, ...]
    order: int
    sign: int
    output: Name | None = None
    region: Limits = ()

    def said(self, lang: str | None = None) -> str:
        """In words."""
        kinds = {(1, 1): "increasing", (1, -1): "decreasing", (2, 1): "convex", (2, -1): "concave"}
        names = ", ".join(map(str, self.inputs))
        text = tr(f"training.constraint_{kinds[self.order, self.sign]}", lang, inputs=names)
        return _narrowed(text, lang, self.output, self.region)

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {"kind": "derivative", **_plain(asdict(self))}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        kinds: _Kinds = {"inputs": list, "order": int, "sign": int, "output": _NAME, "region": list}
        record = records.fields(data, "constraint", kind=str, **kinds)
        if record["order"] not in (1, 2) or record["sign"] not in (1, -1):
            raise ModelFileError("constraint: order and sign do not fit.")
        names = tuple(_name(name) for name in record["inputs"])
        region = _limits_from(record["region"])
        return cls(names, record["order"], record["sign"], record["output"], region)


@dataclass(frozen=True)
class Output:
    """Bounds of an output over a region; infinite where there is none."""

    low: float
    high: float
    output: Name | None = None
    region: Limits = ()

    def said(self, lang: str | None = None) -> str:
        """In words."""
        text = tr("training.constraint_output", lang, bounds=_between(self.low, self.high))
        return _narrowed(text, lang, self.output, self.region)

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {"kind": "output", **_plain(asdict(self))}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        kinds: _Kinds = {"low": _REAL, "high": _REAL, "output": _NAME, "region": list}
        record = records.fields(data, "constraint", kind=str, **kinds)
        low, high = _low(record["low"]), _high(record["high"])
        return cls(low, high, record["output"], _limits_from(record["region"]))


@dataclass(frozen=True)
class Points:
    """Bounds of an output, or of its slope along an input, at given points.

    Parameters
    ----------
    points : array-like, or mapping of columns to values
    low, high : tuple of float
        One number, or one for every point; the same where it is to be equal.
    input : str or int, optional
        For slopes.
    output : str or int, optional
    """

    points: Any = field(compare=False)
    low: tuple[float, ...]
    high: tuple[float, ...]
    input: Name | None = None
    output: Name | None = None

    def said(self, lang: str | None = None) -> str:
        """In words."""
        key = "constraint_value" if self.input is None else "constraint_slope"
        bounds = _between(self.low[0], self.high[0])
        more = ", ..." if len(set(zip(self.low, self.high, strict=True))) > 1 else ""
        text = tr(f"training.{key}", lang, bounds=bounds + more, input=self.input)
        return _narrowed(text, lang, self.output)

    def to_json(self) -> dict[str, Any]:
        """The record for a model file; the points as they were given."""
        points = self.points
        if isinstance(points, Mapping):
            points = {str(k): np.atleast_1d(np.asarray(v)).tolist() for k, v in points.items()}
        else:
            points = np.asarray(points, np.float64).tolist()
        low, high = list(map(_to_plain, self.low)), list(map(_to_plain, self.high))
        own = {"points": points, "low": low, "high": high}
        return {"kind": "points", **own, "input": self.input, "output": self.output}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        kinds: _Kinds = {"low": list, "high": list, "input": _NAME, "output": _NAME}
        record = records.fields(data, "constraint", kind=str, points=_POINTS, **kinds)
        low, high = tuple(map(_low, record["low"])), tuple(map(_high, record["high"]))
        return cls(record["points"], low, high, record["input"], record["output"])


@dataclass(frozen=True)
class Weights:
    """Bounds of the weights, in some layers (counted from 1) or all; of biases, too, or not."""

    low: float
    high: float
    layers: tuple[int, ...] | None = None
    biases: bool = False

    def said(self, lang: str | None = None) -> str:
        """In words."""
        key = "biases" if self.biases else "weights"
        text = tr(f"training.constraint_{key}", lang, bounds=_between(self.low, self.high))
        if self.layers is None:
            return text
        layers = ", ".join(map(str, self.layers))
        return f"{text} ({tr('training.constraint_layers', lang, layers=layers)})"

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {"kind": "weights", **_plain(asdict(self))}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        kinds: _Kinds = {"low": _REAL, "high": _REAL, "layers": list | None, "biases": bool}
        record = records.fields(data, "constraint", kind=str, **kinds)
        low, high = _low(record["low"]), _high(record["high"])
        layers = record["layers"]
        return cls(low, high, None if layers is None else tuple(layers), record["biases"])


@dataclass(frozen=True)
class Custom:
    """Your own function of the network, ≤ 0 or = 0; a model file keeps its name only."""

    function: Callable[[Any, Any], Any] | None = field(compare=False)
    equal: bool
    name: str

    def said(self, lang: str | None = None) -> str:
        """In words."""
        return f"{self.name} {'=' if self.equal else '≤'} 0"

    def to_json(self) -> dict[str, Any]:
        """The record for a model file: no code."""
        return {"kind": "custom", "equal": self.equal, "name": self.name}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote; the function is gone."""
        record = records.fields(data, "constraint", kind=str, equal=bool, name=str)
        return cls(None, record["equal"], record["name"])


Constraint = Derivative | Output | Points | Weights | Custom

_NAME = str | int | None
_REAL = float | int | None
_POINTS: Any = dict | list | float | int
_Kinds = dict[str, type | UnionType]
_KINDS: dict[str, Callable[[Any], Constraint]] = {
    "derivative": Derivative.from_json,
    "output": Output.from_json,
    "points": Points.from_json,
    "weights": Weights.from_json,
    "custom": Custom.from_json,
}


def constraint_from_json(data: object) -> Constraint:
    """Read the record of a constraint.

    Raises
    ------
    ModelFileError
        If it is none.
    """
    return records.chosen(data, "constraint", _KINDS)


def _narrowed(text: str, lang: str | None, output: Name | None, region: Limits = ()) -> str:
    """What is asked, with the output and the region that it is asked of, where not of all."""
    parts = [] if output is None else [tr("training.constraint_of", lang, output=output)]
    parts += [
        tr("training.constraint_region", lang, input=name, low=f"{low:g}", high=f"{high:g}")
        for name, low, high in region
    ]
    return f"{text} ({'; '.join(parts)})" if parts else text


def _between(low: float, high: float) -> str:
    if low == high:
        return f"= {low:g}"
    if low == -INF:
        return f"≤ {high:g}"
    return f"≥ {low:g}" if high == INF else f"{low:g} ... {high:g}"


def _to_plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    changed = {k: _to_plain(v) if isinstance(v, float) else v for k, v in record.items()}
    return {
        k: [list(p) if isinstance(p, tuple) else p for p in v] if isinstance(v, tuple) else v
        for k, v in changed.items()
    }


def _low(value: Any) -> float:
    return -INF if value is None else float(value)


def _high(value: Any) -> float:
    return INF if value is None else float(value)


def _name(value: object) -> Name:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ModelFileError("constraint: a name is neither a text nor a place.")
    return value


def _limits_from(rows: list[Any]) -> Limits:
    found = []
    for row in rows:
        if not isinstance(row, list) or len(row) != 3:
            raise ModelFileError("constraint: a region is not made of input, low, high.")
        low, high = records.numbers(row[1:], "region")
        found.append((_name(row[0]), low, high))
    return tuple(found)
