"""The threads that run native code together, kept ready between calls.

Waking a thread takes longer than many a training step. A worker therefore looks out for its next
task for a moment, without the GIL and offering its processor to others, before it sleeps.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from queue import SimpleQueue
from typing import Any

import numpy as np

from thalweg.compiler.native import NativeCode
from thalweg.compiler.target import YIELD
from thalweg.interrupts import held_back

__all__ = ["Task", "run_on_threads"]

ROUNDS = 1000
"""Times a worker offers its processor before it sleeps: about half a millisecond."""

LINE = 16
"""Numbers of eight bytes that keep what two threads write on different cache lines."""

Task = Callable[[int, int], None]

WAIT = f"""
declare i32 @{YIELD}()
define i32 @wait_for_change(ptr %place, i64 %seen, i64 %rounds) #0 {{
entry:
  br label %round
round:
  %number = phi i64 [ 0, %entry ], [ %following, %offer ]
  br label %look
look:
  %turn = phi i64 [ 0, %round ], [ %again, %same ]
  %now = load atomic i64, ptr %place acquire, align 8
  %changed = icmp ne i64 %now, %seen
  br i1 %changed, label %yes, label %same
same:
  %again = add i64 %turn, 1
  %tired = icmp sgt i64 %again, 100
  br i1 %tired, label %offer, label %look
offer:
  %ignored = call i32 @{YIELD}()
  %following = add i64 %number, 1
  %enough = icmp sge i64 %following, %rounds
  br i1 %enough, label %no, label %round
yes:
  ret i32 1
no:
  ret i32 0
}}
attributes #0 = {{ nounwind }}
"""


@lru_cache(maxsize=1)
def _native_wait() -> tuple[NativeCode, Any]:
    """``wait(address, seen, rounds)``: whether the number there is not `seen` any more."""
    code = NativeCode(WAIT, "wait_for_change")
    kinds = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    return code, ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(code.address)


class _Crew:
    """Workers 1, 2, ..., beside the caller, who is number 0."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.code, self.wait = _native_wait()
        self.given = np.zeros((count + 1, LINE), np.int64)
        self.finished = np.zeros((count + 1, LINE), np.int64)
        self.asleep = [False] * (count + 1)
        self.bells: list[SimpleQueue[None]] = [SimpleQueue() for _ in range(count + 1)]
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
        self.task = task
        self._call()
        try:
            task(0, self.count + 1)
        finally:
            for n in range(1, self.count + 1):
                self._join(n)
            self.task = None
        if self.errors:
            raise self.errors.pop()

    def dismiss(self) -> None:
        """End the threads."""
        self.task = None
        self._call()
        for thread in self.threads:
            thread.join(timeout=1.0)

    def _call(self) -> None:
        for n in range(1, self.count + 1):
            self.given[n, 0] += 1
            if self.asleep[n]:
                self.bells[n].put(None)

    def _join(self, n: int) -> None:
        wanted = int(self.given[n, 0])
        while self.finished[n, 0] != wanted:
            self.wait(_address(self.finished, n), int(self.finished[n, 0]), ROUNDS)

    def _work(self, n: int) -> None:
        seen = 0
        place = _address(self.given, n)
        while True:
            if not self.wait(place, seen, ROUNDS):
                self.asleep[n] = True
                if self.given[n, 0] == seen:  # looked at after the flag: a call rings or is seen
                    self.bells[n].get()
                self.asleep[n] = False
                continue
            seen += 1
            task = self.task
            if task is None:
                return
            try:
                task(n, self.count + 1)
            except BaseException as error:  # told by the caller's thread
                self.errors.append(error)
            del task
            self.finished[n, 0] = seen


def _address(places: np.ndarray[Any, Any], n: int) -> int:
    return int(places.ctypes.data) + n * LINE * 8


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
    if threads == 1 or not _one_at_a_time.acquire(blocking=False):
        task(0, 1)
        return
    try:
        with held_back():
            crew = _crews.get(threads)
            if crew is None:
                crew = _crews[threads] = _Crew(threads - 1)
            crew.run(task)
    finally:
        _one_at_a_time.release()


def _dismiss_all() -> None:
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
