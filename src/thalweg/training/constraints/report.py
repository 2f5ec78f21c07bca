"""How well constraints hold at the end: violations, active constraints, multipliers.

The multiplier of a constraint is its price: loosening it by a small db, in its own unit, changes
the lowest value of the objective, in the target's own unit, by -multiplier·db. For an equality,
loosening is raising its right side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from thalweg.errors import ModelFileError
from thalweg.language import tr
from thalweg.training import records
from thalweg.training.constraints.kinds import Constraint, constraint_from_json

__all__ = ["Active", "ConstraintReport", "Held"]


@dataclass(frozen=True)
class Active:
    """A constraint at one place that shapes the solution.

    Attributes
    ----------
    where : tuple of float or str
        The inputs in their own units, in the order of the network's inputs; the name of a weight;
        or the place of a number among those of your own function, from 0.
    multiplier : float
    """

    where: tuple[float, ...] | str
    multiplier: float


@dataclass(frozen=True)
class Held:
    """How well one of the constraints holds.

    Attributes
    ----------
    asked : Constraint
    violation : float
        The largest that was found, in its own unit; 0 where it holds everywhere.
    looked_at : int
        How many points were looked at; local maxima were climbed to from the worst of them.
    active : tuple of Active
        Where it shapes the solution, largest multipliers first.
    """

    asked: Constraint
    violation: float
    looked_at: int
    active: tuple[Active, ...] = ()


@dataclass(frozen=True)
class ConstraintReport:
    """How well constraints hold.

    Attributes
    ----------
    held : tuple of Held
        One for each constraint, in the order in which they were asked for.
    stationarity, violation, complementarity : float
        Residuals of the Karush-Kuhn-Tucker conditions of the last solve, as it was solved: scaled,
        with the points that stood for the regions; nan where training was stopped during the first.
    rounds : int
        How often points were added and the problem was solved.
    points : int
        How many points stood for the regions in the end.
    """

    held: tuple[Held, ...]
    stationarity: float
    violation: float
    complementarity: float
    rounds: int
    points: int

    @property
    def worst(self) -> float:
        """The largest violation of all."""
        return max((one.violation for one in self.held), default=0.0)

    @property
    def solved(self) -> bool:
        """Whether a solve came to an end, so that multipliers and residuals are known."""
        return math.isfinite(self.stationarity)

    def rows(self, lang: str | None = None) -> list[tuple[str, str]]:
        """Pairs of a constraint and how it holds, for people."""
        found = []
        for one in self.held:
            values: dict[str, Any] = {"count": len(one.active), "points": one.looked_at}
            largest = max((abs(a.multiplier) for a in one.active), default=0.0)
            state = "holds" if one.violation == 0.0 else "violated"
            text = tr(f"training.constraint_{state}", lang, violation=f"{one.violation:.2g}")
            if one.looked_at:
                text += tr("training.constraint_points", lang, **values)
            if self.solved:
                key = "active" if one.active else "idle"
                text += tr(f"training.constraint_{key}", lang, largest=f"{largest:.3g}", **values)
            found.append((one.asked.said(lang), text))
        if not self.solved:
            return found
        kkt = {
            "stationarity": f"{self.stationarity:.1e}",
            "violation": f"{self.violation:.1e}",
            "complementarity": f"{self.complementarity:.1e}",
        }
        solved = tr("training.constraint_kkt", lang, rounds=self.rounds, points=self.points, **kkt)
        return [*found, (tr("training.row_kkt", lang), solved)]

    def __str__(self) -> str:
        return "\n".join(f"{name}: {text}" for name, text in self.rows("en"))

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        return {
            "held": [
                {
                    "asked": one.asked.to_json(),
                    "violation": _plain(one.violation),
                    "looked_at": one.looked_at,
                    "active": [
                        [a.where if isinstance(a.where, str) else list(a.where), a.multiplier]
                        for a in one.active
                    ],
                }
                for one in self.held
            ],
            "stationarity": _plain(self.stationarity),
            "violation": _plain(self.violation),
            "complementarity": _plain(self.complementarity),
            "rounds": self.rounds,
            "points": self.points,
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        names = ("stationarity", "violation", "complementarity")
        record = records.fields(
            data,
            "constraints",
            held=list,
            rounds=int,
            points=int,
            **dict.fromkeys(names, float | int | None),
        )
        held = tuple(_held(one) for one in record["held"])
        return cls(
            held,
            _figure(record["stationarity"]),
            _figure(record["violation"]),
            _figure(record["complementarity"]),
            record["rounds"],
            record["points"],
        )


def _held(data: object) -> Held:
    kinds = {"violation": float | int | None, "looked_at": int, "active": list}
    record = records.fields(data, "constraint", asked=dict, **kinds)
    return Held(
        constraint_from_json(record["asked"]),
        _figure(record["violation"]),
        record["looked_at"],
        tuple(_active(pair) for pair in record["active"]),
    )


def _active(pair: object) -> Active:
    if not isinstance(pair, list) or len(pair) != 2:
        raise ModelFileError("constraint: an active place is not made of where and multiplier.")
    where, (multiplier,) = pair[0], records.numbers(pair[1:], "multiplier")
    if isinstance(where, str):
        return Active(where, multiplier)
    return Active(records.numbers(_listed(where), "active place"), multiplier)


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ModelFileError("constraint: an active place is neither a list nor a text.")
    return value


def _figure(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def by_size(active: Sequence[Active]) -> tuple[Active, ...]:
    """The largest multipliers first."""
    return tuple(sorted(active, key=lambda a: -abs(a.multiplier)))
