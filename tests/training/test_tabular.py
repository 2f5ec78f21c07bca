"""Tables from Python: where options belong, and what is told where they are misplaced."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError

GAPS = tw.Preparation(missing="drop")


@pytest.fixture
def table():
    x = np.linspace(-1.0, 1.0, 40)
    return {"x": np.where(np.arange(40) == 3, np.nan, x), "y": x**2 + 0.1}


@pytest.mark.parametrize("call", [tw.fit_table, tw.compare])
def test_a_misplaced_option_is_told_its_place(table, call):
    with pytest.raises(OptionError, match=r"preparation=tw\.Preparation\(missing='drop'\)"):
        call(table, "y", missing="drop")
    with pytest.raises(OptionError, match=r"design=tw\.Design\(hidden=\(5,\)\)"):
        call(table, "y", hidden=(5,))
    with pytest.raises(OptionError, match="no training option 'epoch'"):
        call("nowhere.csv", "y", epoch=3)


def test_the_place_it_is_told_is_right(table):
    model = tw.fit_table(table, "y", preparation=GAPS, epochs=2)
    assert "1 row with missing values left out" in " ".join(model.origin.notes)


def test_suggestions_do_not_mind_capital_letters(table):
    with pytest.raises(OptionError, match="'relu'"):
        tw.fit_table(table, "y", design=tw.Design(activation="ReLU"), preparation=GAPS)
