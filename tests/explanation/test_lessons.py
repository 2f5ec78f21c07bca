"""The lessons run: every number in them is computed here, in both languages."""

import doctest
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(p.name for p in (ROOT / "docs/lessons/en").glob("*.md"))


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_number_is_computed(chapter: str, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    path = ROOT / "docs" / "lessons" / lang / chapter
    text = path.read_text(encoding="utf-8").replace("```", "\n")
    parser = doctest.DocTestParser()
    test = parser.get_doctest(text, {}, chapter, str(path), 0)
    assert len(test.examples) >= 8
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_both_languages_teach_the_same() -> None:
    assert len(CHAPTERS) == 5
    for chapter in CHAPTERS:
        code = []
        for lang in ("en", "ko"):
            text = (ROOT / "docs" / "lessons" / lang / chapter).read_text(encoding="utf-8")
            lines = re.findall(r"^(?:>>>|\.\.\.) .*$", text, re.M)
            code.append([line.replace('"ko"', '"en"') for line in lines])
        assert code[0] == code[1]


@pytest.mark.parametrize("chapter", [c.removesuffix(".md") for c in CHAPTERS])
def test_scripts_run(chapter: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "examples" / "lessons" / f"{chapter}.py"))
    assert capsys.readouterr().out
