"""The report's page in a real browser, opened from disk without a network."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pages import HOSTILE, sections

from rlvr.report.blocks import Block, Section
from rlvr.report.page import render
from rlvr.report.plots import Line, lines
from rlvr.runtime.literal import printable

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
playwright = pytest.importorskip("playwright.sync_api")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@dataclass
class Opened:
    """A page and all that it said and asked for."""

    page: Any
    file: Path
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render("RL of modsum", sections()), "utf-8")
    page = browser.new_context(offline=True, viewport=WIDE, color_scheme="light").new_page()
    found = Opened(page, file)
    page.on("console", lambda message: found.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.said.append(str(error)))
    page.on("dialog", lambda dialog: found.said.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: found.asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn=yes]")
    return found


@pytest.fixture
def page(opened: Opened) -> Any:
    """The page in the light theme, wide, with its first rollout open."""
    opened.page.set_viewport_size(WIDE)
    opened.page.emulate_media(media="screen", color_scheme="light")
    for select in opened.page.locator(".reader select").all():
        select.select_option("all")
    opened.page.click("text=Step 41, problem 3")
    opened.page.check("input[value=entropy]")
    opened.page.mouse.move(0, 0)  # what scrolls under it would be pointed at
    return opened.page


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: $RLVR_ARTEFACTS, or a folder of this test's."""
    folder = Path(os.environ.get("RLVR_ARTEFACTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_it_opens_without_a_word_or_a_request(opened: Opened) -> None:
    assert opened.said == []
    assert opened.asked == [opened.file.as_uri()]


def test_every_chart_is_drawn(page: Any) -> None:
    drawn = [
        (box.locator("svg").count(), box.locator("svg path[d]:not([d=''])").count())
        for box in page.locator(".chart").all()
    ]
    assert [pictures for pictures, _ in drawn] == [1, 1, 1]
    assert all(marks > 2 for _, marks in drawn)


def test_pointing_at_a_chart_shows_its_values(page: Any) -> None:
    page.locator(".chart").first.scroll_into_view_if_needed()
    page.locator(".chart svg").first.hover(position={"x": 60, "y": 70})
    tip = page.locator("#vg-tooltip-element.visible")
    assert re.fullmatch(r"step\t\d+\nline\tdirect\nprobability\t0\.\d+", tip.inner_text())
    page.locator(".chart svg").first.hover(position={"x": 400, "y": 70})
    assert re.fullmatch(r"step\t\d+\nline\tcot\nprobability\t0\.\d+\nfrom\t0\.\d+\nto\t0\.\d+", tip.inner_text())


def panel(page: Any) -> str:
    return str(page.locator(".panel").inner_text())


def test_keys_go_through_the_tokens(page: Any) -> None:
    page.locator("[role=option]").first.focus()
    assert page.locator("[role=option][tabindex='0']").count() == 1
    seen = []
    for key in (
        "ArrowRight",
        "ArrowRight",
        "ArrowLeft",
        "End",
        "ArrowRight",
        "Home",
        "ArrowLeft",
        "ArrowDown",
        "ArrowDown",
        "ArrowUp",
    ):
        page.keyboard.press(key)
        at = page.evaluate("Number(document.activeElement.dataset.number)")
        assert f"{at + 1} of 26" in panel(page)
        seen.append(at)
    assert seen == [1, 2, 1, 25, 25, 0, 0, 5, 10, 5]  # every fifth token is a fork
    assert page.locator("[role=option][aria-selected=true]").get_attribute("data-number") == "5"


def test_pointing_at_a_token_shows_it_for_as_long(page: Any) -> None:
    page.locator("[role=option]").nth(3).click()
    before = panel(page)
    page.locator("[role=option]").nth(0).hover()
    facts = dict(
        zip(page.locator(".panel dt").all_inner_texts(), page.locator(".panel dd").all_inner_texts(), strict=True)
    )
    assert facts == {
        "token": "1 of 26",
        "id": "5",
        "entropy": "0.6",
        "advantage": "+0.375",
        "change": "+2.4",
        "importance ratio": "2.46",
        "probability": "0.301",
        "entropy now": "0.15",
        "trained on": "yes",
    }
    others = page.locator(".panel tbody tr").all_inner_texts()
    assert [re.split(r"\s+", text) for text in others] == [
        ["think", "(sampled)", "0.0672", "0.741"],
        ["·wait", "0.21", "0.02"],
        ["‹901›", "0.0004", "0.001"],
    ]
    page.mouse.move(0, 0)
    assert panel(page) == before


def test_tokens_are_coloured_by_what_is_chosen_and_never_by_colour_alone(page: Any) -> None:
    def look(number: int) -> tuple[str, str, bool]:
        text = page.locator("[role=option] .text").nth(number)
        bar = text.evaluate("e => e.style.getPropertyValue('--bar')")
        return text.get_attribute("data-shade"), bar, "over" in (text.get_attribute("class") or "")

    assert look(1)[:2] == ("0", "0px")  # sure
    page.check("input[value=advantage]")
    assert (look(0)[0], look(0)[2]) == ("8", True)  # pushed up: red, and a bar over it
    page.check("input[value=change]")
    assert (look(1)[0], look(1)[2]) == ("4", False)  # as likely as before
    assert page.locator("[role=option]").nth(0).get_attribute("aria-label") == "think, change +2.4"
    assert page.locator("[role=option].untrained").count() == 2
    assert "+2.4" in page.locator(".legend .scale").inner_text()


def test_credit_is_drawn_under_the_tokens_and_said(page: Any) -> None:
    said = page.locator(".tokens").inner_text()
    assert "Most was decided at tokens 9 to 10 “·1·+”: 0.52 → 0.97." in said
    assert "64 continuations by checkpoints/step_000050" in said
    assert page.locator(".chance .value").count() == 14
    heights = [page.locator("[role=option]").nth(n).locator(".value").bounding_box()["height"] for n in (7, 9)]
    assert heights[1] / heights[0] == pytest.approx(0.97 / 0.52, rel=0.05)


def test_rollouts_are_found_by_mode_and_verdict(page: Any) -> None:
    page.select_option(".reader select >> nth=0", "direct")
    page.select_option(".reader select >> nth=1", "right")
    assert page.locator(".rollouts tbody tr:visible").count() == 1
    assert "1 of 6 rollouts" in page.locator(".reader").inner_text()
    assert "Step 1, problem 0: direct, right" in page.locator(".about").inner_text()
    assert "Not recorded for this rollout: entropy." in page.locator(".reader").inner_text()


def test_hostile_rollouts_are_read_as_they_are(opened: Opened, page: Any) -> None:
    page.click("text=Step 11, problem 7")
    shown = page.locator("[role=option] .text").all_text_contents()
    assert shown == [printable(text).replace(" ", "·") for text in HOSTILE]
    assert page.evaluate("window.hit") is None
    assert page.locator("main img, main script").count() == 0
    assert opened.said == []


def test_a_megabyte_on_a_line_is_cut_and_stays_inside(page: Any) -> None:
    page.click("text=Step 11, problem 8")
    assert len(page.locator("[role=option]").inner_text()) == 20_000
    assert "Cut: these are the first 20,000 of 1,000,000 characters." in page.locator(".tokens").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") == WIDE["width"]
    page.click("text=Step 21, problem 9")
    assert page.locator("[role=option]").count() == 2_000
    assert "Cut: these are the first 2,000 of 3,000 tokens." in page.locator(".tokens").inner_text()


@pytest.mark.parametrize(("theme", "size"), [("light", WIDE), ("dark", WIDE), ("light", PHONE), ("dark", PHONE)])
def test_light_and_dark_wide_and_narrow(theme: str, size: dict[str, int], page: Any, pictures: Path) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=theme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 23, 28)"}[theme]
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=pictures / f"report-{theme}-{size['width']}.png", full_page=True)


