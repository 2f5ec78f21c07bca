"""The threads that run native code together, kept ready between calls.

Waking a thread takes longer than many a training step. A worker therefore looks out for its next
task for a moment, without the GIL and offering its processor to others, before it sleeps.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from thalweg.compiler.mailbox import (
    ASLEEP,
    BOX,
    PUBLISH,
    THREAD,
    THREADS,
    WORDS,
    WORK,
    native_calls,
)
from thalweg.interrupts import held_back

__all__ = ["NativeTask", "Task", "run_on_threads"]

ROUNDS = 1000
"""Times a worker offers its processor before it sleeps: about half a millisecond."""

Task = Callable[[int, int], None]
NATIVE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *(ctypes.c_int64,) * (WORDS - 1))


class NativeTask:
    """A native function with its eight words, which workers run without Python.

    Parameters
    ----------
    address : int
    words : sequence of int
        The first is an address; the sixth and seventh are the thread's number and their count.
    kept : object
        What must be there as long as this may run.
    """

    def __init__(self, address: int, words: Sequence[int], kept: object) -> None:
        self.address, self.function, self.kept = address, NATIVE(address), kept
        self.words = (ctypes.c_int64 * WORDS)(*words)

    def __call__(self, thread: int, threads: int) -> None:
        """One thread's share, as `Task` promises."""
        words = list(self.words)
        words[THREAD], words[THREADS] = thread, threads
        self.function(*words)


class _Crew:
    """Workers 1, 2, ..., beside the caller, who is number 0."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.serve, self.conduct, self.codes = native_calls()
        self.boxes = np.zeros((count + 1, BOX), np.int64)
        self.address = int(self.boxes.ctypes.data)
        self.bells: list[SimpleQueue[None]] = [SimpleQueue() for _ in range(count + 1)]
        self.none = (ctypes.c_int64 * WORDS)()
        self.task: Task | None = None
        self.errors: list[BaseException] = []
        self.threads = [
            threading.Thread(target=self._work, args=(n,), name=f"thalweg-{n}", daemon=True)
            for n in range(1, count + 1)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, task: Task) -> None:
        """Run the task on all and wait for them."""
        if isinstance(task, NativeTask):
            task.words[THREAD], task.words[THREADS] = 0, self.count + 1
            if self._conduct(task.address, task.words, PUBLISH | WORK):
                self._ring()
                self._conduct(task.address, task.words, WORK)
            return
        self.task = task
        self._call()
        try:
            task(0, self.count + 1)
        finally:
            self._conduct(None, self.none, WORK)
            self.task = None
            errors, self.errors = self.errors, []
        if errors:
            raise errors[0]

    def dismiss(self) -> None:
        """End the threads."""
        self.task = None
        self._call()
        for thread in self.threads:
            thread.join(timeout=1.0)

    def _conduct(self, function: int | None, words: Any, what: int) -> bool:
        return bool(self.conduct(self.address, self.count, function, words, what))

    def _call(self) -> None:
        if self._conduct(None, self.none, PUBLISH):
            self._ring()

    def _ring(self) -> None:
        for n in range(1, self.count + 1):
            if self.boxes[n, ASLEEP]:
                self.boxes[n, ASLEEP] = 0
                self.bells[n].put(None)

    def _work(self, n: int) -> None:
        seen = 0
        while True:
            number = self.serve(self.address + 8 * BOX * n, seen, ROUNDS)
            if number >= 0:
                seen = number
                self.bells[n].get()
                continue
            seen = -number
            task = self.task
            if task is None:
                return
            try:
                task(n, self.count + 1)
            except BaseException as error:  # told by the caller's thread
                self.errors.append(error)
            del task


_crews: dict[int, _Crew] = {}
_one_at_a_time = threading.Lock()


def run_on_threads(task: Task, threads: int) -> None:
    """Run ``task(number, threads)`` on several threads at once and wait for all of them.

    An interrupt is raised only after all have finished, so that no state is left half changed.
    While another thread of this process has the crew, the task is run by the caller alone.

    Parameters
    ----------
    task : callable
        Releases the GIL; waits for the others inside.
    threads : int
        At most so many.
    """
    if threads == 1 or not _run_by_crew(task, threads):
        task(0, 1)


def _run_by_crew(task: Task, threads: int) -> bool:
    """Whether there was no other thread that has the crew."""
    with held_back():  # also from the lock's being taken until it is given back
        if not _one_at_a_time.acquire(blocking=False):
            return False
        try:
            crew = _crews.get(threads)
            if crew is None:
                crew = _crews[threads] = _Crew(threads - 1)
            crew.run(task)
        finally:
            _one_at_a_time.release()
    return True


def _dismiss_all() -> None:
    if not _one_at_a_time.acquire(blocking=False):  # a daemon thread is at work: all end with it
        return
    for crew in _crews.values():
        crew.dismiss()


def _start_anew() -> None:
    """In a forked child: no thread of the parent's, and no lock one of them may have held."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    _crews.clear()


atexit.register(_dismiss_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
