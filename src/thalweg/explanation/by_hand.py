r"""Networks and formulas typed in by hand, to check what was worked out on paper.

A file says the weights, the samples, the loss and the learning rate; thalweg does forward,
backward and as many updates as asked. TOML or JSON::

    loss = "performance"          # mse by default
    learning_rate = 1.0
    updates = 1                   # how many; 1 by default
    rule = "gd"                   # any first-order rule, or a solver: "lm", "bfgs", "newton", ...
    x = [[1.0]]                   # rows are samples
    t = [[1.0]]

    [[layers]]
    activation = "sigmoid"        # identity by default
    W = [[0.5]]                   # one row for each neuron
    b = [0.0]                     # left out: no bias

or ``formula = "w*x + b"`` with a table ``[values]``.

Examples
--------
>>> exercise = parse_exercise('formula = "w*x"\nvalues = {w = 2, x = 3}')
>>> float(exercise.explanation().step("∂f/∂w").value)
3.0
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.errors import DataError, OptionError, ShapeError, reason_of, suggest
from thalweg.explanation.expression import explain
from thalweg.explanation.network import NetworkExplanation, Setting, explain_network
from thalweg.explanation.network.names import described
from thalweg.explanation.network.solver import Solver, SolverUpdate
from thalweg.explanation.notation import symbol
from thalweg.explanation.records import Explanation, Section, Sentence, Step
from thalweg.nn.losses import loss as find_loss
from thalweg.nn.network import Dense, Network, Params
from thalweg.optim.rules import RULES, Rule
from thalweg.phrases import Phrase
from thalweg.trees import flatten, unflatten

__all__ = ["Exercise", "Plan", "parse_exercise", "read_exercise"]

Plan = Callable[[Sequence[NetworkExplanation]], Solver]
"""Makes a solver's next step from the updates that were worked out so far."""

_NETWORK_KEYS = (
    "title", "loss", "learning_rate", "updates", "rule", "x", "t", "layers",
)  # fmt: skip
_FORMULA_KEYS = ("title", "formula", "values", "take_apart")
_LAYER_KEYS = ("activation", "W", "b")


@dataclass(frozen=True, eq=False)
class Exercise:
    """A network or a formula with all its numbers.

    Attributes
    ----------
    title : dict of str to str
        By language.
    network, params, X, T, loss, rule, updates
        Of a network; None for a formula.
    formula : str
        Empty for a network.
    values : dict of str to float
    take_apart : bool
    done : list of NetworkExplanation
        The updates that were worked out so far.
    """

    title: Mapping[str, str] = field(default_factory=dict)
    formula: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    take_apart: bool = False
    network: Network | None = None
    params: Params | None = None
    X: Any = None
    T: Any = None
    loss: Any = "mse"
    rule: Rule | Plan | None = None
    updates: int = 1
    done: list[NetworkExplanation] = field(default_factory=list, init=False, repr=False)

    def told(self, step: int = 1) -> NetworkExplanation:
        """The network's views at an update, counted from 1.

        Raises
        ------
        OptionError
            For a formula, or a step below 1.
        """
        if self.network is None or self.params is None:
            raise OptionError("this exercise is a formula: ask for its explanation()")
        if step < 1:
            raise OptionError("updates count from 1, not {step}", step=step)
        while len(self.done) < step:
            params, memory = self.params, None
            if self.done:
                params, memory = _after(self.done[-1], self.done[-1].passes.params)
            setting = Setting(memory=memory, step=len(self.done) + 1)
            rule = self.rule(tuple(self.done)) if callable(self.rule) else self.rule
            self.done.append(
                explain_network(self.network, params, self.X, self.T, self.loss, rule, setting)
            )
        return self.done[step - 1]

    def at(self, moment: str) -> NetworkExplanation:
        """The network's views at a moment.

        Parameters
        ----------
        moment : str
            ``"init"``, ``"epoch=2"`` (after two updates) or ``"end"`` (after all of them).

        Raises
        ------
        OptionError
            For any other text.
        """
        found = re.fullmatch(r"init|end|(?:epoch|update|step)=(\d{1,4})", moment.strip())
        if not found:
            raise OptionError(
                "there is no moment {moment!r}: write init, epoch=2 or end.", moment=moment
            )
        updates = int(found[1] or 0) if moment.strip() != "end" else self.updates
        return self.told(updates + 1)

    def explanation(self, *, sample: int = 1, check: bool = False) -> Explanation:
        """Everything: for a formula its steps; for a network each update in turn.

        Parameters
        ----------
        sample : int
            Whose neurons are walked through, counted from 1.
        check : bool
            With central differences beside the derivatives.
        """
        if self.network is None:
            explained = explain(self.formula, take_apart=self.take_apart, check=check)
            record = explained(**self.values)
            return self.named(record)
        first = self.told(1)
        walk = first.walk(sample=sample, check=check)
        sections = [*first.layers(check=check).sections, *walk.sections]
        for number in range(1, self.updates + 1):
            sections += self._update(number)
        title = Sentence("title_network", {"network": described(self.network)})
        return self.named(Explanation("report", title, tuple(sections), first.picture(sample)))

    def named(self, explanation: Explanation) -> Explanation:
        """The explanation under the exercise's title, if it has one."""
        if not self.title:
            return explanation
        what = self.formula if self.network is None else explanation.title
        title = Sentence("title_exercise", {"title": self.title, "what": what})
        return replace(explanation, title=title)

    def _update(self, number: int) -> tuple[Section, ...]:
        """An update: its parameters after it, and the objective before and after it."""
        now = self.told(number)
        if isinstance(now.update_step, SolverUpdate):
            return now.update().sections
        after = self.told(number + 1)
        goal = symbol("P" if now.passes.objective.loss.maximise else "J")
        steps = [Step("objective", goal, np.asarray(now.passes.value))]
        for layer, own in enumerate(after.passes.params, start=1):
            for kind, value in own.items():
                shown = value[:, None] if value.ndim == 1 else value
                steps.append(Step("new", symbol(f"{kind}[{layer}]⁺"), shown))
        steps.append(Step("objective", symbol(f"{goal.parts[0]}⁺"), np.asarray(after.passes.value)))
        title = Sentence("title_update", {"rule": type(self.rule).__name__, "step": number})
        return (Section("update", title, tuple(steps)),)


