"""The direction of imports: a room imports only rooms above it in docs/architecture.md."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_imports_point_one_way(monkeypatch, capsys):
    cli = pytest.importorskip("importlinter.cli")
    monkeypatch.chdir(ROOT)
    code = cli.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out
