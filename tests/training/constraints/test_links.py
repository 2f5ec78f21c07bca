"""Outputs that saturate: the same constraints on what enters the last activation."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError
from thalweg.nn.activations import activation
from thalweg.training.constraints.frame import Frame
from thalweg.training.constraints.links import LINKS

RNG = np.random.default_rng(4)
X = RNG.uniform(-2.0, 2.0, (150, 2))
P = 1.0 / (1.0 + np.exp(-3.0 * X[:, 0] - np.sin(4.0 * X[:, 0]) * 2.0 + X[:, 1]))
YES = (RNG.random(150) < P).astype(float)


def fitted(*constraints, last="sigmoid", outputs=1, y=YES, **options):
    layers = [
        tw.Dense(2, 3, "tanh", initialiser="nguyen_widrow"),
        tw.Dense(3, outputs, last),
    ]
    options = {"split": "none", "seed": 1, "engine": "numpy", "l2": 1e-3, **options}
    return tw.fit(tw.Network(layers), X, y, constraints=constraints, **options)


@pytest.mark.parametrize("name", sorted(set(LINKS) - {"softmax"}))
def test_links_undo_their_activations(name):
    g, link = activation(name), LINKS[name]
    for z in (-1.5, -0.2, 0.3, 1.4):
        assert link.inverse(float(g(z))) == pytest.approx(z, abs=1e-12)
        numeric = float(g(z + 1e-6) - g(z - 1e-6)) / 2e-6
        assert float(link.slope(g(np.array(z)))) == pytest.approx(numeric, rel=1e-8)


def test_one_class_against_the_others():
    z, step = np.array([0.3, -1.0, 2.0]), 1e-6
    link, y = LINKS["softmax"], np.exp(z) / np.exp(z).sum()
    moved = z + np.array([0.0, step, 0.0])
    rise = (np.exp(moved) / np.exp(moved).sum())[1] - y[1]
    assert link.of(z, 1) == pytest.approx(link.inverse(y[1]))
    assert link.of(moved, 1) - link.of(z, 1) == pytest.approx(rise / link.slope(y[1]), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", [None, "lm", "lbfgs"])
def test_bounds_near_saturation_hold(method):
    model = fitted(tw.output_between(0.02, 0.97), tw.monotone(0), method=method)
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-1.98, 1.98, 121)]), axis=-1)
    found = model.predict_proba(grid.reshape(-1, 2))[:, -1].reshape(121, 121)
    assert model.constraints.worst == 0.0
    assert found.min() >= 0.02 - 1e-9 and found.max() <= 0.97 + 1e-9
    assert np.diff(found, axis=1).min() >= -1e-9


def test_multipliers_are_for_the_limit_as_it_was_asked():
    def solved(b, params=None):
        return fitted(tw.value_at([[1.0, 0.0]], at_most=0.6 + b), params=params)

    def value(model):
        weights = sum(np.sum(layer["W"] ** 2) for layer in model.params)
        return model.origin.figures["training"]["loss"] + 0.5e-3 * weights

    middle, step = solved(0.0), 1e-4
    price = middle.constraints.held[0].active[0].multiplier
    ahead, behind = (value(solved(b, middle.params)) for b in (step, -step))
    assert price > 0.0
    assert -price == pytest.approx((ahead - behind) / (2.0 * step), rel=2e-3)


def test_what_the_activation_keeps_by_itself_costs_nothing():
    model = fitted(tw.output_between(0, 1))
    assert model.stop.kind == "constrained" and model.constraints.stationarity <= 1e-7
    assert model.constraints.worst == 0.0 and model.constraints.points == 0


@pytest.mark.parametrize("asked", [tw.value_at([[0.0, 0.0]], 1.0), tw.output_between(1, None)])
def test_what_the_activation_forbids_is_said_at_once(asked):
    with pytest.raises(OptionError, match="cannot be held") as refused:
        fitted(asked)
    assert "지킬 수 없습니다" in refused.value.said("ko")


@pytest.mark.slow
def test_softmax_is_bounded_and_monotone():
    kinds = np.digitize(P, [0.3, 0.7])
    asked = (tw.monotone(0, output=2), tw.output_between(None, 0.9, output=2))
    model = fitted(*asked, last="softmax", outputs=3, y=kinds)
    line = np.stack([np.linspace(-1.98, 1.98, 501), np.zeros(501)], axis=1)
    found = model.predict_proba(line)[:, 2]
    assert model.constraints.worst == 0.0
    assert found.max() <= 0.9 + 1e-9 and np.diff(found).min() >= -1e-9


@pytest.mark.filterwarnings("error")
def test_where_an_output_is_flat_to_the_last_digit_no_price_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(Frame, "link_slopes", lambda self, theta, X, output: np.zeros(len(X)))
    model = fitted(tw.output_between(0.2, 0.6), epochs=30)
    assert model.constraints.held[0].active == ()
    model.save(tmp_path / "model.thalweg")
