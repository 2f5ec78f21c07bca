"""The command line called in this process, and in one of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from thalweg.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def pytest_addoption(parser):
    parser.addoption("--refresh-pages", action="store_true", help="write tests/cli/golden/ anew")


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    """A folder of its own, English, and lines that do not break messages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("COLUMNS", "400")
    for name in ("FORCE_COLOR", "NO_COLOR", "PYTHONIOENCODING", "THALWEG_LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def call(capsys):
    """Run a command in this process."""

    def called(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return Answer(int(left.value.code or 0), out, err)

    return called


@pytest.fixture
def process():
    """Run a command in a process of its own; bytes come back where no encoding is given."""

    def run(*arguments, encoding="utf-8", **environment):
        done = subprocess.run(
            [sys.executable, "-m", "thalweg", *map(str, arguments)],
            env={**os.environ, **environment},
            capture_output=True,
            timeout=120,
        )
        return Answer(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))

    return run


@pytest.fixture
def line(tmp_path):
    """A table of 60 rows, y = 2x + 1 with a category and noise."""
    random = np.random.default_rng(0)
    rows = ["x,colour,y"]
    for i in range(60):
        x = random.uniform(-1, 1)
        rows.append(
            f"{x:.4f},{'red' if i % 3 else 'blue'},{2 * x + 1 + random.normal(0, 0.05):.4f}"
        )
    path = tmp_path / "line.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


FAST = ("--engine", "numpy", "--epochs", "15", "--learning-rate", "0.02")


@pytest.fixture
def model(line, call):
    """A model of `line`, as a file."""
    answer = call("fit", line, "-t", "y", "-o", "m.thalweg", *FAST, "--quiet")
    assert answer.code == 0, answer.err
    return Path("m.thalweg")
