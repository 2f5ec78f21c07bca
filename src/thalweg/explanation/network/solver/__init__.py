"""Updates of solvers, which move all parameters at once: what they had, and what they did.

Training hands over the record of a step (`DampedStep` of Levenberg-Marquardt, those of
`thalweg.optim.watching` of the others), made by running its own solver; here it is written as the
solver's own formula. Nothing is computed twice but the Jacobian, which no solver writes down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from thalweg.explanation.network.passes import Passes
from thalweg.explanation.network.solver.damped import DampedSections, DampedStep, Evidence
from thalweg.explanation.network.solver.frame import GRADIENT, NEW, STEP, THETA, Frame, of
from thalweg.explanation.network.solver.line_search import LineSearchSections
from thalweg.explanation.network.solver.trust_region import TrustRegionSections
from thalweg.explanation.notation import Math, add, number, partial
from thalweg.explanation.records import Array, Section, Sentence, Step
from thalweg.optim.watching import LineSearchStep, PlainStep, SolverStep, TrustRegionStep

__all__ = ["DampedStep", "Evidence", "Solver", "SolverUpdate"]

Solver = Callable[[Passes], tuple["DampedStep | SolverStep", tuple[Sentence, ...]]]
"""Makes the step of a solver at a point, and says what a reader should know of it."""


@dataclass(frozen=True, eq=False)
class SolverUpdate:
    """One step of a solver on all parameters of a network.

    Parameters
    ----------
    passes : Passes
    solver : callable
        Runs when the step is first looked at.
    """

    passes: Passes
    solver: Solver

    @cached_property
    def _made(self) -> tuple[DampedStep | SolverStep, tuple[Sentence, ...]]:
        return self.solver(self.passes)

    @property
    def step(self) -> DampedStep | SolverStep:
        """What the solver had and did."""
        return self._made[0]

    @property
    def notes(self) -> tuple[Sentence, ...]:
        """What a reader should know of it."""
        return self._made[1]

    def moved(self, layer: int, kind: str) -> tuple[Array, dict[str, Array]]:
        """New value of a matrix; solvers remember nothing parameter by parameter."""
        pieces = Frame(self.passes, self.step).pieces(self.step.new_x)
        table = {(at, what): part for at, what, part in pieces}
        return table[layer, kind], {}

    def steps(
        self, name: Math, slope: Math, layer: int, kind: str, place: tuple[int, ...]
    ) -> list[Step]:
        """The update of one number: its entry of the step s is added.

        Parameters
        ----------
        name, slope : Math
            What the parameter and its derivative are called.
        layer : int
        kind : {"W", "b"}
        place : tuple of int
            Counted from 1.
        """
        old, step, new = Frame(self.passes, self.step).number_of(layer, kind, place)
        part = of(STEP, name)
        numbers = add(number(float(old)), number(float(step)))
        after = Math("symbol", (name.parts[0] + "⁺", *name.parts[1:]))
        return [Step("update", after, new, add(name, part), numbers)]

    def sections(self, sample: int = 1) -> tuple[Section, ...]:
        """Everything the solver saw and did.

        Parameters
        ----------
        sample : int
            Whose rows are shown of a Jacobian that is too large to be shown.
        """
        frame = Frame(self.passes, self.step, sample)
        step, notes = self._made
        made: Any = _Plain(frame, step)
        if isinstance(step, DampedStep):
            made = DampedSections(frame, step)
        elif isinstance(step, LineSearchStep):
            made = LineSearchSections(frame, step)
        elif isinstance(step, TrustRegionStep):
            made = TrustRegionSections(frame, step)
        first, *others = made.sections()
        return (replace(first, notes=(*first.notes, *notes)), *others)


@dataclass(frozen=True, eq=False)
class _Plain:
    """The sections of a step of which only the points are known."""

    frame: Frame
    step: PlainStep | DampedStep

    def sections(self) -> list[Section]:
        frame, step = self.frame, self.step
        slope = partial(frame.goal, THETA)
        steps = [
            frame.vector("old", THETA, step.x),
            frame.vector("gradient", GRADIENT, step.gradient, slope),
            frame.vector("step", STEP, np.asarray(step.new_x - step.x)),
            frame.vector("new", NEW, step.new_x, add(THETA, STEP)),
            *frame.values(),
        ]
        notes = [frame.order()]
        if not step.moved:
            notes.append(Sentence("trial_refused"))
        method = Sentence(f"method_{step.method.replace('-', '_')}")
        title = Sentence("title_update", {"rule": method, "step": step.number})
        return [Section("update", title, tuple(steps), tuple(notes)), frame.parameters()]
