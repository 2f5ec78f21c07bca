"""Ctrl-C that waits, and Ctrl-C that is answered."""

import signal
import threading

import pytest

from thalweg.interrupts import answered, held_back, is_answered


def test_held_back_until_the_end():
    reached = []
    with pytest.raises(KeyboardInterrupt), held_back():
        signal.raise_signal(signal.SIGINT)
        reached.append(True)
    assert reached and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_are_left_alone():
    def work():
        with held_back():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_answered_may_be_nested():
    with answered():
        with pytest.raises(ValueError, match="inside"), answered():
            raise ValueError("inside")
        assert is_answered()
    assert not is_answered()
