"""Weights of rows and classes in tables."""

import json

import numpy as np
import pytest

import thalweg as tw
from thalweg.cli import main
from thalweg.errors import OptionError
from thalweg.training.encoding import Preparation
from thalweg.training.tabular import Design

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 2))
W = RNG.uniform(0.0, 5.0, 40)
Y = X @ [1.0, -2.0] + 0.5 + RNG.normal(size=40)
KIND = np.where(X[:, 0] + RNG.normal(size=40) > 0.9, "rare", "usual")
LINEAR = {"design": Design(hidden=(), l2=0.0), "split": "none", "engine": "numpy"}


def test_a_straight_line_is_the_weighted_least_squares():
    table = {"a": X[:, 0], "b": X[:, 1], "w": W, "y": Y}
    model = tw.fit_table(table, "y", sample_weight="w", method="lm", **LINEAR)
    ones = np.column_stack([X, np.ones(40)])
    root = np.sqrt(W)[:, None]
    wanted = np.linalg.lstsq(root * ones, root[:, 0] * Y)[0]
    assert [column.name for column in model.encoding.columns] == ["a", "b"]
    np.testing.assert_allclose(
        model.predict({"a": X[:, 0], "b": X[:, 1]}), ones @ wanted, atol=1e-9
    )


def test_weights_of_dropped_rows_are_dropped():
    gap = np.where(np.arange(40) == 7, np.nan, X[:, 0])
    how = {"sample_weight": "w", "method": "lm", **LINEAR}
    table = {"a": gap, "w": W, "y": Y}
    model = tw.fit_table(table, "y", preparation=Preparation(missing="drop"), **how)
    kept = {name: np.delete(column, 7) for name, column in table.items()}
    np.testing.assert_array_equal(
        model.predict({"a": X[:, 0]}), tw.fit_table(kept, "y", **how).predict({"a": X[:, 0]})
    )


def test_classes_count_as_their_rows_would():
    table = {"a": X[:, 0], "b": X[:, 1], "kind": KIND}
    how = {"method": "lbfgs", "epochs": 50, **LINEAR}
    rare = np.mean(KIND == "rare")
    by_hand = np.where(KIND == "rare", 0.5 / rare, 0.5 / (1 - rare))
    a = tw.fit_table(table, "kind", class_weight="balanced", **how)
    b = tw.fit_table({**table, "w": by_hand}, "kind", sample_weight="w", **how)
    c = tw.fit_table(
        table, "kind", class_weight={"rare": 0.5 / rare, "usual": 0.5 / (1 - rare)}, **how
    )
    plain = tw.fit_table(table, "kind", **how)
    np.testing.assert_allclose(a.predict_proba(table), b.predict_proba(table), rtol=1e-7)
    np.testing.assert_allclose(a.predict_proba(table), c.predict_proba(table), rtol=1e-7)
    assert np.sum(a.predict(table) == "rare") > np.sum(plain.predict(table) == "rare")


def test_methods_are_raced_with_the_weights():
    table = {"a": X[:, 0], "b": X[:, 1], "w": W, "y": Y}
    race = tw.compare(table, "y", methods=["lm"], sample_weight="w", split="none", epochs=2)
    np.testing.assert_array_equal(race.data.weights, W)


@pytest.mark.parametrize(
    ("column", "words"),
    [("y", "cannot hold"), ("kind", "are no numbers"), ("minus", "finite numbers from 0")],
)
def test_columns_that_hold_no_weights(column, words):
    table = {"a": X[:, 0], "kind": KIND, "minus": -W, "y": Y}
    with pytest.raises(OptionError, match=words):
        tw.fit_table(table, "y", sample_weight=column, **LINEAR)


@pytest.mark.parametrize(
    "given",
    [{"rare": "3"}, {"rare": None}, {"rare": 0, "usual": 0}, [1.0, 2.0], 3, {"rare": np.nan}],
)
def test_what_are_no_weights_of_classes(given):
    with pytest.raises(OptionError, match="class_weight"):
        tw.fit_table({"a": X[:, 0], "kind": KIND}, "kind", class_weight=given, **LINEAR)


def test_the_weights_of_a_table_are_one_of_its_columns():
    with pytest.raises(OptionError, match="names the column"):
        tw.fit_table({"a": X[:, 0], "y": Y}, "y", sample_weight=W, **LINEAR)


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [
        f"{a},{w},{k},{n}" for a, w, k, n in zip(X[:, 0], W, KIND, KIND == "usual", strict=True)
    ]
    (tmp_path / "t.csv").write_text(
        "a,w,kind,number\n" + "\n".join(lines).replace("True", "1").replace("False", "0")
    )

    def fitted(*options):
        with pytest.raises(SystemExit) as left:
            main(["fit", "t.csv", "--json", "--force", "-m", "lbfgs", "--epochs", "9", *options])
        out, err = capsys.readouterr()
        return json.loads(out)["training"]["loss"] if not left.value.code else err

    text = ("-t", "kind", "--without", "number")
    weighted = fitted(*text, "--sample-weight", "w", "--class-weight", "rare=4, usual=0.5")
    numbered = fitted("-t", "number", "--without", "kind", "--sample-weight", "w",
                      "--class-weight=0=4,1=0.5")  # fmt: skip
    plain = fitted(*text, "--without", "w")
    assert weighted == pytest.approx(numbered, rel=1e-6)
    assert weighted != pytest.approx(plain, rel=1e-3)
    assert "are no weights" in fitted(*text, "--class-weight", "rare")
    assert "are no weights" in fitted(*text, "--class-weight", "rare=1,rare=2")
    assert "class_weight" in fitted(*text, "--class-weight", "rarer=2")
