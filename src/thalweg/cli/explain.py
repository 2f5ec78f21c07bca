"""``thalweg explain``: every derivative of a model on some rows, or of a formula."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rich.text import Text

from thalweg.cli.orders import Explain
from thalweg.cli.paths import writable
from thalweg.cli.rows import labelled_rows
from thalweg.cli.screen import Screen
from thalweg.cli.things import formula_at, model_and_data
from thalweg.errors import OptionError, suggest

if TYPE_CHECKING:
    from thalweg.explanation import Explanation, NetworkExplanation

__all__ = ["run"]

VIEWS = ("layers", "walk", "jacobians", "update", "health", "report")


def run(screen: Screen, order: Explain) -> None:
    """Explain, and write it down.

    Parameters
    ----------
    screen : Screen
    order : Explain
    """
    if order.view not in VIEWS:
        raise OptionError(
            "--view {view!r} does not exist.{hint}",
            view=order.view,
            hint=suggest(order.view, VIEWS),
        )
    things = order.things or []
    path = None if order.output is None else writable(order.output, order.force, *things)
    explanation = _of_model(order) if order.formula is None else _of_formula(order)
    if path is not None:
        text = explanation.write(order.form, screen.lang)
        path.write_text(text, encoding="utf-8")
        screen.note(Text(screen.say("written_text", path=path)))
    elif order.form == "terminal":
        from thalweg.explanation.render.terminal import renderable

        screen.show(renderable(explanation, screen.lang))
    else:
        screen.write(explanation.write(order.form, screen.lang).rstrip("\n") + "\n")


def _of_formula(order: Explain) -> Explanation:
    from thalweg.explanation import explain

    formula, values = formula_at(order.formula or "", order.things or [])
    explained = explain(formula, take_apart=order.take_apart, check=order.check)
    return explained(**values)


def _of_model(order: Explain) -> Explanation:
    from thalweg.training.model_file import load

    model_path, data_path = model_and_data("explain", order.things or [])
    model = load(model_path)
    rows = labelled_rows(model, data_path, order.row)
    told: NetworkExplanation = model.explain(rows, at=order.at)
    if order.entry is not None:
        return told.entry(*_place(order.entry), check=order.check)
    if order.neuron is not None:
        return told.neuron(neuron_name(order.neuron))
    views: dict[str, Any] = {
        "layers": lambda: told.layers(check=order.check),
        "walk": told.walk,
        "jacobians": told.jacobians,
        "update": told.update,
        "health": told.health,
        "report": told.report,
    }
    found: Explanation = views[order.view]()
    return found


def neuron_name(text: str) -> str:
    """A neuron as explanations know it: ``2.1`` is neuron 1 of layer 2.

    Examples
    --------
    >>> neuron_name("2.1"), neuron_name("hidden 2")
    ('2:1', 'hidden 2')
    """
    pair = re.fullmatch(r"\s*(\d+)\s*[.:,]\s*(\d+)\s*", text)
    return f"{pair[1]}:{pair[2]}" if pair else text


def _place(text: str) -> tuple[str, int, int]:
    """An entry of a matrix from ``"dW[2] 1 3"`` or ``"dW[2][1,3]"``.

    Examples
    --------
    >>> _place("dW[2] 1 3"), _place("db[1][2]"), _place("dX 1,2")
    (('dW[2]', 1, 3), ('db[1]', 2, 1), ('dX', 1, 2))
    """
    found = re.fullmatch(r"\s*([A-Za-z]+(?:\[\d+\])?)[\s\[(,]*(\d+)(?:[\s,]+(\d+))?[\])\s]*", text)
    if not found:
        raise OptionError(
            '--entry {text!r} names no entry: write matrix, row and column, as in "dW[2] 1 3".',
            text=text,
        )
    return found[1], int(found[2]), int(found[3] or 1)
