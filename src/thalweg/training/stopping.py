"""When training stops, and the sentence that says why.

Examples
--------
>>> stop = StopReason.of("validation", epoch=42, patience=20, best=22)
>>> stop.sentence("en")
'Stopped at epoch 42: the validation loss has not fallen for 20 epochs. The weights of epoch 22
are kept.'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from thalweg.errors import ModelFileError
from thalweg.language import tr
from thalweg.phrases import chosen_language, recorded, reread

__all__ = ["REASONS", "StopReason"]

REASONS: Mapping[str, bool] = MappingProxyType(
    {
        "epochs": True,
        "validation": True,
        "plateau": True,
        "goal": True,
        "gradient": True,
        "step": True,
        "evidence": True,
        "time": True,
        "callback": True,
        "solver": True,
        "constrained": True,
        "feasible": True,
        "validation_held": True,
        "plateau_held": True,
        "constrained_best": True,
        "feasible_best": True,
        "pulled": True,
        "violated": False,
        "infeasible": False,
        "diverged": False,
        "interrupted": False,
    }
)
"""All reasons, and whether training went as it was meant to."""


@dataclass(frozen=True)
class StopReason:
    """Why training stopped.

    Parameters
    ----------
    kind : str
        One of `REASONS`.
    values : tuple of (str, number or str)
        What the sentence mentions.
    """

    kind: str
    values: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, kind: str, **values: Any) -> Self:
        """A reason with the numbers that its sentence mentions."""
        return cls(kind, tuple(values.items()))

    @property
    def regular(self) -> bool:
        """False where numbers diverged or a person interrupted."""
        return REASONS[self.kind]

    def sentence(self, lang: str | None = None) -> str:
        """The reason in words, in English ("en") or Korean ("ko"); the locale's by default."""
        return tr(f"training.stop_{self.kind}", lang, **dict(self.values))

    said = sentence

    def __str__(self) -> str:
        return self.sentence(chosen_language() or "en")

    def to_json(self) -> dict[str, Any]:
        """The record for a model file."""
        values = {n: recorded(v) if isinstance(v, str) else v for n, v in self.values}
        return {"kind": self.kind, "values": values}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what `to_json` wrote; a ModelFileError if it is anything else."""
        if not isinstance(data, dict) or set(data) != {"kind", "values"}:
            raise ModelFileError("stop reason: expected the keys kind, values.")
        kind, values = data["kind"], data["values"]
        if kind not in REASONS or not isinstance(values, dict):
            raise ModelFileError("stop reason: kind {kind!r} is not known.", kind=kind)
        try:
            reason = cls.of(
                kind,
                **{str(k): reread(v) if isinstance(v, dict) else v for k, v in values.items()},
            )
            reason.sentence("en")
        except (KeyError, ValueError, TypeError, IndexError, AttributeError):
            raise ModelFileError("stop reason: {kind} without its numbers.", kind=kind) from None
        return reason
