"""Options of training under constraints: honoured, or refused with a sentence, never ignored."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError

RNG = np.random.default_rng(5)
X = np.sort(RNG.uniform(0.0, 10.0, 80))
Y = 20.0 * np.log1p(X) + RNG.normal(0.0, 3.0, 80)
GRID = np.linspace(X[0], X[-1], 2001)


def fitted(method=None, **options):
    net = tw.Network([tw.Dense(1, 3, "tanh", initialiser="nguyen_widrow"), tw.Dense(3, 1)])
    options = {"split": "none", "seed": 1, "engine": "numpy", "l2": 1e-3, **options}
    return tw.fit(net, X, Y, method=method, constraints=[tw.monotone(0)], **options)


@pytest.mark.parametrize("method", [None, "lm"])
@pytest.mark.parametrize(
    "option",
    [
        {"batch_size": 16},
        {"learning_rate": 0.1},
        {"schedule": "cosine"},
        {"clip_norm": 1.0},
        {"clip_value": 1.0},
        {"dtype": np.float32},
        {"mu": 0.1},
    ],
)
def test_what_a_solver_would_ignore_is_refused(method, option):
    with pytest.raises(OptionError, match=next(iter(option))) as refused:
        fitted(method, **option)
    assert refused.value.said("ko") != str(refused.value)


@pytest.mark.parametrize(
    "option",
    [{"learning_rate": 1e-3}, {"schedule": "cosine"}, {"clip_norm": 1e-4}, {"clip_value": 1e-4}],
)
def test_rules_take_the_options_of_their_steps(option):
    plain, changed = fitted("nesterov", epochs=30), fitted("nesterov", epochs=30, **option)
    first = plain.history["seconds"].size - 15  # the epochs before are without constraints
    losses = plain.history["training_loss"], changed.history["training_loss"]
    np.testing.assert_array_equal(losses[0][:first], losses[1][:first])
    assert np.any(losses[0][first:] != losses[1][first:])


def test_batches_and_dropout_are_refused_for_rules_too():
    with pytest.raises(OptionError, match="batch_size"):
        fitted("adam", batch_size=16)
    net = tw.Network([tw.Dense(1, 3, "tanh", dropout=0.5), tw.Dense(3, 1)])
    for method in ("lm", "interior-point", "adam"):
        with pytest.raises(OptionError, match="dropout"):
            tw.fit(net, X, Y, method=method, constraints=[tw.monotone(0)])


@pytest.mark.parametrize("method", [None, "lm", "adam"])
def test_a_goal_is_met_by_weights_that_hold(method):
    least = fitted().origin.figures["training"]["loss"]
    model = fitted(method, goal=1.2 * least)
    assert model.stop.kind == "goal"
    assert model.origin.figures["training"]["loss"] <= 1.2 * least
    assert model.constraints.worst == 0.0
    assert np.diff(model.predict(GRID)).min() >= -1e-8
    assert model.origin.kept_epoch == len(model.history)


def test_a_goal_that_cannot_be_met_ends_at_the_solution():
    assert fitted(goal=1e-9).stop.kind == "constrained"


def test_a_small_gradient_is_that_of_the_lagrangian():
    exact, early = fitted(), fitted(min_gradient=1e-2)
    assert early.stop.kind == "gradient"
    assert early.constraints.stationarity < 1e-2
    assert early.constraints.worst == 0.0
    assert len(early.history) < len(exact.history)


def test_the_least_change_that_counts():
    options = {"patience": 8, "split": "70/30/0", "keep": "best"}
    longer, shorter = fitted(**options), fitted(min_change=1e3, **options)
    assert len(shorter.history) < len(longer.history)


def test_snapshots_of_all_epochs():
    model = fitted(epochs=30, snapshots=(0, 3, 25, "end"))
    assert list(model.snapshots) == ["init", "epoch=3", "epoch=25", "end"]


def test_float32_inputs_are_computed_in_float64():
    net = tw.Network([tw.Dense(1, 2, "tanh"), tw.Dense(2, 1)])
    model = tw.fit(net, X.astype(np.float32)[:, None], Y, method="lm", epochs=3)
    assert model.origin.settings["dtype"] == "float64"
    assert model.params[0]["W"].dtype == np.float64
