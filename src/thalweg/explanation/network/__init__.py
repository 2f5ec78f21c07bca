"""A network explained: neuron by neuron, layer by layer, entry by entry, and as a whole.

Examples
--------
The two-neuron chain with d = x = 1, w₁ = w₂ = 0.5, whose performance is to be raised:

>>> import numpy as np
>>> from thalweg.nn.network import Dense, Network
>>> from thalweg.optim.rules import GD
>>> net = Network([Dense(1, 1, "sigmoid", bias=False), Dense(1, 1, "sigmoid", bias=False)])
>>> params = [{"W": np.array([[0.5]])}, {"W": np.array([[0.5]])}]
>>> told = explain_network(net, params, [1.0], [1.0], "performance", GD(1.0))
>>> neuron = told.neuron("hidden 1")
>>> print(neuron.step("∂P/∂w[1]₁,₁").numbers)
0.0121244 · 1
>>> print(told.layers().step("dW[1]").value.round(5))
[[0.01212]]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg.errors import OptionError
from thalweg.explanation.network import names
from thalweg.explanation.network.entry import (
    knows,
    of_jacobian,
    of_layer,
    of_local,
    of_parameter,
    of_sample,
    open_entry,
)
from thalweg.explanation.network.health import health
from thalweg.explanation.network.layers import LayerWalk
from thalweg.explanation.network.names import Columns
from thalweg.explanation.network.neuron import NeuronWalk, multiplications
from thalweg.explanation.network.passes import Passes
from thalweg.explanation.network.scales import Scales
from thalweg.explanation.network.update import AnyUpdate, Update
from thalweg.explanation.pictures import network_picture
from thalweg.explanation.records import Explanation, Section, Sentence
from thalweg.nn.losses import Loss
from thalweg.nn.network import Network
from thalweg.nn.objective import Penalty
from thalweg.optim.rules import GD, RULES, Rule

if TYPE_CHECKING:
    from thalweg.explanation.network.solver import Solver

LOCAL = ("activation_local", "weight_local", "bias_local", "input_local")
"""Roles of the derivatives of one operation of a neuron."""

__all__ = ["Columns", "NetworkExplanation", "Setting", "explain_network"]

MANY_NEURONS, MANY_PARAMETERS = 24, 100


@dataclass(frozen=True)
class Setting:
    """What else training knew at this point; everything has a default.

    Parameters
    ----------
    memory : list of dict, optional
        What the rule remembers of each parameter, in the order W[1], b[1], W[2], ...
    step : int
        The number of the step that the update is, from 1.
    weights : array of shape (m,), optional
        Of the samples.
    penalty : Penalty, optional
    input_scaling, target_scaling : object with ``apply`` and ``undo``, optional
        With them, `x` and `t` are given in their own units.
    columns : Columns, optional
        What a table calls the inputs and outputs.
    trained_by : str
        The method that trained the network, where the update shown is another's.
    """

    memory: Sequence[Mapping[str, Any]] | None = None
    step: int = 1
    weights: ArrayLike | None = None
    penalty: Penalty | None = None
    input_scaling: Any = None
    target_scaling: Any = None
    columns: Columns | None = None
    trained_by: str = ""


def explain_network(
    network: Network,
    params: Sequence[Mapping[str, Any]],
    x: ArrayLike,
    t: ArrayLike,
    loss: Loss | str = "mse",
    rule: Rule | Solver | str | None = None,
    setting: Setting | None = None,
) -> NetworkExplanation:
    """Show every step of backpropagation of a network at a point.

    Parameters
    ----------
    network : Network
    params : list of dict
        ``{"W": (n[l], n[l-1]), "b": (n[l],)}`` for each layer.
    x, t : array-like
        One sample, shapes (n[0],) and (n[L],), or rows of samples.
    loss : Loss or str
    rule : Rule or str, optional
        The optimiser whose update is shown; gradient descent by default. A solver
        (`thalweg.training.solver_steps`) goes by its name in `thalweg.explain_network`.
    setting : Setting, optional
        Optimiser state, sample weights, penalty, scaling.

    Returns
    -------
    NetworkExplanation
        Its methods are the views.

    Raises
    ------
    ShapeError
        If arrays do not fit the network.
    OptionError
        If a name is not known.
    """
    setting = setting or Setting()
    scales = _scales(setting, network, x, t)
    rows = x if scales.X is None else setting.input_scaling.apply(scales.X)
    targets = t if scales.T is None else setting.target_scaling.apply(scales.T)
    passes = Passes.of(
        network, params, rows, targets, loss, setting.weights, setting.penalty, setting.columns
    )
    return NetworkExplanation(passes, _update(passes, rule, setting), scales)


def _update(passes: Passes, rule: Rule | Solver | str | None, setting: Setting) -> AnyUpdate:
    if callable(rule):
        from thalweg.explanation.network.solver import SolverUpdate

        return SolverUpdate(passes, rule)
    return Update(passes, _rule(rule), setting.memory, setting.step, setting.trained_by)


def _rule(rule: Rule | str | None) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if rule is None:
        return GD()
    if rule not in RULES:
        from thalweg.errors import suggest

        raise OptionError(
            "there is no first-order rule {rule!r}.{hint}", rule=rule, hint=suggest(rule, RULES)
        )
    made: Any = RULES[rule]
    found: Rule = made()
    return found


def _scales(setting: Setting, network: Network, x: ArrayLike, t: ArrayLike) -> Scales:
    from thalweg.explanation.network.passes import rows_of

    if setting.input_scaling is None and setting.target_scaling is None:
        return Scales()
    X = rows_of(x, network.inputs, "x") if setting.input_scaling is not None else None
    T = rows_of(t, network.outputs, "t") if setting.target_scaling is not None else None
    return Scales(setting.input_scaling, setting.target_scaling, X, T)


@dataclass(frozen=True, eq=False)
class NetworkExplanation:
    """The views of a network at a point; each returns an `Explanation`.

    Attributes
    ----------
    passes : Passes
        All arrays, samples as columns.
    update_step : Update or SolverUpdate
    scales : Scales
    """

    passes: Passes
    update_step: AnyUpdate
    scales: Scales = field(default_factory=Scales)

    @property
    def network(self) -> Network:
        """The network."""
        return self.passes.network

    def _walk(self, sample: int, limit: int) -> NeuronWalk:
        if not 1 <= sample <= self.passes.samples:
            raise OptionError(
                "there are samples 1 to {samples}, not {sample}",
                samples=self.passes.samples,
                sample=sample,
            )
        return NeuronWalk(self.passes, self.update_step, sample, limit, self.scales)

    def neuron(
        self,
        which: str | tuple[int, int],
        *,
        sample: int = 1,
        limit: int = 8,
        check: bool = False,
    ) -> Explanation:
        """One neuron in the eight steps.

        Parameters
        ----------
        which : str or (layer, index)
            ``"hidden 2"``, ``"output 1"``, ``"hidden 3 of layer 2"``, ``"2:3"``.
        sample : int
            Counted from 1.
        limit : int
            How many of its weights are shown one by one.
        check : bool
            With the central difference beside every global derivative.
        """
        layer, index = names.find_neuron(self.network, which)
        walk = self._walk(sample, limit)
        sections = walk.inputs() if layer == 1 else []
        sections.append(walk.forward(layer, index))
        if layer == self.passes.depth:
            sections.append(walk.loss())
        sections += [walk.neuron(layer, index), self._effect()]
        title = Sentence(
            "title_one_neuron",
            {
                "neuron": names.neuron(self.network, layer, index, self.passes.columns),
                "network": names.described(self.network),
            },
        )
        found = Explanation("neuron", title, tuple(sections), self.picture(sample))
        return self._beside(found, sample) if check else found

    def _beside(self, explanation: Explanation, sample: int) -> Explanation:
        """Central differences beside local derivatives, global ones and their means."""
        from thalweg.explanation import numerical

        goal = NeuronWalk(self.passes, self.update_step, sample).goal
        estimates = {}
        for step in explanation.steps():
            if step.name.head != "partial" or step.value.ndim:
                continue
            if step.role in LOCAL:
                estimates[step.id] = of_local(self.passes, step.name, sample)
            elif step.role == "mean":
                kind, *place = step.name.parts[1].parts
                layer, where = int(kind[2:-1]), tuple(i - 1 for i in place)
                matrix = "W" if kind[0] == "w" else "b"
                estimate = of_parameter(self.passes, matrix, layer, where)
                estimates[step.id] = np.asarray(estimate)
            if step.name.parts[0] != goal:
                continue
            name, *place = step.name.parts[1].parts
            label = {"x": "a[0]", "X": "a[0]"}.get(name, name.replace("w", "W"))
            estimate = of_sample(self.passes, label, tuple(place), sample)
            if name == "X":  # in its own unit
                estimate *= float(self._input_slopes[place[0] - 1])
            estimates[step.id] = np.asarray(estimate)
        return numerical.flagged(explanation.with_estimates(estimates))

    def walk(
        self, *, sample: int = 1, limit: int = 8, neurons: int | None = None, check: bool = False
    ) -> Explanation:
        """All neurons, from the loss to the first hidden layer.

        Parameters
        ----------
        sample, limit : int
        neurons : int, optional
            How many of each layer; all of a small network, 4 of a large one by default.
        check : bool
            With the central difference beside every global derivative.
        """
        walk = self._walk(sample, limit)
        sizes = self.network.sizes[1:]
        if neurons is None:
            neurons = max(sizes) if sum(sizes) <= MANY_NEURONS else 4
        layers = range(1, self.passes.depth + 1)
        sections = walk.inputs()
        for layer in layers:
            for index in range(1, min(neurons, sizes[layer - 1]) + 1):
                sections.append(walk.forward(layer, index))
        sections.append(walk.loss())
        for layer in reversed(layers):
            for index in range(1, min(neurons, sizes[layer - 1]) + 1):
                sections.append(walk.neuron(layer, index))
        sections += [*walk.sensitivity(), self._effect()]
        title = Sentence("title_walk", {"network": names.described(self.network), "sample": sample})
        found = Explanation("walk", title, tuple(sections), self.picture(sample))
        return self._beside(found, sample) if check else found

    @property
    def _input_slopes(self) -> Any:
        return self.scales.slope(self.scales.inputs, self.network.inputs)[:, 0]

    def _effect(self) -> Section:
        """After the pass: all updates take effect together; what sharing saved."""
        full, shared = self.multiplications
        saved = {"full": full, "shared": shared, "saved": full - shared}
        notes = [
            Sentence("take_effect"), *self.update_step.notes, Sentence("saved_in_all", saved),
        ]  # fmt: skip
        return Section("effect", Sentence("title_effect"), (), tuple(notes))

    @cached_property
    def multiplications(self) -> tuple[int, int]:
        """Multiplications with one full chain per weight, and with shared common parts."""
        passes, sizes = self.passes, self.network.sizes
        full = shared = 0
        for layer in range(1, passes.depth + 1):
            n, before = sizes[layer], sizes[layer - 1]
            biases = int(layer in passes.db)
            full += n * ((before + biases) * multiplications(passes, layer) + before)
            own = 1 if layer in passes.slopes else n
            shared += n * own + n * before + (n * before if layer > 1 else 0)
        return full, shared

    @cached_property
    def _layers(self) -> Explanation:
        sections = LayerWalk(self.passes, self.scales).sections()
        title = Sentence(
            "title_layers", {"network": names.described(self.network), "m": self.passes.samples}
        )
        return Explanation("layers", title, tuple(sections), self.picture(1))

    def layers(self, *, check: bool = False) -> Explanation:
        """Every matrix of both passes with its shape and formula.

        Parameters
        ----------
        check : bool
            With the central difference beside every derivative (slow for large networks).
        """
        return self._checked(self._layers) if check else self._layers

    def _checked(self, explanation: Explanation) -> Explanation:
        from thalweg.explanation import numerical

        estimates = {"dA[0]": of_layer(self.passes, "A", 0)}
        if self.scales.inputs is not None:
            estimates["dX"] = estimates["dA[0]"] * self._input_slopes[:, None]
        for layer in range(1, self.passes.depth + 1):
            estimates[f"dA[{layer}]"] = of_layer(self.passes, "A", layer)
            estimates[f"dZ[{layer}]"] = of_layer(self.passes, "Z", layer)
            for kind, table in (("W", self.passes.dW), ("b", self.passes.db)):
                if layer in table:
                    values = np.empty(table[layer].shape)
                    for place in np.ndindex(values.shape):
                        values[place] = of_parameter(self.passes, kind, layer, place)
                    estimates[f"d{kind}[{layer}]"] = values
        return numerical.flagged(explanation.with_estimates(estimates))

    def jacobians(self, *, sample: int = 1, check: bool = False) -> Explanation:
        """The Jacobian of each layer for one sample, and of the whole network.

        Parameters
        ----------
        sample : int
        check : bool
            With the central difference beside every entry.
        """
        self._walk(sample, 1)
        sections = LayerWalk(self.passes, self.scales).jacobians(sample)
        title = Sentence(
            "title_jacobians", {"network": names.described(self.network), "sample": sample}
        )
        found = Explanation("layers", title, tuple(sections), self.picture(sample))
        if not check:
            return found
        from thalweg.explanation import numerical

        estimates = {s.id: of_jacobian(self.passes, s.id, sample) for s in found.steps()}
        return numerical.flagged(found.with_estimates(estimates))

    def entry(
        self,
        name: str,
        row: int = 1,
        column: int = 1,
        *,
        sample: int = 1,
        check: bool = False,
        limit: int = 12,
    ) -> Explanation:
        """One entry of dW[l], db[l], dX or any other matrix, opened into its sum.

        Parameters
        ----------
        name : str
            Jacobians too: ``"∂a[2]/∂a[1]"``, or ``"da[2]/da[1]"`` as it is typed; and what a
            solver's update shows: ``"H"``, ``"JtJ"``, ``"Jtr"``, ``"Jy"``.
        row, column : int
            Counted from 1.
        sample : int
            Whose Jacobian it is.
        check : bool
            With the central difference beside it.
        limit : int
            How many terms get a line.
        """
        jacobian = re.sub(r"\bd(?=[az]\[)", "∂", name) if "/" in name else name
        view = self.jacobians(sample=sample) if jacobian.startswith("∂") else self._layers
        if not knows(view, jacobian):
            update = self.update(sample=sample)
            view = update if knows(update, jacobian) else view
        return open_entry(
            self.passes, view, jacobian, row, column, sample=sample, check=check, limit=limit
        )

    def update(self, *, sample: int = 1) -> Explanation:
        """Old value, gradient, optimiser state before and after, new value.

        Parameters
        ----------
        sample : int
            Whose rows are shown of a solver's Jacobian that is too large to be shown.
        """
        self._walk(sample, 1)
        sections = self.update_step.sections(sample)
        return Explanation("update", sections[0].title, sections)

    def health(self) -> Explanation:
        """Where gradients vanish or explode, dead and saturated neurons."""
        section = health(self.passes)
        title = Sentence("title_network", {"network": names.described(self.network)})
        return Explanation("network", title, (section,), self.picture(1))

    def report(
        self,
        *,
        sample: int = 1,
        neurons: int | None = None,
        limit: int | None = None,
        check: bool = False,
    ) -> Explanation:
        """Everything: layers, the walk over neurons, the update, the network's health.

        Parameters
        ----------
        sample : int
        neurons, limit : int, optional
            How many neurons of a layer, and weights of a neuron, are shown one by one: all of a
            small network, few of a large one by default.
        check : bool
            With the central difference beside every derivative.
        """
        if limit is None:
            limit = 8 if self.network.count <= MANY_PARAMETERS else 3
        walk = self.walk(sample=sample, neurons=neurons, limit=limit, check=check)
        sections = (
            *self.layers(check=check).sections,
            *walk.sections,
            *self.update(sample=sample).sections,
            *self.health().sections,
        )
        title = Sentence("title_network", {"network": names.described(self.network)})
        return Explanation("report", title, sections, self.picture(sample))

    def picture(self, sample: int = 1) -> Any:
        """The network drawn, with the numbers of one sample."""
        return network_picture(self.passes, sample)

    def write(self, form: str = "terminal", lang: str | None = None, **options: Any) -> str:
        """The layer view (the report for HTML) in a format; see `Explanation.write`."""
        return (self.report() if form == "html" else self.layers()).write(form, lang, **options)

    def __str__(self) -> str:
        return self.write()

    def _repr_html_(self) -> str:
        return self.report()._repr_html_()
