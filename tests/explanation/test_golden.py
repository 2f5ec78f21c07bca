"""The shipped examples in every format and both languages, as golden files.

``pytest tests/explanation --refresh-golden`` writes them anew. What stands in them is held against
closed forms here, written down for each example in plain NumPy.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thalweg.explanation.records import Explanation
from thalweg.explanation.storage import from_json

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples" / "explain"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml"))
LANGUAGES = ("en", "ko")
FORMS = {"terminal": "txt", "latex": "tex", "markdown": "md", "json": "json", "html": "html"}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_golden(example, golden, name: str, lang: str, form: str) -> None:
    text = example(name).explanation().write(form, lang)
    if form == "html":  # one row a line, without what all pages share
        text = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", text, flags=re.S)
        text = text.replace("<tr", "\n<tr").replace("<section", "\n<section")
    golden(f"{name}.{lang}.{FORMS[form]}", text)


def test_no_golden_file_is_left_over() -> None:
    wanted = {f"{n}.{lang}.{s}" for n in NAMES for lang in LANGUAGES for s in FORMS.values()}
    assert {path.name for path in (HERE / "golden").iterdir()} == wanted


@pytest.mark.slow
def test_pages_are_the_same_in_every_process() -> None:
    program = (
        "import hashlib, sys, thalweg as tw\n"
        "page = tw.read_exercise(sys.argv[1]).explanation()\n"
        "text = ''.join(page.write(form, 'ko') for form in sys.argv[2:])\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    found = set()
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", program, str(EXAMPLES / "xor.toml"), *FORMS],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.add(run.stdout)
    assert len(found) == 1
    assert len(found.pop().strip()) == len(hashlib.sha256().hexdigest())


# -- closed forms ---------------------------------------------------------------------------------
def sigma(z: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.asarray(z, float)))


def line() -> dict[str, Any]:
    w, x, b = -2.0, 5.0, 3.0
    return {"f": w * x + b, "∂f/∂w": x, "∂f/∂x": w, "∂f/∂b": 1.0, "g": w * x}


def two_neuron_chain() -> dict[str, Any]:
    w1, w2, x, d = 0.5, 0.5, 1.0, 1.0
    y = sigma(w1 * x)
    z = sigma(w2 * y)
    common2 = (d - z) * z * (1 - z)
    common1 = common2 * w2 * y * (1 - y)
    return {
        "P": -0.5 * (d - z) ** 2,
        "A[1]": [[y]], "A[2]": [[z]],
        "dZ[2]": [[common2]], "dZ[1]": [[common1]],
        "dW[2]": [[common2 * y]], "dW[1]": [[common1 * x]],
        "W[2]⁺": [[w2 + common2 * y]], "W[1]⁺": [[w1 + common1 * x]],
    }  # fmt: skip


def relu_regression() -> dict[str, Any]:
    X = np.array([[1.0, 2.0], [-1.0, 0.5]]).T
    T = np.array([[1.0, 0.0]])
    W1 = np.array([[0.5, 0.25], [-1.0, 0.75], [0.3, -0.6]])
    W2 = np.array([[1.0, -0.5, 2.0]])
    Z1 = W1 @ X
    A1 = np.where(Z1 > 0, Z1, 0.0)
    A2 = W2 @ A1
    dZ2 = 2.0 * (A2 - T)
    dZ1 = (W2.T @ dZ2) * (Z1 > 0)
    dW2, dW1 = dZ2 @ A1.T / 2, dZ1 @ X.T / 2
    return {
        "Z[1]": Z1, "A[1]": A1, "A[2]": A2, "J": np.mean((A2 - T) ** 2),
        "dZ[2]": dZ2, "dZ[1]": dZ1, "dW[2]": dW2, "dW[1]": dW1,
        "W[2]⁺": W2 - 0.05 * dW2, "W[1]⁺": W1 - 0.05 * dW1,
    }  # fmt: skip


def _crossed(X: Any, T: Any, first: Any, second: Any, g: Any, slope: Any) -> dict[str, Any]:
    """One hidden layer, a sigmoid output, binary cross entropy, samples as columns."""
    (W1, b1), (W2, b2), m = first, second, X.shape[1]
    Z1 = W1 @ X + b1
    A1 = g(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigma(Z2)
    dZ2 = A2 - T
    dZ1 = (W2.T @ dZ2) * slope(A1)
    return {
        "Z[1]": Z1, "A[1]": A1, "Z[2]": Z2, "A[2]": A2,
        "J": -np.mean(T * np.log(A2) + (1 - T) * np.log(1 - A2)),
        "dZ[2]": dZ2, "dZ[1]": dZ1, "dA[0]": W1.T @ dZ1,
        "dW[2]": dZ2 @ A1.T / m, "dW[1]": dZ1 @ X.T / m,
        "db[2]": dZ2.mean(axis=1, keepdims=True), "db[1]": dZ1.mean(axis=1, keepdims=True),
    }  # fmt: skip


def shallow_sigmoid() -> dict[str, Any]:
    X = np.array([[1.0, 0.5], [-0.5, 2.0], [0.0, -1.0]]).T
    first = np.array([[0.2, -0.4], [0.7, 0.1], [-0.3, 0.5]]), np.array([[0.1], [0.0], [-0.2]])
    second = np.array([[0.6, -0.9, 0.3]]), np.array([[0.05]])
    found = _crossed(X, np.array([[1, 0, 1]]), first, second, sigma, lambda a: a * (1 - a))
    return found | _moved(found, first, second, 0.1)


def xor() -> dict[str, Any]:
    X, T = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]).T, np.array([[0, 1, 1, 0]])
    first = np.array([[1.0, -1.0], [-0.5, 1.5]]), np.array([[0.25], [-0.25]])
    second = np.array([[0.75, 1.25]]), np.array([[-0.5]])
    start = _crossed(X, T, first, second, np.tanh, lambda a: 1 - a**2)
    once = _moved(start, first, second, 0.5)  # two updates: the last values are those shown last
    middle = (once["W[1]⁺"], once["b[1]⁺"]), (once["W[2]⁺"], once["b[2]⁺"])
    later = _crossed(X, T, *middle, np.tanh, lambda a: 1 - a**2)
    return start | _moved(later, *middle, 0.5) | {"J": None}


def _moved(found: dict[str, Any], first: Any, second: Any, rate: float) -> dict[str, Any]:
    old = {"W[1]": first[0], "b[1]": first[1], "W[2]": second[0], "b[2]": second[1]}
    return {f"{name}⁺": value - rate * found[f"d{name}"] for name, value in old.items()}


CLOSED: dict[str, Callable[[], dict[str, Any]]] = {
    "line": line,
    "relu_regression": relu_regression,
    "shallow_sigmoid": shallow_sigmoid,
    "two_neuron_chain": two_neuron_chain,
    "xor": xor,
}


def _golden(name: str, lang: str) -> Explanation:
    return from_json(json.loads((HERE / f"golden/{name}.{lang}.json").read_text("utf-8")))


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_golden_files_are_those_of_closed_forms(name: str, lang: str) -> None:
    shown = _golden(name, lang)
    closed = {key: value for key, value in CLOSED[name]().items() if value is not None}
    for step, value in closed.items():
        found = shown.step(step).value
        assert np.allclose(found, value, rtol=1e-12, atol=1e-14), step
    assert len(closed) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_numbers_on_pages_are_those_of_the_records(name: str) -> None:
    """Every number that a page can open is a value of the JSON file, to the last digit."""
    page = (HERE / f"golden/{name}.en.html").read_text("utf-8")
    values = [float(s.value) for s in _golden(name, "en").steps() if s.value.ndim == 0]
    written = [float(text) for text in re.findall(r'data-value="([^"]+)"', page)]
    assert written == pytest.approx(values, rel=1e-12, abs=1e-15)
    assert len(written) >= 5
