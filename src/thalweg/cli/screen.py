"""Results on stdout, messages on stderr, on terminals of every encoding and width.

Everything is laid out with rich. Where the stream cannot encode a letter, the letter alone is
written in ASCII: ``R²`` becomes ``R^2``, and a Korean console keeps its Hangul. Spaces that a
longer spelling takes are given back before the next column, so that tables stay straight.

Examples
--------
>>> plain("loss → 0.5", "ascii")
'loss -> 0.5'
>>> plain("가중치 ∂f/∂w = σ", "cp949")
'가중치 ∂f/∂w = σ'
"""

from __future__ import annotations

import codecs
import io
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import IO, Any

from rich.console import Console, RenderableType

from thalweg.phrases import Phrase

__all__ = ["Screen", "degrade_gracefully", "plain", "to_json"]

_PLAIN = {
    "∂": "d", "·": "*", "∘": ".*", "Σ": "sum", "ᵀ": "^T", "←": "<-", "→": "->", "√": "sqrt",
    "σ": "sigmoid", "−": "-", "∞": "inf", "α": "alpha", "β": "beta", "δ": "delta",
    "ε": "epsilon", "λ": "lambda", "μ": "mu", "η": "eta", "ρ": "rho", "ℓ": "l", "⁺": "+",
    "↓": "v", "…": "...", "⋮": ":", "×": "x", "≥": ">=", "≤": "<=", "≠": "!=", "½": "1/2", "∧": "&",
    "∨": "|", "⎡": "[", "⎣": "[", "⎢": "|", "⎤": "]", "⎦": "]", "⎥": "|", "²": "^2", "³": "^3",
    "₀": "0", "₁": "1", "₂": "2", "₃": "3", "₄": "4", "₅": "5", "₆": "6", "₇": "7", "₈": "8",
    "₉": "9", "ₛ": "_s", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "▲": "+", "▼": "-",
    "✓": "+", "●": "*", "•": "*", "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+",
    "▇": "*", "█": "#", "╸": "-", "╺": "-", "⠋": "|", "⠙": "/", "⠹": "-", "⠸": "\\",
}  # fmt: skip
_HANDLER = "thalweg.plain"


def _spelled(letter: str) -> str:
    """A letter in ASCII; lines of boxes by their direction, anything unknown as ``?``."""
    if "─" <= letter <= "╿":
        return "|" if letter in "│┃║" else "-" if letter in "─━═╌╍┄┅" else "+"
    return _PLAIN.get(letter, "?")


def _replace(error: UnicodeError) -> tuple[str, int]:
    """What `codecs` writes in place of letters that an encoding lacks."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_spelled, error.object[error.start : error.end])), error.end


def degrade_gracefully(*streams: IO[str]) -> None:
    """Let streams write ASCII for what they cannot encode, instead of failing."""
    codecs.register_error(_HANDLER, _replace)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def plain(line: str, encoding: str) -> str:
    """A line with nothing in it that the encoding lacks; columns stay where they are.

    Parameters
    ----------
    line : str
    encoding : str

    Returns
    -------
    str
    """
    if _encodable(line, encoding):
        return line
    written, owed = [], 0
    for part in re.split(r"( {2,})", line):
        if part.startswith("  "):
            taken = min(owed, len(part) - 1)
            owed -= taken
            written.append(part[taken:])
            continue
        spelled = "".join(c if _encodable(c, encoding) else _spelled(c) for c in part)
        owed += len(spelled) - len(part)
        written.append(spelled)
    return "".join(written)


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


class Screen:
    """Where a command writes.

    Parameters
    ----------
    quiet : bool
        Notes and progress are left out.
    lang : str
        Of the sentences.
    """

    def __init__(self, lang: str, quiet: bool = False) -> None:
        self.lang, self.quiet = lang, quiet
        self.out = Console(file=sys.stdout, highlight=False, soft_wrap=False)
        self.err = Console(file=sys.stderr, highlight=False, soft_wrap=False)

    def say(self, key: str, **values: Any) -> str:
        """A sentence of the command line's catalogue."""
        from thalweg.language import tr

        return tr(f"cli.{key}", self.lang, **values)

    def said(self, text: str) -> str:
        """A phrase in the language of the command; any other text as it is."""
        return text.said(self.lang) if isinstance(text, Phrase) else text

    def show(self, *parts: RenderableType) -> None:
        """Write results to stdout."""
        self._write(self.out, parts)

    def note(self, *parts: RenderableType) -> None:
        """Write messages to stderr, unless quiet."""
        if not self.quiet:
            self._write(self.err, parts)

    def complain(self, *parts: RenderableType) -> None:
        """Write what went wrong to stderr."""
        self._write(self.err, parts)

    def interject(self, text: str) -> None:
        """Write a line to stderr past all layout, for use in a signal handler."""
        with suppress(OSError, ValueError, RuntimeError):
            encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
            os.write(2, f"\r{text}\n".encode(encoding, _HANDLER))

    def write(self, text: str) -> None:
        """Write text to stdout as it is: tables and documents for other programs."""
        sys.stdout.write(text)
        sys.stdout.flush()

    @staticmethod
    def _write(console: Console, parts: Iterable[RenderableType]) -> None:
        stream = console.file
        encoding = getattr(stream, "encoding", None) or "utf-8"
        inner = Console(
            file=io.StringIO(),
            width=console.width,
            force_terminal=console.is_terminal,
            color_system=console.color_system,  # type: ignore[arg-type]  # its own name
            no_color=console.no_color,
            highlight=False,
            markup=False,  # "p [hPa]" and ":1:" are names of columns
            emoji=False,
        )
        inner.print(*parts, sep="\n")
        drawn = inner.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
        for line in drawn.splitlines():
            stream.write(plain(line.rstrip(), encoding) + "\n")
        stream.flush()


def to_json(record: Mapping[str, Any]) -> str:
    r"""A record as JSON that any reader takes: ASCII, and null for what is no finite number.

    Examples
    --------
    >>> print(to_json({"loss": float("nan"), "name": "값"}))
    {
      "loss": null,
      "name": "\uac12"
    }
    """
    return json.dumps(_finite(record), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value
