"""What is said in English in the code has its Korean in ``catalogue/ko``, and nothing else has."""

import ast
import copy
import pickle
import string
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg import errors
from thalweg.errors import OptionError, ShapeError, ThalwegError, reason_of, suggest
from thalweg.phrases import PARTICLES, Phrase, in_korean, joined, reread
from thalweg.training.stopping import StopReason

SOURCE = Path(__file__).parents[1] / "src" / "thalweg"
KINDS = {
    name
    for name in errors.__all__
    if isinstance(kind := getattr(errors, name), type) and issubclass(kind, ThalwegError)
}
MAKERS = {SOURCE / "phrases.py", SOURCE / "errors.py"}
"""Where phrases are made of templates that are given."""

ENGLISH_ONLY = {"s", "are", "them", "what"}
"""Values that English needs for its plurals."""

BUILTIN = {"ValueError", "TypeError", "RuntimeError", "IndexError", "KeyError", "OSError"}

OURS = (
    "phrases",
    "graph/primitive",
    "ops/families",
    "optim/layout",
    "training/constraints/frame",
)
"""Where only a slip of ours can raise them."""


def _calls():
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield path, node


def _sites():
    """Every call that makes an error or a phrase from something."""
    return [
        (path, node)
        for path, node in _calls()
        if node.func.id in {*KINDS, "Phrase"} and node.args and path not in MAKERS
    ]


def _templates():
    """Every literal template, also of how parts are joined."""
    found = {"{left} and {right}"}
    for _, node in _calls():
        place = {"joined": 1}.get(node.func.id, 0 if node.func.id in {*KINDS, "Phrase"} else None)
        if place is not None and len(node.args) > place:
            given = node.args[place]
            if isinstance(given, ast.Constant) and given.value:
                found.add(given.value)
    return found


def _places(template):
    names = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    return {name for name in names if name.isidentifier()}  # other braces stand for themselves


def test_every_sentence_is_a_literal_template_or_one_passed_on():
    for path, node in _sites():
        given = node.args[0]
        where = f"{path.relative_to(SOURCE)}:{node.lineno}"
        assert len(node.args) == 1, where
        if not isinstance(given, ast.Constant):
            passed_on = isinstance(given, ast.Name | ast.Attribute) and not node.keywords
            assert passed_on, f"{where}: write a template with named values, not an f-string"


def test_every_place_of_a_template_is_given_and_every_value_used():
    for path, node in _sites():
        where = f"{path.relative_to(SOURCE)}:{node.lineno}"
        given = {keyword.arg for keyword in node.keywords}
        if isinstance(node.args[0], ast.Constant) and given:
            assert _places(node.args[0].value) == given, where


def test_every_template_has_its_korean():
    assert sorted(_templates() - in_korean().keys()) == []


def test_no_korean_is_unused():
    assert sorted(in_korean().keys() - _templates()) == []


def test_no_template_stands_twice():
    files = sorted((SOURCE / "catalogue" / "ko").iterdir())
    pairs = [p for f in files for p in tomllib.loads(f.read_text(encoding="utf-8"))["phrase"]]
    assert [en for en, times in Counter(p["en"] for p in pairs).items() if times > 1] == []
    assert all(p["ko"].strip() and set(p) == {"en", "ko"} for p in pairs)


@pytest.mark.parametrize("english", sorted(in_korean()))
def test_korean_has_the_same_places(english):
    korean = in_korean()[english]
    missing = _places(english) - _places(korean)
    assert _places(korean) <= _places(english)
    assert missing <= ENGLISH_ONLY
    if _places(english):
        assert PARTICLES.vformat(korean, (), dict.fromkeys(_places(english), 1))
    if sum(c.isalpha() for c in english) > 40:
        assert any("가" <= c <= "힣" for c in korean)


def test_what_a_person_can_cause_is_no_bare_exception():
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            kind = node.exc.func
            if isinstance(kind, ast.Name) and kind.id in BUILTIN:
                where = f"{path.relative_to(SOURCE)}:{node.lineno}"
                assert where.startswith(OURS), where


# -- how they behave -------------------------------------------------------------------------------
@pytest.fixture
def korean():
    tw.set_language("ko")
    yield
    tw.set_language(None)


def _refused():
    with pytest.raises(ThalwegError) as caught:
        tw.fit(tw.Network([tw.Dense(2, 1)]), np.zeros((5, 2)), np.zeros(4))
    return caught.value


def test_errors_are_english_wherever_they_happen(monkeypatch):
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    assert str(_refused()) == "X has 5 samples, y has 4."


