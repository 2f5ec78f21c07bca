"""Every bad input: exit code 3; file, place and remedy in the message; nothing written."""

from pathlib import Path

import pytest

from thalweg.io.container import read_container, write_container

ROWS = "".join(f"{i},{i * i % 7},{i % 5}.5\n" for i in range(30))
GOOD = "a,b,y\n" + ROWS


def with_line(number, text):
    """GOOD with one of its lines, counted from 1, replaced."""
    lines = GOOD.splitlines()
    lines[number - 1] = text
    return "\n".join(lines) + "\n"


TABLES = {
    "empty file": ("", "y", ["is empty", "header line"]),
    "header only": ("a,b,y\n", "y", ["no rows", "Add one line per sample"]),
    "another delimiter": (GOOD.replace(",", "#"), "y", ["no column 'y'", "Its columns"]),
    "quoted whole lines": (
        "".join(f'"{line}"\n' for line in GOOD.splitlines()), "y", ["one column", "quotes"],
    ),
    "ragged line": (with_line(5, "1,2"), "y", ["line 5", "has 2", "the first has 3"]),
    "missing target": (
        GOOD.replace("a,b,y", "a,b,price"), "prise", ["Did you mean 'price'?", "columns: 'a', 'b'"],
    ),
    "text in numbers": (with_line(8, "7,oops,1.5"), "y", ["'b'", "row 7 (line 8)", "'oops'"]),
    "missing value": (with_line(8, "7,,1.5"), "y", ["'b'", "row 7 (line 8)", "missing=mean"]),
    "nan": (with_line(9, "7,nan,1.5"), "y", ["'b'", "row 8 (line 9)"]),
    "infinity": (with_line(9, "7,inf,1.5"), "y", ["'b'", "row 8 (line 9)", "inf"]),
    "missing target value": (with_line(4, "7,1,"), "y", ["'y'", "row 3 (line 4)", "drop"]),
    "one class only": (
        "a,y\n" + "".join(f"{i},same\n" for i in range(30)), "y", ["one class only", "'same'"],
    ),
    "constant target": ("a,y\n" + "".join(f"{i},1.5\n" for i in range(30)), "y", ["always 1.5"]),
    "two rows": ("a,y\n1,1.5\n2,2.5\n", "y", ["2 usable rows", "at least 3"]),
    "names twice": (GOOD.replace("a,b,y", "a,a,y"), "y", ["'a'", "column 1 and 2", "own name"]),
    "no input left": ("a,y\n" + "".join(f"1,{i}.5\n" for i in range(30)), "y", ["'a' is constant"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_cannot_be_learned_from(name, call, tmp_path):
    content, target, words = TABLES[name]
    Path("data.csv").write_text(content)
    before = sorted(p.name for p in tmp_path.iterdir())
    answer = call("fit", "data.csv", "--target", target)
    assert answer.code == 3, answer
    assert answer.out == ""
    assert answer.err.startswith("Error: ") and "data.csv" in answer.err
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.err, answer.err
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_missing_file_with_the_nearest_name(call):
    Path("data.csv").write_text(GOOD)
    answer = call("fit", "dat.csv", "--target", "y")
    assert answer.code == 3
    assert "dat.csv does not exist" in answer.err and "data.csv" in answer.err


def test_binary_file_says_what_it_is(call):
    Path("data.csv").write_bytes(b"PK\x03\x04" + bytes(40))
    answer = call("fit", "data.csv", "--target", "y")
    assert answer.code == 3 and "Excel" in answer.err and "save the sheet as CSV" in answer.err


def test_constant_column_is_dropped_with_a_note(call):
    rows = "".join(f"{i},7,{i % 5}.5\n" for i in range(30))
    Path("data.csv").write_text("a,c,y\n" + rows)
    answer = call("fit", "data.csv", "-t", "y", "--epochs", 2, "--engine", "numpy")
    assert answer.code == 0
    assert "'c' is constant" in answer.out and "always 7" in answer.out


def test_cp949_is_read_and_said(call):
    Path("data.csv").write_bytes(GOOD.replace("a,b,y", "높이,b,값").encode("cp949"))
    answer = call("fit", "data.csv", "-t", "값", "--epochs", 2, "--engine", "numpy")
    assert answer.code == 0 and "CP949" in answer.out


# -- model files -----------------------------------------------------------------------------------
def spoiled(model, how):
    content = model.read_bytes()
    if how == "truncated":
        return content[: len(content) // 2]
    if how == "edited":
        return content.replace(b'\\"colour\\"', b'\\"kolour\\"')
    if how == "flipped":
        return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
    if how == "newer":
        return content.replace(b'"version":"1"', b'"version":"9"')
    return b"not a model at all"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("truncated", ["truncated"]),
        ("edited", ["damaged or was edited"]),
        ("flipped", ["damaged or was edited"]),
        ("newer", ["version 9", "Update thalweg"]),
        ("other", ["not a model file"]),
    ],
)
@pytest.mark.parametrize("command", ["predict", "explain", "check", "info"])
def test_model_files_that_cannot_be_trusted(command, how, words, model, line, call):
    bad = spoiled(model, how)
    assert bad != model.read_bytes()
    model.write_bytes(bad)
    things = [model] if command == "info" else [model, line]
    answer = call(command, *things)
    assert answer.code == 3 and answer.out == ""
    for word in ["m.thalweg", *words]:
        assert word in answer.err, answer.err


def test_a_document_with_a_right_digest_but_wrong_parts(model, line, call):
    arrays, document = read_container(model)
    document["encoding"]["columns"] = []
    write_container(model, arrays, document, force=True)
    answer = call("predict", model, line)
    assert answer.code == 3 and "m.thalweg" in answer.err


# -- prediction ------------------------------------------------------------------------------------
def test_predict_with_missing_columns(model, call, tmp_path):
    Path("new.csv").write_text("x,color\n1,red\n")
    answer = call("predict", model, "new.csv", "-o", "out.csv")
    assert answer.code == 3 and not Path("out.csv").exists()
    for word in ("new.csv", "'colour'", "Did you mean 'color'?"):
        assert word in answer.err


def test_predict_with_reordered_columns(model, line, call):
    Path("new.csv").write_text("colour,x\nred,0.5\nblue,-0.5\n")
    Path("same.csv").write_text("x,colour\n0.5,red\n-0.5,blue\n")
    turned, straight = call("predict", model, "new.csv"), call("predict", model, "same.csv")
    assert turned.code == 0 and turned.out == straight.out


def test_predict_with_an_unknown_category(model, call):
    Path("new.csv").write_text("x,colour\n0.5,red\n-0.5,green\n")
    answer = call("predict", model, "new.csv")
    assert answer.code == 3 and answer.out == ""
    for word in ("new.csv", "'colour'", "row 2 (line 3)", "'green'"):
        assert word in answer.err


def test_explain_needs_the_target_and_a_row_that_exists(model, line, call):
    Path("new.csv").write_text("x,colour\n0.5,red\n")
    answer = call("explain", model, "new.csv")
    assert answer.code == 3 and "'y'" in answer.err and "new.csv" in answer.err
    answer = call("explain", model, line, "--row", "61")
    assert answer.code == 3 and "rows 1 to 60" in answer.err


def test_json_does_not_hide_errors(call):
    Path("data.csv").write_text("")
    answer = call("fit", "data.csv", "-t", "y", "--json")
    assert answer.code == 3 and answer.out == "" and "is empty" in answer.err


@pytest.mark.parametrize("command", ["predict", "explain", "check"])
def test_a_table_in_the_place_of_the_model_is_said(call, line, command):
    assert call("fit", line, "-t", "y", "--epochs", 2).code == 0
    told = call(command, line, "line.thalweg")
    assert told.code == 2
    assert f"thalweg {command} line.thalweg {line}" in told.err
    assert "모델을 먼저" in call(command, line, "line.thalweg", "--lang", "ko").err


def test_a_formula_in_the_place_of_a_model_is_said(call):
    told = call("explain", "w*x + b", "w=-2", "x=5", "b=3")
    assert told.code == 2
    assert 'thalweg explain --formula "w*x + b" w=-2 x=5 b=3' in told.err
    assert "--formula" in call("explain", "x^2", "x=3", "--lang", "ko").err


def test_the_program_keeps_its_small_letter(call):
    assert "thalweg explain takes a model" in call("explain", "m.thalweg").err


def test_several_targets_are_said_to_be_the_reason(call, line):
    told = call("fit", line, "-t", "y", "-t", "x", "--epochs", 2, "--lang", "ko")
    assert "목표가 여럿: 회귀" in told.out
