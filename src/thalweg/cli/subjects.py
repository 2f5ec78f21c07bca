"""What is explained: a model on some rows, an exercise typed into a file, or a formula."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from thalweg.cli.orders import Explain
from thalweg.cli.things import formula_at, is_exercise, model_and_rows
from thalweg.errors import OptionError, suggest
from thalweg.phrases import Phrase

if TYPE_CHECKING:
    from thalweg.explanation import Explanation, NetworkExplanation
    from thalweg.explanation.by_hand import Exercise

__all__ = ["VIEWS", "explanation_of"]

VIEWS = ("layers", "walk", "jacobians", "update", "health", "report")

_OF_NETWORKS = ("neuron", "view", "entry", "at", "sample")
"""Options that a formula has no use for."""


def explanation_of(order: Explain, usual: str = "layers") -> Explanation:
    """The explanation that is asked for.

    Parameters
    ----------
    order : Explain
    usual : str
        The view of a network where none is named.

    Raises
    ------
    OptionError
        If an option does not belong to what is explained.
    """
    if order.view is not None and order.view not in VIEWS:
        raise OptionError(
            "--view {view!r} does not exist.{hint}",
            view=order.view,
            hint=suggest(order.view, VIEWS),
        )
    things = order.things or []
    if order.formula is not None:
        return _of_formula(order)
    if things and is_exercise(things[0]):
        return _of_exercise(order, things, usual)
    return _of_model(order, usual)


def _refuse(order: Explain, names: tuple[str, ...], instead: Phrase) -> None:
    """Say which of the options that were given are of no use here."""
    for name in names:
        if getattr(order, name) not in (None, False):
            flag = "--" + name.replace("_", "-")
            raise OptionError("{flag} is of no use here: {instead}", flag=flag, instead=instead)


def _of_formula(order: Explain) -> Explanation:
    from thalweg.explanation import explain

    no_network = Phrase("a formula has no neurons, rows or updates.")
    _refuse(order, (*_OF_NETWORKS, "row", "updates"), no_network)
    formula, values = formula_at(order.formula or "", order.things or [])
    explained = explain(formula, take_apart=order.take_apart, check=order.check)
    return explained(**values)


def _of_model(order: Explain, usual: str) -> Explanation:
    no_exercise = Phrase("it belongs to exercises and formulas, not to models.")
    _refuse(order, ("updates", "take_apart"), no_exercise)
    model, rows = model_and_rows("explain", order.things or [], order.row)
    return _view(model.explain(rows, at=order.at or "end"), order, usual)


def _of_exercise(order: Explain, things: list[str], usual: str) -> Explanation:
    from dataclasses import replace

    from thalweg.training.explaining import read_exercise

    if len(things) > 1:
        raise OptionError(
            "{file} holds its own numbers; {other!r} has no place beside it.",
            file=things[0],
            other=things[1],
        )
    exercise = read_exercise(things[0])
    _refuse(
        order,
        ("row",),
        Phrase("the rows are those of the file; --sample 2 walks through the second."),
    )
    if order.take_apart:
        exercise = replace(exercise, take_apart=True)
    if exercise.network is None:
        _refuse(order, (*_OF_NETWORKS, "updates"), Phrase("this exercise is a formula."))
        return exercise.explanation(check=order.check)
    if order.updates is not None:
        exercise = replace(exercise, updates=_updates(order.updates))
    return _of_network(exercise, order, usual)


def _updates(count: int) -> int:
    if not 0 <= count <= 1000:
        raise OptionError("--updates {count}: from 0 to 1000 are possible.", count=count)
    return count


def _of_network(exercise: Exercise, order: Explain, usual: str) -> Explanation:
    """One view where one is asked for; else all the exercise says, update by update."""
    whole = all(getattr(order, name) is None for name in ("view", "neuron", "entry", "at"))
    if whole and usual == "layers":
        return exercise.explanation(sample=order.sample or 1, check=order.check)
    return exercise.named(_view(exercise.at(order.at or "init"), order, usual))


def _view(told: NetworkExplanation, order: Explain, usual: str) -> Explanation:
    """One view of a network."""
    sample, check = order.sample or 1, order.check
    if order.entry is not None:
        name, row, column = entry_of(order.entry)
        return told.entry(name, row, column, sample=sample, check=check)
    if order.neuron is not None:
        return told.neuron(neuron_name(order.neuron), sample=sample, check=check)
    views: dict[str, Callable[[], Explanation]] = {
        "layers": lambda: told.layers(check=check),
        "walk": lambda: told.walk(sample=sample, check=check),
        "jacobians": lambda: told.jacobians(sample=sample, check=check),
        "update": told.update,
        "health": told.health,
        "report": lambda: told.report(sample=sample, check=check),
    }
    return views[order.view or usual]()


def neuron_name(text: str) -> str:
    """A neuron as explanations know it: ``2.1`` is neuron 1 of layer 2.

    Examples
    --------
    >>> neuron_name("2.1"), neuron_name("hidden 2")
    ('2:1', 'hidden 2')
    """
    pair = re.fullmatch(r"\s*(\d+)\s*[.:,]\s*(\d+)\s*", text)
    return f"{pair[1]}:{pair[2]}" if pair else text


_MATRIX = r"[∂A-Za-z]+'?(?:\[\w+\])?(?:/[∂A-Za-z]+\[\d+\])?"


def entry_of(text: str) -> tuple[str, int, int]:
    """An entry of a matrix from ``"dW[2] 1 3"``, ``"dW[2][1,3]"`` or ``"da[2]/dz[1] 1 2"``.

    Raises
    ------
    OptionError
        If the text names no entry.

    Examples
    --------
    >>> entry_of("dW[2] 1 3"), entry_of("db[1][2]"), entry_of("dX 1,2")
    (('dW[2]', 1, 3), ('db[1]', 2, 1), ('dX', 1, 2))
    >>> entry_of("da[2]/da[1] 1 2")
    ('da[2]/da[1]', 1, 2)
    """
    found = re.fullmatch(rf"\s*({_MATRIX})[\s\[(,]*(\d+)(?:[\s,]+(\d+))?[\])\s]*", text)
    if not found:
        raise OptionError(
            '--entry {text!r} names no entry: write matrix, row and column, as in "dW[2] 1 3", '
            '"db[1] 2", "dX 1 3" or "da[2]/da[1] 1 2".',
            text=text,
        )
    return found[1], int(found[2]), int(found[3] or 1)
