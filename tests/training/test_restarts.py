"""Several starts: the best is kept, its seed told."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError

X = np.linspace(-2.0, 2.0, 60)
Y = np.sin(3.0 * X)
NET = tw.Network([tw.Dense(1, 3, "tanh"), tw.Dense(3, 1)])


@pytest.mark.parametrize("method", ["adam", "lm", "lbfgs"])
def test_the_lowest_validation_loss_wins(method):
    options = {"method": method, "epochs": 30, "engine": "numpy"}
    rows = np.arange(60)
    split = (rows[::2], rows[1::4], rows[3::4])
    single = [tw.fit(NET, X, Y, seed=s, split=split, **options) for s in (4, 5, 6)]
    best = tw.fit(NET, X, Y, seed=4, restarts=3, split=split, **options)
    losses = [m.origin.figures["validation"]["loss"] for m in single]
    winner = single[int(np.argmin(losses))]
    assert best.equals(winner)
    assert list(best.origin.settings["restarts"].values()) == losses
    assert best.origin.settings["seed"] == 4 + int(np.argmin(losses))
    assert "3 starts" in best.origin.notes[-1]


def test_without_validation_rows_the_training_loss_decides():
    model = tw.fit(NET, X, Y, restarts=3, split="none", method="lm", epochs=10, engine="numpy")
    losses = model.origin.settings["restarts"]
    assert model.origin.figures["training"]["loss"] == min(losses.values())


def test_bad_numbers_of_starts():
    for restarts in (0, 1.5, True):
        with pytest.raises(OptionError, match="restarts"):
            tw.fit(NET, X, Y, restarts=restarts)
    with pytest.raises(OptionError, match="leave out params"):
        tw.fit(NET, X, Y, restarts=2, params=NET.initial(0))
