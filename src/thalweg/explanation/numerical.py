"""Central differences beside exact derivatives, for any node of a graph.

The part of the graph behind a node is held, the node itself is moved a little in both directions.
Two step sizes are extrapolated, so that the error is of the order of the fourth power of the
step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.differentiation import Edge
from thalweg.explanation.records import Array, Explanation, Sentence, Step
from thalweg.graph import Graph, Node, free_variables, substitute, variable
from thalweg.interpreter import plan

__all__ = ["agreement", "central", "flag", "flagged", "jacobian", "local", "of_rows", "slope"]

TOLERANCE = 1e-6
STEP = 0.5 * np.finfo(np.float64).eps ** 0.2
SMOOTH, FINER = 1e-5, (1.0, 1 / 32, 1 / 1024)
"""A step is taken for too wide, and made finer, where half of it gives another slope."""


def central(f: Callable[[Array], Any], at: Array) -> Array:
    """The derivative of a function with one number as its result, entry by entry.

    Examples
    --------
    >>> float(central(lambda x: float(x) ** 3, np.array(2.0)).round(9))
    12.0
    """
    point = np.array(at, dtype=np.float64)
    found = np.empty(point.shape)
    with np.errstate(all="ignore"):
        for index in np.ndindex(point.shape):
            found[index] = _central_at(f, point, index)
    return found


def of_rows(f: Callable[[Array], Any], at: Array) -> Array:
    """The derivatives of many functions at once: each row of `at` has a result of its own.

    Parameters
    ----------
    f : callable
        From an array of shape (rows, columns) to one of shape (rows,).
    at : array of shape (rows, columns)

    Examples
    --------
    >>> of_rows(lambda X: X[:, 0] * X[:, 1], np.array([[2.0, 3.0], [4.0, 5.0]])).round(9)
    array([[3., 2.],
           [5., 4.]])
    """
    found = np.empty(at.shape)
    with np.errstate(all="ignore"):
        for k in range(at.shape[1]):
            found[:, k] = _column(f, at, k)
    return found


def _column(f: Callable[[Array], Any], at: Array, k: int) -> Array:
    """Central differences in one column of `at`, extrapolated; finer ones where they differ."""
    found = np.full(len(at), np.nan)
    rough = np.ones(len(at), np.bool_)
    for finer in FINER:
        step = STEP * finer * np.maximum(1.0, np.abs(at[:, k]))
        slopes = []
        for h in (step, step / 2):
            above, below = at.copy(), at.copy()
            above[:, k] += h
            below[:, k] -= h
            width = above[:, k] - below[:, k]
            slopes.append((np.asarray(f(above)) - np.asarray(f(below))) / width)
        found[rough] = ((4 * slopes[1] - slopes[0]) / 3)[rough]
        rough &= ~(np.abs(slopes[1] - slopes[0]) <= SMOOTH * np.maximum(1.0, np.abs(slopes[1])))
        if not rough.any():
            break
    return found


def _central_at(f: Callable[[Array], Any], point: Array, index: tuple[int, ...]) -> float:
    """Two central differences in one entry of `point`, which is put back, extrapolated."""
    middle = point[index]
    for finer in FINER:
        step = float(STEP * finer * max(1.0, abs(float(middle))))
        slopes = []
        for h in (step, step / 2):
            point[index] = middle + h
            above, high = float(f(point)), float(point[index])
            point[index] = middle - h
            below, low = float(f(point)), float(point[index])
            slopes.append((above - below) / (high - low))
        if abs(slopes[1] - slopes[0]) <= SMOOTH * max(1.0, abs(slopes[1])):
            break
    point[index] = middle
    return (4 * slopes[1] - slopes[0]) / 3


def slope(
    output: Node,
    node: Node,
    values: Mapping[Node, Array],
    place: tuple[int, ...] | None = None,
) -> Array:
    """The numerical derivative of the output with respect to a node, or to one entry of it."""
    moved = variable(node.shape, node.dtype)
    image = substitute([output], {node: moved})[output]
    inputs = tuple(free_variables([image], [moved]))
    evaluate = plan(Graph((moved, *inputs), (image,)))
    held = [values[i] for i in inputs]
    if place is not None:
        whole = np.array(values[node], dtype=np.float64)

        def at(x: Array) -> Any:
            whole[place] = float(x)
            return evaluate([whole, *held])[0]

        return central(at, np.asarray(whole[place]))
    return central(lambda x: evaluate([x, *held])[0], values[node])


def jacobian(output: Node, node: Node, values: Mapping[Node, Array]) -> Array:
    """The numerical derivatives of a vector with respect to a vector, one row for each entry."""
    moved = variable(node.shape, node.dtype)
    image = substitute([output], {node: moved})[output]
    inputs = tuple(free_variables([image], [moved]))
    evaluate = plan(Graph((moved, *inputs), (image,)))
    held = [values[i] for i in inputs]

    def row(k: int) -> Array:
        return central(lambda x: evaluate([x, *held])[0][k], values[node])

    return np.stack([row(k) for k in range(output.shape[0])])


def local(edge: Edge, values: Mapping[Node, Array]) -> Array:
    """The numerical local derivative of an operation that has one of its operand's shape."""
    primitive = edge.consumer.primitive
    assert primitive is not None
    if "axes" in edge.consumer.attributes:  # every entry of the operand moves one entry
        attributes = edge.consumer.attributes
        return central(lambda x: np.sum(primitive.evaluate(x, **attributes)), values[edge.source])
    operands = [np.asarray(values[i], dtype=np.float64) for i in edge.consumer.inputs]
    at = operands[edge.position]
    flat = np.empty(at.shape)
    for index in np.ndindex(at.shape):
        others = [o[index] for o in operands]

        def of_one(x: Array, others: list[Any] = others) -> Any:
            changed = [x if k == edge.position else o for k, o in enumerate(others)]
            return primitive.evaluate(*changed, **edge.consumer.attributes)

        flat[index] = central(of_one, at[index])
    return flat


def flagged(explanation: Explanation) -> Explanation:
    """Say it where an estimate disagrees with the exact derivative."""
    sections = tuple(
        replace(s, steps=tuple(flag(step) for step in s.steps)) for s in explanation.sections
    )
    return replace(explanation, sections=sections)


def agrees(step: Step) -> bool:
    """Whether the estimate of a step is its value, up to rounding."""
    assert step.estimate is not None
    with np.errstate(invalid="ignore"):
        error = np.abs(step.value - step.estimate)
        scale = np.maximum(1.0, np.maximum(np.abs(step.value), np.abs(step.estimate)))
        return bool(np.all(error <= TOLERANCE * scale))


def agreement(step: Step) -> str:
    """The key of what is said beside the largest difference of a matrix."""
    return "largest_difference" if agrees(step) else "largest_disagreement"


def flag(step: Step) -> Step:
    """The step with a note if its estimate disagrees with its value."""
    if step.estimate is None or agrees(step):
        return step
    return replace(step, notes=(*step.notes, Sentence("disagrees", {"name": step.name})))
