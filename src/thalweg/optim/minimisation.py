"""`minimize` and `maximize`: one way to call every solver, in SciPy's shape.

Examples
--------
>>> import numpy as np
>>> import thalweg as tw
>>> rosenbrock = lambda x: (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2
>>> result = tw.minimize(rosenbrock, [-1.2, 1.0], method="bfgs")
>>> result.success, bool(np.allclose(result.x, 1.0, atol=1e-6))
(True, True)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.errors import DifferentiationError, OptionError
from thalweg.optim.functions import Given, Smooth, numerical_jacobian, smooth
from thalweg.optim.layout import Layout, Vector, same_point
from thalweg.optim.problem import Problem, SmoothObjective
from thalweg.optim.result import Iteration, Result
from thalweg.optim.run import Limits, Run
from thalweg.optim.scipy_style import given_constraints, split_bounds, split_constraints
from thalweg.optim.solution import method_named, solve
from thalweg.phrases import Phrase

__all__ = ["maximize", "minimize"]

FEW = 200  # up to so many parameters, second derivatives are worth their price
MANY = 1000  # beyond, matrices are not


def minimize(
    f: Callable[..., Any],
    x0: Any,
    method: str | None = None,
    *,
    bounds: Any = None,
    inequalities: Any = None,
    equalities: Any = None,
    constraints: Any = None,
    args: tuple[Any, ...] = (),
    jac: Any = None,
    hess: Any = None,
    tol: float | None = None,
    max_iterations: int | None = None,
    max_evaluations: int | None = None,
    max_time: float | None = None,
    goal: float | None = None,
    callback: Callable[[Iteration], Any] | None = None,
    check_derivatives: bool = False,
    **options: Any,
) -> Result:
    """Minimise a function, freely or within bounds and constraints.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` returns one number. Written with operators and `thalweg.numpy` it is
        traced, and all derivatives follow from the chain rule.
    x0 : array-like, or dict or list of array-likes
        The start; `f` gets the same structure.
    method : str, optional
        A key of `thalweg.optim.methods.METHODS`. By default ``"interior-point"`` with
        constraints, ``"newton"`` for up to 200 parameters with second derivatives known,
        ``"bfgs"`` for up to 1000, else ``"lbfgs"``.
    bounds : sequence of (lower, upper), or (lower, upper) of trees like x0, optional
        None or infinity where there is none. `scipy.optimize.Bounds` is accepted.
    inequalities, equalities : callable or sequence of callables, optional
        ``g(x)``, which must be ≤ 0, and ``h(x)``, which must be 0; each returns a number, an
        array or a list of them.
    constraints : dict, constraint object or sequence of them, optional
        SciPy's form, with SciPy's sign: ``{"type": "ineq", "fun": c}`` means c(x) ≥ 0.
        `scipy.optimize.LinearConstraint` and `NonlinearConstraint` are accepted.
    args : tuple
        Further arguments of `f`.
    jac : callable, True or "numerical", optional
        The gradient ``jac(x, *args)`` of a plain function; True if `f` returns value and
        gradient; ``"numerical"`` for central differences, also of constraints that cannot be
        traced.
    hess : callable or "numerical", optional
        The Hessian ``hess(x, *args)``, for plain functions.
    tol : float, optional
        Of the optimality conditions: of the largest entry of the (projected) gradient, relative
        to an objective above one (1e-8 by default); with constraints, of the scaled KKT
        residual (1e-10 by default; where rounding stops the progress, 100 times as much).
    max_iterations, max_evaluations : int, optional
    max_time : float, optional
        Seconds.
    goal : float, optional
        Stop when the objective has come down to this at a feasible point.
    callback : callable, optional
        ``callback(iteration)`` after every iteration; returning True or raising StopIteration
        stops the run.
    check_derivatives : bool
        Hold given derivatives, also those of constraints, against central differences near the
        start.
    **options
        Of the method: ``search`` of line-search methods (a key of
        `thalweg.optim.methods.SEARCHES`), ``memory`` of ``"lbfgs"``, ``inner`` of
        ``"augmented-lagrangian"``.

    Returns
    -------
    Result

    Raises
    ------
    TracingError
        If `f` or a constraint cannot be traced and no derivative is given.
    DifferentiationError
        If `check_derivatives` finds a wrong one, or the method needs a missing one.
    OptionError
        For unknown methods, options or crossed bounds.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> result = tw.minimize(lambda x: (x ** 2).sum(), [3.0, 4.0], bounds=[(1, None), (-1, 9)])
    >>> result.x, result.multipliers.lower
    (array([1., 0.]), array([2., 0.]))
    """
    return _optimise(f, x0, 1.0, method, locals(), options)


def maximize(f: Callable[..., Any], x0: Any, method: str | None = None, **keywords: Any) -> Result:
    """Maximise a function: `minimize` on its negative, with the utility itself in ``fun``.

    Parameters
    ----------
    f, x0, method, **keywords
        As for `minimize`; `goal` is a utility to be reached.

    Returns
    -------
    Result
        Its ``fun``, ``jac`` and history are those of `f`.

    Examples
    --------
    >>> import thalweg as tw
    >>> result = tw.maximize(lambda x: 5.0 - (x - 2.0) ** 2, 0.0)
    >>> float(result.x), float(result.fun)
    (2.0, 5.0)
    """
    known = {k: keywords.pop(k) for k in list(keywords) if k in _KEYWORDS}
    return _optimise(f, x0, -1.0, method, {**_KEYWORDS, **known}, keywords)


_KEYWORDS: dict[str, Any] = dict(minimize.__kwdefaults__ or {})


def _optimise(
    f: Callable[..., Any],
    x0: Any,
    sign: float,
    method: str | None,
    given: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Result:
    layout = Layout(x0)
    x = layout.start
    function = objective_function(f, layout, given)
    equal, unequal = split_constraints(given["constraints"])
    jac = difference(given["jac"])
    eq = constraint_function([*_listed(given, "equalities"), *equal], layout, "an equality", jac)
    ineq = constraint_function(
        [*_listed(given, "inequalities"), *unequal], layout, "an inequality", jac
    )
    if given["check_derivatives"]:
        for constraint in (eq, ineq):
            if isinstance(constraint, Given):
                check(constraint, layout)
    problem = Problem(
        SmoothObjective(function, sign),
        split_bounds(given["bounds"], layout),
        eq,
        ineq,
        make_run(given, layout, sign),
    )
    name = method or default_method(problem)
    method_named(name)
    if problem.constrained and name not in CONSTRAINED:
        raise OptionError(
            "method {name!r} takes bounds but no other constraints: use 'interior-point' "
            "or method='augmented-lagrangian', inner={name!r}.",
            name=name,
        )
    tol = TOLERANCE.get(name, 1e-8) if given["tol"] is None else not_negative(given["tol"], "tol")
    return solve(problem, x, name, tol, layout, options)


CONSTRAINED = ("interior-point", "augmented-lagrangian")
TOLERANCE = {"interior-point": 1e-10}


def default_method(problem: Problem) -> str:
    """The method for what is given."""
    n = problem.bounds.lower.size
    if problem.constrained:
        return "interior-point" if n <= 2 * MANY else "augmented-lagrangian"
    if problem.has_hessian and n <= FEW:
        return "newton"
    return "bfgs" if n <= MANY else "lbfgs"


def not_negative(value: Any, name: str) -> Any:
    """The number of a limit or tolerance.

    Raises
    ------
    OptionError
        If it is none, or below zero.
    """
    if not _is_number(value) or not value >= 0:
        raise OptionError("{name}={value!r} must be a number from 0 up.", name=name, value=value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def make_run(given: Mapping[str, Any], layout: Layout, sign: float = 1.0) -> Run:
    """Limits and callback from the keywords of the entry points."""
    standard = Limits()
    goal, callback = given["goal"], given["callback"]
    if goal is not None and not (_is_number(goal) and goal == goal):
        raise OptionError("goal={goal!r} is no value of the objective.", goal=goal)
    if callback is not None and not callable(callback):
        raise OptionError("callback takes a function, not {callback!r:.60}.", callback=callback)

    def limit(name: str, otherwise: Any) -> Any:
        return otherwise if given[name] is None else not_negative(given[name], name)

    limits = Limits(
        limit("max_iterations", standard.iterations),
        limit("max_evaluations", standard.evaluations),
        limit("max_time", standard.seconds),
        standard.goal if goal is None else sign * goal,
    )
    return Run(limits, callback, layout.unravel, sign)


def objective_function(f: Callable[..., Any], layout: Layout, given: Mapping[str, Any]) -> Smooth:
    """The user's function of a tree as a `Smooth` function of one vector."""
    args, jac, hess = given["args"], given["jac"], given["hess"]
    if not callable(f):
        raise OptionError("the first argument must be a function, not {f!r:.60}.", f=f)
    args = args if isinstance(args, tuple) else (args,)
    jac = jac if jac is True or callable(jac) else difference(jac)
    hess = hess if callable(hess) else difference(hess, "hess")

    def on_vector(function: Any) -> Any:
        if not callable(function):
            return function
        return lambda x: function(layout.unravel(x), *args)

    value, slope, curve = map(on_vector, (f, jac, hess))
    if jac is True:
        value, slope = _apart(value)
    if callable(slope):
        slope = _flat_gradient(slope, layout)
    second = (lambda x, u: float(u[0]) * np.asarray(curve(x))) if callable(hess) else hess
    found = smooth(value, layout.start, slope, second, "the objective")
    if given["check_derivatives"] and callable(slope):
        check(found, layout)
    return found


def _apart(both: Callable[[Vector], Any]) -> tuple[Callable[[Vector], Any], ...]:
    """The value and the gradient of a function that gives both; called once at each point."""
    last: list[Any] = [None, None]

    def of(x: Vector, place: int) -> Any:
        if not same_point(last[0], x):
            last[:] = x.copy(), both(x)
            if not isinstance(last[1], list | tuple) or len(last[1]) != 2:
                raise OptionError(
                    "with jac=True the function returns value and gradient, not {found!r:.60}.",
                    found=last[1],
                )
        return last[1][place]

    return (lambda x: of(x, 0)), (lambda x: of(x, 1))


def _flat_gradient(slope: Callable[[Vector], Any], layout: Layout) -> Callable[[Vector], Any]:
    """A gradient in the structure of x0 as a vector; Jacobians stay as they are."""

    def flat(x: Vector) -> Any:
        found = slope(x)
        return layout.ravel(found) if isinstance(found, dict) or not layout.plain else found

    return flat


def check(function: Smooth, layout: Layout) -> None:
    """Hold given derivatives against central differences.

    Raises
    ------
    DifferentiationError
        Naming the entry that differs most.
    """
    x = layout.start + 1e-3 * (1.0 + np.abs(layout.start))
    exact, numerical = function.derivative(x)[1], numerical_jacobian(function.value)(x)
    scale = np.maximum(1.0, np.maximum(np.abs(exact), np.abs(numerical)))
    errors = np.where(np.isfinite(exact), np.abs(exact - numerical) / scale, np.inf)
    row, column = (int(k) for k in np.unravel_index(np.argmax(errors), errors.shape))
    if errors[row, column] > 1e-5:
        where: str = layout.name(column)
        if function.m > 1:
            where = Phrase("{name} of output {row}", name=where, row=row)
        raise DifferentiationError(
            "the given derivative is wrong: with respect to {where} it is {exact:.8g}, "
            "and central differences give {numerical:.8g}. Correct jac, or leave it out "
            "to have it derived.",
            where=where,
            exact=exact[row, column],
            numerical=numerical[row, column],
        )
    if function.has_curvature:
        _check_curvature(function, x, layout)


def _check_curvature(function: Smooth, x: Vector, layout: Layout) -> None:
    weights = np.ones(function.m)
    exact = function.curvature(x, weights)
    numerical = numerical_jacobian(lambda y: function.pull(y, weights)[1])(x)
    errors = np.abs(exact - numerical) / np.maximum(1.0, np.abs(numerical))
    row, column = (int(k) for k in np.unravel_index(np.argmax(errors), errors.shape))
    if not errors[row, column] <= 1e-4:
        raise DifferentiationError(
            "the given Hessian is wrong: for {first} and {second} it is {exact:.8g}, and "
            "differences of the gradient give {numerical:.8g}.",
            first=layout.name(row),
            second=layout.name(column),
            exact=exact[row, column],
            numerical=numerical[row, column],
        )


def difference(derivative: Any, name: str = "jac") -> str | None:
    """``"numerical"`` where differences are asked for, in whatever words.

    Raises
    ------
    OptionError
        For what is neither that nor a derivative.
    """
    if derivative is None or derivative is False or callable(derivative) or derivative is True:
        return None
    if isinstance(derivative, str) and derivative in DIFFERENCES:
        return "numerical"
    raise OptionError(
        "{name}={derivative!r:.60} is no derivative: give a function, or 'numerical' for "
        "central differences, or leave it out to have it derived.",
        name=name,
        derivative=derivative,
    )


DIFFERENCES = ("numerical", "2-point", "3-point")


def _listed(given: Mapping[str, Any], name: str) -> list[Any]:
    constraints = given[name]
    if constraints is None:
        return []
    listed = list(constraints) if isinstance(constraints, list | tuple) else [constraints]
    for one in listed:
        if not callable(one):
            raise OptionError(
                "{name} takes functions of x, not {one!r:.60}. SciPy's dictionaries go to "
                "constraints=...",
                name=name,
                one=one,
            )
    return listed


def constraint_function(
    parts: Sequence[Any], layout: Layout, name: str, jac: str | None = None
) -> Smooth | None:
    """Constraints, callables or (fun, jac) pairs with a sign, as one `Smooth` function."""
    if not parts:
        return None
    if jac is None and all(callable(part) for part in parts):

        def together(x: Any) -> Any:
            tree = layout.unravel(x)
            return [part(tree) for part in parts]

        return smooth(together, layout.start, name=name + " constraint")
    return given_constraints(parts, layout, name + " constraint", jac)
