"""A model's rows explained, with the scaling, the method and the penalty that were in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from thalweg import explanation
from thalweg.errors import OptionError, suggest
from thalweg.explanation import by_hand
from thalweg.explanation.by_hand import Exercise
from thalweg.explanation.network import Columns, NetworkExplanation, Setting
from thalweg.nn.losses import Loss
from thalweg.nn.network import Network
from thalweg.nn.objective import Penalty
from thalweg.optim.rules import RULES, Rule
from thalweg.training.columns import Table
from thalweg.training.data import table_of_rows
from thalweg.training.options import training_options
from thalweg.training.units import inside

if TYPE_CHECKING:
    from thalweg.training.model import Model
    from thalweg.training.solver_steps import NextStep

__all__ = ["explain_model", "explain_network", "parse_exercise", "read_exercise"]


def explain_model(
    model: Model, X: Any, y: Any = None, *, at: str = "end", weights: Any = None
) -> NetworkExplanation:
    """Explain a model on some rows.

    Parameters
    ----------
    model : Model
    X : array-like, table, dataframe or path
    y : array-like, optional
        Left out where X is a table that holds the targets.
    at : str
        ``"end"``, ``"init"`` or ``"epoch=5"``: whose weights.
    weights : array-like of shape (m,), optional

    Returns
    -------
    NetworkExplanation

    Raises
    ------
    OptionError
        If no weights were kept at that moment.
    """
    encoding, settings = model.encoding, model.origin.settings
    table = X if isinstance(X, Table) else table_of_rows(X, encoding)
    loss, _ = inside(model.loss, encoding.target_scaling, model.network.outputs)
    quantities = encoding.classes is None
    method = _method(model, at)
    setting = Setting(
        weights=weights,
        penalty=Penalty(settings.get("l1", 0.0), settings.get("l2", 0.0)),
        input_scaling=encoding.input_scaling,
        target_scaling=encoding.target_scaling if quantities else None,
        columns=_columns(model),
        trained_by="" if method else model.origin.method,
    )
    return explanation.explain_network(
        model.network,
        model.at(at),
        encoding.inputs(table, scaled=False),
        model.targets(X, y, scaled=False),
        loss,
        method,
        setting,
    )


def _method(model: Model, at: str) -> Rule | NextStep | None:
    """The rule, or the solver's next step; solvers are not even loaded for models of a rule."""
    if model.origin.method in RULES:
        return _rule(model)
    from thalweg.training.solver_steps import EXPLAINED

    return _next_step(model, at) if model.origin.method in EXPLAINED else None


def _next_step(model: Model, at: str) -> NextStep:
    """The solver's step after a moment, with what the history and the first weights tell."""
    from thalweg.training.solver_steps import Moment, NextStep

    origin = model.origin
    epoch = {"end": origin.kept_epoch, "init": 0}.get(at)
    epoch = int(at.partition("=")[2]) if epoch is None else epoch
    figures = dict(origin.history.epochs[epoch - 1].figures) if epoch else {}
    moment = Moment(epoch, figures, model.snapshots.get("init"), len(origin.split.train))
    options = training_options(origin.settings.get("damping") or {})
    return NextStep(origin.method, origin.settings.get("engine", "numpy"), moment, options)


def _columns(model: Model) -> Columns:
    """The table's names of inputs and outputs; of two classes in one output, the second's."""
    outputs = model.encoding.outputs[-model.network.outputs :]
    return Columns(tuple(model.encoding.features), tuple(outputs))


def _rule(model: Model) -> Rule | None:
    """The rule as it was set, for methods that are rules."""
    settings = model.origin.settings
    kind, numbers = RULES.get(model.origin.method), settings.get("rule")
    if kind is None or not isinstance(numbers, dict):
        return None
    return kind(**{**numbers, "learning_rate": settings["learning_rate"]})


def explain_network(
    network: Network,
    params: Sequence[Mapping[str, Any]],
    x: ArrayLike,
    t: ArrayLike,
    loss: Loss | str = "mse",
    rule: Rule | str | None = None,
    setting: Setting | None = None,
) -> NetworkExplanation:
    """Show every step of backpropagation of a network at a point.

    Parameters
    ----------
    network : Network
    params : list of dict
        ``{"W": (n[l], n[l-1]), "b": (n[l],)}`` for each layer.
    x, t : array-like
        One sample, shapes (n[0],) and (n[L],), or rows of samples.
    loss : Loss or str
    rule : Rule or str, optional
        The optimiser whose update is shown: a first-order rule, or the name of a solver (``"lm"``,
        ``"newton"``, ``"bfgs"``, ``"cg"``, ...), which begins here. Gradient descent by default.
    setting : thalweg.explanation.Setting, optional
        Optimiser state, sample weights, penalty, scaling.

    Returns
    -------
    NetworkExplanation
        Its methods are the views.

    Raises
    ------
    ShapeError
        If arrays do not fit the network.
    OptionError
        If a name is not known.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> net = tw.Network([tw.Dense(1, 1, bias=False)])
    >>> params = [{"W": np.array([[1.0]])}]
    >>> told = tw.explain_network(net, params, [[2.0]], [[6.0]], "mse", "newton")
    >>> told.update().step("H").value  # of (2w - 6)²
    array([[8.]])
    """
    if isinstance(rule, str) and rule not in RULES:
        method: Any = _solver(rule)
    else:
        method = rule
    return explanation.explain_network(network, params, x, t, loss, method, setting)


def _solver(name: str) -> NextStep:
    from thalweg.training.solver_steps import EXPLAINED, NextStep

    if name not in EXPLAINED:
        raise OptionError(
            "there is no rule or solver {name}.{hint}",
            name=repr(name),
            hint=suggest(name, [*RULES, *EXPLAINED]),
        )
    return NextStep(name)


def read_exercise(path: str | Path) -> Exercise:
    """Read an exercise from a TOML or JSON file.

    Parameters
    ----------
    path : str or Path
        `thalweg.explanation.by_hand` describes the file.

    Returns
    -------
    Exercise

    Raises
    ------
    DataError
        If the file is missing or says something that cannot be understood: what, and where.
    """
    return by_hand.read_exercise(path, _plan)


def parse_exercise(text: str, name: str = "exercise", *, json_form: bool = False) -> Exercise:
    """Read an exercise from text.

    Raises
    ------
    DataError
        With the name of the key that is wrong.

    Examples
    --------
    >>> exercise = parse_exercise('''
    ... rule = "lm"
    ... x = [[1.0]]
    ... t = [[3.0]]
    ... [[layers]]
    ... W = [[1.0]]
    ... ''')
    >>> round(float(exercise.told(2).passes.params[0]["W"].item()), 2)
    3.0
    """
    return by_hand.parse_exercise(text, name, json_form=json_form, solver=_plan)


def _plan(name: str) -> by_hand.Plan:
    """The steps of a solver, one after the other."""
    from thalweg.training.solver_steps import following

    return following(_solver(name).method)
