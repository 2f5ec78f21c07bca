"""Files read and written: looked at before work begins, so that nothing is done in vain."""

from __future__ import annotations

import os
from pathlib import Path

from thalweg.errors import OptionError

__all__ = ["form_of", "is_model_file", "refuse_swapped", "size_in_words", "writable"]

FORMS = {
    ".html": "html", ".htm": "html", ".tex": "latex", ".md": "markdown", ".json": "json",
    ".py": "source", ".txt": "terminal",
}  # fmt: skip


def writable(path: str | Path, force: bool, *inputs: str) -> Path:
    """A path that may be written.

    Parameters
    ----------
    path : path
    force : bool
        Whether a file that is there may be replaced.
    *inputs : str
        Files that are read and must not be replaced even so.

    Raises
    ------
    OptionError
        If the file exists, is an input, or lies in no folder.

    Examples
    --------
    >>> writable("nowhere/m.thalweg", force=False)
    Traceback (most recent call last):
    ...
    thalweg.errors.OptionError: nowhere/m.thalweg cannot be written: there is no folder 'nowhere'.
    """
    path = Path(path)
    if path.is_dir():
        raise OptionError("{path} is a folder; name a file in it with --output.", path=path)
    if not path.parent.is_dir():
        raise OptionError(
            "{path} cannot be written: there is no folder {folder!r}.",
            path=path,
            folder=str(path.parent),
        )
    if path.exists():
        if any(os.path.exists(read) and os.path.samefile(path, read) for read in inputs):
            raise OptionError(
                "{path} is read by this command; give another name with --output.", path=path
            )
        if not force:
            raise OptionError(
                "{path} exists already: give another name with --output, or replace it "
                "with --force.",
                path=path,
            )
    if not os.access(path.parent, os.W_OK):
        raise OptionError("{path} cannot be written: the folder is read-only.", path=path)
    return path


def form_of(form: str | None, output: str | None) -> str:
    """The format of an explanation: as asked for, by the file's name, or the terminal's.

    Examples
    --------
    >>> form_of(None, "report.html"), form_of("json", "x.md"), form_of(None, None)
    ('html', 'json', 'terminal')
    """
    return form or FORMS.get(Path(output or "").suffix.lower(), "terminal")


def size_in_words(path: Path) -> str:
    """The size of a file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"x" * 2500), file.flush()
    ...     size_in_words(Path(file.name))
    '2.5 kB'
    """
    size = path.stat().st_size
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1e3:.1f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"


def is_model_file(path: Path) -> bool:
    """Whether a file is meant to be a model: by its name, or by how it begins."""
    if path.suffix.lower() in (".thalweg", ".safetensors"):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(10)
    except OSError:
        return False
    return len(start) == 10 and start[8:10] == b'{"' and start[4:8] == b"\0" * 4


def refuse_swapped(command: str, model: str, data: str) -> None:
    """Say so where a table stands in the place of the model, and the model in the table's.

    Raises
    ------
    OptionError
        If the two are exchanged.
    """
    if is_model_file(Path(data)) and Path(model).is_file() and not is_model_file(Path(model)):
        raise OptionError(
            "{data} is a model and {model} is none; the model comes first: "
            "thalweg {command} {data} {model}.",
            command=command,
            model=model,
            data=data,
        )
