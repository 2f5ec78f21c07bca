"""Explanations as plain data and back, for files and other programs.

The schema is versioned (`thalweg.explanation.records.VERSION`) and written down in
``docs/schema/explanation-1.schema.json``. Formulas are nested lists beside their text, sentences
are keys and values beside their text, so that a reader can use either. Numbers that JSON cannot
write are the texts ``NaN``, ``Infinity`` and ``-Infinity``.

Examples
--------
>>> from thalweg.explanation import explain
>>> data = to_json(explain("w*x")(w=2.0, x=3.0), "en")
>>> data["schema"], data["sections"][1]["steps"][2]["name"]["text"]
('thalweg.explanation/1', '∂f/∂w')
>>> from_json(data).step("∂f/∂w").value
array(3.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.errors import ModelFileError
from thalweg.explanation.notation import Math, text
from thalweg.explanation.notation import from_json as formula_from_json
from thalweg.explanation.records import (
    VERSION,
    Array,
    Explanation,
    Factor,
    Picture,
    PictureEdge,
    PictureNode,
    Recipe,
    Section,
    Sentence,
    Step,
    Term,
)

__all__ = ["from_json", "to_json"]

SCHEMA = f"thalweg.explanation/{VERSION}"
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


# -- to plain data ----------------------------------------------------------------------------
def to_json(explanation: Explanation, lang: str) -> dict[str, Any]:
    """An explanation as dictionaries, lists, texts and numbers.

    Parameters
    ----------
    explanation : Explanation
    lang : str
        Of the texts beside the keys.
    """
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": explanation.kind,
        "language": lang,
        "title": _sentence(explanation.title, lang),
        "sections": [_section(s, lang) for s in explanation.sections],
    }
    if explanation.picture is not None:
        data["picture"] = _picture(explanation.picture)
    return data


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _optional(value: float | None) -> float | str | None:
    return None if value is None else _number(value)


def _array(value: Array) -> dict[str, Any]:
    flat = np.asarray(value, np.float64).ravel().tolist()
    return {"shape": list(value.shape), "data": [_number(v) for v in flat]}


def _formula(formula: Math) -> dict[str, Any]:
    return {"text": text(formula), "tree": formula.to_json()}


def _sentence(sentence: Sentence, lang: str) -> dict[str, Any]:
    values = {name: _value(value, lang) for name, value in sentence.values.items()}
    return {"key": sentence.key, "values": values, "text": sentence.say(lang)}


def _value(value: Any, lang: str) -> Any:
    if isinstance(value, Math):
        return {"formula": value.to_json()}
    if isinstance(value, Sentence):
        return {"sentence": _sentence(value, lang)}
    if isinstance(value, Mapping):
        return {"texts": dict(value)}
    if isinstance(value, float):
        return {"number": _number(value)}
    return value if isinstance(value, str) else int(value)


def _section(section: Section, lang: str) -> dict[str, Any]:
    return {
        "kind": section.kind,
        "title": _sentence(section.title, lang),
        "steps": [_step(s, lang) for s in section.steps],
        "notes": [_sentence(n, lang) for n in section.notes],
        "focus": list(section.focus),
    }


def _step(step: Step, lang: str) -> dict[str, Any]:
    data: dict[str, Any] = {
        "role": step.role,
        "name": _formula(step.name),
        "value": _array(step.value),
    }
    for key in ("formula", "numbers"):
        if getattr(step, key) is not None:
            data[key] = _formula(getattr(step, key))
    if step.terms:
        data["terms"] = [_term(t) for t in step.terms]
    if step.recipe is not None:
        data["recipe"] = {k: v for k, v in vars(step.recipe).items() if v not in ("", False)}
    if step.notes:
        data["notes"] = [_sentence(n, lang) for n in step.notes]
    if step.estimate is not None:
        data["estimate"] = _array(step.estimate)
    if step.place is not None:
        data["place"] = _sentence(step.place, lang)
    if step.rows:
        data["rows"] = list(step.rows)
    return data


def _term(term: Term) -> dict[str, Any]:
    factors = [{"name": _formula(f.name), "value": _number(f.value)} for f in term.factors]
    return {"factors": factors, "via": term.via} if term.via else {"factors": factors}


def _picture(picture: Picture) -> dict[str, Any]:
    nodes = [
        {
            "id": n.id,
            "label": _formula(n.label),
            "kind": n.kind,
            "column": n.column,
            "row": n.row,
            "value": _optional(n.value),
            "derivative": _optional(n.derivative),
            **({"caption": n.caption} if n.caption else {}),
        }
        for n in picture.nodes
    ]
    edges = [
        {
            "source": e.source,
            "target": e.target,
            "label": _formula(e.label),
            "value": _optional(e.value),
            "derivative": _optional(e.derivative),
        }
        for e in picture.edges
    ]
    return {"kind": picture.kind, "nodes": nodes, "edges": edges}


# -- and back ---------------------------------------------------------------------------------
def from_json(data: Any) -> Explanation:
    """Read what `to_json` wrote.

    Raises
    ------
    ModelFileError
        If it is no explanation, or of a newer version.
    """
    schema = data.get("schema") if isinstance(data, Mapping) else None
    if schema != SCHEMA:
        raise ModelFileError(
            "this is no explanation that can be read here: schema {schema!r}, not "
            "{expected!r}. Write it again with this version of thalweg.",
            schema=schema,
            expected=SCHEMA,
        )
    try:
        picture = data.get("picture")
        return Explanation(
            str(data["kind"]),
            _read_sentence(data["title"]),
            tuple(_read_section(s) for s in data["sections"]),
            None if picture is None else _read_picture(picture),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError("this explanation is damaged: {error!r}", error=error) from error


def _read_number(value: Any) -> float:
    return _WORDS[value] if isinstance(value, str) else float(value)


def _read_optional(value: Any) -> float | None:
    return None if value is None else _read_number(value)


def _read_array(data: Mapping[str, Any]) -> Array:
    values = [_read_number(v) for v in data["data"]]
    return np.array(values, np.float64).reshape(data["shape"])


def _read_formula(data: Mapping[str, Any]) -> Math:
    return formula_from_json(data["tree"])


def _read_sentence(data: Mapping[str, Any]) -> Sentence:
    return Sentence(data["key"], {k: _read_value(v) for k, v in data["values"].items()})


def _read_value(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "formula" in value:
        return formula_from_json(value["formula"])
    if "texts" in value:
        return dict(value["texts"])
    if "sentence" in value:
        return _read_sentence(value["sentence"])
    return _read_number(value["number"])


def _read_section(data: Mapping[str, Any]) -> Section:
    return Section(
        data["kind"],
        _read_sentence(data["title"]),
        tuple(_read_step(s) for s in data["steps"]),
        tuple(_read_sentence(n) for n in data["notes"]),
        tuple(data["focus"]),
    )


def _read_step(data: Mapping[str, Any]) -> Step:
    return Step(
        data["role"],
        _read_formula(data["name"]),
        _read_array(data["value"]),
        _read_formula(data["formula"]) if "formula" in data else None,
        _read_formula(data["numbers"]) if "numbers" in data else None,
        tuple(_read_term(t) for t in data.get("terms", ())),
        Recipe(**data["recipe"]) if "recipe" in data else None,
        tuple(_read_sentence(n) for n in data.get("notes", ())),
        _read_array(data["estimate"]) if "estimate" in data else None,
        _read_sentence(data["place"]) if "place" in data else None,
        tuple(map(str, data.get("rows", ()))),
    )


def _read_term(data: Mapping[str, Any]) -> Term:
    factors = (Factor(_read_formula(f["name"]), _read_number(f["value"])) for f in data["factors"])
    return Term(tuple(factors), data.get("via", ""))


def _read_picture(data: Mapping[str, Any]) -> Picture:
    nodes = (
        PictureNode(
            n["id"],
            _read_formula(n["label"]),
            n["kind"],
            float(n["column"]),
            float(n["row"]),
            _read_optional(n["value"]),
            _read_optional(n["derivative"]),
            str(n.get("caption", "")),
        )
        for n in data["nodes"]
    )
    edges = (
        PictureEdge(
            e["source"],
            e["target"],
            _read_formula(e["label"]),
            _read_optional(e["value"]),
            _read_optional(e["derivative"]),
        )
        for e in data["edges"]
    )
    return Picture(data["kind"], tuple(nodes), tuple(edges))
