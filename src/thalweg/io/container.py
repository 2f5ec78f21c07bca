"""The model file: one safetensors file whose metadata holds a JSON document and a digest.

Nothing in it is executable. The header names every array with its dtype, shape and place; the
document says what they mean; the digest (SHA-256 over document and arrays) finds damage and
edits. All sizes are checked against the size of the file before anything is allocated.

Examples
--------
>>> import tempfile
>>> import numpy as np
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "m.thalweg"
...     write_container(path, {"W": np.eye(2)}, {"kind": "model"})
...     read_container(path)
({'W': array([[1., 0.],
       [0., 1.]])}, {'kind': 'model'})
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import ModelFileError, OptionError, reason_of
from thalweg.phrases import Phrase

__all__ = ["FORMAT", "VERSION", "read_container", "write_container"]

FORMAT = "thalweg"
VERSION = 1
LONGEST_HEADER = 64 * 1024 * 1024
MOST_AXES = 8
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}

Arrays = dict[str, NDArray[Any]]


def write_container(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    document: Mapping[str, Any],
    force: bool = False,
) -> None:
    """Write arrays and a JSON document to one file.

    The file is written beside its place and renamed, so that an interrupted write leaves an older
    file whole. Equal contents give equal bytes.

    Parameters
    ----------
    path : path
    arrays : mapping of str to array
        float64, float32 or int64.
    document : mapping
        What `json` can write, without nan and infinities.
    force : bool
        Replace a file that is there already.

    Raises
    ------
    OptionError
        If the file exists and `force` is not given.
    ModelFileError
        If it cannot be written.
    """
    path = Path(path)
    if path.exists() and not force:
        raise OptionError(
            "{path} exists already; give another name, or force=True (--force).", path=path
        )
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    plain = {name: np.array(array, order="C") for name, array in sorted(arrays.items())}
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "document": text,
        "digest": _digest(text, plain),
    }
    content = _packed(plain, metadata)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            beside.write_bytes(content)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ModelFileError(
            "{path} cannot be written: {reason}.", path=path, reason=reason_of(error)
        ) from None


def _packed(arrays: Arrays, metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file; its own writer orders metadata by chance."""
    header: dict[str, Any] = {"__metadata__": metadata}
    parts: list[bytes] = []
    end = 0
    for name, array in arrays.items():
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        parts.append(little.tobytes())
        start, end = end, end + len(parts[-1])
        facts = {"dtype": _CODES[little.dtype], "shape": list(array.shape)}
        header[name] = {**facts, "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def read_container(path: str | os.PathLike[str]) -> tuple[Arrays, dict[str, Any]]:
    """Read what `write_container` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to array, dict
        The arrays and the document.

    Raises
    ------
    ModelFileError
        If the file is missing, truncated, edited, from a newer version, or something else.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            "{path} cannot be read: {reason}.", path=path, reason=reason_of(error)
        ) from None
    return _Reader(str(path), content).read()


_AGAIN = Phrase("Fit and save the model again.")


class _Reader:
    """One reading; every refusal names the file and says what to do."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content

    def _refuse(self, what: Phrase, remedy: Phrase = _AGAIN) -> NoReturn:
        raise ModelFileError("{name}: {what} {remedy}", name=self.name, what=what, remedy=remedy)

    def read(self) -> tuple[Arrays, dict[str, Any]]:
        """Check everything, then make the arrays."""
        header, data = self._header()
        metadata = header.pop("__metadata__", None)
        if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
            self._refuse(
                Phrase("this is not a model file of thalweg."), Phrase("Give a file made by save.")
            )
        self._check_version(metadata.get("version"))
        text, digest = metadata.get("document"), metadata.get("digest")
        if not isinstance(text, str) or not isinstance(digest, str):
            self._refuse(Phrase("the file is damaged or was edited (its metadata are incomplete)."))
        arrays = self._arrays(header, data)
        if set(metadata) != {"format", "version", "document", "digest"} or digest != _digest(
            text, arrays
        ):
            self._refuse(Phrase("the file is damaged or was edited (its digest does not match)."))
        return arrays, self._document(text)

    def _header(self) -> tuple[dict[str, Any], memoryview]:
        content = self.content
        if len(content) < 8:
            self._refuse(Phrase("the file is too short to be a model file."))
        (length,) = struct.unpack("<Q", content[:8])
        if length > min(len(content) - 8, LONGEST_HEADER):
            self._refuse(Phrase("the file is truncated, or is not a model file."))
        try:
            header = json.loads(content[8 : 8 + length].decode("utf-8"))
        except (ValueError, RecursionError):
            self._refuse(Phrase("the header cannot be read: the file is damaged or no model file."))
        if not isinstance(header, dict):
            self._refuse(Phrase("the header cannot be read: the file is damaged or no model file."))
        return header, memoryview(content)[8 + length :]

    def _check_version(self, version: object) -> None:
        try:
            number = int(str(version))
        except ValueError:
            self._refuse(Phrase("the file is damaged or was edited (its version is no number)."))
        if number > VERSION:
            self._refuse(
                Phrase(
                    "the file has format version {number}, this thalweg reads up to {known}.",
                    number=number,
                    known=VERSION,
                ),
                Phrase("Update thalweg (pip install --upgrade thalweg)."),
            )
        if number != VERSION:
            self._refuse(Phrase("the file has the unknown format version {number}.", number=number))

    def _arrays(self, header: dict[str, Any], data: memoryview) -> Arrays:
        arrays: Arrays = {}
        end = 0
        for name, facts in sorted(header.items(), key=lambda item: _start(item[1])):
            dtype, shape, first, last = self._facts(name, facts)
            size = math.prod(shape) * dtype.itemsize
            if first != end or last - first != size or last > len(data):
                self._refuse(
                    Phrase("the file is truncated or damaged (array {name!r}).", name=name)
                )
            array = np.frombuffer(data[first:last], dtype).reshape(shape).copy()
            arrays[name] = array.astype(dtype.newbyteorder("="), copy=False)
            end = last
        if end != len(data):
            self._refuse(Phrase("the file is damaged (there is more in it than it says)."))
        return arrays

    def _facts(self, name: str, facts: Any) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
        """dtype, shape, first and last byte of an array."""
        found: dict[str, Any] = facts if isinstance(facts, dict) else {}
        code, shape, places = (found.get(key) for key in ("dtype", "shape", "data_offsets"))
        if (
            len(found) != 3
            or not (isinstance(code, str) and code in DTYPES)
            or not (isinstance(shape, list) and len(shape) <= MOST_AXES)
            or not (isinstance(places, list) and len(places) == 2)
            or not all(type(n) is int and 0 <= n <= len(self.content) for n in [*shape, *places])
        ):
            self._refuse(
                Phrase(
                    "the file is damaged or was edited (array {name!r} is misdescribed).", name=name
                )
            )
        return DTYPES[code], tuple(shape), places[0], places[1]

    def _document(self, text: str) -> dict[str, Any]:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            self._refuse(Phrase("the document in the file cannot be read."))
        return document


def _start(facts: Any) -> float:
    """Where an array begins, for sorting; what is no place comes first and is refused later."""
    places = facts.get("data_offsets") if isinstance(facts, dict) else None
    if isinstance(places, list) and places and type(places[0]) is int:
        return min(places[0], 2**62)
    return -1


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over the document and all arrays with their names, dtypes and shapes."""
    total = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        facts = json.dumps([name, _CODES[little.dtype], list(array.shape)])
        total.update(facts.encode("utf-8", "surrogatepass"))
        total.update(little.tobytes())
    return total.hexdigest()
