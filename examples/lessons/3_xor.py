"""XOR and the sigmoid: the numbers of docs/lessons/en/3_xor.md.

Run from the repository root.
"""

import thalweg as tw

fires = tw.parse_formula("step(w₁*x₁ + w₂*x₂ + b)")
print([float(fires(1.0, x1, 1.0, x2, -1.5)) for x1 in (0.0, 1.0) for x2 in (0.0, 1.0)])
chain = tw.read_exercise("examples/explain/two_neuron_chain.toml")
walk = chain.told().walk()
print(
    round(float(walk.step("∂P/∂w[2]₁,₁").value), 5), round(float(walk.step("∂P/∂w[1]₁,₁").value), 5)
)
print(str(walk.step("∂P/∂z[1]₁").formula))
print(round(float(chain.told(2).passes.mean - chain.told(1).passes.mean), 5))
xor = tw.read_exercise("examples/explain/xor.toml")
print([round(xor.told(k).passes.mean, 2) for k in (1, 100, 300)])
print([round(float(y)) for y in xor.told(300).passes.A[2][0]])
full, shared = xor.told().multiplications
print(full, shared)
