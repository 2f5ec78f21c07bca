"""First-order rules (Adam, RMSprop, Rprop, ...) as methods for any objective with bounds.

In training, rules take their steps on batches inside the native loop. Here a rule follows the
gradient of a whole objective, such as an augmented Lagrangian: each step needs one gradient. As a
fixed learning rate ends in circles around a minimum, it is halved when the objective has not
fallen for a while, and the rule goes on from the best point.

Examples
--------
>>> import numpy as np
>>> from thalweg.optim.rules import Adam
>>> from thalweg.optim.functions import Traced
>>> from thalweg.optim.problem import Bounds, Problem, SmoothObjective
>>> bowl = SmoothObjective(Traced(lambda x: ((x - 1.0) ** 2).sum(), 2))
>>> problem = Problem(bowl, Bounds.none(2))
>>> follow(problem, np.zeros(2), 1e-6, Adam(learning_rate=0.01)).name
'CONVERGED'
>>> np.round(problem.run.best.x, 5)
array([1., 1.])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from thalweg.optim.descent import begin, largest, size_of, small_enough
from thalweg.optim.layout import Vector
from thalweg.optim.problem import Problem
from thalweg.optim.result import Status
from thalweg.optim.rules import RULES, Conditioning, Rule
from thalweg.optim.run import Point

__all__ = ["Follower", "brisk", "follow"]

IDLE, LEAST = 20, 1e-9  # steps without a lower value, and the smallest part of the rate
HIGHER = 1.0  # a rise by so much of the objective is no way to anywhere
AGAIN = 16.0  # times what was left of the rate, for the next run
BRISK = 10.0  # times a rule's own rate: gradients of the whole objective have no noise


def brisk(name: str) -> Rule:
    """A rule by its name, with a rate for gradients of a whole objective.

    Examples
    --------
    >>> brisk("adam").learning_rate
    0.01
    """
    own = RULES[name]()  # type: ignore[call-arg]  # every rule has a default learning rate
    return replace(own, learning_rate=BRISK * own.learning_rate)


def follow(problem: Problem, x: Vector, tol: float, rule: Rule) -> Status:
    """Minimise within bounds, which are kept by projection.

    Parameters
    ----------
    problem : Problem
    x : vector
    tol : float
        Of the projected gradient, relative to an objective above one.
    rule : Rule
    """
    return Follower(rule)(problem, x, tol)


@dataclass
class Follower:
    """A rule as a method for bounds, which remembers what was left of its rate.

    Parameters
    ----------
    rule : Rule
    conditioning : Conditioning, optional
        What is done to every gradient before the rule sees it.
    pace : callable, optional
        The part of the rate that the next step is to take, as a schedule has it.
    longest : int, optional
        The most steps of one run.
    part : float
        With which part of the rule's rate the next run begins.
    """

    rule: Rule
    conditioning: Conditioning | None = None
    pace: Callable[[], float] | None = None
    longest: int | None = None
    part: float = 1.0

    def __call__(self, problem: Problem, x: Vector, tol: float) -> Status:
        """Minimise from x."""
        start = begin(problem, x)
        x, value, gradient = start.x, start.value, start.gradient
        best, state, step, idle = Point(x, value), self._rule.init(x), 1.0, 0
        taken = 0
        while True:
            projected = problem.bounds.projected_gradient(x, gradient)
            measure = largest(projected)
            point = Point(x, value, measure)
            if value <= start.value and small_enough(projected, x, measure, value, tol):
                problem.run.conclude(point)
                return Status.CONVERGED
            if np.isfinite(value):
                problem.run.iterate(point)
            idle = 0 if value < best.fun else idle + 1
            best = point if value < best.fun else best
            if taken == self.longest:
                self.part = min(1.0, AGAIN * self.part)
                return Status.ITERATIONS_USED_UP
            if idle >= IDLE or not value <= best.fun + HIGHER * size_of(best.fun):
                if self.part <= LEAST:
                    return Status.STEP_TOO_SMALL
                self.part, idle, x = 0.5 * self.part, 0, best.x
                state, step = self._rule.init(x), 1.0
                value, gradient = problem.value_and_gradient(x)
            seen = self.conditioning([x], [gradient])[0] if self.conditioning else gradient
            moved, state = self._rule.update(x, seen, state, step)
            x, step = problem.bounds.project(np.asarray(moved, np.float64)), step + 1.0
            value, gradient = problem.value_and_gradient(x)
            taken += 1

    @property
    def _rule(self) -> Rule:
        """At the present rate."""
        pace = self.pace() if self.pace else 1.0
        return replace(self.rule, learning_rate=self.part * pace * self.rule.learning_rate)
