"""The native program against the interpreter's: every activation, loss and rule, all sizes."""

from itertools import pairwise

import numpy as np
import pytest

from thalweg.compiler.native import NativeCode
from thalweg.errors import PositionError, ShapeError
from thalweg.nn.activations import ACTIVATIONS
from thalweg.nn.losses import LOSSES, loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import RULES, Conditioning
from thalweg.training import native_plan
from thalweg.training.batches import Samples
from thalweg.training.native_program import NativeProgram
from thalweg.training.program import Program, batch_count
from thalweg.trees import flatten

STEPS = 20
POSITIVE = {"poisson", "poisson_deviance"}
PROBABILITY = {"binary_cross_entropy", "cross_entropy"}
LAST = dict.fromkeys(POSITIVE, "softplus") | {
    "binary_cross_entropy": "sigmoid",
    "cross_entropy": "softmax",
}


def network(*sizes, activation="tanh", last="identity", bias=True):
    pairs = list(pairwise(sizes))
    names = [activation] * (len(pairs) - 1) + [last]
    return Network([Dense(n, m, a, bias=bias) for (n, m), a in zip(pairs, names, strict=True)])


class Data:
    """Samples, weights and an order, fitting a network and a loss."""

    def __init__(self, net, name, samples, seed=1):
        random = np.random.default_rng(seed)
        self.X = random.normal(size=(samples, net.inputs))
        self.T = random.normal(size=(samples, net.outputs))
        if name in POSITIVE:
            self.T = random.integers(0, 5, self.T.shape).astype(float)
        if name in PROBABILITY:
            self.T = random.uniform(0.05, 0.95, self.T.shape)
        if name == "cross_entropy":
            self.T /= self.T.sum(axis=1, keepdims=True)
        self.weights = np.ones(samples)
        self.order = random.permutation(samples)


def train(program, net, data, batch_size, steps=STEPS, rate=0.01):
    """The state after some steps, and the losses of the epochs."""
    state = program.start(net.initial(seed=3))
    losses = []
    batches = batch_count(len(data.order), batch_size)
    while state.step < steps:
        rates = np.full(batches, rate)
        losses.append(
            program.epoch(state, data.X, data.T, data.weights, data.order, batch_size, rates)
        )
        losses.append(state.penalty)
    return state, losses


def distance(found, wanted):
    """The largest difference of parameters and memory, of the largest entry of each array."""
    pairs = zip(
        flatten([found.params, found.memory])[0],
        flatten([wanted.params, wanted.memory])[0],
        strict=True,
    )
    return max(
        np.max(np.abs(a - b), initial=0) / max(np.max(np.abs(b), initial=0), 1e-3) for a, b in pairs
    )


def compare(
    net, name="mse", rule=None, batch_size=8, samples=29, *, data=None, rtol=1e-12, **options
):
    """Train with both programs and compare everything."""
    rule = rule or RULES["adam"]()
    data = data or Data(net, name, samples)
    penalty, rate = options.pop("penalty", None), options.pop("rate", 0.01)
    objective = NetworkObjective(net, loss(name), *([penalty] if penalty else []))
    dtype = options.pop("dtype", np.float64)
    native = NativeProgram(objective, rule, dtype, **options)
    options.pop("threads", None)
    plain = Program(objective, rule, dtype, **options)
    state, losses = train(native, net, data, batch_size, rate=rate)
    wanted, expected = train(plain, net, data, batch_size, rate=rate)
    assert distance(state, wanted) <= rtol
    np.testing.assert_allclose(losses, expected, rtol=rtol, atol=rtol)
    assert state.step == wanted.step
    for leaf in flatten(state.params)[0]:
        assert leaf.dtype == dtype


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("outputs", [1, 3])
def test_every_loss(name, outputs):
    if name == "cross_entropy" and outputs == 1:
        pytest.skip("needs two classes")
    compare(network(4, 7, outputs, last=LAST.get(name, "identity")), name)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("name", ["mse", "mae"])
