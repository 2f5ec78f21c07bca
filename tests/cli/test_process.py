"""Exit codes, encodings, colours, interruption and start-up, in real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import thalweg as tw
from thalweg.cli.interruption import Interruption
from thalweg.cli.screen import Screen
from thalweg.interrupts import answered

EXAMPLES = Path(__file__).parents[2] / "examples"
FAST = ("--engine", "numpy", "--epochs", "15", "--learning-rate", "0.02")


def test_help_is_quick_and_loads_nothing_heavy(process):
    code = (
        "import sys; from thalweg.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('numpy', 'scipy', 'sklearn', 'duckdb', 'llvmlite')\n"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.slow
def test_help_comes_at_once(process):
    def seconds():
        began = time.perf_counter()
        assert process("--help").code == 0
        return time.perf_counter() - began

    # Other processes may be running: the quickest of a few starts is what the program takes.
    assert min(seconds() for _ in range(7)) < 0.5


def test_both_module_names(process):
    assert process("--version").out == f"thalweg {tw.__version__}\n"
    done = subprocess.run([sys.executable, "-m", "thalweg.cli", "--version"], capture_output=True)
    assert done.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp949", "latin-1", "utf-8"])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_encoding(encoding, lang, process, line):
    def run(*arguments):
        answer = process(
            *arguments, "--lang", lang, encoding=encoding, PYTHONIOENCODING=encoding, COLUMNS="80"
        )
        assert answer.code == 0 and "Traceback" not in answer.err, answer.err
        return answer.out

    report = run("fit", line, "-t", "y", "-o", "m.thalweg", *FAST)
    assert "?" not in report
    assert ("신경망" in report) == (lang == "ko" and encoding in ("cp949", "utf-8"))
    for arguments in (
        ("explain", "m.thalweg", line), ("explain", "--formula", "sigmoid(w*x)^2", "w=1", "x=2"),
        ("check", "m.thalweg", line), ("info", "m.thalweg"), ("fit", "--help"),
    ):  # fmt: skip
        run(*arguments)


def test_an_error_in_every_encoding(process):
    answer = process("fit", "없다.csv", "-t", "값", encoding="ascii", PYTHONIOENCODING="ascii")
    assert answer.code == 3 and "does not exist" in answer.err


def test_colours_only_where_they_are_wanted(process, line):
    def fit(**environment):
        return process("fit", line, "-t", "y", "--force", *FAST, **environment).out

    assert "\x1b" not in fit()
    assert "\x1b[3" in fit(FORCE_COLOR="1", TERM="xterm-256color")
    assert "\x1b[3" not in fit(FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="1")


def test_results_on_stdout_and_no_progress_in_pipes(process, line):
    answer = process("fit", line, "-t", "y", "--json", *FAST)
    assert answer.err == "" and json.loads(answer.out)["task"] == "regression"


@pytest.mark.skipif(os.name == "nt", reason="pipes end differently")
def test_a_reader_that_leaves(process, line):
    process("fit", line, "-t", "y", "-o", "m.thalweg", *FAST)
    command = f"{sys.executable} -m thalweg predict m.thalweg {line} -q | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout == "y\n" and done.stderr == ""


# -- Ctrl-C ----------------------------------------------------------------------------------------
@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole groups")
@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_interruption_keeps_the_best_model(engine, tmp_path):
    command = [sys.executable, "-m", "thalweg", "fit", str(EXAMPLES / "digits.csv"), "-t", "digit"]
    command += ["--patience", "0", "--epochs", "1000000", "--engine", engine, "-o", "m.thalweg"]
    started = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        time.sleep(8.0)
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130, err
    assert "best model so far was kept and written to m.thalweg" in err
    assert "Interrupted at epoch" in out and "Traceback" not in err
    model = tw.load(tmp_path / "m.thalweg")
    assert model.stop.kind == "interrupted"
    assert model.origin.kept_epoch == model.history.best_epoch > 0


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole groups")
def test_interruption_before_anything_is_learned(tmp_path):
    code = (
        "import os, signal, sys\n"
        "import thalweg.training.tables as tables\n"
        "def slow(*a, **k): os.kill(os.getpid(), signal.SIGINT)\n"
        "tables.read_table = slow\n"
        "from thalweg.cli import main\n"
        "main(['fit', 'data.csv', '-t', 'y'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 130 and "nothing was written" in done.stderr
    assert "Traceback" not in done.stderr and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as on Unix")
def test_ctrl_c_is_raised_only_where_nothing_is_lost():
    def ctrl_c():
        signal.raise_signal(signal.SIGINT)

    with Interruption(Screen("en")) as interruption, pytest.raises(SystemExit, match="130"):
        ctrl_c()  # nothing has been learned yet
    with Interruption(Screen("en")) as interruption:
        interruption(None)
        ctrl_c()  # between two methods, or while a model is written
        with pytest.raises(KeyboardInterrupt):
            interruption(None)
    with Interruption(Screen("en")) as interruption, answered():
        interruption(None)
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()
