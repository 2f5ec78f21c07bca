"""SciPy: MINPACK's Levenberg-Marquardt, BFGS and L-BFGS-B, with derivatives by hand."""

import contextlib
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from scipy.optimize import least_squares, minimize
from threadpoolctl import threadpool_limits

from benchmarks.second_order.by_hand import ByHand
from benchmarks.second_order.problems import Array, Problem, Trace
from benchmarks.second_order.sides import MEMORY, Side

__all__ = ["quasi_newton", "sides"]

Objective = Callable[[Array], tuple[float, Array]]
TINY = 1e-15
"""A tolerance that ends nothing."""


class _Enough(Exception):
    """So many iterations have been made."""


def _minpack(problem: Problem, iterations: int) -> Trace:
    """An iteration begins where MINPACK asks for a Jacobian."""
    by_hand = ByHand(problem)
    seconds: list[float] = []
    mse: list[float] = []

    def jacobian(theta: Array) -> Array:
        if len(seconds) > iterations:
            raise _Enough
        seconds.append(perf_counter() - began)
        mse.append(by_hand.mse(theta))
        return by_hand.jacobian(theta)

    began = perf_counter()
    with contextlib.suppress(_Enough):
        least_squares(
            by_hand.residuals,
            problem.theta(),
            jacobian,
            method="lm",
            ftol=TINY,
            xtol=TINY,
            gtol=TINY,
        )
    return Trace(seconds, mse, len(seconds) - 1)


def quasi_newton(
    method: str,
    value_and_gradient: Callable[[Problem], Objective],
    problem: Problem,
    iterations: int,
) -> Trace:
    """A run of ``scipy.optimize.minimize`` with a given objective."""
    f = value_and_gradient(problem)
    f(problem.theta())
    seconds: list[float] = []
    mse: list[float] = []

    def watch(intermediate_result: Any) -> None:
        seconds.append(perf_counter() - began)
        mse.append(float(intermediate_result.fun))

    options: Any = {"maxiter": iterations, "gtol": TINY}
    if method == "L-BFGS-B":
        options |= {"maxcor": MEMORY, "maxfun": 10**9, "ftol": 0.0}
    with threadpool_limits(1, "blas"):  # its products are small: two threads only wait
        began = perf_counter()
        solve: Any = minimize  # its stubs know methods as literals only
        solve(f, problem.theta(), jac=True, method=method, callback=watch, options=options)
    return Trace(seconds, mse, len(seconds))


def _numpy(problem: Problem) -> Objective:
    return ByHand(problem).mse_and_gradient


def sides() -> list[Side]:
    return [
        Side("SciPy", "least_squares(lm)", "lm", _minpack),
        Side(
            "SciPy", "L-BFGS-B, NumPy gradient", "lbfgs", partial(quasi_newton, "L-BFGS-B", _numpy)
        ),
        Side("SciPy", "BFGS, NumPy gradient", "bfgs", partial(quasi_newton, "BFGS", _numpy)),
    ]
