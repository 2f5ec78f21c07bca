r"""Levenberg-Marquardt on a network: each epoch of this program is one accepted step.

The step solves :math:`(H + μ I)\,s = -g` with the generalised Gauss-Newton matrix H, in the form
that suits the shapes (`thalweg.training.gauss_newton`); μ follows the ratio of actual to
predicted decrease (Nielsen 1999). H is made once for an accepted step; a refused one costs a
solution and a loss. Small μ gives Gauss-Newton steps, which close in on
a minimum of small residuals quadratically; large μ gives short steps downhill.

References
----------
D. W. Marquardt, SIAM J. Appl. Math. 11 (1963) 431. M. T. Hagan and M. B. Menhaj, IEEE Trans.
Neural Networks 5 (1994) 989. H. B. Nielsen, IMM-REP-1999-05, DTU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.nn.network import Params
from thalweg.optim.blas import single_threaded_blas
from thalweg.optim.rules import GD
from thalweg.training.batches import Samples
from thalweg.training.engines import make_program
from thalweg.training.gauss_newton import NormalEquations, Quadratic, vector
from thalweg.training.loop import Outcome, Task, run_epochs
from thalweg.training.options import Training
from thalweg.training.program import EpochProgram, Program, ProgramState
from thalweg.training.sensitivities import Places
from thalweg.training.stopping import StopReason

__all__ = [
    "Damping",
    "GaussNewton",
    "LevenbergMarquardt",
    "LevenbergState",
    "first_damping",
    "run_gauss_newton",
    "run_levenberg_marquardt",
]

Array = NDArray[Any]

VANISHED = 1e-20
"""The part of the largest gradient that is none: squares end in rounding before, but the cross
entropy of rows that are all told apart goes on falling as long as there are smaller numbers."""

ROUNDING = 1e-14
"""Of the largest curvature: what is added to the others, as it would be by rounding."""

HALVINGS, ARMIJO = 40, 1e-4
"""How often a Gauss-Newton step is halved, and the part of the fall promised by its slope that it
must bring."""


@dataclass
class Damping:
    """How μ moves.

    Parameters
    ----------
    mu : float
        At the start, as a part of the largest diagonal entry of H.
    largest : float
        Beyond it no step lowers the objective any more.
    growth : float
        What the next refused step multiplies it by; the factor doubles with every further one.
    least, first : float
        The least factor after an accepted step, and the first one after a refused step.
    """

    mu: float = 1e-3
    largest: float = 1e16
    growth: float = 2.0
    least: float = 0.1
    first: float = 2.0

    def accepted(self, ratio: float) -> None:
        """After a step whose decrease was `ratio` times the predicted one."""
        self.mu *= max(self.least, 1.0 - (2.0 * ratio - 1.0) ** 3)
        self.growth = self.first

    def refused(self) -> None:
        """After a step that did not lower the objective."""
        self.mu *= self.growth
        self.growth *= 2.0


def first_damping(options: Training, top: float) -> Damping:
    """The damping to start with; `top` is the largest diagonal entry of H."""
    start, largest = (
        fallback if given is None else given
        for given, fallback in ((options.mu, 1e-3), (options.mu_max, 1e16))
    )
    first = 2.0 if options.mu_inc is None else options.mu_inc
    least = 0.1 if options.mu_dec is None else options.mu_dec
    return Damping(start * top, largest * max(top, 1.0), first, least, first)


@dataclass
class LevenbergState(ProgramState):
    """Where Levenberg-Marquardt stands."""

    theta: Array = field(default_factory=lambda: np.zeros(0))
    damping: Damping | None = None
    model: Quadratic | None = None
    steepest: float = 0.0

    @property
    def weights(self) -> Array:
        """All parameters; every step makes a new vector."""
        return self.theta


class LevenbergMarquardt:
    """A program whose epochs are Levenberg-Marquardt steps on all samples.

    Parameters
    ----------
    inner : EpochProgram
        Computes losses; of float64.
    task : Task
    form : {"auto", "primal", "dual", "products"}
        Of the equations; see `thalweg.training.gauss_newton`.

    Attributes
    ----------
    decay : float
        λ of a term λ/2 |θ|² of the objective, biases and all; it may change between epochs.
    """

    decay: float = 0.0

    def __init__(self, inner: EpochProgram, task: Task, form: str = "auto") -> None:
        self.inner, self.task = inner, task
        native = task.engine != "numpy"
        self._loss_at = self.loss_over(task.train)
        self.equations = NormalEquations(task.objective, *task.train, native=native, form=form)

    def start(self, params: Params) -> ProgramState:
        """The state before the first step."""
        theta = vector(params)
        return LevenbergState(self._params(theta), [], theta=theta)

    def epoch(self, state: ProgramState, *data: Any) -> float:
        """One step; returns the loss before it. The data are those of the task."""
        assert isinstance(state, LevenbergState)
        model = self.model(state).with_decay(state.theta, self.decay)
        if state.damping is None:
            top = max(model.top - self.decay, 1e-300)
            state.damping = first_damping(self.task.options, top)
        self._step(state, model, state.damping)
        state.figures["mu"] = state.damping.mu
        return model.loss

    def model(self, state: LevenbergState) -> Quadratic:
        """The quadratic model where training stands, made when it is first asked for."""
        if state.model is None:
            state.model = self.equations.at(state.theta)
        return state.model

    def _step(self, state: LevenbergState, model: Quadratic, damping: Damping) -> None:
        """Raise μ until a step lowers the objective."""
        if self._vanished(state, model):
            return
        while damping.mu <= damping.largest:
            step = model.step(damping.mu)
            if step is not None:
                predicted = 0.5 * float(step @ (damping.mu * step - model.gradient))
                tiny = _norm(step) <= 1e-15 * (_norm(state.theta) + 1e-15)
                if tiny or predicted <= 0.0:
                    break
                tried = state.theta + step
                value = self._value(tried)
                ratio = (model.value - value) / predicted
                if math.isfinite(value) and value < model.value and ratio > 1e-4:
                    damping.accepted(min(ratio, 2.0))
                    self._move(state, tried)
                    return
            damping.refused()
        self._give_up(state, model)

    def _vanished(self, state: LevenbergState, model: Quadratic) -> bool:
        """Whether nothing is left of the gradient, which is then the end."""
        slope = _norm(model.gradient)
        state.steepest = max(state.steepest, slope)
        limit = VANISHED * state.steepest
        if slope < limit:
            state.finished = StopReason.of("gradient", epoch=state.step, norm=slope, limit=limit)
        return slope < limit

    def _move(self, state: LevenbergState, theta: Array) -> None:
        """Accept a step."""
        state.theta, state.step = theta, state.step + 1
        state.params = self._params(theta)
        state.model = None

    def _give_up(self, state: LevenbergState, model: Quadratic) -> None:
        """No step lowers the objective."""
        slope = _norm(model.gradient)
        state.finished = StopReason.of("step", epoch=state.step, norm=slope)

    def _params(self, theta: Array) -> Params:
        return self.task.objective.as_params(self.equations.split(theta))

    def _value(self, theta: Array) -> float:
        value = self._loss_at(theta)
        return value + 0.5 * self.decay * float(theta @ theta) + self.equations.penalty(theta)

    def loss(self, params: Params, X: Array, T: Array, weights: Array) -> float:
        """The weighted mean loss at some parameters, without the penalty."""
        return self.inner.loss(params, X, T, weights)

    def gradient_norm(self, state: ProgramState) -> float:
        """That of the objective where training stands, known from the model of the next step."""
        assert isinstance(state, LevenbergState)
        return _norm(self.model(state).gradient)

    def loss_over(self, samples: Samples) -> Callable[[Array], float]:
        """The same over samples, as a function of one vector of all parameters."""
        inner, objective = self.inner, self.task.objective
        samples = Samples(*(np.ascontiguousarray(a, np.float64) for a in samples))
        if not isinstance(inner, Program) and len(samples.X):
            from thalweg.training.native_program import NativeProgram
            from thalweg.training.native_sums import NativeLosses

            if isinstance(inner, NativeProgram):
                return NativeLosses(inner, samples)
        places = Places(objective.network)
        return lambda theta: inner.loss(objective.as_params(places.leaves(theta)), *samples)

    def gradient(self, params: Params, X: Array, T: Array, weights: Array) -> tuple[float, Params]:
        """The objective with its penalty, and its gradient."""
        return self.inner.gradient(params, X, T, weights)


def _norm(values: Array) -> float:
    return math.sqrt(float(values @ values))


class GaussNewton(LevenbergMarquardt):
    """A program whose epochs are Gauss-Newton steps, halved until they lower the objective.

    H has no inverse where parameters do the same; the least damping that can be solved then gives
    all but the shortest of its solutions.
    """

    def epoch(self, state: ProgramState, *data: Any) -> float:
        """One step; returns the loss before it."""
        assert isinstance(state, LevenbergState)
        model = self.model(state)
        if not self._vanished(state, model):
            self._search(state, model)
        return model.loss

    def _search(self, state: LevenbergState, model: Quadratic) -> None:
        step = self._undamped(model)
        slope = 0.0 if step is None else float(step @ model.gradient)
        if step is not None and slope < 0.0:
            for halvings in range(HALVINGS):
                length = 0.5**halvings
                tried = state.theta + length * step
                value = self._value(tried)
                enough = model.value + ARMIJO * length * slope
                if math.isfinite(value) and value <= enough and value < model.value:
                    self._move(state, tried)
                    return
        self._give_up(state, model)

    def _undamped(self, model: Quadratic) -> Array | None:
        """The step of H s = -g."""
        part = ROUNDING
        while part <= 1.0:
            step = model.step(part * max(model.top, 1e-300))
            if step is not None:
                return step
            part *= 100.0
        return None


def run_levenberg_marquardt(task: Task, form: str = "auto") -> Outcome:
    """Train by Levenberg-Marquardt, in float64."""
    return _run(task, LevenbergMarquardt, form)


def run_gauss_newton(task: Task) -> Outcome:
    """Train by Gauss-Newton, in float64."""
    return _run(task, GaussNewton, "auto")


def _run(task: Task, kind: type[LevenbergMarquardt], form: str) -> Outcome:
    exact = replace(task, dtype=np.dtype(np.float64), rule=task.rule or GD())
    inner, engine = make_program(exact)
    with single_threaded_blas():
        outcome = run_epochs(exact, kind(inner, exact, form))
    return replace(outcome, engine=engine)
