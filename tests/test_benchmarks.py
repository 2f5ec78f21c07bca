"""The benchmark runs from end to end, also where peers are missing or fail."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import __main__ as command
from benchmarks import measure, peers, report
from benchmarks.peers import Unavailable
from benchmarks.summary import summary
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parents[1]


def test_help():
    for module in ("benchmarks", "benchmarks.summary", "benchmarks.costs"):
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0 and "usage" in done.stdout, done.stderr


def test_a_missing_library_is_a_row(tmp_path, monkeypatch, capsys):
    def imported(name):
        raise ModuleNotFoundError(name=name)

    sides = peers.sides_of("thalweg")
    monkeypatch.setattr(peers, "import_module", imported)
    with pytest.raises(Unavailable, match="not installed"):
        peers.sides_of("torch")
    monkeypatch.setattr(
        command, "sides_of", lambda name: sides if name == "thalweg" else peers.sides_of(name)
    )
    path = tmp_path / "speed.json"
    options = "--only xor --peers torch --runs 1 --seconds 0.001 --most-steps 8 --no-costs --json"
    monkeypatch.setattr(sys, "argv", ["benchmarks", *options.split(), str(path)])
    command.main()
    assert "not installed" in capsys.readouterr().out
    assert [p.name for p in sorted(tmp_path.iterdir())] in (
        ["speed.json"], ["speed.json", "speed.png"],
    )  # fmt: skip
    rows = json.loads(path.read_text())["speed"]
    assert rows[-1]["family"] == "torch" and rows[-1]["refused"] == "not installed"
    assert summary(rows).splitlines()[0] == "| workload | thalweg, µs |"


def test_a_peer_that_fails_is_one_row_less():
    class Failing:
        family, setting, threads, tolerance, check_epsilon = "other", "", 1, 1e-9, 1e-8

        def parameters_after(self, workload, steps):
            raise RuntimeError("no compiler")

    first = peers.sides_of("thalweg")[:1]
    rows = measure.measure_workload(WORKLOADS[0], [*first, Failing()], 1, 0.001, 8)
    assert rows[1].refused == "failed: RuntimeError" and rows[0].seconds
    assert "failed" in "".join(str(c) for c in report.speed_table(rows).columns[3].cells)


def test_figures_of_the_documents():
    rows = [
        {"workload": "xor", "family": "thalweg", "best": True, "seconds": [2e-6, 1e-6, 3e-6],
         "times_slower": None},
        {"workload": "xor", "family": "jax", "best": True, "seconds": [1.0], "times_slower": 7.96},
        {"workload": "xor", "family": "jax", "best": False, "seconds": [], "times_slower": 9.0},
    ]  # fmt: skip
    assert summary(rows).splitlines()[2] == "| xor | 2.00 | 7.96 |"
