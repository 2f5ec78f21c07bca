"""Reading and writing tables: what is read, what is decided, and how bad input is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thalweg.errors import DataError, OptionError
from thalweg.training.tables import Table, read_table, write_table


@pytest.fixture
def save(tmp_path, monkeypatch):
    """Write bytes or text as a file in an empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)

    def write(content, name="t.csv"):
        data = content.encode() if isinstance(content, str) else content
        Path(name).write_bytes(data)
        return name

    return write


def refused(source, *parts, **options):
    """The message of the DataError that reading must raise, which names all of `parts`."""
    with pytest.raises(DataError) as caught:
        read_table(source, **options)
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    return message


# --- text files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiter_and_line_ending_are_found(save, delimiter, newline):
    lines = [("a", "b", "c"), ("1", "2.5", "x"), ("3", "-4e-3", "y")]
    table = read_table(save(newline.join(delimiter.join(line) for line in lines)))
    assert table.names == ("a", "b", "c")
    np.testing.assert_array_equal(table["a"], [1.0, 3.0])
    np.testing.assert_array_equal(table["b"], [2.5, -4e-3])
    assert table["c"].tolist() == ["x", "y"]
    assert table.lines.tolist() == [2, 3]


def test_mixed_line_endings(save):
    table = read_table(save(b"a,b\r\n1,2\n3,4\r5,6\r\n"))
    np.testing.assert_array_equal(table["b"], [2.0, 4.0, 6.0])


def test_no_header(save):
    table = read_table(save("1,2\n3,4\n"))
    assert table.names == ("x1", "x2")
    assert len(table) == 2
    assert table.lines.tolist() == [1, 2]
    assert "no header line" in table.notes[0]


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("name,city\nann,rome\n", True),
        ("year,2024\n1,2\n", True),
        ("red,3\nblue,4\n", False),
        ("5.1,?,3\n4,5,6\n", False),
        (",a\n0,1\n", True),
        ("x\n1\n2\n", True),
    ],
)
def test_header_is_told_from_data(save, text, header):
    table = read_table(save(text))
    assert len(table) == text.count("\n") - header


def test_header_and_delimiter_can_be_given(save):
    path = save("1;2\n3;4\n")
    assert read_table(path, header=True).names == ("1", "2")
    assert len(read_table(path, header=False, delimiter=";")) == 2
    with pytest.raises(OptionError, match="one character"):
        read_table(path, delimiter=";;")


def test_utf8_with_bom(save):
    table = read_table(save(b"\xef\xbb\xbfa,b\n1,2\n"))
    assert table.names == ("a", "b")
    assert table.notes == ("read as UTF-8 with BOM",)


def test_cp949_is_read_and_said(save):
    text = "이름,나이,지역\n김철수,31,서울\n이영희,28,부산\n"
    table = read_table(save(text.encode("cp949")))
    assert table.names == ("이름", "나이", "지역")
    assert table["이름"].tolist() == ["김철수", "이영희"]
    np.testing.assert_array_equal(table["나이"], [31.0, 28.0])
    assert table.notes == ("read as CP949",)
    assert read_table(save(text)).notes == ()


def test_utf16(save):
    table = read_table(save("a\tb\n1\t2\n".encode("utf-16")))
    assert table.names == ("a", "b")
    assert table.notes == ("read as UTF-16",)


def test_unknown_encoding_names_the_line(save):
    refused(save(b"a,b\n1,2\ncaf\xe9,3\n"), "t.csv", "neither UTF-8 nor CP949", "0xe9", "line 3")
    refused(save(b"\xff\xfea"), "UTF-16")


def test_quoted_newlines_shift_lines_not_rows(save):
    table = read_table(save('note,y\n"first\nsecond",1\n\nplain,2\n"say ""hi"", ok",3\n'))
    assert table["note"].tolist() == ["first\nsecond", "plain", 'say "hi", ok']
    assert [table.place(i) for i in range(3)] == [
        "row 1 (line 2)",
        "row 2 (line 5)",
        "row 3 (line 6)",
    ]


