"""What people see at 80 columns, kept beside this file: ``pytest tests/cli --refresh-pages``."""

import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
GOLDEN = Path(__file__).parent / "golden"
FIT = ("--engine", "numpy", "--epochs", "30")

PAGES = {
    "fit_diabetes": ("fit", "diabetes.csv", "-t", "progression", *FIT),
    "fit_xor": ("fit", "xor.csv", "-t", "y", *FIT),
    "fit_xor_ko": ("fit", "xor.csv", "-t", "y", "--lang", "ko", *FIT),
    "check_formula": ("check", "--formula", "sin(x)*y", "x=1", "y=0.5"),
    "info_table": ("info", "diabetes.csv"),
    "help": ("--help",),
    "help_ko": ("--help", "--lang", "ko"),
}


def stable(text):
    """The page without what differs from run to run: seconds, sizes, last digits of floats."""
    text = re.sub(r"\(\d[\d.e-]* ?(s|초)\)", "(# s)", text)
    text = re.sub(r"\d+(\.\d+)? kB", "# kB", text)
    text = re.sub(r"\d\.\d+e-\d+", "#", text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


@pytest.mark.parametrize("name", PAGES)
def test_page(name, process, tmp_path, request):
    for table in EXAMPLES.glob("*.csv"):
        (tmp_path / table.name).write_bytes(table.read_bytes())
    found = stable(process(*PAGES[name], COLUMNS="80").out)
    page = GOLDEN / f"{name}.txt"
    if request.config.getoption("--refresh-pages", default=False):
        page.parent.mkdir(exist_ok=True)
        page.write_text(found, encoding="utf-8")
    assert found == page.read_text(encoding="utf-8")
