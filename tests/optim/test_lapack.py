"""LAPACK is loaded alone, and what users import afterwards is none the worse for it."""

import subprocess
import sys

import numpy as np

from thalweg.optim import lapack as room


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_small_problem_leaves_scipys_own_functions_alone():
    program = (
        "import sys, thalweg as tw\n"
        "tw.least_squares(lambda x: [10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]], [-1.2, 1.0])\n"
        "print('scipy.linalg' in sys.modules)"
    )
    assert run(program) == "False"


def test_scipy_can_be_imported_afterwards_and_has_the_same_routines():
    program = (
        "from thalweg.optim.lapack import lapack\n"
        "import scipy.linalg.lapack, scipy.optimize\n"
        "print(scipy.linalg.lapack.dgesvd is lapack.dgesvd,\n"
        "      scipy.linalg.solve([[2.0]], [4.0]).tolist())"
    )
    assert run(program) == "True [2.0]"


def test_what_is_there_already_is_used():
    program = (
        "import scipy.linalg.lapack\n"
        "from thalweg.optim.lapack import lapack\n"
        "print(lapack is scipy.linalg.lapack)"
    )
    assert run(program) == "True"


def test_where_the_routines_are_elsewhere_the_package_gives_them(monkeypatch):
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    assert room._alone() is None
    factor, failed = room._whole().dpotrf(np.array([[4.0]]))
    assert not failed
    assert factor[0, 0] == 2.0
