"""Scaling, the first and the last step of the chain: columns in their own units and as trained on.

``x = (X - c) · s`` before the first layer; ``Y = a / s + c`` behind the last one; and by the chain
rule ``∂J/∂X = ∂J/∂x · s``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.explanation.network import names
from thalweg.explanation.network.passes import Passes
from thalweg.explanation.notation import (
    Math,
    add,
    divide,
    number,
    partial,
    put_numbers,
    subtract,
    symbol,
    symbols,
    times,
)
from thalweg.explanation.records import Array, Factor, Sentence, Step, Term

__all__ = ["Scales", "scaled_inputs", "scaled_targets", "unscaled_slopes"]


@dataclass(frozen=True, eq=False)
class Scales:
    """How inputs and targets were scaled: the first and the last step of the chain.

    Parameters
    ----------
    inputs, targets : object with ``apply(rows)`` and ``undo(rows)``, or None
        As `thalweg.training` has them; shifts and stretches of columns.
    X, T : array or None
        Rows in their own units.
    """

    inputs: Any = None
    targets: Any = None
    X: Array | None = None
    T: Array | None = None

    def slope(self, which: Any, width: int) -> Array:
        """How much one unit more changes each scaled column, shape (width, 1)."""
        ends = which.apply(np.stack([np.zeros(width), np.ones(width)]))
        return np.asarray(ends[1] - ends[0])[:, None]

    def shift(self, which: Any, width: int) -> Array:
        """The value that becomes 0, shape (width, 1)."""
        return np.asarray(which.undo(np.zeros((1, width)))).T


def _filled(formula: Math, **values: float) -> Math:
    """A formula of X or D, a, c and s with their numbers."""

    def of(part: Math) -> float | None:
        return values.get(str(part.parts[0])[0]) if part.head == "symbol" else None

    known = {part: found for part in symbols(formula) if (found := of(part)) is not None}
    return put_numbers(formula, known)


def scaled_inputs(scales: Scales, passes: Passes, sample: int, limit: int) -> list[Step]:
    """``x₁ = (X₁ - c) · s`` for the inputs of one sample; none where they are not scaled."""
    if scales.inputs is None or scales.X is None:
        return []
    width = passes.network.inputs
    slope, shift = scales.slope(scales.inputs, width), scales.shift(scales.inputs, width)
    steps = []
    for i in range(1, min(limit, width) + 1):
        formula = times(subtract(symbol("X", i), symbol("c[0]", i)), symbol("s[0]", i))
        own, c, s = (
            float(scales.X[sample - 1, i - 1]),
            float(shift[i - 1, 0]),
            float(slope[i - 1, 0]),
        )
        steps.append(
            Step(
                "scaling",
                names.activation(0, i),
                np.asarray(passes.A[0][i - 1, sample - 1]),
                formula,
                _filled(formula, X=float(own), c=float(c), s=float(s)),
                place=_column(passes.columns.inputs, i),
            )
        )
    return steps


def scaled_targets(scales: Scales, passes: Passes, sample: int) -> list[Step]:
    """``t₁ = (D₁ - c) · s`` and ``Y₁ = a₁ / s + c`` for one sample."""
    if scales.targets is None or scales.T is None:
        return []
    width, last = passes.network.outputs, passes.depth
    slope, shift = scales.slope(scales.targets, width), scales.shift(scales.targets, width)
    back = np.asarray(scales.targets.undo(passes.A[last][:, sample - 1][None, :]))[0]
    steps = []
    for k in range(1, width + 1):
        c, s = float(shift[k - 1, 0]), float(slope[k - 1, 0])
        place = _column(passes.columns.outputs, k)
        formula = times(subtract(symbol("D", k), symbol("c[t]", k)), symbol("s[t]", k))
        numbers = _filled(formula, D=float(scales.T[sample - 1, k - 1]), c=c, s=s)
        value = np.asarray(passes.T[sample - 1, k - 1])
        steps.append(Step("scaling", symbol("t", k), value, formula, numbers, place=place))
        a = names.activation(last, k)
        formula = add(divide(a, symbol("s[t]", k)), symbol("c[t]", k))
        numbers = _filled(formula, a=float(passes.A[last][k - 1, sample - 1]), c=c, s=s)
        value = np.asarray(back[k - 1])
        steps.append(Step("prediction", symbol("Y", k), value, formula, numbers, place=place))
    return steps


def unscaled_slopes(
    scales: Scales, passes: Passes, sample: int, limit: int, of: Callable[[int], Step]
) -> list[Step]:
    """``∂J/∂X₁ = ∂J/∂x₁ · s₁``; `of` gives the step of ``∂J/∂x₁``."""
    if scales.inputs is None or scales.X is None:
        return []
    width = passes.network.inputs
    slope = scales.slope(scales.inputs, width)
    inner = [of(i) for i in range(1, min(limit, width) + 1)]
    outer = []
    for i, step in enumerate(inner, start=1):
        goal, s = step.name.parts[0], float(slope[i - 1, 0])
        factors = (Factor(step.name, float(step.value)), Factor(symbol("s[0]", i), s))
        name = partial(goal, symbol("X", i))
        formula = times(*(f.name for f in factors))
        numbers = times(*(number(f.value) for f in factors))
        term = Term(factors)
        place = _column(passes.columns.inputs, i)
        outer.append(
            Step("scaling", name, np.asarray(term.value), formula, numbers, (term,), place=place)
        )
    return [*inner, *outer]


def _column(columns: tuple[str, ...], index: int) -> Sentence | None:
    return Sentence("column", {"name": columns[index - 1]}) if columns else None
