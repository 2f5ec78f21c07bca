"""``thalweg explain`` on exercises, typed rows and entries; worksheets made and marked."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.explanation.storage import from_json

EXAMPLES = Path(__file__).parents[2] / "examples" / "explain"
CHAIN = EXAMPLES / "two_neuron_chain.toml"
XOR = EXAMPLES / "xor.toml"
LINE = EXAMPLES / "line.toml"


def steps(answer):
    """Values by name of an explanation in JSON; the last of each name."""
    assert answer.code == 0, answer.err
    return {step.id: step.value for step in from_json(json.loads(answer.out)).steps()}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# -- exercises -------------------------------------------------------------------------------------
def test_the_two_neuron_chain_by_hand(call):
    """d = x = 1, w₁ = w₂ = 0.5: ∂P/∂w₁ = (d - z) z(1 - z) w₂ y(1 - y) x."""
    y = sigmoid(0.5)
    z = sigmoid(0.5 * y)
    slope = (1 - z) * z * (1 - z) * 0.5 * y * (1 - y)
    found = steps(call("explain", CHAIN, "--form", "json"))
    assert found["∂P/∂w[1]₁,₁"] == pytest.approx(slope, rel=1e-12)
    answer = call("explain", CHAIN)
    assert "0.0121244" in answer.out and "W[1]⁺" in answer.out


def test_updates_of_an_exercise(call):
    """Two updates of gradient descent, done here with NumPy."""
    layers = ("--view", "layers", "--form", "json")
    w, path = np.array([0.5, 0.5]), []
    for _ in range(3):
        y = sigmoid(w[0])
        z = sigmoid(w[1] * y)
        common = (1 - z) * z * (1 - z)
        w = w + np.array([common * w[1] * y * (1 - y), common * y])
        path.append(w)
    found = steps(call("explain", CHAIN, "--updates", 3, "--form", "json"))
    assert found["W[1]⁺"] == pytest.approx(path[2][0], rel=1e-12)
    after_one = steps(
        call("explain", CHAIN, "--view", "layers", "--at", "epoch=1", "--form", "json")
    )
    assert after_one["W[2]"] == pytest.approx(path[0][1], rel=1e-12)
    last = steps(call("explain", CHAIN, "--at", "end", "--updates", 2, *layers))
    assert last["W[2]"] == pytest.approx(path[1][1], rel=1e-12)


def test_an_exercise_in_json(call):
    Path("chain.json").write_text(
        json.dumps({"x": [[2.0]], "t": [[1.0]], "learning_rate": 0.1, "layers": [{"W": [[3.0]]}]})
    )
    found = steps(call("explain", "chain.json", "--view", "layers", "--form", "json"))
    assert found["dW[1]"] == pytest.approx(-2 * (1 - 6) * 2)  # -2 (t - wx) x


def test_a_formula_in_a_file(call):
    answer = call("explain", LINE, "--check")
    assert answer.code == 0 and "central diff" in answer.out and "exactly 5" in answer.out


@pytest.mark.parametrize("sample", [1, 3])
def test_samples_are_walked_through(sample, call):
    answer = call("explain", XOR, "--view", "walk", "--sample", sample)
    assert answer.code == 0 and f"sample {sample}" in answer.out


@pytest.mark.parametrize("view", ["layers", "walk", "jacobians", "report"])
def test_central_differences_agree_in_every_view(view, call):
    answer = call("explain", XOR, "--view", view, "--check")
    assert answer.code == 0 and "disagree" not in answer.out
    assert "central diff" in answer.out


def test_central_differences_of_one_neuron(call):
    page = json.loads(call("explain", XOR, "--neuron", "hidden 2", "--check", "--form", "json").out)
    pairs = [
        (step["value"]["data"], step["estimate"]["data"])
        for section in page["sections"]
        for step in section["steps"]
        if "estimate" in step
    ]
    assert len(pairs) > 3
    for exact, estimate in pairs:
        assert exact == pytest.approx(estimate, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([LINE, "--neuron", "hidden 1"], ["--neuron", "formula"]),
        ([LINE, "--sample", "2"], ["--sample"]),
        ([XOR, "--row", "2"], ["--row", "--sample 2"]),
        ([XOR, "data.csv"], ["data.csv", "own numbers"]),
        ([XOR, "--at", "later"], ["later", "epoch=2"]),
        ([XOR, "--updates", "2000"], ["0 to 1000"]),
        ([XOR, "--sample", "9", "--view", "walk"], ["samples 1 to 4"]),
        (["--formula", "w*x", "w=1", "x=2", "--updates", "3"], ["--updates", "formula"]),
        ([XOR, "--worksheet", "--answers", "x"], ["one of them"]),
        ([XOR, "--worksheet", "--blanks", "0"], ["--blanks 0"]),
        ([XOR, "--worksheet", "--view", "health"], ["--view walk"]),
        ([XOR, "--worksheet", "--form", "source"], ["source"]),
    ],
)
def test_options_that_make_no_sense(arguments, words, call):
    answer = call("explain", *arguments)
    assert answer.code == 2 and answer.out == "", answer
    for word in words:
        assert word in answer.err, answer.err


def test_a_file_that_says_nonsense(call):
    Path("bad.toml").write_text("x = [[1.0]]\nt = [[1.0]]\nlayer = 3\n")
    answer = call("explain", "bad.toml")
    assert answer.code == 3 and "bad.toml" in answer.err and "layers" in answer.err
    assert call("explain", "missing.toml").code == 3


# -- entries ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "entry", ["dW[1] 2 1", "db[1] 2", "dX 1 3", "dZ[2] 1 4", "da[2]/da[1] 1 2", "∂a[2]/∂a[0] 1 1"]
)
def test_entries_beside_their_central_difference(entry, call):
    answer = call("explain", XOR, "--entry", entry, "--sample", "3", "--check", "--form", "json")
    total = json.loads(answer.out)["sections"][0]["steps"][-1]
    terms = json.loads(answer.out)["sections"][0]["steps"][:-1]
    value = total["value"]["data"]
    assert value == pytest.approx(total["estimate"]["data"], rel=1e-8, abs=1e-12)
    assert np.sum([t["value"]["data"] for t in terms]) == pytest.approx(np.sum(value), rel=1e-12)


def test_an_entry_of_an_activation_is_computed(call):
    answer = call("explain", XOR, "--entry", "A[1] 2 3")
    assert answer.code == 0 and "A[1]₂,₃ = tanh(Z[1]₂,₃)" in answer.out and "tanh(-" in answer.out


@pytest.mark.parametrize("entry", ["dW[9] 1 1", "dW[1] 5 5", "da[1]/da[7] 1 1"])
def test_entries_that_do_not_exist(entry, call):
    assert call("explain", XOR, "--entry", entry).code in (2, 3)


# -- columns of a table ----------------------------------------------------------------------------
def test_the_table_s_own_names(model, line, call):
    neuron = call("explain", model, line, "--row", 3, "--neuron", "hidden 2").out
    for word in ("hidden 2 ← x)", "hidden 2 ← colour=red", "(X₁ - c[0]₁) · s[0]₁", "(colour=blue)"):
        assert word in neuron, neuron
    layers = call("explain", model, line, "--row", 3).out
    assert "1 x, 2 colour=blue, 3 colour=red" in layers and "Outputs: 1 y" in layers
    assert "output 1 (y)" in call("explain", model, line, "--neuron", "output 1").out


def test_scaling_is_the_first_and_the_last_step(model, line, call):
    """Prediction and sensitivity in the table's own units, against the model itself."""
    found = steps(call("explain", model, line, "--row", 3, "--view", "walk", "--form", "json"))
    trained = tw.load(model)
    lines = line.read_text().splitlines()
    x, colour, y = lines[3].split(",")
    assert found["Y₁"] == pytest.approx(float(trained.predict(line)[2]), rel=1e-6)

    def loss(x):
        scale = trained.encoding.target_scaling
        found = trained.predict({"x": [x], "colour": [colour]})
        ends = [scale.apply(np.array([[float(value)]])) for value in (found[0], y)]
        return float(ends[0][0, 0] - ends[1][0, 0]) ** 2

    h = 1e-2
    slope = (loss(float(x) + h) - loss(float(x) - h)) / (2 * h)
    assert found["∂J/∂X₁"] == pytest.approx(slope, rel=2e-2)


