"""Memory of results is used again, and never while anybody can still read it."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.results import KEPT, LARGE, Results

FLOAT = np.dtype("float64")


@pytest.fixture
def twice():
    return tw.compile(lambda x: 2.0 * x)


def test_results_that_are_kept_keep_their_values(twice):
    size = LARGE // 8
    kept = [twice(np.full(size, float(k))) for k in range(20)]
    for k, array in enumerate(kept):
        assert np.all(array == 2.0 * k)


@pytest.mark.parametrize("part", [lambda a: a[5:9], lambda a: a.T, memoryview, lambda a: a.flat])
def test_a_part_of_a_result_is_enough(twice, part):
    x = np.ones((300, 300))
    seen = part(twice(x))
    for _ in range(4):
        twice(7.0 * x)
    assert np.all(np.asarray(seen) == 2.0)


def test_memory_is_used_again():
    results, places = Results(), set()
    for _ in range(10):
        array = results.array((LARGE,), FLOAT)
        places.add(array.ctypes.data)
    assert len(places) == 2  # the new one is there before the old one goes


def test_sizes_and_dtypes_may_change():
    results = Results()
    first = results.array((LARGE // 8,), FLOAT)
    place = first.ctypes.data
    del first
    other = results.array((2, LARGE // 8), np.dtype("float32"))
    assert other.ctypes.data == place
    assert other.shape == (2, LARGE // 8) and other.flags.c_contiguous and other.flags.writeable
    assert results.array((LARGE,), FLOAT).nbytes == 8 * LARGE


def test_little_is_kept():
    results = Results()
    for k in range(200):
        results.array((LARGE + k,), FLOAT)
        assert sum(room.nbytes for room in results._rooms) <= KEPT
    assert results.array((KEPT,), FLOAT).base is None
    assert results.array((3,), FLOAT).base is None


def test_threads_share_it(twice):
    size = LARGE // 8

    def work(number):
        held = []
        for k in range(50):
            held = [*held[-2:], (number + k, twice(np.full(size, number + k + 0.0)))]
            if any(np.any(array != 2.0 * value) for value, array in held):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(0, 400, 100)))
    gc.collect()
