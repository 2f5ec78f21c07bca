"""Attributes computed once: by whom, and who waits for whom."""

import threading

from thalweg.compiler.once import once


class Slow:
    """Its attribute is there once `go` is set."""

    def __init__(self, go):
        self.go, self.begun, self.calls = go, threading.Event(), 0

    @once
    def value(self):
        """What it is."""
        self.calls += 1
        self.begun.set()
        return [self.go.wait(5.0)]


def test_it_is_computed_once():
    slow = Slow(threading.Event())
    slow.go.set()
    assert slow.value is slow.value
    assert slow.calls == 1
    assert Slow.value.__doc__ == "What it is."


def test_one_object_does_not_wait_for_another():
    go = threading.Event()
    slow, quick = Slow(go), Slow(threading.Event())
    quick.go.set()
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    slow.begun.wait()
    assert quick.value == [True]
    go.set()
    thread.join()
    assert slow.value == [True]


def test_threads_that_ask_at_the_same_time_get_one_answer():
    slow, found = Slow(threading.Event()), []
    threads = [threading.Thread(target=lambda: found.append(slow.value)) for _ in range(3)]
    for thread in threads:
        thread.start()
    slow.begun.wait()
    slow.go.set()
    for thread in threads:
        thread.join()
    assert found[0] is found[1] is found[2]
