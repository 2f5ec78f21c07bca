"""Tasks on several threads: shares, errors, sleep, and several callers at once."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from thalweg.compiler import native
from thalweg.compiler.crew import NativeTask, run_on_threads
from thalweg.compiler.mailbox import ASLEEP, BOX, FINISHED, PARAMETERS, native_calls
from thalweg.compiler.native import NativeCode

COUNT = f"""
define void @count({PARAMETERS}) {{
entry:
  %place = getelementptr i64, ptr %arguments, i64 %thread
  %before = load i64, ptr %place, align 8
  %after = add i64 %before, %threads
  store i64 %after, ptr %place, align 8
  ret void
}}
"""


@pytest.fixture(scope="module")
def code() -> NativeCode:
    return NativeCode(COUNT, "count")


def counting(code: NativeCode, counts: np.ndarray) -> NativeTask:
    return NativeTask(code.address, (counts.ctypes.data, 0, 0, 0, 0, 0, 1, 0), (code, counts))


@pytest.mark.parametrize("pause", [0.0, 1e-4, 3e-3])
def test_no_task_is_lost_whether_workers_look_or_sleep(code: NativeCode, pause: float) -> None:
    counts = np.zeros(3, np.int64)
    task = counting(code, counts)
    rounds = 2000 if not pause else 60
    for number in range(rounds):
        run_on_threads(task, 3)
        assert (counts == 3 * (number + 1)).all()
        if pause:
            time.sleep(pause * (number % 3))


def test_native_tasks_and_pythons_in_crews_of_several_sizes(code: NativeCode) -> None:
    for number in range(200):
        threads = 2 + number % 3
        counts, seen = np.zeros(threads, np.int64), []
        run_on_threads(counting(code, counts), threads)
        run_on_threads(lambda thread, many, seen=seen: seen.append((thread, many)), threads)
        assert (counts == threads).all()
        assert sorted(seen) == [(k, threads) for k in range(threads)]


def test_a_worker_says_in_native_code_that_a_task_of_pythons_is_done() -> None:
    """There it is told after all that the task has stored, also where stores may overtake."""
    serve, _, _ = native_calls()
    box = np.zeros(BOX, np.int64)
    box[0] = 3
    assert serve(box.ctypes.data, 3, 1) == 3  # nothing new: the worker is to sleep
    assert box[FINISHED] == 3 and box[ASLEEP] == 1


def test_all_errors_are_of_the_task_that_raised_them() -> None:
    def fails(thread: int, threads: int) -> None:
        raise ValueError(thread)

    def fails_beside(thread: int, threads: int) -> None:
        if thread:
            raise ValueError(thread)

    for task in (fails, fails_beside):
        with pytest.raises(ValueError, match=r"[012]"):
            run_on_threads(task, 3)
        run_on_threads(lambda thread, threads: None, 3)  # nothing is left over


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_does_not_wait_for_what_another_thread_compiles(code: NativeCode) -> None:
    def compiles() -> None:
        with native._lock:
            inside.set()
            time.sleep(0.05)

    inside = threading.Event()
    thread = threading.Thread(target=compiles)
    thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        signal.alarm(10)
        os._exit(0 if NativeCode(COUNT, "count").address else 1)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_callers_at_once(code: NativeCode) -> None:
    wrong = []

    def call() -> None:
        counts = np.zeros(2, np.int64)
        task = counting(code, counts)
        for _ in range(300):
            before = counts.copy()
            run_on_threads(task, 2)
            if (counts - before).tolist() not in ([2, 2], [1, 0]):  # with the crew, or alone
                wrong.append(counts - before)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
