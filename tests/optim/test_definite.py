"""Definite systems against LAPACK, residuals, and each other on other numbers of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.compiler.cholesky import cholesky_code, panel_rows, work_bytes
from thalweg.compiler.crew import run_on_threads
from thalweg.compiler.memory import workspace
from thalweg.compiler.native import NativeCode
from thalweg.compiler.target import Target, host
from thalweg.optim import definite
from thalweg.optim.definite import DefiniteSystem


def _matrix(n: int, seed: int = 0) -> np.ndarray:
    A = np.random.default_rng(seed).normal(size=(n + 5, n))
    return A.T @ A


@pytest.fixture
def always_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definite, "NATIVE_FROM", 1)
    monkeypatch.setattr(definite, "THREADS_FROM", 1)


@settings(deadline=None)  # the first example compiles
@given(st.integers(1, 70), st.integers(0, 1000), st.booleans())
def test_solution_is_that_of_numpy(n: int, seed: int, native: bool) -> None:
    A, b = _matrix(n, seed), np.random.default_rng(seed + 1).normal(size=n)
    diagonal = np.linspace(1.0, 2.0, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(definite, "NATIVE_FROM", 1)
        system = DefiniteSystem(n, native)
    system.load(A)
    found = system.solve(diagonal, b)
    wanted = np.linalg.solve(A + np.diag(diagonal), b)
    assert found is not None
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("n", [97, 160, 501])
def test_residual_is_as_small_as_lapacks(n: int) -> None:
    A, b = _matrix(n), np.random.default_rng(1).normal(size=n)
    residuals = []
    for native in (True, False):
        system = DefiniteSystem(n, native)
        system.load(A)
        x = system.solve(np.full(n, 1e-6), b)
        assert x is not None
        error = (A + 1e-6 * np.eye(n)) @ x - b
        residuals.append(np.linalg.norm(error) / (np.linalg.norm(A) * np.linalg.norm(x)))
    assert residuals[0] < 3.0 * residuals[1] + 1e-17


def test_entries_have_the_rows_and_columns_they_say(always_native: None) -> None:
    A = _matrix(37)
    for native in (True, False):
        system = DefiniteSystem(37, native)
        system.panels[:] = A[system.entries]
        other = DefiniteSystem(37, native)
        other.load(A)
        b = np.arange(37.0)
        np.testing.assert_array_equal(system.solve(np.ones(37), b), other.solve(np.ones(37), b))


@pytest.mark.parametrize("n", [5, 97, 350])
def test_panels_are_gathered_from_numbers_in_any_order(n: int) -> None:
    A, b = _matrix(n), np.arange(float(n))
    order = np.random.default_rng(0).permutation(n * n)
    place = np.argsort(order).reshape(n, n)
    for native in (True, False):
        system, other = DefiniteSystem(n, native), DefiniteSystem(n, native)
        other.load(A)
        found = system.solve(np.ones(n), b, (A.ravel()[order], place[system.entries]))
        np.testing.assert_array_equal(found, other.solve(np.ones(n), b))


@pytest.mark.parametrize("n", [1, 16, 40, 130])
@pytest.mark.parametrize("spoil", [-1e9, np.nan])
def test_no_solution_of_what_is_not_definite(always_native: None, n: int, spoil: float) -> None:
    for native in (True, False):
        system = DefiniteSystem(n, native)
        for place in {0, n // 2, n - 1}:
            diagonal = np.ones(n)
            diagonal[place] = spoil
            system.load(_matrix(n))
            assert system.solve(diagonal, np.ones(n)) is None
        spoilt = _matrix(n)
        spoilt[n - 1, 0] = np.nan
        system.load(spoilt)
        assert system.solve(np.ones(n), np.ones(n)) is None
        system.load(_matrix(n))
        found = system.solve(np.ones(n), np.ones(n))  # the next one is not spoilt
        assert found is not None
        np.testing.assert_allclose((_matrix(n) + np.eye(n)) @ found, 1.0)


@pytest.mark.parametrize("n", [7, 40, 130])
def test_lower_triangle_is_enough(always_native: None, n: int) -> None:
    A, b = _matrix(n), np.ones(n)
    for native in (True, False):
        whole, lower = DefiniteSystem(n, native), DefiniteSystem(n, native)
        whole.load(A)
        lower.load(np.tril(A))
        np.testing.assert_array_equal(whole.solve(b, b), lower.solve(b, b))


@pytest.mark.parametrize("native", [True, False])
def test_solution_that_is_not_finite_is_none(always_native: None, native: bool) -> None:
    system = DefiniteSystem(20, native)
    system.load(_matrix(20))
    assert system.solve(np.ones(20), np.full(20, np.inf)) is None


def _solve(code: NativeCode, n: int, threads: int) -> np.ndarray:
    system = DefiniteSystem(n)
    system.load(_matrix(n))
    system.right[:n], system.right[n:] = np.arange(n), 0.0
    system.added[:] = 1.0
    system.work = workspace(work_bytes(threads))
    run_on_threads(system.task(code), threads)
    assert system.right[-1] == 1.0
    return system.right[:n].copy()


def test_bits_do_not_depend_on_threads() -> None:
    code = cholesky_code()
    one, *others = (_solve(code, 203, threads) for threads in (1, 2, 3, 4))
    for other in others:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_other_levels_of_this_processor(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target.named(level)
    if target.vector_bytes > host().vector_bytes:
        pytest.skip("this processor has no such vectors")
    monkeypatch.setattr(definite, "panel_rows", lambda: panel_rows(target))
    found = _solve(cholesky_code(target), 131, 1)
    wanted = np.linalg.solve(_matrix(131) + np.eye(131), np.arange(131.0))
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


def test_code_for_arm_can_be_written() -> None:
    assert "fmla" in cholesky_code(Target.named("aarch64")).assembly()
