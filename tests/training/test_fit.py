"""Fitting arrays and tables: what is learned, units, weights, classes, messages."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DataError, OptionError, ShapeError
from thalweg.nn.network import dense_network, flat
from thalweg.optim.rules import RULES

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
ANSWERS = np.array([0, 1, 1, 0])
RNG = np.random.default_rng(2)
X = RNG.normal(size=(90, 3))
Y = 50.0 + 10.0 * X[:, 0] - 5.0 * X[:, 1] ** 2

RATES = {"adagrad": 0.5, "lion": 0.01, "gd": 1.0, "sgd": 1.0, "momentum": 0.3, "nesterov": 0.3}


@pytest.mark.parametrize("hidden", [4, 2])
@pytest.mark.parametrize("name", RULES)
def test_xor_is_learned_by_every_rule(name, hidden):
    """From random weights; with 2-2-1, which has local minima, from several."""
    net = dense_network(2, [hidden], 1, "tanh", "sigmoid")
    for seed in range(8):
        rate = RATES.get(name, 0.1)
        model = tw.fit(
            net, XOR, ANSWERS, method=name, learning_rate=rate, seed=seed, epochs=800,
            engine="numpy", goal=0.1,
        )  # fmt: skip
        if model.stop.kind == "goal":
            break
    assert model.predict(XOR).tolist() == ANSWERS.tolist()
    assert model.evaluate(XOR, ANSWERS)["loss"] <= 0.1


def quick(net, X, y, **options):
    options = {"engine": "numpy", "epochs": 150, "learning_rate": 0.01, **options}
    return tw.fit(net, X, y, **options)


def test_regression_in_the_targets_own_unit():
    model = quick(dense_network(3, [20], 1, "tanh"), X, Y)
    figures = model.origin.figures
    assert set(figures) == {"training", "validation", "test"}
    assert figures["test"]["r2"] > 0.8
    rows = model.split.test
    error = Y[rows] - model.predict(X[rows])
    assert np.isclose(figures["test"]["rmse"], np.sqrt(np.mean(error**2)))
    assert np.isclose(figures["test"]["loss"], np.mean(error**2))
    best = model.history["validation_loss"].min()
    assert np.isclose(best, figures["validation"]["loss"], rtol=1e-10)
    assert model.score(X, Y) > 0.8


def test_scaling_does_not_depend_on_units():
    """The same fit whatever the units of inputs and targets are."""
    net = dense_network(3, [8], 1, "tanh")
    a = quick(net, X, Y, epochs=20)
    b = quick(net, 1000 * X - 5, 0.01 * Y + 3, epochs=20)
    assert np.allclose(flat(a.params), flat(b.params), rtol=1e-6, atol=1e-9)
    assert np.allclose(1e-4 * a.history["training_loss"], b.history["training_loss"], rtol=1e-6)


def test_hubers_delta_is_in_the_targets_unit():
    net = dense_network(3, [8], 1, "tanh")
    a = quick(net, X, Y, epochs=10, loss="huber(delta=5)")
    b = quick(net, X, 10 * Y, epochs=10, loss="huber(delta=50)")
    assert np.allclose(flat(a.params), flat(b.params), rtol=1e-8)
    assert np.isclose(100 * a.origin.figures["test"]["loss"], b.origin.figures["test"]["loss"])


def test_several_targets():
    T = np.column_stack([Y, X[:, 2]])
    model = quick(dense_network(3, [20], 2, "tanh"), X, T)
    assert model.predict(X).shape == (90, 2)
    assert model.origin.figures["test"]["r2"] > 0.8


def test_given_weights_of_the_documents_network():
    """Without scaling and with given weights the network is the plain formula."""
    net = tw.Network(
        [
            tw.Dense(2, 2, "relu", bias=False, weights=[[0.1, 0.2], [0.3, -0.4]]),
            tw.Dense(2, 1, bias=False, weights=[[0.5, 0.6]]),
        ]
    )
    x, t = np.array([[1.0, 2.0]]), np.array([1.0])
    model = tw.fit(
        net, np.repeat(x, 4, 0), np.repeat(t, 4), scale="none", method="gd", learning_rate=0.1,
        epochs=1, engine="numpy",
    )  # fmt: skip
    y = 0.5 * 0.5  # the second neuron is off
    assert np.isclose(model.history["training_loss"][0], (1 - y) ** 2)
    common = -2 * (1 - y)
    assert np.allclose(model.params[1]["W"], [[0.5 - 0.1 * common * 0.5, 0.6]])
    step = 0.1 * common * 0.5
    assert np.allclose(model.params[0]["W"], [[0.1 - step, 0.2 - 2 * step], [0.3, -0.4]])


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [3, 7], [1.0, 2.0]])
@pytest.mark.parametrize("outputs", [1, 2])
def test_two_classes(labels, outputs):
    y = np.array(labels)[(X[:, 0] > 0).astype(int)]
    last = "sigmoid" if outputs == 1 else "softmax"
    loss = None if outputs == 2 else "binary_cross_entropy"
    model = quick(dense_network(3, [8], outputs, "tanh", last), X, y, loss=loss)
    assert model.classes == tuple(labels)
    assert model.origin.figures["test"]["accuracy"] > 0.85
    assert model.predict(X).tolist()[0] in labels
    P = model.predict_proba(X)
    assert P.shape == (90, 2) and np.allclose(P.sum(axis=1), 1)
    winners = np.array(labels)[P.argmax(axis=1)]
    assert (winners == model.predict(X)).all()


def test_many_classes_and_distributions():
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    net = dense_network(3, [12], 3, "tanh", "softmax")
    labels = quick(net, X, y)
    spread = quick(net, X, np.eye(3)[y])
    assert labels.origin.figures["test"]["accuracy"] > 0.8
    assert spread.classes is None and spread.predict(X).shape == (90, 3)
    assert np.allclose(spread.predict(X).sum(axis=1), 1.0)


def test_several_labels():
    T = (X[:, :2] > 0).astype(float)
    net = dense_network(3, [12], 2, "tanh", "sigmoid")
    model = quick(net, X, T)
    assert model.loss.name == "binary_cross_entropy"
    assert ((model.predict(X) > 0.5) == T).mean() > 0.9


def test_row_weights_count_like_rows():
    net = dense_network(3, [4], 1, "tanh")
    w = np.where(np.arange(90) < 10, 2.0, 1.0)
    rows = np.concatenate([np.arange(90), np.arange(10)])
    how = {"method": "gd", "learning_rate": 0.1, "epochs": 30, "split": "none", "scale": "none"}
    a = quick(net, X, Y / 50, sample_weight=w, **how)
    b = quick(net, X[rows], Y[rows] / 50, **how)
    assert np.allclose(flat(a.params), flat(b.params), rtol=1e-10)


def test_class_weights():
    y = (X[:, 0] > 1.0).astype(int)
    net = dense_network(3, [4], 1, "tanh", "sigmoid")
    how = {"split": "none", "epochs": 20}
    counts = np.bincount(y)
    by_hand = {k: 90 / (2 * counts[k]) for k in (0, 1)}
    a = quick(net, X, y, class_weight="balanced", **how)
    b = quick(net, X, y, class_weight=by_hand, **how)
    c = quick(net, X, y, sample_weight=np.array([by_hand[k] for k in y]), **how)
    assert np.array_equal(flat(a.params), flat(b.params))
    assert np.array_equal(flat(a.params), flat(c.params))
    with pytest.raises(OptionError, match="class_weight"):
        quick(net, X, y, class_weight={5: 1.0})


def test_validation_samples_of_their_own():
    net = dense_network(3, [4], 1, "tanh")
    model = quick(net, X[:70], Y[:70], validation=(X[70:], Y[70:]), epochs=5)
    assert len(model.split.train) == 70 and len(model.split.validation) == 20
    assert np.isclose(
        model.evaluate(X[70:], Y[70:])["loss"], model.history["validation_loss"].min()
    )


def test_float32_inputs_are_trained_in_float32():
    net = dense_network(3, [4], 1, "tanh")
    assert quick(net, X.astype(np.float32), Y, epochs=2).dtype == np.float32
    assert quick(net, X, Y, epochs=2).dtype == np.float64


def test_what_does_not_fit():
    net = dense_network(3, [4], 1, "tanh")
    with pytest.raises(ShapeError, match="transpose it"):
        tw.fit(net, X.T, Y)
    with pytest.raises(ShapeError, match="takes 3 inputs, but the samples have 2"):
        tw.fit(net, X[:, :2], Y)
    with pytest.raises(ShapeError, match=r"has 1 outputs, but there are 2 target columns"):
        tw.fit(net, X, np.column_stack([Y, Y]))
    with pytest.raises(ShapeError, match="write Dense\\(4, 3\\) as its last layer"):
        tw.fit(net, X, np.array(["a", "b", "c"])[np.arange(90) % 3], loss="cross_entropy")
    with pytest.raises(ShapeError, match="or a dataframe"):
        tw.fit(net, np.array([["a", "b", "c"]] * 90), Y)
    bad = X.copy()
    bad[3, 1] = np.nan
    with pytest.raises(DataError, match="column 'x2' has 1 missing"):
        tw.fit(net, bad, Y)
    with pytest.raises(DataError, match="one class only"):
        tw.fit(dense_network(3, [2], 2, "tanh", "softmax"), X, np.zeros(90, int))
    for weights in (-np.ones(90), np.ones(89), np.zeros(90), np.full(90, np.nan)):
        with pytest.raises(OptionError, match="sample_weight"):
            tw.fit(net, X, Y, sample_weight=weights)
    model = quick(net, X, Y, epochs=1)
    with pytest.raises(ShapeError, match="the model takes 3 columns"):
        model.predict(X[:, :2])
    with pytest.raises(OptionError, match="predicts quantities"):
        model.predict_proba(X)


def test_dataframes_by_name():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": np.where(X[:, 2] > 0, "u", "v")})
    model = quick(dense_network(4, [8], 1, "tanh"), frame, Y)
    assert model.encoding.features == ("a", "b", "kind=u", "kind=v")
    shuffled = frame[["kind", "b", "a"]]
    assert np.array_equal(model.predict(frame), model.predict(shuffled))
    checked = quick(
        dense_network(4, [8], 1, "tanh"), frame[:60], Y[:60], validation=(frame[60:], Y[60:])
    )
    assert len(checked.split.validation) == 30
    with pytest.raises(DataError, match="lacks"):
        model.predict(frame[["a", "b"]])


def test_tables_decide_their_task():
    table = {"x": X[:, 0], "z": X[:, 1], "kind": np.where(X[:, 0] > 0, "u", "v")}
    model = tw.fit_table(table, "kind", engine="numpy", epochs=20)
    assert model.network.outputs == 1 and model.loss.name == "binary_cross_entropy"
    assert "classification" in model.origin.notes[0]
    assert set(model.predict(table)) <= {"u", "v"}
    numbers = tw.fit_table({"x": X[:, 0], "y": Y}, "y", engine="numpy", epochs=20)
    assert numbers.loss.name == "mse" and "regression" in numbers.origin.notes[0]
    with pytest.raises(OptionError, match="Did you mean 'regression'"):
        tw.fit_table(table, "kind", task="regresion")


def test_tables_by_groups():
    table = {"x": X[:, 0], "who": np.array([f"p{i % 9}" for i in range(90)]), "y": Y}
    model = tw.fit_table(table, "y", split="group=who", engine="numpy", epochs=2)
    parts = [set(table["who"][rows]) for rows in model.split.parts().values()]
    assert not parts[0] & parts[1] and not parts[0] & parts[2]
    assert model.encoding.features == ("x",)


def test_summaries_speak_two_languages():
    model = quick(dense_network(3, [4], 1, "tanh"), X, Y, epochs=2)
    assert "inputs scaled inside the model (standard)" in model.summary("en")
    assert "신경망" in model.summary("ko")
    assert "<table>" in model._repr_html_()
    assert repr(model).startswith("Model(Network 3 → 4 tanh → 1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "least"),
    [
        ("breast_cancer", "diagnosis", 0.96),
        ("diabetes", "progression", 0.42),
        ("digits", "digit", 0.97),
    ],
)
def test_defaults_on_real_tables(name, target, least):
    from pathlib import Path

    path = Path(__file__).parents[2] / "examples" / f"{name}.csv"
    scores = []
    for seed in range(10):
        figures = tw.fit_table(path, target, seed=seed).origin.figures["test"]
        scores.append(figures.get("accuracy", figures.get("r2")))
    assert np.mean(scores) >= least
