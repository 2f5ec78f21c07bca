"""Functions of derivatives: `grad`, `value_and_grad`, `vjp`, `jvp`, `jacobian`, `hessian`, `hvp`.

Each takes a Python function and returns another one (or its value), so they nest in any order
and to any depth. A function is traced anew at every call; `thalweg.compile` keeps the trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np

import thalweg.numpy as tnp
from thalweg.differentiation.batching import along_samples
from thalweg.differentiation.chain_rule import Derivation, backward, forward, zeros_like
from thalweg.differentiation.evaluation import evaluate, finish
from thalweg.errors import DifferentiationError, ShapeError
from thalweg.graph import Node, constant, scalar_value, variable
from thalweg.tracing import Traced, as_array, trace_tree, tracing
from thalweg.trees import Structure, flatten, unflatten

__all__ = ["grad", "hessian", "hvp", "jacobian", "jacobians", "jvp", "value_and_grad", "vjp"]

Argnums = int | Sequence[int]


@dataclass(frozen=True)
class _Call:
    """One call of a function, traced in the arguments that are differentiated."""

    traced: Traced
    values: list[Any]
    one: bool

    @property
    def inputs(self) -> tuple[Node, ...]:
        return self.traced.graph.inputs

    @property
    def outputs(self) -> tuple[Node, ...]:
        return self.traced.graph.outputs

    @property
    def alone(self) -> bool:
        """Whether it is evaluated at numbers, and no part of another trace."""
        return not tracing() and not any(isinstance(v, Node) for v in self.values)

    def arguments(self, leaves: Sequence[Any]) -> Any:
        """Leaves in the structure of the differentiated arguments."""
        tree = unflatten(self.traced.arguments, leaves)
        return tree[0] if self.one else tree

    def finish(self, outputs: Sequence[Node], derivation: Derivation | None = None) -> list[Any]:
        """Results; inside another trace, labels join it, and derivatives are called ``dz[1]``."""
        labels = dict(self.traced.labels) if tracing() else {}
        if derivation is not None and tracing():
            labels |= _labels_of_derivatives(self.traced.graph.labels, derivation)
        return finish(outputs, self.inputs, self.values, labels)


def _labels_of_derivatives(labels: Mapping[str, Node], derivation: Derivation) -> dict[str, Node]:
    found = {f"d{name}": derivation.cotangents.get(node) for name, node in labels.items()}
    return {k: n for k, n in found.items() if n is not None and scalar_value(n) is None}


def _named(
    transform: str, f: Callable[..., Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a derivative the signature of its function and a name of its own."""

    def decorate(derived: Callable[..., Any]) -> Callable[..., Any]:
        wraps(f)(derived)
        name = getattr(f, "__name__", "f")
        derived.__name__ = f"{transform}_{'f' if name == '<lambda>' else name}"
        return derived

    return decorate


