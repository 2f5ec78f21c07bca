"""A step along a direction: steepest descent, conjugate gradients, BFGS, L-BFGS, Newton.

What a direction remembers is shown as it was before the step, and as it is after it has learned
from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thalweg.explanation.network.solver.frame import (
    GRADIENT,
    NEW,
    STEP,
    THETA,
    Frame,
    inner,
    inverse,
)
from thalweg.explanation.notation import (
    Math,
    add,
    call,
    divide,
    matmul,
    negative,
    number,
    partial,
    subtract,
    symbol,
    times,
    transpose,
)
from thalweg.explanation.records import Array, Section, Sentence, Step
from thalweg.optim.direction.base import Direction
from thalweg.optim.direction.conjugate import FORMULAS, ConjugateGradient
from thalweg.optim.direction.newton import ModifiedNewton
from thalweg.optim.direction.quasi_newton import BFGS, LBFGS
from thalweg.optim.watching import LineSearchStep

__all__ = ["LineSearchSections"]

DIRECTION, LENGTH, CHANGE, RHO = symbol("d"), symbol("α"), symbol("y"), symbol("ρ")
UNIT, MATRIX, HESSIAN = symbol("I"), symbol("B"), symbol("H")
BETA, LAST, OLD = symbol("β"), symbol("d₀"), symbol("g₀")
NEXT_GRADIENT = symbol("g⁺")


@dataclass(frozen=True, eq=False)
class LineSearchSections:
    """The sections of a step along a direction.

    Parameters
    ----------
    frame : Frame
    step : LineSearchStep
    """

    frame: Frame
    step: LineSearchStep

    def sections(self) -> list[Section]:
        """The direction, the step length, what is learned, the parameters."""
        learned = self._part(_LEARNED)
        return [
            self.direction(),
            self.length(),
            *([learned] if learned else []),
            self.frame.parameters(),
        ]

    def _part(self, table: dict[type[Direction], Parts]) -> Section | None:
        make = table.get(type(self.step.before))
        return Section("update", Sentence("title_solver_learned"), *make(self)) if make else None

    @property
    def s(self) -> Array:
        """The step."""
        return np.asarray(self.step.new_x - self.step.x)

    @property
    def y(self) -> Array:
        """How the gradient changed."""
        return np.asarray(self.step.new_gradient - self.step.gradient)

    def direction(self) -> Section:
        """Parameters, gradient, what is remembered, the direction."""
        frame, step = self.frame, self.step
        slope = partial(frame.goal, THETA)
        steps = [
            frame.vector("old", THETA, step.x),
            frame.vector("gradient", GRADIENT, step.gradient, slope),
        ]
        own, notes = _DIRECTIONS.get(type(step.before), _steepest)(self)
        method = Sentence(f"method_{step.method.replace('-', '_')}")
        title = Sentence("title_update", {"rule": method, "step": step.number})
        return Section("update", title, (*steps, *own), (frame.order(), *notes))

    def towards(self, formula: Math) -> Step:
        """The direction's own step."""
        return self.frame.vector("direction", DIRECTION, self.step.d, formula)

    def length(self) -> Section:
        """The lengths that were tried, the step, the values."""
        frame, step = self.frame, self.step
        slope = frame.product("slope_along", (GRADIENT, step.gradient), (DIRECTION, step.d))
        steps = [slope]
        for length, value in step.trials:
            if length != step.length:
                steps.append(frame.scalar("refused", LENGTH, length))
                steps.append(frame.scalar("refused_value", frame.at(NEW), value))
        steps += [
            frame.scalar("length", LENGTH, step.length),
            frame.vector("step", STEP, self.s, times(LENGTH, DIRECTION)),
            frame.moved(),
            *frame.values(),
        ]
        expected = step.length * float(slope.value)
        formula = divide(frame.fall(), negative(times(LENGTH, slope.name)))
        numbers = divide(frame.fall_numbers(), number(-expected))
        ratio = (step.value - step.new_value) / -expected
        steps.append(frame.scalar("ratio", symbol("c"), ratio, formula, numbers=numbers))
        notes = (Sentence("length_words"),)
        return Section("update", Sentence("title_solver_length"), tuple(steps), notes)

    def change(self) -> list[Step]:
        """The new gradient and its change."""
        frame = self.frame
        return [
            frame.vector("new_gradient", NEXT_GRADIENT, self.step.new_gradient),
            frame.vector("change", CHANGE, self.y, subtract(NEXT_GRADIENT, GRADIENT)),
        ]