def test_the_language_of_a_process_is_chosen(korean):
    assert str(_refused()) == "X의 샘플은 5개, y의 샘플은 4개입니다."
    assert "수렴했습니다" in tw.minimize(lambda x: (x - 1.0) ** 2, 0.0).message


def test_the_environment_chooses_too(monkeypatch):
    monkeypatch.setenv("THALWEG_LANG", "ko_KR")
    assert str(_refused()).startswith("X의")
    tw.set_language("en")
    try:
        assert str(_refused()).startswith("X has")
    finally:
        tw.set_language(None)


def test_an_unknown_language_is_refused():
    with pytest.raises(OptionError, match="'fr' is not spoken"):
        tw.set_language("fr")


def test_an_error_says_itself_in_both_languages():
    error = _refused()
    assert error.said("ko") == "X의 샘플은 5개, y의 샘플은 4개입니다."
    assert error.said("en") == str(error) == error.args[0]


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_errors_survive_copies(again):
    error = OptionError(
        "language {lang!r} is not spoken here.{hint}", lang="kox", hint=suggest("kox", ["ko"])
    )
    found = again(error)
    assert type(found) is OptionError and str(found) == str(error)
    assert found.said("ko") == "언어 'kox'는 없습니다. 'ko'를 뜻하셨나요?"


def test_values_are_kept_as_text_not_alive():
    big = np.zeros(1000)
    error = ShapeError("argument {place} has shape {found}, not {wanted}", place=1, found=big.shape,
                       wanted=big)  # fmt: skip
    assert error.phrase.values["found"] == (1000,)
    assert isinstance(error.phrase.values["wanted"], str)


def test_an_error_within_an_error_is_said_in_one_language():
    inner = OptionError("There is no method {given!r}.{hint}", given="adma", hint="")
    outer = errors.DataError("{name}: {error}", name="x.toml", error=inner)
    assert str(outer) == "x.toml: There is no method 'adma'."
    assert outer.said("ko") == "x.toml: 'adma'라는 방법은 없습니다."


def test_braces_without_values_stand_as_they_are():
    assert str(errors.DataError("{ en = ... }")) == "{ en = ... }"


def test_a_reason_to_stop_is_a_value(korean):
    stop = StopReason.of("callback", epoch=3)
    phrase = Phrase("Nothing was learned. {stop}", stop=stop)
    assert phrase == "Nothing was learned. Stopped at epoch 3 by a callback."
    assert phrase.said("ko") == "배운 것이 없습니다. 에포크 3에서 콜백이 멈추었습니다."
    assert str(stop) == stop.sentence("ko")


def test_parts_are_joined():
    assert joined(["a"]) == "a"
    assert joined([Phrase("training"), Phrase("test")]).said("ko") == "훈련과 시험"


def test_reasons_of_the_operating_system(tmp_path):
    with pytest.raises(OSError) as caught:
        (tmp_path / "no").read_bytes()
    assert reason_of(caught.value).said("ko") == "그런 파일이나 폴더가 없습니다"
    assert reason_of(OSError(99999, "odd")) == "odd"


def test_the_example_of_set_language(korean):
    with pytest.raises(OptionError, match="'bfgs'를 뜻하셨나요"):
        tw.minimize(lambda x: x * x, 1.0, method="bfsg")


def test_a_model_file_keeps_what_can_be_said(tmp_path):
    rows = [[float(i), i * i / 9.0] for i in range(12)]
    model = tw.fit_table(np.array(rows), "x2", epochs=2, method="lbfgs")
    model.save(tmp_path / "m.thalweg")
    again = tw.load(tmp_path / "m.thalweg")
    assert again.origin.notes == model.origin.notes
    assert [note.said("ko") for note in again.origin.notes] == [
        note.said("ko") for note in model.origin.notes
    ]
    assert again.split.phrase.said("ko") == "훈련 12행 (모든 행으로 훈련)"


def test_a_solver_s_own_words_come_back():
    stop = StopReason.of("solver", message=Phrase("a {size:.1e}", size=2.0))
    assert StopReason.from_json(stop.to_json()) == stop


@pytest.mark.parametrize(
    "record",
    [
        3,
        {"en": "x"},
        {"en": 3, "values": {}},
        {"en": "{x.__class__}", "values": {"x": 1}},
        {"en": "{x:99999999999d}", "values": {"x": 1}},
        {"en": "{y}", "values": {"x": 1}},
        {"en": "{x}", "values": {"x": [1]}},
        {"en": "{x", "values": {"x": 1}},
    ],
)
def test_a_document_brings_in_no_strange_templates(record):
    with pytest.raises(ValueError):
        reread(record)
