"""The step that a solver takes next from a point of its training, for explanations.

The solver itself runs, on the same samples and with the same engine. Levenberg-Marquardt is all
told by its weights and its damping, which the history holds. Methods that remember more, a matrix,
pairs, a radius, are run again from the first weights up to the point; where that does not lead
there, because the rows are others, they begin at the point, and the explanation says so.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> x = np.linspace(-1.0, 1.0, 20).reshape(-1, 1)
>>> net = tw.Network([tw.Dense(1, 2, "tanh"), tw.Dense(2, 1)])
>>> told = tw.explain_network(net, net.initial(1), x, x**2, "mse", "lm")
>>> step = told.update_step.step
>>> bool(step.new_value < step.value), round(step.ratio, 2)
(True, 1.36)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.explanation.network.passes import Passes
from thalweg.explanation.network.solver import DampedStep, Evidence
from thalweg.explanation.records import Sentence
from thalweg.nn.network import Params
from thalweg.optim.rules import GD
from thalweg.optim.watching import SolverStep, watch
from thalweg.training.batches import Samples
from thalweg.training.bayesian import BayesianRegularisation
from thalweg.training.engines import make_program
from thalweg.training.gauss_newton import Quadratic, vector
from thalweg.training.levenberg_marquardt import Damping, LevenbergMarquardt, LevenbergState
from thalweg.training.loop import Task
from thalweg.training.methods import SOLVERS
from thalweg.training.options import Training
from thalweg.training.solvers import NetworkProblem

__all__ = ["EXPLAINED", "Moment", "NextStep"]

Array = NDArray[np.float64]
Told = tuple[DampedStep | SolverStep, tuple[Sentence, ...]]
DAMPED = ("lm", "br")
EXPLAINED = (*DAMPED, *SOLVERS)
"""Methods whose steps are explained, beside first-order rules."""
NEAR = 1e-6
"""Relative distance of weights below which a run is held to have led to them."""


@dataclass(frozen=True)
class Moment:
    """What is known of a training at a point.

    Parameters
    ----------
    epoch : int
        How many steps lie behind it.
    figures : dict of str to float
        ``"mu"``, and ``"alpha"``, ``"beta"`` of Bayesian regularisation; empty at the start.
    first : list of dict, optional
        The weights before the first step.
    rows : int, optional
        How many rows trained.
    """

    epoch: int = 0
    figures: dict[str, float] | None = None
    first: Params | None = None
    rows: int | None = None


@dataclass(frozen=True)
class NextStep:
    """Makes the next step of a method; called with the passes at a point.

    Parameters
    ----------
    method : str
        One of `EXPLAINED`.
    engine : str
    moment : Moment
    """

    method: str
    engine: str = "numpy"
    moment: Moment = Moment()

    def __call__(self, passes: Passes) -> Told:
        samples = Samples(passes.X, passes.T, passes.weights)
        task = Task(
            passes.objective, passes.params, samples, None, Training(), rule=GD(),
            engine=self.engine,
        )  # fmt: skip
        step, notes = self._damped(task) if self.method in DAMPED else self._watched(task)
        rows = self.moment.rows
        if rows is not None and rows != len(samples.X):
            notes = (*notes, Sentence("other_rows", {"m": len(samples.X), "n": rows}))
        return step, notes

    # -- Levenberg-Marquardt ----------------------------------------------------------------------
    def _damped(self, task: Task) -> Told:
        inner, _ = make_program(task)
        descent = _Watched(inner, task)
        state = descent.start(task.params)
        assert isinstance(state, LevenbergState)
        figures = self.moment.figures or {}
        if "mu" in figures:
            state.damping = Damping(figures["mu"])
        if self.method == "lm":
            descent.epoch(state)
            return self._noted(descent, state, None), ()
        program = BayesianRegularisation(inner, task)
        program.descent = descent
        if "alpha" in figures:
            program.believe(figures["alpha"], figures["beta"])
        program.epoch(state)
        assert descent.held is not None
        alpha, beta = descent.held * program.beta_scale, 0.0
        del alpha, beta
        return self._noted(descent, state, None), ()

    def _noted(
        self, descent: _Watched, state: LevenbergState, evidence: Evidence | None
    ) -> DampedStep:
        return descent.notes(self.method, self.moment.epoch + 1, state, evidence)

    # -- the others -------------------------------------------------------------------------------
    def _watched(self, task: Task) -> Told:
        program, _ = make_program(task)
        problem = NetworkProblem(task.objective, task.train, program)
        x, epoch, first = vector(task.params), self.moment.epoch, self.moment.first
        if epoch == 0:
            return watch(problem, x, self.method, 1), ()
        if first is not None:
            step = watch(problem, vector(first), self.method, epoch + 1)
            distance = float(np.linalg.norm(step.x - x))
            if distance <= NEAR * float(np.linalg.norm(x)):
                return step, (Sentence("solver_replayed"),)
        return watch(problem, x, self.method, 1), (Sentence("solver_restarts"),)
