"""A model's rows explained, with the scaling, the rule and the penalty that were in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.explanation.network import Columns, NetworkExplanation, Setting, explain_network
from thalweg.nn.objective import Penalty
from thalweg.optim.rules import RULES, Rule
from thalweg.training.columns import Table
from thalweg.training.data import table_of_rows
from thalweg.training.units import inside

if TYPE_CHECKING:
    from thalweg.training.model import Model

__all__ = ["explain_model"]


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
    setting = Setting(
        weights=weights,
        penalty=Penalty(settings.get("l1", 0.0), settings.get("l2", 0.0)),
        input_scaling=encoding.input_scaling,
        target_scaling=encoding.target_scaling if quantities else None,
        columns=_columns(model),
    )
    return explain_network(
        model.network,
        model.at(at),
        encoding.inputs(table, scaled=False),
        model.targets(X, y, scaled=False),
        loss,
        _rule(model),
        setting,
    )


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
