"""Sums beside products: what moves, what must not, and that it is added up once."""

from itertools import pairwise

import numpy as np
import pytest

from thalweg.compiler.beside import sums_beside_products
from thalweg.compiler.loops import (
    PANELS,
    Access,
    Apply,
    Buffer,
    Load,
    Nest,
    Reduced,
    Reduction,
    Store,
)
from thalweg.compiler.target import host
from thalweg.compiler.vectorise import vectorise
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Adam
from thalweg.training import native_plan
from thalweg.training.native_plan import plan
from thalweg.training.native_program import NativeProgram
from thalweg.training.program import Program
from thalweg.trees import flatten


def rows(name, count):
    return Buffer(name, (count, 32), "float32", "temporary", True)


def product(left, right, name="W"):
    """Sums over samples of left[i]·right[j]."""
    n, m = left.shape[0], right.shape[0]
    loads = (
        Load(Access(left, (32, 0, left.size, 1))),
        Load(Access(right, (0, 32, right.size, 1))),
    )
    value = Apply("multiply", loads, "float32")
    out = Buffer(name, (n, m), "float32", "state")
    store = Store(Access(out, (m, 1)), Reduced(0, "float32", frozenset({0, 1})))
    return Nest((n, m), [store], (PANELS, 32), [Reduction("sum", value)])


def plain(buffer, name="b"):
    """Sums over samples of its rows."""
    value = Load(Access(buffer, (32, buffer.size, 1)))
    out = Buffer(name, buffer.shape[:1], "float32", "state")
    store = Store(Access(out, (1,)), Reduced(0, "float32", frozenset({0})))
    return Nest(out.shape, [store], (PANELS, 32), [Reduction("sum", value)])


def joined(*nests):
    vectorise(nests, host())
    return sums_beside_products(nests)


def test_a_sum_moves_to_the_product_that_reads_the_same():
    d, a, e = rows("d", 7), rows("a", 9), rows("e", 5)
    one, other = joined(product(d, a), product(e, a, "V"), plain(d))[:2]
    assert str(one).splitlines()[2:] == [
        "        r0 = sum multiply(d[32*i0 + 224*i2 + i3], a[32*i1 + 288*i2 + i3])",
        "        r1 = sum d[32*i0 + 224*i2 + i3]",
        "    W[9*i0 + i1] = r0",
        "    b[i0] = r1",
    ]
    assert len(other.reductions) == 1


def test_what_is_read_along_the_other_axis_or_elsewhere_stays():
    d, a, e = rows("d", 7), rows("a", 7), rows("e", 7)
    assert len(joined(product(d, a), plain(a))) == 2
    assert len(joined(product(d, a), plain(e))) == 2


def test_a_sum_does_not_pass_one_that_writes_what_it_needs():
    d, a = rows("d", 7), rows("a", 9)
    before, sum_ = product(d, a), plain(d)
    into = Store(Access(d, (0,)), Reduced(0, "float32", frozenset({0})))
    between = Nest((7,), [into], (PANELS, 32), [plain(a).reductions[0]])
    assert len(joined(before, between, sum_)) == 3


@pytest.mark.parametrize("sizes", [(4, 32, 16, 4), (3, 9, 37, 2), (1, 5, 1)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_biases_of_a_chunked_batch(sizes, dtype, monkeypatch):
    """In blocks of a chunk and over several tiles of columns, each bias gets its sum once."""
    monkeypatch.setattr(native_plan, "CACHE_BYTES", 50_000)
    monkeypatch.setattr(native_plan, "WORK_PER_THREAD", 1.0)
    layers = [Dense(n, m, "tanh") for n, m in pairwise(sizes)]
    net = Network(layers)
    objective = NetworkObjective(net, loss("mse"))
    random = np.random.default_rng(3)
    X, T = random.normal(size=(5003, sizes[0])), random.normal(size=(5003, sizes[-1]))
    X, T = X.astype(dtype), T.astype(dtype)
    chosen = plan(net, 5003, np.dtype(dtype), 3, everything=True)
    assert chosen.chunks and chosen.block * chosen.chunks < 5003
    found = []
    for kind, threads in [(Program, {}), *((NativeProgram, {"threads": k}) for k in (1, 2, 3))]:
        program = kind(objective, Adam(), dtype, **threads)
        state = program.start(net.initial(1))
        order, weights = np.arange(5003), np.ones(5003, dtype)
        for _ in range(2):
            program.epoch(state, X, T, weights, order, 5003, np.full(1, 0.01))
        found.append(np.concatenate([a.ravel() for a in flatten(state.params)[0]]))
    (native,) = program._programs.values()
    apart = [n for n in native.nests if len(n.axes) == 1 < len(n.reduced)]
    assert not apart or 1 in sizes
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    assert np.allclose(found[0], found[1], rtol=tolerance, atol=tolerance)
    assert np.array_equal(found[1], found[2]) and np.array_equal(found[1], found[3])
