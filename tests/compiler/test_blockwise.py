"""Sums over blocks against NumPy, and their bits on other numbers of threads."""

import numpy as np
import pytest

import thalweg.numpy as tnp
from thalweg.compiler.blockwise import BlockSums
from thalweg.errors import CompilerError
from thalweg.graph import Graph, variable

RNG = np.random.default_rng(5)
K = RNG.normal(size=(7, 3))


def _graph():
    """Of a matrix that all blocks share and of a block; one with temporaries and a constant."""
    W, x = variable((5, 7), "float64"), variable((40, 7), "float64")
    y = tnp.tanh(x @ W.T)
    return Graph((W, x), (tnp.sum(y), tnp.transpose(y) @ y, x[0] @ tnp.asarray(K)))


def _wanted(W, blocks):
    def of_one(x):
        y = np.tanh(x @ W.T)
        return np.concatenate([[y.sum()], (y.T @ y).ravel(), x[0] @ K])

    return sum(of_one(x) for x in blocks)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 5, 13])
def test_sums_are_those_of_numpy(threads, count):
    W, blocks = RNG.normal(size=(5, 7)), RNG.normal(size=(count, 40, 7))
    sums = BlockSums(_graph(), threads)
    for _ in range(2):  # nothing is left over from the call before
        found = sums.total([W, x] for x in blocks)
        np.testing.assert_allclose(found, _wanted(W, blocks), rtol=1e-12, atol=1e-12)


def test_bits_do_not_depend_on_threads():
    W, blocks = RNG.normal(size=(5, 7)), RNG.normal(size=(11, 40, 7))
    one, *others = (BlockSums(_graph(), n).total([W, x] for x in blocks) for n in (1, 2, 3, 4))
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_arguments_of_other_layouts_and_dtypes():
    W, blocks = RNG.normal(size=(7, 5)).T, RNG.normal(size=(2, 40, 7)).astype(np.float32)
    found = BlockSums(_graph(), 2).total([W, x] for x in blocks)
    np.testing.assert_allclose(found, _wanted(W, blocks.astype(np.float64)), rtol=1e-12)


def test_an_earlier_result_stays_as_it_was():
    W, blocks = RNG.normal(size=(5, 7)), RNG.normal(size=(2, 40, 7))
    sums = BlockSums(_graph(), 2)
    first = sums.total([[W, blocks[0]]])
    kept = first.copy()
    sums.total([[W, blocks[1]]])
    np.testing.assert_array_equal(first, kept)


def test_only_floats_are_added_up():
    x = variable((3,), "float64")
    with pytest.raises(CompilerError, match="float64"):
        BlockSums(Graph((x,), (x > 0,)), 1)