def test_the_button_changes_the_theme(page: Any) -> None:
    papers = []
    for _ in range(2):
        page.click("#theme")
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(21, 23, 28)", "rgb(255, 255, 255)"]
    page.evaluate("delete document.documentElement.dataset.theme")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_accessibility_scan_finds_nothing_serious(theme: str, page: Any) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    page.emulate_media(color_scheme=theme)
    found = axe.run(
        page, options={"resultTypes": ["violations"], **({"runOnly": ["color-contrast"]} if theme == "dark" else {})}
    )
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]][:3]) for each in serious] == []


def test_on_paper_it_is_light_and_has_no_controls(page: Any, pictures: Path) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 30, 35)"
    assert page.locator("button:visible, select:visible, nav:visible").count() == 0
    assert page.locator(".chart svg:visible").count() == 3
    page.pdf(path=pictures / "report.pdf", print_background=True)


def test_without_scripts_text_and_tables_are_there(browser: Any, opened: Opened) -> None:
    page = browser.new_context(offline=True, java_script_enabled=False).new_page()
    page.goto(opened.file.as_uri())
    text = page.locator("main").inner_text()
    assert "which your browser does not run" in text
    assert "Accuracy rose from 0.56" in text
    page.click("text=Its numbers >> nth=0")
    assert page.locator("figure table:visible tbody tr").count() == 50
    page.click("summary:has-text('Step 41, problem 3, cot, right')", timeout=2000)
    assert "think : 1 + 0 = 1" in page.locator("main").inner_text()
    page.context.close()


def test_a_legend_of_two_rows_has_room_above(browser: Any, tmp_path: Path) -> None:
    """Two charts beside each other, too narrow for the three names in a row: no word is outside its picture."""
    steps = list(range(1, 51))
    drawn = [
        Line(name=name, x=steps, values=[0.5] * 50)
        for name in ("rollouts of the step", "test, sampled", "test, greedy")
    ]
    charts: list[Block] = [lines(name, "Accuracy", "It stayed.", drawn, y="share", share=True) for name in ("a", "b")]
    file = tmp_path / "report.html"
    file.write_text(render("Legends", [Section(name="charts", title="Charts", blocks=charts)]), "utf-8")
    page = browser.new_context(offline=True, viewport=WIDE).new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn=yes]")
    beyond = page.evaluate("""() => [...document.querySelectorAll(".chart svg")].flatMap((picture) =>
        [...picture.querySelectorAll("text")].map((word) => picture.getBoundingClientRect().top - word.getBoundingClientRect().top))""")
    assert len(beyond) > 6
    assert max(beyond) < 1
