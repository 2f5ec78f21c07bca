"""Native code touches no byte outside its arrays: each lies against a page that may not be touched.

A read or write one element too far ends the process with a segmentation fault.
"""

import ctypes
import mmap
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.compiler.random_functions import arrays, close, error, functions

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.compiler.kernel import Kernel
from thalweg.compiler.target import host
from thalweg.interpreter import interpret

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="uses mprotect"),
    pytest.mark.usefixtures("no_cache"),
    pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning"),
]
PAGE = mmap.PAGESIZE
ROOT = Path(__file__).parents[2]
FAST = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Guarded:
    """Bytes between two forbidden pages, against the upper or the lower one."""

    def __init__(self, size, at_end):
        pages = -(-max(size, 1) // PAGE)
        self.map = mmap.mmap(-1, (pages + 2) * PAGE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.inside = self.start + PAGE
        self.guards = [self.start, self.inside + pages * PAGE]
        self.protect(0)
        self.address = self.guards[1] - size if at_end else self.inside
        self.size = size

    def protect(self, rights):
        for page in self.guards:
            done = self.libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), rights)
            assert done == 0, ctypes.get_errno()

    def fill(self, array):
        ctypes.memmove(self.address, np.ascontiguousarray(array).ctypes.data, array.nbytes)

    def read(self, shape, dtype):
        data = ctypes.string_at(self.address, self.size)
        return np.frombuffer(data, dtype, int(np.prod(shape))).reshape(shape)

    def close(self):
        self.protect(mmap.PROT_READ | mmap.PROT_WRITE)


def run_guarded(graph, arguments, at_end, target=None):
    """The results of a native graph on guarded memory."""
    native = Kernel(graph, target or host())
    native.numbers = False  # as arrays, whatever they are
    native.code = type(native.code)(native.text(), "kernel", native.target)
    given = [np.asarray(a, n.dtype) for a, n in zip(arguments, graph.inputs, strict=True)]
    fixed = [np.asarray(b.value) for b in native.constants]
    sizes = [b.bytes for b in native.results]
    regions = [Guarded(a.nbytes, at_end) for a in given]
    regions += [Guarded(n, at_end) for n in sizes]
    regions += [Guarded(a.nbytes, at_end) for a in fixed]
    if native.memory.size():
        regions.append(Guarded(native.memory.size(), at_end))
    for region, array in zip(regions, [*given, *sizes, *fixed], strict=False):
        if isinstance(array, np.ndarray):
            region.fill(array)
    pointers = [ctypes.c_void_p(r.address) for r in regions]
    count = len(given) + len(sizes) + len(fixed)
    table = [ctypes.addressof(p) for p in pointers[:count]]
    table += [r.address for r in regions[count:]]
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(native.code.address)
    call((ctypes.c_void_p * len(table))(*table))
    results = regions[len(given) : len(given) + len(sizes)]
    found = [r.read(b.shape, b.dtype) for r, b in zip(results, native.results, strict=True)]
    for region in regions:
        region.close()
    return found[: len(graph.outputs)]


def check_guarded(f, points, target=None):
    exact = interpret(tw.trace(f, *points), points)
    short = [np.asarray(p, np.float32) if p.dtype.kind == "f" else p for p in points]
    rounded = interpret(tw.trace(f, *short), short)
    for inputs, wanted, fraction in ((points, exact, 2.0**-29), (short, rounded, 1.0)):
        for at_end in (True, False):
            found = run_guarded(tw.trace(f, *inputs), inputs, at_end, target)
            for a, b, best, rough in zip(found, wanted, exact, rounded, strict=True):
                close(a, b, error(best, rough), fraction)


@FAST
@given(functions())
def test_random_functions(drawn):
    check_guarded(*drawn)


@FAST
@given(functions())
def test_random_gradients(drawn):
    f, points = drawn
    check_guarded(tw.grad(f.total, argnums=tuple(range(len(points)))), points)


@pytest.mark.slow
@settings(FAST, max_examples=500, derandomize=False)
@given(functions())
def test_many_random_gradients(drawn):
    f, points = drawn
    check_guarded(tw.grad(f.total, argnums=tuple(range(len(points)))), points)


PATTERNS = {
    "elementwise": lambda x: tnp.tanh(x) * x,
    "rows": lambda x: tnp.sum(x * x, axis=-1),
    "columns": lambda x: tnp.max(x, axis=0) + tnp.sum(tnp.sin(x), axis=0),
    "product": lambda x: x @ x.T,
    "gram": lambda x: x.T @ x,
    "flip": lambda x: x[::-1, ::-1] + x,
    "strided": lambda x: x[:, ::3] * 2,
    "transpose": lambda x: tnp.sin(x.T),
    "running": lambda x: tnp.cumsum(x, axis=1),
    "bools": lambda x: ((x > 0) & (x < 1)) | (x[:, :1] > 0.5),
    "found": lambda x: tnp.argmax(x, axis=1),
    "joined": lambda x: tnp.concatenate([x, x[:, :1]], 1),
}


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 31, 33, 63, 67])
def test_every_remainder(name, columns):
    for rows in (1, 2, 5, 29):
        check_guarded(PATTERNS[name], arrays(1, [(rows, columns)], np.float64))


def test_a_guard_would_be_noticed():
    code = (
        "import ctypes\nfrom tests.compiler.test_bounds import Guarded\n"
        "ctypes.string_at(Guarded(8, at_end=True).address, 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT)
    assert done.returncode == -signal.SIGSEGV
