"""Any function with one number as its result, explained node by node.

Forward: every node's formula and value. Backward, in the order of the chain rule: for every node
the derivative that arrives (upstream), the local derivatives with respect to its inputs, and
their products; where a value is used several times, each contribution and their sum. All of it is
read off the `Derivation` that `thalweg.grad` returns its gradient from.

Examples
--------
>>> import thalweg as tw
>>> record = tw.explain("w*x + b")(w=-2.0, x=5.0, b=3.0)
>>> for step in record.sections[1].steps[:3]:
...     print(step.role, step.id, "=", step.formula, "=", step.value)
upstream ∂f/∂f = 1 = 1.0
local ∂f/∂g = 1 = 1.0
global ∂f/∂g = ∂f/∂f · ∂f/∂g = 1.0
>>> record.sections[2].notes[0].say("en")
'Raising w by 1 raises f by exactly 5: f is linear in w.'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import numpy as np

from thalweg.differentiation import Derivation, Edge, backward
from thalweg.errors import DifferentiationError
from thalweg.explanation import kinks, numerical
from thalweg.explanation.formula import parse_formula
from thalweg.explanation.notation import (
    Math,
    add,
    from_node,
    number,
    partial,
    put_numbers,
    symbol,
    symbols,
    text,
    tidy,
    times,
)
from thalweg.explanation.notation.graph import opened
from thalweg.explanation.pictures import computation_picture
from thalweg.explanation.point import Point, open_sigmoid, trace_point
from thalweg.explanation.records import Array, Explanation, Factor, Section, Sentence, Step, Term
from thalweg.graph import Graph, Node, scalar_value, topological
from thalweg.interpreter import interpret

__all__ = ["explain"]

_SILENT = ("broadcast_to", "reshape", "cast", "stop_gradient")
_SPARE_NAMES = "g h p q r s u v k l"


def explain(
    f: Callable[..., Any] | str, *, take_apart: bool = False, check: bool = False
) -> Callable[..., Explanation]:
    """Show how a function's value and derivatives come about, node by node.

    Parameters
    ----------
    f : callable or str
        Of arrays or trees of arrays, returning one number; or a formula
        (`thalweg.parse_formula`).
    take_apart : bool
        Show each sigmoid as four steps: negate, exp, add 1, reciprocal.
    check : bool
        Put the central difference beside every derivative.

    Returns
    -------
    callable
        Takes the arguments of `f`, returns an `Explanation`, which prints itself.

    Raises
    ------
    DifferentiationError
        If the result is not one floating-point number.

    Examples
    --------
    >>> record = explain("t = x + y; z = t^2")(x=1.0, y=2.0)
    >>> float(record.step("∂z/∂x").value)
    6.0
    """
    function = parse_formula(f) if isinstance(f, str) else f

    @wraps(function, updated=())
    def explained(*args: Any, **kwargs: Any) -> Explanation:
        point = trace_point(function, args, kwargs)
        if take_apart:
            point = replace(point, graph=point.graph.map(open_sigmoid))
        return _Expression.of(point, check).explanation()

    return explained


# -- the records ----------------------------------------------------------------------------------
@dataclass
class _Expression:
    """A graph at a point: its nodes' names, its derivation, and all their values."""

    point: Point
    names: dict[Node, Math]
    shown: list[Node]
    derivation: Derivation
    values: dict[Node, Array]
    check: bool

    @classmethod
    def of(cls, point: Point, check: bool) -> _Expression:
        graph = point.graph
        (output,) = graph.outputs
        if output.dtype.kind != "f":
            raise DifferentiationError(
                "the result has dtype {dtype}: it changes in jumps and has no derivative",
                dtype=output.dtype,
            )
        derivation = backward(output, graph.inputs)
        shown = _shown(graph)
        names = _names(point, shown)
        wanted = {*topological([output]), *graph.inputs, *derivation.cotangents.values()}
        for edge in derivation.edges:
            wanted |= {edge.contribution} | ({edge.local} if edge.local is not None else set())
        everything = list(wanted)
        found = interpret(Graph(graph.inputs, tuple(everything)), point.values)
        values = {n: np.asarray(v) for n, v in zip(everything, found, strict=True)}
        return cls(point, names, shown, derivation, values, check)

    @property
    def output(self) -> Node:
        return self.derivation.output

    def slope(self, node: Node) -> Math:
        """The name of a node's global derivative."""
        return partial(self.names[self.output], self.names[node])

    def explanation(self) -> Explanation:
        arguments = [self._step("input", self.names[n], None, n) for n in self.point.graph.inputs]
        forward = [self._step("value", self.names[n], opened(n, self.names), n) for n in self.shown]
        steps, notes = self._backward()
        result, sentences = self._result()
        formula = self.point.given or self._formula()
        title = Sentence("title_expression", {"name": self.names[self.output], "formula": formula})
        if "=" in formula:
            title = Sentence("title_typed", {"formula": formula})
        sections = (
            Section(
                "forward",
                Sentence("forward"),
                (*arguments, *forward),
                tuple(self._kinks()),
                tuple(text(self.names[n]) for n in self.shown),
            ),
            Section("backward", Sentence("backward"), tuple(steps), tuple(notes)),
            Section("result", Sentence("result"), tuple(result), tuple(sentences)),
        )
        explanation = Explanation("expression", title, sections, computation_picture(self))
        return self._checked(explanation) if self.check else explanation

    def _formula(self) -> str:
        inputs = {n: self.names[n] for n in self.point.graph.inputs}
        written = text(from_node(self.output, inputs))
        return written if len(written) <= 60 else written[:57] + "..."

    def _step(
        self, role: str, name: Math, formula: Math | None, node: Node, terms: tuple[Term, ...] = ()
    ) -> Step:
        return Step(
            role,
            name,
            np.asarray(self.values[node], dtype=np.float64),
            formula,
            self._numbers(formula),
            terms,
        )

    def _numbers(self, formula: Math | None) -> Math | None:
        """The formula with numbers in it, if all of them are single numbers."""
        if formula is None or formula.head == "number":
            return None
        table = self._table()
        if any(table.get(s) is None for s in symbols(formula)):
            return None
        numbers = put_numbers(formula, {s: float(table[s]) for s in symbols(formula)})
        return None if numbers.head == "number" else numbers

    def _table(self) -> dict[Math, Any]:
        if not hasattr(self, "_known"):
            self._known: dict[Math, Any] = {}
            for node, name in self.names.items():
                value = self.values.get(node)
                self._known[name] = value if value is not None and value.ndim == 0 else None
            for node, cotangent in self.derivation.cotangents.items():
                if node in self.names:
                    value = self.values[cotangent]
                    self._known[self.slope(node)] = value if value.ndim == 0 else None
        return self._known

    # -- backwards --------------------------------------------------------------------------------
    def _backward(self) -> tuple[list[Step], list[Sentence]]:
        seed = self.derivation.cotangents[self.output]
        steps = [self._step("upstream", self.slope(self.output), number(1.0), seed)]
        visible = [e for e in self.derivation.edges if e.source in self.names]
        waiting = {n: [e for e in visible if e.source is n] for n in self.names}
        collected: dict[Node, list[Step]] = {}
        notes = [Sentence("words")]
        for edge in visible:
            several = len(waiting[edge.source]) > 1
            place = 1 + len(collected.get(edge.source, []))
            local, contribution = self._edge(edge, several, place)
            steps += [*local, contribution]
            collected.setdefault(edge.source, []).append(contribution)
            if several and place == len(waiting[edge.source]):
                steps.append(self._total(edge.source, collected[edge.source]))
                notes.append(
                    Sentence("used_often", {"name": self.names[edge.source], "count": place})
                )
        return steps, notes

    def _edge(self, edge: Edge, several: bool, place: int) -> tuple[list[Step], Step]:
        """The local derivative of one use of a value, and what it contributes."""
        slope = self.slope(edge.source)
        consumer = self._visible(edge.consumer)
        name, role = slope, "global"
        if several:
            via = self.names[consumer] if consumer is not None else symbol(edge.consumer.name)
            twice = sum(1 for s in edge.consumer.inputs if s is edge.source) > 1
            label = symbol(f"{text(via)} ({place})") if twice else via
            name, role = Math("via", (slope, label)), "contribution"
        if consumer is not edge.consumer or edge.local is None:
            formula = self._linear(edge)
            return [], self._step(role, name, formula, edge.contribution)
        local = self._local_name(edge)
        derivative = self._step("local", local, tidy(from_node(edge.local, self.names)), edge.local)
        if self.values[edge.local].ndim:
            from thalweg.explanation.notation import hadamard

            formula = hadamard(self.slope(edge.consumer), local)
            return [derivative], self._step(role, name, formula, edge.contribution)
        upstream = float(self.values[self.derivation.cotangents[edge.consumer]])
        factors = (
            Factor(self.slope(edge.consumer), upstream),
            Factor(local, float(self.values[edge.local])),
        )
        step = self._step(
            role,
            name,
            times(*(f.name for f in factors)),
            edge.contribution,
            (Term(factors, text(name.parts[1]) if several else ""),),
        )
        numbers = times(*(number(f.value) for f in factors))
        return [derivative], replace(step, numbers=numbers)

    def _local_name(self, edge: Edge) -> Math:
        """∂consumer/∂source; with the other inputs held, where that is not the whole derivative."""
        name = partial(self.names[edge.consumer], self.names[edge.source])
        if edge.consumer is not self.output or len(self.derivation.edges_into(edge.source)) == 1:
            return name
        others = [text(self.names[i]) for i in edge.consumer.inputs if i in self.names]
        del others[edge.position : edge.position + 1]
        return Math("held", (name, symbol(",".join(others) or "1")))

    def _visible(self, node: Node) -> Node | None:
        """The named node that a silent one (a broadcast) leads to."""
        seen = node
        while seen not in self.names:
            users = [e.consumer for e in self.derivation.edges if e.source is seen]
            if len(users) != 1:
                return None
            seen = users[0]
        return seen

    def _linear(self, edge: Edge) -> Math:
        """What a linear step (a matrix product, a sum) hands back, as a formula."""
        known = {
            c: self.slope(n)
            for n, c in self.derivation.cotangents.items()
            if n in self.names
            and scalar_value(c) is None
            and n is not edge.source
            and (c not in self.names or n is edge.consumer)  # ∂f/∂g may be x itself
        }
        return tidy(from_node(edge.contribution, {**self.names, **known}))

    def _total(self, node: Node, contributions: Sequence[Step]) -> Step:
        cotangent = self.derivation.cotangents[node]
        step = self._step(
            "global", self.slope(node), add(*(c.name for c in contributions)), cotangent
        )
        if self.values[cotangent].ndim:
            return step
        numbers = add(*(number(float(c.value)) for c in contributions))
        terms = tuple(t for c in contributions for t in c.terms)
        return replace(step, numbers=numbers, terms=terms)

    # -- what it means ----------------------------------------------------------------------------
    def _result(self) -> tuple[list[Step], list[Sentence]]:
        steps, sentences = [], []
        for node in self.point.graph.inputs:
            if node.dtype.kind != "f":
                continue
            cotangent = self.derivation.cotangents.get(node)
            if cotangent is None:
                value = np.zeros(node.shape)
                steps.append(Step("global", self.slope(node), value, number(0.0)))
                key = "jumps" if node in set(topological([self.output])) else "unused"
                sentences.append(Sentence(key, self._pair(node)))
                continue
            chain = self._chain(node)
            step = self._step("global", self.slope(node), chain, cotangent)
            terms = self._chain_terms(node)
            if len(terms) == 1 and len(terms[0].factors) > 1:
                numbers = times(*(number(f.value) for f in terms[0].factors))
                step = replace(step, numbers=numbers)
            step = replace(step, terms=terms)
            steps.append(step)
            if not node.shape:
                sentences.append(self._sensitivity(node, float(step.value)))
            elif step.value.size:
                sentences.append(self._strongest(node, step.value))
        return steps, sentences

    def _pair(self, node: Node) -> dict[str, Any]:
        return {"name": self.names[node], "result": self.names[self.output]}

    def _sensitivity(self, node: Node, slope: float) -> Sentence:
        pair = self._pair(node)
        if not np.isfinite([slope, float(self.values[self.output])]).all():
            return Sentence("undefined_here", pair)
        if self._passes_kink(node):
            return Sentence("either_side", {**pair, "slope": slope})
        if slope == 0:
            return Sentence("rests", pair)
        size = abs(slope)
        direction = "lowers" if slope < 0 else "raises"
        if node not in set(topological([self.derivation.cotangents[node]])):
            return Sentence(f"linear_{direction}", {**pair, "size": size})
        return Sentence(f"sensitivity_{direction}", {**pair, "size": size})

    def _passes_kink(self, node: Node) -> bool:
        """Whether a kink lies between an input and the result."""
        return any(
            kinks.kinked(seen, self.values) and node in set(topological([seen]))
            for seen in self.point.graph.nodes()
        )

    def _strongest(self, node: Node, slopes: Array) -> Sentence:
        if not np.isfinite([*slopes.flat, float(self.values[self.output])]).all():
            return Sentence("undefined_here", self._pair(node))
        place = np.unravel_index(np.argmax(np.abs(slopes)), slopes.shape)
        entry = symbol(self.names[node].parts[0], *(int(i) + 1 for i in place))
        return Sentence(
            "strongest", {**self._pair(node), "entry": entry, "slope": float(slopes[place])}
        )

    def _chain(self, node: Node) -> Math:
        """The whole chain from the result to an input, if it is one chain."""
        path = self._path(node)
        if path is None or len(path) == 1:
            return opened_slope(self, node)
        return times(*(partial(self.names[a], self.names[b]) for a, b in path))

    def _chain_terms(self, node: Node) -> tuple[Term, ...]:
        path = self._path(node)
        if path is None:
            return self._contributions(node)
        factors = []
        for consumer, source in path:
            (edge,) = (
                e for e in self.derivation.edges if e.consumer is consumer and e.source is source
            )
            assert edge.local is not None
            name = partial(self.names[consumer], self.names[source])
            factors.append(Factor(name, float(self.values[edge.local])))
        return (Term(tuple(factors)),)

    def _contributions(self, node: Node) -> tuple[Term, ...]:
        """Upstream times local for every use of a number; nothing where arrays are passed."""
        terms = []
        for edge in self.derivation.edges_into(node):
            upstream = self.values[self.derivation.cotangents[edge.consumer]]
            if edge.local is None or upstream.ndim or edge.consumer not in self.names:
                return ()
            local = self._local_name(edge)
            above = Factor(self.slope(edge.consumer), float(upstream))
            terms.append(Term((above, Factor(local, float(self.values[edge.local])))))
        return tuple(terms)

    def _path(self, node: Node) -> list[tuple[Node, Node]] | None:
        """The edges from the result to a node, None if they branch or pass arrays."""
        path = []
        while node is not self.output:
            edges = self.derivation.edges_into(node)
            if len(edges) != 1 or edges[0].local is None or node.shape:
                return None
            if edges[0].consumer not in self.names:
                return None
            path.append((edges[0].consumer, node))
            node = edges[0].consumer
        return path[::-1]

    def _kinks(self) -> list[Sentence]:
        return kinks.find(self.point.graph, self.names, self.values)

    # -- central differences ----------------------------------------------------------------------
    def _checked(self, explanation: Explanation) -> Explanation:
        estimates = {}
        for node in dict.fromkeys([*self.point.graph.inputs, *self.shown]):
            if node.dtype.kind == "f" and node in self.derivation.cotangents:
                estimate = numerical.slope(self.output, node, self.values)
                estimates[text(self.slope(node))] = estimate
        for edge in self.derivation.edges:
            if edge.local is None or edge.consumer not in self.names:
                continue
            if edge.source in self.names:
                estimates[text(self._local_name(edge))] = numerical.local(edge, self.values)
        return numerical.flagged(explanation.with_estimates(estimates))


