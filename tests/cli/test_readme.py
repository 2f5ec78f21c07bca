"""The README's Python runs as it stands, block by block, and its commands are the real ones."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from thalweg.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", ROOT / "docs/command-line.md"]


def blocks(page, language):
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


CODE = [(page.name, i, code) for page in PAGES for i, code in enumerate(blocks(page, "python"), 1)]


@pytest.mark.parametrize(("page", "number", "code"), CODE, ids=[f"{p}-{i}" for p, i, _ in CODE])
def test_python_runs(page, number, code, tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, f"{page}, block {number}", "exec"), {})


def commands():
    for page in PAGES:
        for line in "\n".join(blocks(page, "sh")).splitlines():
            for part in line.partition("  #")[0].split("&&"):
                if part.strip().startswith("thalweg "):
                    yield part.strip()


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_commands_and_options_exist(line):
    name, *words = shlex.split(line)[1:]
    known = typer.main.get_command(app).commands[name]
    options = {flag for parameter in known.params for flag in parameter.opts} | {"--help"}
    used = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
    assert used <= options


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_two_commands_are_single_lines():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("job", "tests"):
        (body,) = re.findall(rf"<!-- command: {name} -->\n```sh\n(.*?)```", text, re.DOTALL)
        assert len(body.strip().splitlines()) == 1


def _code(page: Path) -> list[str]:
    """The lines of code of a page without what is said in them: comments and names in quotes."""
    lines = "\n".join(re.findall(r"```\w+\n(.*?)```", page.read_text("utf-8"), re.S)).splitlines()
    return [re.sub(r'"(hidden|은닉) 2"', "", line.partition("  #")[0]).strip() for line in lines]


def test_the_korean_page_has_the_same_code():
    english, korean = _code(ROOT / "README.md"), _code(ROOT / "README.ko.md")
    assert [line for line in english if line not in korean] == []
    headings = [
        len(re.findall(r"^##+ ", (ROOT / page).read_text("utf-8"), re.M))
        for page in ("README.md", "README.ko.md")
    ]
    assert headings[1] == headings[0] + 1  # and a chapter on Korean
