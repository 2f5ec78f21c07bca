"""Native work that may take long is done by other threads, so that Ctrl-C is heard at once.

A signal is handled by Python code of the main thread, which native code would hold up. So the
main thread waits in short slices while threads of their own work. An interrupt leaves them
behind: they keep what they work on alive, are told to give up, and nobody looks at what they
leave there.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread

from thalweg.compiler.crew import Task, run_on_threads
from thalweg.interrupts import held_back, in_main_thread

__all__ = ["LONGEST_CALL", "run_patiently"]

LONGEST_CALL = 0.05
"""Seconds after which Python is returned to."""


def run_patiently(
    task: Task, threads: int, seconds: float, give_up: Callable[[], None] | None = None
) -> None:
    """Run ``task(number, threads)`` on several threads at once, interruptibly if that takes long.

    Parameters
    ----------
    task : callable
        Releases the GIL; refers to all arrays it uses, and changes none that is of use after an
        interrupt.
    threads : int
        At most so many.
    seconds : float
        How long it is expected to take.
    give_up : callable, optional
        Tells native code that its results are no longer wanted.

    Raises
    ------
    KeyboardInterrupt
        While the task may still be running.
    """
    if seconds <= LONGEST_CALL or not in_main_thread():
        run_on_threads(task, threads)
        return
    answers: SimpleQueue[BaseException | None] = SimpleQueue()
    try:
        with held_back():  # all threads or none: they wait for each other
            _start(task, threads, answers)
        for _ in range(threads):
            error = _next(answers)
            if error is not None:
                raise error
    except BaseException:
        if give_up is not None:
            give_up()
        raise


def _start(task: Task, threads: int, answers: SimpleQueue[BaseException | None]) -> None:
    def work(number: int) -> None:
        try:
            task(number, threads)
        except BaseException as error:  # told by the thread that waits
            answers.put(error)
        else:
            answers.put(None)

    for number in range(threads):
        name = f"thalweg-long-{number}"
        Thread(target=work, args=(number,), name=name, daemon=True).start()


def _next(answers: SimpleQueue[BaseException | None]) -> BaseException | None:
    """The next answer; some systems hear of a signal only between two waits."""
    while True:
        try:
            return answers.get(timeout=LONGEST_CALL)
        except Empty:
            continue