def test_missing_tokens_in_numbers_but_not_in_texts(save):
    table = read_table(save("a,b\n1,NA\n,none\n?,\nNaN,x\n5,y\n"))
    np.testing.assert_array_equal(table["a"], [1, np.nan, np.nan, np.nan, 5])
    assert table["b"].tolist() == ["NA", "none", None, "x", "y"]


def test_flags(save):
    table = read_table(save("a,b\nTrue,true\nfalse,\n"))
    assert table["a"].dtype == np.bool_
    assert table["a"].tolist() == [True, False]
    np.testing.assert_array_equal(table["b"], [1.0, np.nan])


def test_numbers_are_read_exactly(save):
    values = np.random.default_rng(0).standard_normal(200) * 10.0 ** np.arange(-100, 100)
    table = read_table(save("x\n" + "\n".join(map(repr, values.tolist()))))
    np.testing.assert_array_equal(table["x"], values)


@pytest.mark.parametrize("name", ["data[1].csv", "a'b.csv", "q?.csv", "자료.csv"])
def test_awkward_file_names(save, name):
    assert len(read_table(save("a,b\n1,2\n", name))) == 1


# --- bad text files ------------------------------------------------------------------------------


def test_missing_file_suggests_the_nearest(save):
    save("a,b\n1,2\n", "prices.csv")
    refused("price.csv", "price.csv does not exist", "'prices.csv'")
    refused("nowhere/price.csv", "no folder 'nowhere'")
    refused(".", "is a folder")


@pytest.mark.parametrize("content", ["", b"\xef\xbb\xbf", "\n\n\n"])
def test_empty_file(save, content):
    refused(save(content), "t.csv")


def test_header_only(save):
    refused(save("a,b,c\n"), "t.csv", "3 columns", "no rows")
    refused(save("a,b,c"), "no rows")


def test_wrong_delimiter(save):
    refused(save("a;b;c\n1;2;3\n"), "only one column", "';'", delimiter=",")
    refused(
        save('"a,b"\n"1,2"\n"3,4"\n'),
        "only one column",
        "','",
        "remove the quotes around whole lines",
    )


def test_duplicate_columns(save):
    refused(save("a,b,a\n1,2,3\n"), "t.csv", "'a'", "column 1 and 3")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b,c\n1,2,3\n1,2\n4,5,6\n", ("1 line with", "line 3 has 2", "the first has 3")),
        ("a,b\n1,2\n1,2,3\n1,2,3\n", ("2 lines with", "line 3 has 3", "the first has 2")),
        ("a,b,c\n1,2,3\n" + "1,2,3,4\n" * 30, ("30 lines with", "line 3 has 4")),
        ('a,b\n"x\ny",2\n1\n', ("line 4 has 1",)),
    ],
)
def test_ragged_lines(save, text, parts):
    refused(save(text), "t.csv", *parts)


def test_open_quote(save):
    refused(save('a,b\n1,2\n"3,4\n5,6\n'), "t.csv", "line 3", "quote")


@pytest.mark.parametrize(
    ("content", "part"),
    [(b"PK\x03\x04abc", "Excel"), (b"\x1f\x8b123", "gzip"), (b"a,b\n1,\x002\n", "not a text file")],
)
def test_binary_files(save, content, part):
    refused(save(content), "t.csv", part)


def test_unknown_column_lists_and_suggests(save):
    table = read_table(save("area,price\n1,2\n"))
    with pytest.raises(DataError, match=r"t\.csv has no column 'prise'\. Did you mean 'price'\?"):
        table["prise"]
    with pytest.raises(DataError, match=r"'area', 'price'"):
        table.without(["zzz"])


# --- fuzz ----------------------------------------------------------------------------------------

csv_like = st.text('ab1.;,|\t"\n\r -eé가\0', max_size=60).map(str.encode)


