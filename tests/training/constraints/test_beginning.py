"""Which of two ways of coming near the constraints training goes on from."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from thalweg.training.constraints import beginning
from thalweg.training.constraints.beginning import Beginning
from thalweg.training.constraints.solving import Kept

ENCLOSED, POINTS = np.full(3, 1.0), np.full(3, 2.0)


class Nothing:
    """A working set without points."""

    def __init__(self, constraints):
        pass

    def begin(self):
        pass

    def look(self, theta, count, number):
        pass


class TwoWays(Beginning):
    """Ways that come to known losses; nan for weights that do not hold."""

    def __init__(self, enclosed, points, now=math.inf):
        self.losses, self.last = (enclosed, points), now
        self.theta, self.kept, self.now = np.zeros(3), [], math.inf
        self.book = SimpleNamespace(stop=None)
        self.constraints, self.working = None, Nothing(None)

    def _start(self):
        self.theta = np.zeros(3)

    def _enclosable(self):
        return ["a bound"]

    def _within(self, bounds):
        self._found(self.losses[0], ENCLOSED)

    def _by_points(self):
        assert not self.theta.any()  # from the start, not from where the other way ended
        self._found(self.losses[1], POINTS)
        self.now = self.last

    def _pull(self):
        pass

    def _found(self, loss, theta):
        self.theta = theta
        if loss < (self.kept[-1].watched if self.kept else math.inf):
            self.kept.append(Kept(loss, 1, theta, 1e-3))


@pytest.mark.parametrize(
    "losses, goes_on",
    [
        ((0.2, 0.3), ENCLOSED),
        ((0.3, 0.2), POINTS),
        ((0.2, math.nan), ENCLOSED),
        ((math.nan, 0.2), POINTS),
        ((math.nan, math.nan), POINTS),
        ((0.2, math.nan, 0.1), POINTS),  # does not hold yet, but is far better
        ((0.2, math.nan, 0.19), ENCLOSED),
    ],
)
def test_training_goes_on_from_the_better_weights(monkeypatch, losses, goes_on):
    monkeypatch.setattr(beginning, "WorkingSet", Nothing)
    ways = TwoWays(*losses)
    first = ways.working
    ways.begin()
    assert ways.theta is goes_on
    assert (ways.working is first) == (goes_on is ENCLOSED)
