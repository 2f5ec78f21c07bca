"""Updates written as the optimiser's own formula, with its numbers.

A rule is a pure function of traced arrays. It is traced once with every hyperparameter as a
variable; the graph is the formula, and the same function, called on the same numbers, gives the
new weights. Nothing about any rule is repeated here but the letters.

Examples
--------
>>> from thalweg.optim.rules import Momentum
>>> for name, formula in rule_formulas(Momentum()).items():
...     print(name, "=", formula)
v⁺ = μ · v + g
w⁺ = w - α · v⁺
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np

from thalweg.explanation.network.passes import Passes
from thalweg.explanation.notation import Math, from_node, put_numbers, symbol
from thalweg.explanation.notation import replace as replace_in
from thalweg.explanation.records import Array, Section, Sentence, Step
from thalweg.graph import Node
from thalweg.optim.rules import GD, Rule
from thalweg.tracing import trace_tree

__all__ = ["AnyUpdate", "Update", "rule_formulas"]

LETTERS = {
    "learning_rate": "α", "momentum": "μ", "beta1": "β₁", "beta2": "β₂", "epsilon": "ε",
    "rho": "ρ", "weight_decay": "λ", "decay": "d", "grow": "η₁", "shrink": "η₂",
    "smallest": "Δmin", "largest": "Δmax",
}  # fmt: skip
STATE_LETTERS = {
    "velocity": "v", "mean": "m", "square": "s", "squares": "s", "largest": "u",
    "product": "Π", "before": "g₀", "size": "Δ",
}  # fmt: skip
PARAMETER, GRADIENT, STEP = symbol("w"), symbol("g"), symbol("k")


class AnyUpdate(Protocol):
    """What the views ask of an update, be it a rule's or a solver's."""

    @property
    def notes(self) -> Sequence[Sentence]:
        """What a reader should know of it."""

    def moved(self, layer: int, kind: str) -> tuple[Array, dict[str, Array]]:
        """New value of a matrix, and what is remembered of it."""

    def steps(
        self, name: Math, slope: Math, layer: int, kind: str, place: tuple[int, ...]
    ) -> list[Step]:
        """The update of one number."""

    def sections(self, sample: int = 1) -> tuple[Section, ...]:
        """All there is to say of it."""


@dataclass(frozen=True)
class _Traced:
    """A rule's update of one number: a formula for each new value, states first."""

    formulas: Mapping[str, Math]
    states: tuple[str, ...]


def _letter(name: str, letters: Mapping[str, str]) -> Math:
    return symbol(letters.get(name, name))


def _new(name: Math) -> Math:
    return symbol(name.parts[0] + "⁺", *name.parts[1:])


def _trace(rule: Rule) -> _Traced:
    hyper = {f.name: getattr(rule, f.name) for f in fields(rule)}
    hyper = {k: v for k, v in hyper.items() if isinstance(v, int | float)}
    state = rule.init(np.zeros(()))

    def of(parameter: Any, gradient: Any, states: Any, step: Any, numbers: Any) -> Any:
        return replace(rule, **numbers).update(parameter, gradient, states, step)

    arguments = [0.5, 0.5, {k: float(v) for k, v in state.items()}, 1.0, dict(hyper)]
    traced = trace_tree(of, arguments)
    keys = list(state)
    inputs = [PARAMETER, GRADIENT, *(_letter(k, STATE_LETTERS) for k in keys), STEP]
    inputs += [_letter(k, LETTERS) for k in hyper]
    names: dict[Node, Math] = dict(zip(traced.graph.inputs, inputs, strict=True))
    result_keys = traced.result.children[1].keys
    moved, *states = traced.graph.outputs
    formulas: dict[str, Math] = {}
    pairs = sorted(zip(result_keys, states, strict=True), key=lambda pair: pair[1].serial)
    for key, node in pairs:
        if names.get(node) == _letter(key, STATE_LETTERS):
            continue  # the state is handed on as it was
        formulas[key] = from_node(node, names)
        names.setdefault(node, _new(_letter(key, STATE_LETTERS)))
    formulas["w"] = from_node(moved, names)
    return _Traced(formulas, tuple(k for k in formulas if k != "w"))


def rule_formulas(rule: Rule) -> dict[str, Math]:
    """The formulas of a rule: every new state, then the new parameter.

    Returns
    -------
    dict of str to Math
        By name as text.
    """
    traced = _trace(rule)
    found = {str(_new(_letter(k, STATE_LETTERS))): traced.formulas[k] for k in traced.states}
    return {**found, str(_new(PARAMETER)): traced.formulas["w"]}


