"""The quadratic model in each of its forms against exact second derivatives."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.errors import OptionError
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.training import gauss_newton
from thalweg.training.gauss_newton import NormalEquations, form_for, vector

DIRECT = ["primal", "dual"]
FORMS = [*DIRECT, "products"]


def _network(final: str) -> Network:
    return Network([Dense(3, 4, "tanh"), Dense(4, 2, final)])


def _samples(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(30, 3))
    targets = {
        "numbers": rng.normal(size=(30, 2)),
        "classes": np.eye(2)[rng.integers(0, 2, 30)],
        "counts": rng.poisson(1.5, (30, 2)) * 1.0,
    }
    return X, targets[kind], rng.uniform(0.0, 2.0, 30)


def _exact(network: Network, name: str, data, theta: np.ndarray, outputs: str):
    """Value, gradient and JᵀHJ by the plain definition, in dense arrays."""
    X, T, w = data
    shapes = [s for layer in network.layers for s in layer.shapes.values()]

    def params(point):
        found, start = [], 0
        for layer in network.layers:
            entry = {}
            for key, shape in layer.shapes.items():
                size = int(np.prod(shape))
                entry[key] = tnp.reshape(point[start : start + size], shape)
                start += size
            found.append(entry)
        return found

    def linear(point):  # the outputs before a softmax, or the outputs themselves
        p = params(point)
        hidden = tnp.tanh(X @ p[0]["W"].T + p[0]["b"])
        return hidden @ p[1]["W"].T + p[1]["b"]

    def outer(z, t):
        if outputs == "softmax":
            return -tnp.sum(t * tnp.log_softmax(z))
        if outputs == "exp":
            return tnp.sum(tnp.exp(z) - t * z)
        return tnp.sum((t - z) ** 2)

    assert sum(int(np.prod(s)) for s in shapes) == theta.size
    z = linear(theta)
    J = tw.jacobian(linear)(theta)
    total = w.sum()
    value = sum(w[i] * outer(z[i], T[i]) for i in range(len(X))) / total
    g = np.zeros_like(theta)
    H = np.zeros((theta.size, theta.size))
    for i in range(len(X)):
        g += w[i] * J[i].T @ tw.grad(outer)(z[i], T[i]) / total
        H += w[i] * J[i].T @ tw.hessian(outer)(z[i], T[i]) @ J[i] / total
    return value, g, H


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few samples, the last one short."""
    monkeypatch.setattr("thalweg.training.primal.BLOCK_BYTES", 1)
    monkeypatch.setattr("thalweg.training.matrix_free.BLOCK_BYTES", 1)
    monkeypatch.setattr("thalweg.training.dual.BLOCK", 7)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "final", "kind"),
    [
        ("mse", "identity", "numbers"),
        ("cross_entropy", "softmax", "classes"),
        ("poisson", "exp", "counts"),
    ],
)
def test_model_is_the_generalised_gauss_newton_model(name, final, kind, form, native):
    network = _network(final)
    objective = NetworkObjective(network, loss(name))
    data = _samples(kind)
    theta = vector(network.initial(1))
    model = NormalEquations(objective, *data, native=native, form=form).at(theta)
    value, gradient, curvature = _exact(network, name, data, theta, final)
    assert model.value == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(model.gradient, gradient, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(model.matrix(), curvature, rtol=1e-11, atol=1e-13)
    assert model.top == pytest.approx(np.max(np.diag(curvature)), rel=1e-11)


SINGLE = {
    "wider": [Dense(3, 2, "tanh"), Dense(2, 6, "tanh"), Dense(6, 1)],
    "narrower": [Dense(3, 7, "sigmoid"), Dense(7, 3, "tanh"), Dense(3, 1, "tanh")],
    "no biases": [Dense(3, 4, "tanh", bias=False), Dense(4, 5, "tanh"), Dense(5, 1, bias=False)],
    "one layer": [Dense(3, 1, "sigmoid")],
}


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name", SINGLE)
def test_matrix_of_a_single_output_is_that_of_its_jacobian(name, native, monkeypatch):
    monkeypatch.setattr("thalweg.training.primal.BLOCK_BYTES", 1)
    network, rng = Network(SINGLE[name]), np.random.default_rng(4)
    X, T, w = rng.normal(size=(150, 3)), rng.normal(size=(150, 1)), rng.uniform(0.0, 2.0, 150)
    theta = rng.normal(size=network.count)
    equations = NormalEquations(NetworkObjective(network, loss("mse")), X, T, w, native, "primal")

    def outputs(point):
        leaves, params = iter(equations.split(point)), []
        for layer in network.layers:
            params.append({key: next(leaves) for key in layer.shapes})
        return network(params, X)[:, 0]

    y, J = outputs(theta), tw.jacobian(outputs)(theta)
    model = equations.at(theta)
    wanted = 2.0 * (J.T * w) @ J / w.sum()
    np.testing.assert_allclose(model.matrix(), wanted, rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(model.matrix(), model.matrix().T)
    gradient = 2.0 * J.T @ (w * (y - T[:, 0])) / w.sum()
    np.testing.assert_allclose(model.gradient, gradient, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(model.loss, w @ (y - T[:, 0]) ** 2 / w.sum(), rtol=1e-12)
    step = np.linalg.solve(wanted + 1e-3 * np.eye(len(wanted)), -gradient)
    np.testing.assert_allclose(model.step(1e-3), step, rtol=1e-8)


CASES = {
    "mse": ("mse", "identity", lambda rng, n: rng.normal(size=(n, 2))),
    "cross entropy": ("cross_entropy", "softmax", lambda rng, n: np.eye(2)[rng.integers(0, 2, n)]),
    "binary": ("binary_cross_entropy", "sigmoid", lambda rng, n: rng.integers(0, 2, (n, 2)) * 1.0),
    "poisson": ("poisson", "exp", lambda rng, n: rng.poisson(1.5, (n, 2)) * 1.0),
    "huber": ("huber(delta=0.5)", "identity", lambda rng, n: 2.0 * rng.normal(size=(n, 2))),
}


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES)
def test_all_forms_take_the_same_step(case, l2, native, small_blocks):
    """With sample weights, a penalty on W, a decay of all, and steps short and long."""
    name, final, targets = CASES[case]
    rng = np.random.default_rng(3)
    X, T, w = rng.normal(size=(17, 3)), targets(rng, 17), rng.uniform(0.0, 2.0, 17)
    network = Network([Dense(3, 8, "tanh"), Dense(8, 5, "tanh"), Dense(5, 2, final)])
    objective = NetworkObjective(network, loss(name), Penalty(l2=l2))
    theta = vector(network.initial(2))
    steps = {}
    for form in FORMS:
        model = NormalEquations(objective, X, T, w, native=native, form=form).at(theta)
        if form == "products":
            model.curvature.owner.tolerance = 1e-14
        for mu in (1e-4, 1e-1, 10.0):
            steps[form, mu] = model.with_decay(theta, 1e-2).step(mu)
        matrix = model.with_decay(theta, 1e-2).matrix()
        exact = np.linalg.solve(matrix + np.eye(len(theta)), -model.gradient - 1e-2 * theta)
        np.testing.assert_allclose(
            model.with_decay(theta, 1e-2).step(1.0), exact, rtol=1e-8, atol=1e-12
        )
    for (form, mu), step in steps.items():
        size = np.max(np.abs(step))
        tolerance = 1e-7 if form == "products" else 1e-9
        np.testing.assert_allclose(step, steps["primal", mu], atol=tolerance * size)


def test_tiny_damping_costs_the_dual_form_no_digits():
    """An interpolating step: J s = -r to the last digits, however small μ is."""
    rng = np.random.default_rng(5)
    X, T = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
    network = Network([Dense(2, 10, "tanh"), Dense(10, 1)])
    objective = NetworkObjective(network, loss("mse"))
    theta = vector(network.initial(0))
    model = NormalEquations(objective, X, T, np.ones(6)).at(theta)
    seen = model.curvature.seen
    residual = T - network(network.initial(0), X)
    step = model.step(1e-13)
    moved = seen.product(model.curvature.places.matrices(step))
    np.testing.assert_allclose(moved, residual, rtol=1e-8)


def test_eigenvalues_are_those_of_the_matrix():
    network, (X, T, w) = _network("softmax"), _samples("classes")
    objective = NetworkObjective(network, loss("cross_entropy"))
    theta = vector(network.initial(1))
    for form in DIRECT:
        for rows in (5, 30):
            model = NormalEquations(objective, X[:rows], T[:rows], w[:rows], form=form).at(theta)
            found = np.sort(model.curvature.eigenvalues())
            np.testing.assert_allclose(found, np.linalg.eigvalsh(model.matrix()), atol=1e-13)
    with pytest.raises(OptionError, match="eigenvalues"):
        NormalEquations(objective, X, T, w, form="products").at(theta).curvature.eigenvalues()


@pytest.mark.parametrize("form", FORMS)
def test_samples_written_five_times_change_nothing(form):
    network = _network("identity")
    objective = NetworkObjective(network, loss("mse"), Penalty(l2=0.3))
    X, T, w = _samples("numbers")
    theta = vector(network.initial(1))
    five_times = [np.concatenate([a] * 5) for a in (X, T, w)]
    one = NormalEquations(objective, X, T, w, form=form).at(theta)
    five = NormalEquations(objective, *five_times, form=form).at(theta)
    assert five.value == pytest.approx(one.value, rel=1e-12)
    np.testing.assert_allclose(five.matrix(), one.matrix(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_bits_do_not_depend_on_threads(form, monkeypatch, small_blocks):
    network, data = _network("softmax"), _samples("classes")
    objective = NetworkObjective(network, loss("cross_entropy"))
    theta = vector(network.initial(1))
    steps = []
    for threads in (1, 2, 5):
        monkeypatch.setattr("thalweg.training.sensitivities.available_threads", lambda t=threads: t)
        steps.append(NormalEquations(objective, *data, form=form).at(theta).step(1e-3))
    assert np.array_equal(steps[0], steps[1]) and np.array_equal(steps[0], steps[2])


def test_products_are_made_anew_where_they_cannot_be_kept(monkeypatch):
    network, data = _network("identity"), _samples("numbers")
    objective = NetworkObjective(network, loss("mse"))
    theta = vector(network.initial(1))
    kept = NormalEquations(objective, *data, form="products").at(theta)
    monkeypatch.setattr("thalweg.training.matrix_free.KEPT_BYTES", 0)
    anew = NormalEquations(objective, *data, form="products").at(theta)
    assert kept.curvature.kept is not None and anew.curvature.kept is None
    assert np.array_equal(kept.step(1e-2), anew.step(1e-2))


def test_forms_are_chosen_by_shapes():
    assert form_for(100, 1, 100) == form_for(10**9, 10, 5000) == "primal"
    assert form_for(10, 3, 31) == form_for(500, 10, 10**7) == "dual"
    assert form_for(501, 10, 10**7) == form_for(10**6, 1, 5001) == "products"
    network, data = _network("identity"), _samples("numbers")
    equations = NormalEquations(NetworkObjective(network, loss("mse")), *data)
    assert equations.form == "primal"
    with pytest.raises(OptionError, match="'primal'"):
        NormalEquations(NetworkObjective(network, loss("mse")), *data, form="primary")
    assert ("auto", *FORMS) == gauss_newton.FORMS


STEP = """
import sys
import numpy as np
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.training.gauss_newton import NormalEquations, vector

rng = np.random.default_rng(0)
X = rng.normal(size=(int(sys.argv[1]), 100))
network = Network([Dense(100, 400, "tanh"), Dense(400, 400, "tanh"), Dense(400, 1)])
objective = NetworkObjective(network, loss("mse"))
equations = NormalEquations(objective, X, X[:, :1] ** 2, np.ones(len(X)))
theta = vector(network.initial(0))
model = equations.at(theta)
step = model.step(1e-2 * model.top)
after = equations.at(theta + step).value
assert after < 0.9 * model.value, (after, model.value)
# Not getrusage: on Linux its figure includes the memory of the parent at the fork.
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM:"))
print(equations.form, len(theta), int(peak.split()[1]) >> 10)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own figure")
@pytest.mark.parametrize(
    ("samples", "form"), [(200, "dual"), pytest.param(6000, "products", marks=pytest.mark.slow)]
)
def test_two_hundred_thousand_parameters_stay_far_below_their_square(samples, form):
    """P² numbers would take 320 GB."""
    arguments = [sys.executable, "-c", STEP, str(samples)]
    found = subprocess.run(arguments, capture_output=True, text=True, check=True)
    used, parameters, megabytes = found.stdout.split()
    assert used == form and int(parameters) == 201_201
    assert int(megabytes) < 700


@pytest.mark.parametrize("form", ["primal", "dual", "products"])
def test_models_of_other_samples_share_their_graphs_and_code(form):
    network = Network([Dense(2, 3, "tanh"), Dense(3, 1)])
    rng = np.random.default_rng(5)
    data = [(rng.normal(size=(9, 2)), rng.normal(size=(9, 1)), np.ones(9)) for _ in range(2)]
    theta = rng.normal(size=network.count)

    def model(number):
        objective = NetworkObjective(network, loss("mse"))  # equal, not the same
        return NormalEquations(objective, *data[number], form=form)

    one, other = model(0), model(1)
    assert one._made.blocks.graph is other._made.blocks.graph
    for number, shared in enumerate((one, other)):
        alone = NormalEquations(
            NetworkObjective(network, loss("mse")), *data[number], native=False, form=form
        )
        found, wanted = shared.at(theta), alone.at(theta)
        np.testing.assert_allclose(found.gradient, wanted.gradient, rtol=1e-12)
        np.testing.assert_allclose(found.matrix(), wanted.matrix(), rtol=1e-10, atol=1e-13)
