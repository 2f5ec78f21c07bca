"""What every first-order rule states."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from thalweg.errors import OptionError

__all__ = ["Rule", "State"]

State = dict[str, Any]
"""What a rule remembers of one parameter: arrays by name."""


@dataclass(frozen=True)
class Rule(ABC):
    """A first-order method: hyperparameters, and how one parameter moves.

    Hyperparameters are numbers, or traced numbers where a program makes them arguments; `update`
    therefore uses them in array expressions only.

    Parameters
    ----------
    learning_rate : float
        Step size α.
    """

    learning_rate: float
    full_batch: ClassVar[bool] = False
    """Whether the rule is meant for the gradient over all samples."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            plain = isinstance(value, int | float)
            if plain and not (math.isfinite(value) and value >= 0):
                raise OptionError(
                    "{kind}: {name}={value} is not 0 or more.",
                    kind=type(self).__name__,
                    name=field.name,
                    value=value,
                )

    @abstractmethod
    def init(self, parameter: Any) -> State:
        """What is remembered before the first step.

        Parameters
        ----------
        parameter : array

        Returns
        -------
        dict of str to array
        """

    @abstractmethod
    def update(self, parameter: Any, gradient: Any, state: State, step: Any) -> tuple[Any, State]:
        """One step.

        Parameters
        ----------
        parameter, gradient : array
            Of one shape, ordinary or traced.
        state : dict of str to array
        step : float or traced number
            Counts from 1.

        Returns
        -------
        array, dict
            The parameter and the state after the step.
        """