def opened_slope(expression: _Expression, node: Node) -> Math:
    """The derivative as one formula of named values."""
    return tidy(from_node(expression.derivation.cotangents[node], expression.names))


def _shown(graph: Graph) -> list[Node]:
    """The operations that get a line: those that depend on an input and compute something."""
    depends = set(graph.inputs)
    for node in graph.nodes():
        if not depends.isdisjoint(node.inputs):
            depends.add(node)
    labelled = {*graph.labels.values(), *graph.outputs}
    return [
        node
        for node in graph.nodes()
        if node in depends
        and node.primitive is not None
        and node.dtype.kind == "f"
        and (not (node.name in _SILENT or kinks.is_constant(node)) or node in labelled)
    ]


def _names(point: Point, shown: Sequence[Node]) -> dict[Node, Math]:
    """Names for inputs, labelled nodes, the result, and everything else that is shown."""
    graph = point.graph
    given = graph.label_of()
    names = {node: symbol(given[node]) for node in graph.inputs}
    (output,) = graph.outputs
    names.update({node: symbol(given[node]) for node in shown if node in given})
    names.setdefault(output, symbol(point.result))
    taken = {text(n) for n in names.values()} | {point.result}
    unnamed = [node for node in shown if node not in names]
    letters = [x for x in _SPARE_NAMES.split() if x not in taken]
    if len(unnamed) > len(letters):
        letters = [f"u{k}" for k in range(1, len(unnamed) + len(taken) + 1)]
        letters = [x for x in letters if x not in taken]
    names.update({n: symbol(_sub(x)) for n, x in zip(unnamed, letters, strict=False)})
    return names


def _sub(name: str) -> str:
    from thalweg.explanation.notation.writers import SUBSCRIPTS

    return name[0] + name[1:].translate(SUBSCRIPTS)
