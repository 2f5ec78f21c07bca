"""What cannot be held, makes no sense, or is broken off: a truthful status each time."""

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import DataError, OptionError

RNG = np.random.default_rng(0)
X = np.sort(RNG.uniform(0.0, 10.0, 120))
Y = np.log1p(X) + RNG.normal(0.0, 0.1, 120)
METHODS = (None, "lm", "adam")


def fitted(*constraints, net=None, x=X, y=Y, **options):
    net = net or tw.Network([tw.Dense(1, 4, "tanh"), tw.Dense(4, 1)])
    options = {"split": "none", "seed": 1, "engine": "numpy", "epochs": 200, **options}
    return tw.fit(net, x, y, constraints=constraints, **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("asked", "least"),
    [
        ((tw.value_at(5.0, 1.0), tw.value_at(5.0, 2.0)), 0.49),
        ((tw.slope_at(5.0, 0, at_least=1.0), tw.slope_at(5.0, 0, at_most=-1.0)), 0.99),
        ((tw.output_between(3, None), tw.output_between(None, 2)), 0.49),
        ((tw.nonnegative_weights(), tw.slope_at(5.0, 0, at_most=-1.0)), 0.99),
    ],
)
def test_constraints_that_contradict_each_other_are_never_met(method, asked, least):
    model = fitted(*asked, method=method)
    assert model.stop.kind in ("infeasible", "violated") and not model.stop.regular
    assert model.constraints.worst >= least


def test_one_parameter():
    line = tw.Network([tw.Dense(1, 1, bias=False)])
    model = fitted(tw.output_between(None, 1.0), net=line)
    assert model.stop.kind == "infeasible"  # through the mean of the targets, which is above 1
    falling = fitted(tw.monotone(0, increasing=False), net=line)
    assert falling.stop.kind == "constrained"
    assert falling.params[0]["W"][0, 0] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("method", [None, "lm"])
def test_the_same_point_twice(method):
    model = fitted(tw.value_at([[5.0], [5.0]], 1.5), method=method)
    assert model.constraints.worst == 0.0
    assert model.predict([[5.0]])[0] == pytest.approx(1.5, abs=1e-6)


def test_rows_at_the_same_inputs():
    model = fitted(tw.monotone(0), x=np.repeat(X[:30], 4), epochs=400)
    assert model.constraints.worst == 0.0


def test_a_function_that_is_not_a_number_does_not_hold():
    model = fitted(tw.inequality(lambda f, params: tnp.log(f(1.0) - 100.0), name="log"))
    assert model.stop.kind == "violated"
    assert model.constraints.worst == np.inf


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_and_time(method):
    def press(progress):
        if progress.epoch.epoch == 30:
            raise KeyboardInterrupt

    model = fitted(tw.monotone(0), method=method, callbacks=[press])
    assert model.stop.kind == "interrupted" and len(model.history) == 30
    assert model.constraints.worst == 0.0
    late = fitted(tw.monotone(0), method=method, time_limit=0.02)
    assert late.stop.kind == "time"


@pytest.mark.parametrize(
    ("asked", "error", "match"),
    [
        (lambda: tw.value_at(1.0, np.nan), OptionError, "finite numbers"),
        (lambda: tw.value_at(1.0, np.inf), OptionError, "finite numbers"),
        (lambda: tw.slope_at(1.0, 0, at_most=np.nan), OptionError, "finite numbers"),
        (lambda: tw.output_between(np.nan, 1), OptionError, "leave nothing to hold"),
        (lambda: fitted(tw.value_at(np.nan, 1.0)), DataError, "missing value"),
        (lambda: fitted(tw.monotone(0), x=np.r_[np.nan, X[1:]]), DataError, "missing value"),
        (lambda: fitted(tw.monotone(0), y=np.r_[np.nan, Y[1:]]), DataError, "missing value"),
    ],
)
def test_what_is_not_a_number_is_refused(asked, error, match):
    with pytest.raises(error, match=match):
        asked()