def _after(told: NetworkExplanation, params: Params) -> tuple[Params, list[dict[str, Any]]]:
    """Parameters and optimiser state after an update."""
    leaves, memory = [], []
    for layer, own in enumerate(params, start=1):
        for kind in own:
            new, state = told.update_step.moved(layer, kind)
            leaves.append(new)
            memory.append(state)
    moved: Params = unflatten(flatten(params)[1], leaves)
    return moved, memory


def read_exercise(path: str | Path, solver: Callable[[str], Plan] | None = None) -> Exercise:
    """Read an exercise from a TOML or JSON file.

    Parameters
    ----------
    path : str or Path
    solver : callable, optional
        Finds a solver by its name, or raises `OptionError`.

    Returns
    -------
    Exercise

    Raises
    ------
    DataError
        If the file is missing or says something that cannot be understood: what, and where.
    """
    place = Path(path)
    try:
        text = place.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("{place}: there is no such file", place=place) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "{place}: cannot be read as UTF-8 text ({error})",
            place=place,
            error=reason_of(error) if isinstance(error, OSError) else error,
        ) from None
    return parse_exercise(
        text, str(place), json_form=place.suffix.lower() == ".json", solver=solver
    )


def parse_exercise(
    text: str,
    name: str = "exercise",
    *,
    json_form: bool = False,
    solver: Callable[[str], Plan] | None = None,
) -> Exercise:
    """Read an exercise from text.

    Raises
    ------
    DataError
        With the name of the key that is wrong.
    """
    try:
        data = json.loads(text) if json_form else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError("{name}: {error}", name=name, error=_slip(error)) from None
    if not isinstance(data, dict):
        raise DataError(
            "{name}: expected keys and values, not {found}", name=name, found=type(data).__name__
        )
    known = _FORMULA_KEYS if "formula" in data else _NETWORK_KEYS
    _only(data, known, name)
    try:
        return _formula(data, name) if "formula" in data else _network(data, name, solver)
    except (OptionError, ShapeError) as error:
        raise DataError("{name}: {error}", name=name, error=error) from None


def _slip(error: ValueError) -> Phrase:
    """Where the text is no TOML or JSON; what their readers say of it is in English only."""
    said = str(error)
    found = re.search(r"(.*?):? \(?(?:at )?line (\d+),? column (\d+)", said)
    if found is None:
        return Phrase(
            "{what} (at end of document)", what=said.removesuffix(" (at end of document)")
        )
    what, line, column = found.groups()
    return Phrase(
        "{what} (at line {line}, column {column})", what=what, line=int(line), column=int(column)
    )


