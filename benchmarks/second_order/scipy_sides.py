"""SciPy: MINPACK's Levenberg-Marquardt, BFGS and L-BFGS-B, with derivatives by hand."""

import contextlib
from functools import partial
from time import perf_counter

from scipy.optimize import least_squares, minimize
from threadpoolctl import threadpool_limits

from benchmarks.second_order.by_hand import ByHand
from benchmarks.second_order.problems import Array, Problem, Trace
from benchmarks.second_order.sides import MEMORY, Side

__all__ = ["quasi_newton", "sides"]


class _Enough(Exception):
    """So many iterations have been made."""


def _minpack(problem: Problem, iterations: int) -> Trace:
    """An iteration begins where MINPACK asks for a Jacobian."""
    by_hand, seconds, mse = ByHand(problem), [], []

    def jacobian(theta: Array) -> Array:
        if len(seconds) > iterations:
            raise _Enough
        seconds.append(perf_counter() - began)
        mse.append(by_hand.mse(theta))
        return by_hand.jacobian(theta)

    tiny = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}
    began = perf_counter()
    with contextlib.suppress(_Enough):
        least_squares(by_hand.residuals, problem.theta(), jacobian, method="lm", **tiny)
    return Trace(seconds, mse, len(seconds) - 1)


def quasi_newton(method: str, value_and_gradient, problem: Problem, iterations: int) -> Trace:
    """A run of ``scipy.optimize.minimize`` with a given objective."""
    f = value_and_gradient(problem)
    f(problem.theta())
    seconds, mse = [], []

    def watch(intermediate_result) -> None:
        seconds.append(perf_counter() - began)
        mse.append(float(intermediate_result.fun))

    options = {"maxiter": iterations, "gtol": 1e-15}
    if method == "L-BFGS-B":
        options |= {"maxcor": MEMORY, "maxfun": 10**9, "ftol": 0.0}
    with threadpool_limits(1, "blas"):  # its products are small: two threads only wait
        began = perf_counter()
        minimize(f, problem.theta(), jac=True, method=method, callback=watch, options=options)
    return Trace(seconds, mse, len(seconds))


def _numpy(problem: Problem):
    return ByHand(problem).mse_and_gradient


def sides() -> list[Side]:
    return [
        Side("SciPy", "least_squares(lm)", "lm", _minpack),
        Side(
            "SciPy", "L-BFGS-B, NumPy gradient", "lbfgs", partial(quasi_newton, "L-BFGS-B", _numpy)
        ),
        Side("SciPy", "BFGS, NumPy gradient", "bfgs", partial(quasi_newton, "BFGS", _numpy)),
    ]
