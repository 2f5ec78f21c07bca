"""``pytest tests/compiler --refresh-loops`` writes the golden loops anew; then read the diff."""

import pytest

from thalweg.compiler.kernel import shared_kernel


def pytest_addoption(parser):
    parser.addoption("--refresh-loops", action="store_true", help="write golden loops anew")


@pytest.fixture
def refresh_loops(request):
    return request.config.getoption("--refresh-loops", default=False)


@pytest.fixture
def no_cache(monkeypatch):
    """Compile everything, whatever is on disk or in memory."""
    shared_kernel.cache_clear()
    monkeypatch.setenv("THALWEG_CACHE", "0")


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """An empty cache of this test alone."""
    shared_kernel.cache_clear()
    folder = tmp_path / "cache"
    monkeypatch.setenv("THALWEG_CACHE", str(folder))
    return folder
