"""The derivatives of a traced function, made once for all functions that are equal.

Whoever fits one model to many tables, or starts from many points, calls a solver again and again
with a function that is traced anew each time. The trace is cheap; what follows from it, graphs of
derivatives and the order in which they are evaluated, is kept by its form
(`thalweg.graph.form.Form`). Arrays that the function has closed over, as data, are left out of the
form and put back where it is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from thalweg.compiler.once import once
from thalweg.differentiation import backward, forward
from thalweg.differentiation.transforms import jacobians
from thalweg.errors import CompilerError
from thalweg.graph import Graph, Node, variable
from thalweg.graph.form import Form
from thalweg.interpreter import Plan, plan

__all__ = ["Derived", "Evaluator", "Open", "derived", "evaluator"]

Evaluator = Callable[[Sequence[Any]], list[Any]]

NATIVE_WORK = 100_000
"""Numbers that an evaluation computes, from which compiling it pays."""


def evaluator(graph: Graph) -> Evaluator:
    """How graphs of solvers are evaluated: large ones natively, where that is possible."""
    return Open(graph).evaluator()


class Open:
    """A graph whose last inputs are arrays that are known before the others.

    Parameters
    ----------
    graph : Graph
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.large = sum(node.size for node in graph.nodes()) >= NATIVE_WORK

    @once
    def _plan(self) -> Plan:
        return plan(self.graph)

    def evaluator(self, arrays: Sequence[Any] = ()) -> Evaluator:
        """What evaluates it at the first inputs."""
        if not self.large:
            return self._plan.given(arrays)
        try:
            from thalweg.compiler.function import NativeGraph

            native = NativeGraph(self.graph)
        except (ImportError, CompilerError):
            return self._plan.given(arrays)
        return (lambda first: native([*first, *arrays])) if arrays else native


class Derived:
    """A function and its derivatives, each made when it is first asked for.

    Their inputs are x, the vectors of a product, and arrays that the function has closed over.

    Parameters
    ----------
    graph : Graph
        From a vector x, and those arrays, to a vector F.
    """

    def __init__(self, graph: Graph) -> None:
        (self._x, *self._arrays), (self._F,) = graph.inputs, graph.outputs
        self.m = self._F.size
        self._v, self._u = (variable((k,), np.float64) for k in (self._x.size, self.m))

    def _open(self, inputs: Sequence[Node], outputs: Sequence[Node]) -> Open:
        return Open(Graph((*inputs, *self._arrays), tuple(outputs)))

    @once
    def _pulled(self) -> Node:
        """Jᵀu, the gradient of Σₖ uₖFₖ."""
        return backward(self._F, [self._x], self._u).gradient(self._x)

    @once
    def _pushed(self) -> Node:
        """J·v."""
        return forward([self._F], [self._x], [self._v])[0]

    @once
    def value(self) -> Open:
        """F, of x."""
        return self._open([self._x], [self._F])

    @once
    def derivative(self) -> Open:
        """F and J, of x; the gradient where there is one output."""
        if self.m == 1:
            slopes = backward(self._F, [self._x]).gradient(self._x)
        else:
            ((slopes,),) = jacobians([self._F], [self._x])
        return self._open([self._x], [self._F, slopes])

    @once
    def push(self) -> Open:
        """J·v, of x and v."""
        return self._open([self._x, self._v], [self._pushed])

    @once
    def push_twice(self) -> Open:
        """The second derivative along v, of x and v."""
        return self._open([self._x, self._v], forward([self._pushed], [self._x], [self._v]))

    @once
    def pull(self) -> Open:
        """F and Jᵀu, of x and u."""
        return self._open([self._x, self._u], [self._F, self._pulled])

    @once
    def curvature(self) -> Open:
        """Σₖ uₖ∇²Fₖ, of x and u."""
        ((matrix,),) = jacobians([self._pulled], [self._x])
        return self._open([self._x, self._u], [matrix])

    @once
    def curvature_product(self) -> Open:
        """Σₖ uₖ∇²Fₖ·v, of x, u and v."""
        return self._open(
            [self._x, self._u, self._v], forward([self._pulled], [self._x], [self._v])
        )


def derived(graph: Graph) -> tuple[Derived, list[Any]]:
    """What follows from a traced function of one vector, and the arrays it has closed over."""
    form = Form(graph, apart=True)
    arrays = [node.attributes["value"] for node in form.arrays]
    return _shared(form) if form.light else Derived(form.take()), arrays


@lru_cache(maxsize=64)
def _shared(form: Form) -> Derived:
    return Derived(form.take())
