"""The steps of solvers, as explanations show them, are those that training takes."""

import json

import numpy as np
import pytest
from rich.cells import cell_len

import thalweg as tw
from thalweg.errors import OptionError
from thalweg.explanation import Setting
from thalweg.explanation.notation import source
from thalweg.explanation.records import product
from thalweg.explanation.storage import from_json, to_json
from thalweg.nn.objective import Penalty
from thalweg.training.gauss_newton import NormalEquations, vector
from thalweg.training.solver_steps import EXPLAINED

RNG = np.random.default_rng(5)
X = RNG.normal(size=(14, 2))
Y = np.sin(X[:, 0]) * X[:, 1]
NET = tw.Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 1)])
CLASSES = np.eye(2)[(Y > 0).astype(int)]
DECIDER = tw.Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 2, "softmax")])


def _model(method: str, **options):
    standard = {"epochs": 5, "snapshots": [0, 3, 4], "split": "none", "seed": 2, "engine": "numpy"}
    return tw.fit(NET, X, Y, method=method, **{**standard, **options})


@pytest.mark.parametrize("method", EXPLAINED)
@pytest.mark.parametrize(("at", "after"), [("epoch=3", "epoch=4")])
def test_the_step_is_the_one_training_took(method: str, at: str, after: str) -> None:
    model = _model(method)
    told = model.explain(X, Y, at=at)
    step = told.update_step.step
    assert step.number == 4
    assert np.allclose(step.new_x, vector(model.at(after)), rtol=1e-12, atol=1e-13)
    assert step.new_value < step.value
    keys = {note.key for section in told.update().sections for note in section.notes}
    assert "solver_restarts" not in keys
    assert ("solver_replayed" in keys) == (method not in ("lm", "br"))


