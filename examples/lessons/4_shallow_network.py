"""The vectorised shallow network: the numbers of docs/lessons/en/4_shallow_network.md.

Run from the repository root.
"""

import numpy as np

import thalweg as tw

told = tw.read_exercise("examples/explain/shallow_sigmoid.toml").told()
view = told.layers()
print([(name, view.step(name).shape) for name in ("W[1]", "b[1]", "Z[1]", "W[2]", "A[2]")])
for name in ("dZ[2]", "dW[2]", "db[2]", "dA[1]", "dZ[1]", "dW[1]"):
    print(name, "=", view.step(name).formula, view.step(name).shape)
terms = view.open("dW[1]", 2, 1)
for term in terms:
    print(" · ".join(str(factor.name) for factor in term.factors))
exact = float(view.step("dW[1]").value[1, 0])
print(bool(np.isclose(sum(term.value for term in terms), exact, rtol=1e-12)))
estimate = float(list(told.entry("dW[1]", 2, 1, check=True).steps())[-1].estimate)
print(bool(np.isclose(estimate, exact, rtol=1e-7)))
dZ = view.step("dZ[1]").value
print(dZ.sum(axis=1).shape, dZ.sum(axis=1, keepdims=True).shape)
