"""Constrained networks, checked on dense grids and by finite differences of the optimal value."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ModelFileError, OptionError, ShapeError, TracingError
from thalweg.training.constraints.kinds import constraint_from_json

RNG = np.random.default_rng(5)
X = np.sort(RNG.uniform(0.0, 10.0, 80))
NOISY = 20.0 * np.log1p(X) + RNG.normal(0.0, 3.0, 80)
GRID = np.linspace(X[0], X[-1], 5001)


def small(neurons=3, inputs=1):
    return tw.Network(
        [
            tw.Dense(inputs, neurons, "tanh", initialiser="nguyen_widrow"),
            tw.Dense(neurons, 1),
        ]
    )


def fitted(*constraints, y=NOISY, net=None, **options):
    options = {"split": "none", "seed": 1, "engine": "numpy", **options}
    return tw.fit(net or small(), X, y, constraints=constraints, **options)


def slopes(model, grid=GRID):
    return np.diff(model.predict(grid)) / np.diff(grid)


def test_monotone_holds_between_the_points():
    wavy = NOISY + 8.0 * np.sin(2.0 * X)
    assert slopes(tw.fit(small(6), X, wavy, method="lm", split="none", seed=1)).min() < -1.0
    model = fitted(tw.monotone(0), y=wavy, net=small(4))
    assert slopes(model).min() >= -1e-8
    assert model.constraints.worst == 0.0


def test_decreasing_and_regions_in_own_units():
    model = fitted(tw.monotone("x1", increasing=False, region={"x1": (20.0, 30.0)}))
    assert slopes(model, np.linspace(20.0, 30.0, 2001)).max() <= 1e-8


def test_concave_holds():
    model = fitted(tw.concave(0))
    curved = np.diff(model.predict(GRID), 2) / (GRID[1] - GRID[0]) ** 2
    assert curved.max() <= 1e-5  # differences of differences lose five digits here
    assert model.constraints.worst == 0.0


def test_output_stays_between_bounds():
    model = fitted(tw.output_between(10.0, 40.0))
    found = model.predict(GRID)
    assert found.min() >= 10.0 - 1e-8
    assert found.max() <= 40.0 + 1e-8


def test_values_and_slopes_at_points():
    model = fitted(tw.value_at({"x1": [0.0, 5.0]}, [0.0, 36.0]), tw.slope_at(10.0, 0, at_most=0.5))
    np.testing.assert_allclose(model.predict([[0.0], [5.0]]), [0.0, 36.0], atol=1e-5)
    near = np.array([[10.0 - 1e-4], [10.0 + 1e-4]])
    assert np.diff(model.predict(near))[0] / 2e-4 <= 0.5 + 1e-5


def test_weights_are_not_negative():
    model = fitted(tw.nonnegative_weights())
    assert all((layer["W"] >= 0.0).all() for layer in model.params)
    assert slopes(model).min() >= 0.0


def test_own_functions_see_own_units_and_derivatives():
    def ends(f, params):
        return f(0.0) + f(10.0) - 50.0

    def curved(f, params):
        return tw.grad(tw.grad(f))(5.0)

    model = fitted(tw.equality(ends), tw.inequality(curved))
    assert model.predict([[0.0], [10.0]]).sum() == pytest.approx(50.0, abs=1e-5)
    near = model.predict([[5.0 - 1e-3], [5.0], [5.0 + 1e-3]])
    assert np.diff(near, 2)[0] / 1e-6 <= 1e-3


@pytest.mark.parametrize(
    ("constraint", "sign"),
    [
        (lambda b: tw.value_at(5.0, 30.0 + b), -1.0),
        (lambda b: tw.output_between(None, 40.0 + b), -1.0),
        (lambda b: tw.slope_at(10.0, 0, at_least=3.0 - b), -1.0),
    ],
)
def test_multipliers_are_slopes_of_the_optimal_value(constraint, sign):
    step = 1e-3

    def solved(b, params=None):
        return fitted(constraint(b), net=small(2), l2=1e-3, params=params)

    def value(model):  # the objective in the target's own unit: loss and penalty
        weights = sum(np.sum(layer["W"] ** 2) for layer in model.params)
        penalty = 0.5 * model.origin.settings["l2"] * weights
        return model.origin.figures["training"]["loss"] + model.origin.settings["unit"] * penalty

    middle = solved(0.0)
    price = sum(active.multiplier for active in middle.constraints.held[0].active)
    ahead, behind = (value(solved(b, middle.params)) for b in (step, -step))
    assert price != 0.0
    assert sign * price == pytest.approx((ahead - behind) / (2.0 * step), rel=2e-3)


def test_augmented_lagrangian_finds_what_the_interior_point_finds():
    asked = tw.value_at([[2.0], [8.0]], at_most=20.0)
    one = fitted(asked, net=small(2), l2=1e-3)
    other = fitted(asked, net=small(2), l2=1e-3, method="lbfgs", params=one.params)
    assert other.origin.method == "augmented-lagrangian(lbfgs)"
    assert other.constraints.worst == 0.0
    losses = [m.origin.figures["training"]["loss"] for m in (one, other)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    prices = [m.constraints.held[0].active[0].multiplier for m in (one, other)]
    assert prices[1] == pytest.approx(prices[0], rel=1e-3)


def test_what_cannot_be_met_is_not_called_a_success():
    model = fitted(tw.value_at(5.0, 30.0), tw.value_at(5.0, 31.0), epochs=60)
    assert model.stop.kind in ("infeasible", "violated")
    assert model.constraints.worst >= 0.4


def test_two_classes_of_columns(tmp_path):
    rng = np.random.default_rng(2)
    kind = np.where(rng.random(90) < 0.5, "red", "blue")
    size = rng.uniform(0.0, 4.0, 90)
    price = size + 2.0 * (kind == "red") + np.sin(5.0 * size) + rng.normal(0.0, 0.2, 90)
    table = {"size": size, "kind": kind, "price": price}
    model = tw.fit_table(
        table, "price", design=tw.Design(hidden=[2]), constraints=[tw.monotone("size")], epochs=80
    )
    for one in ("red", "blue"):
        rows = {"size": np.linspace(size.min(), size.max(), 801), "kind": np.full(801, one)}
        assert np.diff(model.predict(rows)).min() >= 0.0
    model.save(tmp_path / "m.thalweg")
    again = tw.load(tmp_path / "m.thalweg")
    assert again.constraints == model.constraints
    assert "size" in again.summary("ko")
    with pytest.raises(OptionError, match="category"):
        tw.fit_table(table, "price", constraints=[tw.monotone("kind")])


@pytest.mark.parametrize(
    ("constraints", "error", "match"),
    [
        ([tw.monotone("x2")], OptionError, "Known: x1"),
        ([tw.monotone(3)], OptionError, "counted from 0 to 0"),
        ([tw.value_at([[0.0], [1.0]], [1.0, 2.0, 3.0])], ShapeError, "3 values for 2 points"),
        ([tw.output_between(0, 1, output="z")], OptionError, "no output 'z'"),
        ([tw.weights_between(0, 1, layers=[3])], OptionError, "no layer 3"),
        (["monotone"], OptionError, "is no constraint"),
        ([tw.inequality(lambda f, params: float(f(0.0)))], TracingError, "cannot be traced"),
    ],
)
def test_bad_constraints(constraints, error, match):
    with pytest.raises(error, match=match):
        fitted(*constraints)


def test_methods_that_cannot_hold_constraints():
    with pytest.raises(OptionError, match="cannot hold constraints"):
        fitted(tw.monotone(0), method="br")


@pytest.mark.parametrize(
    "asked",
    [
        tw.monotone("a", "b", increasing=False, region={"a": (0, 1)}),
        tw.convex(0, output="y"),
        tw.output_between(None, 3.0),
        tw.value_at({"x": [1.0, 2.0]}, at_least=[0.0, 1.0]),
        tw.weights_between(-1, None, layers=[1], biases=True),
        tw.equality(lambda f, params: f(0.0), name="zero"),
    ],
)
def test_records_come_back(asked):
    again = constraint_from_json(asked.to_json())
    assert again == asked
    assert again.to_json() == asked.to_json()
    assert again.said("en") and again.said("ko")


def test_edited_records_are_refused():
    for record in ({"kind": "code"}, {**tw.monotone(0).to_json(), "sign": 7}):
        with pytest.raises(ModelFileError):
            constraint_from_json(record)