@pytest.mark.parametrize("method", EXPLAINED)
def test_the_first_step_is_the_first_epoch(method: str) -> None:
    model = _model(method, epochs=1, snapshots=[0])
    step = model.explain(X, Y, at="init").update_step.step
    assert np.allclose(step.new_x, vector(model.params), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("method", ["lm", "br"])
@pytest.mark.parametrize(("at", "after"), [("init", "epoch=1"), ("epoch=3", "epoch=4")])
def test_own_damping_is_that_of_the_training(method: str, at: str, after: str, tmp_path) -> None:
    own = {"mu": 10.0, "mu_dec": 0.5, "mu_inc": 7.0, "mu_max": 1e9}
    _model(method, snapshots=[0, 1, 3, 4], **own).save(tmp_path / "own.thalweg")
    model = tw.load(tmp_path / "own.thalweg")
    step = model.explain(X, Y, at=at).update_step.step
    assert np.allclose(step.new_x, vector(model.at(after)), rtol=1e-12, atol=1e-13)
    assert step.next_mu == pytest.approx(model.history["mu"][step.number - 1], rel=1e-9)
    assert step.next_mu >= 0.5 * step.mu


@pytest.mark.parametrize("method", ["lm", "bfgs"])
def test_native_training_is_repeated_natively(method: str) -> None:
    pytest.importorskip("llvmlite")
    model = _model(method, engine="native")
    step = model.explain(X, Y, at="epoch=3").update_step.step
    assert np.allclose(step.new_x, vector(model.at("epoch=4")), rtol=1e-12, atol=1e-13)


def test_damping_of_the_next_step_is_that_of_the_history() -> None:
    model = _model("lm")
    step = model.explain(X, Y, at="epoch=3").update_step.step
    assert step.next_mu == pytest.approx(model.history["mu"][3], rel=1e-12)
    bayes = _model("br")
    step = bayes.explain(X, Y, at="epoch=3").update_step.step
    assert step.evidence.gamma == pytest.approx(bayes.history["gamma"][3], rel=1e-9)
    assert step.evidence.alpha == pytest.approx(tuple(bayes.history["alpha"][2:4]), rel=1e-9)
    assert step.evidence.beta == pytest.approx(tuple(bayes.history["beta"][2:4]), rel=1e-9)


CASES = {
    "mse": (NET, Y[:, None], "mse", None, None),
    "weighted": (NET, Y[:, None], "half_mse", np.linspace(0.5, 2.0, 14), None),
    "penalised": (NET, Y[:, None], "mse", None, Penalty(l2=0.3)),
    "huber": (NET, Y[:, None], "log_cosh", None, None),
    "classes": (DECIDER, CLASSES, "cross_entropy", None, None),
    "weighted classes": (DECIDER, CLASSES, "cross_entropy", np.linspace(0.5, 2.0, 14), None),
    "performance": (NET, Y[:, None], "performance", None, None),
}


def _told(case: str, method: str = "lm"):
    net, T, loss, weights, penalty = CASES[case]
    setting = Setting(weights=weights, penalty=penalty)
    return tw.explain_network(net, net.initial(3), X, T, loss, method, setting)


@pytest.mark.parametrize("case", CASES)
def test_hessian_and_gradient_follow_from_the_jacobian_shown(case: str) -> None:
    told = _told(case)
    passes, view = told.passes, told.update()
    equations = NormalEquations(
        passes.objective, passes.X, passes.T, passes.weights, native=False, form="primal"
    )
    model = equations.at(vector(passes.params))
    H, g = view.step("H").value, view.step("g").value[:, 0]
    assert np.allclose(H, model.matrix(), rtol=1e-12, atol=1e-14)
    assert np.allclose(g, model.gradient, rtol=1e-12, atol=1e-14)
    mu, s = float(view.step("μ").value), view.step("s").value[:, 0]
    assert np.allclose((H + mu * np.eye(len(g))) @ s, -g, rtol=1e-10, atol=1e-12)
    assert np.allclose(view.step("θ⁺").value[:, 0], vector(passes.params) + s, rtol=1e-13)
    J, r = view.step("J_y").value, view.step("r").value[:, 0]
    m, k = len(X), passes.network.outputs
    bend = view.step("Λ").value.reshape(m, k, k) if "Λ" in {s.id for s in view.steps()} else None
    share = passes.shares
    rows = J.reshape(m, k, -1)
    if bend is None:
        c = {"mse": 2.0, "penalised": 2.0, "weighted": 1.0, "performance": 1.0}[case]
        bend, r = np.broadcast_to(c * np.eye(k), (m, k, k)), c * r
    again = np.einsum("s,skp,skl,slq->pq", share, rows, bend, rows)
    slope = np.einsum("s,skp,sk->p", share, rows, r.reshape(m, k))
    if case == "penalised":
        held = np.concatenate([np.ones(6), np.zeros(3), np.ones(3), np.zeros(1)])
        assert np.allclose(view.step("R'").value[:, 0], 0.3 * held * vector(passes.params))
        assert np.allclose(view.step("R''").value[:, 0], 0.3 * held)
        again, slope = again + np.diag(0.3 * held), slope + 0.3 * held * vector(passes.params)
    assert np.allclose(again, H, rtol=1e-12, atol=1e-14)
    assert np.allclose(slope, g, rtol=1e-12, atol=1e-14)


def test_the_jacobian_is_that_of_the_outputs() -> None:
    told = _told("mse")
    theta = vector(told.passes.params)

    def outputs(point):
        leaves = NormalEquations(
            told.passes.objective, X, Y[:, None], np.ones(14), native=False
        ).split(point)
        return NET(told.passes.objective.as_params(leaves), X)[:, 0]

    h = 1e-6
    columns = [(outputs(theta + h * e) - outputs(theta - h * e)) / (2 * h) for e in np.eye(13)]
    assert np.allclose(told.update().step("J_y").value, np.array(columns).T, atol=1e-8)


@pytest.mark.parametrize("method", ["lm", "newton", "bfgs", "cg"])
def test_formulas_with_numbers_give_the_values(method: str) -> None:
    model = _model("lm") if method == "lm" else _model(method)
    checked = 0
    for step in model.explain(X, Y, at="epoch=3").update().steps():
        if step.numbers is not None and step.value.ndim == 0:
            found = eval(source(step.numbers), {"np": np})
            assert float(found) == pytest.approx(float(step.value), rel=1e-9), step.id
            checked += 1
    assert checked >= 1


def test_numbers_open_into_sums() -> None:
    told = _told("mse")
    view = told.update()
    for name, row, column in (("J_yᵀ J_y", 2, 5), ("J_yᵀ r", 4, 1), ("r", 3, 1)):
        terms = view.open(name, row, column)
        found = view.step(name).value[row - 1, column - 1]
        assert product(terms) == pytest.approx(float(found), rel=1e-12)
    assert len(view.open("J_yᵀ J_y", 2, 5)) == 14
    entry = told.entry("JtJ", 2, 5)
    assert entry.sections[0].steps[-1].id == "(J_yᵀ J_y)₂,₅"


def test_bfgs_matrix_is_updated_by_the_formula_shown() -> None:
    view = _model("bfgs").explain(X, Y, at="epoch=3").update()
    B, after = view.step("B⁻¹").value, view.step("B⁺⁻¹").value
    s, y = view.step("s").value, view.step("y").value
    rho = float(view.step("ρ").value)
    left = np.eye(len(s)) - rho * s @ y.T
    assert np.allclose(left @ B @ left.T + rho * s @ s.T, after, rtol=1e-10, atol=1e-12)
    assert np.allclose(view.step("d").value, -B @ view.step("g").value, rtol=1e-12)


def test_two_loops_of_lbfgs_make_the_direction() -> None:
    view = _model("lbfgs").explain(X, Y, at="epoch=3").update()
    S, Y_pairs = view.step("S").value, view.step("Y").value
    a, b = view.step("a_i").value[0], view.step("b_i").value[0]
    q, gamma = view.step("q").value[:, 0], float(view.step("γ").value)
    assert S.shape == Y_pairs.shape == (13, 3)
    d = gamma * q + S @ (a - b)
    assert np.allclose(d, view.step("d").value[:, 0], rtol=1e-10, atol=1e-13)


def test_conjugate_directions_are_their_formula() -> None:
    view = _model("cg-pr").explain(X, Y, at="epoch=3").update()
    g, old, last = (view.step(n).value[:, 0] for n in ("g", "g₀", "d₀"))
    beta = max(0.0, g @ (g - old) / (old @ old))
    assert float(view.step("β").value) == pytest.approx(beta, rel=1e-10)
    assert np.allclose(view.step("d").value[:, 0], -g + beta * last, rtol=1e-10)


def test_newton_shows_the_exact_hessian() -> None:
    told = _told("mse", "newton")
    view, passes = told.update(), told.passes
    objective = passes.objective
    X_, T_, w = passes.X, passes.T, passes.weights

    def gradient(point):
        equations = NormalEquations(objective, X_, T_, w, native=False, form="primal")
        return equations.at(point).gradient

    theta, h = vector(passes.params), 1e-6
    columns = [(gradient(theta + h * e) - gradient(theta - h * e)) / (2 * h) for e in np.eye(13)]
    assert np.allclose(view.step("H").value, np.array(columns), atol=1e-7)
    lam, s = float(view.step("λ").value), view.step("s").value[:, 0]
    assert np.allclose(
        view.step("H").value @ s + lam * s, -view.step("g").value[:, 0], rtol=1e-6, atol=1e-8
    )


def test_other_rows_begin_at_the_point_and_say_so() -> None:
    model = _model("bfgs")
    told = model.explain(X[:5], Y[:5], at="epoch=3")
    keys = {note.key for section in told.update().sections for note in section.notes}
    assert {"solver_restarts", "other_rows"} <= keys
    assert np.array_equal(told.update_step.step.x, vector(model.at("epoch=3")))


def test_where_no_step_helps_nothing_moves() -> None:
    net = tw.Network([tw.Dense(1, 1)])
    params = [{"W": np.array([[2.0]]), "b": np.array([1.0])}]
    rows = np.array([[0.0], [1.0], [2.0]])
    told = tw.explain_network(net, params, rows, 2.0 * rows + 1.0, "mse", "lm")
    step = told.update_step.step
    assert not step.moved
    assert np.array_equal(step.new_x, step.x)
    assert "step_refused" in {n.key for s in told.update().sections for n in s.notes}


def test_large_networks_are_cut_to_sizes_and_chosen_rows() -> None:
    net = tw.Network([tw.Dense(20, 40, "tanh"), tw.Dense(40, 2)])
    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(300, 20)), rng.normal(size=(300, 2))
    told = tw.explain_network(net, net.initial(0), rows, targets, "mse", "lm")
    view = told.update(sample=7)
    assert view.step("J_y(x₇)").value.shape == (2, 922)
    assert not [s for s in view.steps() if s.value.size > 40_000]
    assert len(view.write("json", "en")) < 2_000_000
    assert len(view.write("html", "ko")) < 1_000_000
    keys = {note.key for section in view.sections for note in section.notes}
    assert {"cut_matrix", "rows_of_sample"} <= keys


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("method", ["lm", "br", "newton", "bfgs", "lbfgs", "cg", "scg"])
def test_every_format_can_be_written(method: str, lang: str) -> None:
    told = _model(method).explain(X, Y, at="epoch=3")
    view = told.update()
    for form in ("terminal", "markdown", "latex", "html", "json", "source"):
        assert view.write(form, lang)
    lines = view.write("terminal", lang).splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert "?" not in view.write("terminal", "en", ascii=True).replace("accepted?", "")
    again = from_json(json.loads(json.dumps(to_json(view, lang))))
    assert np.array_equal(again.step("θ⁺").value, view.step("θ⁺").value)
    neuron = told.neuron("hidden 2").step("w[1]₂,₁⁺")
    assert float(neuron.value) == view.step("W[1]⁺").value[1, 0]


def test_unknown_methods_are_named() -> None:
    with pytest.raises(OptionError, match="'newton'"):
        tw.explain_network(NET, NET.initial(0), X, Y[:, None], "mse", "newtn")
