"""Intervals that enclose outputs, against what outputs are at many points."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.training.constraints.bound import ConstraintSet
from thalweg.training.constraints.enclosure import Enclosure, enclosable
from thalweg.training.constraints.frame import Frame
from thalweg.training.constraints.signs import sign_bounds
from thalweg.training.data import Purpose, from_arrays

RNG = np.random.default_rng(3)


def bound(asked, *layers):
    net = tw.Network([tw.Dense(*layer) for layer in layers])
    purpose = Purpose("none", None, 0, "standard", "standard", False, None, None)
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(40, net.inputs)) + 5.0, 0.5 + 0.1 * rng.normal(size=(40, net.outputs))
    return ConstraintSet(Frame.of(from_arrays(X, T, purpose), net), asked)


def enclosed(constraints, margin=0.0):
    bounds = enclosable(constraints.conditions, constraints.frame)
    return Enclosure(bounds, constraints.frame, constraints.lower, constraints.upper, margin)


NETWORKS = {
    "tanh": [(5, 5, "tanh"), (5, 1)],
    "deep": [(4, 4, "tanh"), (4, 4, "sigmoid"), (4, 2)],
    "relu": [(4, 4, "relu"), (4, 2, "relu")],
    "sigmoid": [(4, 4, "tanh"), (4, 1, "sigmoid")],
    "no bias": [(4, 4, "tanh", False), (4, 2, "identity", False)],
}


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_no_point_violates_more_than_the_enclosure(layers):
    constraints = bound([tw.output_between(0.52, 0.55)], *layers)
    found = enclosed(constraints)
    for seed in range(4):
        theta = np.random.default_rng(seed).normal(size=found.n)
        wide = found.value(theta)
        for one, most in zip(found.conditions, wide, strict=True):
            seen = one.excess(theta, one.region.spread(2000))
            assert seen.max() <= most
        step = 1e-6 * np.random.default_rng(seed + 9).normal(size=found.n)
        value, slopes = found.derivative(theta)
        change = found.value(theta + step) - found.value(theta - step)
        np.testing.assert_allclose(2.0 * slopes @ step, change, rtol=1e-4, atol=1e-9)
        u = np.arange(1.0, found.m + 1.0)
        np.testing.assert_allclose(found.pull(theta, u)[1], slopes.T @ u, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(value, wide)


def test_one_layer_is_enclosed_closely():
    constraints = bound([tw.output_between(0.0, 1.0)], (4, 1))
    found = enclosed(constraints)
    theta = RNG.normal(size=5)
    seen = [c.excess(theta, c.region.spread(4096)).max() for c in found.conditions]
    np.testing.assert_allclose(found.value(theta), seen, atol=1e-3)


def test_weights_of_known_signs_are_enclosed_exactly():
    constraints = bound(
        [tw.monotone(0, 3), tw.monotone(1, 2, increasing=False), tw.output_between(0.0, 1.0)],
        (4, 4, "tanh"),
        (4, 3, "sigmoid"),
        (3, 1),
    )
    bounds = enclosable(constraints.conditions, constraints.frame)
    for seed in range(4):
        theta = np.random.default_rng(seed).normal(size=constraints.frame.network.count)
        lower, upper = sign_bounds(constraints, theta)
        theta = np.clip(theta, lower, upper)
        found = Enclosure(bounds, constraints.frame, lower, upper).value(theta)
        corners = [c.excess(theta, c.region.spread(4096)).max() for c in bounds]  # all 16 of them
        np.testing.assert_allclose(found, corners, rtol=1e-12, atol=1e-12)


def test_what_is_known_to_be_too_wide_may_be_passed():
    found = enclosed(bound([tw.output_between(0.0, 1.0)], (5, 5, "tanh"), (5, 1)), margin=0.25)
    theta = RNG.normal(size=found.n)
    found.learn(theta, np.array([-0.5, 0.1]))
    np.testing.assert_allclose(found.value(theta), [-0.25, 0.35])


@pytest.mark.slow
def test_categories_take_one_value_each():
    rng = np.random.default_rng(0)
    kind, sizes = rng.choice(["a", "b", "c"], 120), rng.uniform(0.0, 4.0, (120, 3))
    price = sizes @ [1.0, 0.5, 0.2] + 2.0 * (kind == "b") - 3.0 * (kind == "c")
    table = {"u": sizes[:, 0], "v": sizes[:, 1], "w": sizes[:, 2], "kind": kind, "price": price}
    model = tw.fit_table(
        table,
        "price",
        design=tw.Design(hidden=[4]),
        constraints=[tw.monotone("u", "v", "w"), tw.output_between(-2.0, 8.0)],
        split="none",
        epochs=200,
    )
    assert model.constraints.worst == 0.0
    for one in "abc":
        ends = rng.integers(0, 2, (400, 3)) * 4.0
        rows = dict(zip("uvw", ends.T, strict=True)) | {"kind": np.full(400, one)}
        found = model.predict(rows)
        assert found.min() >= -2.0 - 1e-8 and found.max() <= 8.0 + 1e-8
    assert model.origin.figures["training"]["r2"] > 0.9


def test_what_cannot_be_enclosed():
    wavy = bound([tw.output_between(0.0, 1.0)], (5, 5, "silu"), (5, 1))
    assert enclosable(wavy.conditions, wavy.frame) == []
    few = bound([tw.output_between(0.0, 1.0)], (2, 5, "tanh"), (5, 1))
    assert enclosable(few.conditions, few.frame) == []
    other = bound([tw.monotone(0), tw.value_at([[0.0, 0.0]], 1.0)], (2, 2, "tanh"), (2, 1))
    assert enclosable(other.conditions, other.frame) == []


@pytest.mark.slow
def test_bounds_over_a_box_of_many_inputs():
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(300, 3))
    X = factors @ rng.normal(size=(3, 16)) + 0.3 * rng.normal(size=(300, 16))
    y = np.tanh(factors[:, 0]) + 0.5 * factors[:, 1] + 0.1 * rng.normal(size=300)
    together = (X - X.mean(axis=0)).T @ y
    most = np.argsort(-np.abs(together))[:3].tolist()
    model = tw.fit(
        tw.Network([tw.Dense(16, 8, "tanh"), tw.Dense(8, 1)]),
        X,
        y,
        split="none",
        epochs=500,
        seed=0,
        constraints=[
            *(tw.monotone(j, increasing=bool(together[j] > 0.0)) for j in most),
            tw.output_between(-2.5, 2.5),
        ],
    )
    assert model.stop.kind in ("constrained", "feasible", "feasible_best")  # not "pulled"
    inside = X.min(axis=0) + rng.uniform(size=(50_000, 16)).round(1) * np.ptp(X, axis=0)
    assert np.max(np.abs(model.predict(inside))) <= 2.5 + 1e-8
    assert model.origin.figures["training"]["r2"] > 0.97  # points alone come to 0.91
