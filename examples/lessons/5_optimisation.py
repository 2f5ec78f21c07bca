"""From gradient descent to the interior point: the numbers of docs/lessons/en/5_optimisation.md.

Run from the repository root.
"""

import numpy as np

import thalweg as tw
from thalweg.explanation.network.update import rule_formulas
from thalweg.optim.rules import RULES

for name in ("gd", "momentum", "adagrad", "rmsprop"):
    print(name, "|", "; ".join(f"{a} = {b}" for a, b in rule_formulas(RULES[name]()).items()))


def valley(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


start = np.array([-1.2, 1.0])
for method in ("bfgs", "cg", "newton"):
    result = tw.minimize(valley, start, method=method)
    print(method, result.success, bool(np.allclose(result.x, 1.0, atol=1e-6)))
slow = tw.minimize(valley, start, method="gd")
print(slow.success)


def residuals(x):
    return tw.numpy.stack([1 - x[0], 10 * (x[1] - x[0] ** 2)])


fitted = tw.least_squares(residuals, start, method="lm")
print(fitted.success, bool(np.allclose(fitted.x, 1.0)), fitted.nit < 20)


def outside(x):
    return x[0] ** 2 + x[1] ** 2 - 1.0


held = tw.minimize(valley, start / 2, method="interior-point", inequalities=outside)
print(held.success, bool(abs(outside(held.x)) < 1e-6), held.x.round(4).tolist())
best = tw.maximize(lambda x: -((x[0] - 2.0) ** 2), np.array([0.0]), method="bfgs")
print(round(float(best.x[0]), 6), abs(round(float(best.fun), 9)))
