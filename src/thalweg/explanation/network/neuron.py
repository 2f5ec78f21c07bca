"""Backpropagation neuron by neuron, in the order in which it is done by hand.

The loss first: its derivative is handed to the output layer. Then each neuron, from the outputs
to the first hidden layer, in eight steps: activation local; activation global, which is the
*common part (error)* of all the neuron's derivatives; weights local; weights global; update;
inputs local; inputs global; hand over to the layer before. The input layer receives none. All
derivatives use the old weights: an update is computed where it stands in the order, and takes
effect after the whole pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thalweg.explanation.network import names
from thalweg.explanation.network.passes import Passes
from thalweg.explanation.network.scales import (
    Scales,
    scaled_inputs,
    scaled_targets,
    unscaled_slopes,
)
from thalweg.explanation.network.update import AnyUpdate
from thalweg.explanation.notation import (
    Math,
    add,
    from_node,
    number,
    partial,
    put_numbers,
    subtract,
    symbol,
    symbols,
    text,
    tidy,
    times,
)
from thalweg.explanation.records import Factor, Section, Sentence, Step, Term

__all__ = ["NeuronWalk", "multiplications"]


@dataclass(frozen=True, eq=False)
class NeuronWalk:
    """The eight steps of every neuron, for one sample.

    Parameters
    ----------
    passes : Passes
    update : AnyUpdate
    sample : int
        Counted from 1.
    limit : int
        How many weights of a neuron are shown one by one.
    scales : Scales
    """

    passes: Passes
    update: AnyUpdate
    sample: int = 1
    limit: int = 8
    scales: Scales = field(default_factory=Scales)

    @property
    def goal(self) -> Math:
        """What is differentiated: J, P where it is maximised; ℓ, one sample's part of it."""
        if self.passes.samples > 1:
            return symbol("ℓ")
        return symbol("P") if self.passes.objective.loss.maximise else symbol("J")

    @property
    def mean(self) -> Math:
        """The name of the mean over all samples."""
        return symbol("P") if self.passes.objective.loss.maximise else symbol("J")

    @property
    def objective(self) -> Math:
        """What training moves: the mean, or C, the mean and the penalty together."""
        return symbol("C") if self.passes.objective.penalty else self.mean

    def _at(self, table: Any, layer: int, index: int) -> float:
        return float(table[layer][index - 1, self.sample - 1])

    def slope(self, layer: int, index: int) -> Math:
        """The name of the common part, ∂J/∂z."""
        return partial(self.goal, names.weighted_sum(layer, index))

    # -- the ends of the chain --------------------------------------------------------------------
    def inputs(self) -> list[Section]:
        """The sample's inputs, named and scaled; nothing where they have neither name nor unit."""
        columns, width = self.passes.columns, self.passes.network.inputs
        steps = scaled_inputs(self.scales, self.passes, self.sample, self.limit)
        if not steps and columns.inputs:
            steps = [
                Step(
                    "input",
                    names.activation(0, i),
                    np.asarray(self._at(self.passes.A, 0, i)),
                    place=Sentence("column", {"name": columns.input(i)}),
                )
                for i in range(1, min(self.limit, width) + 1)
            ]
        if not steps:
            return []
        notes = [Sentence("scaled_inputs")] if self.scales.X is not None else []
        if width > self.limit:
            notes.append(Sentence("more_inputs", {"count": width - self.limit}))
        return [Section("forward", Sentence("title_inputs"), tuple(steps), tuple(notes))]

    def sensitivity(self) -> list[Section]:
        """How the loss moves with the inputs, in their own units."""
        steps = unscaled_slopes(self.scales, self.passes, self.sample, self.limit, self._to_input)
        if not steps:
            return []
        notes = (Sentence("scaled_sensitivity"), Sentence("sensitivity"))
        return [Section("sensitivity", Sentence("title_sensitivity"), tuple(steps), notes)]

    def _to_input(self, index: int) -> Step:
        return self._handed("sensitivity", 0, index)

    # -- the loss ---------------------------------------------------------------------------------
    def loss(self) -> Section:
        """Loss local, loss global, hand over to the output layer."""
        passes, s = self.passes, self.sample - 1
        last, graph = passes.depth, passes.sample.plain
        y, t = symbol(f"a[{last}]"), symbol("t")
        table = {graph.labels[f"a[{last}]"]: y, graph.labels["t"]: t}
        formula = tidy(from_node(graph.outputs[0], table))
        steps = scaled_targets(self.scales, passes, self.sample)
        notes = [Sentence("scaled_targets")] if steps else []
        steps.append(self._value_of_loss(formula))
        cotangent = passes.sample.plain_derivation.gradient(graph.labels[f"a[{last}]"])
        derivative = tidy(from_node(cotangent, table))
        for k in range(1, passes.network.outputs + 1):
            values = {
                names.activation(last, k): float(passes.A[last][k - 1, s]),
                symbol("t", k): float(passes.T[s, k - 1]),
            }
            local = names.at_entry(derivative, k)
            name = partial(self.goal, names.activation(last, k))
            value = np.asarray(passes.dA_plain[k - 1, s])
            numbers = _filled(local, values)
            steps.append(Step("loss_local", name, value, local, numbers))
            steps.append(Step("loss_global", name, value, name, None))
        notes += [
            Sentence("words"),
            Sentence("loss_hand_over", {"layer": names.layer_of(passes.network, last)}),
        ]
        if passes.samples > 1:
            notes.append(Sentence("one_of_many", {"sample": self.sample, "m": passes.samples}))
        return Section("loss", Sentence("title_loss"), tuple(steps), tuple(notes))

    def _value_of_loss(self, formula: Math) -> Step:
        passes, s, last = self.passes, self.sample - 1, self.passes.depth
        value = np.asarray(passes.losses[s])
        if passes.network.outputs > 1:
            return Step("value", self.goal, value, formula)
        formula = names.at_entry(formula, 1)
        numbers = {
            names.activation(last, 1): float(passes.A[last][0, s]),
            symbol("t", 1): float(passes.T[s, 0]),
        }
        return Step("value", self.goal, value, formula, _filled(formula, numbers))

    # -- forward ----------------------------------------------------------------------------------
    def forward(self, layer: int, index: int) -> Section:
        """Weighted sum and activation of one neuron."""
        passes, s = self.passes, self.sample - 1
        W, before = passes.params[layer - 1]["W"][index - 1], passes.A[layer - 1][:, s]
        pairs = [
            Term(
                (
                    Factor(names.weight(layer, index, i + 1), float(W[i])),
                    Factor(names.activation(layer - 1, i + 1), float(before[i])),
                )
            )
            for i in range(len(W))
        ]
        if "b" in passes.params[layer - 1]:
            own = float(passes.params[layer - 1]["b"][index - 1])
            pairs.append(Term((Factor(names.bias(layer, index), own),)))
        z, a = names.weighted_sum(layer, index), names.activation(layer, index)
        total = self._summed("value", z, self._at(passes.Z, layer, index), pairs)
        graph = passes.sample.plain
        z_node, a_node = (graph.labels[f"{x}[{layer}]"] for x in "za")
        value = self._at(passes.A, layer, index)
        if a_node is z_node:
            activated = Step("value", a, np.asarray(value), z)
        elif layer in passes.slopes:
            written = tidy(from_node(a_node, {z_node: symbol(f"z[{layer}]")}), guards=False)
            formula = names.at_entry(written, index)
            numbers = _filled(formula, {z: self._at(passes.Z, layer, index)})
            activated = Step("value", a, np.asarray(value), formula, numbers)
        else:
            g = passes.network.layers[layer - 1].g.name
            formula = Math("entry", (Math("call", (g, symbol(f"z[{layer}]"))), index))
            activated = Step("value", a, np.asarray(value), formula)
        title = Sentence("title_neuron_forward", {"neuron": self._who(layer, index)})
        return Section("forward", title, (total, activated))

    # -- one neuron -------------------------------------------------------------------------------
    def neuron(self, layer: int, index: int) -> Section:
        """The eight steps of one neuron."""
        passes = self.passes
        steps = [self._received(layer, index)] if layer < passes.depth else []
        steps += self._activation(layer, index)
        steps += self._weights(layer, index)
        notes = [self._savings(layer)]
        shown = min(self.limit, passes.network.sizes[layer - 1])
        if shown < passes.network.sizes[layer - 1]:
            notes.append(
                Sentence("more_weights", {"count": passes.network.sizes[layer - 1] - shown})
            )
        if layer > 1:
            steps += self._inputs(layer, index)
        else:
            notes.append(Sentence("input_layer_receives_none"))
        if passes.objective.penalty:
            key = "penalised_up" if passes.objective.loss.maximise else "penalised"
            notes.append(Sentence(key, {"mean": self.mean}))
        notes += self._kinks(layer, index)
        title = Sentence(
            "title_neuron",
            {
                "neuron": self._who(layer, index),
                "activation": str(passes.network.layers[layer - 1].g),
            },
        )
        focus = tuple(f"{layer}.{index}" for _ in "x")
        return Section("neuron", title, tuple(steps), tuple(notes), focus)

    def _received(self, layer: int, index: int) -> Step:
        """What the layer behind handed over: a sum over its neurons."""
        return self._handed("received", layer, index)

    def _handed(self, role: str, layer: int, index: int) -> Step:
        passes, s = self.passes, self.sample - 1
        W = passes.params[layer]["W"][:, index - 1]
        delta = passes.dZ[layer + 1][:, s]
        terms = [
            Term(
                (
                    Factor(self.slope(layer + 1, k + 1), float(delta[k])),
                    Factor(names.weight(layer + 1, k + 1, index), float(W[k])),
                )
            )
            for k in range(len(W))
        ]
        name = partial(self.goal, names.activation(layer, index))
        return self._summed(role, name, self._at(passes.dA, layer, index), terms)

    def _activation(self, layer: int, index: int) -> list[Step]:
        """Steps 1 and 2: activation local and global."""
        passes = self.passes
        if layer not in passes.slopes:
            return self._joint_activation(layer, index)
        z, a = names.weighted_sum(layer, index), names.activation(layer, index)
        graph = passes.sample.plain
        z_node, a_node = (graph.labels[f"{x}[{layer}]"] for x in "za")
        named = {z_node: symbol(f"z[{layer}]"), a_node: symbol(f"a[{layer}]")}
        if a_node is z_node:
            named = {z_node: symbol(f"z[{layer}]")}
        formula = names.at_entry(tidy(from_node(passes.sample.slopes[layer], named)), index)
        values = {z: self._at(passes.Z, layer, index), a: self._at(passes.A, layer, index)}
        slope = self._at(passes.slopes, layer, index)
        local = Step(
            "activation_local", partial(a, z), np.asarray(slope), formula, _filled(formula, values)
        )
        above = partial(self.goal, a)
        arriving = passes.dA_plain if layer == passes.depth else passes.dA[layer]
        factors = (
            Factor(above, float(arriving[index - 1, self.sample - 1])),
            Factor(partial(a, z), slope),
        )
        common = self._product("common", self.slope(layer, index), factors)
        common = replace(common, value=np.asarray(self._at(passes.dZ, layer, index)))
        return [local, common, *self._fused(layer, index)]

    def _joint_activation(self, layer: int, index: int) -> list[Step]:
        """Steps 1 and 2 where every output depends on every weighted sum (softmax)."""
        passes, s = self.passes, self.sample - 1
        jacobian = passes.jacobian(layer, self.sample)
        arriving = (passes.dA_plain if layer == passes.depth else passes.dA[layer])[:, s]
        z = names.weighted_sum(layer, index)
        steps, terms = [], []
        for k in range(1, len(arriving) + 1):
            a = names.activation(layer, k)
            value = float(jacobian[k - 1, index - 1])
            if k <= self.limit:
                formula, numbers = self._softmax_entry(layer, k, index)
                name = partial(a, z)
                steps.append(Step("activation_local", name, np.asarray(value), formula, numbers))
            factors = (
                Factor(partial(self.goal, a), float(arriving[k - 1])),
                Factor(partial(a, z), value),
            )
            terms.append(Term(factors))
        value = self._at(passes.dZ, layer, index)
        common = self._summed("common", self.slope(layer, index), value, terms)
        note = Sentence("activation_is_jacobian")
        return [*steps, replace(common, notes=(note,)), *self._fused(layer, index)]

    def _softmax_entry(self, layer: int, k: int, j: int) -> tuple[Math | None, Math | None]:
        if self.passes.network.layers[layer - 1].g.name != "softmax":
            return None, None
        a_k, a_j = names.activation(layer, k), names.activation(layer, j)
        one = Math("subtract", (number(1.0), a_k))
        formula = times(a_k, one) if k == j else Math("negative", (times(a_k, a_j),))
        values = {a: self._at(self.passes.A, layer, i) for a, i in ((a_k, k), (a_j, j))}
        return formula, _filled(formula, values)

    def _fused(self, layer: int, index: int) -> list[Step]:
        """The result that training uses where loss and activation are joined."""
        passes = self.passes
        if layer != passes.depth or not passes.fused:
            return []
        from thalweg.explanation.network.layers import fused_formula

        formula = names.at_entry(fused_formula(passes, "z[{}]", "a[{}]", "t"), index)
        last, s = passes.depth, self.sample - 1
        values = {
            names.activation(last, index): float(passes.A[last][index - 1, s]),
            names.weighted_sum(last, index): float(passes.Z[last][index - 1, s]),
            symbol("t", index): float(passes.T[s, index - 1]),
        }
        value = np.asarray(self._at(passes.dZ, layer, index))
        note = Sentence("fused")
        step = Step("fused", self.slope(layer, index), value, formula, _filled(formula, values))
        return [replace(step, notes=(note,))]

    def _weights(self, layer: int, index: int) -> list[Step]:
        """Steps 3, 4 and 5 for every weight and the bias."""
        passes, s = self.passes, self.sample - 1
        z, delta = names.weighted_sum(layer, index), self._at(passes.dZ, layer, index)
        common = Factor(self.slope(layer, index), delta)
        local, slopes, updates = [], [], []
        sources = [
            (names.weight(layer, index, i), names.activation(layer - 1, i), i)
            for i in range(1, min(self.limit, passes.network.sizes[layer - 1]) + 1)
        ]
        for w, x, i in sources:
            value = float(passes.A[layer - 1][i - 1, s])
            where = self._where(layer, index, i)
            step = Step("weight_local", partial(z, w), np.asarray(value), x)
            local.append(replace(step, place=where))
            factors = (common, Factor(partial(z, w), value))
            slopes.append(self._product("weight_global", partial(self.goal, w), factors))
            updates += self.update.steps(w, partial(self.objective, w), layer, "W", (index, i))
        if "b" in passes.params[layer - 1]:
            b = names.bias(layer, index)
            local.append(Step("bias_local", partial(z, b), np.asarray(1.0), number(1.0)))
            factors = (common, Factor(partial(z, b), 1.0))
            slopes.append(self._product("bias_global", partial(self.goal, b), factors))
            updates += self.update.steps(b, partial(self.objective, b), layer, "b", (index,))
        gradient = passes.dZ[layer][index - 1, s] * passes.A[layer - 1][:, s]
        vector = partial(self.goal, symbol(f"w[{layer}]", index))
        slopes.append(Step("neuron_gradient", vector, gradient[None, :]))
        several = passes.samples > 1 or bool(passes.objective.penalty)
        means = self._means(layer, index, sources) if several else []
        return [*local, *slopes, *means, *updates]

    def _means(
        self, layer: int, index: int, sources: Sequence[tuple[Math, Math, int]]
    ) -> list[Step]:
        """The derivative that the update uses: of the mean over all samples, and the penalty."""
        passes = self.passes
        found = [
            self._used(w, passes.dW[layer][index - 1, i - 1], layer, (index, i))
            for w, _, i in sources
        ]
        if layer in passes.db:
            b = names.bias(layer, index)
            found.append(self._used(b, passes.db[layer][index - 1, 0], layer, (index,)))
        return found

    def _used(self, w: Math, value: Any, layer: int, place: tuple[int, ...]) -> Step:
        passes = self.passes
        several = passes.samples > 1
        formula = partial(self.goal, w)
        formula = Math("mean", (formula,)) if several else formula
        numbers = None
        if passes.objective.penalty and len(place) == 2:
            j, i = place[0] - 1, place[1] - 1
            own = float(np.sum(passes.dZ[layer][j] * passes.A[layer - 1][i] * passes.shares))
            price = float(value) - own
            slope = partial(symbol("R"), w)
            if passes.objective.loss.maximise:
                formula, numbers = subtract(formula, slope), subtract(number(own), number(-price))
            else:
                formula, numbers = add(formula, slope), add(number(own), number(price))
        role = "mean" if several else "penalised"
        return Step(role, partial(self.objective, w), np.asarray(value), formula, numbers)

    def _inputs(self, layer: int, index: int) -> list[Step]:
        """Steps 6, 7 and 8: inputs local and global, and what is handed over."""
        passes = self.passes
        z, delta = names.weighted_sum(layer, index), self._at(passes.dZ, layer, index)
        common = Factor(self.slope(layer, index), delta)
        W = passes.params[layer - 1]["W"][index - 1]
        local, shares, handed = [], [], []
        for i in range(1, min(self.limit, len(W)) + 1):
            x, w = names.activation(layer - 1, i), names.weight(layer, index, i)
            value = float(W[i - 1])
            where = self._where(layer, index, i)
            local.append(Step("input_local", partial(z, x), np.asarray(value), w, place=where))
            share = partial(self.goal, x)
            if passes.network.sizes[layer] > 1:
                share = Math("via", (share, z))
            shares.append(
                self._product("input_global", share, (common, Factor(partial(z, x), value)))
            )
            handed.append(self._handed("hand_over", layer - 1, i))
        return [*local, *shares, *handed]

    # -- parts ------------------------------------------------------------------------------------
    def _who(self, layer: int, index: int) -> Sentence:
        return names.neuron(self.passes.network, layer, index, self.passes.columns)

    def _where(self, layer: int, index: int, source: int) -> Sentence:
        return names.link(self.passes.network, layer, index, source, self.passes.columns)

    def _product(self, role: str, name: Math, factors: tuple[Factor, ...]) -> Step:
        term = Term(factors)
        formula = times(*(f.name for f in factors))
        numbers = times(*(number(f.value) for f in factors))
        return Step(role, name, np.asarray(term.value), formula, numbers, (term,))

    def _summed(self, role: str, name: Math, value: float, terms: Sequence[Term]) -> Step:
        formula = add(*(times(*(f.name for f in t.factors)) for t in terms))
        numbers = add(*(times(*(number(f.value) for f in t.factors)) for t in terms))
        return Step(role, name, np.asarray(value), formula, numbers, tuple(terms))

    def _savings(self, layer: int) -> Sentence:
        count = multiplications(self.passes, layer)
        weights = self.passes.network.sizes[layer - 1]
        biased = layer in self.passes.db
        derivatives = weights + biased
        if derivatives == 1:
            return Sentence("saved_none")
        return Sentence(
            "saved",
            {
                "saved": (derivatives - 1) * count,
                "common": count,
                "derivatives": derivatives,
                "shared": count + weights,
                "full": derivatives * count + weights,
            },
        )

    def _kinks(self, layer: int, index: int) -> list[Sentence]:
        g = self.passes.network.layers[layer - 1].g
        z = self._at(self.passes.Z, layer, index)
        found = []
        if any(z == kink for kink in g.kinks):
            found.append(
                Sentence(
                    "kink_of_activation",
                    {"activation": str(g), "z": z, "name": text(names.weighted_sum(layer, index))},
                )
            )
        if g.untrainable:
            found.append(Sentence("step_untrainable"))
        return found


def _filled(formula: Math, values: dict[Math, float]) -> Math | None:
    """The formula with numbers, None unless every symbol has one."""
    if any(s not in values for s in symbols(formula)):
        return None
    return put_numbers(formula, values)


def multiplications(passes: Passes, layer: int) -> int:
    """How many multiplications one common part of a layer takes, computed from the loss on.

    The loss hands over one factor; an activation that works entry by entry multiplies by its
    slope, one that does not (softmax) by a row of its Jacobian; each layer in between multiplies
    by one weight for every neuron behind, whose common part is needed first.
    """
    sizes = passes.network.sizes
    last = passes.depth
    count = 1 if last in passes.slopes else sizes[last]
    for number_of in range(last - 1, layer - 1, -1):
        own = 1 if number_of in passes.slopes else sizes[number_of]
        count = own + sizes[number_of + 1] * (1 + count)
    return count
