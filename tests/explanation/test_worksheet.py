import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DataError
from thalweg.explanation.notation import symbols
from thalweg.explanation.worksheet import make_worksheet, read_answers


@pytest.fixture
def sheet(example):
    return make_worksheet(example("two_neuron_chain").explanation(), blanks=99, seed=0)


def _number(sheet, name: str) -> int:
    return next(n for n, cell in sheet.cells.items() if cell.step.id == name)


def test_the_key_marks_itself_right(sheet) -> None:
    marking = sheet.mark(read_answers(sheet.key()))
    assert marking.right == len(sheet.cells) > 10
    assert marking.first_wrong is None


def test_rounded_answers_are_right(sheet) -> None:
    answers = {n: float(f"{cell.value:.3g}") for n, cell in sheet.cells.items()}
    assert sheet.mark(answers).right == len(sheet.cells)


def test_a_missing_factor_is_named(sheet) -> None:
    """∂P/∂w₁ without y(1-y)."""
    answers = read_answers(sheet.key())
    number = _number(sheet, "∂P/∂w[1]₁,₁")
    y = 0.6224593312018546
    answers[number] /= y * (1 - y)
    marking = sheet.mark(answers)
    assert marking.first_wrong.number == number
    said = marking.write("en")
    assert "∂P/∂w[1]₁,₁ lacks the factor ∂a[1]₁/∂z[1]₁ = a[1]₁ · (1 - a[1]₁)" in said
    assert "빠졌다" in marking.write("ko")


def test_a_wrong_sign_and_a_factor_too_many_are_named(sheet) -> None:
    answers = read_answers(sheet.key())
    first, second = _number(sheet, "∂P/∂z[2]₁"), _number(sheet, "∂P/∂w[2]₁,₁")
    factor = float(sheet.explanation.step("∂z[2]₁/∂w[2]₁,₁").value)
    answers[first] *= -1
    answers[second] *= factor
    marking = sheet.mark(answers)
    hints = {a.number: a.hint.key for a in marking.answers if a.hint is not None}
    assert hints == {first: "hint_sign", second: "hint_twice"}
    assert marking.first_wrong.number == first


def test_blanks_follow_the_seed(example) -> None:
    explanation = example("xor").explanation()
    one, same, other = (make_worksheet(explanation, 8, seed) for seed in (1, 1, 2))
    assert one.page("en") == same.page("en") != other.page("en")
    assert len(one.cells) == 8
    assert list(one.cells) == list(range(1, 9))


def test_the_page_hides_the_answers(sheet) -> None:
    page = sheet.page("ko")
    assert page.count("\\_\\_") >= len(sheet.cells)
    assert "0.0121244" not in page
    assert "x₁ = 1" in page
    assert "t₁ = 1" in page


@pytest.mark.parametrize(("view", "blanks"), [("layers", 12), ("jacobians", 8)])
def test_entries_of_matrices_are_asked_for(example, view: str, blanks: int) -> None:
    """Every formula, with the numbers that the page gives or asks for, has the key's value."""
    told = example("xor").told()
    sheet = make_worksheet(getattr(told, view)(), blanks=12, seed=1)
    assert sheet.blanks == blanks
    shown = next(s for s in sheet.explanation.steps() if s.id in ("dZ[1]₁,₂", "∂a[1]₁/∂a[0]₂"))
    matrix = getattr(told, view)().step("dZ[1]" if view == "layers" else "∂a[1]/∂a[0]").value
    assert shown.value == matrix[0, 1]
    assert sheet.mark(read_answers(sheet.key())).right == blanks
    for form in ("markdown", "terminal", "latex", "html", "json"):
        assert f"({blanks})" in sheet.page("ko", form) or form == "json"


def test_the_share_of_a_sample_is_missed(example) -> None:
    sheet = make_worksheet(example("xor").told().layers(), blanks=999)
    number = _number(sheet, "dW[2]₁,₁")
    answer = sheet.cells[number].value * 4
    assert "dW[2]₁,₁ lacks the factor 1/m = 0.25" in sheet.mark({number: answer}).write("en")


def test_a_missing_term_is_named(sheet, example) -> None:
    sheet = make_worksheet(example("xor").told().walk(), blanks=99)
    number = _number(sheet, "z[2]₁")
    answer = sheet.cells[number].value + 0.5  # without the bias
    assert "z[2]₁ lacks the term b[2]₁" in sheet.mark({number: answer}).write("en")


def test_numbers_of_a_row_are_given_together_and_only_as_needed(example) -> None:
    assert "w[1]₁ = (1, -1), x = (0, 0)" in make_worksheet(example("xor").told().walk()).page("en")
    layers = make_worksheet(example("xor").told().layers()).page("en")
    assert "W[1]₁ = (1, -1)" in layers
    assert "b[1] = (0.25, -0.25)" in layers
    net = tw.Network([tw.Dense(30, 4, "tanh"), tw.Dense(4, 1)])
    told = tw.explain_network(net, net.initial(1), np.ones(30), np.ones(1))
    sheet = make_worksheet(told.walk(), blanks=3, seed=2)
    needed = {str(s) for c in sheet.cells.values() for s in symbols(c.step.formula)}
    assert 0 < len(sheet.given()) <= 40
    assert {str(name) for name in sheet.given()} <= needed


def test_answers_are_read_from_a_filled_page(sheet) -> None:
    filled = sheet.page("en").replace("\n1 = ", "\n1 = 0,5").replace("0,5", "0.5")
    assert read_answers(filled)[1] == 0.5
    with pytest.raises(DataError, match="line 1"):
        read_answers("1 = half")
    assert sheet.mark({}).right == 0
    assert "no answer" in sheet.mark({}).write("en")
