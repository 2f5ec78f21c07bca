"""Matrices written out entry by entry, so that single numbers of them can be asked for.

Examples
--------
>>> import numpy as np
>>> from thalweg.explanation import explain_network
>>> from thalweg.nn.network import Dense, Network
>>> net = Network([Dense(2, 1, bias=False)])
>>> told = explain_network(net, [{"W": np.array([[3.0, 4.0]])}], [1.0, 2.0], [0.0])
>>> str(entrywise(told.layers()).step("Z[1]₁,₁").formula)
'W[1]₁,₁ · A[0]₁,₁ + W[1]₁,₂ · A[0]₂,₁'
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from thalweg.explanation.network.entry import computed_entry
from thalweg.explanation.notation import Math, add, put_numbers, subtract, times
from thalweg.explanation.records import Explanation, Step, entry_name, product

__all__ = ["entrywise"]

MOST_ENTRIES = 12
MOST_TERMS = 12


def entrywise(view: Explanation) -> Explanation:
    """The computed matrices of a view as the formulas of their entries.

    Parameters
    ----------
    view : Explanation

    Returns
    -------
    Explanation
        Of each matrix the first `MOST_ENTRIES`; sums of more than `MOST_TERMS` are left out.
    """
    sections = []
    for section in view.sections:
        steps = [entry for step in section.steps for entry in _entries(view, step)]
        if steps:
            sections.append(replace(section, steps=tuple(steps)))
    return replace(view, sections=tuple(sections))


def _entries(view: Explanation, step: Step) -> Iterator[Step]:
    if step.value.ndim != 2 or step.formula is None:
        return
    for row, column in islice(np.ndindex(*step.value.shape), MOST_ENTRIES):
        found = _entry(view, step, row + 1, column + 1)
        if found is not None and found.numbers is not None:
            yield found


def _entry(view: Explanation, step: Step, row: int, column: int) -> Step | None:
    """An entry with its formula; None for a sum that is too long to be worked out by hand."""
    name = entry_name(step.name, row, column)
    if step.recipe is None:
        return computed_entry(view, step, name, (row, column))
    terms = view.terms_of(step, row, column)
    if len(terms) > MOST_TERMS:
        return None
    formula = _sum([times(*(f.name for f in t.factors)) for t in terms])
    values = {f.name: f.value for t in terms for f in t.factors}
    values |= {n.parts[0]: -value for n, value in values.items() if n.head == "negative"}
    numbers = put_numbers(formula, values)
    value = np.asarray(product(terms))
    return Step(step.role, name, value, formula, numbers, terms, place=step.place)


def _sum(parts: list[Math]) -> Math:
    """A sum; of a number and the negative of another, their difference."""
    if len(parts) == 2 and parts[1].head == "negative":
        return subtract(parts[0], parts[1].parts[0])
    return add(*parts)