def test_broken_off_during_the_first_solve_nothing_is_said_of_prices(tmp_path):
    model = fitted(tw.monotone(0), time_limit=1e-9)
    assert not model.constraints.solved
    assert len(model.constraints.rows("en")) == 1
    assert "nan" not in str(model.constraints) and "active" not in str(model.constraints)
    model.save(tmp_path / "model.thalweg")
    assert str(tw.load(tmp_path / "model.thalweg").constraints) == str(model.constraints)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        (lambda: tw.monotone(0, region={"x1": (0, 1, 2)}), "two finite numbers"),
        (lambda: tw.monotone(0, region={"x1": 3}), "two finite numbers"),
        (lambda: tw.monotone(0, region={"x1": (None, 1)}), "two finite numbers"),
        (lambda: tw.monotone(0, region={"x1": ("low", 1)}), "is no number"),
        (lambda: tw.monotone(0, region=(0, 1)), "names no inputs"),
        (lambda: tw.monotone(0, increasing="no"), "increasing='no' must be True or False"),
        (lambda: tw.weights_between(-1, 1, biases="W"), "biases='W' must be True or False"),
        (lambda: tw.weights_between(-1, 1, layers=[]), "no layer"),
        (lambda: tw.weights_between(-1, 1, layers="1"), "no layer"),
        (lambda: tw.weights_between(-1, 1, layers=[True]), "no layer"),
        (lambda: tw.output_between("low", 1), "'low' is no number"),
        (lambda: tw.output_between([0, 1], 2), "is no number"),
        (lambda: tw.value_at(1.0, "one"), "'one' is no number"),
        (lambda: tw.value_at([0, 1, 2], at_least=[0] * 3, at_most=[1] * 2), "3 values and at_most"),
        (lambda: fitted(tw.inequality(lambda f, params: None, "g")), "'g' returns no number"),
        (lambda: fitted(tw.equality(lambda f, params: [], "h")), "'h' returns no number"),
    ],
)
def test_what_says_nothing_is_refused(asked, match):
    with pytest.raises(OptionError, match=match):
        asked()


def test_one_layer_need_not_be_a_list():
    assert tw.weights_between(-1, 1, layers=2) == tw.weights_between(-1, 1, layers=[2])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "selu", "hard_sigmoid", "relu6"])
def test_curvature_of_slopes_that_jump_is_refused(activation):
    inside = tw.Network([tw.Dense(1, 4, activation), tw.Dense(4, 1)])
    for asked in (tw.convex(0), tw.concave(0)):
        with pytest.raises(OptionError, match=f"slope of {activation} jumps"):
            fitted(asked, net=inside)


def test_the_last_slope_may_jump_the_way_that_outputs_bend():
    net = tw.Network([tw.Dense(1, 4, "elu"), tw.Dense(4, 1, "relu")])
    with pytest.raises(OptionError, match="slope of relu jumps"):
        fitted(tw.concave(0), net=net)
    model = fitted(tw.convex(0), net=net)
    bent = np.diff(model.predict(np.linspace(X[0], X[-1], 2001)), 2)
    assert model.constraints.worst == 0.0 and bent.min() >= -1e-9


def test_a_softmax_of_one_output_has_no_others_to_be_held_against():
    net = tw.Network([tw.Dense(1, 3, "tanh"), tw.Dense(3, 1, "softmax")])
    model = fitted(tw.output_between(0.1, 0.8), net=net, y=np.full(len(X), 0.5), epochs=30)
    assert model.constraints.worst == pytest.approx(0.2, rel=1e-6)


def test_bounds_of_weights_are_shown_with_the_constraint_that_asked_for_them():
    layers = [tw.weights_between(-0.3, 0.3, layers=1), tw.weights_between(-0.5, 0.5, layers=2)]
    first, second = fitted(*layers, epochs=400).constraints.held
    assert first.active and {a.where[:4] for a in first.active} == {"W[1]"}
    assert second.active and {a.where[:4] for a in second.active} == {"W[2]"}
    wide, tight = fitted(tw.weights_between(-9, 9), tw.weights_between(-0.3, 0.3)).constraints.held
    assert tight.active and not wide.active


@pytest.mark.parametrize(
    ("asked", "english", "korean"),
    [
        (tw.monotone("a"), "increasing in a", "a에 따라 증가"),
        (
            tw.monotone("a", increasing=False, output="y2", region={"a": (0, 1.5), "b": (-1, 1)}),
            "decreasing in a (output y2; a from 0 to 1.5; b from -1 to 1)",
            "a에 따라 감소 (출력 y2; a 0~1.5; b -1~1)",
        ),
        (tw.output_between(0, None, region={"a": (0, 9)}), "output ≥ 0 (a from 0 to 9)", None),
        (tw.value_at({"a": 0.0}, 2.0, output=1), "value at points = 2 (output 1)", None),
        (tw.weights_between(-1, 1), "weights -1 ... 1", "가중치 -1 ... 1"),
        (
            tw.nonnegative_weights(layers=[1, 3], biases=True),
            "weights and biases ≥ 0 (layers 1, 3)",
            "가중치와 편향 ≥ 0 (계층 1, 3)",
        ),
    ],
)
def test_constraints_say_what_they_are_asked_of(asked, english, korean):
    assert asked.said("en") == english
    assert korean is None or asked.said("ko") == korean
