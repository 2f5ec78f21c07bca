"""Models to files and back; documents edited in every field."""

import json
import struct

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import DataError, ModelFileError, OptionError
from thalweg.io.container import read_container, write_container
from thalweg.nn.network import dense_network

RNG = np.random.default_rng(0)
TABLE = {
    "size": RNG.normal(size=60),
    "colour": np.array(["red", "blue", "green"])[RNG.integers(3, size=60)],
}
TABLE["kind"] = np.where(TABLE["size"] > 0, "large", "small")
TABLE["price"] = 10.0 * TABLE["size"] + 3.0


@pytest.fixture(scope="module", params=["price", "kind"])
def model(request):
    table = {k: v for k, v in TABLE.items() if k in ("size", "colour", request.param)}
    return tw.fit_table(
        table, request.param, engine="numpy", epochs=5, snapshots=[0, 2], method="adamw"
    )


def test_comes_back_whole(model, tmp_path):
    path = tmp_path / "m.thalweg"
    model.save(path)
    found = tw.load(path)
    assert found.equals(model)
    assert np.array_equal(found.predict(TABLE), model.predict(TABLE))
    assert found.summary("en") == model.summary("en")
    assert found.history.columns().keys() == model.history.columns().keys()
    for name, column in model.history.columns().items():
        assert np.array_equal(found.history[name], column, equal_nan=True)
    assert found.origin.settings == json.loads(json.dumps(model.origin.settings))
    assert list(found.snapshots) == ["init", "epoch=2"]
    for part, rows in model.split.parts().items():
        assert np.array_equal(found.split.parts()[part], rows)
    assert np.array_equal(found.outputs(TABLE, at="init"), model.outputs(TABLE, at="init"))
    with pytest.raises(OptionError, match="exists already"):
        model.save(path)
    model.save(path, force=True)


def test_float32_stays(tmp_path):
    X = RNG.normal(size=(30, 2)).astype(np.float32)
    net = dense_network(2, [3], 1, "tanh")
    model = tw.fit(net, X, X[:, 0], engine="numpy", epochs=2)
    model.save(tmp_path / "m")
    found = tw.load(tmp_path / "m")
    assert found.dtype == np.float32 and found.equals(model)


def leaves_of(value, path=()):
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves_of(child, (*path, key))
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from leaves_of(child, (*path, place))
    yield path


def put(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


REPLACEMENTS = (None, True, -1, 10**9, 0.5, "", "text", [], {}, [None], {"kind": "number"})


def test_documents_edited_anywhere_are_refused_or_read(model, tmp_path):
    """With a right digest, so that it is the schema that is tried."""
    path, other = tmp_path / "m", tmp_path / "edited"
    model.save(path)
    arrays, document = read_container(path)
    rng = np.random.default_rng(1)
    for place in leaves_of(document):
        for new in rng.choice(np.array(REPLACEMENTS, object), 3, replace=False):
            write_container(other, arrays, put(document, place, new) or {}, force=True)
            try:
                found = tw.load(other)
            except ModelFileError:
                continue
            assert found.summary("en")
            try:
                assert len(found.predict(TABLE)) == 60
            except DataError:
                assert place[0] == "encoding"  # other columns are wanted now


def test_arrays_edited_are_refused(model, tmp_path):
    path, other = tmp_path / "m", tmp_path / "edited"
    model.save(path)
    arrays, document = read_container(path)
    for name, array in arrays.items():
        rest = {key: value for key, value in arrays.items() if key != name}
        wide = np.zeros((*array.shape, 1), array.dtype)
        strange = [rest, {**rest, name: wide}]
        if array.dtype.kind == "f":
            strange.append({**rest, name: np.full_like(array, np.nan)})
            strange.append({**rest, name: array.astype(np.int64)})
        for changed in strange:
            write_container(other, changed, document, force=True)
            with pytest.raises(ModelFileError):
                tw.load(other)
    write_container(other, {**arrays, "more": np.zeros(1)}, document, force=True)
    with pytest.raises(ModelFileError, match="belongs nowhere"):
        tw.load(other)


def test_a_file_from_a_newer_version_says_what_to_do(model, tmp_path):
    path = tmp_path / "m"
    model.save(path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["version"] = "99"
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    with pytest.raises(ModelFileError, match="pip install --upgrade thalweg"):
        tw.load(path)


def test_damage_never_gives_another_model(model, tmp_path):
    path = tmp_path / "m"
    model.save(path)
    content = path.read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(300):
        broken = bytearray(content)
        broken[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(
            bytes(broken) if rng.random() < 0.7 else bytes(broken[: rng.integers(len(content))])
        )
        try:
            found = tw.load(path)
        except ModelFileError:
            continue
        assert found.equals(model)
