"""Golden files lie in ``golden/``; ``pytest tests/explanation --refresh-golden`` writes them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.explanation.by_hand import Exercise

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples" / "explain"
NAMES = ("line", "relu_regression", "shallow_sigmoid", "two_neuron_chain", "xor")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refresh-golden", action="store_true", help="write golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the golden file of a name; numbers in JSON to 1e-12."""

    def compare(name: str, text: str) -> None:
        path = HERE / "golden" / name
        if request.config.getoption("--refresh-golden", default=False):
            path.write_text(text, encoding="utf-8")
        expected = path.read_text(encoding="utf-8")
        if name.endswith(".json"):
            assert_near(json.loads(text), json.loads(expected))
        else:
            assert text == expected

    return compare


def assert_near(found: Any, expected: Any) -> None:
    """Equal structure, and numbers equal up to rounding."""
    if isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_near(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_near(a, b)
    else:
        assert found == expected


@pytest.fixture
def example() -> Callable[[str], Exercise]:
    return lambda name: tw.read_exercise(EXAMPLES / f"{name}.toml")


def sigmoid(z: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.asarray(z)))
