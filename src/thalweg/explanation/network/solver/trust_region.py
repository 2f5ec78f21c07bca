"""A step of Newton's method within a trust region: the exact Hessian, the ball, the ratio."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thalweg.explanation.network.solver.frame import (
    GRADIENT,
    MOST,
    NEW,
    STEP,
    THETA,
    Frame,
    inverse,
)
from thalweg.explanation.notation import (
    Math,
    add,
    call,
    divide,
    matmul,
    negative,
    number,
    partial,
    subtract,
    symbol,
    times,
    transpose,
)
from thalweg.explanation.records import Array, Section, Sentence, Step
from thalweg.optim.watching import TrustRegionStep

__all__ = ["TrustRegionSections"]

HESSIAN, RADIUS, SHIFT, UNIT = symbol("H"), symbol("Δ"), symbol("λ"), symbol("I")
PREDICTED, RATIO = symbol("q"), symbol("ρ")


@dataclass(frozen=True, eq=False)
class TrustRegionSections:
    """The sections of a step within a trust region.

    Parameters
    ----------
    frame : Frame
    step : TrustRegionStep
    """

    frame: Frame
    step: TrustRegionStep

    def sections(self) -> list[Section]:
        """The quadratic model, the step in the ball, whether it is accepted, the parameters."""
        return [self.model(), self.ball(), self.acceptance(), self.frame.parameters()]

    @cached_property
    def hessian(self) -> Array | None:
        """As a matrix; None where it is too large to be written down."""
        if self.step.model.matrix is None and self.frame.count**2 > MOST:
            return None
        return np.asarray(self.step.model.dense())

    @property
    def moved(self) -> Array:
        """The step."""
        return np.asarray(self.step.new_x - self.step.x)

    def model(self) -> Section:
        """Parameters, gradient, exact Hessian."""
        frame, step = self.frame, self.step
        slope = partial(frame.goal, THETA)
        steps = [
            frame.vector("old", THETA, step.x),
            frame.vector("gradient", GRADIENT, step.gradient, slope),
        ]
        if self.hessian is not None:
            formula = partial(GRADIENT, THETA)
            steps.append(frame.matrix("exact_hessian", HESSIAN, self.hessian, formula))
            if frame.count**2 <= MOST:
                values = np.linalg.eigvalsh(self.hessian)
                steps.append(frame.scalar("curvature", call("min", symbol("eig H")), values[0]))
                steps.append(frame.scalar("curvature", call("max", symbol("eig H")), values[-1]))
        method = Sentence(f"method_{step.method.replace('-', '_')}")
        title = Sentence("title_update", {"rule": method, "step": step.number})
        return Section("update", title, tuple(steps), (frame.order(),))

    def ball(self) -> Section:
        """The radius, the multiplier, and the step."""
        frame, step = self.frame, self.step
        steps: list[Step] = []
        for radius, value in step.refused:
            steps.append(frame.scalar("refused", RADIUS, radius))
            steps.append(frame.scalar("refused_value", frame.at(NEW), value))
        steps.append(frame.scalar("radius", RADIUS, step.radius))
        shift, s = self.step.shift, self.moved
        exact = self._solved(shift)
        formula = None
        if exact:
            steps.append(frame.scalar("damping", SHIFT, shift))
            system = add(HESSIAN, times(SHIFT, UNIT)) if shift else HESSIAN
            if shift and self.hessian is not None:
                matrix = self.hessian + shift * np.eye(frame.count)
                steps.append(frame.matrix("system", system, matrix))
            formula = frame.minus(inverse(system), GRADIENT)
        steps.append(frame.vector("step", STEP, s, formula))
        length = call("norm", STEP)
        steps.append(frame.scalar("part", length, float(np.linalg.norm(s))))
        key = "ball_approximate" if not exact else "ball_boundary" if shift else "ball_inside"
        notes = (Sentence(key),)
        return Section("update", Sentence("title_solver_ball"), tuple(steps), notes)

    def _solved(self, shift: float) -> bool:
        """Whether the step solves the shifted system, as dogleg and truncated ones do not."""
        left = self.step.model.product(self.moved) + shift * self.moved + self.step.gradient
        return float(np.linalg.norm(left)) <= 1e-6 * float(np.linalg.norm(self.step.gradient))

    def acceptance(self) -> Section:
        """Predicted and actual decrease, their ratio, the next radius."""
        frame, step, s = self.frame, self.step, self.moved
        slope = frame.product("part", (GRADIENT, step.gradient), (STEP, s))
        bend = float(s @ step.model.product(s))
        bent = frame.scalar("part", matmul(matmul(transpose(STEP), HESSIAN), STEP), bend)
        predicted = step.model.reduction(s)
        half = divide(number(1.0), number(2.0))

        def decrease(first: Math, second: Math) -> Math:
            return subtract(negative(first), times(half, second))

        steps = [
            frame.moved(),
            *frame.values(),
            slope,
            bent,
            frame.scalar(
                "predicted",
                PREDICTED,
                predicted,
                decrease(slope.name, bent.name),
                numbers=decrease(number(float(slope.value)), number(bend)),
            ),
        ]
        notes = [Sentence("step_refused")]
        if step.moved and predicted > 0.0:
            ratio = (step.value - step.new_value) / predicted
            numbers = divide(frame.fall_numbers(), number(predicted))
            formula = divide(frame.fall(), PREDICTED)
            steps.append(frame.scalar("ratio", RATIO, ratio, formula, numbers=numbers))
            notes = [Sentence("step_accepted", {"ratio": ratio})]
        if np.isfinite(step.next_radius):
            steps.append(frame.scalar("next_radius", symbol("Δ⁺"), step.next_radius))
            notes.append(Sentence("radius_words"))
        title = Sentence("title_solver_acceptance")
        return Section("update", title, tuple(steps), tuple(notes))
