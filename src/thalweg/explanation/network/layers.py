"""Backpropagation layer by layer: every matrix, its shape, its formula.

Samples are columns. dZ[l] holds the derivative of each sample's own loss; the mean over samples
is taken where it meets the weights, at dW[l] and db[l]. So dZ = A - T is m times the derivative
of the mean, and holds for sigmoid with binary cross entropy and softmax with cross entropy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thalweg.explanation.network import names
from thalweg.explanation.network.passes import Passes
from thalweg.explanation.network.scales import Scales
from thalweg.explanation.notation import (
    Math,
    add,
    call,
    divide,
    from_node,
    hadamard,
    matmul,
    negative,
    number,
    partial,
    subtract,
    symbol,
    tidy,
    transpose,
)
from thalweg.explanation.notation import replace as replace_in
from thalweg.explanation.notation.tidy import expand
from thalweg.explanation.records import Recipe, Section, Sentence, Step

__all__ = ["LayerWalk", "fused_formula"]


def _rows(columns: Sequence[str], most: int = 40) -> str:
    """Which row of a matrix is which column of the table: ``1 age, 2 size``."""
    shown = [f"{i} {name}" for i, name in enumerate(columns[:most], start=1)]
    return ", ".join(shown) + (", …" if len(columns) > most else "")


def fused_formula(passes: Passes, z: str, a: str, t: str) -> Math:
    """The formula of dZ[L] as training computes it, with loss and activation joined."""
    last = passes.depth
    graph = passes.sample.graph
    table = {graph.labels["t"]: symbol(t)}
    table[graph.labels[f"z[{last}]"]] = symbol(z.format(last))
    known = graph.labels[f"a[{last}]"]
    table[known] = symbol(a.format(last))
    node = passes.sample.derivation.gradient(graph.labels[f"z[{last}]"])
    formula = tidy(from_node(node, table))
    known_forms = _probabilities(symbol(z.format(last)), symbol(a.format(last)))
    if np.all(passes.T.sum(axis=1) == 1.0):  # targets are distributions
        known_forms[Math("total", (symbol(t),))] = number(1.0)
    return expand(tidy(replace_in(formula, known_forms.get)))


def _probabilities(z: Math, a: Math) -> dict[Math, Math]:
    """exp(z - logsumexp(z)) and σ(z) are the output a; σ(-z) is 1 - a."""
    return {
        call("exp", subtract(z, call("logsumexp", z))): a,
        call("sigmoid", z): a,
        call("sigmoid", negative(z)): subtract(number(1.0), a),
    }


@dataclass(frozen=True, eq=False)
class LayerWalk:
    """The matrices of both passes.

    Parameters
    ----------
    passes : Passes
    scales : Scales
    """

    passes: Passes
    scales: Scales = field(default_factory=Scales)

    def sections(self) -> list[Section]:
        """Forward from the first layer, the loss, backward to the inputs."""
        layers = range(1, self.passes.depth + 1)
        return [
            self.inputs(),
            *(self.forward(layer) for layer in layers),
            self.loss(),
            *(self.backward(layer) for layer in reversed(layers)),
            self.sensitivity(),
        ]

    # -- forward ----------------------------------------------------------------------------------
    def inputs(self) -> Section:
        """The samples as columns, and how they were scaled."""
        passes = self.passes
        zero, inputs = symbol("A[0]"), passes.columns.inputs
        steps = [Step("input", zero, passes.A[0], rows=inputs)]
        if self.scales.inputs is not None and self.scales.X is not None:
            width = passes.network.inputs
            slope = self.scales.slope(self.scales.inputs, width)
            shift = self.scales.shift(self.scales.inputs, width)
            formula = hadamard(subtract(symbol("X"), symbol("c[0]")), symbol("s[0]"))
            steps = [
                Step("input", symbol("X"), self.scales.X.T, rows=inputs),
                Step("scaling", symbol("c[0]"), shift, rows=inputs),
                Step("scaling", symbol("s[0]"), slope, rows=inputs),
                Step("scaling", zero, passes.A[0], formula, rows=inputs),
            ]
        notes = [Sentence("samples_are_columns", {"m": passes.samples, "n": passes.network.inputs})]
        if passes.columns.inputs:
            notes.insert(0, Sentence("columns_named", {"columns": _rows(passes.columns.inputs)}))
        return Section("forward", Sentence("title_inputs"), tuple(steps), tuple(notes))

    def forward(self, layer: int) -> Section:
        """Weights, weighted sums and activations of a layer."""
        passes, own = self.passes, self.passes.params[layer - 1]
        W, b, Z, A = (symbol(f"{x}[{layer}]") for x in "WbZA")
        before = symbol(f"A[{layer - 1}]")
        steps = [Step("weights", W, own["W"])]
        formula = matmul(W, before)
        recipe = Recipe("affine", f"W[{layer}]", f"A[{layer - 1}]")
        if "b" in own:
            steps.append(Step("biases", b, own["b"][:, None]))
            formula, recipe = add(formula, b), replace(recipe, plus=f"b[{layer}]")
        steps.append(Step("weighted_sum", Z, passes.Z[layer], formula, recipe=recipe))
        steps.append(Step("activation", A, passes.A[layer], self._activated(layer)))
        title = Sentence("title_forward_layer", self._who(layer))
        return Section("forward", title, tuple(steps))

    def _who(self, layer: int) -> dict[str, Any]:
        g = self.passes.network.layers[layer - 1].g
        return {"layer": names.layer_of(self.passes.network, layer), "activation": str(g)}

    def _activated(self, layer: int) -> Math:
        graph = self.passes.sample.plain
        z, a = (graph.labels[f"{x}[{layer}]"] for x in "za")
        Z = symbol(f"Z[{layer}]")
        if a is z:
            return Z
        if layer not in self.passes.slopes:
            return call(self.passes.network.layers[layer - 1].g.name, Z)
        return from_node(a, {z: Z})

    def loss(self) -> Section:
        """The loss of each sample, and the objective."""
        passes, last = self.passes, self.passes.depth
        graph = passes.sample.plain
        table = {
            graph.labels[f"a[{last}]"]: symbol(f"A[{last}]"),
            graph.labels["t"]: symbol("T"),
        }
        goal = symbol("P") if passes.objective.loss.maximise else symbol("J")
        steps = []
        scaled = None
        if self.scales.targets is not None and self.scales.T is not None:
            steps += self._scaled_targets()
            scaled = hadamard(subtract(symbol("D"), symbol("c[t]")), symbol("s[t]"))
        steps.append(Step("target", symbol("T"), passes.T.T, scaled, rows=passes.columns.outputs))
        each = symbol("ℓ")
        formula = tidy(from_node(graph.outputs[0], table))
        steps.append(Step("loss_each", each, passes.losses[None, :], formula))
        value = np.asarray(passes.mean)
        if passes.evenly:
            mean = divide(Math("rowsum", (each,)), symbol("m"))
            recipe = Recipe("rowsum", "ℓ", divisor=float(passes.samples))
        else:
            steps.append(Step("sample_weights", symbol("s"), passes.shares[None, :]))
            mean = Math("rowsum", (hadamard(each, symbol("s")),))
            recipe = Recipe("rowsum", "ℓ", weights="s")
        steps.append(Step("objective", goal, value, mean, recipe=recipe))
        notes = [Sentence("maximised")] if passes.objective.loss.maximise else []
        if passes.columns.outputs:
            notes.insert(0, Sentence("outputs_named", {"columns": _rows(passes.columns.outputs)}))
        if passes.penalty:
            notes.append(Sentence("with_penalty", {"penalty": passes.penalty, "sum": passes.value}))
        return Section("loss", Sentence("title_loss"), tuple(steps), tuple(notes))

    def _scaled_targets(self) -> list[Step]:
        width, targets = self.passes.network.outputs, self.scales.targets
        outputs = self.passes.columns.outputs
        assert self.scales.T is not None
        slope, shift = self.scales.slope(targets, width), self.scales.shift(targets, width)
        back = np.asarray(targets.undo(self.passes.A[self.passes.depth].T)).T
        last = symbol(f"A[{self.passes.depth}]")
        formula = add(divide(last, symbol("s[t]")), symbol("c[t]"))
        return [
            Step("target", symbol("D"), self.scales.T.T, rows=outputs),
            Step("scaling", symbol("c[t]"), shift),
            Step("scaling", symbol("s[t]"), slope),
            Step("prediction", symbol("Y"), back, formula, rows=outputs),
        ]

    # -- backward ---------------------------------------------------------------------------------
    def backward(self, layer: int) -> Section:
        """dA, g', dZ, dW, db, and what is handed to the layer before."""
        passes, last = self.passes, self.passes.depth
        steps = [self._arriving()] if layer == last else []
        steps += self._common(layer)
        steps += self._gradients(layer)
        notes = []
        if layer == last and passes.samples > 1:
            notes.append(Sentence("per_sample", {"layer": layer, "m": passes.samples}))
        if layer == last and passes.fused:
            notes.append(Sentence("fused"))
        if layer not in passes.slopes:
            notes.append(Sentence("activation_is_jacobian"))
        if layer > 1:
            steps.append(self._handed(layer))
        else:
            notes.append(Sentence("input_layer_receives_none"))
        title = Sentence("title_backward_layer", self._who(layer))
        return Section("layer", title, tuple(steps), tuple(notes))

    def _arriving(self) -> Step:
        passes, last = self.passes, self.passes.depth
        graph = passes.sample.plain
        node = graph.labels[f"a[{last}]"]
        table = {node: symbol(f"A[{last}]"), graph.labels["t"]: symbol("T")}
        formula = tidy(from_node(passes.sample.plain_derivation.gradient(node), table))
        return Step("loss_global", symbol(f"dA[{last}]"), passes.dA_plain, formula)

    def _common(self, layer: int) -> list[Step]:
        passes, last = self.passes, self.passes.depth
        dA, dZ = symbol(f"dA[{layer}]"), symbol(f"dZ[{layer}]")
        fused = layer == last and passes.fused
        value = passes.dZ_plain if fused else passes.dZ[layer]
        graph = passes.sample.plain
        z, a = (graph.labels[f"{x}[{layer}]"] for x in "za")
        table = {z: symbol(f"Z[{layer}]")}
        if a is not z:
            table[a] = symbol(f"A[{layer}]")
        steps = []
        if layer in passes.slopes:
            slope = symbol(f"g'[{layer}]")
            formula = tidy(from_node(passes.sample.slopes[layer], table))
            steps.append(Step("activation_local", slope, passes.slopes[layer], formula))
            recipe = Recipe("hadamard", f"dA[{layer}]", f"g'[{layer}]")
            steps.append(Step("common", dZ, value, hadamard(dA, slope), recipe=recipe))
        else:
            steps.append(Step("common", dZ, value, self._through_jacobian(layer)))
        if fused:
            formula = fused_formula(passes, "Z[{}]", "A[{}]", "T")
            plain_form = subtract(symbol(f"A[{layer}]"), symbol("T"))
            known = Recipe("subtract", f"A[{layer}]", "T") if formula == plain_form else None
            steps.append(Step("fused", dZ, passes.dZ[layer], formula, recipe=known))
        return steps

    def _through_jacobian(self, layer: int) -> Math:
        """How dZ follows from dA where the activation mixes its inputs, as softmax does."""
        A, dA = symbol(f"A[{layer}]"), symbol(f"dA[{layer}]")
        if self.passes.network.layers[layer - 1].g.name != "softmax":
            return call("Jᵀ", dA)
        return hadamard(A, subtract(dA, Math("total", (hadamard(A, dA),))))

    def _gradients(self, layer: int) -> list[Step]:
        passes = self.passes
        dZ, before = symbol(f"dZ[{layer}]"), symbol(f"A[{layer - 1}]")
        share: dict[str, Any] = {"divisor": float(passes.samples)}
        if passes.evenly:
            formula = divide(matmul(dZ, transpose(before)), symbol("m"))
            column = divide(Math("rowsum", (dZ,)), symbol("m"))
        else:
            share = {"weights": "s"}
            formula = matmul(hadamard(dZ, symbol("s")), transpose(before))
            column = Math("rowsum", (hadamard(dZ, symbol("s")),))
        steps = []
        recipe = Recipe("matmul", f"dZ[{layer}]", f"A[{layer - 1}]", right_transposed=True, **share)
        if passes.objective.penalty:
            price = self._penalty(layer)
            steps.append(price)
            formula, recipe = add(formula, price.name), replace(recipe, plus=price.id)
        steps.append(
            Step("weight_global", symbol(f"dW[{layer}]"), passes.dW[layer], formula, recipe=recipe)
        )
        if layer in passes.db:
            recipe = Recipe("rowsum", f"dZ[{layer}]", **share)
            name = symbol(f"db[{layer}]")
            steps.append(Step("bias_global", name, passes.db[layer], column, recipe=recipe))
        return steps

    def _penalty(self, layer: int) -> Step:
        """The derivative of the penalty with respect to a layer's weights."""
        import thalweg as tw
        from thalweg.differentiation import backward

        penalty, W = self.passes.objective.penalty, self.passes.params[layer - 1]["W"]
        total = float(np.sum(self.passes.weights))
        sign = self.passes.objective.loss.sign
        graph = tw.trace(lambda w: penalty([{"W": w}], total), W)
        slope = backward(graph.outputs[0], graph.inputs).gradient(graph.inputs[0])
        formula = tidy(from_node(slope, {graph.inputs[0]: symbol(f"W[{layer}]")}))
        value = tw.grad(lambda w: penalty([{"W": w}], total))(W)
        if sign < 0:
            formula, value = Math("negative", (formula,)), -value
        return Step("penalty", symbol(f"dR[{layer}]"), np.asarray(value), formula)

    def _handed(self, layer: int) -> Step:
        W, dZ = symbol(f"W[{layer}]"), symbol(f"dZ[{layer}]")
        recipe = Recipe("matmul", f"W[{layer}]", f"dZ[{layer}]", left_transposed=True)
        return Step(
            "hand_over",
            symbol(f"dA[{layer - 1}]"),
            self.passes.dA[layer - 1],
            matmul(transpose(W), dZ),
            recipe=recipe,
        )

    def sensitivity(self) -> Section:
        """The derivative with respect to the inputs; nothing is trained with it."""
        inputs = self.passes.columns.inputs
        steps = [replace(self._handed(1), role="sensitivity", rows=inputs)]
        if self.scales.inputs is not None and self.scales.X is not None:
            slope = self.scales.slope(self.scales.inputs, self.passes.network.inputs)
            value = self.passes.dA[0] * slope
            formula = hadamard(symbol("dA[0]"), symbol("s[0]"))
            steps.append(Step("scaling", symbol("dX"), value, formula, rows=inputs))
        return Section(
            "sensitivity", Sentence("title_sensitivity"), tuple(steps), (Sentence("sensitivity"),)
        )

    # -- Jacobians --------------------------------------------------------------------------------
    def jacobians(self, sample: int) -> list[Section]:
        """The Jacobian of each layer for one sample, and that of the whole network."""
        passes = self.passes
        sections, chain, joined = [], np.eye(passes.network.inputs), []
        first = symbol("a[0]")
        for layer in range(1, passes.depth + 1):
            inner = passes.jacobian(layer, sample)
            W = passes.params[layer - 1]["W"]
            whole = inner @ W
            chain = whole @ chain
            a, z, x = (symbol(n) for n in (f"a[{layer}]", f"z[{layer}]", f"a[{layer - 1}]"))
            steps = (
                Step("jacobian", partial(z, x), W, symbol(f"W[{layer}]")),
                Step("jacobian", partial(a, z), inner, self._inner_formula(layer)),
                Step(
                    "jacobian",
                    partial(a, x),
                    whole,
                    matmul(partial(a, z), partial(z, x)),
                    recipe=Recipe("matmul", f"∂{a}/∂{z}", f"∂{z}/∂{x}"),
                ),
            )
            title = Sentence("title_jacobian_layer", self._who(layer))
            sections.append(Section("jacobian", title, steps))
            if layer > 1:
                recipe = Recipe("matmul", f"∂{a}/∂{x}", f"∂{x}/∂{first}")
                product = matmul(partial(a, x), partial(x, first))
                joined.append(Step("jacobian", partial(a, first), chain, product, recipe=recipe))
        if joined:
            sections.append(Section("jacobian", Sentence("title_jacobian"), tuple(joined)))
        return sections

    def _inner_formula(self, layer: int) -> Math | None:
        if layer in self.passes.slopes:
            return call("diag", call("g'", symbol(f"z[{layer}]")))
        if self.passes.network.layers[layer - 1].g.name == "softmax":
            a = symbol(f"a[{layer}]")
            return subtract(call("diag", a), matmul(a, transpose(a)))
        return None
