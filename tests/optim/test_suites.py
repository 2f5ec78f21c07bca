"""The third-party suites, through the public API, where they are at hand beside the checkout."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SUITES = next(
    (p / "shared" / "suites" for p in Path(__file__).resolve().parents
     if (p / "shared" / "suites" / "run_suites.py").exists()),
    None,
)  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SUITES is None, reason="the suites are not beside this checkout"),
]


def score(suite, tmp_path):
    out = tmp_path / "out.json"
    adapter = Path(__file__).parent / "suite_adapter.py"
    command = [sys.executable, str(SUITES / "run_suites.py"), str(adapter), "--suite", suite]
    subprocess.run([*command, "--quiet", "--json", str(out)], check=True, capture_output=True)
    return json.loads(out.read_text())


def test_nist(tmp_path):
    summary = score("nist", tmp_path)["summary"]["nist/all"]
    assert summary["digits>=10"] == summary["runs"] == 28


def test_more_garbow_hillstrom(tmp_path):
    assert score("mgh", tmp_path)["summary"]["mgh/all"]["solved"] >= 55


def test_hock_schittkowski(tmp_path):
    found = score("hs", tmp_path)
    summary = found["summary"]["hs/all"]
    assert summary["solved"] >= 58 and summary["solved"] + summary["local"] == summary["runs"]
    for row in found["rows"]:  # no success that is none
        claimed = row["info"].get("status") == "CONVERGED"
        assert not claimed or row["solved"] or row["local"], row["name"]
        assert not claimed or row["viol"] <= 1e-9, row["name"]
