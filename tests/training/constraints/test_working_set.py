"""Points that stand for regions, and their multipliers."""

import gc
import weakref

import numpy as np
import pytest

import thalweg as tw
from thalweg.training.constraints.bound import ConstraintSet
from thalweg.training.constraints.frame import Frame
from thalweg.training.constraints.region import Region
from thalweg.training.constraints.working_set import FINAL, LOOKED, WorkingSet
from thalweg.training.data import Purpose, from_arrays

NET = tw.Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 1)])


def working(*asked):
    rng = np.random.default_rng(0)
    purpose = Purpose("none", None, 0, "standard", "standard", False, None, None)
    data = from_arrays(rng.normal(size=(30, 2)), rng.normal(size=30), purpose)
    return WorkingSet(ConstraintSet(Frame.of(data, NET), asked))


def theta(seed=0):
    return np.random.default_rng(seed).normal(size=NET.count)


def test_what_violates_joins_and_the_rest_does_not():
    found = working(tw.monotone(0))
    found.begin()
    before = found.size
    assert not found.look(theta(), LOOKED, 0)
    assert before < found.size <= before + 16
    spot = found.spots[0]
    assert spot.worst > 0.0 and not found.holds(theta(), 0)
    new = spot.condition.excess(theta(), spot.points[before:])
    assert np.all(new > 0.0)
    assert np.max(new) == pytest.approx(spot.worst)
    assert not found.holds_at_points(theta(), 0.0)


@pytest.mark.parametrize(("seed", "highest"), [(6, 10.0172642007945), (7, 7.4405461173693)])
def test_the_summit_is_found(seed, highest):
    """Narrow peaks and long ridges; known by Nelder and Mead's method from 50 of 200,000 points."""
    rng = np.random.default_rng(0)
    net = tw.Network([tw.Dense(4, 8, "tanh"), tw.Dense(8, 1)])
    purpose = Purpose("none", None, 0, "none", "none", False, None, None)
    data = from_arrays(rng.uniform(-1.0, 1.0, (60, 4)), rng.normal(size=60), purpose)
    found = WorkingSet(ConstraintSet(Frame.of(data, net), [tw.monotone(0)]))
    found.begin()
    steep = np.where(np.arange(net.count) < 40, 4.0, 1.0)
    found.look(np.random.default_rng(seed).normal(size=net.count) * steep, FINAL, 3)
    assert found.spots[0].worst == pytest.approx(highest, rel=1e-9)


def test_multipliers_stay_with_their_points():
    asked = (
        tw.monotone(0),
        tw.value_at([[0.0, 0.0]], 1.0),
        tw.value_at([[0.0, 0.0], [1.0, 1.0]], at_most=2.0),
        tw.inequality(lambda f, params: f(np.zeros(2)) - 3.0),
    )
    found = working(*asked)
    found.begin()
    prices = found.prices()
    assert prices.equalities.shape == (1,)
    count = found.size + 2 + 1
    assert prices.inequalities.shape == (count,)
    assert np.isnan(prices.inequalities).all() and np.isnan(prices.lower).all()
    unequal = np.arange(float(count))
    none = np.zeros(NET.count)
    found.take(type(prices)(np.array([7.0]), unequal, none, none))
    again = found.prices()
    np.testing.assert_array_equal(again.inequalities, unequal)
    assert again.equalities.tolist() == [7.0]
    found.look(theta(), LOOKED, 0)
    after = found.prices().inequalities
    assert np.isnan(after).any() and np.nansum(after) == np.sum(unequal)
    found.take(type(prices)(np.zeros(0), np.zeros(0), none, none))  # of a run that knew none
    assert np.nansum(found.prices().inequalities) == np.sum(unequal)


def test_functions_have_a_margin_over_regions_only():
    found = working(tw.monotone(0), tw.value_at([[0.0, 0.0]], at_most=0.0))
    found.begin()
    loose, tight = (found.functions(margin)[1].value(theta()) for margin in (0.0, 0.5))
    np.testing.assert_allclose((tight - loose)[:-1], 0.5)
    assert tight[-1] == loose[-1]


def test_climbs_end_where_they_are_told_to():
    region = Region(np.zeros(2), np.ones(2))
    seen = []

    def bump(X):
        seen.append(len(X))
        return -((X[:, 0] - 0.31) ** 2) - (X[:, 1] - 0.77) ** 2

    rough = region.climb(bump, np.zeros((1, 2)), 1e-3)
    steps = len(seen)
    fine = region.climb(bump, np.zeros((1, 2)), 1e-9)
    assert steps < len(seen) - steps
    np.testing.assert_allclose(rough, [[0.31, 0.77]], atol=5e-3)
    np.testing.assert_allclose(fine, [[0.31, 0.77]], atol=1e-7)


def test_points_are_kept_no_longer_than_their_region():
    region = Region(np.zeros(2), np.ones(2))
    points = region.spread(100, 0.25)
    assert region.spread(100, 0.25) is points
    held = weakref.ref(points)
    del region, points
    gc.collect()
    assert held() is None