def test_every_activation(activation, name):
    steep = activation == "exp"  # exp of exp grows beyond all bounds
    net = network(3, 5, *([] if steep else [6]), 2, activation=activation)
    if net.untrainable:
        pytest.skip(net.untrainable)
    compare(net, name, rule=RULES["momentum"](), rate=1e-5 if steep else 0.01)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_last_activation(activation):
    net = network(3, 5, 3, last=activation)
    if net.untrainable:
        pytest.skip(net.untrainable)
    compare(net, "mse")


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule(rule):
    compare(network(4, 7, 5, 2), rule=RULES[rule]())


@pytest.mark.parametrize("rule", ["sgd", "nesterov", "amsgrad", "rprop", "nadam"])
@pytest.mark.parametrize(
    "conditioning",
    [
        Conditioning(clip_norm=0.1),
        Conditioning(clip_value=0.01),
        Conditioning(weight_decay=0.3),
        Conditioning(0.5, 0.05, 0.01),
    ],
)
def test_conditioning(rule, conditioning):
    compare(network(4, 7, 2), rule=RULES[rule](), conditioning=conditioning)


@pytest.mark.parametrize(
    "penalty",
    [Penalty(l1=0.01), Penalty(l2=0.1), Penalty(0.01, 0.02), Penalty(l2=0.5, shared=True)],
)
def test_penalties(penalty):
    compare(network(4, 7, 2), penalty=penalty)
    data = Data(network(4, 7, 2), "mse", 21)
    data.weights = np.linspace(0, 3, 21)
    compare(network(4, 7, 2), penalty=penalty, data=data, conditioning=Conditioning(clip_norm=0.2))


def test_sample_weights():
    net = network(4, 7, 2)
    for weights in (
        np.random.default_rng(0).integers(0, 4, 29).astype(float),
        np.where(np.arange(29) < 14, 0.0, 1.0),
        np.full(29, 1e-3),
    ):
        data = Data(net, "mse", 29)
        data.weights = weights
        compare(net, data=data)


def test_a_batch_of_no_weight():
    net = network(4, 7, 2)
    data = Data(net, "mse", 16)
    data.order = np.arange(16)
    data.weights = np.where(np.arange(16) < 8, 0.0, 1.0)
    compare(net, data=data, batch_size=8)
    for weights in (data.weights, np.zeros(16)):
        data.weights = weights
        for shared in (False, True):
            compare(net, data=data, batch_size=8, penalty=Penalty(l2=0.1, shared=shared))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 1000])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_batch_sizes(batch_size, dtype):
    rtol = 1e-12 if dtype == np.float64 else 1e-4
    for samples in (1, 101):
        compare(
            network(5, 9, 3), samples=samples, batch_size=batch_size, dtype=dtype, rtol=rtol,
            rule=RULES["momentum"](),
        )  # fmt: skip


