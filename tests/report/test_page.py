"""The report's page as text: one file, with what was written by a model shown as it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from markupsafe import escape
from pages import HOSTILE, attempt, sections, studied_attempt

from rlvr.report.attempts import MOST_CHARACTERS, MOST_TOKENS, as_json
from rlvr.report.blocks import Chart, Prose, Reader, Section, Table
from rlvr.report.page import render
from rlvr.runtime.literal import printable


@pytest.fixture(scope="module")
def page() -> str:
    return render("RL of modsum", sections())


def own(page: str) -> str:
    """A page without the plotting library."""
    return page.replace(max(re.split("</?script>", page), key=len), "")


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_a_page_is_one_small_file_of_text(page: str) -> None:
    assert len(page.encode()) < 2_000_000
    page = own(page)
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", page) == []
    assert page.count("<h1>") == 1
    assert re.findall(r"<h2 [^>]*>(.*?)</h2>", page) == [
        "Verdict",
        "Learning",
        "Tokens",
        "Samples",
        "Origin",
    ]


def test_what_the_page_may_run_is_known_by_its_hash(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert policy[1].count("sha256-") == 3
    assert "unsafe" not in policy[1]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stands_in_the_page_as_text(text: str) -> None:
    blocks = [Prose(text=text), Table(columns=[text], rows=[[text]])]
    page = own(render(text, [Section(name="a", title=text, blocks=blocks)]))
    assert "<script>window.hit" not in page
    assert "<img" not in page
    assert page.replace("\n", "").isprintable()
    assert page.count("<script") == 3
    assert page.count(str(escape(printable(text)))) == 7  # title, two headings, contents, paragraph, two cells


def test_data_hold_nothing_that_ends_a_script(page: str) -> None:
    inside = re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0]
    assert not set("<>&\u2028\u2029") & set(inside)
    assert inside.isascii()
    texts = data_of(page)["readers"][0][3]["pieces"]
    assert texts == [printable(text) for text in HOSTILE]


def test_numbers_that_json_lacks_are_missing_values() -> None:
    chart = Chart(
        name="a",
        title="a",
        summary="a",
        table=Table(columns=["a"], rows=[[float("nan")]]),
        spec={"data": [float("inf"), 1.5]},
    )
    page = render("a", [Section(name="a", title="a", blocks=[chart])])
    assert data_of(page)["charts"] == [{"data": [None, 1.5]}]
    assert '<th scope="row" class="number">–</th>' in page


def test_the_table_behind_a_chart_is_thinned_and_says_so() -> None:
    table = Table(columns=["step"], rows=[[number] for number in range(1_000)])
    page = render(
        "a", [Section(name="a", title="a", blocks=[Chart(name="a", title="a", summary="a", table=table, spec={})])]
    )
    rows = re.findall(r'<tr><th scope="row" class="number">(\d+)</th></tr>', page)
    assert (len(rows), rows[0], rows[-1]) == (50, "0", "999")
    assert "50 of 1,000 rows, evenly chosen, with the first and the last" in page


def test_a_text_of_a_megabyte_is_cut_and_says_so() -> None:
    page = render("a", [Section(name="a", title="a", blocks=[Prose(text="x" * 1_000_000)])])
    assert "x" * 20_000 + " … (cut: these are the first 20,000 of 1,000,000 characters)" in page
    assert "x" * 20_001 not in page


def test_a_token_view_that_would_make_the_page_too_large_is_cut_and_says_so() -> None:
    found = as_json(attempt(["word "] * MOST_TOKENS))
    reader = Reader(title="a", attempts=[found] * 100)
    page = render("a", [Section(name="a", title="a", blocks=[reader])])
    kept = len(data_of(page)["readers"][0])
    assert 20 < kept < 100
    assert f"The first {kept} of 100 rollouts" in page
    assert len(page.encode()) < 5_000_000


def test_without_scripts_the_rollouts_stand_as_text() -> None:
    found = Reader(title="a", attempts=[as_json(studied_attempt())])
    page = render("a", [Section(name="a", title="a", blocks=[found])])
    hidden = "".join(re.findall(r"<noscript>(.*?)</noscript>", page, re.DOTALL))
    assert "1 0 1 1 =" in hidden
    assert "think : 1 + 0 = 1" in hidden


def luminance(colour: str) -> float:
    """Of #rrggbb (https://www.w3.org/TR/WCAG22, relative luminance)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_is_told_from_every_colour_behind_it(page: str) -> None:
    pairs = {name: pair for name, *pair in re.findall(r"--([a-z0-9-]+): light-dark\((#\w+), (#\w+)\)", page)}
    grounds = ["paper", "wash", *(f"shade-{number}" for number in range(9))]
    for theme in (0, 1):
        for ink, behind in [("ink", grounds), ("soft", grounds[:2]), ("accent", grounds[:2])]:
            for ground in behind:
                one, other = sorted((luminance(pairs[ink][theme]), luminance(pairs[ground][theme])))
                assert (other + 0.05) / (one + 0.05) >= 4.5, (ink, ground, theme)


def test_an_attempt_has_each_quantity_that_was_measured() -> None:
    found = as_json(studied_attempt())
    assert {name: values[0] for name, values in found["values"].items()} == {
        "entropy": 0.6,
        "advantage": 0.375,
        "change": 2.4,  # -0.3 now, -2.7 before
        "log_ratio": 0.9,  # -0.3 now, -1.2 when sampled
        "logprob": -1.2,
        "entropy_now": 0.15,
    }
    assert found["trained"][-3:] == [True, False, False]
    assert found["graded"] == "exact 1 (correct)"
    assert found["study"]["alternatives"][0][1:] == [[900, " wait", 0.02, 0.21], [901, "", 0.001, 0.0004]]
    assert found["study"]["credit"]["samples"] == 64


def test_an_attempt_of_an_older_version_lacks_what_was_not_recorded() -> None:
    old = attempt(["0", ""], entropies=None, advantages=None, trained=None)
    del old.record["reasons"]
    found = as_json(old)
    assert found["graded"] == "exact 1"
    assert list(found["values"]) == ["logprob"]
    assert (found["trained"], found["study"]) == (None, None)


@pytest.mark.parametrize("wrong", [[0.5], [0.5, None], [0.5, "x"]])
def test_values_that_are_not_one_for_each_token_say_nothing(wrong: list) -> None:
    assert "entropy" not in as_json(attempt(["0", ""], entropies=wrong))["values"]


def test_a_study_that_is_damaged_is_left_out_where_it_is() -> None:
    whole = studied_attempt().studied
    assert whole is not None
    damaged = {**whole, "credit": {"positions": [0, 1], "right": [0.5]}, "alternatives": [[{"id": 1}]] * 26}
    found = as_json(replace(studied_attempt(), studied=damaged))["study"]
    assert (found["credit"], found["alternatives"]) == (None, [[]] * 26)


def test_a_long_rollout_is_cut_by_tokens_and_by_characters() -> None:
    many = as_json(attempt(["a"] * (MOST_TOKENS + 5)))
    assert (len(many["pieces"]), len(many["values"]["entropy"]), many["length"]) == (
        MOST_TOKENS,
        MOST_TOKENS,
        MOST_TOKENS + 5,
    )
    assert len(as_json(attempt(["a" * 15_000] * 3))["pieces"]) == 1
    assert len(as_json(attempt(["a" * 1_000_000]))["pieces"][0]) == MOST_CHARACTERS
