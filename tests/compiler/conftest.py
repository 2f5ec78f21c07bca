"""``pytest tests/compiler --refresh-loops`` writes the golden loops anew; then read the diff."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--refresh-loops", action="store_true", help="write golden loops anew")


@pytest.fixture
def refresh_loops(request):
    return request.config.getoption("--refresh-loops", default=False)


@pytest.fixture
def no_cache(monkeypatch):
    """Compile everything, whatever is on disk."""
    monkeypatch.setenv("THALWEG_CACHE", "0")


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """An empty cache of this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("THALWEG_CACHE", str(folder))
    return folder
