"""The cache of compiled objects: found by a second process, private, and never trusted blindly."""

import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.compiler import cache
from thalweg.compiler.kernel import shared_kernel
from thalweg.compiler.native import NativeCode
from thalweg.compiler.target import Target, host

ROOT = Path(__file__).parents[2]

PROGRAM = """
import numpy as np
import thalweg as tw
from thalweg.compiler.native import NativeCode
made, emit = [], NativeCode.object_code
NativeCode.object_code = lambda self: made.append(1) or emit(self)
f = tw.compile(tw.value_and_grad(lambda x: (np.tanh(x) ** 2).sum()))
print(len(made), f(np.linspace(0, 1, 37))[0], len(made))
"""
TRAINING = """
from thalweg.compiler.native import NativeCode
made, emit = [], NativeCode.object_code
NativeCode.object_code = lambda self: made.append(1) or emit(self)
import numpy as np
import thalweg as tw
X = np.linspace(-1, 1, 40)[:, None]
network = tw.Network([tw.Dense(1, 5, "tanh"), tw.Dense(5, 1)])
model = tw.fit(network, X, X[:, 0] ** 2, epochs=3, batch_size=8, seed=0)
print(len(made), model.predict(X[:1]))
"""


TEXTS = """
import hashlib, os, sys
import numpy as np
import thalweg as tw
from thalweg.compiler.function import NativeGraph
from tests.compiler.random_functions import RandomFunction, arrays
kept = [bytes(n) for n in os.urandom(200)]  # addresses differ from process to process
for seed in range(25):
    random = np.random.default_rng(seed)
    f = RandomFunction([tuple(map(int, random.integers(0, 999, 4))) for _ in range(12)], 3)
    points = arrays(seed, [(5, 7), (17,)], np.float64)
    graph = tw.trace(tw.value_and_grad(f.total, (0, 1)), *points)
    print(hashlib.sha256(NativeGraph(graph).kernel.code.text.encode()).hexdigest())
"""


def value():
    """Of a function, with nothing kept in memory."""
    shared_kernel.cache_clear()
    return tw.compile(lambda x: tnp.sum(tnp.sin(x) + 0.125 * x))(np.arange(5.0))


WANTED = pytest.approx(np.sum(np.sin(np.arange(5.0))) + 1.25)


@pytest.fixture
def emitted(monkeypatch):
    """A list that grows with every object that is compiled."""
    made, emit = [], NativeCode.object_code

    def counting(self):
        made.append(self.name)
        return emit(self)

    monkeypatch.setattr(NativeCode, "object_code", counting)
    return made


def entries(folder):
    return sorted(folder.rglob("*.o"))


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"THALWEG_CACHE": str(folder)},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_second_process_compiles_nothing(own_cache):
    first, second = run(PROGRAM, own_cache), run(PROGRAM, own_cache)
    assert first[::2] == ["0", "1"]
    assert second[::2] == ["0", "0"]
    assert first[1] == second[1]


def test_a_second_training_compiles_nothing(own_cache):
    first, second = run(TRAINING, own_cache), run(TRAINING, own_cache)
    assert int(first[0]) >= 1
    assert second[0] == "0"
    assert first[1:] == second[1:]


def test_every_process_writes_the_same_code(own_cache):
    first = run(TEXTS, own_cache)
    assert len(first) == 25
    assert run(TEXTS, own_cache) == first


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_entries_are_private(own_cache):
    before = os.umask(0)
    try:
        assert value() == WANTED
    finally:
        os.umask(before)
    assert entries(own_cache)
    for path in [own_cache, *own_cache.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
        lambda data: b"x" + data[1:],
        lambda data: b"\0" * len(data),
    ],
)
def test_damaged_entries_are_made_anew(own_cache, emitted, damage):
    value()
    (entry,) = entries(own_cache)
    good = entry.read_bytes()
    entry.write_bytes(damage(good))
    assert value() == WANTED
    assert len(emitted) == 2
    assert entry.read_bytes() == good
    value()
    assert len(emitted) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_entries_that_others_can_write_are_not_run(own_cache, emitted):
    value()
    (entry,) = entries(own_cache)
    entry.chmod(0o666)
    assert value() == WANTED
    assert len(emitted) == 2
    assert entry.stat().st_mode & 0o777 == 0o600


def test_a_folder_in_place_of_an_entry(own_cache, emitted):
    value()
    (entry,) = entries(own_cache)
    entry.unlink()
    entry.mkdir()
    assert value() == WANTED


def test_an_entry_that_cannot_be_read(own_cache, emitted):
    value()
    (entry,) = entries(own_cache)
    entry.chmod(0)
    assert value() == WANTED


def test_off(monkeypatch, tmp_path, emitted):
    monkeypatch.setenv("THALWEG_CACHE", "0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    value()
    value()
    assert len(emitted) == 2
    assert not list(tmp_path.iterdir())
    assert cache.cache_folder() is None


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.delenv("THALWEG_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert cache.cache_folder() == tmp_path / "thalweg"
    monkeypatch.setenv("THALWEG_CACHE", "~/elsewhere")
    assert "~" not in str(cache.cache_folder())


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch, tmp_path, emitted):
    file = tmp_path / "file"
    file.write_text("in the way")
    for folder in (file, file / "below", "/proc/no/such", "/dev/null/x"):
        monkeypatch.setenv("THALWEG_CACHE", str(folder))
        assert value() == WANTED
    assert len(emitted) == 4


def test_keys(monkeypatch):
    here = host()
    text = "define void @kernel() { ret void }"
    key = cache.object_key(text, here)
    assert key == cache.object_key(text, here)
    others = [
        cache.object_key(text + " ", here),
        cache.object_key(text, Target.named("x86-64-v3")),
        cache.object_key(text, replace(here, cpu="other")),
        cache.object_key(text, replace(here, features=here.features + ",+x")),
        cache.object_key(text, replace(here, triple="other")),
        cache.object_key(text, here, ["sroa"]),
    ]
    cache._versions.cache_clear()
    monkeypatch.setattr("llvmlite.__version__", "0.0.0")
    others.append(cache.object_key(text, here))
    cache._versions.cache_clear()
    monkeypatch.setattr("thalweg.__version__", "0.0.0")
    others.append(cache.object_key(text, here))
    cache._versions.cache_clear()
    assert len({key, *others}) == 1 + len(others)


def write_often(folder, number):
    os.environ["THALWEG_CACHE"] = folder
    binary = b"the same object " * 10_000
    for k in range(30):
        key = f"{k % 3:02d}" * 32
        cache.store_object(key, binary)
        found = cache.load_object(key)
        assert found is None or found == binary
    return number


def test_concurrent_writers(own_cache):
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        done = pool.starmap(write_often, [(str(own_cache), k) for k in range(8)])
    assert done == list(range(8))
    assert len(entries(own_cache)) == 3
    assert not list(own_cache.rglob("*.part"))