def test_the_penalty_has_its_share_in_the_update(line, call):
    call("fit", line, "-t", "y", "-o", "p.thalweg", "--l2", "0.1", "--hidden", "2", "-q",
         "--engine", "numpy", "--epochs", "5")  # fmt: skip
    found = steps(call("explain", "p.thalweg", line, "--neuron", "1.1", "--form", "json"))
    weight = tw.load("p.thalweg").params[0]["W"][0, 0]
    share = found["∂C/∂w[1]₁,₁"] - found["∂J/∂w[1]₁,₁"]
    assert share == pytest.approx(0.1 * weight, rel=1e-6)


def test_a_typed_row_is_the_row(model, line, call):
    x, colour, y = line.read_text().splitlines()[3].split(",")
    typed = call("explain", model, f"x={x}", f"colour={colour}", f"y={y}", "--view", "walk")
    assert typed.code == 0, typed.err
    assert typed.out == call("explain", model, line, "--row", 3, "--view", "walk").out
    assert call("check", model, f"x={x}", f"colour={colour}", f"y={y}").code == 0


def test_a_value_stands_in_place_of_the_table_s(model, line, call):
    plain = steps(call("explain", model, line, "--row", 3, "--form", "json"))
    other = steps(
        call("explain", model, line, "colour=red", "x=0.25", "--row", 3, "--form", "json")
    )
    assert other["X"][:, 0].tolist() == [0.25, 0.0, 1.0]
    np.testing.assert_array_equal(other["D"], plain["D"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["x=1"], ["colour, y", "colour=1"]),
        (["x=1", "color=red", "y=2"], ["'color'", "Did you mean 'colour'?"]),
        (["x=1", "colour=red", "y=2", "--row", "3"], ["--row 3"]),
    ],
)
def test_typed_rows_that_do_not_fit(values, words, model, call):
    answer = call("explain", model, *values)
    assert answer.code == 2 and answer.out == ""
    for word in words:
        assert word in answer.err, answer.err
    assert call("explain", model, "x=a", "colour=red", "y=2").code == 3