Parts = Callable[[LineSearchSections], tuple[tuple[Step, ...], tuple[Sentence, ...]]]
Told = tuple[tuple[Step, ...], tuple[Sentence, ...]]


def _steepest(told: LineSearchSections) -> Told:
    return (told.towards(negative(GRADIENT)),), ()


# -- BFGS ---------------------------------------------------------------------------------------
def _bfgs(told: LineSearchSections) -> Told:
    before = told.step.before
    assert isinstance(before, BFGS)
    if before.inverse is None:
        return (told.towards(negative(GRADIENT)),), (Sentence("bfgs_begins"),)
    matrix = told.frame.matrix("state_before", inverse(MATRIX), before.inverse)
    return (matrix, told.towards(told.frame.minus(inverse(MATRIX), GRADIENT))), ()


def _bfgs_learned(told: LineSearchSections) -> Told:
    before, after, frame = told.step.before, told.step.after, told.frame
    assert isinstance(before, BFGS)
    assert isinstance(after, BFGS)
    s, y = told.s, told.y
    product = frame.product("part", (CHANGE, y), (STEP, s))
    steps = [*told.change(), product]
    if after.inverse is None or float(s @ y) <= 0.0:
        return tuple(steps), (Sentence("nothing_learned"),)
    rho = 1.0 / float(s @ y)
    numbers = divide(number(1.0), number(float(product.value)))
    steps.append(frame.scalar("part", RHO, rho, divide(number(1.0), product.name), numbers=numbers))
    if before.inverse is None:
        square = frame.product("part", (CHANGE, y), (CHANGE, y))
        first = np.eye(s.size) * (float(s @ y) / float(y @ y))
        formula = times(divide(product.name, square.name), UNIT)
        steps += [square, frame.matrix("state_before", inverse(MATRIX), first, formula)]
    left = subtract(UNIT, times(RHO, matmul(STEP, transpose(CHANGE))))
    right = subtract(UNIT, times(RHO, matmul(CHANGE, transpose(STEP))))
    formula = add(
        matmul(matmul(left, inverse(MATRIX)), right), times(RHO, matmul(STEP, transpose(STEP)))
    )
    steps.append(frame.matrix("state_after", inverse(symbol("B⁺")), after.inverse, formula))
    return tuple(steps), (Sentence("secant"),)


# -- L-BFGS -------------------------------------------------------------------------------------
def _lbfgs(told: LineSearchSections) -> Told:
    before, frame = told.step.before, told.frame
    assert isinstance(before, LBFGS)
    if not before.pairs:
        return (told.towards(negative(GRADIENT)),), (Sentence("bfgs_begins"),)
    pairs = list(before.pairs)
    S, Y = (np.stack([pair[k] for pair in pairs], axis=1) for k in (0, 1))
    rho = 1.0 / np.sum(S * Y, axis=0)
    q, a = -told.step.gradient, np.zeros(len(pairs))
    for i in reversed(range(len(pairs))):
        a[i] = rho[i] * float(S[:, i] @ q)
        q = q - a[i] * Y[:, i]
    gamma = float(S[:, -1] @ Y[:, -1]) / float(Y[:, -1] @ Y[:, -1])
    r, b = q * gamma, np.zeros(len(pairs))
    for i in range(len(pairs)):
        b[i] = rho[i] * float(Y[:, i] @ r)
        r = r + (a[i] - b[i]) * S[:, i]
    at = [Math("symbol", (f"{name}_i",)) for name in ("s", "y", "ρ", "a", "b")]
    si, yi, rhoi, ai, bi = at
    inside, outside = symbol("q"), symbol("r")
    gamma_formula = divide(inner(symbol("s"), symbol("y")), inner(symbol("y"), symbol("y")))
    steps = (
        frame.matrix("pairs", symbol("S"), S),
        frame.matrix("pairs", symbol("Y"), Y),
        Step("pairs", rhoi, rho[None, :], divide(number(1.0), inner(yi, si))),
        Step("loop_back", ai, a[None, :], times(rhoi, inner(si, inside))),
        frame.vector("loop_back", inside, q, subtract(inside, times(ai, yi))),
        frame.scalar("part", symbol("γ"), gamma, gamma_formula),
        Step("loop_forward", bi, b[None, :], times(rhoi, inner(yi, outside))),
        frame.vector(
            "direction", DIRECTION, told.step.d, add(outside, times(subtract(ai, bi), si))
        ),
    )
    return steps, (Sentence("two_loops", {"count": len(pairs)}),)


