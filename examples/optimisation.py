"""The ladder of methods on the classic test functions, and the standard form with constraints.

    python examples/optimisation.py             a table of every method on three functions
    python examples/optimisation.py paths.png   the same, with the paths drawn (matplotlib)

Rosenbrock's valley is curved and flat, Himmelblau's function has four minima, Beale's is nearly
flat around its minimum. The last part is the problem of document 004: minimise f(x) subject to
g(x) <= 0 and h(x) = 0, with the price of every constraint.
"""

import sys

import numpy as np

import thalweg as tw

FUNCTIONS = {
    "Rosenbrock": (
        lambda x: (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2,
        [-1.2, 1.0],
        ((-1.8, 1.8), (-0.8, 2.2)),
    ),
    "Himmelblau": (
        lambda x: (x[0] ** 2 + x[1] - 11.0) ** 2 + (x[0] + x[1] ** 2 - 7.0) ** 2,
        [-0.3, -0.9],
        ((-5.0, 5.0), (-5.0, 5.0)),
    ),
    "Beale": (
        lambda x: (
            (1.5 - x[0] + x[0] * x[1]) ** 2
            + (2.25 - x[0] + x[0] * x[1] ** 2) ** 2
            + (2.625 - x[0] + x[0] * x[1] ** 3) ** 2
        ),
        [1.0, 1.2],
        ((-2.0, 4.0), (-1.0, 2.0)),
    ),
}

METHODS = [
    "gd", "bfgs", "lbfgs", "cg-fr", "cg-pr", "cg-hs", "cg-dy", "cg-hz", "scg",
    "newton", "newton-dogleg", "newton-line", "newton-cg", "interior-point",
]  # fmt: skip


def run(name: str, method: str):
    """One method on one function; the history keeps the path."""
    function, start, _ = FUNCTIONS[name]
    return tw.minimize(function, start, method)


def draw(results: dict, path: str) -> None:
    """The paths over the contours of each function."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(FUNCTIONS), figsize=(18, 6), layout="constrained")
    for axis, (name, (function, start, (across, up))) in zip(axes, FUNCTIONS.items(), strict=True):
        grid = np.meshgrid(np.linspace(*across, 300), np.linspace(*up, 300))
        values = np.log10(1e-3 + function(grid))
        axis.contour(*grid, values, levels=25, colors="0.8", linewidths=0.7)
        for k, method in enumerate(METHODS):
            points = np.array([line.x for line in results[name, method].history])
            axis.plot(*points.T, marker=".", ms=3, lw=1.0, color=f"C{k % 10}", label=method,
                      ls="-" if k < 10 else "--")  # fmt: skip
        axis.plot(*start, "ks")
        axis.set(title=name, xlim=across, ylim=up, xlabel="x[1]", ylabel="x[2]")
    axes[-1].legend(fontsize="small", ncols=2)
    figure.savefig(path, dpi=130)
    print(f"paths drawn in {path}")


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
    results = {}
    for name in FUNCTIONS:
        print(f"\n{name:15} {'x':>22} {'f(x)':>10} {'iterations':>11} {'evaluations':>12}  reason")
        for method in METHODS:
            result = results[name, method] = run(name, method)
            place = np.array2string(result.x, precision=5, suppress_small=True)
            print(
                f"{method:15} {place:>22} {result.fun:10.1e} {result.nit:11} {result.nfev:12}"
                f"  {result.status.name.lower().replace('_', ' ')}"
            )
    if len(sys.argv) > 1:
        draw(results, sys.argv[1])
    standard_form()


if __name__ == "__main__":
    main()
