"""A function of arrays traced at a point: the graph, the inputs' values, and the names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.errors import DifferentiationError
from thalweg.explanation.formula import Formula
from thalweg.graph import Graph, Node
from thalweg.tracing import as_array, trace_tree
from thalweg.trees import flatten, paths

__all__ = ["Point", "open_sigmoid", "trace_point"]


@dataclass(frozen=True)
class Point:
    """A graph with the values of its inputs, and what its result is called."""

    graph: Graph
    values: tuple[Any, ...]
    result: str
    given: str


def trace_point(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Point:
    """Trace a function or formula with the arguments of one call.

    Raises
    ------
    DifferentiationError
        If it does not return one number.
    """
    if isinstance(f, Formula):
        named = f.bind(args, kwargs)
    else:
        named = _arguments(f, args, kwargs)

    def of_arguments(*values: Any) -> Any:
        if isinstance(f, Formula):
            return f(*values)
        return _call(f, dict(zip(named, values, strict=True)))

    prepared = [as_tree(v) for v in named.values()]
    _, structure = flatten(tuple(prepared))
    names: list[str] = []
    for name, child in zip(named, structure.children, strict=True):
        names += [p.replace("['", "_").replace("']", "") for p in paths(child, name)]
    traced = trace_tree(of_arguments, prepared, names)
    outputs = traced.graph.outputs
    if len(outputs) != 1 or outputs[0].size != 1 or outputs[0].shape:
        raise DifferentiationError(
            "the function returned {count} array(s) of shape {names}: explain needs one "
            "number. Take one entry, or the sum.",
            count=len(outputs),
            names=", ".join(str(o.shape) for o in outputs),
        )
    values = tuple(as_array(v) for v in flatten(tuple(prepared))[0])
    return Point(
        traced.graph, values, _result_name(f, names), str(f) if isinstance(f, Formula) else ""
    )


def as_tree(value: Any) -> Any:
    """Lists of numbers are arrays here, not trees."""
    if isinstance(value, list | tuple) and not any(isinstance(v, dict) for v in value):
        try:
            array = np.asarray(value)
        except ValueError:
            return value
        return as_array(array.astype(np.float64)) if array.dtype.kind in "fiu" else value
    return value


def _arguments(f: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> dict[str, Any]:
    """Every argument by name, defaults included."""
    try:
        bound = inspect.signature(f).bind(*args, **kwargs)
    except ValueError:
        return {**{f"x{k + 1}": v for k, v in enumerate(args)}, **kwargs}
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            found |= {f"{name}{k + 1}": v for k, v in enumerate(value)}
        elif kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        else:
            found[name] = value
    return found


def _call(f: Callable[..., Any], named: Mapping[str, Any]) -> Any:
    try:
        parameters = inspect.signature(f).parameters.values()
    except ValueError:
        return f(*named.values())
    left = dict(named)
    positional: list[Any] = []
    for p in parameters:
        if p.kind is inspect.Parameter.VAR_POSITIONAL:
            positional += [left.pop(n) for n in list(left) if n[: len(p.name)] == p.name]
        elif p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            positional.append(left.pop(p.name))
    return f(*positional, **left)


def _result_name(f: Any, taken: Sequence[str]) -> str:
    name = f.result if isinstance(f, Formula) else getattr(f, "__name__", "f")
    if name.isidentifier() and name not in taken and name not in ("_", "lambda"):
        return str(name)
    return next(n for n in ("f", "y", "F", "result") if n not in taken)


def open_sigmoid(node: Node, inputs: tuple[Node, ...]) -> Node:
    """A change for `Graph.map`: sigmoids as negate, exp, add 1, reciprocal."""
    if node.name != "sigmoid":
        assert node.primitive is not None
        return node.primitive.bind(*inputs, **node.attributes)
    call = Node.operators
    result = call["divide"](1.0, call["add"](call["exp"](call["negative"](inputs[0])), 1.0))
    assert isinstance(result, Node)
    return result
