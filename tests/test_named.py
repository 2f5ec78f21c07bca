"""Functions by text: what is read comes back, what cannot be read is refused."""

import pytest

from thalweg.errors import OptionError
from thalweg.named import Named, find


def line(x, *, slope=1.0, offset=0.0):
    return slope * x + offset


KNOWN = {
    "line": Named(name="line", function=line),
    "two_words": Named(name="two_words", function=line),
}


@pytest.mark.parametrize(
    "text", ["line", "line(slope=2.0)", "line(slope=-0.5, offset=1e-05)", "two_words(offset=3.0)"]
)
def test_texts_come_back(text):
    assert str(find(text, KNOWN, "function")) == text


def test_defaults_are_not_written():
    assert str(find("line(slope=1, offset=2)", KNOWN, "function")) == "line(offset=2.0)"
    assert find("line()", KNOWN, "function") is KNOWN["line"]
    assert find(" straight ", KNOWN, "function", {"straight": "line"}) is KNOWN["line"]
    assert find(KNOWN["line"], {}, "function") is KNOWN["line"]
    assert KNOWN["line"].with_options(slope=3)(2.0) == 6.0


@pytest.mark.parametrize(
    "text",
    ["", "lin", "line(", "line(2)", "line(slope)", "line(slope=x)", "line(slope=nan)",
     "line(slope=inf)", "line(x=1)", "line(slope=1)(2)", "__import__('os')", None, 3],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(OptionError):
        find(text, KNOWN, "function")
