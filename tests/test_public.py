"""The public face: what it names resolves, and importing it costs next to nothing."""

import pkgutil
import subprocess
import sys

import pytest

import thalweg as tw

HEAVY = ("scipy", "sklearn", "duckdb", "pandas", "llvmlite", "rich", "typer", "narwhals")


def test_all_is_sorted_and_resolves():
    assert list(tw.__all__) == sorted(tw.__all__)
    assert len(set(tw.__all__)) == len(tw.__all__)
    for name in tw.__all__:
        assert getattr(tw, name) is getattr(tw, name)
    assert set(tw.__all__) <= set(dir(tw))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tw.nothing  # noqa: B018


def test_no_public_function_bears_the_name_of_a_submodule():
    modules = {module.name for module in pkgutil.iter_modules(tw.__path__)}
    functions = [name for name in tw.__all__ if not hasattr(getattr(tw, name), "__path__")]
    clashes = modules & set(functions) - {"errors", "numpy"}  # these are the modules themselves
    assert not clashes


@pytest.mark.parametrize(
    "code", ["import thalweg", "import thalweg.numpy", "import thalweg; thalweg.grad(abs)(1.0)"]
)
def test_importing_is_light(code):
    program = f"{code}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_importing_thalweg_alone_imports_nothing_else():
    program = "import sys, thalweg\nprint('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False"