def read_or_refuse(path, data):
    path.write_bytes(data)
    try:
        table = read_table(path)
    except DataError as error:
        assert str(error)
        return
    assert len(table) > 0
    assert {len(column) for column in table.columns} == {len(table)}
    assert table.place(len(table) - 1)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "t.csv"


@settings(max_examples=60, deadline=None)
@given(data=st.one_of(csv_like, st.binary(max_size=60)))
def test_any_bytes_are_a_table_or_a_data_error(fuzzed, data):
    read_or_refuse(fuzzed, data)


@pytest.mark.slow
@settings(max_examples=4000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.one_of(csv_like, st.binary(max_size=300)))
def test_any_bytes_are_a_table_or_a_data_error_at_length(fuzzed, data):
    read_or_refuse(fuzzed, data)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".parquet", ".npy", ".npz"])  # SciPy's .mat reader may crash
def test_damaged_binary_files_are_refused(tmp_path, ending):
    whole = tmp_path / f"whole{ending}"
    numbers = np.arange(12.0).reshape(6, 2)
    if ending == ".parquet":
        write_table(whole, ["a", "b"], [numbers[:, 0], numbers[:, 1]])
    elif ending == ".npz":
        np.savez(whole, a=numbers)
    else:
        np.save(whole, numbers)
    data = bytearray(whole.read_bytes())
    damaged = tmp_path / f"damaged{ending}"
    random = np.random.default_rng(0)
    for _ in range(200):
        copy = data[: random.integers(len(data))] if random.random() < 0.3 else bytearray(data)
        if copy:
            copy[random.integers(len(copy))] = random.integers(256)
        read_or_refuse(damaged, bytes(copy))


# --- other sources -------------------------------------------------------------------------------

COLUMNS = {
    "n": [1, 2, 3],
    "x": [0.5, None, 2.0],
    "flag": [True, False, True],
    "text": ["a", None, "c"],
}


def check_columns(table):
    assert table.names == tuple(COLUMNS)
    assert [table[name].dtype.kind for name in table.names] == ["f", "f", "b", "O"]
    np.testing.assert_array_equal(table["n"], [1, 2, 3])
    np.testing.assert_array_equal(table["x"], [0.5, np.nan, 2.0])
    assert table["flag"].tolist() == [True, False, True]
    assert table["text"].tolist() == ["a", None, "c"]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table, dict])
def test_dataframes(make):
    check_columns(read_table(make(COLUMNS)))


