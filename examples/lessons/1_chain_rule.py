"""The chain rule: the numbers of docs/lessons/en/1_chain_rule.md.

Run from the repository root.
"""

import thalweg as tw

line = tw.explain("g = w*x; f = g + b")(w=-2.0, x=5.0, b=3.0)
print(line.step("g").value, line.step("f").value)
print(line.step("∂f/∂w").value, line.step("∂f/∂x").value, line.step("∂f/∂b").value)
print(line.sections[2].notes[0].say("en"))
square = tw.explain("t = x + y; z = t^2")(x=1.0, y=2.0)
print(str(square.step("∂z/∂x").formula), float(square.step("∂z/∂x").value))
print(square.sections[2].notes[0].say("en"))
parts = tw.explain("a = σ(x)", take_apart=True)(x=1.0)
chain = parts.sections[2].steps[0]
print([round(factor.value, 6) for factor in chain.terms[0].factors])
a = float(parts.step("a").value)
print(round(chain.terms[0].value, 12) == round(a * (1 - a), 12))
twice = tw.explain("t = x + y; z = t*x")(x=3.0, y=2.0)
print([step.id for step in twice.sections[1].steps if step.role == "contribution"])
print(float(twice.step("∂z/∂x").value))
