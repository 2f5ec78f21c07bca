"""Encodings: columns to numbers and back, fitted on training rows, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from thalweg.errors import DataError, ModelFileError, OptionError, ShapeError
from thalweg.training.encoding import Encoding, Preparation, prepare
from thalweg.training.tables import Table, read_table

N = 12


def table(**changes):
    """Twelve rows of plausible data, with columns replaced, added, or removed (by None)."""
    columns = {
        "size": np.linspace(1.5, 9.0, N),
        "colour": ["red", "blue", "red", "green"] * 3,
        "old": [True, False, False] * 4,
        "price": np.linspace(10.5, 99.0, N) ** 1.5,
    }
    columns |= changes
    return read_table({name: column for name, column in columns.items() if column is not None})


def csv(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_table(path)


def message(function, *arguments, error=DataError, **options):
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    return str(caught.value)


# --- inputs --------------------------------------------------------------------------------------


def test_inputs_are_standardised_numbers_and_plain_indicators():
    data = table()
    encoding = Encoding.fit(data, "price")
    assert encoding.features == ("size", "colour=blue", "colour=green", "colour=red", "old")
    X = encoding.inputs(data)
    size = np.linspace(1.5, 9.0, N)[:, np.newaxis]
    np.testing.assert_allclose(X[:, :1], StandardScaler().fit_transform(size), atol=1e-12)
    colours = data["colour"][:, np.newaxis]
    np.testing.assert_array_equal(X[:, 1:4], OneHotEncoder().fit_transform(colours).toarray())
    assert encoding.task == "regression"


def test_fitted_on_training_rows_only():
    train = np.arange(6)
    outliers = np.linspace(1.5, 9.0, N)
    outliers[6:] *= 1e6
    clean = Encoding.fit(table(), "price", train)
    assert Encoding.fit(table(size=outliers), "price", train) == clean
    X = clean.inputs(table())[train]
    np.testing.assert_allclose(X[:, 0].mean(), 0.0, atol=1e-14)
    np.testing.assert_allclose(X[:, 0].std(), 1.0, atol=1e-14)
    Y = clean.targets(table())[train]
    np.testing.assert_allclose(Y.std(), 1.0, atol=1e-14)


def test_category_outside_the_training_rows_is_none_of_the_known():
    data = table(colour=["red", "blue"] * 5 + ["teal", "red"])
    encoding = Encoding.fit(data, "price", np.arange(10))
    assert encoding.features[1:3] == ("colour=blue", "colour=red")
    assert encoding.inputs(data)[10, 1:3].tolist() == [0.0, 0.0]
    assert any("'teal' in no training row" in warning for warning in encoding.warnings)


def test_columns_are_found_by_name():
    data = table()
    encoding = Encoding.fit(data, "price")
    turned = Table(data.names[::-1], data.columns[::-1])
    np.testing.assert_array_equal(encoding.inputs(turned), encoding.inputs(data))
    extra = table(id=np.arange(N), price=None)
    np.testing.assert_array_equal(encoding.inputs(extra), encoding.inputs(data))
    assert encoding.notes(extra) == ("columns not used by the model: 'id'",)
    assert encoding.notes(data) == ()


def test_missing_columns_are_named():
    encoding = Encoding.fit(table(), "price")
    text = message(encoding.inputs, table(size=None, Size=np.ones(N), old=None))
    assert "lacks 2 columns 'size', 'old'" in text
    assert "Did you mean 'Size'?" in text
    assert "'colour', 'price', 'Size'" in text


def test_unknown_category(tmp_path):
    data = table(size=None, old=None)
    later = csv(tmp_path, "colour\nred\nbleu\n", "new.csv")
    text = message(Encoding.fit(data, "price").inputs, later)
    for part in ("new.csv", "'colour'", "row 2 (line 3)", "'bleu'", "Did you mean 'blue'", "green"):
        assert part in text
    lenient = Encoding.fit(data, "price", preparation=Preparation(unknown="zeros"))
    assert lenient.inputs(later)[1].tolist() == [0.0, 0.0, 0.0]


def test_numbers_as_categories():
    data = table(code=[1, 2, 3] * 4)
    encoding = Encoding.fit(data, "price", preparation=Preparation(categorical=["code"]))
    assert encoding.features[-3:] == ("code=1", "code=2", "code=3")
    mixed = table(code=["1", "2", "x"] * 4)
    assert "code=x" in Encoding.fit(mixed, "price").features
    again = Encoding.fit(mixed, "price").inputs(table(code=[1, 2, 1] * 4))
    assert again[:, -3:].tolist()[:2] == [[1, 0, 0], [0, 1, 0]]


def test_flags_are_zero_and_one_wherever_they_come_from(tmp_path):
    encoding = Encoding.fit(table(size=None, colour=None), "price")
    from_csv = csv(tmp_path, "old\ntrue\nFalse\n")
    raw = encoding.inputs(from_csv, scaled=False)
    np.testing.assert_array_equal(raw, [[1.0], [0.0]])
    np.testing.assert_array_equal(encoding.inputs(read_table({"old": [1, 0]}), scaled=False), raw)


@pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])
def test_scaling_is_chosen(scaling):
    data = table()
    encoding = Encoding.fit(data, "price", preparation=Preparation(scaling=scaling))
    np.testing.assert_allclose(
        encoding.decode(encoding.targets(data))["price"], data["price"], rtol=1e-13
    )
    if scaling == "minmax":
        assert encoding.inputs(data)[:, 0].min() == -1.0
    if scaling == "none":
        np.testing.assert_array_equal(encoding.inputs(data), encoding.inputs(data, scaled=False))


# --- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["b", "a", "c"] * 4, object),
        ([3, 1, 2] * 4, np.int64),
        ([True, False, False] * 4, np.bool_),
        ([0.5, 1.0, 2.5] * 4, np.float64),
    ],
)
def test_classes_come_back_in_their_type(labels, kind):
    data = table(price=labels)
    encoding = Encoding.fit(data, "price", task="classification")
    Y = encoding.targets(data)
    np.testing.assert_array_equal(Y.sum(axis=1), 1.0)
    back = encoding.decode(Y * 0.6)["price"]
    assert back.dtype == kind
    assert back.tolist() == labels
    assert encoding.classes.values == tuple(sorted(set(labels)))
    assert encoding.outputs[0] == f"price={encoding.classes.texts[0]}"
    np.testing.assert_array_equal(encoding.class_indices(data), Y.argmax(axis=1))


def test_two_classes_may_be_one_probability():
    encoding = Encoding.fit(table(price=["no", "yes", "no"] * 4), "price")
    assert encoding.decode(np.array([0.1, 0.9]))["price"].tolist() == ["no", "yes"]
    assert encoding.decode(np.array([[0.6], [0.5]]))["price"].tolist() == ["yes", "no"]


def test_several_targets():
    data = table(cost=np.arange(N) * 2.0)
    encoding = Encoding.fit(data, ["price", "cost"])
    assert encoding.outputs == ("price", "cost")
    assert "cost" not in encoding.features
    back = encoding.decode(encoding.targets(data))
    np.testing.assert_allclose(back["price"], data["price"], rtol=1e-13)
    np.testing.assert_allclose(back["cost"], data["cost"], rtol=1e-13, atol=1e-13)
    with pytest.raises(ShapeError, match="3 outputs"):
        encoding.decode(np.ones((2, 3)))
    with pytest.raises(OptionError, match="no classes"):
        encoding.class_indices(data)
    two = message(Encoding.fit, data, ["price", "colour"], task="classification")
    assert "one target, not 2" in two
    assert "'colour' should hold numbers" in message(Encoding.fit, data, ["price", "colour"])


def test_unknown_class_on_a_later_table():
    encoding = Encoding.fit(table(price=["no", "yes", "no"] * 4), "price")
    text = message(encoding.targets, table(price=["no", "yess", "no"] * 4))
    assert "row 2" in text
    assert "Did you mean 'yes'?" in text


def test_class_outside_the_training_rows():
    encoding = Encoding.fit(table(price=["a", "b"] * 5 + ["c", "a"]), "price", np.arange(10))
    assert encoding.outputs == ("price=a", "price=b", "price=c")
    assert any("no training row has the class 'c'" in warning for warning in encoding.warnings)


# --- bad tables ----------------------------------------------------------------------------------


def test_missing_target():
    text = message(Encoding.fit, table(), "prize")
    assert "no column 'prize'. Did you mean 'price'?" in text
    assert "'size', 'colour', 'old', 'price'" in text
    assert "no column" in message(prepare, table(), ["price", "q"])
    with pytest.raises(OptionError, match="each once"):
        prepare(table(), ["price", "price"])


def test_text_in_a_numeric_column(tmp_path):
    rows = [f"{i},{i * 0.5}" for i in range(20)]
    rows[4], rows[9] = "x4,1", "1O,2"
    data = csv(tmp_path, "a,y\n" + "\n".join(rows) + "\n")
    text = message(Encoding.fit, data, "y")
    assert "t.csv: column 'a' should hold numbers, but 2 of 20 values are text" in text
    assert "row 5 (line 6) 'x4', row 10 (line 11) '1O'" in text
    assert Encoding.fit(data, "y", preparation=Preparation(categorical=["a"])).columns[0].name
    encoding = Encoding.fit(table(colour=None, old=None), "price")
    text = message(encoding.inputs, table(size=["1", "two"] * 6))
    assert "row 2 'two', row 4 'two', row 6 'two', ..." in text


def test_text_in_a_numeric_target(tmp_path):
    rows = [f"{i},{i * 0.5}" for i in range(20)]
    rows[4] = "4,high"
    assert "column 'y'" in message(Encoding.fit, csv(tmp_path, "a,y\n" + "\n".join(rows)), "y")


def test_thousands_commas(tmp_path):
    data = csv(tmp_path, "a,y\n" + "\n".join(f'"{i},000",{i * 0.5}' for i in range(1, 9)))
    assert "without thousands commas" in message(Encoding.fit, data, "y")


SIZES = np.where(np.isin(np.arange(N), [2, 7]), np.nan, np.linspace(1.0, 12.0, N))


def test_missing_values_are_refused_by_default(tmp_path):
    text = message(Encoding.fit, table(size=SIZES), "price")
    assert "column 'size' has 2 missing values: row 3, row 8" in text
    assert "missing=mean, median or drop" in text
    text = message(Encoding.fit, table(size=SIZES, old=[True, None, False] * 4), "price")
    assert "(missing values too in: 'old')" in text
    text = message(Encoding.fit, table(size=np.where(np.arange(N) == 1, np.inf, SIZES)), "price")
    assert "3 missing or infinite values" in text
    text = message(Encoding.fit, table(colour=["red", None, "blue"] * 4), "price")
    assert "'colour' has 4 missing values" in text
    data = csv(tmp_path, "a,y\n1,1.5\nNA,2.5\n3,3.5\n4,1.0\n")
    assert "row 2 (line 3)" in message(Encoding.fit, data, "y")


@pytest.mark.parametrize(("rule", "middle"), [("mean", np.mean), ("median", np.median)])
def test_missing_values_are_filled_from_training_rows(rule, middle):
    sizes = SIZES.copy()
    sizes[[0, 11]] = 1000.0, np.inf
    data = table(size=sizes, colour=[None, "red", "red", "blue"] * 3)
    train = np.arange(1, 11)
    how = Preparation(missing=rule, scaling="none")
    encoding = Encoding.fit(data, "price", train, preparation=how)
    X = encoding.inputs(data)
    wanted = middle(sizes[train][np.isfinite(sizes[train])])
    np.testing.assert_array_equal(X[[2, 7, 11], 0], wanted)
    assert X[0, encoding.features.index("colour=red")] == 1.0
    later = table(size=[np.nan] * N, colour=["red"] * N)
    np.testing.assert_array_equal(encoding.inputs(later)[:, 0], wanted)


def test_missing_rows_are_dropped_before_dividing():
    data = table(size=SIZES, empty=[None] * N, price=[None, *np.linspace(1.5, 3, N - 1)])
    kept = prepare(data, "price", missing="drop")
    assert len(kept) == 9
    assert kept.place(1) == "row 4"
    assert kept.notes == ("3 rows with missing values left out: row 1, row 3, row 8",)
    encoding = Encoding.fit(kept, "price", preparation=Preparation(missing="drop"))
    assert encoding.inputs(kept).shape == (9, 5)
    assert "missing values: row 3" in message(encoding.inputs, data)


def test_missing_targets_are_never_filled():
    data = table(price=[None, *np.linspace(1.5, 3, N - 1)])
    for rule in ("refuse", "mean", "median"):
        how = Preparation(missing=rule)
        assert "never filled" in message(Encoding.fit, data, "price", preparation=how)
    assert "never filled" in message(prepare, table(price=["a", None] * 6), "price")


def test_strings_of_numbers_count_as_numbers():
    data = read_table(pd.DataFrame({"a": ["1", "2.5", "NA", "4"], "y": [1.5, 2.5, 3.5, 4.0]}))
    assert "1 missing value: row 3" in message(Encoding.fit, data, "y")
    encoding = Encoding.fit(data, "y", preparation=Preparation(missing="median", scaling="none"))
    np.testing.assert_array_equal(encoding.inputs(data)[:, 0], [1, 2.5, 2.5, 4])


def test_useless_columns_are_left_out_with_a_warning():
    n = 40
    data = read_table(
        {
            "same": np.full(n, 3.0),
            "kind": ["a"] * n,
            "empty": [None] * n,
            "late": np.maximum(np.arange(n) - 30.0, 0.0),
            "name": [f"sample {i:c}" for i in range(65, 65 + n)],
            "id": np.arange(1, n + 1),
            "x": np.sin(np.arange(n)),
            "y": np.cos(np.arange(n)),
        }
    )
    encoding = Encoding.fit(data, "y", np.arange(30))
    assert encoding.features == ("id", "x")
    assert encoding.dropped == ("same", "kind", "empty", "late", "name")
    said = "\n".join(encoding.warnings)
    for part in (
        "'same' is constant in the training rows (always 3): left out",
        "'kind' is constant in the training rows (always a): left out",
        "'empty' is empty: left out",
        "'late' is constant in the training rows (always 0): left out",
        "'name' has 30 different texts in 30 training rows",
        "'id' counts the rows",
    ):
        assert part in said
    assert encoding.inputs(data.without(encoding.dropped)).shape == (n, 2)
    assert "no input column" in message(
        Encoding.fit, read_table({"a": [1, 1, 1], "y": [1, 2, 3.5]}), "y"
    )
    assert "no input column" in message(Encoding.fit, read_table({"y": [1, 2, 3.5]}), "y")


def test_too_few_rows():
    data = table().take(np.arange(2))
    assert "has 2 usable rows; at least 3" in message(prepare, data, "price")
    assert "has 2 usable rows" in message(Encoding.fit, data, "price")


def test_one_class_only():
    text = message(Encoding.fit, table(price=["a"] * N), "price")
    assert "target 'price' has one class only, 'a'" in text
    sorted_classes = table(price=["a"] * 8 + ["b"] * 4)
    text = message(Encoding.fit, sorted_classes, "price", np.arange(8))
    assert "one class only in the training rows, 'a'" in text
    assert "always 7.5" in message(Encoding.fit, table(price=[7.5] * N), "price")


def test_unknown_options():
    for options, hint in (
        ({"missing": "meen"}, "'mean'"),
        ({"unknown": "zero"}, "'zeros'"),
        ({"scaling": "standart"}, "'standard'"),
    ):
        assert hint in message(Preparation, error=OptionError, **options)
    assert "'regression'" in message(
        Encoding.fit, table(), "price", task="regresion", error=OptionError
    )


# --- the record ----------------------------------------------------------------------------------


@pytest.fixture
def fitted():
    data = table(size=SIZES, kind=["u", "v", "w"] * 4)
    how = Preparation(missing="mean", unknown="zeros")
    return data, Encoding.fit(data, "colour", np.arange(9), preparation=how)


def test_record_survives_json_exactly(fitted):
    data, encoding = fitted
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json(), allow_nan=False)))
    assert again == encoding
    np.testing.assert_array_equal(again.inputs(data), encoding.inputs(data))
    np.testing.assert_array_equal(again.targets(data), encoding.targets(data))
    regression = Encoding.fit(table(), ["price"], preparation=Preparation(scaling="minmax"))
    assert Encoding.from_json(json.loads(json.dumps(regression.to_json()))) == regression


@pytest.mark.parametrize(
    "edit",
    [
        lambda record: record.pop("names"),
        lambda record: record.update(more=1),
        lambda record: record.update(columns=[]),
        lambda record: record.update(columns={}),
        lambda record: record.update(names=["a", "b"]),
        lambda record: record.update(names=["size"]),
        lambda record: record.update(names=[1]),
        lambda record: record.update(classes={"kind": "str", "texts": ["b", "a"]}),
        lambda record: record.update(classes={"kind": "str", "texts": ["a"]}),
        lambda record: record.update(classes={"kind": "int", "texts": ["a", "b"]}),
        lambda record: record.update(classes={"kind": "float", "texts": ["0.5", "inf"]}),
        lambda record: record.update(classes={"kind": "bool", "texts": ["false", "yes"]}),
        lambda record: record.update(classes={"kind": "other", "texts": ["a", "b"]}),
        lambda record: record.update(target_scaling={"kind": "standard", "mean": [0], "std": [1]}),
        lambda record: record["input_scaling"]["mean"].pop(),
        lambda record: record["columns"].pop(),
        lambda record: record["columns"][0].update(kind="other"),
        lambda record: record["columns"][0].update(fill="1"),
        lambda record: record["columns"][0].update(fill=float("inf")),
        lambda record: record["columns"][0].update(fill=True),
        lambda record: record["columns"][2].update(unknown="guess"),
        lambda record: record["columns"][2].update(fill="z"),
        lambda record: record["columns"][2].update(categories=["u", "u", "w"]),
        lambda record: record["columns"][2].update(categories="uvw"),
    ],
)
def test_edited_records_are_refused(fitted, edit):
    record = json.loads(json.dumps(fitted[1].to_json()))
    edit(record)
    message(Encoding.from_json, record, error=ModelFileError)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["columns", "names", "classes", "kind"]), inner)
        ),
    )
)
def test_any_json_is_an_encoding_or_a_model_file_error(data):
    message(Encoding.from_json, data, error=ModelFileError)
