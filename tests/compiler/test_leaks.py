"""Compilations leave nothing behind."""

import gc
import sys

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
    pytest.mark.usefixtures("no_cache"),
]


def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def compile_one(number):
    """A function that differs from all others in a constant."""
    f = tw.compile(tw.grad(lambda x: tnp.sum(tnp.sin(number * x) + x @ x)))
    assert f(np.ones(5)).shape == (5,)


def growth(count, before=200):
    for number in range(before):
        compile_one(number / 7)
    start = resident()
    for number in range(count):
        compile_one(1000 + number / 3)
    return resident() - start


def test_some_compilations():
    assert growth(300) < 300 * 4096


@pytest.mark.slow
def test_ten_thousand_compilations():
    assert growth(10_000) < 8e6


def test_calls():
    f = tw.compile(lambda x: (tnp.softmax(x @ x.T), x + 1))
    g = tw.compile(lambda x, y: x * y + 1)
    x = np.ones((50, 50))
    for _ in range(200):
        f(x), g(1.0, 2.0)
    start = resident()
    for _ in range(3000):
        f(x), g(1.0, 2.0)
    assert resident() - start < 2e6
