import ast
import re
import string
from pathlib import Path

import pytest

from thalweg.errors import OptionError
from thalweg.language import LANGUAGES, PARTICLES, catalogue, default_language, known_language, tr

SOURCE = Path(__file__).parents[1] / "src" / "thalweg"
ROOMS = sorted(p.parent.name for p in SOURCE.glob("*/catalogue"))


def _places(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("room", ROOMS)
def test_every_language_says_everything(room: str) -> None:
    first, *others = (catalogue(room, lang) for lang in LANGUAGES)
    for other in others:
        assert other.keys() == first.keys()
        for key, sentence in first.items():
            assert _places(other[key]) == _places(sentence), key


def test_explanations_use_no_unknown_sentence() -> None:
    known = catalogue("explanation", "en")
    for path in (SOURCE / "explanation").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used = re.findall(r"Sentence\(\s*\"(\w+)\"", text)
        used += re.findall(r"tr\(\s*\"explanation\.(\w+)\"", text)
        used += [f"role_{role}" for role in re.findall(r"Step\(\s*\"(\w+)\"", text)]
        for key in used:
            assert key in known, f"{path.name}: {key}"


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("role_local", "지역 미분"),
        ("global_derivative", "전역 미분"),
        ("role_upstream", "상류"),
        ("role_common", "공통부분"),
        ("forward", "순전파"),
        ("backward", "역전파"),
        ("role_gradient", "그레이디언트"),
        ("role_jacobian", "야코비안"),
        ("layer_input", "입력 계층"),
        ("layer_only_hidden", "은닉 계층"),
        ("layer_output", "출력 계층"),
        ("role_weights", "가중치"),
        ("role_biases", "편향"),
        ("role_weighted_sum", "가중 합산"),
        ("role_activation", "활성 함수"),
        ("role_objective", "목적 함수"),
        ("title_loss", "손실 함수"),
    ],
)
def test_terms_are_the_agreed_ones(english: str, korean: str) -> None:
    assert korean in catalogue("explanation", "ko")[english]


@pytest.mark.parametrize(
    ("text", "object_", "topic"),
    [
        ("가중치", "를", "는"), ("편향", "을", "은"), ("w", "를", "는"), ("n", "을", "은"),
        ("w₁", "을", "은"), ("w₂", "를", "는"), ("W[3]", "을", "은"), ("0.5", "를", "는"),
        ("6", "을", "은"), ("σ", "를", "는"), ("a[1]₁⁺", "을", "은"),
    ],
)  # fmt: skip
def test_particles_follow_the_last_sound(text: str, object_: str, topic: str) -> None:
    assert PARTICLES.format("{x:을/를}", x=text) == text + object_
    assert PARTICLES.format("{x:은/는}", x=text) == text + topic


def test_toward_has_its_own_rule() -> None:
    found = [PARTICLES.format("{x:으로/로}", x=x) for x in ("출력 계층", "물", "w", "l", "1")]
    assert found == ["출력 계층으로", "물로", "w로", "l로", "1로"]


def test_the_locale_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    assert default_language() == "ko"
    monkeypatch.setenv("LC_ALL", "C")
    assert known_language(None) == "en"


def test_unknown_languages_and_sentences_are_refused() -> None:
    with pytest.raises(OptionError, match="'fr' is not spoken"):
        tr("explanation.forward", "fr")
    with pytest.raises(OptionError, match="Did you mean 'forward'"):
        tr("explanation.forwrd", "en")


def _mentioned(room: str) -> tuple[set[str], tuple[str, ...]]:
    """Texts in the code, and how texts begin whose ends are put in: ``f"role_{role}"``."""
    said, begun = set(), set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = node.values[:1] if isinstance(node, ast.JoinedStr) else [node]
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    text = part.value.removeprefix(f"{room}.")
                    (begun if part is not node or text.endswith("_") else said).add(text)
    for path in SOURCE.rglob("*.js"):
        said |= set(re.findall(r"[\w]+", path.read_text(encoding="utf-8")))
    return said, tuple(start for start in begun if len(start) > 3)


@pytest.mark.parametrize("room", ROOMS)
def test_no_sentence_is_unused(room: str) -> None:
    said, begun = _mentioned(room)
    assert [k for k in catalogue(room, "en") if k not in said and not k.startswith(begun)] == []
