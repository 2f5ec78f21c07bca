"""A graph along a sample axis: every operation applied to all samples at once.

The sample axis always comes first inside; `vmap` moves axes there and back. What does not
depend on a batched input stays as it is and is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import thalweg.numpy as tnp
from thalweg.differentiation.evaluation import finish
from thalweg.errors import ShapeError
from thalweg.graph import Node, rebuild, variable
from thalweg.graph.graph import keep
from thalweg.ops.families import broadcast
from thalweg.tracing import Traced, as_array, trace_tree
from thalweg.trees import Structure, flatten, unflatten

__all__ = ["along_samples", "vmap"]


def along_samples(
    outputs: Sequence[Node], replaced: Mapping[Node, Node], others: Sequence[Node] = ()
) -> dict[Node, Node]:
    """Rebuild what the outputs need with some variables replaced by many samples of them.

    Parameters
    ----------
    outputs : sequence of Node
    replaced : mapping of Node to Node
        From a node of shape (...) to one of shape (samples, ...).
    others : sequence of Node
        More nodes to rebuild, which keep their shape where they are the same for all samples.

    Returns
    -------
    dict
        From every node to its new form; the outputs always have a sample axis.
    """
    samples = set(replaced)

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        flags = [i in samples for i in node.inputs]
        if not any(flags):
            return keep(node, inputs)
        samples.add(node)
        assert node.primitive is not None
        return node.primitive.batch(inputs, flags, dict(node.attributes))

    image = rebuild([*outputs, *others], change, dict(replaced))
    count = next(iter(replaced.values())).shape[0]
    for node in outputs:
        if node not in samples:
            image[node] = broadcast(image[node], (count, *node.shape))
    return image


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: int = 0) -> Callable[..., Any]:
    """Turn a function of one sample into a function of many.

    Parameters
    ----------
    f : callable
        Of arrays or trees of arrays.
    in_axes : int, None, or a tuple of these
        For each argument the axis that counts samples; None for arguments shared by all.
    out_axes : int
        Where the sample axis of the results is put.

    Returns
    -------
    callable

    Raises
    ------
    ShapeError
        If the arguments disagree about the number of samples.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> dot = lambda a, b: (a * b).sum()
    >>> vmap(dot, in_axes=(0, None))(np.eye(3), np.array([1.0, 2.0, 3.0]))
    array([1., 2., 3.])
    """

    @wraps(f)
    def over_samples(*args: Any) -> Any:
        values, structure = flatten(args)
        arrays = [as_array(v) for v in values]
        axes = _axes(in_axes, structure)
        _count(arrays, axes)
        single = [
            a if axis is None else _Shape(_without(a.shape, axis), a.dtype)
            for a, axis in zip(arrays, axes, strict=True)
        ]
        traced = trace_tree(f, unflatten(structure, [_stand_in(s) for s in single]))
        inputs = [variable(a.shape, a.dtype) for a in arrays]
        plain = {
            n: i for n, i, a in zip(traced.graph.inputs, inputs, axes, strict=True) if a is None
        }
        moved = {
            n: tnp.moveaxis(i, a, 0)
            for n, i, a in zip(traced.graph.inputs, inputs, axes, strict=True)
            if a is not None
        }
        outputs, labels = _batched(traced, plain, moved)
        outputs = [tnp.moveaxis(node, 0, out_axes) for node in outputs]
        return unflatten(traced.result, finish(outputs, inputs, arrays, labels))

    return over_samples


def _batched(
    traced: Traced, plain: dict[Node, Node], moved: dict[Node, Node]
) -> tuple[list[Node], dict[str, Node]]:
    """The outputs and labelled nodes of a function of one sample, for many."""
    outputs, labels = traced.graph.outputs, traced.labels
    everything = [*outputs, *labels.values()]
    shared = rebuild(everything, keep, {**plain, **{n: n for n in moved}})
    image = along_samples([shared[n] for n in outputs], moved, [shared[n] for n in labels.values()])
    return [image[shared[n]] for n in outputs], {k: image[shared[n]] for k, n in labels.items()}


class _Shape:
    """Shape and dtype of one sample."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype = shape, dtype


def _stand_in(value: Any) -> Any:
    return variable(value.shape, value.dtype)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(
            "vmap along axis {axis} of an array of shape {shape}", axis=axis, shape=shape
        )
    return tuple(n for a, n in enumerate(shape) if a != axis % len(shape))


def _axes(in_axes: Any, structure: Structure) -> list[int | None]:
    """An axis for every leaf from one for every argument (or a tree of them)."""
    arguments = structure.children
    given = in_axes if isinstance(in_axes, tuple | list) else (in_axes,) * len(arguments)
    if len(given) != len(arguments):
        raise ShapeError(
            "in_axes names {named} arguments, the function got {got}",
            named=len(given),
            got=len(arguments),
        )
    axes: list[int | None] = []
    for axis, argument in zip(given, arguments, strict=True):
        axes += _leaf_axes(axis, argument)
    return axes


def _leaf_axes(axis: Any, structure: Structure) -> list[int | None]:
    if axis is None or isinstance(axis, int):
        return [axis] * structure.count
    children = [axis[k] for k in structure.keys] if isinstance(axis, dict) else list(axis)
    found: list[int | None] = []
    for child_axis, child in zip(children, structure.children, strict=True):
        found += _leaf_axes(child_axis, child)
    return found


def _count(arrays: Sequence[Any], axes: Sequence[int | None]) -> int:
    counts = [
        (a.shape, a.shape[axis]) if _without(a.shape, axis) is not None else (a.shape, 0)
        for a, axis in zip(arrays, axes, strict=True)
        if axis is not None
    ]
    if not counts:
        raise ShapeError("vmap needs at least one argument with a sample axis (in_axes)")
    if len({n for _, n in counts}) > 1:
        shapes = ", ".join(str(shape) for shape, _ in counts)
        raise ShapeError(
            "the arguments disagree about the number of samples: shapes {shapes}", shapes=shapes
        )
    return counts[0][1]
