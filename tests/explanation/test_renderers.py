"""What must hold of any text; golden ones are in `test_golden`."""

import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.explanation.notation import identifier, source, symbols
from thalweg.explanation.render.terminal import ascii_only
from thalweg.nn.network import Dense, Network

ROOT = Path(__file__).parents[2]
NAMES = sorted(p.stem for p in (ROOT / "examples/explain").glob("*.toml"))
LANGUAGES = ("en", "ko")


def _width(line: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    return len(line) + wide - sum(unicodedata.combining(c) > 0 for c in line)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_eighty_columns(example, name: str, lang: str) -> None:
    lines = example(name).explanation().write("terminal", lang).splitlines()
    assert max(_width(line) for line in lines) <= 80


def test_plain_letters_where_nothing_else_can_be_shown(example) -> None:
    for name in NAMES:
        text = example(name).explanation().write("terminal", "en", ascii=True)
        assert text.isascii()
        assert "?" not in text
    assert ascii_only("∂ℓ/∂w[1]₁,₂⁺") == "dl/dw[1]1,2+"


@pytest.mark.parametrize("name", [n for n in NAMES if n != "line"])
def test_programs_run_and_give_the_numbers_shown(example, name: str) -> None:
    view = example(name).told().layers()
    program = view.write("source", "ko")
    found: dict = {}
    exec(program, found)
    for step in view.steps():
        if identifier(step.name) in found and view.step(step.id) is step:
            value = np.asarray(found[identifier(step.name)])
            assert np.allclose(value, step.value, rtol=1e-12, atol=1e-15), step.id
    assert {"dW1", "dW2", "dZ1", "dZ2", "Z1", "A2"} <= found.keys()


def test_programs_of_formulas_give_the_gradient() -> None:
    text = "t = σ(a*b)*a; u = t^2 + exp(-b)/a; max(u, t) + sqrt(a)"
    found: dict = {}
    exec(tw.explain(text)(1.3, 0.4).write("source", "en"), found)
    gradient = tw.grad(tw.parse_formula(text), argnums=(0, 1))(1.3, 0.4)
    assert found["df_da"] == pytest.approx(float(gradient[0]), rel=1e-13)
    assert found["df_db"] == pytest.approx(float(gradient[1]), rel=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_in_formulas_give_the_value(example, name: str) -> None:
    """Every formula with numbers, evaluated as Python reads it, is the value beside it."""
    scope = {"np": np, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
    checked = 0
    for step in example(name).explanation().steps():
        if step.numbers is not None and step.value.ndim == 0:
            assert not symbols(step.numbers)
            found = eval(source(step.numbers), dict(scope))
            assert float(found) == pytest.approx(float(step.value), rel=1e-12, abs=1e-15), step.id
            checked += 1
    assert checked >= 4


def test_text_from_people_is_escaped() -> None:
    record = tw.explain(tw.parse_formula("x  *  2;"))(1.0)
    assert "x  *  2;" in record.write("html", "en")
    from thalweg.explanation.records import Explanation, Sentence

    bad = Explanation("expression", Sentence("title_typed", {"formula": "</script><b>&"}), ())
    assert "<b>" not in bad.write("html", "en")


def test_html_needs_nothing_else(example) -> None:
    page = example("xor").explanation().write("html", "ko")
    assert not re.search(r"https?://(?!www\.w3\.org)|@import|url\(|src=", page)
    assert "Content-Security-Policy" in page
    assert 'lang="ko"' in page


def test_report_of_a_30_16_1_network_is_small() -> None:
    net = Network([Dense(30, 16, "relu"), Dense(16, 1, "sigmoid")])
    rng = np.random.default_rng(1)
    X = rng.normal(size=(32, 30))
    T = (X[:, :1] > 0) * 1.0
    told = tw.explain_network(net, net.initial(0), X, T, "binary_cross_entropy", "adam")
    for lang in LANGUAGES:
        assert len(told.report().write("html", lang).encode()) < 1_000_000


def test_notebooks_get_a_fragment() -> None:
    html = tw.explain("x^2")(1.0)._repr_html_()
    assert html.startswith('<div class="thalweg"')
    assert "<html" not in html


def _compiled(text: str, folder: Path) -> None:
    """Run LaTeX, and let nothing be missing or stick out of the page."""
    (folder / "page.tex").write_text(text, encoding="utf-8")
    command = ["xelatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stdout[-2000:]
    assert "Missing character" not in run.stdout
    assert not re.search(r"Overfull \\hbox \((?:\d\d+|[2-9])\.", run.stdout), run.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("xelatex") is None, reason="needs a LaTeX")
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_latex_compiles(example, tmp_path: Path, name: str, lang: str) -> None:
    _compiled(example(name).explanation().write("latex", lang), tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("xelatex") is None, reason="needs a LaTeX")
@pytest.mark.parametrize(
    ("method", "lang"), [("lm", "en"), ("newton", "ko"), ("bfgs", "en"), ("lbfgs", "ko")]
)
def test_latex_of_solvers_compiles(tmp_path: Path, method: str, lang: str) -> None:
    net = Network([Dense(2, 3, "tanh"), Dense(3, 2, "softmax")])
    rows = np.random.default_rng(1).normal(size=(12, 2))
    targets = np.eye(2)[(rows[:, 0] > 0).astype(int)]
    told = tw.explain_network(net, net.initial(0), rows, targets, "cross_entropy", method)
    _compiled(told.update().write("latex", lang), tmp_path)


def test_four_samples_of_small_numbers_fit_eighty_columns() -> None:
    net = Network([Dense(2, 6, "tanh"), Dense(6, 1)])
    params = net.initial(0)
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    t = net(params, x) + 1.23456e-5 * np.array([[1], [-1], [1], [-1]])
    written = tw.explain_network(net, params, x, t, "mse").layers().write("terminal", "en")
    lines = written[written.index("Backward") :].splitlines()
    assert not [line for line in lines if "⎢" in line and "…" in line]
    assert max(map(len, lines)) <= 80
