"""The HTML report in a real browser (``pytest -m slow``), where one is installed."""

import shutil
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
NAMES = ("line", "two_neuron_chain", "xor", "lm")


def levenberg_marquardt() -> Any:
    """A step of a solver, for a network with two outputs."""
    net = tw.Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 2)])
    rows = np.random.default_rng(0).normal(size=(12, 2))
    targets = np.stack([rows[:, 0] * rows[:, 1], np.sin(rows[:, 0])], axis=1)
    return tw.explain_network(net, net.initial(1), rows, targets, "mse", "lm").update()


@cache
def axe() -> str:
    """The accessibility checker of Deque Systems, as its package brings it."""
    spec = find_spec("axe_core_python")
    assert spec is not None
    assert spec.submodule_search_locations
    return (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        found = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, example, tmp_path: Path):
    def open_page(name: str, lang: str = "ko", width: int = 1280, scheme: str = "light"):
        path = tmp_path / f"{name}.html"
        told = levenberg_marquardt() if name == "lm" else example(name).explanation()
        path.write_text(told.write("html", lang), encoding="utf-8")
        size = {"width": width, "height": 844}
        page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
        page.troubles = []
        page.on("console", lambda m: page.troubles.append(m.text))
        page.on("pageerror", lambda e: page.troubles.append(str(e)))
        page.on(
            "request",
            lambda r: None if r.url.startswith("file:") else page.troubles.append(r.url),
        )
        page.goto(path.as_uri())
        return page

    return open_page


LOOKS = [(w, s, k) for w in (1280, 390) for s in ("light", "dark") for k in ("en", "ko")]
LONG = [(1280, "light", "en"), (390, "dark", "ko")]  # long pages take axe many seconds


@pytest.mark.skipif(find_spec("axe_core_python") is None, reason="needs axe-core-python")
@pytest.mark.parametrize(
    ("name", "width", "scheme", "lang"),
    [(name, *look) for name in NAMES for look in (LOOKS if name in NAMES[:2] else LONG)],
)
def test_axe_finds_no_violation(opened, name: str, width: int, scheme: str, lang: str) -> None:
    page = opened(name, lang, width, scheme)
    page.keyboard.press("ArrowRight")
    page.locator("button.num").first.click()
    page.evaluate(axe())
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) >= 15
    assert [_told(violation) for violation in found["violations"]] == []
    assert page.troubles == []


def _told(violation: dict[str, Any]) -> str:
    places = "\n".join(f"  {n['html'][:120]} {n['failureSummary']}" for n in violation["nodes"][:3])
    return f"{violation['id']}: {violation['help']} ({len(violation['nodes'])})\n{places}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_opens_without_trouble_and_fits(opened, name: str, width: int, scheme: str) -> None:
    page = opened(name, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.troubles == []


def test_steps_by_keyboard_and_buttons(opened) -> None:
    page = opened("line")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator("tr.here").count() == 1
    assert page.locator(".position").inner_text().startswith("3 /")
    page.keyboard.press("ArrowLeft")
    page.locator('button[data-do="next"]').click()
    assert page.locator(".position").inner_text().startswith("3 /")
    assert page.locator(".picture .on").count() >= 1
    assert page.locator(".current math").count() >= 1


def test_numbers_open_into_their_products(opened) -> None:
    page = opened("line", "en")
    row = page.locator('tr[data-name="∂f/∂w"]').first
    row.locator("button.num").click()
    text = row.locator(".opening").inner_text()
    assert "∂f/∂g 1 × ∂g/∂w 5 = 5" in text
    row.locator("button.num").click()
    assert row.locator(".opening").count() == 0


def test_every_entry_of_a_matrix_opens_into_the_sum_it_is(opened) -> None:
    page = opened("xor", "en")
    buttons = page.locator(".matrix[data-recipe] td button")
    assert buttons.count() > 30
    wrong = page.evaluate(
        """() => {
          const wrong = [];
          for (const button of document.querySelectorAll(".matrix[data-recipe] td button")) {
            button.click();
            const box = button.closest("td.how").querySelector(".opening");
            const last = box.lastChild.textContent.replace("−", "-").split("= ").pop();
            const shown = button.textContent.replace("−", "-");
            if (Math.abs(Number(last) - Number(shown)) > 1e-3 * Math.abs(Number(shown)) + 1e-9)
              wrong.push([button.closest("tr.step").dataset.name, shown, last]);
          }
          return wrong;
        }"""
    )
    assert wrong == []
    assert page.troubles == []


def test_korean_and_mathematics_are_drawn(opened) -> None:
    page = opened("two_neuron_chain", "ko")
    assert "역전파" in page.locator("h2").nth(5).inner_text() + page.content()
    box = page.locator("td.how math").first.bounding_box()
    assert box["width"] > 5
    assert box["height"] > 5


def test_the_theme_can_be_changed(opened) -> None:
    page = opened("line")
    colour = "getComputedStyle(document.querySelector('.thalweg')).backgroundColor"
    before = page.evaluate(colour)
    page.locator('button[data-do="theme"]').click()
    assert page.evaluate(colour) != before


@pytest.mark.parametrize("name", ["line", "lm", "xor"])
def test_on_paper_nothing_is_hidden_behind_scrollbars(opened, name: str) -> None:
    page = opened(name, width=720)
    page.emulate_media(media="print")
    hidden = page.evaluate(
        "[...document.querySelectorAll('.thalweg *')].filter(e => e.offsetParent !== null"
        " && getComputedStyle(e).overflowX !== 'visible'"
        " && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1))"
        ".map(e => e.tagName + '.' + e.className)"
    )
    assert hidden == []
    assert page.locator(".thalweg aside").bounding_box()["height"] < 1000  # a page, not a screen


def test_a_line_of_numbers_is_not_cut_where_there_is_room(opened) -> None:
    page = opened("two_neuron_chain", width=1200)
    assert page.evaluate(
        "[...document.querySelectorAll('.how .numbers')]"
        ".every(e => e.scrollWidth <= e.clientWidth + 1)"
    )
