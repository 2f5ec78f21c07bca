"""The ladder of methods on the classic test functions, and the standard form with constraints.

    python examples/optimisation.py             a table of every method on three functions
    python examples/optimisation.py paths.png   the same, with the paths drawn (matplotlib)

Rosenbrock's valley is curved and flat, Himmelblau's function has four minima, Beale's is nearly
flat around its minimum. All three are sums of squares, so that the methods for least squares see
their residuals, and the others their sum. (From this start Gauss-Newton and Marquardt's rule leave
Beale's valley for a plateau at infinity; "lm", within its trust region, does not.) The
last part is the problem of document 004: minimise f(x) subject to g(x) <= 0 and h(x) = 0, with the
price of every constraint.
"""

import sys
from importlib.util import find_spec

import numpy as np

import thalweg as tw

# name: residuals, start, where to draw, minima
FUNCTIONS = {
    "Rosenbrock": (
        lambda x: [10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]],
        [-1.2, 1.0],
        ((-1.8, 1.8), (-0.8, 2.2)),
        [(1.0, 1.0)],
    ),
    "Himmelblau": (
        lambda x: [x[0] ** 2 + x[1] - 11.0, x[0] + x[1] ** 2 - 7.0],
        [-0.3, -0.9],
        ((-5.0, 5.0), (-5.0, 5.0)),
        [(3.0, 2.0), (-2.805118, 3.131313), (-3.779310, -3.283186), (3.584428, -1.848127)],
    ),
    "Beale": (
        lambda x: [c - x[0] * (1.0 - x[1] ** k) for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))],
        [1.0, 1.2],
        ((-0.5, 4.0), (-1.0, 1.6)),
        [(3.0, 0.5)],
    ),
}

FAMILIES = {
    "steepest descent and\nconjugate gradients": [
        "gd", "cg-fr", "cg-pr", "cg-hs", "cg-dy", "cg-hz"
    ],
    "quasi-Newton,\nscaled conjugate gradient": ["bfgs", "lbfgs", "scg"],
    "Newton and\ninterior point": [
        "newton", "newton-dogleg", "newton-line", "newton-cg", "interior-point"
    ],
    "least squares": ["lm", "marquardt", "gauss-newton"],
}  # fmt: skip
LEAST_SQUARES = FAMILIES["least squares"]


def objective(name: str):
    """The sum of squares of a function's residuals."""
    return lambda x: sum(r**2 for r in FUNCTIONS[name][0](x))


def run(name: str, method: str):
    """One method on one function; the history keeps the path."""
    residuals, start, *_ = FUNCTIONS[name]
    if method in LEAST_SQUARES:
        return tw.least_squares(residuals, start, method)
    return tw.minimize(objective(name), start, method)


def draw(results: dict, path: str) -> None:
    """The paths over the contours: a column for every function, a row for every family."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shape = len(FAMILIES), len(FUNCTIONS)
    figure, axes = plt.subplots(*shape, figsize=(15, 17), layout="constrained", sharex="col",
                                sharey="col")  # fmt: skip
    for row, (family, methods) in zip(axes, FAMILIES.items(), strict=True):
        for axis, name in zip(row, FUNCTIONS, strict=True):
            landscape(axis, name)
            for k, method in enumerate(methods):
                result = results[name, method]
                points = np.array([line.x for line in result.history] + [result.x])
                label = f"{method} ({result.nit})"
                axis.plot(*points.T, marker="o", ms=3, lw=1.3, alpha=0.85, color=f"C{k}",
                          label=label)  # fmt: skip
            axis.legend(fontsize="small", loc="best", framealpha=0.9)
        row[0].set_ylabel(f"{family}\n\nx[2]")
    for axis, name in zip(axes[0], FUNCTIONS, strict=True):
        axis.set_title(name)
    for axis in axes[-1]:
        axis.set_xlabel("x[1]")
    figure.suptitle("Paths from the start (square) to a minimum (star); iterations in brackets")
    figure.savefig(path, dpi=110)
    print(f"paths drawn in {path}")


def landscape(axis, name: str) -> None:
    """Contours of a function on a logarithmic scale, its start and its minima."""
    _, start, (across, up), minima = FUNCTIONS[name]
    grid = np.meshgrid(np.linspace(*across, 300), np.linspace(*up, 300))
    values = np.log10(1e-2 + objective(name)(grid))
    axis.contourf(*grid, values, levels=20, cmap="Greys", alpha=0.35)
    axis.contour(*grid, values, levels=20, colors="0.7", linewidths=0.5)
    axis.plot(*start, "ks", ms=8)
    axis.plot(*np.array(minima).T, "*", ms=13, color="gold", mec="k", zorder=5)
    axis.set(xlim=across, ylim=up)


def standard_form() -> None:
    """Minimise f subject to g <= 0 and h = 0 (document 004), and what each constraint costs."""
    result = tw.minimize(
        lambda x: (x[0] - 2.0) ** 2 + (x[1] - 1.0) ** 2,
        [2.0, 2.0],
        inequalities=lambda x: 0.25 * x[0] ** 2 + x[1] ** 2 - 1.0,
        equalities=lambda x: x[0] - 2.0 * x[1] + 1.0,
    )
    print("\nminimise (x1 - 2)² + (x2 - 1)²  subject to  x1²/4 + x2² - 1 <= 0,  x1 - 2 x2 + 1 = 0")
    print(result)
    print(f"{result.message_in('ko')}")
    relaxed = -float(result.multipliers.inequalities[0])
    print(f"relaxing g(x) <= 0 to g(x) <= 0.01 changes the optimum by about {0.01 * relaxed:.4f}")


def main() -> None:
    """Print the table, draw the paths if asked to, solve the standard form."""
    if len(sys.argv) > 1 and find_spec("matplotlib") is None:
        sys.exit("The picture needs matplotlib: pip install matplotlib")
    results = {}
    for name in FUNCTIONS:
        print(f"\n{name:15} {'x':>22} {'f(x)':>10} {'iterations':>11} {'evaluations':>12}  reason")
        for method in (m for methods in FAMILIES.values() for m in methods):
            result = results[name, method] = run(name, method)
            place = np.array2string(result.x, precision=5, suppress_small=True)
            value = 2.0 * result.cost if result.cost is not None else result.fun
            print(
                f"{method:15} {place:>22} {value:10.1e} {result.nit:11} {result.nfev:12}"
                f"  {result.status.name.lower().replace('_', ' ')}"
            )
    if len(sys.argv) > 1:
        draw(results, sys.argv[1])
    standard_form()


if __name__ == "__main__":
    main()
