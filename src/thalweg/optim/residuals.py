"""`least_squares`: fit by the sum of squared residuals, in SciPy's shape.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> t = np.linspace(0.0, 1.0, 20)
>>> data = 2.0 * np.exp(-3.0 * t)
>>> result = tw.least_squares(lambda b: b[0] * np.exp(-b[1] * t) - data, [1.0, 1.0])
>>> result.success, result.x
(True, array([2., 3.]))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.optim.layout import Layout
from thalweg.optim.minimisation import make_run, not_negative, objective_function
from thalweg.optim.problem import Problem, SmoothLeastSquares
from thalweg.optim.result import Iteration, Result
from thalweg.optim.scipy_style import split_bounds
from thalweg.optim.solution import solve

__all__ = ["least_squares"]


def least_squares(
    residual: Callable[..., Any],
    x0: Any,
    method: str = "lm",
    *,
    bounds: Any = None,
    args: tuple[Any, ...] = (),
    jac: Any = None,
    hess: Any = None,
    tol: float = 1e-10,
    max_iterations: int | None = None,
    max_evaluations: int | None = None,
    max_time: float | None = None,
    goal: float | None = None,
    callback: Callable[[Iteration], Any] | None = None,
    check_derivatives: bool = False,
    **options: Any,
) -> Result:
    """Minimise ½Σrᵢ(x)², the cost.

    Parameters
    ----------
    residual : callable
        ``residual(x, *args)`` returns the residuals: an array, or a list of arrays and numbers.
    x0 : array-like, or dict or list of array-likes
    method : str
        ``"lm"`` (Levenberg-Marquardt), ``"gauss-newton"``, or any method of `minimize` for
        bounds only, applied to the cost.
    bounds : optional
        ``(lower, upper)`` in the structure of x0, as SciPy's; for other than two parameters a
        sequence of pairs is understood too. Kept by projection.
    args : tuple
    jac : callable or "numerical", optional
        The Jacobian, shape (residuals, parameters), of a plain function.
    hess : callable, optional
        ``hess(x, r)`` = Σ rᵢ∇²rᵢ(x), of a plain function, for Newton's method.
    tol : float
        Of the optimality measure: the cosine between the residual and a column of the Jacobian.
        Levenberg-Marquardt goes on to the last digit that double precision allows anyway.
    max_iterations, max_evaluations, max_time, callback, check_derivatives
        As for `minimize`.
    goal : float, optional
        Stop when the cost has come down to this.
    **options
        Of the method.

    Returns
    -------
    Result
        ``fun`` are the residuals, ``cost`` is ½Σr², ``jac`` the Jacobian.

    Raises
    ------
    TracingError, DifferentiationError, OptionError
        As `minimize`.

    Examples
    --------
    >>> import thalweg as tw
    >>> result = tw.least_squares(lambda x: [10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]], [-1.2, 1.0])
    >>> float(result.cost), result.x
    (0.0, array([1., 1.]))
    """
    given = dict(locals())
    layout = Layout(x0)
    given["hess"] = None
    function = objective_function(residual, layout, given)
    objective = SmoothLeastSquares(function)
    problem = Problem(
        objective,
        split_bounds(bounds, layout, pairs=False),
        run=make_run(given, layout),
    )
    result = solve(problem, layout.start, method, not_negative(tol, "tol"), layout, options)
    value, slopes = objective.derivative(layout.ravel(result.x))
    result.cost = float(result.fun)
    result.fun, result.jac = np.asarray(value), slopes
    return result
