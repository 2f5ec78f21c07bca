"""Arguments made of arrays: dicts, lists, tuples and named tuples, taken apart and put together.

Examples
--------
>>> leaves, structure = flatten({"w": 1.0, "b": [2.0, 3.0]})
>>> leaves
[1.0, 2.0, 3.0]
>>> unflatten(structure, [10.0, 20.0, 30.0])
{'w': 10.0, 'b': [20.0, 30.0]}
>>> paths(structure)
["['w']", "['b'][0]", "['b'][1]"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.errors import ShapeError

__all__ = ["Structure", "flatten", "leaves", "map_leaves", "paths", "unflatten"]


@dataclass(frozen=True)
class Structure:
    """The shape of a tree without its leaves.

    Attributes
    ----------
    kind : type or None
        None for a leaf; NoneType for an empty place.
    keys : tuple
        Of a dict, in its order.
    children : tuple of Structure
    """

    kind: type | None = None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()

    @property
    def count(self) -> int:
        """The number of leaves."""
        return 1 if self.kind is None else sum(child.count for child in self.children)


LEAF = Structure()


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """Take a tree apart into its leaves and its structure.

    Parameters
    ----------
    tree : dict, list, tuple, named tuple, None or leaf
        Nested to any depth. Everything else is a leaf.

    Returns
    -------
    list, Structure
    """
    found: list[Any] = []
    return found, _structure(tree, found)


def _structure(tree: Any, found: list[Any]) -> Structure:
    if tree is None:
        return Structure(type(None))
    if isinstance(tree, dict):
        children = tuple(_structure(child, found) for child in tree.values())
        return Structure(dict, tuple(tree), children)
    if isinstance(tree, list | tuple):
        return Structure(type(tree), (), tuple(_structure(child, found) for child in tree))
    found.append(tree)
    return LEAF


def unflatten(structure: Structure, values: Sequence[Any]) -> Any:
    """Put leaves back into a structure.

    Parameters
    ----------
    structure : Structure
    values : sequence
        As many as the structure has leaves.

    Returns
    -------
    tree
    """
    if len(values) != structure.count:
        raise ShapeError(
            "{count} leaves for a structure of {wanted}", count=len(values), wanted=structure.count
        )
    return _build(structure, iter(values))


def _build(structure: Structure, values: Iterator[Any]) -> Any:
    kind = structure.kind
    if kind is None:
        return next(values)
    if kind is type(None):
        return None
    children = [_build(child, values) for child in structure.children]
    if kind is dict:
        return dict(zip(structure.keys, children, strict=True))
    if hasattr(kind, "_fields"):
        return kind(*children)
    return kind(children)


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree, in order."""
    return flatten(tree)[0]


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply a function to the leaves of trees of one structure.

    Examples
    --------
    >>> map_leaves(lambda a, b: a + b, {"w": 1, "b": 2}, {"w": 10, "b": 20})
    {'w': 11, 'b': 22}
    """
    first, structure = flatten(tree)
    columns = [first]
    for other in others:
        values, its_structure = flatten(other)
        if its_structure != structure:
            raise ShapeError("trees of different structure")
        columns.append(values)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])


def paths(structure: Structure, prefix: str = "") -> list[str]:
    """Say where each leaf is, as one would write it in Python."""
    if structure.kind is None:
        return [prefix]
    fields = getattr(structure.kind, "_fields", None)
    found = []
    for position, child in enumerate(structure.children):
        if fields:
            step = f".{fields[position]}"
        else:
            step = f"[{(structure.keys or range(len(structure.children)))[position]!r}]"
        found += paths(child, prefix + step)
    return found
