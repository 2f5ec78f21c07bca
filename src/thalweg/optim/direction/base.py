"""What a direction of the line-search kind is.

A direction sees the gradient at the point, proposes where to go, and is told what the step
brought. Entries held by a bound are masked out by `free`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from thalweg.optim.layout import Vector
from thalweg.optim.problem import Mask

__all__ = ["Direction", "Move", "Steepest"]


class Move(NamedTuple):
    """An accepted step.

    Attributes
    ----------
    s, y : vector
        Changes of the point and of the gradient.
    old, new : vector
        The gradient before and after.
    d : vector
        The direction that was taken.
    """

    s: Vector
    y: Vector
    old: Vector
    new: Vector
    d: Vector


class Direction(ABC):
    """A direction of descent from gradients."""

    @property
    @abstractmethod
    def has_length(self) -> bool:
        """Whether the step length one is natural: the direction knows curvature."""

    @abstractmethod
    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        """The direction at x; zero where not free."""

    def learn(self, move: Move) -> None:  # noqa: B027 (not every direction has a memory)
        """Take note of an accepted step."""

    def reset(self) -> None:  # noqa: B027
        """Forget everything learned."""


class Steepest(Direction):
    """Steepest descent, d = -∇f.

    Slow in narrow valleys; the yardstick for everything else, and what the documents mean by
    gradient descent with a line search.
    """

    has_length = False

    def propose(self, x: Vector, gradient: Vector, free: Mask) -> Vector:
        return np.where(free, -gradient, 0.0)
