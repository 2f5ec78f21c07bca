"""The container: what is written comes back, whatever else happened to the file is refused."""

import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file

from thalweg.errors import ModelFileError, OptionError
from thalweg.io.container import read_container, write_container

ARRAYS = {
    "W[1]": np.arange(6.0).reshape(2, 3),
    "small": np.array([1.5, -2.0], np.float32),
    "rows": np.array([3, 1, 2]),
    "empty": np.zeros((0, 4)),
    "number": np.array(7.0),
}
DOCUMENT = {"name": "높이", "list": [1, 2.5, None, True], "tiny": 5e-324}


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "m.thalweg"
    write_container(target, ARRAYS, DOCUMENT)
    return target


def same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert np.array_equal(found[name], array)


def test_comes_back(path):
    arrays, document = read_container(path)
    same(arrays, ARRAYS)
    assert document == DOCUMENT


def test_is_a_safetensors_file(path):
    same(load_file(path), ARRAYS)


def test_equal_contents_are_equal_bytes(path, tmp_path):
    other = tmp_path / "other"
    write_container(other, dict(reversed(ARRAYS.items())), DOCUMENT)
    assert other.read_bytes() == path.read_bytes()


def test_an_existing_file_is_kept_without_force(path):
    before = path.read_bytes()
    with pytest.raises(OptionError, match="exists already"):
        write_container(path, {}, {})
    assert path.read_bytes() == before
    write_container(path, {}, {}, force=True)
    assert read_container(path) == ({}, {})


def test_an_interrupted_write_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def fail(*unused):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ModelFileError, match="No space left"):
        write_container(path, {}, {}, force=True)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_places_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_container(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_container(tmp_path)
    with pytest.raises(ModelFileError, match="cannot be written"):
        write_container(tmp_path / "no" / "folder", {}, {})


def header_of(content):
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def packed(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def edited(path, change):
    header, data = header_of(path.read_bytes())
    change(header)
    path.write_bytes(packed(header, data))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["__metadata__"].update(version="2"), "Update thalweg"),
        (lambda h: h["__metadata__"].update(version="0"), "unknown format version"),
        (lambda h: h["__metadata__"].update(version="one"), "no number"),
        (lambda h: h["__metadata__"].update(format="pt"), "not a model file"),
        (lambda h: h.pop("__metadata__"), "not a model file"),
        (lambda h: h["__metadata__"].pop("digest"), "incomplete"),
        (lambda h: h["__metadata__"].update(document="{}"), "digest does not match"),
        (lambda h: h["__metadata__"].update(more="1"), "digest does not match"),
        (lambda h: h["W[1]"].update(shape=[3, 2]), "digest does not match"),
        (lambda h: h["W[1]"].update(shape=[2, 4]), "truncated or damaged"),
        (lambda h: h["W[1]"].update(shape=[2**62, 2**62]), "misdescribed"),
        (lambda h: h["W[1]"].update(shape=[-1, 6]), "misdescribed"),
        (lambda h: h["W[1]"].update(shape=[True, 6]), "misdescribed"),
        (lambda h: h["W[1]"].update(dtype="BF16"), "misdescribed"),
        (lambda h: h["W[1]"].update(data_offsets=[0]), "misdescribed"),
        (lambda h: h["W[1]"].update(data_offsets=["0", "48"]), "misdescribed"),
        (lambda h: h.pop("W[1]"), "damaged"),
        (lambda h: h.update(extra=7), "misdescribed"),
        (lambda h: h.update({"W[2]": h["W[1]"]}), "truncated or damaged"),
    ],
)
def test_edits_are_refused(path, change, message):
    with pytest.raises(ModelFileError, match=message) as caught:
        read_container(edited(path, change))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 7, b"\xff" * 64, b"x,y\n1,2\n", packed([], b""), packed({}, b""), b"\0" * 8],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        read_container(path)


def test_deeply_nested_headers_are_refused(tmp_path):
    path = tmp_path / "deep"
    text = b"[" * 100_000
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(ModelFileError):
        read_container(path)


def check_damaged(path, content):
    """Damage is refused, or the file still says the same."""
    path.write_bytes(content)
    try:
        arrays, document = read_container(path)
    except ModelFileError:
        return
    same(arrays, ARRAYS)
    assert document == DOCUMENT


def test_every_truncation(path):
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            read_container(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ModelFileError):
        read_container(path)


def test_random_flips(path):
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(1500):
        broken = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            broken[place] ^= 1 << rng.integers(8)
        check_damaged(path, bytes(broken))


@pytest.mark.slow
def test_every_flip_of_one_bit(path):
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            broken = bytearray(content)
            broken[place] ^= 1 << bit
            check_damaged(path, bytes(broken))
