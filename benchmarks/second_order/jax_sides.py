"""JAX: Levenberg-Marquardt by hand in two settings, SciPy with JAX's gradient, and optimistix.

By hand is the same method as thalweg's: JᵀJ + μI by Cholesky's factors, μ by the ratio of actual
to predicted decrease (Nielsen), nothing but a solution and a loss for a refused step.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve

from benchmarks.second_order.problems import Problem, Trace
from benchmarks.second_order.scipy_sides import quasi_newton
from benchmarks.second_order.sides import Side

__all__ = ["sides"]

jax.config.update("jax_enable_x64", True)


class Functions:
    """Residuals, Jacobian and the parts of a step, as JAX likes them best.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.X, self.t = (jnp.asarray(a) for a in problem.data())
        self.start = jnp.asarray(problem.theta())

    def outputs(self, theta: Any, X: Any) -> Any:
        a = X
        *hidden, (W, b) = self.problem.layers(theta)
        for V, c in hidden:
            a = jnp.tanh(a @ V.T + c)
        return (a @ W.T + b)[:, 0]

    def residuals(self, theta: Any) -> Any:
        return self.outputs(theta, self.X) - self.t

    def mse(self, theta: Any) -> Any:
        return jnp.mean(self.residuals(theta) ** 2)

    def jacobian(self, theta: Any) -> Any:
        """A gradient for every sample: much faster than jacrev or jacfwd of the residuals."""
        one = jax.grad(lambda p, x: self.outputs(p, x[None])[0])
        return jax.vmap(one, (None, 0))(theta, self.X)

    def equations(self, theta: Any) -> tuple[Any, Any]:
        """H and g of the mean squared error.

        Without the barrier XLA melts the Jacobian into the product, which is then slow.
        """
        J, r = jax.lax.optimization_barrier((self.jacobian(theta), self.residuals(theta)))
        return 2.0 * (J.T @ J) / len(r), 2.0 * (J.T @ r) / len(r)

    def trial(self, theta: Any, H: Any, g: Any, mu: Any) -> tuple[Any, Any, Any]:
        """Where a step leads, the mse there, and the decrease that was predicted."""
        factors = cho_factor(H + mu * jnp.eye(len(g)), lower=True)
        step = -cho_solve(factors, g)
        return theta + step, self.mse(theta + step), 0.5 * step @ (mu * step - g)


def _steps(problem: Problem, iterations: int) -> Trace:
    """Python decides, jitted functions compute."""
    f = Functions(problem)
    equations, trial, mse = jax.jit(f.equations), jax.jit(f.trial), jax.jit(f.mse)
    theta, value = f.start, float(mse(f.start))
    H, g = equations(theta)
    mu, growth = 1e-3 * float(jnp.max(jnp.diag(H))), 2.0
    jax.block_until_ready(trial(theta, H, g, mu))
    seconds, losses = [], []
    began = perf_counter()
    for _ in range(iterations):
        H, g = equations(theta)
        while mu < 1e16:
            tried, after, predicted = trial(theta, H, g, mu)
            ratio = (value - float(after)) / float(predicted)
            if np.isfinite(ratio) and ratio > 1e-4:
                mu *= max(0.1, 1.0 - (2.0 * min(ratio, 2.0) - 1.0) ** 3)
                growth, theta, value = 2.0, tried, float(after)
                break
            mu, growth = mu * growth, growth * 2.0
        seconds.append(perf_counter() - began)
        losses.append(value)
    return Trace(seconds, losses, len(seconds))


