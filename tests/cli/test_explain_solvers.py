"""``thalweg explain --view update`` of models of solvers, on the rows that trained them."""

import json

import numpy as np
import pytest

from thalweg.explanation.storage import from_json
from thalweg.training.gauss_newton import vector
from thalweg.training.model_file import load


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 2))
    lines = ["a,b,y", *(f"{a},{b},{np.sin(a) * b}" for a, b in rows)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("method", ["lm", "bfgs"])
def test_the_step_shown_is_the_first_epoch(call, tmp_path, table, method: str) -> None:
    path = tmp_path / "m.thalweg"
    options = ("--hidden", 3, "--method", method, "--epochs", 1, "--engine", "numpy", "-o", path)
    assert call("fit", table, "-t", "y", *options).code == 0
    order = ("explain", path, table, "--row", "training", "--view", "update", "--at", "init")
    answer = call(*order, "--form", "json")
    assert answer.code == 0, answer.err
    shown = from_json(json.loads(answer.out))
    end = vector(load(path).params)
    assert np.allclose(shown.step("θ⁺").value[:, 0], end, rtol=1e-12, atol=1e-13)
    korean = call(*order, "--lang", "ko").out
    assert ("레번버그-마쿼트" in korean) == (method == "lm")
    assert "θ⁺ = θ + s" in korean


def test_training_rows_need_the_table_that_trained(call, tmp_path, table) -> None:
    path, short = tmp_path / "m.thalweg", tmp_path / "short.csv"
    options = ("--hidden", 2, "--method", "lm", "--epochs", 1, "--engine", "numpy", "-o", path)
    assert call("fit", table, "-t", "y", *options).code == 0
    short.write_text("\n".join(table.read_text("utf-8").splitlines()[:6]), encoding="utf-8")
    answer = call("explain", path, short, "--row", "training")
    assert answer.code == 3
    assert "5 rows" in answer.err
