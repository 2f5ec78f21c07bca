"""Decimal commas: read where they can be nothing else, and never guessed."""

import numpy as np
import pytest

from thalweg.training.tables import read_table


@pytest.fixture
def table(tmp_path):
    def read(text, name="t.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_table(path)

    return read


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_numbers_and_said(table, delimiter):
    text = "T [°C];n;Q\n16,5;1;1,234\n-0,25;;2,5e-3\nn/a;3;,5\n".replace(";", delimiter)
    read = table(text)
    np.testing.assert_array_equal(read["T [°C]"], [16.5, -0.25, np.nan])
    np.testing.assert_array_equal(read["n"], [1, np.nan, 3])
    np.testing.assert_array_equal(read["Q"], [1.234, 2.5e-3, 0.5])
    assert read.notes == ("decimal commas are read as decimal points in 'T [°C]', 'Q'",)
    assert "쉼표" in read.notes[0].said("ko")


def test_quoted_decimal_commas(table):
    np.testing.assert_array_equal(table('a,b\n"1,5","2,25"\n"3,0",4\n')["b"], [2.25, 4.0])


@pytest.mark.parametrize(
    "text",
    [
        "a;b\n1,234;1\n12,345;2\n",  # thousands or decimals: nobody can tell
        "a;b\n1,5;1.5\n2,5;2.5\n",  # a point as well
        "a;b\n1,5;1,234.5\n2,5;1,000.0\n",
        "a;b\n1,5;1,234,567\n2,5;2,000,000\n",
    ],
)
def test_commas_that_may_divide_thousands_are_left_alone(table, text):
    read = table(text)
    assert read["a"].dtype == object
    assert not read.notes


def test_a_slip_among_decimal_commas_stays_and_is_the_one_named(table):
    rows = "\n".join(f"{i},5;{i}" for i in range(9))
    read = table(f"a;b\n{rows}\noops;9\n")
    assert read["a"].tolist() == [*(f"{i}.5" for i in range(9)), "oops"]


def test_without_a_header_the_first_row_is_data(table):
    read = table("1,5;2,5\n3,25;4,75\n5,5;6,5\n")
    assert read.names == ("x1", "x2")
    np.testing.assert_array_equal(read["x2"], [2.5, 4.75, 6.5])


def test_texts_with_commas_stay_texts(table):
    read = table("name;y\nLee, A;1\nKim, B;2\n")
    assert read["name"].tolist() == ["Lee, A", "Kim, B"]