def _one_loop(problem: Problem, iterations: int) -> Trace:
    """Everything under one jit: while loops inside a scan."""
    f = Functions(problem)

    def step(state: Any, _: None) -> tuple[Any, Any]:
        theta, value, mu, growth = state
        H, g = f.equations(theta)

        def refused(trying: Any) -> Any:
            return ~trying[0]

        def attempt(trying: Any) -> Any:
            _, _, _, mu, growth = trying
            tried, after, predicted = f.trial(theta, H, g, mu)
            ratio = (value - after) / predicted
            good = (jnp.isfinite(ratio) & (ratio > 1e-4)) | (mu > 1e16)
            shrunk = mu * jnp.maximum(0.1, 1.0 - (2.0 * jnp.minimum(ratio, 2.0) - 1.0) ** 3)
            return (
                good,
                tried,
                after,
                jnp.where(good, shrunk, mu * growth),
                jnp.where(good, 2.0, 2.0 * growth),
            )

        found = jax.lax.while_loop(refused, attempt, (False, theta, value, mu, growth))
        return found[1:], found[2]

    @jax.jit
    def run(theta: Any) -> Any:
        first = 1e-3 * jnp.max(jnp.diag(f.equations(theta)[0]))
        state = (theta, f.mse(theta), first, 2.0)
        return jax.lax.scan(step, state, None, length=iterations)[1]

    return _timed(lambda: run(f.start), iterations)


def _optimistix(problem: Problem, iterations: int) -> Trace:
    """``optimistix.least_squares``; its steps are trials, accepted or not.

    The mse of every step is taken from a second run, step by step, without the clock.
    """
    import equinox as eqx
    import optimistix

    f = Functions(problem)
    solver = optimistix.LevenbergMarquardt(rtol=1e-14, atol=1e-14)

    def residuals(theta: Any, _: Any) -> Any:
        return f.residuals(theta)

    @eqx.filter_jit
    def run(theta: Any) -> Any:
        found = optimistix.least_squares(
            residuals, solver, theta, max_steps=iterations, throw=False
        )
        return found.value, found.stats["num_steps"]

    jax.block_until_ready(run(f.start))
    began = perf_counter()
    end, steps = jax.block_until_ready(run(f.start))
    passed, steps = perf_counter() - began, int(steps)
    seconds = [passed * (k + 1) / steps for k in range(steps)]
    return Trace(seconds, _optimistix_losses(f, solver, steps) or [float(f.mse(end))], steps)


def _optimistix_losses(f: Functions, solver: Any, steps: int) -> list[float]:
    import equinox as eqx

    def residuals(theta: Any, _: Any) -> Any:
        return f.residuals(theta), None

    tags: frozenset[object] = frozenset()
    given: dict[str, Any] = {"fn": residuals, "args": None, "options": {}, "tags": tags}
    shape = jax.eval_shape(lambda: f.residuals(f.start))
    state = solver.init(y=f.start, f_struct=shape, aux_struct=None, **given)
    step, mse = eqx.filter_jit(eqx.Partial(solver.step, **given)), jax.jit(f.mse)
    theta, found = f.start, []
    for _ in range(steps):
        theta, state, _ = step(y=theta, state=state)
        found.append(float(mse(theta)))
    return found


def _timed(run: Callable[[], Any], iterations: int) -> Trace:
    jax.block_until_ready(run())
    began = perf_counter()
    losses = np.asarray(jax.block_until_ready(run()))
    passed = perf_counter() - began
    seconds = [passed * (k + 1) / iterations for k in range(iterations)]
    return Trace(seconds, [float(v) for v in losses], iterations)


def _gradient(problem: Problem) -> Callable[[Any], tuple[float, Any]]:
    f = Functions(problem)
    both = jax.jit(jax.value_and_grad(f.mse))

    def value_and_gradient(theta: Any) -> tuple[float, Any]:
        value, slopes = both(theta)
        return float(value), np.asarray(slopes)

    return value_and_gradient


def sides() -> list[Side]:
    found = [
        Side("JAX", "LM by hand, jitted steps", "lm", _steps),
        Side("JAX", "LM by hand, one jit", "lm", _one_loop),
        Side(
            "SciPy", "L-BFGS-B, JAX gradient", "lbfgs", partial(quasi_newton, "L-BFGS-B", _gradient)
        ),
        Side("SciPy", "BFGS, JAX gradient", "bfgs", partial(quasi_newton, "BFGS", _gradient)),
    ]
    if find_spec("optimistix"):
        found.append(Side("optimistix", "LM", "lm", _optimistix))
    return found
