"""The examples of the documentation run, and its table has every method and search."""

import doctest
from pathlib import Path

from thalweg.optim import Status
from thalweg.optim.methods import METHODS, SEARCHES

PAGE = Path(__file__).parents[2] / "docs" / "optimisation.md"


def test_the_page_of_optimisation():
    done = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert done.attempted > 10 and done.failed == 0


def test_every_method_search_and_status_is_documented():
    text = PAGE.read_text(encoding="utf-8")
    for name in [*METHODS, *SEARCHES, *(status.name for status in Status)]:
        assert f"`{name}`" in text, name
