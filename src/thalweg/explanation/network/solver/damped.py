"""A step of Levenberg-Marquardt, (H + μI) s = -g, with its Jacobian and its residuals.

With r = y - t of a squared error, H = 2/m · JᵀJ and g = 2/m · Jᵀr; for other losses the residuals
are the slopes u = ∂ℓ/∂y and H = 1/m · JᵀΛJ with Λ = ∂²ℓ/∂y². The Jacobian of the outputs is called
J_y, because J is the objective.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from thalweg.explanation.network.solver.frame import (
    GRADIENT,
    MOST,
    NEW,
    STEP,
    THETA,
    Frame,
    column,
    inner,
    inverse,
    of,
)
from thalweg.explanation.network.solver.jacobian import OutputSlopes, output_slopes
from thalweg.explanation.notation import (
    Math,
    add,
    call,
    divide,
    hadamard,
    matmul,
    number,
    partial,
    power,
    subtract,
    symbol,
    times,
    transpose,
)
from thalweg.explanation.records import Array, Recipe, Section, Sentence, Step

__all__ = ["DampedSections", "DampedStep", "Evidence"]

JACOBIAN, RESIDUAL, HESSIAN = symbol("J_y"), symbol("r"), symbol("H")
DAMPING, RATIO, PREDICTED, UNIT = symbol("μ"), symbol("ρ"), symbol("q"), symbol("I")
SHARES, BEND = symbol("ω"), symbol("Λ")
DECAY, PRICE, BENT_PRICE = symbol("λ"), symbol("R'"), symbol("R''")
MOST_ROWS = 400_000
"""Numbers of a Jacobian that are computed for its own sake."""


@dataclass(frozen=True)
class Evidence:
    """What Bayesian regularisation believes before and after the step.

    Attributes
    ----------
    alpha, beta : tuple of (float, float)
    gamma : float
        How many parameters the data determine.
    """

    alpha: tuple[float, float]
    beta: tuple[float, float]
    gamma: float


@dataclass(frozen=True, kw_only=True)
class DampedStep:
    """What Levenberg-Marquardt had and did in one step.

    Attributes
    ----------
    method : str
    number : int
        Of the step, from 1.
    x, gradient, step, new_x : array of shape (P,)
    value, new_value : float
        Objective with penalty and decay.
    mu, next_mu : float
        Of the step taken, and for the next.
    predicted, ratio : float
        The decrease of the quadratic model, and the part of it that came true.
    refused : tuple of (float, float)
        Dampings tried before, and the objective there (nan where there was no step).
    decay : float
        λ of λ/2 |θ|², of Bayesian regularisation.
    evidence : Evidence or None
    moved : bool
        False where no damping gave a lower objective.
    """

    method: str
    number: int
    x: Array
    gradient: Array
    step: Array
    new_x: Array
    value: float
    new_value: float
    mu: float
    next_mu: float
    predicted: float
    ratio: float
    refused: tuple[tuple[float, float], ...] = ()
    decay: float = 0.0
    evidence: Evidence | None = None
    moved: bool = True


@dataclass(frozen=True, eq=False)
class DampedSections:
    """The sections of a step of Levenberg-Marquardt.

    Parameters
    ----------
    frame : Frame
    step : DampedStep
    """

    frame: Frame
    step: DampedStep

    @cached_property
    def slopes(self) -> OutputSlopes:
        """Of all samples, or of the chosen one where there are too many."""
        return output_slopes(self.frame.passes, None if self.whole else self.chosen)

    @property
    def rows(self) -> int:
        """Samples times outputs."""
        return self.frame.passes.samples * self.frame.passes.network.outputs

    @property
    def whole(self) -> bool:
        """Whether the Jacobian of all samples is computed."""
        return self.rows * self.frame.count <= MOST_ROWS

    @property
    def chosen(self) -> slice:
        """The rows of the chosen sample."""
        return slice(self.frame.sample - 1, self.frame.sample)

    @property
    def factor(self) -> float | None:
        """C of ∂²ℓ/∂y² = c·I: the residuals are then y - t; None for other losses."""
        loss, slopes = self.frame.passes.objective.loss, self.slopes
        c = float(slopes.bend[0, 0, 0])
        k = slopes.bend.shape[1]
        T = self.frame.passes.T if self.whole else self.frame.passes.T[self.chosen]
        even = np.array_equal(slopes.bend, np.broadcast_to(c * np.eye(k), slopes.bend.shape))
        straight = np.allclose(slopes.slope, c * (slopes.outputs - T), rtol=1e-12, atol=1e-14)
        return c if even and straight and c > 0.0 and not loss.classes else None

    def sections(self) -> list[Section]:
        """The linear model, the system, the step, the parameters."""
        return [self.model(), self.system(), self.acceptance(), self.frame.parameters()]

    # -- the linear model -------------------------------------------------------------------------
    def model(self) -> Section:
        """Parameters, Jacobian, residuals."""
        frame, step = self.frame, self.step
        flat = self.slopes.jacobian.reshape(-1, frame.count)
        label = symbol("y")
        made = partial(label, THETA)
        steps = [frame.vector("old", THETA, step.x)]
        notes = [frame.order(), frame.samples_of(self.rows)]
        if self.whole:
            steps.append(frame.matrix("jacobian", JACOBIAN, flat, made))
        if not self.whole or flat.size > MOST:
            told = {"name": JACOBIAN, "rows": self.rows, "columns": frame.count}
            notes.append(Sentence("cut_matrix", told))
            k = self.slopes.jacobian.shape[1]
            own = self.slopes.jacobian[0 if not self.whole else frame.sample - 1]
            name = of(JACOBIAN, symbol("x", frame.sample))
            notes.append(Sentence("rows_of_sample", {"sample": frame.sample, "k": k}))
            steps.append(frame.matrix("jacobian", name, own.reshape(k, -1)))
        steps += self._residuals()
        if frame.passes.objective.loss.classes:
            notes.append(Sentence("outputs_are_sums", {"layer": frame.passes.depth}))
        return Section("update", self._title(), tuple(steps), tuple(notes))

    def _title(self) -> Sentence:
        method = Sentence(f"method_{self.step.method}")
        return Sentence("title_update", {"rule": method, "step": self.step.number})

    def _residuals(self) -> list[Step]:
        passes, slopes = self.frame.passes, self.slopes
        y, t = symbol("y"), symbol("t")
        targets = passes.T if self.whole else passes.T[self.chosen]
        steps = [
            Step("prediction", y, column(slopes.outputs)),
            Step("target", t, column(targets)),
        ]
        if self.factor is not None:
            residual = column(slopes.outputs - targets)
            recipe = Recipe("subtract", "y", "t")
            return [*steps, Step("residual", RESIDUAL, residual, subtract(y, t), recipe=recipe)]
        each = partial(symbol("ℓ"), y)
        steps.append(Step("residual", RESIDUAL, column(slopes.slope), each))
        bend = slopes.bend.reshape(-1, slopes.bend.shape[-1])
        steps.append(Step("bend", BEND, bend, partial(each, y)))
        if not passes.evenly:
            shares = np.repeat(passes.shares, passes.network.outputs)
            steps.append(Step("sample_weights", SHARES, column(shares)))
        return steps

    # -- the linear system ------------------------------------------------------------------------
    def system(self) -> Section:
        """Approximate Hessian, gradient, damping, and what they make."""
        frame, step = self.frame, self.step
        shift = add(HESSIAN, times(DAMPING, UNIT))
        steps, notes = [*self._price(), *self._curvature()], []
        steps.append(frame.vector("gradient", GRADIENT, step.gradient, self._slope_formula()))
        if step.decay:
            steps.append(frame.scalar("damping", DECAY, step.decay))
            notes.append(Sentence("decay_term"))
        for mu, value in step.refused:
            steps.append(frame.scalar("refused", DAMPING, mu))
            if np.isfinite(value):
                steps.append(frame.scalar("refused_value", frame.at(NEW), value))
        steps.append(frame.scalar("damping", DAMPING, step.mu))
        hessian = self.hessian
        if hessian is not None:
            damped = hessian + step.mu * np.eye(frame.count)
            steps.append(frame.matrix("system", shift, damped))
        steps.append(frame.vector("step", STEP, step.step, frame.minus(inverse(shift), GRADIENT)))
        if hessian is not None:
            left = float(np.linalg.norm(damped @ step.step + step.gradient))
            name = call("norm", add(matmul(shift, STEP), GRADIENT))
            steps.append(frame.scalar("system_check", name, left))
        notes.append(Sentence("damping_words"))
        return Section("update", Sentence("title_solver_system"), tuple(steps), tuple(notes))

    @cached_property
    def hessian(self) -> Array | None:
        """H of the whole objective, from the Jacobian; None where that is too large."""
        passes = self.frame.passes
        if not self.whole:
            return None
        count = self.frame.count
        J, share = self.slopes.jacobian, passes.shares
        found = np.einsum("s,skp,skl,slq->pq", share, J, self.slopes.bend, J, optimize=True)
        penalty = passes.objective.penalty
        if penalty:
            found = found + np.diag(self._penalty_bend())
        return np.asarray(found + self.step.decay * np.eye(count))

    def _penalty_bend(self) -> Array:
        """Its second derivatives, one for each parameter; biases are free."""
        l2 = self._prices()[1]
        return np.concatenate([np.full(p.size, l2 * (kind == "W")) for _, kind, p in self._parts()])

    def _penalty_slope(self) -> Array:
        l1, l2 = self._prices()
        found = [(l1 * np.sign(p) + l2 * p) * (kind == "W") for _, kind, p in self._parts()]
        return np.concatenate([part.reshape(-1) for part in found])

    def _parts(self) -> list[tuple[int, str, Array]]:
        return self.frame.pieces(self.step.x)

    def _prices(self) -> tuple[float, float]:
        """λ₁ and λ₂ of the penalty, shared among the samples where it is."""
        penalty = self.frame.passes.objective.penalty
        total = float(np.sum(self.frame.passes.weights)) if penalty.shared else 1.0
        return penalty.l1 / total, penalty.l2 / total

    def _price(self) -> list[Step]:
        """What the penalty on the weights adds to g and H."""
        if not self.frame.passes.objective.penalty:
            return []
        return [
            self.frame.vector("penalty", PRICE, self._penalty_slope()),
            self.frame.vector("penalty", BENT_PRICE, self._penalty_bend()),
        ]

    def _curvature(self) -> list[Step]:
        """JᵀJ and Jᵀr, from which H and g are made."""
        frame, hessian = self.frame, self.hessian
        if hessian is None:
            return []
        flat = self.slopes.jacobian.reshape(-1, frame.count)
        made = self._curvature_formula()
        if self.factor is None or not frame.passes.evenly:
            return [frame.matrix("hessian", HESSIAN, hessian, made)]
        square = inner(JACOBIAN, JACOBIAN)
        shown = flat.size <= MOST
        recipe = Recipe("matmul", "J_y", "J_y", left_transposed=True) if shown else None
        slope_recipe = Recipe("matmul", "J_y", "r", left_transposed=True) if shown else None
        residual = (self.slopes.outputs - frame.passes.T).reshape(-1)
        return [
            frame.matrix("square", square, flat.T @ flat, recipe=recipe),
            frame.matrix("hessian", HESSIAN, hessian, made),
            Step(
                "square", inner(JACOBIAN, RESIDUAL), column(flat.T @ residual), recipe=slope_recipe
            ),
        ]

    def _curvature_formula(self) -> Math:
        if self.factor is not None and self.frame.passes.evenly:
            main = times(self._share(), inner(JACOBIAN, JACOBIAN))
        elif self.factor is not None:
            weighted = hadamard(times(number(self.factor), SHARES), JACOBIAN)
            main = inner(JACOBIAN, weighted)
        elif self.frame.passes.evenly:
            main = times(divide(number(1.0), symbol("m")), self._sandwich(BEND))
        else:
            main = self._sandwich(hadamard(SHARES, BEND))
        return self._with_price(main, call("diag", BENT_PRICE), times(DECAY, UNIT))

    def _share(self) -> Math:
        return divide(number(self.factor or 1.0), symbol("m"))

    def _sandwich(self, middle: Math) -> Math:
        return matmul(matmul(transpose(JACOBIAN), middle), JACOBIAN)

    def _slope_formula(self) -> Math:
        if self.frame.passes.evenly:
            share = self._share() if self.factor is not None else divide(number(1.0), symbol("m"))
            main = times(share, inner(JACOBIAN, RESIDUAL))
        else:
            c = [number(self.factor)] if self.factor is not None else []
            main = inner(JACOBIAN, hadamard(times(*c, SHARES), RESIDUAL))
        return self._with_price(main, PRICE, times(DECAY, THETA))

    def _with_price(self, main: Math, price: Math, decay: Math) -> Math:
        terms = [main]
        if self.frame.passes.objective.penalty:
            terms.append(price)
        if self.step.decay:
            terms.append(decay)
        return add(*terms)

    # -- whether it is accepted -------------------------------------------------------------------
    def acceptance(self) -> Section:
        """Old and new value, predicted decrease, gain ratio, the next damping."""
        frame, step = self.frame, self.step
        s, g = (STEP, step.step), (GRADIENT, step.gradient)
        lengths = [frame.product("part", s, s), frame.product("part", g, s)]
        half = number(0.5)
        predicted = frame.scalar(
            "predicted",
            PREDICTED,
            step.predicted,
            times(half, subtract(times(DAMPING, lengths[0].name), lengths[1].name)),
            numbers=times(
                half,
                subtract(
                    times(number(step.mu), number(float(lengths[0].value))),
                    number(float(lengths[1].value)),
                ),
            ),
        )
        steps = [frame.moved(), *frame.values(), *lengths, predicted]
        if step.moved:
            numbers = divide(frame.fall_numbers(), number(step.predicted))
            formula = divide(frame.fall(), PREDICTED)
            steps.append(frame.scalar("ratio", RATIO, step.ratio, formula, numbers=numbers))
            steps.append(self._next_damping())
        steps += self._evidence()
        kind = "step_accepted" if step.moved else "step_refused"
        notes = (Sentence(kind, {"ratio": step.ratio} if step.moved else {}),)
        return Section("update", Sentence("title_solver_acceptance"), tuple(steps), notes)

    def _next_damping(self) -> Step:
        def formula(mu: Math, ratio: Math) -> Math:
            bent = power(subtract(times(number(2.0), ratio), number(1.0)), 3.0)
            return times(mu, call("max", number(0.1), subtract(number(1.0), bent)))

        return self.frame.scalar(
            "next_damping",
            symbol("μ⁺"),
            self.step.next_mu,
            formula(DAMPING, RATIO),
            numbers=formula(number(self.step.mu), number(self.step.ratio)),
        )

    def _evidence(self) -> list[Step]:
        evidence = self.step.evidence
        if evidence is None:
            return []
        names = ("α", "β")
        pairs = (evidence.alpha, evidence.beta)
        before = [
            self.frame.scalar("evidence", symbol(n), p[0])
            for n, p in zip(names, pairs, strict=True)
        ]
        gamma = self.frame.scalar("evidence", symbol("γ"), evidence.gamma)
        after = [
            self.frame.scalar("evidence_after", symbol(f"{n}⁺"), p[1])
            for n, p in zip(names, pairs, strict=True)
        ]
        return [*before, gamma, *after]
