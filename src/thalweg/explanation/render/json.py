"""Explanations as JSON, by the schema in ``docs/schema``.

Examples
--------
>>> import json
>>> from thalweg.explanation import explain
>>> json.loads(explain("x^2")(3.0).write("json", "en"))["title"]["text"]
'f = x^2'
"""

from __future__ import annotations

import json

from thalweg.explanation.records import Explanation
from thalweg.explanation.storage import to_json

__all__ = ["render"]


def render(explanation: Explanation, lang: str, *, indent: int | None = 1) -> str:
    """Write an explanation as JSON text.

    Parameters
    ----------
    explanation : Explanation
    lang : str
    indent : int or None
        None writes one line.
    """
    data = to_json(explanation, lang)
    return json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False) + "\n"
