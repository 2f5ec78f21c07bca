"""``thalweg compare``: the report, JSON, the plot, and what is refused."""

import json
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FAST = ("--engine", "numpy", "--epochs", "8", "--methods", "adam,scg, lm")


def test_it_reports(line, call):
    answer = call("compare", line, "-t", "y", *FAST)
    assert answer.code == 0 and answer.err == ""
    for word in ("60 rows", "adam", "scg", "lm", "iterations", "memory", "s to", "RMSE", "10 tanh"):
        assert word in answer.out, word
    assert not list(Path().glob("*.thalweg"))


def test_it_speaks_korean_and_json(line, call):
    answer = call("compare", line, "-t", "y", *FAST, "--lang", "ko")
    assert answer.code == 0 and "반복" in answer.out and "메모리" in answer.out
    record = json.loads(call("compare", line, "-t", "y", *FAST, "--json").out)
    assert [one["method"] for one in record["methods"]] == ["adam", "scg", "lm"]
    for one in record["methods"]:
        assert one["iterations"] == 8 == len(one["history"]["training_loss"])
        assert {"r2", "rmse"} <= set(one["figures"]["test"])
        assert len(one["seconds_to_marks"]) == len(record["marks"]) == 4


def test_it_draws_and_keeps_what_is_there(line, call):
    given = ("compare", line, "-t", "y", *FAST, "--plot", "race.svg")
    answer = call(*given)
    assert answer.code == 0 and "race.svg" in answer.out
    assert "<svg" in Path("race.svg").read_text(encoding="utf-8")
    assert call(*given).code == 2
    assert call(*given, "--force").code == 0


def test_accuracy_of_classes_and_a_method_that_cannot(call):
    table = EXAMPLES / "breast_cancer.csv"
    given = ("--engine", "numpy", "--epochs", "4", "-m", "scg,br")
    answer = call("compare", table, "-t", "diagnosis", *given)
    assert answer.code == 0 and "accuracy" in answer.out and "squared error" in answer.out
    alone = call("compare", table, "-t", "diagnosis", "-m", "br", "--engine", "numpy")
    assert alone.code == 4 and "None of the methods" in alone.err


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("-t", "y", "-m", "adm"), 2, "Did you mean"),
        (("-t", "y", "-m", ","), 2, "nothing to compare"),
        (("-t", "z"), 3, "z"),
        (("-t", "y", "--plot", "race.txt"), 2, "endings"),
        (("-t", "y", "--hidden", "many"), 2, "--hidden"),
    ],
)
def test_what_is_refused(line, call, given, code, said):
    answer = call("compare", line, *given)
    assert answer.code == code and said in answer.err
