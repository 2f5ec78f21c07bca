"""Golden files lie in ``golden/``; ``pytest tests/explanation --refresh-golden`` writes them."""

import json
import re
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
    """Compare a text with the golden file of a name; numbers up to rounding."""

    def compare(name: str, text: str) -> None:
        path = HERE / "golden" / name
        if request.config.getoption("--refresh-golden", default=False):
            path.write_text(text, encoding="utf-8")
        expected = path.read_text(encoding="utf-8")
        if name.endswith(".json"):
            assert_near(json.loads(text), json.loads(expected))
        elif text != expected:
            assert_near_text(text, expected)

    return compare


NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def assert_near_text(found: str, expected: str) -> None:
    """Equal words, and numbers equal up to the rounding of their last digit."""
    assert NUMBER.sub("#", found) == NUMBER.sub("#", expected)
    numbers = (map(_number, NUMBER.findall(text)) for text in (found, expected))
    for (one, digits), (other, _) in zip(*numbers, strict=True):
        assert one == pytest.approx(other, rel=max(1e-12, 10.0 ** (1 - digits)), abs=1e-15)


def _number(text: str) -> tuple[float, int]:
    """A number, and how many digits it is written with."""
    plain = text.replace("−", "-")
    return float(plain), len(re.sub(r"e.*|[-.]", "", plain).lstrip("0"))


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
