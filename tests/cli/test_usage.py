"""Command lines that cannot be read are answered in Korean from the first word to the last."""

import pytest

from thalweg.cli.usage import translated

WRONG = (
    ["fit", "d.csv"],
    ["fit", "d.csv", "-t", "y", "--epochs", "x"],
    ["fit", "d.csv", "-t", "y", "--l2", "x"],
    ["fit", "d.csv", "-t", "y", "--bogus", "1"],
    ["info", "a", "b"],
    ["info"],
    ["info", "d.csv", "--json=3"],
    ["nosuch"],
    ["predict", "m", "d", "--output"],
)


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_is_answered_in_korean(call, arguments):
    code, out, err = call("--lang", "ko", *arguments)
    assert code == 2 and not out
    last = err.strip().splitlines()[-1]
    assert last.startswith("오류: ") and last.endswith((".", ")"))
    for english in ("option", "argument", "command ", "value", "should", "Usage", "Try"):
        assert english not in err, err


def test_help_is_korean(call):
    code, out, _ = call("fit", "--help", "--lang", "ko")
    assert code == 0
    for english in ("Usage", "OPTIONS", "Show this", "NUMBER", "COLUMN", " or "):
        assert english not in out


def test_what_click_may_say_one_day_stays_as_it_is():
    assert translated("Something new.", "ko") == "Something new."


@pytest.mark.parametrize("command", ["fit", "compare", "predict", "explain", "check", "info"])
@pytest.mark.parametrize("width", [60, 80, 83, 100])
def test_korean_help_is_not_cut(call, monkeypatch, command, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert "\N{HORIZONTAL ELLIPSIS}" not in call("--lang", "ko", command, "--help").out


def test_the_language_may_stand_before_the_command(call):
    before = call("--lang", "ko", "check", "--formula", "x^2", "x=3")
    after = call("check", "--formula", "x^2", "x=3", "--lang", "ko")
    assert before == after and "도함수" in before.out
    wrong = call("--lang", "xx", "check", "--formula", "x^2", "x=3")
    assert wrong.code == 2 and "languages are" in wrong.err
    last = call("--lang", "ko", "check", "--formula", "x^2", "x=3", "--lang", "en")
    assert "derivative" in last.out
