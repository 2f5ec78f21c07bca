"""What each command answers, and with which exit code."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.cli import fit_report, overfitting
from thalweg.language import catalogue

EXAMPLES = Path(__file__).parents[2] / "examples"
FAST = ("--engine", "numpy", "--epochs", "15", "--learning-rate", "0.02")


def rows_of(text):
    return list(csv.DictReader(text.splitlines()))


# -- fit -------------------------------------------------------------------------------------------
def test_fit_reports_and_writes(line, call):
    answer = call("fit", line, "-t", "y", *FAST)
    assert answer.code == 0 and answer.err == ""
    for word in (
        "60 rows × 3 columns", "target with fractions: regression", "42 training, 9 validation",
        "RMSE", "Stopped", "Model written to line.thalweg", "thalweg predict line.thalweg",
        "thalweg explain line.thalweg",
    ):  # fmt: skip
        assert word in answer.out, word
    assert Path("line.thalweg").exists()


def test_a_penalty_is_taken_off_what_is_maximised(line, call):
    given = ("--l1", "0.1", "--l2", "0.2", "--engine", "numpy", "--epochs", "1", "--force")
    up = call("fit", line, "-t", "y", "--loss", "performance", *given)
    down = call("fit", line, "-t", "y", *given)
    assert "performance - 0.1·Σ|w| - 0.2/2·Σw²" in up.out
    assert "mse + 0.1·Σ|w| + 0.2/2·Σw²" in down.out


def test_fit_says_where_nothing_was_learned(line, call):
    answer = call("fit", line, "-t", "y", "--engine", "numpy", "--epochs", "1", "--seed", "1")
    assert "worse than their mean" not in answer.out
    bounds = ("--bound-output", "300,350", "--hidden", "2", "--epochs", "60", "--force")
    answer = call("fit", line, "-t", "y", "--engine", "numpy", *bounds)
    assert "predicts the training rows worse than their mean would: R² is -" in answer.out
    assert "Overfitting" not in answer.out


def test_fit_json_says_what_the_model_says(line, call):
    answer = call("fit", line, "-t", "y", "--json", *FAST)
    report, model = json.loads(answer.out), tw.load("line.thalweg")
    assert report["test"] == pytest.approx(dict(model.origin.figures["test"]))
    assert report["split"] == {"training": 42, "validation": 9, "test": 9}
    assert report["stop"]["kind"] == model.stop.kind
    assert report["kept_epoch"] == model.origin.kept_epoch
    assert report["history"]["training_loss"] == model.history["training_loss"].tolist()


def test_fit_classifies(call):
    answer = call("fit", EXAMPLES / "breast_cancer.csv", "-t", "diagnosis", "--json", *FAST)
    report = json.loads(answer.out)
    assert report["task"] == "classification" and report["classes"] == ["benign", "malignant"]
    assert report["test"]["accuracy"] > 0.9


def test_fit_few_rows_train_on_all(call):
    answer = call("fit", EXAMPLES / "xor.csv", "-t", "y", *FAST)
    assert answer.code == 0 and "fewer than 20 rows: all of them train" in answer.out.lower()
    assert "validation" not in answer.out


def test_same_seed_same_file(line, call):
    for name in ("one.thalweg", "two.thalweg"):
        call("fit", line, "-t", "y", "-o", name, "--seed", 3, "-q", *FAST)
    one, two = tw.load("one.thalweg"), tw.load("two.thalweg")
    assert one.equals(two)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hidden", "5,4", "--activation", "tanh"], ["5 tanh → 4 tanh → 1 identity"]),
        (["--hidden", "none"], ["3 → 1 identity"]),
        (["--split", "8:2"], ["8:2"]),
        (["--split", "block"], ["in the table's order"]),
        (["--split", "none"], ["all rows train"]),
        (["--split", "group=colour", "--hidden", "3"], ["whole groups"]),
        (["--loss", "huber(delta=0.5)"], ["huber(delta=0.5)"]),
        (["--method", "rprop"], ["rprop", "all rows at once"]),
        (["--without", "colour"], ["1 columns"]),
        (["--goal", "100"], ["has reached the goal 100"]),
        (["--schedule", "cosine"], ["cosine"]),
        (["--l2", "0", "--l1", "0.001"], ["0.001·Σ|w|"]),
        (["--task", "regression"], ["regression, as asked for"]),
    ],
)
def test_fit_options(options, words, line, call):
    if "--split" in options and options[1].startswith("group"):
        text = line.read_text().replace(",blue,", ",red,", 5).replace(",red,", ",green,", 9)
        line.write_text(text)
    answer = call("fit", line, "-t", "y", *FAST, *options)
    assert answer.code == 0, answer.err
    for word in words:
        assert word in answer.out, answer.out


def test_several_targets(line, call):
    answer = call("fit", line, "-t", "y", "-t", "x", "-o", "two.thalweg", *FAST)
    assert answer.code == 0
    predicted = call("predict", "two.thalweg", line)
    assert predicted.out.splitlines()[0] == "y,x"


def test_quiet_is_one_line(line, call):
    answer = call("fit", line, "-t", "y", "-q", *FAST)
    assert re.fullmatch(r"test R² -?\d\.\d{4}, line\.thalweg\n", answer.out)
    assert answer.err == ""


# -- usage -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "adm"], ["Did you mean 'adam'?"]),
        (["--activation", "tahn"], ["Did you mean 'tanh'?"]),
        (["--loss", "hubr"], ["Did you mean 'huber'?"]),
        (["--hidden", "a"], ["--hidden 20,20"]),
        (["--task", "regresion"], ["regression"]),
        (["--split", "nonsense"], ["nonsense"]),
        (["--engine", "nativ"], ["native"]),
        (["--missing", "men"], ["mean"]),
        (["--epochs", "-1"], ["epochs"]),
        (["--learning-rate", "0"], ["learning_rate"]),
        (["--lang", "kr"], ["en", "ko"]),
        (["--output", "nowhere/m.thalweg"], ["no folder 'nowhere'"]),
        (["--activation", "step"], ["zero almost everywhere"]),
        (["--snapshots", "x"], ["--snapshots 1,10,100"]),
    ],
)
def test_usage_errors(options, words, line, call, tmp_path):
    before = sorted(p.name for p in tmp_path.iterdir())
    answer = call("fit", line, "-t", "y", *options)
    assert answer.code == 2 and answer.out == "", answer
    for word in words:
        assert word in answer.err, answer.err
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_unknown_option_and_missing_target(line, call):
    assert call("fit", line, "-t", "y", "--hiden", "3").code == 2
    assert call("fit", line).code == 2


def test_nothing_is_overwritten_without_force(model, line, call):
    before = model.read_bytes()
    answer = call("fit", line, "-t", "y", "-o", model, *FAST)
    assert answer.code == 2 and "--force" in answer.err and model.read_bytes() == before
    assert call("fit", line, "-t", "y", "-o", model, "--force", "--seed", 1, *FAST).code == 0
    assert model.read_bytes() != before


def test_the_data_is_never_overwritten(line, call):
    before = line.read_bytes()
    answer = call("fit", line, "-t", "y", "-o", line, "--force", *FAST)
    assert answer.code == 2 and line.read_bytes() == before


def test_divergence(line, call):
    answer = call("fit", line, "-t", "y", "--method", "gd", "--learning-rate", 1e6, "--epochs", 500,
                  "--engine", "numpy")  # fmt: skip
    assert answer.code == 4 and "smaller learning rate" in answer.err


# -- predict ---------------------------------------------------------------------------------------
def test_predict_writes_what_the_model_predicts(model, line, call):
    answer = call("predict", model, line)
    expected = tw.load(model).predict(line)
    found = np.array([float(row["y"]) for row in rows_of(answer.out)])
    np.testing.assert_array_equal(found, expected)
    assert "R²" in answer.err
    assert call("predict", model, line, "-q").err == ""


def test_predict_to_a_file_beside_the_columns(model, line, call):
    answer = call("predict", model, line, "--append", "--output", "out.csv")
    assert answer.code == 0 and answer.out == ""
    header = Path("out.csv").read_text().splitlines()[0]
    assert header == "x,colour,y,y_predicted"
    assert call("predict", model, line, "--output", "out.csv").code == 2


def test_predict_probabilities(line, call):
    text = re.sub(r",(-?[\d.]+)$", lambda m: f",{float(m[1]) > 1}", line.read_text(), flags=re.M)
    line.write_text(text)
    call("fit", line, "-t", "y", "-o", "m.thalweg", *FAST)
    rows = rows_of(call("predict", "m.thalweg", line, "--probabilities").out)
    for row in rows:
        shares = [float(row["y=false"]), float(row["y=true"])]
        assert sum(shares) == pytest.approx(1) and (row["y"] == "true") == (shares[1] > 0.5)
    assert json.loads(call("predict", "m.thalweg", line, "--json").out)["y"][0] in (True, False)


def test_probabilities_of_a_quantity_are_refused(model, line, call):
    answer = call("predict", model, line, "--probabilities")
    assert answer.code == 2 and "quantities" in answer.err


# -- explain ---------------------------------------------------------------------------------------
def test_explain_a_formula(call):
    answer = call("explain", "--formula", "w*x + b", "w=-2", "x=5", "b=3")
    assert answer.code == 0
    for word in ("∂f/∂w", "-7", "Raising w by 1 raises f by exactly 5"):
        assert word in answer.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["w*x + b", "w=1"], ["x=1 b=1"]),
        (["w*x", "w=1", "x=a"], ["'a' is not a number"]),
        (["w*x", "w=1", "x=1", "q=2"], ["variables are w, x"]),
        (["2x", "x=1"], ["2*x"]),
        (["__import__('os')", "x=1"], ["__import__"]),
    ],
)
def test_formulas_that_cannot_be_explained(arguments, words, call):
    answer = call("explain", "--formula", *arguments)
    assert answer.code == 2 and answer.out == ""
    for word in words:
        assert word in answer.err, answer.err


def test_explain_a_model(model, line, call):
    layers = call("explain", model, line, "--row", 3)
    assert layers.code == 0
    for word in ("dW[1]", "dZ[2]", "16×3", "m = 1"):
        assert word in layers.out, layers.out
    neuron = call("explain", model, line, "--row", 3, "--neuron", "hidden 2")
    assert "common part" in neuron.out and "take effect" in neuron.out
    assert call("explain", model, line, "--row", 3, "--neuron", "1.2").out == neuron.out
    assert call("explain", model, line, "--row", 3, "--at", "init").out != layers.out


@pytest.mark.parametrize("view", ["layers", "walk", "jacobians", "update", "health", "report"])
def test_every_view(view, model, line, call):
    answer = call("explain", model, line, "--row", "1-4", "--view", view)
    assert answer.code == 0 and answer.out.strip()


def test_explain_one_entry(model, line, call):
    answer = call("explain", model, line, "--row", "1-3", "--entry", "dW[2] 1 3", "--check")
    assert answer.code == 0 and "dW[2]" in answer.out


@pytest.mark.parametrize("form", ["markdown", "latex", "html", "json", "source"])
def test_every_form(form, call):
    answer = call("explain", "--formula", "w*x", "w=1", "x=2", "--form", form, "-o", "out.txt")
    assert answer.code == 0 and Path("out.txt").read_text(encoding="utf-8").strip()
    if form == "json":
        assert json.loads(Path("out.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "options",
    [["--neuron", "hidden 99"], ["--neuron", "x"], ["--at", "epoch=7"], ["--view", "layer"],
     ["--row", "a"], ["--entry", "?"]],
)  # fmt: skip
def test_explain_usage(options, model, line, call):
    assert call("explain", model, line, *options).code == 2


def test_snapshots_can_be_explained(line, call):
    call("fit", line, "-t", "y", "-o", "m.thalweg", "--snapshots", "3", *FAST)
    assert call("explain", "m.thalweg", line, "--at", "epoch=3").code == 0


def test_one_path_is_not_enough(model, call):
    answer = call("explain", model)
    assert answer.code == 2 and "(1 given)" in answer.err


# -- check, info -----------------------------------------------------------------------------------
def test_check_a_model_and_formulas(model, line, call):
    assert call("check", model, line, "--row", "1-20").code == 0
    assert call("check", "--formula", "sin(x)*exp(y)", "x=1", "y=0.5").code == 0
    answer = call("check", "--formula", "relu(x)", "x=0")
    assert answer.code == 1 and "kink" in answer.out
    report = json.loads(call("check", model, line, "--json").out)
    parameters = sum(v.size for layer in tw.load(model).params for v in layer.values())
    assert report["ok"] and report["count"] == parameters


def test_info_of_a_model(model, call):
    answer = call("info", model)
    for word in ("3 → 16 ", "colour", "blue, red", tw.__version__, "init, end"):
        assert word in answer.out, answer.out
    assert json.loads(call("info", model, "--json").out)["split"]["training"] == 42


def test_info_of_a_table(line, call):
    answer = call("info", line)
    assert "60 rows × 3 columns" in answer.out and "text" in answer.out
    report = json.loads(call("info", line, "--json").out)
    assert [c["kind"] for c in report["columns"]] == ["number", "text", "number"]


# -- words -----------------------------------------------------------------------------------------
def test_korean(line, call):
    answer = call("fit", line, "-t", "y", "--lang", "ko", *FAST)
    assert "신경망" in answer.out and "저장했습니다" in answer.out
    assert "훈련하고" in call("--help", "--lang", "ko").out


def test_catalogues_say_the_same_things():
    places = re.compile(r"{(\w+)")
    en, ko = catalogue("cli", "en"), catalogue("cli", "ko")
    assert set(en) == set(ko)
    for key in en:
        assert set(places.findall(en[key])) == set(places.findall(ko[key])), key


def test_every_option_has_its_sentence(call):
    for command in ("fit", "compare", "predict", "explain", "check", "info"):
        for lang in ("en", "ko"):
            text = call(command, "--help", "--lang", lang).out
            assert not re.search(r"\b(option|help|epilog|panel|argument)_\w+", text)


def test_overfitting_says_what_it_saw():
    seen = overfitting.figures_part(
        {"training": {"accuracy": 0.99}, "test": {"accuracy": 0.8}}, {"test": 100}
    )
    assert seen == {"figure": "accuracy", "seen": 0.99, "unseen": 0.8, "part": "test"}
    assert overfitting.curves_part([1, 0.5], [1, 0.9], kept=2) is None


def test_curve_of_equal_values():
    assert fit_report.curve([1.0, 1.0], 1.0, 1.0) == "▁▁"


@pytest.mark.parametrize(
    ("how", "words"), [("standard", "평균 .*, 표준편차"), ("minmax", "최소 .*, 최대")]
)
def test_info_says_in_korean_how_columns_are_scaled(line, call, how, words):
    call("fit", line, "-t", "y", "--engine", "numpy", "--epochs", "1", "--scale", how)
    assert re.search(words, call("info", "line.thalweg", "--lang", "ko").out)
