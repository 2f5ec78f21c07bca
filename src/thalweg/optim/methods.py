"""The methods by name: every row pairs a direction with a globalisation.

==========================  ====================================================================
name                        when to use it
==========================  ====================================================================
``gd``                      steepest descent with a line search: the yardstick
``bfgs``                    smooth, up to about a thousand parameters, gradients only
``lbfgs``                   smooth, many parameters
``cg``, ``cg-fr`` ...       many parameters, least memory (``cg`` is Hager-Zhang's)
``scg``                     Møller's scaled conjugate gradient: no line search
``newton``                  exact Hessian, trust region: few parameters, hard functions
                            (``newton-line`` has a turn where it takes long)
``newton-line``             exact Hessian, modified LDLᵀ, line search
``newton-dogleg``           exact Hessian, dogleg
``newton-cg``               Hessian products only: many parameters, curvature matters
``lm``                      Levenberg-Marquardt: least squares
``marquardt``               the classic λ times or by ten: least squares from JᵀJ, networks
``gauss-newton``            least squares with small residuals, line search
``interior-point``          constraints, bounds; to about a thousand variables
``augmented-lagrangian``    constraints around any other method: many variables
==========================  ====================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import Any

from thalweg.errors import OptionError, suggest
from thalweg.optim.descent import descend
from thalweg.optim.direction.base import Direction, Steepest
from thalweg.optim.direction.conjugate import ConjugateGradient
from thalweg.optim.direction.gauss_newton import GaussNewton
from thalweg.optim.direction.levenberg_marquardt import levenberg_marquardt
from thalweg.optim.direction.marquardt import marquardt
from thalweg.optim.direction.newton import ModifiedNewton
from thalweg.optim.direction.quasi_newton import BFGS, LBFGS
from thalweg.optim.direction.scaled_conjugate import scaled_conjugate_gradient
from thalweg.optim.layout import Vector
from thalweg.optim.problem import Problem
from thalweg.optim.result import Status
from thalweg.optim.search.hager_zhang import hager_zhang
from thalweg.optim.search.line import LineSearch, armijo
from thalweg.optim.search.trust import Subproblem, dogleg, more_sorensen, steihaug
from thalweg.optim.search.wolfe import near_exact, strong_wolfe
from thalweg.optim.second_look import with_second_look
from thalweg.optim.trust_region import Model, exact_model, product_model, trust
from thalweg.optim.turns import in_turn

__all__ = [
    "METHODS",
    "SEARCHES",
    "ConstrainedMethod",
    "LineSearchMethod",
    "TrustRegionMethod",
    "options_of",
]

Method = Callable[..., Status]

SEARCHES: dict[str, LineSearch] = {
    "armijo": armijo,
    "wolfe": strong_wolfe,
    "near-exact": near_exact,
    "hager-zhang": hager_zhang,
}


@dataclass(frozen=True)
class LineSearchMethod:
    """A direction, and the line search that goes with it.

    Parameters
    ----------
    direction : callable
        ``direction(problem, **options)``.
    search : str
        A key of `SEARCHES`.
    """

    direction: Callable[..., Direction]
    search: str

    def __call__(
        self, problem: Problem, x: Vector, tol: float, search: str | None = None, **options: Any
    ) -> Status:
        name = self.search if search is None else search
        if name not in SEARCHES:
            raise OptionError(
                "unknown line search {name!r}.{hint}", name=name, hint=suggest(name, SEARCHES)
            )

        def method(problem: Problem, x: Vector) -> Status:
            return descend(problem, x, self.direction(problem, **options), SEARCHES[name], tol)

        return with_second_look(method, problem, x, tol)


@dataclass(frozen=True)
class TrustRegionMethod:
    """A model of the objective, and the solver of its trust-region subproblem.

    Parameters
    ----------
    model : callable
    subproblem : callable
    otherwise : callable, optional
        The method that takes a turn where this one takes long (see `in_turn`).
    leaves_saddles : bool
        Whether the subproblem does so by itself.
    """

    model: Model
    subproblem: Subproblem
    otherwise: Method | None = None
    leaves_saddles: bool = False

    def __call__(self, problem: Problem, x: Vector, tol: float) -> Status:
        if self.otherwise is None:
            return self.alone(problem, x, tol)
        return in_turn(self.alone, self.otherwise, problem, x, tol)

    def alone(self, problem: Problem, x: Vector, tol: float) -> Status:
        """Without a turn for the other."""

        def method(problem: Problem, x: Vector) -> Status:
            return trust(problem, x, self.model, self.subproblem, tol)

        if self.leaves_saddles:
            return method(problem, x)
        return with_second_look(method, problem, x, tol)


@dataclass(frozen=True)
class ConstrainedMethod:
    """A function of `thalweg.optim.constrained`, loaded when it is first asked for."""

    module: str
    name: str

    @property
    def function(self) -> Callable[..., Status]:
        """What it is."""
        module = import_module(f"thalweg.optim.constrained.{self.module}")
        found: Callable[..., Status] = getattr(module, self.name)
        return found

    def __call__(self, problem: Problem, x: Vector, tol: float, **options: Any) -> Status:
        return self.function(problem, x, tol, **options)


def _conjugate(formula: str) -> Method:
    return LineSearchMethod(lambda problem: ConjugateGradient(formula), "near-exact")


def _lbfgs(problem: Problem, memory: int = 20) -> Direction:
    return LBFGS(memory)


_NEWTON_LINE = LineSearchMethod(lambda problem: ModifiedNewton(problem.hessian), "wolfe")

METHODS: dict[str, Method] = {
    "gd": LineSearchMethod(lambda problem: Steepest(), "hager-zhang"),
    "bfgs": LineSearchMethod(lambda problem: BFGS(), "wolfe"),
    "lbfgs": LineSearchMethod(_lbfgs, "wolfe"),
    "cg": _conjugate("hz"),
    "cg-fr": _conjugate("fr"),
    "cg-pr": _conjugate("pr"),
    "cg-hs": _conjugate("hs"),
    "cg-dy": _conjugate("dy"),
    "cg-hz": _conjugate("hz"),
    "scg": scaled_conjugate_gradient,
    "newton": TrustRegionMethod(exact_model, more_sorensen, _NEWTON_LINE, leaves_saddles=True),
    "newton-dogleg": TrustRegionMethod(exact_model, dogleg),
    "newton-line": _NEWTON_LINE,
    "newton-cg": TrustRegionMethod(product_model, steihaug),
    "lm": levenberg_marquardt,
    "marquardt": marquardt,
    "interior-point": ConstrainedMethod("solver", "interior_point"),
    "augmented-lagrangian": ConstrainedMethod("augmented_lagrangian", "augmented_lagrangian"),
    "gauss-newton": LineSearchMethod(lambda problem: GaussNewton(problem.linearise), "armijo"),
}


def options_of(method: Method) -> list[str]:
    """What a method takes beside the problem, the start and the tolerance.

    Examples
    --------
    >>> options_of(METHODS["lbfgs"]), options_of(METHODS["newton"])
    (['search', 'memory'], [])
    """
    if isinstance(method, LineSearchMethod):
        return ["search", *list(signature(method.direction).parameters)[1:]]
    function = method.function if isinstance(method, ConstrainedMethod) else method
    return list(signature(function).parameters)[3:]
