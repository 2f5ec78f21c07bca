"""``thalweg check``: exact derivatives beside central differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich import box
from rich.table import Table as Grid
from rich.text import Text

from thalweg.cli.orders import Check
from thalweg.cli.screen import Screen, to_json
from thalweg.cli.things import formula_at, model_and_rows
from thalweg.phrases import Phrase

if TYPE_CHECKING:
    from thalweg.training.columns import Table
    from thalweg.training.model import Model

__all__ = ["Leaf", "compare", "run"]

DIFFERENT = 1
SMALL = 1e-6
MOST_CLOSELY = 200

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Leaf:
    """All derivatives with respect to one variable or one array of parameters.

    Attributes
    ----------
    name : str
    exact, numerical : array
        Of the array's shape.
    beside_kink : int
        How many entries lie so near a kink that only a smaller step does not cross it, and agrees.
    at_kink : bool
        Whether the entry that differs most lies on a kink.
    """

    name: str
    exact: Array
    numerical: Array
    beside_kink: int = 0
    at_kink: bool = False

    @property
    def errors(self) -> Array:
        """``|exact - numerical| / max(1, |exact|, |numerical|)``."""
        scale = np.maximum(1.0, np.maximum(np.abs(self.exact), np.abs(self.numerical)))
        with np.errstate(invalid="ignore"):
            errors = np.abs(self.exact - self.numerical) / scale
        found: Array = np.where(np.isnan(errors), np.inf, errors)
        return found

    @property
    def worst(self) -> dict[str, Any]:
        """The entry that differs most, counted from 1."""
        errors = self.errors
        place = np.unravel_index(int(np.argmax(errors)), errors.shape)
        counted = ", ".join(str(int(i) + 1) for i in place)
        return {
            "worst": f"{self.name}[{counted}]" if place else self.name,
            "exact": float(self.exact[place]),
            "numerical": float(self.numerical[place]),
            "error": float(errors[place]),
        }


def run(screen: Screen, order: Check) -> None:
    """Compare, and leave with 1 if something disagrees.

    Parameters
    ----------
    screen : Screen
    order : Check
    """
    title, function, point = _of_model(screen, order) if order.formula is None else _of(order)
    leaves = compare(function, point, order.tolerance)
    worst = max(leaves, key=lambda leaf: float(leaf.worst["error"]))
    ok = bool(worst.worst["error"] <= order.tolerance)
    if order.json:
        screen.write(to_json(_record(leaves, worst, order.tolerance, ok)) + "\n")
    else:
        screen.show(Text(title, style="bold"), "", _table(screen, leaves, order.tolerance), "")
        screen.show(*_verdict(screen, leaves, worst, order.tolerance, ok))
    if not ok:
        raise typer.Exit(DIFFERENT)


def _of(order: Check) -> tuple[str, Callable[[Any], Any], Any]:
    formula, values = formula_at(order.formula or "", order.things or ())
    point = ", ".join(
        f"{name} = {value:g}" for name, value in values.items() if np.ndim(value) == 0
    )
    return f"{order.formula}   ({point})", lambda given: formula(**given), values


def _of_model(screen: Screen, order: Check) -> tuple[str, Callable[[Any], Any], Any]:
    things = order.things or []
    model, rows = model_and_rows("check", things, order.row)
    title = screen.say(
        "check_title",
        model=things[0],
        rows=len(rows),
        network=screen.said(Phrase("Network {layers}", layers=model.network.phrase)),
    )
    return title, _loss_of(model, rows), _doubles(model.at(order.at or "end"))


def _loss_of(model: Model, rows: Table) -> Callable[[Any], Any]:
    """The loss over the rows as a function of the parameters, on scaled targets as in training."""
    import thalweg.numpy as tnp
    from thalweg.training.units import inside

    loss, _ = inside(model.loss, model.encoding.target_scaling, model.network.outputs)
    X, T = np.float64(model.inputs(rows)), np.float64(model.targets(rows, None))

    def objective(params: Any) -> Any:
        return tnp.mean(loss.sample(model.network(params, X), T))

    return objective


def _doubles(params: Any) -> Any:
    """The parameters in double precision: central differences need its digits."""
    from thalweg.trees import map_leaves

    return map_leaves(lambda leaf: np.array(leaf, np.float64), params)


# -- the comparison --------------------------------------------------------------------------------
def compare(function: Callable[[Any], Any], point: Any, tolerance: float) -> list[Leaf]:
    """Exact and numerical derivatives of a function at a point, leaf by leaf.

    Parameters
    ----------
    function : callable
        Of one tree of arrays; returns one number.
    point : tree
    tolerance : float

    Examples
    --------
    >>> (leaf,) = compare(lambda v: v["x"] ** 2, {"x": 3.0}, 1e-6)
    >>> leaf.name, float(leaf.exact), bool(leaf.errors < 1e-9)
    ('x', 6.0, True)
    """
    from thalweg.differentiation import grad, numerical_gradient
    from thalweg.trees import flatten, unflatten

    values, structure = flatten(point)
    arrays = [np.array(value, np.float64) for value in values]
    exact = flatten(grad(function)(point))[0]
    numerical = flatten(numerical_gradient(function, point))[0]
    found = []
    for name, at, a, b in zip(_names(point), arrays, exact, numerical, strict=True):
        leaf = Leaf(name, np.array(a, np.float64), np.array(b, np.float64))

        def value() -> float:
            return float(function(unflatten(structure, arrays)))

        found.append(_looked_at_closely(leaf, at, value, tolerance))
    return found


def _looked_at_closely(leaf: Leaf, at: Array, value: Callable[[], float], tolerance: float) -> Leaf:
    """The leaf with a smaller step where the ordinary one may have crossed a kink."""
    numerical, beside, on_kink = leaf.numerical.copy(), 0, False
    wrong = np.argwhere(leaf.errors > tolerance)[:MOST_CLOSELY]
    for place in map(tuple, wrong):
        middle, left, right = value(), *_sides(at, place, value)
        slopes = (middle - left) / SMALL, (right - middle) / SMALL
        size = max(1.0, abs(float(leaf.exact[place])))
        if abs(slopes[1] - slopes[0]) > 1e-3 * size:
            on_kink = True
        elif abs(0.5 * sum(slopes) - leaf.exact[place]) <= 1e-6 * size:
            numerical[place] = leaf.exact[place]
            beside += 1
    return replace(leaf, numerical=numerical, beside_kink=beside, at_kink=on_kink)


def _sides(at: Array, place: tuple[int, ...], value: Callable[[], float]) -> tuple[float, float]:
    """The function a small step to the left and to the right of one entry."""
    kept = at[place]
    at[place] = kept - SMALL
    left = value()
    at[place] = kept + SMALL
    right = value()
    at[place] = kept
    return left, right


def _names(point: Any) -> list[str]:
    """``w`` for variables, ``W[1]`` for parameters of layers."""
    if isinstance(point, dict):
        return list(point)
    return [f"{key}[{number}]" for number, layer in enumerate(point, 1) for key in layer]


# -- what is said ----------------------------------------------------------------------------------
def _table(screen: Screen, leaves: list[Leaf], tolerance: float) -> Grid:
    say = screen.say
    single = all(leaf.exact.ndim == 0 for leaf in leaves)
    keys = ["check_exact", "check_numerical"] if single else ["check_count", "check_largest"]
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    grid.add_column(say("check_name"))
    for key in (*keys, "check_error"):
        grid.add_column(say(key), justify="right")
    grid.add_column("")
    for leaf in leaves:
        largest = f"{float(np.max(np.abs(leaf.exact))):.6g}"
        cells = [str(leaf.exact.size), largest]
        if single:
            cells = [f"{float(leaf.exact):.12g}", f"{float(leaf.numerical):.12g}"]
        error = float(leaf.worst["error"])
        good = error <= tolerance
        mark = Text("✓" if good else "!", style="green" if good else "bold red")
        grid.add_row(leaf.name, *cells, f"{error:.1e}", mark)
    return grid


def _verdict(
    screen: Screen, leaves: list[Leaf], worst: Leaf, tolerance: float, ok: bool
) -> list[Text]:
    count = sum(leaf.exact.size for leaf in leaves)
    facts = {k: f"{v:.3g}" if isinstance(v, float) else v for k, v in worst.worst.items()}
    key = "check_agree" if ok else "check_differ"
    said = screen.say(key, count=count, tolerance=f"{tolerance:g}", **facts)
    lines = [Text(said, style="green" if ok else "bold red")]
    beside = sum(leaf.beside_kink for leaf in leaves)
    if beside:
        lines.append(Text(screen.say("check_beside_kink", count=beside)))
    if worst.at_kink:
        lines.append(Text(screen.say("check_kink")))
    return lines


def _record(leaves: list[Leaf], worst: Leaf, tolerance: float, ok: bool) -> dict[str, Any]:
    return {
        "ok": ok,
        "tolerance": tolerance,
        "count": sum(leaf.exact.size for leaf in leaves),
        **worst.worst,
        "kink": worst.at_kink,
        "entries": [
            {"name": leaf.name, "count": leaf.exact.size, "error": leaf.worst["error"]}
            for leaf in leaves
        ],
    }
