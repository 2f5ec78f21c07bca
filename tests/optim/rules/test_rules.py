"""First-order rules against PyTorch, step by step, and against their published formulas."""

import importlib.util
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import OptionError
from thalweg.optim.rules import RULES, Conditioning
from thalweg.optim.rules.stepping import advance
from thalweg.tracing import trace_tree
from thalweg.trees import flatten

FOLDER = Path(__file__).parents[2] / "fixtures" / "optimisers"
REFERENCE = json.loads((FOLDER / "reference.json").read_text(encoding="utf-8"))

spec = importlib.util.spec_from_file_location("problem", FOLDER / "problem.py")
problem = importlib.util.module_from_spec(spec)
spec.loader.exec_module(problem)

# Fixtures by name: our rule, and PyTorch's names for our hyperparameters.
PAIRS = {
    "sgd": (tw.SGD, {}),
    "sgd weight decay": (tw.SGD, {}),
    "momentum": (tw.Momentum, {"momentum": "momentum"}),
    "momentum weight decay": (tw.Momentum, {"momentum": "momentum"}),
    "nesterov": (tw.Nesterov, {"momentum": "momentum"}),
    "nesterov weight decay": (tw.Nesterov, {"momentum": "momentum"}),
    "adagrad": (tw.AdaGrad, {"decay": "lr_decay", "epsilon": "eps"}),
    "adagrad fast": (tw.AdaGrad, {"decay": "lr_decay", "epsilon": "eps"}),
    "adagrad decay": (tw.AdaGrad, {"decay": "lr_decay", "epsilon": "eps"}),
    "rmsprop": (tw.RMSProp, {"rho": "alpha", "epsilon": "eps"}),
    "rmsprop momentum": (tw.RMSProp, {"rho": "alpha", "epsilon": "eps", "momentum": "momentum"}),
    "adam": (tw.Adam, {"epsilon": "eps"}),
    "adam fast": (tw.Adam, {"epsilon": "eps"}),
    "adam large eps": (tw.Adam, {"epsilon": "eps"}),
    "adam weight decay": (tw.Adam, {"epsilon": "eps"}),
    "amsgrad": (tw.AMSGrad, {"epsilon": "eps"}),
    "adamw": (tw.AdamW, {"epsilon": "eps", "weight_decay": "weight_decay"}),
    "adamw no decay": (tw.AdamW, {"epsilon": "eps", "weight_decay": "weight_decay"}),
    "adamw strong decay": (tw.AdamW, {"epsilon": "eps", "weight_decay": "weight_decay"}),
    "rprop": (tw.RProp, {}),
    "rprop stated": (tw.RProp, {}),
}
CASES = [case for case in REFERENCE["rules"] if case["name"] in PAIRS]


def rule_of(case):
    kind, names = PAIRS[case["name"]]
    theirs = case["hyperparameters"]
    ours = {"learning_rate": theirs["lr"], **{a: theirs[b] for a, b in names.items()}}
    if "betas" in theirs:
        ours |= dict(zip(("beta1", "beta2"), theirs["betas"], strict=True))
    if "etas" in theirs:
        ours |= dict(zip(("shrink", "grow"), theirs["etas"], strict=True))
        ours |= dict(zip(("smallest", "largest"), theirs["step_sizes"], strict=True))
    decay = theirs.get("weight_decay", 0.0) if "weight_decay" not in names else 0.0
    return kind(**ours), Conditioning(weight_decay=decay) if decay else None


def test_every_fixture_of_a_rule_we_have_is_used():
    left = {case["name"] for case in REFERENCE["rules"]} - set(PAIRS)
    assert left == {"momentum dampening", "rmsprop centered"}  # variants we do not offer


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_hundred_steps_as_pytorch(case):
    rule, conditioning = rule_of(case)
    xs = [problem.START.copy()]
    memory = [rule.init(xs[0])]
    for step in range(1, 101):
        g = [problem.gradient(xs[0])]
        xs, memory = advance(rule, conditioning, xs, g, memory, rule.learning_rate, float(step))
        if str(step) in case["parameters_after"]:
            expected = case["parameters_after"][str(step)]
            assert np.abs(xs[0] - expected).max() <= 1e-10


