"""The training loop: epochs of a program until there is a reason to stop.

After every epoch it looks, in this order, at: numbers that are no longer finite, the goal, the
gradient, patience, what the method says, what callbacks say, time, the number of epochs. Ctrl-C
ends it like any other reason, with the weights that were best so far.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from thalweg.interrupts import answered
from thalweg.nn.network import Params
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Rule
from thalweg.optim.schedules import Schedule, schedule
from thalweg.training.batches import Orders, Samples, default_batch_size
from thalweg.training.history import Epoch, History
from thalweg.training.options import Training
from thalweg.training.program import EpochProgram, batch_count
from thalweg.training.sensitivities import Places
from thalweg.training.stopping import StopReason
from thalweg.trees import leaves

Weights = Params | NDArray[Any]

AHEAD_SECONDS = 0.02
"""How long epochs may be run ahead before they are looked at."""

AHEAD_BYTES = 4 << 20
"""What they may leave in memory."""

__all__ = ["Book", "Outcome", "Progress", "Task", "run_epochs"]


@dataclass(frozen=True)
class Task:
    """Everything a method needs to train a network.

    Parameters
    ----------
    objective : NetworkObjective
    params : list of dict
        Where to start.
    train : Samples
    validation : Samples or None
    options : Training
    rule : Rule or None
        For first-order methods.
    seed : int
        Of the order of the rows.
    dtype : numpy.dtype
    engine : {"auto", "numpy", "native"}
    unit : float
        What a loss is multiplied by to be in the target's own unit.
    own_loss : callable, optional
        ``own_loss(params)``: the training loss in the target's own unit, where `unit` cannot say.
    constraints : ConstraintSet, optional
        What the network is held to; see `thalweg.training.constraints`.
    """

    objective: NetworkObjective
    params: Params
    train: Samples
    validation: Samples | None
    options: Training
    rule: Rule | None = None
    seed: int = 0
    dtype: np.dtype[Any] = field(default=np.dtype(np.float64))
    engine: str = "auto"
    unit: float = 1.0
    own_loss: Callable[[Params], float] | None = None
    constraints: Any = None

    @property
    def sign(self) -> float:
        """1 where the loss is minimised, -1 where it is maximised."""
        return self.objective.loss.sign


@dataclass(frozen=True)
class Outcome:
    """What a method gives back.

    Attributes
    ----------
    params : list of dict
        The weights that are kept.
    history : History
    stop : StopReason
    kept_epoch : int
        The epoch after which the weights were as they are kept; 0 is the start.
    snapshots : dict of str to list of dict
        Weights by ``"init"``, ``"epoch=5"``, ``"end"``.
    engine : str
        Which engine ran: "numpy" or "native".
    constraints : ConstraintReport or None
        How well constraints hold.
    """

    params: Params
    history: History
    stop: StopReason
    kept_epoch: int
    snapshots: dict[str, Params] = field(default_factory=dict)
    engine: str = "numpy"
    constraints: Any = None


@dataclass(frozen=True)
class Progress:
    """What a callback sees after an epoch.

    Attributes
    ----------
    epoch : Epoch
    history : History
    limit : int
        The most epochs there will be.
    weights : list of dict, or vector
        As the method has them, and what takes them apart.
    figures : mapping of str to float
        What the method says of its last step: ``"mu"`` of Levenberg-Marquardt.
    """

    epoch: Epoch
    history: History
    limit: int
    weights: Weights = field(repr=False)
    taken_apart: Callable[[Weights], Params] = field(repr=False)
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def params(self) -> Params:
        """The present weights, layer by layer; a callback must not change them."""
        return self.taken_apart(self.weights)


def run_epochs(task: Task, program: EpochProgram) -> Outcome:
    """Train until there is a reason to stop.

    Parameters
    ----------
    task : Task
        With its options settled: epochs, batch size, learning rate and patience are numbers.
    program : EpochProgram

    Returns
    -------
    Outcome
    """
    run = _Run(task, program)
    book = run.book
    try:
        with answered():
            while book.stop is None:
                run.some_epochs()
    except KeyboardInterrupt:
        book.interrupt()
    return book.outcome()


class _Run:
    """One run of the loop.

    Where a program runs several epochs in one call, and nothing that it does hangs on how they
    went, some are run ahead and looked at afterwards: whatever ends training ends it at the same
    epoch, with the weights of that epoch, and a small network takes a few microseconds an epoch.
    """

    def __init__(self, task: Task, program: EpochProgram) -> None:
        options, count = task.options, len(task.train.X)
        self.task, self.program, self.options = task, program, options
        self.state = program.start(task.params)
        self.state.seed = task.seed
        self.book = Book(task, self.state.weights)
        self.batch_size = options.batch_size or default_batch_size(count)
        full = self.batch_size >= count
        self.orders = Orders(count, task.seed, options.shuffle and not full)
        self.schedule: Schedule = schedule(options.schedule)
        self.several = getattr(program, "epochs", None)
        self.check = self._check()
        self.ahead, self.seconds = 1, AHEAD_SECONDS

    def some_epochs(self) -> None:
        """Run one or more epochs and write them down, up to a reason to stop."""
        task, book, state = self.task, self.book, self.state
        began, count, done = time.perf_counter(), self._ahead(), len(book.history)
        orders = self.orders.some(count)
        rates = np.array([self._rates(done + k) for k in range(count)])
        trained: Sequence[float]
        trail: Sequence[Weights]
        if self.several is None:
            trained = [self.program.epoch(state, *task.train, orders[0], self.batch_size, rates[0])]
            trail = [state.weights]
        else:
            losses, trail = self.several(state, task.train, orders, self.batch_size, rates)
            trained = losses.tolist()
        checked = [self.check(weights) for weights in trail] if self.check else [math.nan] * count
        looked = time.perf_counter()
        self.seconds = (looked - began) / count
        for k, weights in enumerate(trail):
            norm, figures = self._gradient_norm(weights), dict(state.figures)
            # As if each had been looked at before the next: what callbacks take counts, too.
            at = began + (k + 1) * self.seconds + time.perf_counter() - looked
            book.enter(weights, trained[k], checked[k], norm, float(rates[k, 0]), figures, at)
            book.stop = book.reason(state.finished, state.figures)
            if book.stop is not None:
                return

    def _ahead(self) -> int:
        """How many epochs to run before any is looked at: few at first, for a moment at most."""
        if self.several is None or self.schedule.watches:
            return 1
        wanted = max(1, min(int(AHEAD_SECONDS / self.seconds), 4 * self.ahead))
        size = 8 * (len(self.task.train.X) + self.task.objective.network.count)
        room = max(1, AHEAD_BYTES // size)
        self.ahead = min(wanted, room, max(1, self.book.limit - len(self.book.history)))
        return self.ahead

    def _check(self) -> Callable[[Weights], float] | None:
        """What computes the validation loss of weights."""
        program, samples = self.program, self.task.validation
        if samples is None:
            return None
        whole: Callable[[Samples], Any] | None = getattr(program, "loss_over", None)
        if whole is not None:
            return cast(Callable[[Weights], float], whole(samples))
        if self.several is not None and len(samples.X):
            from thalweg.training.native_sums import NativeLosses

            return cast(Callable[[Weights], float], NativeLosses(cast(Any, program), samples))
        return lambda weights: program.loss(self.book.taken_apart(weights), *samples)

    def _rates(self, past: int) -> NDArray[np.float64]:
        """The learning rate of every batch of the epoch after so many."""
        batches = batch_count(len(self.task.train.X), self.batch_size)
        rate = self.options.learning_rate or 0.0  # of a method that needs none
        if not rate or self.schedule.name == "constant":
            return np.full(batches, rate)
        history, limit = self.book.history, self.book.limit
        losses = [self.task.sign * e.watched for e in history] if self.schedule.watches else ()
        factors = [self.schedule(past + b / batches, limit, losses) for b in range(batches)]
        return rate * np.array(factors)

    def _gradient_norm(self, weights: Weights) -> float:
        if not self.options.min_gradient:
            return math.nan
        known: Callable[[Any], float] | None = getattr(self.program, "gradient_norm", None)
        if known is not None:
            return known(self.state)
        params = self.book.taken_apart(weights)
        _, slopes = self.program.gradient(params, *self.task.train)
        return float(np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in leaves(slopes))))


class Book:
    """What every method keeps while it trains: history, best weights, and when to stop.

    Parameters
    ----------
    task : Task
    weights : list of dict, or vector
        Before the first epoch.

    Attributes
    ----------
    history : History
    stop : StopReason or None
        Set once training is to end.
    kept : tuple of (int, list of dict or vector)
        The weights to hand back and their epoch.
    """

    def __init__(self, task: Task, weights: Weights) -> None:
        options = task.options
        self.task, self.options, self.weights = task, options, weights
        self.places = Places(task.objective.network)
        self.history = History()
        self.limit: int = options.epochs or 0
        self.stop: StopReason | None = None
        if options.epochs == 0:
            self.stop = StopReason.of("epochs", epochs=0)
        self.keeps_best = (options.keep or ("best" if task.validation else "last")) == "best"
        self.best = self.kept = (0, self._copy())
        self.reference = (math.inf, 0)
        self.snapshots = {"init": self.taken_apart(self.best[1])} if 0 in options.snapshots else {}
        self.finite, self.entering = True, 0
        self.began = time.perf_counter()

    @property
    def params(self) -> Params:
        """The present weights; a vector of them is taken apart when somebody looks."""
        return self.taken_apart(self.weights)

    def taken_apart(self, weights: Weights) -> Params:
        """The weights layer by layer."""
        if not isinstance(weights, np.ndarray):
            return weights
        return self.task.objective.as_params(self.places.leaves(weights))

    def _copy(self) -> Weights:
        if isinstance(self.weights, np.ndarray):
            return self.weights.copy()
        return [{name: np.array(value) for name, value in own.items()} for own in self.weights]

    def enter(
        self,
        weights: Weights,
        trained: float,
        checked: float,
        gradient: float,
        rate: float,
        figures: Mapping[str, float] | None = None,
        at: float | None = None,
    ) -> None:
        """Write an epoch down, and keep its weights if they are to be kept.

        Parameters
        ----------
        weights : list of dict, or vector
            After the epoch.
        trained, checked : float
            Training and validation loss as they are minimised; nan without validation rows.
        gradient, rate : float
            Norm of the gradient and learning rate; nan where there is none.
        figures : mapping, optional
            What else the method has to say.
        at : float, optional
            When the epoch ended, by `time.perf_counter`; now, if nothing is said.
        """
        task, number = self.task, len(self.history) + 1
        self.weights, self.entering = weights, number
        scale = task.sign * task.unit
        seconds = (time.perf_counter() if at is None else at) - self.began
        losses = scale * trained, scale * checked
        epoch = Epoch(number, *losses, gradient, rate, seconds, figures or {})
        better = self.history.add(epoch, task.sign)
        self.finite = math.isfinite(trained) and _finite(weights)
        if not self.finite:
            return
        if number in self.options.snapshots:
            self.snapshots[f"epoch={number}"] = self.taken_apart(self._copy())
        if better or not self.keeps_best:
            now = (number, self._copy())
            self.best = now if better else self.best
            self.kept = self.best if self.keeps_best else now
        value = task.sign * epoch.watched
        if value < self.reference[0] - self.options.min_change:
            self.reference = (value, number)
        self.entering = 0

    def interrupt(self) -> None:
        """A person has pressed Ctrl-C; an epoch that was being written down does not count."""
        if self.entering and len(self.history) == self.entering != self.kept[0]:
            self.history.drop_last(self.task.sign)
            if self.best[0] == self.entering:
                self.best = self.kept
        self.stop = StopReason.of("interrupted", epoch=len(self.history), best=self.kept[0])

    # -- reasons to stop --------------------------------------------------------------------------
    def reason(
        self, finished: StopReason | None = None, figures: Mapping[str, float] | None = None
    ) -> StopReason | None:
        """Why to stop now, or None.

        Parameters
        ----------
        finished : StopReason, optional
            Why the method itself can go no further.
        figures : mapping, optional
            What else it has to say to callbacks.
        """
        options, last = self.options, self.history.epochs[-1]
        number = last.epoch
        wishes = self._wishes(last, figures or {}) if options.callbacks else []
        if not self.finite:
            self.kept = self.best
            rate = options.learning_rate or 0.0
            return StopReason.of("diverged", epoch=number, best=self.best[0], rate=rate)
        if options.goal is not None and self.reached(options.goal, last):
            return StopReason.of("goal", epoch=number, loss=self.own(last), goal=options.goal)
        if last.gradient_norm < options.min_gradient:
            norm, limit = last.gradient_norm, options.min_gradient
            return StopReason.of("gradient", epoch=number, norm=norm, limit=limit)
        if options.patience and number - self.reference[1] >= options.patience:
            return self._out_of_patience(number, options.patience)
        if finished is not None:
            return finished
        if any(wishes):
            return StopReason.of("callback", epoch=number)
        if options.time_limit is not None and last.seconds >= options.time_limit:
            return StopReason.of("time", epoch=number, limit=options.time_limit)
        return StopReason.of("epochs", epochs=number) if number >= self.limit else None

    def _wishes(self, last: Epoch, figures: Mapping[str, float]) -> list[Any]:
        """What the callbacks answer."""
        weights = self.weights, self.taken_apart
        progress = Progress(last, self.history, self.limit, *weights, figures)
        return [callback(progress) for callback in self.options.callbacks]

    def own(self, last: Epoch) -> float:
        """The training loss in the target's own unit."""
        return self.task.own_loss(self.params) if self.task.own_loss else last.training_loss

    def reached(self, goal: float, last: Epoch) -> bool:
        """Whether the training loss is as good as a goal, in the target's own unit."""
        return self.task.sign * self.own(last) <= self.task.sign * goal

    def _out_of_patience(self, number: int, patience: int) -> StopReason:
        if self.task.validation is None:
            return StopReason.of("plateau", epoch=number, patience=patience)
        best = self.kept[0]
        return StopReason.of("validation", epoch=number, patience=patience, best=best)

    def outcome(self) -> Outcome:
        """What is handed back."""
        assert self.stop is not None
        number, weights = self.kept
        params = self.taken_apart(weights)
        if "end" in self.options.snapshots:
            self.snapshots["end"] = params
        return Outcome(params, self.history, self.stop, number, self.snapshots)


def _finite(weights: Weights) -> bool:
    """Whether all are; the sum of squares of most says so, in one quick pass."""
    if isinstance(weights, np.ndarray):
        return math.isfinite(np.vdot(weights, weights)) or bool(np.isfinite(weights).all())
    return all(_finite(a) for own in weights for a in own.values())
