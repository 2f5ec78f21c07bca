"""Reasons to stop, the weights that are kept, snapshots, callbacks."""

import itertools
import math
import time

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DifferentiationError, DivergedError, OptionError
from thalweg.nn.network import dense_network, flat
from thalweg.training import loop
from thalweg.training.stopping import REASONS, StopReason

RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 2))
Y = np.sin(X[:, 0]) + 0.5 * X[:, 1] + 0.3 * RNG.normal(size=60)
NET = dense_network(2, [20], 1, "tanh")


def fit(**options):
    options = {"engine": "numpy", "split": "80/20/0", "learning_rate": 0.01, **options}
    return tw.fit(NET, X, Y, **options)


def test_epochs():
    model = fit(epochs=3)
    assert model.stop.kind == "epochs" and len(model.history) == 3
    assert "3 epochs" in str(model.stop)
    assert fit(epochs=0).history.best_epoch == 0


def test_early_stopping_keeps_the_best_weights():
    model = fit(epochs=2000, patience=10, snapshots=["end"])
    assert model.stop.kind == "validation"
    checked = model.history["validation_loss"]
    best = int(np.argmin(checked)) + 1
    assert model.history.best_epoch == model.origin.kept_epoch == best
    assert len(model.history) == best + 10
    figures = model.evaluate(X[model.split.validation], Y[model.split.validation])
    assert np.isclose(figures["loss"], checked.min(), rtol=1e-12)
    again = fit(epochs=best, patience=0)
    assert np.array_equal(flat(again.params), flat(model.params))


def test_without_validation_the_last_weights_are_kept():
    model = fit(split="none", epochs=5)
    assert model.origin.kept_epoch == 5
    assert np.isnan(model.history["validation_loss"]).all()
    assert fit(split="none", epochs=5, keep="best").origin.kept_epoch <= 5


def test_patience_on_the_training_loss():
    model = fit(split="none", epochs=500, patience=3, min_change=0.5)
    assert model.stop.kind == "plateau"


def test_goal_in_the_targets_own_unit():
    model = tw.fit(NET, X, 100 * Y, engine="numpy", goal=3000.0, learning_rate=0.01)
    losses = model.history["training_loss"]
    assert model.stop.kind == "goal"
    assert losses[-1] <= 3000.0 < losses[:-1].min()


def test_goal_with_several_targets_of_different_units():
    net = dense_network(2, [20], 2, "tanh")
    T = np.column_stack([Y, 1000 * Y])
    model = tw.fit(net, X, T, engine="numpy", goal=5e5, learning_rate=0.01, split="none")
    assert model.stop.kind == "goal"
    assert model.evaluate(X, T)["loss"] <= 5e5


def test_gradient():
    model = fit(split="none", method="gd", epochs=500, min_gradient=0.2)
    assert model.stop.kind == "gradient"
    norms = model.history["gradient_norm"]
    assert norms[-1] < 0.2 <= norms[:-1].min()


def test_time():
    model = fit(epochs=100000, time_limit=0.2, patience=0)
    assert model.stop.kind == "time"
    assert 0.2 <= model.history["seconds"][-1] < 2.0


def test_callback():
    seen = []

    def third(progress):
        seen.append((progress.epoch.epoch, len(progress.history), progress.limit))
        return progress.epoch.epoch == 3

    model = fit(epochs=50, callbacks=[third])
    assert model.stop.kind == "callback"
    assert seen == [(1, 1, 50), (2, 2, 50), (3, 3, 50)]


def test_time_that_callbacks_take_counts_also_for_epochs_that_ran_ahead():
    def slow(progress):
        time.sleep(0.005)

    model = fit(engine="native", epochs=500, time_limit=0.05, callbacks=[slow])
    assert model.stop.kind == "time" and len(model.history) <= 11


def test_interruption_keeps_the_best():
    def interrupt(progress):
        if progress.epoch.epoch == 4:
            raise KeyboardInterrupt

    model = fit(epochs=50, callbacks=[interrupt])
    assert model.stop.kind == "interrupted" and not model.stop.regular
    assert len(model.history) == 4
    assert model.origin.kept_epoch == model.history.best_epoch > 0


def test_an_epoch_that_is_not_written_down_does_not_count(monkeypatch):
    looks = itertools.count()
    finite = loop._finite

    def interrupted(values):
        if next(looks) == 40:
            raise KeyboardInterrupt
        return finite(values)

    monkeypatch.setattr(loop, "_finite", interrupted)
    model = fit(epochs=50, keep="last")
    assert model.stop.kind == "interrupted"
    assert 0 < model.origin.kept_epoch == len(model.history) < 50


def test_divergence_keeps_the_best():
    def spoil(progress):
        if progress.epoch.epoch == 5:
            for layer in progress.params:
                layer["W"][:] = np.nan

    model = fit(epochs=50, callbacks=[spoil])
    assert model.stop.kind == "diverged" and 0 < model.origin.kept_epoch <= 5
    assert np.isfinite(flat(model.params)).all()


