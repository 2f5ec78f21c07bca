"""Every method under constraints, patience among weights that hold, and the parts they use."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn.losses import loss
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import GD, Adam
from thalweg.training.batches import Samples
from thalweg.training.constraints.curvature import LEAST, PartlyCurved, spread_rows
from thalweg.training.engines import make_program
from thalweg.training.loop import Task
from thalweg.training.options import Training

RNG = np.random.default_rng(5)
X = np.sort(RNG.uniform(0.0, 10.0, 80))
NOISY = 20.0 * np.log1p(X) + RNG.normal(0.0, 3.0, 80)
ASKED = tw.value_at([[2.0], [8.0]], at_most=20.0)
SECOND_ORDER = ("lm", "lbfgs", "bfgs", "newton", "newton-cg", "scg")


def fitted(method, **options):
    net = tw.Network(
        [tw.Dense(1, 2, "tanh", initialiser="nguyen_widrow"), tw.Dense(2, 1)],
    )
    options = {"constraints": [ASKED], "split": "none", "seed": 1, "l2": 1e-3, **options}
    return tw.fit(net, X, NOISY, method=method, engine="numpy", **options)


EXACT = fitted("interior-point")


@pytest.mark.parametrize("method", SECOND_ORDER)
def test_solvers_inside_the_augmented_lagrangian_find_the_same(method):
    model = fitted(method, epochs=2500)
    assert model.origin.method == f"augmented-lagrangian({method})"
    assert model.stop.kind == "constrained"
    assert model.constraints.worst == 0.0
    losses = [m.origin.figures["training"]["loss"] for m in (model, EXACT)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    prices = [m.constraints.held[0].active[0].multiplier for m in (model, EXACT)]
    assert prices[0] == pytest.approx(prices[1], rel=1e-3)


@pytest.mark.parametrize("method", ["adam", "rprop", "nesterov", Adam(learning_rate=0.05)])
def test_rules_hold_constraints_and_say_how_far_they_came(method):
    model = fitted(method, epochs=1500)
    assert model.constraints.worst == 0.0
    assert model.stop.kind in ("feasible", "feasible_best", "constrained")
    assert np.all(model.predict([[2.0], [8.0]]) <= 20.0 + 1e-5)


@pytest.mark.parametrize(("rule", "near"), [("adam", 0.1), ("rprop", 0.1), ("lion", 0.3)])
def test_multipliers_are_looked_at_while_rules_are_on_their_way(rule, near):
    model = fitted(rule, epochs=3000)
    losses = [m.origin.figures["training"]["loss"] for m in (model, EXACT)]
    assert losses[1] * (1.0 - 1e-6) <= losses[0] <= losses[1] * (1.0 + near)


def test_what_is_reported_of_a_rule_is_what_it_did():
    rates = {"adam": 0.01, Adam(): 0.001, Adam(learning_rate=0.05): 0.05}
    models = [fitted(method, epochs=12) for method in rates]
    settings = [model.origin.settings for model in models]
    assert [one["learning_rate"] for one in settings] == list(rates.values())
    assert all(one["batch_size"] == len(X) for one in settings)
    losses = {float(model.history["training_loss"][-1]) for model in models}
    assert len(losses) == len(rates)
    asked = fitted("adam", epochs=12, learning_rate=0.001)
    assert asked.history["training_loss"][-1] == models[1].history["training_loss"][-1]


def monotone(**options):
    rng = np.random.default_rng(3)
    inputs = rng.uniform(0.0, 1.0, (300, 3))
    y = np.sqrt(inputs[:, 0]) - inputs[:, 1] + np.sin(6.0 * inputs[:, 2])
    y += 0.2 * np.sin(12.0 * inputs[:, 0]) + rng.normal(0.0, 0.3, 300)
    net = tw.Network([tw.Dense(3, 6, "tanh", initialiser="nguyen_widrow"), tw.Dense(6, 1)])
    asked = [tw.monotone(0), tw.monotone(1, increasing=False)]
    return tw.fit(net, inputs, y, constraints=asked, seed=2, **options)


@pytest.mark.parametrize("method", [None, "lm"])
def test_patience_keeps_the_best_weights_that_hold(method):
    model = monotone(method=method)
    assert model.stop.kind in ("validation_held", "constrained", "constrained_best")
    assert model.constraints.worst == 0.0
    kept = model.origin.kept_epoch
    history = model.history["validation_loss"]
    assert history[kept - 1] == pytest.approx(model.origin.figures["validation"]["loss"])
    if model.stop.kind == "validation_held":
        assert dict(model.stop.values)["best"] == kept
    corners = np.random.default_rng(0).uniform(0.0, 1.0, (60, 3)).round(1)
    for place, sign in ((0, 1.0), (1, -1.0)):
        lines = np.repeat(corners, 200, axis=0)
        lines[:, place] = np.tile(np.linspace(0.01, 0.99, 200), len(corners))
        rises = np.diff(model.predict(lines).reshape(len(corners), 200), axis=1)
        assert (sign * rises).min() >= -1e-8
    assert model.stop.sentence("ko") and model.summary("ko")


def test_without_patience_the_last_weights_are_the_solution():
    model = monotone(patience=0, keep="last", epochs=600, l2=1e-2)
    assert model.stop.kind == "constrained"
    assert model.constraints.stationarity <= 1e-6
    assert model.origin.kept_epoch == len(model.history)


def test_few_rows_stand_for_many():
    rows = Samples(np.arange(10.0)[:, None], np.zeros((10, 1)), np.ones(10))
    assert spread_rows(rows, 20) is rows
    assert len(spread_rows(rows, 7).X) == 7


def problem(count):
    net = tw.Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 1)])
    rng = np.random.default_rng(1)
    rows = Samples(
        rng.normal(size=(count, 2)), rng.normal(size=(count, 1)), rng.uniform(0.5, 1.5, count)
    )
    objective = NetworkObjective(net, loss("mse"), Penalty(0.0, 1e-2))
    task = Task(
        objective, net.initial(0), rows, None, Training(batch_size=count), GD(), engine="numpy"
    )
    found = PartlyCurved(objective, rows, make_program(task)[0])
    return found, found.vector(task.params)


def test_the_quadratic_model_belongs_to_the_objective():
    found, theta = problem(50)
    model = found.linearise(theta)
    value, gradient = found.value_and_gradient(theta)
    assert model.cost == pytest.approx(value)
    np.testing.assert_allclose(model.gradient, gradient, atol=1e-12)
    assert np.linalg.eigvalsh(model.gram).min() > 0.0


def test_the_hessian_of_some_rows_is_near_that_of_all():
    (small, theta), (large, _) = problem(LEAST), problem(3 * LEAST)
    step = 1e-5 * np.eye(len(theta))
    numeric = np.array(
        [(small.gradient(theta + s) - small.gradient(theta - s)) / 2e-5 for s in step]
    )
    np.testing.assert_allclose(small.hessian(theta), numeric, atol=1e-8)
    exact = np.array([(large.gradient(theta + s) - large.gradient(theta - s)) / 2e-5 for s in step])
    size = np.max(np.abs(exact))
    assert 0.0 < np.max(np.abs(large.hessian(theta) - exact)) <= 0.1 * size


def test_ctrl_c_keeps_the_best_weights_that_hold():
    def press(progress):
        if progress.epoch.epoch == 60:
            raise KeyboardInterrupt

    model = monotone(patience=0, callbacks=[press])
    assert model.stop.kind == "interrupted"
    assert len(model.history) == 60
    assert model.constraints.worst == 0.0
    assert dict(model.stop.values)["best"] == model.origin.kept_epoch < 60


def test_a_limit_of_time_ends_it():
    model = monotone(patience=0, time_limit=0.3)
    assert model.stop.kind == "time"
    assert model.history.epochs[-1].seconds < 2.0