@pytest.mark.parametrize("suffix", [".parquet", ".PARQUET"])
def test_parquet(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    pq.write_table(pa.table(COLUMNS), path)
    check_columns(read_table(path))
    path.write_bytes(b"PAR1 no")
    refused(path, str(path), "Parquet")


def test_dataframe_kinds():
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2024-01-01", None]),
            "kind": pd.Categorical(["a", "b"]),
            "whole": pd.array([1, None], dtype="Int64"),
            "mixed": [1, "x"],
        }
    )
    table = read_table(frame)
    assert table["when"][1] is None
    assert str(table["when"][0]).startswith("2024-01-01")
    assert table["kind"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(table["whole"], [1, np.nan])
    assert table["mixed"].tolist() == ["1", "x"]


def test_dataframe_with_equal_names():
    refused(pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column named 'a'")


def test_series_and_lists():
    assert read_table(pd.Series([1.0, 2.0], name="y")).names == ("y",)
    assert read_table([[1, 2], [3, 4], [5, 6]]).names == ("x1", "x2")
    refused([[1, 2], [3]], "different lengths")
    refused(object(), "object is not a table")
    refused(np.zeros((2, 2, 2)), "shape (2, 2, 2)")
    refused(np.zeros((0, 2)), "no rows")
    refused(np.zeros((2, 0)), "no columns")
    refused(np.ones((2, 2), complex), "complex")


def test_numpy_files(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6).reshape(3, 2))
    np.testing.assert_array_equal(read_table(tmp_path / "a.npy")["x2"], [1, 3, 5])
    np.savez(tmp_path / "a.npz", X=np.ones((3, 2)), y=np.array(["a", "b", "a"]))
    table = read_table(tmp_path / "a.npz")
    assert table.names == ("X1", "X2", "y")
    assert table["y"].tolist() == ["a", "b", "a"]
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    refused(tmp_path / "o.npy", "o.npy", "NumPy")
    np.savez(tmp_path / "b.npz", X=np.ones((3, 2)), y=np.ones(5))
    refused(tmp_path / "b.npz", "different numbers of rows", "'y' (5, 1)")


def test_structured_array():
    array = np.array([(1, 2.5), (2, 3.5)], dtype=[("n", int), ("x", float)])
    assert read_table(array).names == ("n", "x")


def test_matlab_files(tmp_path):
    path = tmp_path / "house.mat"
    scipy.io.savemat(path, {"inputs": np.ones((4, 9)), "targets": np.arange(9.0)[np.newaxis]})
    table = read_table(path)
    assert table.names == ("inputs1", "inputs2", "inputs3", "inputs4", "targets")
    np.testing.assert_array_equal(table["targets"], np.arange(9))
    assert "samples were in columns (9 of them)" in table.notes[0]
    scipy.io.savemat(path, {"x": np.zeros((1, 5)), "t": np.ones((1, 5))})
    assert len(read_table(path)) == 5
    path.write_bytes(path.read_bytes()[:150])
    refused(path, "house.mat", "MATLAB")
    path.write_bytes(b"nonsense")
    refused(path, "house.mat", "MATLAB")


# --- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_written_tables_read_back(tmp_path, name):
    x = np.array([0.1, 1 / 3, np.nan, 1e300])
    texts = np.array(["a,b", 'say "hi"', None, "가\nx"], object)
    flags = np.array([True, False, True, True])
    path = tmp_path / name
    write_table(path, ["x", "a b", "f"], [x, texts, flags])
    table = read_table(path)
    assert table.names == ("x", "a b", "f")
    np.testing.assert_array_equal(table["x"], x)
    assert table["a b"].tolist() == texts.tolist()
    assert table["f"].tolist() == flags.tolist()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_never_overwrites_without_force(tmp_path):
    path = tmp_path / "t.csv"
    write_table(path, ["x"], [[1]])
    with pytest.raises(OptionError, match="exists already"):
        write_table(path, ["x"], [[2]])
    assert path.read_text() == "x\n1\n"
    write_table(path, ["x"], [[2]], force=True)
    assert path.read_text() == "x\n2\n"


def test_bad_writes_leave_nothing(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        write_table(tmp_path / "none" / "t.csv", ["x"], [[1]])
    with pytest.raises(DataError, match="more than one column"):
        write_table(tmp_path / "t.csv", ["x", "x"], [[1], [2]])
    with pytest.raises(DataError, match="different lengths"):
        write_table(tmp_path / "t.csv", ["x", "y"], [[1], [2, 3]])
    assert list(tmp_path.iterdir()) == []


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_table(path, ["x"], [["\ud800"]], force=True)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


# --- the table itself ----------------------------------------------------------------------------


def test_rows_keep_their_place_when_taken(save):
    table = read_table(save("a,b\n1,2\n3,4\n5,6\n"))
    part = table.take(np.array([2, 0])).take(np.array([0]))
    assert part.place(0) == "row 3 (line 4)"
    assert repr(part) == "Table(t.csv: 1 rows × 2 columns)"
    assert table.without(["a"]).names == ("b",)
    assert read_table(table) is table


def test_table_checks_itself():
    with pytest.raises(DataError, match="no columns"):
        Table((), ())
    with pytest.raises(DataError, match="different lengths"):
        Table(("a", "b"), (np.zeros(1), np.zeros(2)))


def test_reading_is_imported_lightly():
    code = (
        "import sys, thalweg.training.tables, thalweg.training.encoding, thalweg.training.splits;"
        "print({'duckdb', 'narwhals', 'scipy', 'pandas', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