def minimise(rule, gradient, x, steps):
    state = rule.init(x)
    for step in range(1, steps + 1):
        x, state = rule.update(x, gradient(x), state, float(step))
    return x


@pytest.mark.parametrize("name", RULES)
def test_every_rule_goes_downhill(name):
    rate = 0.01 if name in ("sgd", "momentum", "nesterov", "lion", "rmsprop", "gd") else 0.1
    start = np.array([1.0, -2.0])
    x = minimise(RULES[name](learning_rate=rate), lambda x: 2 * x, start, 500)
    assert np.abs(x).max() < 0.15


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_updates_are_traced_in_their_own_dtype(name, dtype):
    """Also with the learning rate and all other numbers as traced arguments."""
    from dataclasses import replace

    rule = RULES[name]()
    x, g = np.array([1.0, -2.0], dtype), np.array([0.5, 0.1], dtype)
    numbers = {f.name: np.asarray(getattr(rule, f.name), dtype) for f in fields(rule)}

    def step(x, g, state, k, numbers):
        return replace(rule, **numbers).update(x, g, state, k)

    state = rule.init(x)
    traced = trace_tree(step, (x, g, state, dtype(1.0), numbers))
    assert {node.dtype for node in traced.graph.outputs} == {np.dtype(dtype)}
    assert all(np.asarray(v).dtype == dtype for v in flatten(state)[0])
    eager_x, eager_state = rule.update(x, g, state, dtype(1.0))
    assert eager_x.dtype == dtype
    from thalweg.interpreter import interpret

    values = flatten((x, g, state, dtype(1.0), numbers))[0]
    found = interpret(traced.graph, values)
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    for a, b in zip(found, flatten((eager_x, eager_state))[0], strict=True):
        assert np.allclose(a, b, rtol=tolerance, atol=tolerance)


def test_nadam_by_its_formula():
    """Dozat's formulas, written out for two steps on one number."""
    rule, x = tw.NAdam(learning_rate=0.1), 1.0
    gradients = [0.3, -0.2]
    m = v = 0.0
    product = 1.0
    for k, g in enumerate(gradients, start=1):
        now = 0.9 * (1 - 0.5 * 0.96 ** (0.004 * k))
        then = 0.9 * (1 - 0.5 * 0.96 ** (0.004 * (k + 1)))
        product *= now
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        ahead = then * m / (1 - product * then) + (1 - now) * g / (1 - product)
        x -= 0.1 * ahead / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
    y, state = np.array([1.0]), rule.init(np.array([1.0]))
    for k, g in enumerate(gradients, start=1):
        y, state = rule.update(y, np.array([g]), state, float(k))
    assert np.isclose(y[0], x, rtol=1e-14)


def test_lion_by_its_formula():
    rule = tw.Lion(learning_rate=0.1, weight_decay=0.5)
    x, state = rule.update(np.array([2.0]), np.array([-3.0]), rule.init(np.array([2.0])), 1.0)
    assert x[0] == pytest.approx(2.0 - 0.1 * (-1.0 + 0.5 * 2.0))
    assert state["mean"][0] == pytest.approx(-0.03)


def test_adamax_by_its_formula():
    rule = tw.Adamax(learning_rate=0.1)
    x, _ = rule.update(np.array([2.0]), np.array([-3.0]), rule.init(np.array([2.0])), 1.0)
    assert x[0] == pytest.approx(2.0 + 0.1 * 3.0 / (3.0 + 1e-8))


CLIPPING = [c for c in REFERENCE["clipping"] if c.get("norm_type", 2.0) == 2.0]


@pytest.mark.parametrize("case", CLIPPING, ids=lambda c: str(list(c.values())[:3]))
def test_clipping_as_pytorch(case):
    gradients = [np.array(g) for g in case["gradients"]]
    if "max_value" in case:
        condition = Conditioning(clip_value=case["max_value"])
    else:
        condition = Conditioning(clip_norm=case["max_norm"])
    for found, expected in zip(condition(gradients, gradients), case["clipped"], strict=True):
        assert np.allclose(found, expected, rtol=1e-12)


def test_hyperparameters_that_make_no_sense():
    for bad in (-0.1, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="learning_rate"):
            tw.Adam(learning_rate=bad)
    with pytest.raises(OptionError, match="clip_norm=0"):
        Conditioning(clip_norm=0)
