r"""Solvers on networks: the objective over all samples, as `thalweg.optim` asks for it.

A solver sees one vector θ (W[1] row by row, b[1], W[2], ...) and is told
:math:`J(θ)`, :math:`∇J(θ)`, and where it wants them :math:`∇^2J(θ)v` and :math:`∇^2J(θ)`, all by
the chain rule. Each of its iterations is an epoch in the book of the run, so that validation,
goals, limits, callbacks and Ctrl-C work as for every other method.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> x = np.linspace(-1.0, 1.0, 30).reshape(-1, 1)
>>> net = tw.Network([tw.Dense(1, 4, "tanh"), tw.Dense(4, 1)])
>>> model = tw.fit(net, x, x[:, 0] ** 2, method="bfgs", split="none", seed=1)
>>> bool(model.evaluate(x, x[:, 0] ** 2)["r2"] > 0.999)
True
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thalweg.differentiation import forward
from thalweg.graph import Graph, variable
from thalweg.nn.network import Params
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.descent import largest
from thalweg.optim.functions import Evaluator, evaluator
from thalweg.optim.layout import same_point
from thalweg.optim.problem import Bounds, Objective, Problem
from thalweg.optim.result import Iteration, Result, Status
from thalweg.optim.rules import GD
from thalweg.optim.run import Limits, Run
from thalweg.phrases import Phrase
from thalweg.training.batches import Samples
from thalweg.training.engines import make_program
from thalweg.training.gauss_newton import PenaltyDerivatives
from thalweg.training.hessian import ExactHessian
from thalweg.training.loop import Book, Outcome, Task
from thalweg.training.program import EpochProgram, Program
from thalweg.training.sensitivities import Places
from thalweg.training.stopping import StopReason
from thalweg.trees import flatten

if TYPE_CHECKING:
    from thalweg.training.native_sums import NativeSums

__all__ = ["NetworkProblem", "Patience", "SolverDiary", "run_solver"]

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Patience:
    """When a solver is told that it is done, beyond what the options of training say.

    Parameters
    ----------
    tolerance : float
        Of the largest entry of the gradient, relative to an objective above one.
    entry : float
        Of the largest entry of the gradient, as it stands.
    reduction : float
        Smallest fall of the objective from one iteration to the next, relative to the larger of
        the two (and to one).
    evaluations : int, optional
        The most evaluations of the objective.
    """

    tolerance: float = 1e-10
    entry: float = 0.0
    reduction: float = 0.0
    evaluations: int | None = None

    def stalled(self, before: float, now: float) -> bool:
        """Whether an iteration has lowered the objective by too little."""
        return before - now <= self.reduction * max(abs(before), abs(now), 1.0)


def _native_sums(program: EpochProgram, samples: Samples) -> NativeSums | None:
    """A quick way to the program's values and gradients, where it is native."""
    if isinstance(program, Program) or not len(samples.X):
        return None
    from thalweg.training.native_program import NativeProgram
    from thalweg.training.native_sums import NativeSums

    return NativeSums(program, samples) if isinstance(program, NativeProgram) else None


class NetworkProblem(Objective):
    """The objective of a network over all samples of a task, as a function of one vector.

    Parameters
    ----------
    objective : NetworkObjective
    samples : Samples
    program : EpochProgram
        In float64; gives values and gradients.
    """

    def __init__(
        self, objective: NetworkObjective, samples: Samples, program: EpochProgram
    ) -> None:
        self.network_objective, self.program = objective, program
        self.samples = Samples(*(np.ascontiguousarray(a, np.float64) for a in samples))
        self.total = float(np.sum(self.samples.weights))
        self.gradient_at: tuple[Vector, Vector] | None = None
        self.places = Places(objective.network)
        self._sums = _native_sums(program, self.samples)
        self._price = PenaltyDerivatives(objective, self.total) if objective.penalty else None

    def params(self, x: Vector) -> Params:
        """The vector as parameters of the network."""
        return self.network_objective.as_params(self.places.leaves(x))

    def vector(self, params: Params) -> Vector:
        """Parameters of the network as a vector."""
        return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in flatten(params)[0]])

    def penalty(self, x: Vector) -> float:
        """What the objective holds beside the loss."""
        return self._price(self.places.leaves(x))[0] if self._price else 0.0

    def value(self, x: Vector) -> float:
        """The objective."""
        return self.program.loss(self.params(x), *self.samples) + self.penalty(x)

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        """The objective and its gradient, shape (P,)."""
        if self._sums is None:
            value, slopes = self.program.gradient(self.params(x), *self.samples)
            gradient = self.vector(slopes)
        else:
            value, gradient = self._sums(x)
            if self._price:
                price, slope, _ = self._price(self.places.leaves(x))
                value, gradient = value + price, gradient + slope
        self.gradient_at = (np.array(x), gradient)
        return value, gradient

    def gradient(self, x: Vector) -> Vector:
        """The gradient; of the last point without further work."""
        if self.gradient_at is None or not same_point(self.gradient_at[0], x):
            self.value_and_gradient(x)
        assert self.gradient_at is not None
        return self.gradient_at[1]

    def hessian_product(self, x: Vector, v: Vector) -> Vector:
        """The Hessian times a direction, shape (P,)."""
        if self._products is not None:
            found: Vector = self._products(x, v)
            return found + self._price(self.places.leaves(x))[2] * v if self._price else found
        points, tangents = (flatten(self.params(a))[0] for a in (x, v))
        return np.concatenate(
            [np.ravel(a) for a in self._push([*points, *tangents, *self.samples])]
        )

    def hessian(self, x: Vector) -> NDArray[np.float64]:
        """The Hessian, shape (P, P)."""
        found = self._second.at(x)
        if self._price:
            found[np.diag_indices(len(x))] += self._price(self.places.leaves(x))[2]
        return found

    @cached_property
    def _products(self) -> Callable[..., Any] | None:
        """A quick way to products, where the program is native."""
        if self._sums is None:
            return None
        from thalweg.training.native_sums import NativeProducts

        return NativeProducts(self._sums.program, self.samples)

    @cached_property
    def _second(self) -> ExactHessian:
        return ExactHessian(
            self.network_objective, self.samples, native=not isinstance(self.program, Program)
        )

    @cached_property
    def _push(self) -> Evaluator:
        """The gradient's derivative along a direction."""
        batch = self.network_objective.batch_graph(len(self.samples.X))
        leaves, data = batch.inputs[:-3], batch.inputs[-3:]
        directions = [variable(leaf.shape, leaf.dtype) for leaf in leaves]
        pushed = forward(batch.outputs[2:], leaves, directions)
        return evaluator(Graph((*leaves, *directions, *data), tuple(pushed)))


