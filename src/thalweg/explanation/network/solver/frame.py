"""What the steps of all solvers have in common: one vector θ of all parameters, values, sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.explanation.network.passes import Passes
from thalweg.explanation.notation import (
    Math,
    add,
    call,
    matmul,
    negative,
    number,
    subtract,
    symbol,
    transpose,
)
from thalweg.explanation.records import Array, Recipe, Section, Sentence, Step
from thalweg.trees import flatten

if TYPE_CHECKING:
    from thalweg.explanation.network.solver.damped import DampedStep
    from thalweg.optim.watching import PlainStep

__all__ = ["GRADIENT", "STEP", "THETA", "Frame", "inner", "inverse", "of"]

THETA, NEW, GRADIENT, STEP = symbol("θ"), symbol("θ⁺"), symbol("g"), symbol("s")
MOST_TERMS = 2000
"""Sums of more terms do not open."""
MOST = 40_000
"""Matrices of more numbers are not written down; their shape, size and chosen rows are."""


def of(name: Math, where: Math) -> Math:
    """``J of θ``."""
    return Math("of", (name, where))


def inverse(matrix: Math) -> Math:
    """``M⁻¹``."""
    return Math("inverse", (matrix,))


def inner(a: Math, b: Math) -> Math:
    """``aᵀ b``."""
    return matmul(transpose(a), b)


def column(vector: Array) -> Array:
    """A vector as a matrix of one column."""
    return np.asarray(vector, np.float64).reshape(-1, 1)


@dataclass(frozen=True, eq=False)
class Frame:
    """The parts of a section that every solver's step has.

    Parameters
    ----------
    passes : Passes
    point : DampedStep or PlainStep
        Where the step starts and where it leads.
    sample : int
        Whose rows of matrices are shown that are too large to be shown, counted from 1.
    """

    passes: Passes
    point: DampedStep | PlainStep
    sample: int = 1

    @property
    def goal(self) -> Math:
        """What is minimised: J, or -P where the loss is to be made large."""
        return negative(symbol("P")) if self.maximised else symbol("J")

    def at(self, where: Math) -> Math:
        """``J(θ)``."""
        return negative(call("P", where)) if self.maximised else call("J", where)

    @property
    def maximised(self) -> bool:
        """Whether the loss is to be made large."""
        return self.passes.objective.loss.maximise

    @cached_property
    def count(self) -> int:
        """The number of parameters, P."""
        return sum(leaf.size for leaf in flatten(self.passes.params)[0])

    def pieces(self, vector: Array) -> list[tuple[int, str, Array]]:
        """A vector of all parameters as layer, kind, array of the parameter's shape."""
        found, start = [], 0
        for layer, own in enumerate(self.passes.params, start=1):
            for kind, value in own.items():
                part = vector[start : start + value.size].reshape(value.shape)
                found.append((layer, kind, np.asarray(part)))
                start += value.size
        return found

    # -- steps ----------------------------------------------------------------------------------
    def vector(self, role: str, name: Math, value: Array, formula: Math | None = None) -> Step:
        """A vector of all parameters, as a column."""
        return Step(role, name, column(value), formula)

    def scalar(
        self, role: str, name: Math, value: float, formula: Math | None = None, **more: Any
    ) -> Step:
        """A number."""
        return Step(role, name, np.asarray(float(value)), formula, **more)

    def product(self, role: str, a: tuple[Math, Array], b: tuple[Math, Array]) -> Step:
        """aᵀb, which opens into its sum where that is not too long."""
        recipe = None
        if self.count <= MOST_TERMS:
            recipe = Recipe("matmul", str(a[0]), str(b[0]), left_transposed=True)
        name = inner(a[0], b[0])
        return Step(role, name, np.asarray(float(np.dot(a[1], b[1]))), recipe=recipe)

    def matrix(
        self,
        role: str,
        name: Math,
        value: Array,
        formula: Math | None = None,
        recipe: Recipe | None = None,
    ) -> Step:
        """A matrix; of a large one the size, and a note of its shape."""
        if value.size <= MOST:
            return Step(role, name, value, formula, recipe=recipe)
        told = {"name": name, "rows": value.shape[0], "columns": value.shape[1]}
        size = np.asarray(float(np.linalg.norm(value)))
        made = None if formula is None else call("norm", formula)
        return Step(role, call("norm", name), size, made, notes=(Sentence("cut_matrix", told),))

    # -- sections -------------------------------------------------------------------------------
    def order(self) -> Sentence:
        """Where in θ each matrix lies: ``W[1] = θ1-θ4``."""
        start, parts = 1, []
        for layer, kind, part in self.pieces(np.zeros(self.count)):
            last = start + part.size - 1
            places = f"θ{start}" if last == start else f"θ{start}…θ{last}"
            parts.append(f"{kind}[{layer}] = {places}")
            start = last + 1
        return Sentence("theta_order", {"order": "; ".join(parts), "count": self.count})

    def values(self) -> list[Step]:
        """The objective before and after."""
        now = self.scalar("objective", self.at(THETA), self.point.value)
        later = self.scalar("objective", self.at(NEW), self.point.new_value)
        return [now, later]

    def fall(self) -> Math:
        """``J(θ) - J(θ⁺)``."""
        return subtract(self.at(THETA), self.at(NEW))

    def fall_numbers(self) -> Math:
        """The same with numbers."""
        return subtract(number(self.point.value), number(self.point.new_value))

    def moved(self) -> Step:
        """θ⁺ = θ + s."""
        return self.vector("new", NEW, self.point.new_x, add(THETA, STEP))

    def parameters(self) -> Section:
        """Every parameter before, its gradient, its part of the step, and after."""
        x, new = self.point.x, self.point.new_x
        rows = zip(*(self.pieces(v) for v in (x, self.point.gradient, new - x, new)), strict=True)
        steps: list[Step] = []
        for (layer, kind, old), (_, _, slope), (_, _, step), (_, _, after) in rows:
            name = symbol(f"{kind}[{layer}]")
            after_name = symbol(f"{kind}[{layer}]⁺")
            steps += [
                Step("old", name, _shaped(old)),
                Step("gradient", of(GRADIENT, name), _shaped(slope)),
                Step("step", of(STEP, name), _shaped(step)),
                Step("new", after_name, _shaped(after), add(name, of(STEP, name))),
            ]
        notes = [Sentence("old_weights")]
        if self.maximised:
            notes.append(Sentence("minimised_negative"))
        if self.passes.objective.penalty:
            notes.append(Sentence("value_with_penalty"))
        return Section("update", Sentence("title_solver_parameters"), tuple(steps), tuple(notes))

    def number_of(self, layer: int, kind: str, place: tuple[int, ...]) -> tuple[Array, ...]:
        """Old value, step and new value of one parameter; `place` counts from 1."""
        index = tuple(i - 1 for i in place)
        found = []
        for vector in (self.point.x, self.point.new_x - self.point.x, self.point.new_x):
            table = {(at, what): part for at, what, part in self.pieces(vector)}
            found.append(np.asarray(table[layer, kind][index]))
        return tuple(found)

    def minus(self, matrix: Math, vector: Math) -> Math:
        """``-M v``."""
        return matmul(negative(matrix), vector)

    def samples_of(self, rows: int) -> Sentence:
        """How rows are counted: k outputs of each of m samples."""
        k = self.passes.network.outputs
        return Sentence("rows_are_outputs", {"rows": rows, "m": self.passes.samples, "k": k})


def _shaped(value: Array) -> Array:
    return value[:, None] if value.ndim == 1 else value
