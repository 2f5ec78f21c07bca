"""Ctrl-C that waits, and Ctrl-C that is answered."""

import os
import signal
import subprocess
import sys
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


@pytest.mark.skipif(os.name == "nt", reason="signals end processes as on Unix")
@pytest.mark.parametrize(("handler", "ends"), [("SIG_DFL", True), ("SIG_IGN", False)])
def test_what_is_no_function_is_done_as_well(handler, ends):
    code = f"""if True:
        import signal
        from thalweg.interrupts import held_back
        signal.signal(signal.SIGINT, signal.{handler})
        with held_back():
            signal.raise_signal(signal.SIGINT)
            print("inside", flush=True)
        print("behind", flush=True)"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.split() == (["inside"] if ends else ["inside", "behind"])
    assert found.returncode == (-signal.SIGINT if ends else 0)


def test_another_thread_does_not_answer():
    inside, end = threading.Event(), threading.Event()

    def work():
        with answered():
            inside.set()
            end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    assert not is_answered()
    end.set()
    thread.join()


def test_answered_may_be_nested():
    with answered():
        with pytest.raises(ValueError, match="inside"), answered():
            raise ValueError("inside")
        assert is_answered()
    assert not is_answered()
