import pytest

from thalweg.errors import DataError
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


def test_answers_are_read_from_a_filled_page(sheet) -> None:
    filled = sheet.page("en").replace("\n1 = ", "\n1 = 0,5").replace("0,5", "0.5")
    assert read_answers(filled)[1] == 0.5
    with pytest.raises(DataError, match="line 1"):
        read_answers("1 = half")
    assert sheet.mark({}).right == 0
    assert "no answer" in sheet.mark({}).write("en")