@pytest.mark.parametrize(
    "sizes",
    [
        (1, 1),
        (1, 1, 1),
        (3, 1, 5),
        (13, 5),
        (5, 13, 29, 3),
        (29, 130, 1),
        (130, 3),
        (17, 33, 65, 15, 2),
        (2,) * 21,
        (64, 64, 64),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_sizes_of_layers(sizes, bias):
    compare(network(*sizes, bias=bias), batch_size=19)


@pytest.mark.parametrize("name", ["mse", "cross_entropy"])
def test_float32(name):
    last = LAST.get(name, "identity")
    compare(network(6, 20, 3, last=last), name, dtype=np.float32, rtol=1e-4, batch_size=16)


@pytest.mark.parametrize("activation", ["relu", "tanh", "softmax"])
def test_loss_and_gradient(activation):
    net = network(5, 9, 3, activation=activation)
    objective = NetworkObjective(net, loss("mse"), Penalty(0.01, 0.1))
    native, plain = (P(objective, RULES["sgd"]()) for P in (NativeProgram, Program))
    params = net.initial(seed=1)
    for samples in (1, 7, 33, 5000):
        data = Data(net, "mse", samples)
        data.weights = np.linspace(0.0, 2.0, samples) if samples > 1 else np.ones(1)
        arguments = (params, data.X, data.T, data.weights)
        assert native.loss(*arguments) == pytest.approx(plain.loss(*arguments), rel=1e-12)
        value, slopes = native.gradient(*arguments)
        wanted, expected = plain.gradient(*arguments)
        assert value == pytest.approx(wanted, rel=1e-12)
        for a, b in zip(flatten(slopes)[0], flatten(expected)[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


@pytest.fixture
def linked(monkeypatch):
    """A list that grows with everything that is compiled or loaded."""
    made, link = [], NativeCode._link

    def counting(self):
        made.append(self.name)
        link(self)

    monkeypatch.setattr(NativeCode, "_link", counting)
    return made


def test_a_new_fold_compiles_nothing(linked):
    net = network(5, 9, 3)
    objective = NetworkObjective(net, loss("mse"))
    program = NativeProgram(objective, RULES["adam"](), threads=1)
    train(program, net, Data(net, "mse", 100), 32)
    assert len(linked) == 1
    for samples, size, rate in (
        (50, 32, 0.1),
        (77, 25, 0.2),
        (1000, 31, 1e-3),
        (77, 77, 1.0),
        (73, 200, 1.0),
    ):
        train(program, net, Data(net, "mse", samples), size, rate=rate)
    assert len(linked) == 1


def test_other_hyperparameters_write_the_same_code():
    net = network(5, 9, 3)
    texts = set()
    for options in ({}, {"beta1": 0.5}, {"epsilon": 1e-3, "learning_rate": 0.3}):
        program = NativeProgram(NetworkObjective(net, loss("mse")), RULES["adam"](**options))
        texts.add(program._program(32)[0].code.text)
    assert len(texts) == 1


def test_what_is_given_is_not_changed():
    net = network(4, 7, 2)
    data = Data(net, "mse", 29)
    program = NativeProgram(NetworkObjective(net, loss("mse")), RULES["adam"]())
    given = net.initial(seed=3)
    kept = [np.array(a) for a in (*flatten(given)[0], data.X, data.T, data.weights, data.order)]
    state = program.start(given)
    first = state.params
    copy = [np.array(a) for a in flatten(first)[0]]
    program.epoch(state, data.X, data.T, data.weights, data.order, 8, np.full(4, 0.1))
    after = [*flatten(given)[0], data.X, data.T, data.weights, data.order]
    for a, b in zip(after, kept, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(flatten(first)[0], copy, strict=True):
        np.testing.assert_array_equal(a, b)


def test_any_layout_of_the_data():
    net = network(4, 7, 2)
    data, other = Data(net, "mse", 29), Data(net, "mse", 29)
    other.X = np.asfortranarray(data.X)
    other.T = np.ascontiguousarray(data.T[::-1])[::-1]
    other.order = data.order.astype(np.int32)
    other.weights = np.broadcast_to(1, 29)
    program = NativeProgram(NetworkObjective(net, loss("mse")), RULES["adam"]())
    assert distance(train(program, net, other, 8)[0], train(program, net, data, 8)[0]) == 0


@pytest.mark.parametrize("order", [[0, 1, 5], [3, -1], [2**40]])
def test_rows_that_do_not_exist(order):
    net = network(2, 3, 1)
    program, data = (
        NativeProgram(NetworkObjective(net, loss("mse")), RULES["sgd"]()),
        Data(net, "mse", 5),
    )
    state = program.start(net.initial(0))
    with pytest.raises(PositionError, match="but there are 5") as caught:
        program.epoch(state, data.X, data.T, data.weights, np.array(order), 2, np.full(2, 0.1))
    assert "행은 5개뿐" in caught.value.said("ko") and state.step == 0


@pytest.mark.parametrize("wrong", ["X", "T", "weights"])
def test_samples_that_do_not_fit(wrong):
    net = network(2, 3, 1)
    program = NativeProgram(NetworkObjective(net, loss("mse")), RULES["sgd"]())
    data = Data(net, "mse", 5)
    setattr(data, wrong, getattr(data, wrong)[..., :0])
    with pytest.raises(ShapeError, match=wrong):
        train(program, net, data, 2)
    with pytest.raises(ShapeError, match=wrong):
        program.loss(net.initial(0), data.X, data.T, data.weights)


def test_no_rows():
    net = network(2, 3, 1)
    program = NativeProgram(NetworkObjective(net, loss("mse")), RULES["sgd"]())
    state, none = program.start(net.initial(0)), np.zeros(0)
    rows = np.zeros((0, 2)), np.zeros((0, 1)), none
    assert program.epoch(state, *rows, np.zeros(0, int), 4, none) == 0.0
    assert program.loss(net.initial(0), *rows) == 0.0


@pytest.mark.parametrize("batch_size", [4, 10, 40, 41])
@pytest.mark.parametrize("way", ["one thread", "threads", "halves", "blocks", "chunks"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_epochs_in_one_call_are_epochs_one_by_one(batch_size, way, dropout, monkeypatch):
    def chosen(*given, **named):
        threads = 1 if way == "one thread" else 2
        apart = way in ("blocks", "chunks")
        lanes, chunks = native_plan.host().lanes(8), {"chunks": 16, "halves": 2}.get(way, 0)
        block = lanes if apart else batch_size
        return native_plan.Plan(lanes, threads > 1, apart, chunks, block, threads)

    monkeypatch.setattr("thalweg.training.native_program.plan", chosen)
    net = Network([Dense(3, 7, "tanh", dropout=dropout), Dense(7, 2)])
    data, random = Data(net, "mse", 41), np.random.default_rng(0)
    samples = Samples(data.X, data.T, random.uniform(0.0, 2.0, 41))
    orders = np.array([random.permutation(41) for _ in range(5)])
    rates = random.uniform(0.001, 0.01, (5, batch_count(41, batch_size)))
    objective = NetworkObjective(net, loss("mse"), Penalty(l2=0.01))
    program = NativeProgram(objective, RULES["adam"](), threads=2)
    one, several = program.start(net.initial(0)), program.start(net.initial(0))
    losses, trail = program.epochs(several, samples, orders, batch_size, rates)
    for k in range(5):
        value = program.epoch(one, *samples, orders[k], batch_size, rates[k])
        assert value == losses[k]
        assert np.array_equal(np.concatenate([a.ravel() for a in flatten(one.params)[0]]), trail[k])
    assert several.step == one.step and several.penalty == one.penalty
    for found, wanted in zip(several.memory, one.memory, strict=True):
        assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("most", [0, 1 << 26], ids=["gathered anew", "kept"])
@pytest.mark.parametrize("way", ["one thread", "threads", "halves", "blocks", "chunks", "unrolled"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_batch_of_all_samples_in_one_order(way, most, dropout, monkeypatch):
    def chosen(*given, **named):
        threads = 1 if way in ("one thread", "unrolled") else 2
        apart = way in ("blocks", "chunks")
        lanes, chunks = native_plan.host().lanes(8), {"chunks": 3, "halves": 2}.get(way, 0)
        lanes = 48 if way == "unrolled" else lanes
        block = 2 * lanes if apart else 41
        return native_plan.Plan(
            lanes, threads > 1, apart, chunks, block, threads, way == "unrolled"
        )

    monkeypatch.setattr("thalweg.training.native_program.plan", chosen)
    monkeypatch.setattr("thalweg.compiler.program.MOST_KEPT", most)
    net = Network([Dense(9, 7, "tanh", dropout=dropout), Dense(7, 2)])
    data, random = Data(net, "mse", 41), np.random.default_rng(0)
    samples = Samples(data.X, data.T, random.uniform(0.0, 2.0, 41))
    rates = random.uniform(0.001, 0.01, (6, 1))
    program = NativeProgram(NetworkObjective(net, loss("mse")), RULES["adam"](), threads=2)
    one, several = program.start(net.initial(0)), program.start(net.initial(0))
    once, again = np.broadcast_to(data.order, (4, 41)), np.array([data.order[::-1]] * 2)
    found = [program.epochs(several, samples, once, 41, rates[:4])]
    found.append(program.epochs(several, samples, again, 41, rates[4:]))
    losses, trail = (np.concatenate(parts) for parts in zip(*found, strict=True))
    for k, order in enumerate([*once, *again]):
        assert program.epoch(one, *samples, order, 41, rates[k]) == losses[k]
        assert np.array_equal(np.concatenate([a.ravel() for a in flatten(one.params)[0]]), trail[k])
