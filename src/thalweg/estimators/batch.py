"""Solvers that use all samples at each iteration, by the names of `thalweg.fit`.

What runs is a row of `thalweg.training.methods.METHODS`, so that a method that is added there is
a solver here. ``lbfgs`` stops by scikit-learn's rules.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from thalweg.estimators.stochastic import held_out
from thalweg.nn.objective import NetworkObjective
from thalweg.training.batches import Samples
from thalweg.training.loop import Outcome, Progress, Task
from thalweg.training.methods import Method, method, settle
from thalweg.training.options import Training

__all__ = ["fit_solver"]

REDUCTION = 1e7 * float(np.finfo(float).eps)
"""Relative fall of the objective at which SciPy's L-BFGS-B, and so scikit-learn's, stops."""


def fit_solver(estimator: Any, given: Samples, parts: list[tuple[Samples, Samples]]) -> bool:
    """Train by a solver, and leave weights and books in the estimator.

    Parameters
    ----------
    estimator : Perceptron
    given : Samples
    parts : list
        Where the held-out samples of the first of several starts are kept for the others.

    Returns
    -------
    bool
        Whether a person has interrupted it.
    """
    chosen = method(estimator.solver)
    as_theirs = chosen.name == "lbfgs"
    train, held = (given, None)
    if estimator.early_stopping and not as_theirs:
        train, held = held_out(estimator, given, parts)
    samples, checked = exact(train), None if held is None else exact(held)
    objective = estimator._objective(False)
    books = _Books(estimator, objective, samples, held)
    options = Training(
        epochs=int(estimator._auto("max_iter")),
        patience=0 if held is None else _whole(estimator.n_iter_no_change),
        min_gradient=0.0 if as_theirs else float(estimator._auto("tol")),
        snapshots=(),
        callbacks=(books.enter,),
    )
    task = Task(
        objective,
        [{k: v.astype(np.float64) for k, v in layer.items()} for layer in estimator._params()],
        samples,
        checked,
        options,
        engine=estimator.engine,
    )
    outcome = (_lbfgs(estimator) if as_theirs else chosen).run(settle(chosen, task))
    books.close(outcome)
    return outcome.stop.kind == "interrupted"


def exact(samples: Samples) -> Samples:
    """Samples as arrays of float64."""
    return Samples(*(np.asarray(a, np.float64) for a in samples))


def _whole(count: float) -> int:
    return 0 if math.isinf(count) else int(count)


def _lbfgs(estimator: Any) -> Method:
    """L-BFGS that ends where scikit-learn's does."""
    from thalweg.training.solvers import Patience, run_solver

    patience = Patience(0.0, float(estimator._auto("tol")), REDUCTION, estimator.max_fun)
    return replace(method("lbfgs"), run=partial(run_solver, name="lbfgs", patience=patience))


class _Books:
    """The estimator's attributes, kept up while the solver runs."""

    def __init__(
        self,
        estimator: Any,
        objective: NetworkObjective,
        train: Samples,
        held: Samples | None,
    ) -> None:
        self.estimator, self.objective, self.held = estimator, objective, held
        self.total = float(np.sum(train.weights))
        self.count = len(train.X)
        estimator.n_iter_ = 0

    def enter(self, progress: Progress) -> None:
        """Enter an iteration."""
        own, params = self.estimator, progress.params
        loss = self.objective.loss.sign * progress.epoch.training_loss
        own.loss_ = loss + self._penalty(params)
        own.loss_curve_.append(own.loss_)
        own.n_iter_ += 1
        own.t_ += self.count
        if self.held is None:
            own.best_loss_ = min(own.loss_, math.inf if own.best_loss_ is None else own.best_loss_)
        else:
            own._keep(params)
            own.validation_scores_.append(own._score(*self.held))
        if own.verbose:
            print(f"Iteration {own.n_iter_}, loss = {own.loss_:.8f}")

    def _penalty(self, params: Any) -> float:
        penalty = self.objective.penalty
        return float(penalty(params, self.total)) if penalty else 0.0

    def close(self, outcome: Outcome) -> None:
        """Take the weights over, and say so if the solver did not get to an end."""
        own = self.estimator
        own._keep(outcome.params)
        if self.held is not None and own.validation_scores_:
            own.best_validation_score_ = max(own.validation_scores_)
        own.n_iter_ = len(outcome.history)
        if outcome.stop.kind in ("epochs", "diverged"):
            warnings.warn(f"{own.solver}: {outcome.stop}", ConvergenceWarning, stacklevel=7)
