"""Schedules against PyTorch's."""

import json
from pathlib import Path

import numpy as np
import pytest

from thalweg.errors import OptionError
from thalweg.optim.schedules import SCHEDULES, schedule

PATH = Path(__file__).parents[1] / "fixtures" / "optimisers" / "reference.json"
REFERENCE = json.loads(PATH.read_text(encoding="utf-8"))
RATES = {case["name"]: case for case in REFERENCE["schedules"]}
PLATEAUS = {case["name"]: case for case in REFERENCE["plateaus"]["cases"]}

PAIRS = {
    "constant": ("constant", 0.1),
    "step": ("step(every=30, factor=0.1)", 0.1),
    "step small": ("step(every=7, factor=0.5)", 0.1),
    "exponential": ("exponential(factor=0.97)", 0.1),
    "cosine": ("cosine", 0.1),
    "cosine floor": ("cosine(floor=0.01)", 0.1),
    "one-cycle": ("one-cycle", 0.3),
}
WATCHING = {
    "plateau": "plateau",
    "plateau impatient": "plateau(factor=0.5, patience=3)",
    "plateau cooldown": "plateau(factor=0.5, patience=2, cooldown=5, floor=0.05)",
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_hundred_epochs_as_pytorch(name):
    text, base = PAIRS[name]
    rates = [base * schedule(text)(t, 100) for t in range(100)]
    assert np.allclose(rates, RATES[name]["rates"], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", WATCHING)
def test_plateau_as_pytorch(name):
    found = schedule(WATCHING[name])
    figures = REFERENCE["plateaus"]["figures"]
    rates = [0.1 * found(t, 60, figures[:t]) for t in range(1, 61)]
    assert np.allclose(rates, PLATEAUS[name]["rates_after"], rtol=1e-10)


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_are_positive_and_at_most_one(name):
    found = SCHEDULES[name]
    for total in (1, 2, 10):
        for t in np.linspace(0, total, 21)[:-1]:
            factor = found(t, total, [1.0] * int(t))
            assert 0.0 <= factor <= 1.0


def test_unknown_names():
    with pytest.raises(OptionError, match="Did you mean 'cosine'"):
        schedule("cosin")
