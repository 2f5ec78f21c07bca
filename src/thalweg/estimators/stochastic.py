"""First-order solvers: epochs in scikit-learn's order of events, on thalweg's programs.

Shuffle, one pass of the program over all batches, enter the loss, score the held-out rows, look
for progress, change the learning rate, stop. The same seed therefore draws the same weights,
held-out rows and orders of rows as scikit-learn's, and gives its weights up to rounding.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from thalweg.errors import DataError, OptionError
from thalweg.estimators.parameters import rule_for
from thalweg.estimators.pool import shared_program
from thalweg.phrases import Phrase
from thalweg.training.batches import Samples
from thalweg.training.methods import method
from thalweg.training.program import EpochProgram, ProgramState, batch_count
from thalweg.trees import map_leaves

__all__ = ["Optimizer", "fit_epochs", "held_out"]

SMALLEST_RATE = 1e-6
"""The adaptive learning rate is divided no further."""


@dataclass
class Optimizer:
    """What goes on from one `partial_fit` to the next.

    Attributes
    ----------
    memory : list of dict
        What the rule remembers of W[1], b[1], W[2], ...
    step : int
    rate : float
        The learning rate in force.
    """

    memory: list[dict[str, NDArray[Any]]]
    step: int
    rate: float

    def change_rate(self, rate: float) -> None:
        """Another learning rate for the steps to come.

        scikit-learn's velocity is a step already, rate included; the rule's is a sum of
        gradients, and is stretched so that the steps in it keep their length.
        """
        if rate == self.rate:
            return
        for entry in self.memory:
            if "velocity" in entry:
                entry["velocity"] = entry["velocity"] * (self.rate / rate)
        self.rate = rate


def fit_epochs(
    estimator: Any, given: Samples, incremental: bool, parts: list[tuple[Samples, Samples]]
) -> bool:
    """Train by a first-order rule until there is a reason to stop, or for one epoch.

    Parameters
    ----------
    estimator : Perceptron
    given : Samples
    incremental : bool
    parts : list
        Where the held-out samples of the first of several starts are kept for the others.

    Returns
    -------
    bool
        Whether a person has interrupted it.
    """
    if estimator.early_stopping and incremental:
        raise OptionError("partial_fit does not support early_stopping=True")
    train, held = held_out(estimator, given, parts) if estimator.early_stopping else (given, None)
    rule = rule_for(method(estimator.solver), estimator)
    program = shared_program(estimator._objective(True), rule, given.X.dtype, estimator.engine)
    run = _Run(estimator, program, train, held)
    if not (incremental and hasattr(estimator, "_optimizer")):
        memory = program.start(estimator._params()).memory
        rate = float(estimator._auto("learning_rate_init"))
        estimator._optimizer = Optimizer(memory, 0, rate)
    return run.epochs(1 if incremental else estimator._auto("max_iter"), incremental)


def held_out(
    estimator: Any, given: Samples, drawn: list[tuple[Samples, Samples]]
) -> tuple[Samples, Samples]:
    """Training rows, and those that early stopping watches; drawn by the first of the starts."""
    if drawn:
        return drawn[0]
    stratify = given.T if is_classifier(estimator) and given.T.shape[1] == 1 else None
    parts = train_test_split(
        *given,
        random_state=estimator._random_state,
        test_size=estimator.validation_fraction,
        stratify=stratify,
    )
    if len(parts[1]) < 2:
        raise DataError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    drawn.append((Samples(*parts[0::2]), Samples(*parts[1::2])))
    return drawn[0]


class _Run:
    """The epochs of one call of `fit`."""

    def __init__(
        self, estimator: Any, program: EpochProgram, train: Samples, held: Samples | None
    ) -> None:
        self.estimator, self.program, self.held = estimator, program, held
        count = len(train.X)
        self.train = Samples(*(a.astype(train.X.dtype, copy=False) for a in train))
        self.batch_size = _batch_size(estimator, count)
        self.order = np.arange(count)

    def epochs(self, limit: int, incremental: bool) -> bool:
        """Run them, leave weights and books in the estimator; whether a person interrupted it."""
        own, optimizer = self.estimator, self.estimator._optimizer
        params = map_leaves(np.array, own._params())
        state = ProgramState(params, optimizer.memory, optimizer.step)
        own.n_iter_, interrupted = 0, False
        try:
            for _ in range(limit):
                self.one(state)
                optimizer.memory, optimizer.step = state.memory, state.step
                self.judge(state)
                if own.learning_rate == "invscaling" and _scheduled(own):
                    rate = own._auto("learning_rate_init") / (own.t_ + 1) ** own.power_t
                    optimizer.change_rate(float(rate))
                if self.finished():
                    break
                state.memory = optimizer.memory
            else:
                if not incremental:
                    warnings.warn(
                        Phrase(
                            "Stochastic Optimizer: Maximum iterations ({limit}) reached and the "
                            "optimization hasn't converged yet.",
                            limit=limit,
                        ).said(),
                        ConvergenceWarning,
                        stacklevel=7,
                    )
        except KeyboardInterrupt:
            interrupted = True
            warnings.warn(Phrase("Training interrupted by user.").said(), stacklevel=7)
        own._keep(state.params if self.held is None else own._best_params)
        return interrupted

    def one(self, state: ProgramState) -> None:
        """One epoch, entered in the books."""
        own, count = self.estimator, len(self.order)
        if own.shuffle:  # as sklearn.utils.shuffle draws it
            places = np.arange(count)
            own._random_state.shuffle(places)
            self.order = self.order[places]
        rates = np.full(batch_count(count, self.batch_size), own._optimizer.rate)
        loss = self.program.epoch(state, *self.train, self.order, self.batch_size, rates)
        own.n_iter_ += 1
        own.t_ += count
        own.loss_ = own._quoted(loss) + state.penalty
        own.loss_curve_.append(own.loss_)
        if own.verbose:
            print(f"Iteration {own.n_iter_}, loss = {own.loss_:.8f}")

    def judge(self, state: ProgramState) -> None:
        """Count epochs without progress: of the held-out score, or of the loss."""
        own, tol = self.estimator, self.estimator._auto("tol")
        if self.held is None:
            better = not own.loss_curve_[-1] > own.best_loss_ - tol
            own.best_loss_ = min(own.loss_curve_[-1], own.best_loss_)
        else:
            own._keep(state.params)
            score = own._score(*self.held)
            own.validation_scores_.append(score)
            if own.verbose:
                print(f"Validation score: {score:f}")
            better = not score < own.best_validation_score_ + tol
            if score > own.best_validation_score_:
                own.best_validation_score_ = score
                own._best_params = map_leaves(np.array, state.params)
        own._no_improvement_count = 0 if better else own._no_improvement_count + 1

    def finished(self) -> bool:
        """Whether to stop for want of progress; an adaptive learning rate is lowered first."""
        own = self.estimator
        if own._no_improvement_count <= own.n_iter_no_change:
            return False
        what = "Training loss" if self.held is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={own._auto('tol'):f} for "
            f"{own.n_iter_no_change} consecutive epochs."
        )
        optimizer = own._optimizer
        if own.learning_rate != "adaptive" or not _scheduled(own):
            ending = " Stopping."
        elif optimizer.rate <= SMALLEST_RATE:
            ending = " Learning rate too small. Stopping."
        else:
            optimizer.change_rate(optimizer.rate / 5.0)
            own._no_improvement_count = 0
            ending = f" Setting learning rate to {optimizer.rate:f}"
        if own.verbose:
            print(message + ending)
        return ending.endswith("Stopping.")


def _scheduled(estimator: Any) -> bool:
    """Whether `learning_rate` applies; scikit-learn's adam does without."""
    return bool(estimator.solver != "adam")


def _batch_size(estimator: Any, count: int) -> int:
    if estimator.batch_size == "auto":
        return count if method(estimator.solver).full_batch else min(200, count)
    if estimator.batch_size > count:
        warnings.warn(
            Phrase(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            ).said(),
            stacklevel=8,
        )
    return int(min(estimator.batch_size, count))