def test_divergence_from_the_start_is_an_error():
    with pytest.raises(DivergedError, match="Try a smaller learning rate than 1e\\+200"):
        fit(method="sgd", learning_rate=1e200, epochs=50)


def test_snapshots():
    model = fit(epochs=5, snapshots=[0, 2, "end"], split="none")
    assert list(model.snapshots) == ["init", "epoch=2", "end"]
    assert np.array_equal(flat(model.at("init")), flat(NET.initial(0)))
    assert np.array_equal(flat(model.at("epoch=0")), flat(NET.initial(0)))
    assert np.array_equal(flat(model.at("end")), flat(model.params))
    early = fit(epochs=2, split="none")
    assert np.array_equal(flat(model.at("epoch=2")), flat(early.params))
    with pytest.raises(OptionError, match="snapshots="):
        model.at("epoch=3")


def test_schedules_change_the_rate():
    model = fit(epochs=10, schedule="step(every=5, factor=0.5)", patience=0)
    assert np.allclose(model.history["learning_rate"], [0.01] * 5 + [0.005] * 5)
    model = fit(epochs=30, schedule="plateau(patience=2, factor=0.5)", patience=0)
    rates = model.history["learning_rate"]
    assert rates[0] == 0.01 and np.all(np.diff(rates) <= 0) and rates[-1] < 0.01


@pytest.mark.parametrize("method", ["adam", "rprop", "nesterov"])
def test_same_seed_same_bits(method):
    a, b = fit(method=method, epochs=5), fit(method=method, epochs=5)
    assert np.array_equal(flat(a.params), flat(b.params))
    assert np.array_equal(a.history["training_loss"], b.history["training_loss"])
    c = fit(method=method, epochs=5, seed=1)
    assert not np.array_equal(flat(a.params), flat(c.params))


def test_step_is_refused_with_the_reason():
    net = tw.Network([tw.Dense(2, 3, "step"), tw.Dense(3, 1)])
    with pytest.raises(DifferentiationError, match=r"layer 1 has activation step: .*zero almost"):
        tw.fit(net, X, Y)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": -1},
        {"epochs": 2.5},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"time_limit": -1.0},
        {"patience": True},
        {"keep": "all"},
        {"snapshots": ["start"]},
        {"schedule": "cosin"},
        {"method": "adma"},
        {"engine": "gpu"},
        {"min_change": math.nan},
    ],
)
def test_options_that_make_no_sense(options):
    with pytest.raises(OptionError):
        fit(**options)


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(OptionError, match=r"no training option 'epoch'\. Did you mean 'epochs'"):
        fit(epoch=3)


VALUES = {
    "epochs": 7,
    "epoch": 7,
    "patience": 5,
    "best": 2,
    "loss": 0.1,
    "goal": 0.2,
    "norm": 0.1,
    "limit": 0.2,
    "rate": 0.1,
    "message": "done",
    "gamma": 6.5,
    "count": 61,
    "worst": 0.3,
    "residual": 1e-9,
    "part": 0.9,
}


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("kind", REASONS)
def test_every_reason_is_a_sentence(kind, lang):
    reason = StopReason.of(kind, **VALUES)
    assert reason.sentence(lang) and "{" not in reason.sentence(lang)
    assert StopReason.from_json(reason.to_json()) == reason


def _stops_at_eleven(progress):
    assert np.isfinite(flat(progress.params)).all()
    return progress.epoch.epoch == 11


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 45},
        {"epochs": 2000, "patience": 10, "snapshots": [0, 7, "end"]},
        {"epochs": 60, "split": "none", "keep": "best", "learning_rate": 0.3},
        {"epochs": 500, "goal": 0.3},
        {"epochs": 500, "min_gradient": 0.2},
        {"epochs": 50, "callbacks": [_stops_at_eleven]},
        {"epochs": 40, "schedule": "cosine", "batch_size": 7, "dtype": "float32"},
        {"epochs": 40, "schedule": "reduce_on_plateau"},
        {"epochs": 80, "method": "gd", "learning_rate": 3.0, "split": "none"},
    ],
)
def test_epochs_run_ahead_change_nothing(options, monkeypatch):
    ahead = fit(engine="native", **options)
    monkeypatch.setattr(loop, "AHEAD_SECONDS", 1e-9)
    one_by_one = fit(engine="native", **options)
    assert str(ahead.stop) == str(one_by_one.stop)
    assert np.array_equal(flat(ahead.params), flat(one_by_one.params))
    assert ahead.origin.kept_epoch == one_by_one.origin.kept_epoch
    for name, column in one_by_one.history.columns().items():
        if name != "seconds":
            assert np.array_equal(ahead.history[name], column, equal_nan=True), name
    seconds = ahead.history["seconds"]
    assert (np.diff(seconds) >= 0).all() and seconds[0] >= 0
