"""Constraints and restarts from the command line."""

import json

import numpy as np
import pytest

import thalweg as tw


@pytest.fixture
def rising(tmp_path):
    rng = np.random.default_rng(0)
    size, age = rng.uniform(0.0, 5.0, (2, 60))
    price = np.sqrt(size) - 0.2 * age + np.sin(4.0 * size) * 0.3
    rows = "\n".join(f"{a},{b},{c}" for a, b, c in zip(size, age, price, strict=True))
    path = tmp_path / "rising.csv"
    path.write_text("size,age,price\n" + rows + "\n")
    return path


@pytest.mark.slow
def test_monotone_from_the_command_line(rising, call):
    answer = call(
        "fit", rising, "-t", "price", "--monotone=+size,-age", "--hidden", "2", "--epochs", "120",
        "--l2", "1e-3", "--engine", "numpy", "--json",
    )  # fmt: skip
    report = json.loads(answer.out)
    assert answer.code == 0 and report["method"] == "interior-point"
    assert [held["violation"] for held in report["constraints"]["held"]] == [0.0, 0.0]
    model = tw.load("rising.thalweg")
    grid = np.linspace(0.1, 4.9, 500)
    rows = {"size": grid, "age": np.full(500, 2.5)}
    assert np.diff(model.predict(rows)).min() >= 0.0


def test_constraints_that_are_not_met_in_time_end_with_an_error(rising, call):
    answer = call(
        "fit", rising, "-t", "price", "--bound-output", "0,0.001", "-m", "lm", "--hidden", "2",
        "--time-limit", "0.01", "--engine", "numpy",
    )  # fmt: skip
    assert answer.code == 4
    assert "The constraints are not met" in answer.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--monotone", "size"), "write a sign"),
        (("--monotone=+sise",), "Did you mean 'size'"),
        (("--bound-output", "low,1"), "are no bounds"),
        (("--weights-nonnegative", "--method", "br"), "cannot hold constraints"),
        (("--restarts", "0"), "restarts=0"),
        (("--mu", "0.1"), "option of lm and br"),
        (("--weights-nonnegative", "--batch-size", "5"), "leave out batch_size"),
    ],
)
def test_what_cannot_be_read_is_said(rising, call, options, said):
    answer = call("fit", rising, "-t", "price", *options)
    assert answer.code == 2
    assert said in " ".join(answer.err.split())


def test_restarts_name_the_best_seed(rising, call):
    answer = call(
        "fit", rising, "-t", "price", "-m", "lm", "--restarts", "3", "--epochs", "5",
        "--engine", "numpy",
    )  # fmt: skip
    assert answer.code == 0
    assert "3 starts" in answer.out


def test_methods_are_raced_under_constraints(rising, call):
    answer = call(
        "compare", rising, "-t", "price", "--monotone=+size,-age", "--bound-output=-2,",
        "--methods", "lm,interior-point", "--hidden", "2", "--epochs", "60", "--engine", "numpy",
        "--json",
    )  # fmt: skip
    assert answer.code == 0
    found = json.loads(answer.out)["methods"]
    assert [one["method"] for one in found] == ["lm", "interior-point"]
    assert [one["violation"] for one in found] == [0.0, 0.0]


def test_a_race_says_who_does_not_hold_them(rising, call):
    answer = call(
        "compare", rising, "-t", "price", "--bound-output", "0,0.001", "--methods", "lm",
        "--hidden", "2", "--epochs", "3", "--engine", "numpy",
    )  # fmt: skip
    assert "lm: The constraints are not met" in " ".join(answer.out.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-m", "lm", "--batch-size", "5"), "leave out batch_size"),
        (("-m", "lbfgs", "--learning-rate", "0.1"), "Leave out learning_rate"),
        (("-m", "scg", "--schedule", "cosine"), "Leave out schedule"),
        (("--monotone=+size", "--schedule", "cosine"), "Leave out schedule"),
    ],
)
def test_nothing_that_is_given_is_ignored(rising, call, options, said):
    answer = call("fit", rising, "-t", "price", *options)
    assert answer.code == 2
    assert said in " ".join(answer.err.split())


def test_a_goal_ends_training_where_constraints_hold(rising, call):
    answer = call(
        "fit", rising, "-t", "price", "--monotone=+size,-age", "--goal", "0.2", "--hidden", "2",
        "--engine", "numpy", "--json",
    )  # fmt: skip
    report = json.loads(answer.out)
    assert answer.code == 0 and report["stop"]["kind"] == "goal"
    assert [held["violation"] for held in report["constraints"]["held"]] == [0.0, 0.0]