@dataclass(frozen=True, eq=False)
class Update:
    """One step of a rule on all parameters of a network.

    Parameters
    ----------
    passes : Passes
    rule : Rule
        Gradient descent by default.
    memory : list of dict, optional
        What the rule remembers of each parameter, in the order W[1], b[1], W[2], ...; as before
        the first step by default.
    step : int
        The number of this step, from 1.
    trained_by : str
        The method that trained the network, where its own steps are not those shown.
    """

    passes: Passes
    rule: Rule = field(default_factory=GD)
    memory: Sequence[Mapping[str, Any]] | None = None
    step: int = 1
    trained_by: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_traced", _trace(self.rule))
        object.__setattr__(self, "_moved", {})

    @property
    def afresh(self) -> bool:
        """Whether the rule remembers something, and here has no past to remember."""
        return self.memory is None and bool(self.rule.init(np.zeros(())))

    @property
    def notes(self) -> Sequence[Sentence]:
        """That it begins here, where it would remember something; and that it did not train."""
        rule = type(self.rule).__name__
        notes = [Sentence("afresh", {"rule": rule})] if self.afresh else []
        if self.trained_by:
            notes.append(Sentence("trained_by", {"method": self.trained_by, "rule": rule}))
        return notes

    def _keys(self) -> list[tuple[int, str]]:
        return [(n, k) for n, own in enumerate(self.passes.params, start=1) for k in own]

    def parameter(self, layer: int, kind: str) -> tuple[Array, Array, dict[str, Array]]:
        """Old value, gradient that the rule sees, and state before, as training has them."""
        old = np.asarray(self.passes.params[layer - 1][kind], np.float64)
        gradient = self.passes.dW[layer] if kind == "W" else self.passes.db[layer][:, 0]
        gradient = self.passes.objective.loss.sign * gradient
        if self.memory is None:
            state = self.rule.init(old)
        else:
            state = dict(self.memory[self._keys().index((layer, kind))])
        return old, gradient, {k: np.asarray(v, np.float64) for k, v in state.items()}

    def moved(self, layer: int, kind: str) -> tuple[Array, dict[str, Array]]:
        """New value and state after the step."""
        known: dict[tuple[int, str], Any] = self._moved  # type: ignore[attr-defined]
        if (layer, kind) not in known:
            old, gradient, state = self.parameter(layer, kind)
            new, after = self.rule.update(old, gradient, state, float(self.step))
            known[layer, kind] = (np.asarray(new), {k: np.asarray(v) for k, v in after.items()})
        found: tuple[Array, dict[str, Array]] = known[layer, kind]
        return found

    def hyperparameters(self) -> dict[Math, float]:
        """The rule's numbers by their letters."""
        found = {
            _letter(f.name, LETTERS): float(getattr(self.rule, f.name))
            for f in fields(self.rule)
            if isinstance(getattr(self.rule, f.name), int | float)
        }
        return {**found, STEP: float(self.step)}

    def steps(
        self, name: Math, slope: Math, layer: int, kind: str, place: tuple[int, ...]
    ) -> list[Step]:
        """The update of one number: new states, then the new value.

        Parameters
        ----------
        name, slope : Math
            What the parameter and its derivative are called.
        layer : int
        kind : {"W", "b"}
        place : tuple of int
            Counted from 1.
        """
        old, gradient, state = self.parameter(layer, kind)
        new, after = self.moved(layer, kind)
        index = tuple(i - 1 for i in place)
        shown = Math("negative", (slope,)) if self.passes.objective.loss.maximise else slope
        values = self.hyperparameters()
        values |= {PARAMETER: float(old[index]), GRADIENT: float(gradient[index])}
        for key in state:
            values[_letter(key, STATE_LETTERS)] = _entry(state[key], index)
        traced: _Traced = self._traced  # type: ignore[attr-defined]
        found = []
        for key in traced.states:
            letter = _new(_letter(key, STATE_LETTERS))
            result = _entry(after[key], index)
            values[letter] = result
            formula = traced.formulas[key]
            numbers = put_numbers(formula, values)
            own = Math("of", (letter, name))
            found.append(
                Step("state", own, np.asarray(result), _named(formula, name, shown), numbers)
            )
        formula = traced.formulas["w"]
        step = Step(
            "update",
            _new(name),
            np.asarray(new[index]),
            _named(formula, name, shown),
            put_numbers(formula, values),
        )
        return [*found, step]

    def sections(self, sample: int = 1) -> tuple[Section, ...]:
        """All there is to say of the update; it is that of all samples."""
        return (self.section(),)

    def section(self) -> Section:
        """The rule, its numbers, and every parameter before and after."""
        steps = [
            Step("hyperparameter", name, np.asarray(value))
            for name, value in self.hyperparameters().items()
        ]
        for letter, formula in rule_formulas(self.rule).items():
            steps.append(Step("rule", symbol(letter), np.empty(0), formula))
        for layer, kind in self._keys():
            steps += self._matrices(layer, kind)
        title = Sentence("title_update", {"rule": type(self.rule).__name__, "step": self.step})
        notes = [Sentence("old_weights"), *self.notes]
        if self.passes.objective.loss.maximise:
            notes.append(Sentence("maximised"))
        return Section("update", title, tuple(steps), tuple(notes))

    def _matrices(self, layer: int, kind: str) -> list[Step]:
        old, gradient, state = self.parameter(layer, kind)
        new, after = self.moved(layer, kind)
        name = symbol(f"{kind}[{layer}]")
        formulas: _Traced = self._traced  # type: ignore[attr-defined]
        found = [
            Step("old", name, _column(old)),
            Step("gradient", Math("of", (GRADIENT, name)), _column(gradient)),
        ]
        for key in state:
            letter = _letter(key, STATE_LETTERS)
            own = Math("of", (letter, name))
            found.append(Step("state_before", own, _column(state[key])))
            if key in formulas.states:
                later = Math("of", (_new(letter), name))
                found.append(Step("state_after", later, _column(after[key])))
        return [*found, Step("new", _new(name), _column(new))]


def _entry(value: Array, index: tuple[int, ...]) -> float:
    return float(value[index] if value.ndim else value)


def _column(value: Array) -> Array:
    return value[:, None] if value.ndim == 1 else value


def _named(formula: Math, parameter: Math, slope: Math) -> Math:
    """The rule's formula with w and g replaced by what they are called in the network."""
    table = {PARAMETER: parameter, GRADIENT: slope}
    return replace_in(formula, lambda part: table.get(part))
