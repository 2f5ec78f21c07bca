"""One entry of a matrix, opened: the sum over samples it is, each term a product of numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from thalweg.errors import OptionError
from thalweg.explanation import numerical
from thalweg.explanation.network.names import at_entry
from thalweg.explanation.network.passes import Passes
from thalweg.explanation.notation import Math, add, number, put_numbers, symbols, times
from thalweg.explanation.records import (
    Array,
    Explanation,
    Section,
    Sentence,
    Step,
    Term,
    entry_name,
    product,
)
from thalweg.graph import Node
from thalweg.nn.network import Network
from thalweg.trees import flatten

__all__ = [
    "computed_entry",
    "knows",
    "of_jacobian",
    "of_layer",
    "of_local",
    "of_parameter",
    "of_sample",
    "open_entry",
]

ALIASES = {"dX": "dA[0]", "X": "A[0]", "Jy": "J_y", "JtJ": "J_yᵀ J_y", "Jtr": "J_yᵀ r"}


def knows(view: Explanation, name: str) -> bool:
    """Whether a view has a step of this name, or of what it stands for."""
    return bool({name, ALIASES.get(name, name)} & {step.id for step in view.steps()})


def open_entry(
    passes: Passes,
    layers: Explanation,
    name: str,
    row: int,
    column: int,
    *,
    sample: int = 1,
    check: bool = False,
    limit: int = 12,
) -> Explanation:
    """Open an entry of any matrix of the layer view, or of a Jacobian.

    Parameters
    ----------
    passes : Passes
    layers : Explanation
        The layer view, or that of the Jacobians.
    name : str
        ``"dW[2]"``, ``"db[1]"``, ``"dX"``, ``"Z[1]"``, ``"∂a[2]/∂a[1]"``, ...
    row, column : int
        Counted from 1.
    sample : int
        Whose Jacobian it is, counted from 1.
    check : bool
        With the central difference beside it.
    limit : int
        How many terms get a line; the others are added up in one.

    Returns
    -------
    Explanation

    Raises
    ------
    OptionError, ShapeError
        If there is no such matrix or no such entry.
    """
    known = ALIASES.get(name, name) if name not in {s.id for s in layers.steps()} else name
    step = layers.step(known)
    if step.value.size == 0 or step.role in ("rule",):
        raise OptionError("{name} has no entries", name=name)
    terms = layers.open(known, row, column)
    entry = entry_name(step.name, row, column) if step.value.ndim else step.name
    title = Sentence("title_entry", {"name": entry})
    value = np.asarray(product(terms))
    if step.recipe is None and not step.terms:
        total = computed_entry(layers, step, entry, (row, column))
        lines: list[Step] = []
    else:
        lines, total = _summed(entry, value, terms, limit)
    if check:
        total = numerical_entry(passes, known, (row, column), sample, total)
    notes = [Sentence("entry_of", {"name": step.name, "row": row, "column": column})]
    section = Section("entry", title, (*lines, total), tuple(notes))
    return Explanation("entry", title, (section,))


def _summed(
    entry: Math, value: Array, terms: tuple[Term, ...], limit: int
) -> tuple[list[Step], Step]:
    """A line for each term, and their sum."""
    lines = [_line(k, term) for k, term in enumerate(terms[:limit], start=1)]
    if len(terms) > limit:
        name_of = Math("symbol", (f"… (+{len(terms) - limit})",))
        lines.append(Step("rest", name_of, np.asarray(product(terms[limit:]))))
    shown = add(*(number(float(s.value)) for s in lines)) if len(lines) > 1 else None
    formula = add(*(times(*(f.name for f in t.factors)) for t in terms[:3]))
    if len(terms) > 3:
        formula = add(formula, Math("symbol", ("…",)))
    return lines, Step("total", entry, value, formula, shown, terms)


def computed_entry(layers: Explanation, step: Step, entry: Math, place: tuple[int, int]) -> Step:
    """An entry that is no sum: the formula of its matrix at this place, with its numbers."""
    row, column = place
    value = np.asarray(product(layers.open(step.id, row, column)))
    if step.formula is None:
        return Step(step.role, entry, value)
    shown = at_entry(step.formula, row, column)
    same = {s.name: s for s in layers.steps() if s.value.shape == step.value.shape}
    known = {
        entry_name(name, row, column): float(s.value[row - 1, column - 1])
        for name, s in same.items()
        if s.value.ndim == 2
    }
    whole = all(part in known for part in symbols(shown))
    return Step(step.role, entry, value, shown, put_numbers(shown, known) if whole else None)


def _line(k: int, term: Term) -> Step:
    formula = times(*(f.name for f in term.factors))
    numbers = times(*(number(f.value) for f in term.factors)) if len(term.factors) > 1 else None
    return Step(
        "term", Math("symbol", (f"{k}",)), np.asarray(term.value), formula, numbers, (term,)
    )


def numerical_entry(
    passes: Passes, name: str, place: tuple[int, int], sample: int, step: Step
) -> Step:
    """The step with the central difference of what it is the derivative of, where it is one."""
    row, column = place
    if name.startswith("∂"):
        estimate = of_jacobian(passes, name, sample)[row - 1, column - 1]
        return numerical.flag(replace(step, estimate=np.asarray(estimate)))
    found = re.fullmatch(r"d([WbZA])\[(\d+)\]", name)
    if not found:
        return step
    kind, layer = found[1], int(found[2])
    if kind in "Wb":
        estimate = of_parameter(passes, kind, layer, (row - 1, column - 1))
    else:
        estimate = of_sample(passes, f"{kind.lower()}[{layer}]", (row,), column)
    return numerical.flag(replace(step, estimate=np.asarray(estimate)))


def of_parameter(passes: Passes, kind: str, layer: int, place: tuple[int, ...]) -> float:
    """The central difference of the objective with respect to one weight or bias."""
    old = passes.params[layer - 1][kind]
    index = place if kind == "W" else place[:1]

    def at(value: Array) -> float:
        changed = [dict(own) for own in passes.params]
        moved = old.copy()
        moved[index] = float(value)
        changed[layer - 1][kind] = moved
        return passes.loss_at(changed, passes.X)

    return float(numerical.central(at, np.asarray(old[index])))


def of_sample(passes: Passes, label: str, place: tuple[int, ...], sample: int) -> float:
    """The central difference of one sample's loss with respect to an entry of a labelled array.

    Parameters
    ----------
    passes : Passes
    label : str
        ``"W[1]"``, ``"b[1]"``, ``"z[1]"`` or ``"a[0]"``.
    place : tuple of int
        Counted from 1.
    sample : int
        Counted from 1.
    """
    graph = passes.sample.plain if label == f"a[{passes.depth}]" else passes.sample.graph
    node = graph.labels[label]
    values: dict[Node, Array] = dict(zip(graph.inputs, _inputs(passes, sample), strict=True))
    if label[0] in "za":
        table = passes.Z if label[0] == "z" else passes.A
        values[node] = table[int(label[2:-1])][:, sample - 1]
    index = tuple(i - 1 for i in place)
    return float(numerical.slope(graph.outputs[0], node, values, index))


def of_local(passes: Passes, name: Math, sample: int) -> Array:
    """The central difference of one operation of a neuron.

    Parameters
    ----------
    passes : Passes
    name : Math
        The derivative of an activation by a weighted sum of its layer; or of a weighted sum by
        one of its weights, its bias or one of its inputs.
    sample : int
        Counted from 1.
    """
    upper, lower = name.parts
    (label, row), s = upper.parts, sample - 1
    layer = int(label[2:-1])
    if label[0] == "a":
        g, z = passes.network.layers[layer - 1].g, np.array(passes.Z[layer][:, s])

        def operation(moved: Array) -> float:
            return float(np.asarray(g(moved[None]))[0, row - 1])

        return _along(operation, z, lower.parts[1] - 1)
    own = passes.params[layer - 1]
    parts = {"w": own["W"][row - 1], "a": passes.A[layer - 1][:, s]}
    parts["b"] = own["b"][row - 1 : row] if "b" in own else np.zeros(1)
    kind = "a" if lower.parts[0] == "x" else lower.parts[0][0]

    def weighted(moved: Array) -> float:
        now = parts | {kind: moved}
        return float(now["w"] @ now["a"] + now["b"][0])

    return _along(weighted, np.array(parts[kind]), 0 if kind == "b" else lower.parts[-1] - 1)


def _along(f: Callable[[Array], float], at: Array, index: int) -> Array:
    """The central difference of f in one entry of a vector."""

    def moved(value: Array) -> float:
        at[index] = float(value)
        return f(at)

    return numerical.central(moved, np.asarray(at[index]))


def of_layer(passes: Passes, kind: str, layer: int) -> Array:
    """The central differences of every sample's loss with respect to a layer's Z or A.

    Parameters
    ----------
    passes : Passes
    kind : {"Z", "A"}
    layer : int
        0 for the inputs, which have no Z.

    Returns
    -------
    array of shape (n[l], m)
    """
    layers, loss = passes.network.layers, passes.objective.loss

    def losses(rows: Array) -> Array:
        a = rows if kind == "A" else layers[layer - 1].g(rows)
        if layer < passes.depth:
            a = Network(layers[layer:])(passes.params[layer:], a)
        return np.asarray(loss.sample(a, passes.T))

    table = passes.Z if kind == "Z" else passes.A
    return numerical.of_rows(losses, np.ascontiguousarray(table[layer].T)).T


def of_jacobian(passes: Passes, name: str, sample: int) -> Array:
    """The central differences of a Jacobian, entry by entry.

    Parameters
    ----------
    passes : Passes
    name : str
        ``"∂a[2]/∂z[2]"``: of what, with respect to what.
    sample : int
        Counted from 1.
    """
    upper, lower = (label.removeprefix("∂") for label in name.split("/"))
    graph = passes.sample.plain
    output, node = graph.labels[upper], graph.labels[lower]
    values: dict[Node, Array] = dict(zip(graph.inputs, _inputs(passes, sample), strict=True))
    table = passes.Z if lower[0] == "z" else passes.A
    values[node] = table[int(lower[2:-1])][:, sample - 1]
    return numerical.jacobian(output, node, values)


def _inputs(passes: Passes, sample: int) -> list[Array]:
    return [*flatten(passes.params)[0], passes.X[sample - 1], passes.T[sample - 1]]
