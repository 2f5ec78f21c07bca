"""Every method by name: XOR, the sine, and the options of damping."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError
from thalweg.training.methods import ELSEWHERE, METHODS, SOLVERS
from thalweg.training.methods import method as find

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
EXCLUSIVE = np.array([0.0, 1.0, 1.0, 0.0])
LINE = np.linspace(-1.0, 1.0, 41)[:, None]
SINE = np.sin(np.pi * LINE[:, 0])
RATES = {"gd": 0.5, "sgd": 0.1, "adagrad": 0.5, "lion": 0.01}
"""Where the default is slow on four rows."""

SECOND_ORDER = ("lm", "bfgs", "lbfgs", "newton", "newton-line", "newton-dogleg", "newton-cg")
SECOND_ORDER += ("interior-point", "augmented-lagrangian")


def net(inputs, neurons):
    return tw.Network(
        [
            tw.Dense(inputs, neurons, "tanh", initialiser="nguyen_widrow"),
            tw.Dense(neurons, 1),
        ]
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_exclusive_or(method):
    options = {} if method not in RATES else {"learning_rate": RATES[method]}
    repeated = 10 if method == "br" else 1  # four rows are too little evidence for any weights
    X, y = np.tile(XOR, (repeated, 1)), np.tile(EXCLUSIVE, repeated)
    model = tw.fit(
        net(2, 4), X, y, method=method, split="none", scale="standard", restarts=3,
        engine="numpy", epochs=1000, **options,
    )  # fmt: skip
    assert np.array_equal(model.predict(XOR) > 0.5, EXCLUSIVE > 0.5), model.stop


@pytest.mark.slow
@pytest.mark.parametrize("method", SECOND_ORDER)
def test_second_order_methods_fit_the_sine_closely(method):
    model = tw.fit(
        net(1, 5), LINE, SINE, method=method, split="none", epochs=3000, scale="none", goal=5e-7
    )
    assert np.mean((model.predict(LINE) - SINE) ** 2) <= 1e-6, model.stop


@pytest.mark.parametrize("method", ["lm", "br"])
def test_damping_starts_where_it_is_told_to(method):
    common = {"method": method, "epochs": 3, "split": "none", "engine": "numpy"}
    given = {"mu": 1e-1, "mu_dec": 0.5, "mu_inc": 10.0, "mu_max": 1e10}
    one = tw.fit(net(1, 5), LINE, SINE, **common)
    other = tw.fit(net(1, 5), LINE, SINE, **common, **given)
    first, changed = one.history["mu"], other.history["mu"]
    assert changed[0] > 10.0 * first[0]
    assert np.all(changed[1:] >= 0.5 * changed[:-1])


def test_fitnet_hands_damping_on():
    one, other = (tw.fitnet(4, random_state=1, max_iter=2, mu=mu) for mu in (None, 1.0))
    starts = [model.fit(LINE, SINE).tr_.rows[1]["mu"] for model in (one, other)]
    assert starts[1] > 100.0 * starts[0]


def test_damping_is_refused_where_it_means_nothing():
    with pytest.raises(OptionError, match="mu is an option of lm and br"):
        tw.fit(net(1, 5), LINE, SINE, method="adam", mu=1e-2)
    with pytest.raises(OptionError, match="mu_inc"):
        tw.fit(net(1, 5), LINE, SINE, method="lm", mu_inc=0.5)


def test_solvers_are_methods():
    assert set(SOLVERS) <= set(METHODS)


@pytest.mark.parametrize("given", ["trainlm", "Levenberg-Marquardt", "LM", "L-BFGS-B", "cg_pr"])
def test_names_from_elsewhere_lead_to_ours(given):
    with pytest.raises(OptionError, match=r"What is nearest here is '(lm|lbfgs|cg-pr)'"):
        find(given)


def test_what_they_lead_to_exists():
    assert set(ELSEWHERE.values()) <= set(METHODS)
    assert not set(ELSEWHERE) & set(METHODS)
