"""Code for other processors: run where this one can, and at least written where it cannot."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from tests.compiler.random_functions import RandomFunction, arrays, check

import thalweg as tw
import thalweg.numpy as tnp
from thalweg.compiler import target
from thalweg.compiler.function import CompiledFunction, NativeGraph
from thalweg.compiler.program import BatchProgram
from thalweg.compiler.target import Target, available_threads, host
from thalweg.errors import CompilerError, OptionError
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.optim.rules import Adam
from thalweg.training.native_program import NativeProgram

LEVELS = {
    "x86-64-v2": ("sse4.2", "ssse3"),
    "x86-64-v3": ("avx2", "fma", "f16c"),
    "x86-64-v4": ("avx512f", "avx512dq", "avx512vl", "avx512bw"),
}
NAMES = [*LEVELS, "aarch64"]

pytestmark = pytest.mark.usefixtures("no_cache")


def runs_here(name):
    import llvmlite.binding as llvm

    if platform.machine().lower() not in ("x86_64", "amd64") or name not in LEVELS:
        return False
    features = llvm.get_host_cpu_features()
    return all(features.get(f) for f in LEVELS[name])


FUNCTIONS = {
    "elementary": lambda x: [
        f(0.3 * x)
        for f in (tnp.exp, tnp.sin, tnp.tanh, tnp.erf, tnp.log1p, tnp.sigmoid, tnp.arctan)
    ],
    "sums": lambda x: (tnp.sum(x), tnp.sum(x, 0), tnp.max(x, -1), tnp.any(x > 1, 0)),
    "product": lambda x: x @ tnp.tanh(x).T,
    "softmax": lambda x: tnp.softmax(x, axis=-1),
    "choice": lambda x: tnp.where(x > 0, tnp.floor(x * 3), tnp.remainder(x, 0.7)),
    "integers": lambda x: tnp.argmax(x, axis=1) * tnp.cumsum(x > 0.1, axis=1)[:, -1],
    "moves": lambda x: tnp.concatenate([x[::-1], x[:, ::-1] + x[np.array([0] * len(x))]]),
    "gradient": tw.grad(lambda x: tnp.sum(tnp.logsumexp(x, axis=1) * tnp.norm(x, axis=1))),
}


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_levels_run(name, function):
    if not runs_here(name):
        pytest.skip(f"this processor is no {name}")
    target = Target.named(name)
    for shape in ((3, 5), (29, 19), (1, 33)):
        points = arrays(3, [shape], np.float64)
        check(FUNCTIONS[function], points, CompiledFunction(FUNCTIONS[function], target))


@pytest.mark.parametrize("name", LEVELS)
def test_levels_run_random_functions(name):
    if not runs_here(name):
        pytest.skip(f"this processor is no {name}")
    for seed in range(12):
        random = np.random.default_rng(seed)
        f = RandomFunction([tuple(map(int, random.integers(0, 999, 4))) for _ in range(10)], 3)
        points = arrays(seed, [(5, 7), (17,)], np.float64)
        check(f, points, CompiledFunction(f, Target.named(name)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_assembly_is_written(name, function, dtype):
    x = arrays(3, [(29, 19)], dtype)[0]
    native = NativeGraph(tw.trace(FUNCTIONS[function], x), Target.named(name))
    assert "kernel" in native.show("asm")
    assert native.kernel.code.object_code()[:4] == b"\x7fELF"


def test_vectors_are_used():
    x = np.ones(1000, np.float32)
    signs = {"x86-64-v2": "xmm", "x86-64-v3": "ymm", "x86-64-v4": "zmm", "aarch64": ".4s"}
    for name, sign in signs.items():
        native = NativeGraph(tw.trace(lambda x: x * x + 1, x), Target.named(name))
        assert sign in native.show("asm")


def step(dtype="float32"):
    network = Network([Dense(5, 13, "tanh"), Dense(13, 3, "softmax")])
    objective = NetworkObjective(network, loss("cross_entropy"))
    return NativeProgram(objective, Adam(), dtype)._step("step")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_training_program_is_written(name, dtype):
    target = Target.named(name)
    program = BatchProgram(step(dtype), target.lanes(np.dtype(dtype).itemsize), target=target)
    assert len(program.code.object_code()) > 1000


@pytest.mark.parametrize("name", LEVELS)
def test_another_process_obeys_the_environment(name):
    if not runs_here(name):
        pytest.skip(f"this processor is no {name}")
    code = (
        "import numpy as np, thalweg as tw\n"
        "from thalweg.compiler.target import host\n"
        "f = tw.compile(lambda x: (np.tanh(x) @ x.T).sum())\n"
        "x = np.linspace(-1, 1, 35).reshape(5, 7)\n"
        "print(host().vector_bytes, bool(np.isclose(f(x), (np.tanh(x) @ x.T).sum())))\n"
    )
    environment = os.environ | {"THALWEG_TARGET": name}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == [str(Target.named(name).vector_bytes), "True"], done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_run_here_is_refused(name, monkeypatch):
    if Target.named(name).runs_here:
        pytest.skip(f"this processor is {name}")
    monkeypatch.setenv("THALWEG_TARGET", name)
    host.cache_clear()
    with pytest.raises(OptionError, match=f"THALWEG_TARGET={name} needs another processor"):
        host()
    monkeypatch.undo()
    host.cache_clear()
    with pytest.raises(CompilerError, match="does not run on this processor"):
        CompiledFunction(lambda x: x + 1.0, Target.named(name))(np.ones(3))


def test_names():
    with pytest.raises(OptionError, match="x86-64-v4"):
        Target.named("x86-64-v5")
    assert host().lanes(1000) == 1
    assert Target.named("x86-64-v3").lanes(4) == 8


def test_threads_respect_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert available_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert available_threads() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "100000")
    if hasattr(os, "sched_getaffinity"):
        assert available_threads() == len(os.sched_getaffinity(0))


def test_threads_respect_a_containers_share(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = available_threads()
    for text, most in (
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("max 100000", before),
        ("", before),
    ):
        share = tmp_path / "cpu.max"
        share.write_text(text)
        monkeypatch.setattr(target, "CONTAINER_SHARE", share)
        target._container_share.cache_clear()
        assert available_threads() == min(most, before)
    target._container_share.cache_clear()
