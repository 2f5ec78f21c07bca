"""Exact derivatives held against numerical ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.differentiation.transforms import jacobian
from thalweg.errors import ShapeError
from thalweg.interpreter import plan
from thalweg.tracing import as_array, trace_tree
from thalweg.trees import flatten, paths, unflatten

__all__ = ["GradientCheck", "check_gradients", "numerical_gradient"]


@dataclass(frozen=True)
class GradientCheck:
    """The outcome of `check_gradients`.

    Attributes
    ----------
    ok : bool
        Whether every entry agrees within the tolerance.
    worst : str
        The entry that differs most, as one would write it in Python.
    exact, numerical : float
        Its two derivatives.
    error : float
        ``|exact - numerical| / max(1, |exact|, |numerical|)`` of that entry.
    tolerance : float
    count : int
        How many derivatives were compared.
    kink : bool
        Whether the one-sided slopes differ there: the function has a kink at this point.
    """

    ok: bool
    worst: str
    exact: float
    numerical: float
    error: float
    tolerance: float
    count: int
    kink: bool

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        verdict = "agree" if self.ok else "DIFFER"
        text = (
            f"{self.count} derivatives {verdict} with central differences (tolerance "
            f"{self.tolerance:g}). Worst: {self.worst}: exact {self.exact:.12g}, numerical "
            f"{self.numerical:.12g}, relative error {self.error:.2e}."
        )
        if self.kink:
            text += " The slopes on both sides differ: the function has a kink here."
        return text


def check_gradients(f: Callable[..., Any], *args: Any, tolerance: float = 1e-7) -> GradientCheck:
    """Compare exact derivatives of a function with central differences.

    Parameters
    ----------
    f : callable
        Of arrays or trees of floats; its result may have any shape.
    *args
        The point.
    tolerance : float
        Of the relative error (absolute below 1).

    Returns
    -------
    GradientCheck
        True if all agree; prints as a sentence that names the worst entry.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg.numpy as tnp
    >>> print(check_gradients(lambda x: tnp.sum(tnp.sin(x)), np.array([1.0, 2.0])))
    2 derivatives agree with central differences (tolerance 1e-07). Worst: x[...]: exact ...
    """
    numbers = tuple(range(len(args)))
    exact_tree = jacobian(f, argnums=numbers)(*args)
    numerical, kinks, names = _numerical_columns(f, args)
    traced = trace_tree(f, args)
    leaves = flatten(exact_tree)[0]
    width = len(traced.graph.inputs)
    columns = []
    for position in range(width):
        rows = [
            np.reshape(
                leaves[k * width + position], (output.size, traced.graph.inputs[position].size)
            )
            for k, output in enumerate(traced.graph.outputs)
        ]
        columns.append(np.concatenate(rows))
    exact = np.concatenate(columns, axis=1)
    scale = np.maximum(1.0, np.maximum(np.abs(exact), np.abs(numerical)))
    with np.errstate(invalid="ignore"):
        errors = np.abs(exact - numerical) / scale
    errors = np.where(np.isnan(errors), np.inf, errors)
    if not errors.size:
        return GradientCheck(True, "nothing to compare", 0.0, 0.0, 0.0, tolerance, 0, False)
    row, column = np.unravel_index(np.argmax(errors), errors.shape)
    name = names[column] + (f" of result entry {row}" if errors.shape[0] > 1 else "")
    worst = float(errors[row, column])
    return GradientCheck(
        worst <= tolerance,
        name,
        float(exact[row, column]),
        float(numerical[row, column]),
        worst,
        tolerance,
        errors.size,
        bool(kinks[column]),
    )


def numerical_gradient(f: Callable[..., Any], *args: Any, argnums: int = 0) -> Any:
    """The gradient by central differences, for comparison (the exact one is `grad`).

    Parameters
    ----------
    f : callable
        Returns one number.
    *args
        Arrays or trees of floats.
    argnums : int

    Returns
    -------
    tree
        Like the chosen argument; relative error about 1e-10 for smooth functions.

    Notes
    -----
    Two central differences, of steps h and h/2, extrapolated (Richardson): the error is of
    order h⁴.

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.isclose(numerical_gradient(lambda x: x ** 3, 2.0), 12.0, rtol=1e-9))
    True
    """

    def of_one(value: Any) -> Any:
        full = list(args)
        full[argnums] = value
        return f(*full)

    slopes, _, _ = _numerical_columns(of_one, (args[argnums],))
    if slopes.shape[0] != 1:
        raise ShapeError("numerical_gradient needs a function with one number as its result")
    values, structure = flatten(args[argnums])
    found, start = [], 0
    for value in values:
        array = as_array(value)
        block = slopes[0, start : start + array.size].reshape(array.shape)
        found.append(block[()] if array.ndim == 0 else block)
        start += array.size
    return unflatten(structure, found)


def _numerical_columns(
    f: Callable[..., Any], args: tuple[Any, ...]
) -> tuple[np.ndarray[Any, Any], list[bool], list[str]]:
    """A column of derivatives for every entry of the arguments, and where kinks are."""
    traced = trace_tree(f, args)
    evaluate = plan(traced.graph)
    points = [np.array(as_array(v)) for v in flatten(args)[0]]
    leaf_names = paths(traced.arguments)

    def value() -> np.ndarray[Any, Any]:
        return np.concatenate([np.ravel(v).astype(np.float64) for v in evaluate(points)])

    middle = value()
    columns, kinks, names = [], [], []
    table = list(traced.graph.labels)
    for k, point in enumerate(points):
        name = table[k] if k < len(table) else leaf_names[k]
        for index in np.ndindex(point.shape):
            at = point[index]
            step = float(np.finfo(point.dtype).eps ** 0.2 * max(1.0, abs(float(at))) * 0.5)
            sides = []
            for h in (step, step / 2):
                point[index] = at + h
                above, width = value(), float(point[index])
                point[index] = at - h
                below, width = value(), width - float(point[index])
                sides.append(((above - below) / width, above, below))
            point[index] = at
            (coarse, _, _), (fine, above, below) = sides
            columns.append((4 * fine - coarse) / 3)
            jump = np.abs(above - 2 * middle + below) / (step / 2)
            kinks.append(bool(np.any(jump > 1e-2 * np.maximum(1.0, np.abs(fine)))))
            names.append(name + (f"[{', '.join(map(str, index))}]" if index else ""))
    if not columns:
        return np.zeros((middle.size, 0)), [], []
    return np.stack(columns, axis=1), kinks, names