def _call(
    f: Callable[..., Any], argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _Call:
    numbers = [argnums] if isinstance(argnums, int) else list(argnums)
    if any(not -len(args) <= n < len(args) for n in numbers):
        raise ShapeError(
            "argnums={argnums}, but the function was called with {count} arguments",
            argnums=argnums,
            count=len(args),
        )
    numbers = [n % len(args) for n in numbers]
    chosen = [args[n] for n in numbers]
    values = [_differentiable(leaf) for leaf in flatten(tuple(chosen))[0]]

    @wraps(f)
    def of_chosen(*stand_ins: Any) -> Any:
        full = list(args)
        for n, stand_in in zip(numbers, stand_ins, strict=True):
            full[n] = stand_in
        return f(*full, **kwargs)

    names = None if tracing() else [str(k) for k in range(len(values))]  # nobody reads them
    return _Call(trace_tree(of_chosen, chosen, names), values, isinstance(argnums, int))


def _differentiable(leaf: Any) -> Any:
    if isinstance(leaf, bool) or (not isinstance(leaf, int) and as_array(leaf).dtype.kind != "f"):
        raise DifferentiationError(
            "cannot differentiate with respect to {kind} of dtype {dtype}: integers and "
            "booleans change in jumps. Pass floats (x.astype(float)), or choose other "
            "arguments with argnums.",
            kind=type(leaf).__name__,
            dtype=as_array(leaf).dtype,
        )
    return as_array(leaf)


def _scalar(call: _Call) -> Node:
    """The one output of a function whose gradient is wanted."""
    outputs = call.outputs
    if len(outputs) != 1 or outputs[0].shape != ():
        shapes = ", ".join(str(o.shape) for o in outputs)
        raise DifferentiationError(
            "grad needs a function with one number as its result, this one returns shape "
            "{shapes}. Sum or average it, or use jacobian.",
            shapes=shapes,
        )
    return outputs[0]


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function.

    Parameters
    ----------
    f : callable
        Returns one number; its arguments are arrays, or dicts, lists and tuples of them.
    argnums : int or sequence of int
        Which arguments to differentiate with respect to.
    has_aux : bool
        Whether `f` returns a pair of which only the first part is differentiated; the gradient
        function then returns a pair as well.

    Returns
    -------
    callable
        Takes the arguments of `f`, returns the gradient in the structure of the chosen
        arguments (a tuple of them if `argnums` is a sequence).

    Raises
    ------
    DifferentiationError
        If the result is not one floating-point number or an argument is made of integers.

    Examples
    --------
    >>> import thalweg as tw
    >>> f = lambda w, x, b: w * x + b
    >>> grad(f, argnums=(0, 1, 2))(-2.0, 5.0, 3.0)
    (np.float64(5.0), np.float64(-2.0), np.float64(1.0))
    >>> grad(grad(lambda x: x ** 3))(2.0)
    np.float64(12.0)
    """
    derived = value_and_grad(f, argnums, has_aux)

    @_named("grad", f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, slopes = derived(*args, **kwargs)
        return (slopes, value[1]) if has_aux else slopes

    return gradient


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The value of a function together with its gradient (see `grad`).

    Returns
    -------
    callable
        Returns ``(value, gradient)``, or ``((value, aux), gradient)``.

    Examples
    --------
    >>> value_and_grad(lambda x: x ** 2)(3.0)
    (np.float64(9.0), np.float64(6.0))
    """

    @_named("value_and_grad", f)
    def derived(*args: Any, **kwargs: Any) -> Any:
        aux = _Aux()
        call = _call(aux.split(f) if has_aux else f, argnums, args, kwargs)
        output = _scalar(call)
        if call.alone and not has_aux:
            value, *flat = evaluate(call.traced.graph, _value_and_slopes, call.values)
            return value, call.arguments(flat)
        derivation = backward(output, call.inputs)
        slopes = [derivation.gradient(i) for i in call.inputs]
        results = call.finish([output, *slopes, *aux.nodes], derivation)
        value, found = results[0], call.arguments(results[1 : 1 + len(slopes)])
        return ((value, aux.join(results[1 + len(slopes) :])) if has_aux else value), found

    return derived


def _value_and_slopes(outputs: Sequence[Node], inputs: Sequence[Node]) -> list[Node]:
    (output,) = outputs
    derivation = backward(output, inputs)
    return [output, *(derivation.gradient(i) for i in inputs)]


class _Aux:
    """The second part of a function's result, which is carried along and not differentiated."""

    def __init__(self) -> None:
        self.leaves: list[Any] = []
        self.structure = Structure(type(None))

    def split(self, f: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(f)
        def first(*args: Any, **kwargs: Any) -> Any:
            value, aux = f(*args, **kwargs)
            self.leaves, self.structure = flatten(aux)
            return value

        return first

    @property
    def nodes(self) -> list[Node]:
        return [leaf for leaf in self.leaves if isinstance(leaf, Node)]

    def join(self, values: Sequence[Any]) -> Any:
        found = iter(values)
        leaves = [next(found) if isinstance(leaf, Node) else leaf for leaf in self.leaves]
        return unflatten(self.structure, leaves)


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The value of a function and its pullback: cotangents of the result to cotangents of the
    arguments (reverse mode, uᵀJ).

    Parameters
    ----------
    f : callable
    *primals
        The arguments at which to differentiate.

    Returns
    -------
    value : tree
    pullback : callable
        Takes a tree like the value, returns a tuple with one tree for each argument.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> value, pullback = vjp(lambda x: x ** 2, np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    call = _call(f, tuple(range(len(primals))), primals, {})
    value = unflatten(call.traced.result, call.finish(call.outputs))

    def pullback(cotangent: Any) -> Any:
        given, structure = flatten(cotangent)
        if structure != call.traced.result:
            raise ShapeError("the cotangent must have the structure of the function's result")
        values = [as_array(v) for v in given]
        seeds = [variable(o.shape, o.dtype) for o in call.outputs]
        slopes = _pulled(call, seeds)
        return unflatten(
            call.traced.arguments,
            finish(slopes, [*call.inputs, *seeds], [*call.values, *values]),
        )

    return value, pullback


def _pulled(call: _Call, seeds: Sequence[Node]) -> list[Node]:
    """Σ over outputs of seedᵀ·∂output/∂input, for every input."""
    totals: list[Node | None] = [None] * len(call.inputs)
    for output, seed in zip(call.outputs, seeds, strict=True):
        if output.dtype.kind != "f":
            continue
        derivation = backward(output, call.inputs, seed)
        for position, i in enumerate(call.inputs):
            found = derivation.cotangents.get(i)
            if found is not None:
                before = totals[position]
                totals[position] = found if before is None else before + found
    return [zeros_like(i) if t is None else t for i, t in zip(call.inputs, totals, strict=True)]


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of a function and its derivative along a direction (forward mode, J·v).

    Parameters
    ----------
    f : callable
    primals, tangents : sequence
        The arguments, and a direction for each, of the same structure.

    Returns
    -------
    value, tangent : tree

    Examples
    --------
    >>> jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 0.0))
    (np.float64(6.0), np.float64(3.0))
    """
    call = _call(f, tuple(range(len(primals))), tuple(primals), {})
    given, structure = flatten(tuple(tangents))
    if structure != call.traced.arguments:
        raise ShapeError("the tangents must have the structure of the primals")
    directions = [variable(i.shape, i.dtype) for i in call.inputs]
    pushed = forward(call.outputs, call.inputs, directions)
    results = finish(
        [*call.outputs, *pushed],
        [*call.inputs, *directions],
        [*call.values, *(as_array(v) for v in given)],
    )
    count = len(call.outputs)
    result = call.traced.result
    return unflatten(result, results[:count]), unflatten(result, results[count:])


def jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The Jacobian of a function, exact, in forward or reverse mode, whichever is shorter.

    Parameters
    ----------
    f : callable
        Of arrays or trees; its result too.
    argnums : int or sequence of int

    Returns
    -------
    callable
        For arrays returns shape ``(*result.shape, *argument.shape)``; for trees, the result's
        structure with the arguments' structure at every leaf.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg.numpy as tnp
    >>> jacobian(lambda x: tnp.stack([x[0] * x[1], x[0] ** 2]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [4., 0.]])
    """

    @_named("jacobian", f)
    def derived(*args: Any, **kwargs: Any) -> Any:
        call = _call(f, argnums, args, kwargs)
        if any(o.dtype.kind != "f" for o in call.outputs):
            raise DifferentiationError("the result is made of integers: it has no derivative")
        if call.alone:
            flat = evaluate(call.traced.graph, _blocks, call.values)
        else:
            flat = call.finish(_blocks(call.outputs, call.inputs))
        width, count = len(call.inputs), len(call.outputs)
        trees = [call.arguments(flat[k * width : (k + 1) * width]) for k in range(count)]
        return unflatten(call.traced.result, trees)

    return derived


def _blocks(outputs: Sequence[Node], inputs: Sequence[Node]) -> list[Node]:
    """The Jacobians of every output, by every input, in one list."""
    return [block for row in jacobians(outputs, inputs) for block in row]


def jacobians(outputs: Sequence[Node], inputs: Sequence[Node]) -> list[list[Node]]:
    """For every output, its Jacobian with respect to every input, by the mode that costs less.

    Returns
    -------
    list of list of Node
        Of shapes ``(*output.shape, *input.shape)``.
    """
    few = sum(i.size for i in inputs) <= sum(o.size for o in outputs)
    return _by_columns(outputs, inputs) if few else _by_rows(outputs, inputs)


def _basis(node: Node) -> Node:
    """All unit arrays of a node's shape, along a leading axis."""
    return constant(np.eye(node.size, dtype=node.dtype).reshape(node.size, *node.shape))


def _empty(output: Node, i: Node) -> Node:
    """The Jacobian of no entries, or with respect to none."""
    return constant(np.zeros((*output.shape, *i.shape), output.dtype))


def _by_rows(outputs: Sequence[Node], inputs: Sequence[Node]) -> list[list[Node]]:
    """Reverse mode: one row of the Jacobian for every entry of the result."""
    rows = []
    for output in outputs:
        seed = variable(output.shape, output.dtype)
        derivation = backward(output, inputs, seed)
        slopes = [derivation.gradient(i) for i in inputs]
        if not output.size:
            rows.append([_empty(output, i) for i in inputs])
            continue
        image = along_samples(slopes, {seed: _basis(output)})
        rows.append(
            [
                tnp.reshape(image[s], (*output.shape, *i.shape))
                for s, i in zip(slopes, inputs, strict=True)
            ]
        )
    return rows


def _by_columns(outputs: Sequence[Node], inputs: Sequence[Node]) -> list[list[Node]]:
    """Forward mode: one column for every entry of the arguments."""
    columns = []
    for i in inputs:
        if not i.size:
            columns.append([_empty(output, i) for output in outputs])
            continue
        direction = variable(i.shape, i.dtype)
        pushed = forward(outputs, [i], [direction])
        image = along_samples(pushed, {direction: _basis(i)})
        columns.append(
            [
                tnp.reshape(tnp.moveaxis(image[tangent], 0, -1), (*output.shape, *i.shape))
                for output, tangent in zip(outputs, pushed, strict=True)
            ]
        )
    return [list(row) for row in zip(*columns, strict=True)]


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The Hessian of a function with one number as its result: the Jacobian of its gradient.

    Returns
    -------
    callable
        For an array argument returns shape ``(*x.shape, *x.shape)``.

    Examples
    --------
    >>> import numpy as np
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([2.0, 3.0]))
    array([[6., 4.],
           [4., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """The product of the Hessian of `f` at `x` with a direction, without forming the Hessian.

    Parameters
    ----------
    f : callable
        Of one argument (an array or a tree), returning one number.
    x, v : tree
        The point, and a direction of the same structure.

    Returns
    -------
    tree
        H·v, in the structure of `x`.

    Notes
    -----
    Forward mode over reverse mode: costs about four evaluations of `f`, whatever the number of
    parameters (Pearlmutter, Neural Computation 6, 1994).

    Examples
    --------
    >>> import numpy as np
    >>> hvp(lambda x: (x ** 3).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return jvp(grad(f), (x,), (v,))[1]