# -- worksheets ------------------------------------------------------------------------------------
def test_a_worksheet_and_its_key(call):
    made = call("explain", CHAIN, "--worksheet", "--blanks", 6, "--seed", 4, "-o", "sheet.md")
    assert made.code == 0 and "sheet.key.toml" in made.err
    page, key = Path("sheet.md").read_text("utf-8"), Path("sheet.key.toml").read_text("utf-8")
    assert "blanks = 6, seed = 4" in page and page.count("______".replace("_", r"\_")) == 6
    answers = re.findall(r"^(\d+) = (\S+)$", key, re.M)
    assert [number for number, _ in answers] == list("123456")
    for _, value in answers:
        assert len(value) < 6 or f"{float(value):.6g}" not in page
    assert call("explain", CHAIN, "--worksheet", "--key", "--blanks", 6, "--seed", 4).out == key


def filled(page, key):
    """A page with the lines of a key in place of its empty ones."""
    return re.sub(r"^1 = .*?(?=```)", key.split("\n", 1)[1], page, flags=re.M | re.S)


def test_a_filled_page_is_marked_without_saying_the_seed_again(call):
    call("explain", CHAIN, "--worksheet", "--blanks", 6, "--seed", 4, "-o", "sheet.md")
    page, key = Path("sheet.md").read_text("utf-8"), Path("sheet.key.toml").read_text("utf-8")
    Path("done.md").write_text(filled(page, key), "utf-8")
    answer = call("explain", CHAIN, "--answers", "done.md")
    assert answer.code == 0 and "6 of 6" in answer.out


