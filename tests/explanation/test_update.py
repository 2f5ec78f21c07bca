"""The update as the rule's own formula, with its numbers."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.explanation.network.update import rule_formulas
from thalweg.explanation.notation import put_numbers, source, symbols
from thalweg.nn.network import Dense, Network
from thalweg.optim.rules import RULES

NET = Network([Dense(2, 3, "tanh"), Dense(3, 1)])


@pytest.mark.parametrize("name", sorted(RULES))
def test_formula_with_numbers_gives_the_new_value(name: str) -> None:
    """The printed formula, evaluated as it stands, is the update that training does."""
    rule = RULES[name]()
    told = tw.explain_network(NET, NET.initial(0), np.ones((2, 2)), np.ones((2, 1)), "mse", rule)
    for step in told.walk().steps():
        if step.role in ("update", "state"):
            assert step.numbers is not None
            assert not symbols(step.numbers), f"{step.numbers} lacks a number"
            found = eval(source(step.numbers), {"np": np})
            assert found == pytest.approx(float(step.value), rel=1e-12, abs=1e-18)


def test_momentum_reads_as_in_the_books() -> None:
    written = {k: str(v) for k, v in rule_formulas(RULES["momentum"]()).items()}
    assert written == {"v⁺": "μ · v + g", "w⁺": "w - α · v⁺"}
    assert str(rule_formulas(RULES["gd"]())["w⁺"]) == "w - α · g"


def test_state_before_and_after() -> None:
    memory = [{"velocity": np.full(s, 0.5)} for s in ((3, 2), (3,), (1, 3), (1,))]
    told = tw.explain_network(
        NET, NET.initial(0), [1.0, 2.0], [0.5], "mse", "momentum",
        _setting(memory),
    )  # fmt: skip
    view = told.update()
    assert np.all(view.step("v(W[1])").value == 0.5)
    after = 0.9 * 0.5 + told.passes.dW[1]
    assert np.allclose(view.step("v⁺(W[1])").value, after, rtol=1e-15)
    new = NET.initial(0)[0]["W"] - RULES["momentum"]().learning_rate * after
    assert np.allclose(view.step("W[1]⁺").value, new, rtol=1e-15)


def _setting(memory):
    from thalweg.explanation import Setting

    return Setting(memory=memory, step=4)


def test_numbers_replace_names_only_where_known() -> None:
    formula = rule_formulas(RULES["adam"]())["w⁺"]
    assert symbols(put_numbers(formula, {})) == symbols(formula)
