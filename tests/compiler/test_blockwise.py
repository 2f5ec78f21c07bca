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
    sums = BlockSums(_graph(), [[W, x] for x in blocks], threads)
    for _ in range(2):  # what the arrays hold counts, and nothing is left over
        np.testing.assert_allclose(sums.total(), _wanted(W, blocks), rtol=1e-12, atol=1e-12)
        W *= 0.5


def test_the_sum_of_no_blocks_is_zero():
    np.testing.assert_array_equal(BlockSums(_graph(), [], 2).total(), np.zeros(29))


def test_bits_do_not_depend_on_threads():
    W, blocks = RNG.normal(size=(5, 7)), RNG.normal(size=(11, 40, 7))
    given = [[W, x] for x in blocks]
    one, *others = (BlockSums(_graph(), given, n).total() for n in (1, 2, 3, 4))
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_an_earlier_result_stays_as_it_was():
    W, x = RNG.normal(size=(5, 7)), RNG.normal(size=(40, 7))
    sums = BlockSums(_graph(), [[W, x]], 2)
    first = sums.total()
    kept = first.copy()
    x += 1.0
    sums.total()
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("W", [np.zeros((7, 5)).T, np.zeros((5, 7), np.float32), np.zeros((7, 5))])
def test_arrays_that_native_code_would_misread_are_refused(W):
    with pytest.raises(CompilerError, match="contiguous"):
        BlockSums(_graph(), [[W, np.zeros((40, 7))]], 1)


def test_only_floats_are_added_up():
    x = variable((3,), "float64")
    with pytest.raises(CompilerError, match="float64"):
        BlockSums(Graph((x,), (x > 0,)), [[np.zeros(3)]], 1)