def test_the_missing_factor_is_named(call):
    """∂P/∂w₁ without y(1 - y), as the documents warn."""
    call("explain", CHAIN, "--worksheet", "--blanks", 99, "-o", "sheet.md")
    page = json.loads(call("explain", CHAIN, "--worksheet", "--blanks", 99, "--form", "json").out)
    lines = [line for section in page["sections"] for line in section["lines"]]
    number = next(
        line["blank"] for line in lines if line["name"] == "∂P/∂w[1]₁,₁" and line["blank"]
    )
    y = sigmoid(0.5)
    key = Path("sheet.key.toml").read_text("utf-8")

    def without(found):
        return f"{number} = {float(found[1]) / (y * (1 - y)):.6f}"

    Path("wrong.toml").write_text(re.sub(rf"^{number} = (.*)$", without, key, flags=re.M), "utf-8")
    answer = call("explain", CHAIN, "--answers", "wrong.toml")
    assert answer.code == 1
    assert "lacks the factor ∂a[1]₁/∂z[1]₁ = a[1]₁ · (1 - a[1]₁)" in answer.out
    korean = call("explain", CHAIN, "--answers", "wrong.toml", "--lang", "ko")
    assert "빠졌다" in korean.out
    record = json.loads(call("explain", CHAIN, "--answers", "wrong.toml", "--form", "json").out)
    assert record["first_wrong"] == number and record["right"] == record["total"] - 1


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "html", "json"])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_worksheets_in_every_form(form, lang, call):
    answer = call("explain", CHAIN, "--worksheet", "--form", form, "--lang", lang)
    assert answer.code == 0 and answer.out.strip()
    assert not re.search(r"sheet_\w+|role_\w+", answer.out)
    if form == "html":
        assert answer.out.count("<input") == 10 and "http" not in answer.out.replace(
            "http-equiv", ""
        )


def test_a_worksheet_of_a_model(model, line, call):
    made = call("explain", model, line, "--row", 2, "--worksheet", "-o", "sheet.html")
    assert made.code == 0
    again = call("explain", model, line, "--row", 2, "--answers", "sheet.key.toml")
    assert again.code == 0 and "10 of 10" in again.out
    assert "--blanks" not in again.err


def test_answers_that_name_no_worksheet_are_marked_as_the_usual_one_and_it_is_said(call):
    call("explain", LINE, "--worksheet", "--blanks", 3, "--seed", 4, "-o", "sheet.md")
    lines = Path("sheet.key.toml").read_text().splitlines()[1:]
    Path("bare.txt").write_text("\n".join(lines) + "\n")
    assert "--blanks 10 --seed 0" in call("explain", LINE, "--answers", "bare.txt").err
    told = call("explain", LINE, "--answers", "bare.txt", "--blanks", 3, "--seed", 4)
    assert told.code == 0 and told.err == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing here", ["no answers"]),
        ("1 = half", ["Line 1", "'half'"]),
        ("99 = 1", ["no (99)", "another exercise"]),
    ],
)
def test_answers_that_cannot_be_marked(text, words, call):
    Path("done.md").write_text(text)
    answer = call("explain", CHAIN, "--answers", "done.md")
    assert answer.code == 3
    for word in words:
        assert word in answer.err, answer.err
    assert call("explain", CHAIN, "--answers", "missing.md").code == 3


def test_a_worksheet_is_not_written_over_a_file(call):
    Path("sheet.key.toml").write_text("mine")
    answer = call("explain", CHAIN, "--worksheet", "-o", "sheet.md")
    assert answer.code == 2 and not Path("sheet.md").exists()
    assert Path("sheet.key.toml").read_text() == "mine"


# -- formats ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "start"),
    [("r.html", "<!doctype html>"), ("r.tex", "\\documentclass"), ("r.md", "# "), ("r.json", "{")],
)
def test_the_format_follows_the_name(name, start, call):
    assert call("explain", CHAIN, "--output", name).code == 0
    assert Path(name).read_text("utf-8").startswith(start)
