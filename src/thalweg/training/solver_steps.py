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
(True, 0.81)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from thalweg.explanation.network import NetworkExplanation
from thalweg.explanation.network.passes import Passes
from thalweg.explanation.network.solver import DampedStep, Evidence, SolverUpdate
from thalweg.explanation.records import Sentence
from thalweg.nn.network import Params
from thalweg.optim.rules import GD
from thalweg.optim.watching import SolverStep, watch
from thalweg.training.batches import Samples
from thalweg.training.bayesian import BayesianRegularisation
from thalweg.training.engines import make_program
from thalweg.training.gauss_newton import Quadratic, vector
from thalweg.training.levenberg_marquardt import (
    Damping,
    LevenbergMarquardt,
    LevenbergState,
    first_damping,
)
from thalweg.training.loop import Task
from thalweg.training.methods import SOLVERS
from thalweg.training.options import Training
from thalweg.training.program import EpochProgram
from thalweg.training.solvers import NetworkProblem

__all__ = ["EXPLAINED", "Moment", "NextStep", "following"]

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
    options : Training
        Those of the training; what is read are the options of damping.
    """

    method: str
    engine: str = "numpy"
    moment: Moment = Moment()
    options: Training = field(default=Training())

    def __call__(self, passes: Passes) -> Told:
        """The step, and what a reader should know of it."""
        samples = Samples(passes.X, passes.T, passes.weights)
        task = Task(
            passes.objective, passes.params, samples, None, self.options, rule=GD(),
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
            top = max(descent.model(state).top, 1e-300)
            state.damping = replace(first_damping(self.options, top), mu=figures["mu"])
        evidence = None
        if self.method == "lm":
            descent.epoch(state)
        else:
            evidence = self._bayesian(inner, task, descent, state)
        found = descent.notes(state)
        return replace(found, method=self.method, number=self._number, evidence=evidence), ()

    def _bayesian(
        self, inner: EpochProgram, task: Task, descent: _Watched, state: LevenbergState
    ) -> Evidence:
        program, figures = BayesianRegularisation(inner, task), self.moment.figures or {}
        program.descent = descent
        if "alpha" in figures:
            program.believe(figures["alpha"], figures["beta"])
        descent.beliefs = lambda: (program.alpha, program.beta)
        program.epoch(state)
        before = descent.believed
        return Evidence(
            (before[0], program.alpha), (before[1], program.beta), state.figures["gamma"]
        )

    @property
    def _number(self) -> int:
        return self.moment.epoch + 1

    # -- the others -------------------------------------------------------------------------------
    def _watched(self, task: Task) -> Told:
        program, _ = make_program(task)
        problem = NetworkProblem(task.objective, task.train, program)
        x, epoch, first = vector(task.params), self.moment.epoch, self.moment.first
        if epoch == 0:
            return watch(problem, x, self.method, 1), ()
        if first is not None:
            step = watch(problem, vector(first), self.method, self._number)
            distance = float(np.linalg.norm(step.x - x))
            if distance <= NEAR * float(np.linalg.norm(x)):
                return step, (Sentence("solver_replayed"),)
        return watch(problem, x, self.method, 1), (Sentence("solver_restarts"),)


def following(method: str) -> Callable[[Sequence[NetworkExplanation]], NextStep]:
    """What makes a method's next step, with the damping that the steps before it left behind.

    Parameters
    ----------
    method : str
        One of `EXPLAINED`.
    """

    def plan(done: Sequence[NetworkExplanation]) -> NextStep:
        if not done:
            return NextStep(method)
        return NextStep(method, moment=Moment(len(done), _left(done[-1]), done[0].passes.params))

    return plan


def _left(told: NetworkExplanation) -> dict[str, float]:
    """The damping after a step, and what Bayesian regularisation believes then."""
    assert isinstance(told.update_step, SolverUpdate)
    step = told.update_step.step
    if not isinstance(step, DampedStep):
        return {}
    figures = {"mu": step.next_mu}
    if step.evidence is not None:
        figures |= {"alpha": step.evidence.alpha[1], "beta": step.evidence.beta[1]}
    return figures


class _Watched(LevenbergMarquardt):
    """Levenberg-Marquardt, with notes of the last step it took."""

    model_seen: Quadratic
    damping_seen: _NotedDamping
    old: Array
    beliefs: Callable[[], tuple[float, float]] = staticmethod(lambda: (0.0, 0.0))
    decay_seen: float = 0.0
    believed: tuple[float, float] = (0.0, 0.0)

    def _step(self, state: LevenbergState, model: Quadratic, damping: Damping) -> None:
        self.believed, self.decay_seen = self.beliefs(), self.decay
        self.old, self.model_seen = state.theta, model
        self.damping_seen = noted = _NotedDamping(**asdict(damping))
        super()._step(state, model, noted)
        damping.mu, damping.growth = noted.mu, noted.growth

    def _value(self, theta: Array) -> float:
        value = super()._value(theta)
        self.damping_seen.values[self.damping_seen.mu] = value
        return value

    def notes(self, state: LevenbergState) -> DampedStep:
        """The step, as it was taken."""
        model, damping = self.model_seen, self.damping_seen
        moved = damping.ratio is not None
        *refused, mu = damping.tried if moved else [*damping.tried, damping.mu]
        step = model.step(mu) if moved else None
        step = np.zeros_like(self.old) if step is None else step
        predicted = 0.5 * float(step @ (mu * step - model.gradient))
        new_value = damping.values[mu] if moved else model.value
        return DampedStep(
            method="lm",
            number=1,
            x=self.old,
            gradient=model.gradient,
            step=step,
            new_x=state.theta,
            value=model.value,
            new_value=new_value,
            mu=mu,
            next_mu=damping.mu,
            predicted=predicted,
            ratio=(model.value - new_value) / predicted if moved else 0.0,
            refused=tuple((m, damping.values.get(m, np.nan)) for m in refused) if moved else (),
            decay=self.decay_seen,
            moved=moved,
        )


class _NotedDamping(Damping):
    """A damping that remembers what was tried."""

    def __init__(self, **options: float) -> None:
        super().__init__(**options)
        self.tried: list[float] = []
        self.values: dict[float, float] = {}
        self.ratio: float | None = None

    def accepted(self, ratio: float) -> None:
        self.tried.append(self.mu)
        self.ratio = ratio
        super().accepted(ratio)

    def refused(self) -> None:
        self.tried.append(self.mu)
        super().refused()