def run_solver(task: Task, name: str, patience: Patience | None = None) -> Outcome:
    """Train by a solver of `thalweg.optim`, in float64.

    Parameters
    ----------
    task : Task
        With its options settled.
    name : str
        A key of `thalweg.optim.methods.METHODS`.
    patience : Patience, optional

    Returns
    -------
    Outcome
    """
    from thalweg.optim.solution import solve

    exact = replace(task, dtype=np.dtype(np.float64), rule=GD())
    program, engine = make_program(exact)
    problem = NetworkProblem(task.objective, task.train, program)
    start = problem.vector(task.params)
    diary = SolverDiary(Book(exact, start), problem, patience or Patience())
    if diary.book.stop is None:
        run = Run(diary.limits(), diary.iteration)
        question = Problem(problem, Bounds.none(len(start)), run=run)
        result = solve(question, start, name, diary.patience.tolerance)
        diary.close(result)
    return replace(diary.book.outcome(), engine=engine)


class SolverDiary:
    """Iterations of a solver as epochs of the book."""

    def __init__(self, book: Book, problem: NetworkProblem, patience: Patience) -> None:
        self.book, self.problem, self.patience = book, problem, patience
        self.last = math.inf
        self.entered: Vector | None = None
        checked = book.task.validation
        self.checked = checked and Samples(*(np.asarray(a, np.float64) for a in checked))

    def limits(self) -> Limits:
        """What the solver itself watches."""
        options, standard = self.book.options, Limits()
        return Limits(
            options.epochs or 0,
            self.patience.evaluations or standard.evaluations,
            standard.seconds if options.time_limit is None else options.time_limit,
        )

    def iteration(self, line: Iteration) -> bool:
        """Enter an iteration; the start is none. Returns whether to stop."""
        x: Vector = line.x
        if line.nit == 0:
            self.last = line.fun
            return False
        self.enter(x, line.fun)
        self.book.stop = self.book.reason(self._done(x, line.fun))
        self.last = line.fun
        return self.book.stop is not None

    def enter(self, x: Vector, value: float) -> None:
        """Write a point down as an epoch."""
        problem, checked = self.problem, math.nan
        if self.checked is not None:
            checked = problem.program.loss(problem.params(x), *self.checked)
        gradient = problem.gradient(x)
        norm = math.sqrt(gradient.dot(gradient))
        self.book.enter(x, value - problem.penalty(x), checked, norm, math.nan)
        self.entered = x

    def _done(self, x: Vector, value: float) -> StopReason | None:
        number, patience = len(self.book.history), self.patience
        if patience.entry and (size := largest(self.problem.gradient(x))) <= patience.entry:
            return StopReason.of("gradient", epoch=number, norm=size, limit=patience.entry)
        if patience.reduction and patience.stalled(self.last, value):
            return StopReason.of("solver", message=STALLED.filled(epoch=number))
        return None

    def take(self, x: Vector, value: float) -> None:
        """Write a point down unless it is the last one."""
        if not same_point(self.entered, x) and np.isfinite(value):
            self.enter(x, value)

    def close(self, result: Result) -> None:
        """The solver's last point and its own reason, where the book has none."""
        book, x = self.book, np.asarray(result.x)
        new = not same_point(self.entered, x)
        if book.stop is None and new and np.isfinite(result.fun) and result.nit:
            self.enter(x, float(result.fun))
        if book.stop is None:
            book.stop = _REASONS.get(result.status, _own_words)(result, book)


STALLED = Phrase("Stopped at epoch {epoch}: the objective has all but ceased to fall.")


def _own_words(result: Result, book: Book) -> StopReason:
    return StopReason.of("solver", message=result.phrase)


def _interrupted(result: Result, book: Book) -> StopReason:
    return StopReason.of("interrupted", epoch=len(book.history), best=book.kept[0])


def _diverged(result: Result, book: Book) -> StopReason:
    book.kept = book.best
    return StopReason.of("diverged", epoch=len(book.history), best=book.best[0], rate=0.0)


def _time(result: Result, book: Book) -> StopReason:
    return StopReason.of("time", epoch=len(book.history), limit=book.options.time_limit)


def _epochs(result: Result, book: Book) -> StopReason:
    return StopReason.of("epochs", epochs=len(book.history))


_REASONS: dict[Status, Callable[[Any, Book], StopReason]] = {
    Status.INTERRUPTED: _interrupted,
    Status.DIVERGED: _diverged,
    Status.NOT_FINITE: _diverged,
    Status.TIME_USED_UP: _time,
    Status.ITERATIONS_USED_UP: _epochs,
}