def _only(data: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in data:
        if key not in known:
            raise DataError(
                "{where}: unknown key {key!r}.{hint}",
                where=where,
                key=key,
                hint=suggest(key, known),
            )


def _title(data: Mapping[str, Any]) -> dict[str, str]:
    title = data.get("title", {})
    if isinstance(title, dict) and not all(isinstance(v, str) for v in title.values()):
        raise DataError("title must be text, or text by language: { en = ..., ko = ... }")
    return {"en": title, "ko": title} if isinstance(title, str) else dict(title)


def _formula(data: Mapping[str, Any], name: str) -> Exercise:
    values = data.get("values", {})
    if not isinstance(data["formula"], str) or not isinstance(values, dict):
        raise DataError(
            "{name}: formula must be text and values a table such as {{w = 2}}", name=name
        )
    numbers = {key: _number(value, f"{name}: values.{key}") for key, value in values.items()}
    return Exercise(
        _title(data), data["formula"], numbers, take_apart=bool(data.get("take_apart", False))
    )


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError("{where} is {value!r}, not a number", where=where, value=value)
    return float(value)


def _matrix(value: Any, where: str) -> Any:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise DataError(
            "{where} is no table of numbers with rows of equal length", where=where
        ) from None
    if not np.isfinite(array).all():
        raise DataError("{where} holds numbers that are not finite", where=where)
    return array


def _network(data: Mapping[str, Any], name: str, solver: Callable[[str], Plan] | None) -> Exercise:
    for key in ("layers", "x", "t"):
        if key not in data:
            raise DataError("{name}: {key!r} is missing (or give a formula)", name=name, key=key)
    network, params = _layers(data["layers"], name)
    rule = _rule(data, name, solver)
    updates = data.get("updates", 1)
    if isinstance(updates, bool) or not isinstance(updates, int) or not 0 <= updates <= 1000:
        raise DataError(
            "{name}: updates is {updates!r}, not a whole number from 0 to 1000",
            name=name,
            updates=updates,
        )
    X, T = (_matrix(data[key], f"{name}: {key}") for key in ("x", "t"))
    return Exercise(
        _title(data),
        network=network,
        params=params,
        X=X,
        T=T,
        loss=find_loss(data.get("loss", "mse")),
        rule=rule,
        updates=updates,
    )


def _layers(tables: Any, name: str) -> tuple[Network, Params]:
    """The network with its parameters, from a list of tables."""
    layers: list[Dense] = []
    params: Params = []
    if not isinstance(tables, list) or not tables:
        raise DataError("{name}: layers must be a list of tables, [[layers]]", name=name)
    for number, own in enumerate(tables, start=1):
        where = Phrase("{name}: layer {number}", name=name, number=number)
        _only(own, _LAYER_KEYS, where)
        if "W" not in own:
            raise DataError("{where} has no W: one row for each neuron", where=where)
        W = np.atleast_2d(_matrix(own["W"], Phrase("{where}: {key}", where=where, key="W")))
        held = {"W": W}
        if "b" in own:
            held["b"] = np.atleast_1d(
                _matrix(own["b"], Phrase("{where}: {key}", where=where, key="b"))
            ).ravel()
        layers.append(Dense(W.shape[1], W.shape[0], own.get("activation", "identity"), "b" in own))
        params.append(held)
    network = Network(layers)
    network.check(params)
    return network, params


def _rule(data: Mapping[str, Any], name: str, solver: Callable[[str], Plan] | None) -> Rule | Plan:
    """The rule with its learning rate, or a solver, which finds its own lengths."""
    rule_name, rate = str(data.get("rule", "gd")), data.get("learning_rate")
    if rule_name in RULES:
        made: Any = RULES[rule_name]
        found: Rule = made() if rate is None else made(_number(rate, f"{name}: learning_rate"))
        return found
    if solver is None:
        raise DataError(
            "{name}: there is no rule {rule_name!r}.{hint}",
            name=name,
            rule_name=rule_name,
            hint=suggest(rule_name, RULES),
        )
    plan = solver(rule_name)
    if rate is not None:
        raise DataError(
            "{name}: {rule_name} has no learning_rate: leave it out", name=name, rule_name=rule_name
        )
    return plan
