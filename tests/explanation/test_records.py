"""Records as JSON: by the published schema, and back without loss."""

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import thalweg as tw
from thalweg.errors import ModelFileError, OptionError, ShapeError
from thalweg.explanation import storage
from thalweg.explanation.records import product
from thalweg.nn.network import Dense, Network

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/schema/explanation-1.schema.json").read_text())
NAMES = sorted(p.stem for p in (ROOT / "examples/explain").glob("*.toml"))


def _explanations():
    for name in NAMES:
        yield tw.read_exercise(ROOT / f"examples/explain/{name}.toml").explanation()
    net = Network([Dense(2, 3, "relu"), Dense(3, 2, "softmax")])
    told = tw.explain_network(
        net, net.initial(0), np.ones((3, 2)), np.eye(2)[[0, 1, 1]], "cross_entropy", "adam"
    )
    yield from (told.report(), told.jacobians(), told.entry("dW[1]", 1, 2, check=True))
    yield tw.explain("log(x)", check=True)(0.0)  # infinite numbers


@pytest.mark.parametrize("explanation", list(_explanations()), ids=lambda e: e.kind)
def test_json_follows_the_schema_and_comes_back(explanation) -> None:
    for lang in ("en", "ko"):
        data = json.loads(explanation.write("json", lang))
        Draft202012Validator(SCHEMA).validate(data)
        back = storage.from_json(data)
        assert storage.to_json(back, lang) == data
        assert back.write("terminal", lang) == explanation.write("terminal", lang)


def test_the_schema_itself_is_sound() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    data = json.loads(tw.explain("x^2")(1.0).write("json", "en"))
    for damage in ({"schema": "thalweg.explanation/2"}, {"kind": 3}, {"sections": [{}]}):
        assert list(Draft202012Validator(SCHEMA).iter_errors({**data, **damage}))


@pytest.mark.parametrize("data", [None, {}, [], {"schema": "thalweg.explanation/2"}])
def test_other_data_is_refused(data) -> None:
    with pytest.raises(ModelFileError, match="no explanation"):
        storage.from_json(data)


def test_damaged_data_is_refused() -> None:
    data = json.loads(tw.explain("x^2")(1.0).write("json", "en"))
    del data["sections"][0]["title"]
    with pytest.raises(ModelFileError, match="damaged"):
        storage.from_json(data)


def test_every_entry_opens_into_what_is_shown() -> None:
    net = Network([Dense(2, 3, "tanh"), Dense(3, 2, "softmax")])
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(4, 2)), np.eye(2)[[0, 1, 1, 0]]
    view = tw.explain_network(net, net.initial(0), X, T, "cross_entropy").layers()
    opened = 0
    for step in view.steps():
        if step.recipe is None or view.step(step.id) is not step:
            continue
        matrix = np.atleast_2d(step.value)
        for row, column in np.ndindex(matrix.shape):
            found = product(view.open(step.id, row + 1, column + 1))
            assert found == pytest.approx(matrix[row, column], rel=1e-12, abs=1e-15)
            opened += 1
    assert opened > 50


def test_steps_are_found_by_name() -> None:
    record = tw.explain("w*x")(2.0, 3.0)
    with pytest.raises(OptionError, match="Did you mean '∂f/∂w'"):
        record.step("df/dw")
    with pytest.raises(OptionError, match="not written as 'pdf'"):
        record.write("pdf")
    net = Network([Dense(2, 1)])
    view = tw.explain_network(net, net.initial(0), [1.0, 2.0], [1.0]).layers()
    with pytest.raises(ShapeError, match="1 rows and 2 columns"):
        view.open("dW[1]", 1, 3)
