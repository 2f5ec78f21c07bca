"""The solvers as a scorer of third-party suites sees them: the public API and nothing else.

A scorer imports this module and calls ``solve_nlp(f, x0, lower, upper, eq, ineq)`` (eq(x) = 0,
ineq(x) >= 0) and ``solve_least_squares(residual, x0)``; `xp` is the array namespace in which it
writes its functions.
"""

import thalweg as tw

xp = tw.numpy


def facts(result):
    return {
        "nit": result.nit,
        "nfev": result.nfev,
        "njev": result.njev,
        "status": f"{result.status.name}{'' if result.success else ' (no success)'}",
    }


def solve_nlp(f, x0, lower, upper, eq, ineq):
    result = tw.minimize(
        f,
        x0,
        bounds=None if lower is None else list(zip(lower, upper, strict=True)),
        equalities=eq,
        inequalities=None if ineq is None else lambda x: -ineq(x),
        max_time=17.0,
    )
    return result.x, facts(result)


def solve_least_squares(residual, x0):
    result = tw.least_squares(residual, x0, max_time=17.0)
    return result.x, facts(result)
