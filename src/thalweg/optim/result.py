"""What a solver returns: the point, why it stopped, and how well the conditions hold there.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> result = tw.minimize(lambda x: (x - 3.0) ** 2, 0.0)
>>> result.success, float(result.x)
(True, 3.0)
>>> print(result.message_in("ko"))
수렴했습니다: 최적성 조건을 만족합니다(...).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

import numpy as np

from thalweg.language import known_language
from thalweg.optim.sentences import sentence
from thalweg.phrases import Phrase

__all__ = ["KKT", "Iteration", "Multipliers", "Result", "Status"]


class Status(IntEnum):
    """Why a solver stopped: a closed set. Only the first two are success."""

    CONVERGED = 0
    GOAL_MET = 1
    STEP_TOO_SMALL = 2
    ITERATIONS_USED_UP = 3
    EVALUATIONS_USED_UP = 4
    TIME_USED_UP = 5
    INFEASIBLE = 6
    UNBOUNDED = 7
    DIVERGED = 8
    NOT_FINITE = 9
    STOPPED_BY_CALLBACK = 10
    INTERRUPTED = 11

    @property
    def success(self) -> bool:
        """Whether what was asked for has been reached."""
        return self in (Status.CONVERGED, Status.GOAL_MET)


@dataclass(frozen=True)
class Iteration:
    """One line of the history.

    Attributes
    ----------
    nit : int
    x : tree
        The point, in the structure of ``x0``; None in the history of more than 1000 parameters
        (callbacks always see it).
    fun : float
        The objective there (for `least_squares` the cost).
    gradient_norm : float
        The residual of the optimality conditions, largest entry.
    violation : float
        The largest violation of a constraint or bound.
    nfev : int
        Evaluations of the objective so far.
    seconds : float
    """

    nit: int
    x: Any = field(repr=False)
    fun: float
    gradient_norm: float
    violation: float
    nfev: int
    seconds: float


@dataclass(frozen=True)
class Multipliers:
    """Lagrange multipliers: the price of each constraint at the solution.

    With the Lagrangian f + λᵀh + νᵀg - zₗᵀ(x - l) + zᵤᵀ(x - u), where ν, zₗ, zᵤ ≥ 0. Raising the
    right side of a constraint (g ≤ b, h = b, x ≤ u) by a small db changes the optimal value by
    -multiplier·db; raising a lower bound by dl changes it by +multiplier·dl. For `maximize`
    they belong to the negated utility, so the signs of these changes turn round.

    Attributes
    ----------
    equalities, inequalities : ndarray
        λ and ν, in the order of the constraints.
    lower, upper : ndarray
        zₗ and zᵤ, as one vector over all entries of x.
    """

    equalities: np.ndarray[Any, Any]
    inequalities: np.ndarray[Any, Any]
    lower: np.ndarray[Any, Any]
    upper: np.ndarray[Any, Any]


@dataclass(frozen=True)
class KKT:
    """How well the Karush-Kuhn-Tucker conditions hold, largest entries.

    Attributes
    ----------
    stationarity : float
        Of ∇f + Jₕᵀλ + J_gᵀν - zₗ + zᵤ; without constraints, of the gradient.
    violation : float
        Of constraints and bounds, in the user's own units.
    complementarity : float
        Of products multiplier x slack.
    """

    stationarity: float
    violation: float = 0.0
    complementarity: float = 0.0


@dataclass
class Result:
    """The outcome of `minimize`, `maximize` or `least_squares`, with SciPy's field names.

    Attributes
    ----------
    x : tree
        The solution, in the structure of ``x0``; the best point found if there is none.
    fun : float or ndarray
        The objective at `x` (the utility itself for `maximize`, the residuals for
        `least_squares`).
    success : bool
        Whether the point is feasible and meets the KKT conditions to tolerance, or a goal
        that was set has been met at a feasible point.
    status : Status
    message : str
        Why it stopped, as a sentence; `message_in` gives it in Korean.
    nit, nfev, njev, nhev : int
        Iterations; evaluations of the objective, of gradients or Jacobians, and of second
        derivatives or their products.
    jac : tree or ndarray
        The gradient at `x` (the Jacobian for `least_squares`).
    gradient_norm : float
        The largest entry of the (projected) gradient, or of the KKT residual.
    kkt : KKT
    multipliers : Multipliers or None
    violation : float
        The largest violation of a constraint or bound.
    history : list of Iteration
    method : str
    cost : float or None
        For `least_squares` ½Σr².
    seconds : float
    """

    x: Any
    fun: Any
    success: bool
    status: Status
    method: str
    facts: dict[str, Any] = field(repr=False)
    nit: int = 0
    nfev: int = 0
    njev: int = 0
    nhev: int = 0
    jac: Any = None
    gradient_norm: float = float("nan")
    kkt: KKT = field(default_factory=lambda: KKT(float("nan")))
    multipliers: Multipliers | None = None
    violation: float = 0.0
    history: list[Iteration] = field(default_factory=list)
    cost: float | None = None
    seconds: float = 0.0

    @property
    def message(self) -> str:
        """Why it stopped, in English unless another language was chosen (`set_language`)."""
        return self.phrase.said()

    @property
    def phrase(self) -> Phrase:
        """Why it stopped, as a sentence that can be said in every language."""
        return sentence(**self.facts)

    def message_in(self, language: str) -> str:
        """Why it stopped, in ``"en"`` or ``"ko"``."""
        return self.phrase.said(known_language(language))

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(["message", *(f.name for f in fields(self) if f.name != "facts")])

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            ("message", self.message),
            ("success", f"{self.success} (status {int(self.status)}: {self.status.name.lower()})"),
            ("method", self.method),
            ("x", _short(self.x)),
            ("fun", _short(self.fun)),
        ]
        if self.cost is not None:
            rows.append(("cost", f"{self.cost:.10g}"))
        rows += [
            ("gradient_norm", f"{self.gradient_norm:.3e}"),
            ("violation", f"{self.violation:.3e}"),
            ("nit", f"{self.nit} (nfev {self.nfev}, njev {self.njev}, nhev {self.nhev})"),
            ("seconds", f"{self.seconds:.3g}"),
        ]
        if self.multipliers is not None:
            rows.append(("multipliers", _short(self.multipliers)))
        return rows

    def __repr__(self) -> str:
        return "\n".join(f"{name:>14}: {text}" for name, text in self._rows())

    def _repr_html_(self) -> str:
        from html import escape

        body = "".join(
            f"<tr><th style='text-align:right'>{escape(name)}</th>"
            f"<td style='text-align:left'><pre style='margin:0'>{escape(text)}</pre></td></tr>"
            for name, text in self._rows()
        )
        return f"<table>{body}</table>"


def _short(value: Any) -> str:
    with np.printoptions(threshold=12, edgeitems=4, precision=8):
        text = str(value) if isinstance(value, np.ndarray | np.generic) else repr(value)
    lines = text.splitlines()
    if len(lines) > 8:
        lines = [*lines[:7], "..."]
    return ("\n" + " " * 16).join(lines)