def _lbfgs_learned(told: LineSearchSections) -> Told:
    product = told.frame.product("part", (CHANGE, told.y), (STEP, told.s))
    after = told.step.after
    assert isinstance(after, LBFGS)
    key = "pair_kept" if float(product.value) > 0.0 else "nothing_learned"
    return (*told.change(), product), (Sentence(key),)


# -- conjugate gradients ------------------------------------------------------------------------
_Y0 = symbol("y₀")
_BETAS: dict[str, Math] = {
    "fr": divide(inner(GRADIENT, GRADIENT), inner(OLD, OLD)),
    "pr": call("max", number(0.0), divide(inner(GRADIENT, _Y0), inner(OLD, OLD))),
    "hs": divide(inner(GRADIENT, _Y0), inner(LAST, _Y0)),
    "dy": divide(inner(GRADIENT, GRADIENT), inner(LAST, _Y0)),
    "hz": divide(
        inner(
            subtract(_Y0, times(number(2.0), divide(inner(_Y0, _Y0), inner(LAST, _Y0)), LAST)),
            GRADIENT,
        ),
        inner(LAST, _Y0),
    ),
}


def _conjugate(told: LineSearchSections) -> Told:
    before, frame, g = told.step.before, told.frame, told.step.gradient
    assert isinstance(before, ConjugateGradient)
    steepest = (told.towards(negative(GRADIENT)),), (Sentence("conjugate_begins"),)
    if before.last is None or np.array_equal(told.step.d, -g):
        return steepest
    name = next(key for key, formula in FORMULAS.items() if formula is before.formula)
    beta = float(before.formula(before.last))
    steps = (
        frame.vector("state_before", OLD, before.last.old),
        frame.vector("state_before", LAST, before.last.d),
        frame.vector("change", _Y0, before.last.y, subtract(GRADIENT, OLD)),
        frame.scalar("beta", BETA, beta, _BETAS[name]),
        told.towards(add(negative(GRADIENT), times(BETA, LAST))),
    )
    return steps, (Sentence("conjugate_words"),)


# -- Newton -------------------------------------------------------------------------------------
def _newton(told: LineSearchSections) -> Told:
    before, frame = told.step.before, told.frame
    assert isinstance(before, ModifiedNewton)
    hessian = before.hessian(told.step.x)
    made = partial(GRADIENT, THETA)
    matrix = frame.matrix("exact_hessian", HESSIAN, hessian, made)
    lowest = float(np.linalg.eigvalsh(hessian)[0])
    curvature = frame.scalar("curvature", call("min", symbol("eig H")), lowest)
    left = np.linalg.norm(hessian @ told.step.d + told.step.gradient)
    plain = left <= 1e-6 * np.linalg.norm(told.step.gradient)
    system = HESSIAN if plain else add(HESSIAN, symbol("E"))
    towards = told.towards(frame.minus(inverse(system), GRADIENT))
    return (matrix, curvature, towards), (Sentence("newton_plain" if plain else "newton_modified"),)


_DIRECTIONS: dict[type[Direction], Parts] = {
    BFGS: _bfgs,
    LBFGS: _lbfgs,
    ConjugateGradient: _conjugate,
    ModifiedNewton: _newton,
}
_LEARNED: dict[type[Direction], Parts] = {BFGS: _bfgs_learned, LBFGS: _lbfgs_learned}
