"""The estimators' parameters: what may be given, and what ``"auto"`` means for each solver.

scikit-learn's defaults are made for its own three solvers, and for those they hold. A tolerance
of 1e-4 and 200 iterations would end the others long before they are done.

Examples
--------
>>> auto("tol", "adam"), auto("tol", "bfgs")
(0.0001, 1e-07)
>>> auto("max_iter", "lbfgs"), auto("max_iter", "gd")
(200, 2000)
"""

from __future__ import annotations

from dataclasses import fields, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from thalweg.estimators.adam import ShortAdam
from thalweg.nn.losses import Loss
from thalweg.optim.rules import Momentum, Nesterov, Rule
from thalweg.training.engines import ENGINES
from thalweg.training.methods import Method, method

__all__ = ["CONSTRAINTS", "DEFAULTS", "auto", "rule_for", "store"]

FROM_ZERO = Interval(Real, 0, None, closed="left")
COUNT = Interval(Integral, 1, None, closed="left")
BELOW_ONE = Interval(Real, 0, 1, closed="left")

CONSTRAINTS: dict[str, Any] = {
    "hidden_layer_sizes": ["array-like", COUNT],
    "activation": [str],
    "solver": [str, Rule],
    "alpha": [StrOptions({"auto"}), FROM_ZERO],
    "batch_size": [StrOptions({"auto"}), COUNT],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    "power_t": [FROM_ZERO],
    "max_iter": [StrOptions({"auto"}), COUNT],
    "loss": [str, Loss],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [StrOptions({"auto"}), FROM_ZERO],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [BELOW_ONE],
    "beta_1": [BELOW_ONE],
    "beta_2": [BELOW_ONE],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [COUNT, Options(Real, {np.inf})],
    "max_fun": [COUNT],
    "engine": [StrOptions(set(ENGINES))],
    "restarts": [COUNT],
}
"""What scikit-learn checks before a fit."""

SCIKIT_LEARN = {"alpha": 1e-4, "learning_rate_init": 1e-3, "max_iter": 200, "tol": 1e-4}
"""Its defaults, for its own solvers."""

OWN = ("adam", "lbfgs", "sgd")

DEFAULTS = {"momentum": 0.9, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
"""Hyperparameters of rules; a rule that is not scikit-learn's keeps its own where these stand."""

_FIELDS = {"momentum": "momentum", "beta1": "beta_1", "beta2": "beta_2", "epsilon": "epsilon"}


def auto(name: str, solver: str | Rule) -> Any:
    """What ``"auto"`` stands for.

    Parameters
    ----------
    name : {"alpha", "learning_rate_init", "max_iter", "tol"}
    solver : str or Rule

    Returns
    -------
    float or int
        scikit-learn's default for ``"sgd"``, ``"adam"`` and ``"lbfgs"``. Otherwise no penalty, the
        rule's own learning rate, the method's own number of epochs, and a tolerance of 1e-7.
    """
    if isinstance(solver, str) and solver in OWN:
        return SCIKIT_LEARN[name]
    chosen = method(solver)
    rate = chosen.rule.learning_rate if chosen.rule is not None else SCIKIT_LEARN[name]
    own = {"alpha": 0.0, "learning_rate_init": rate, "max_iter": chosen.epochs, "tol": 1e-7}
    return own[name]


def rule_for(chosen: Method, estimator: Any) -> Rule:
    """The first-order rule of a solver with the estimator's hyperparameters.

    scikit-learn's ``sgd`` has momentum, Nesterov's by default. A rule given as an object keeps
    everything it states.
    """
    if isinstance(estimator.solver, Rule):
        return estimator.solver
    rule = chosen.rule
    assert rule is not None
    if chosen.name == "sgd":
        kind = Nesterov if estimator.nesterovs_momentum else Momentum
        return kind(momentum=float(estimator.momentum))
    given = {
        field.name: float(getattr(estimator, _FIELDS[field.name]))
        for field in fields(rule)
        if field.name in _FIELDS
    }
    if chosen.name == "adam":
        return ShortAdam(**given)
    changed = {name: v for name, v in given.items() if v != DEFAULTS[_FIELDS[name]]}
    return replace(rule, **changed)


def store(estimator: Any, given: dict[str, Any]) -> None:
    """Keep what a constructor was given, its ``locals()``, unchanged, as scikit-learn asks.

    The constructors spell their parameters out, because scikit-learn reads the signatures.
    """
    vars(estimator).update((name, value) for name, value in given.items() if name != "self")
