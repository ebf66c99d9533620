"""Charts: what is drawn can be read, and what is named stays data."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import vl_convert

from rlvr.report.blocks import Chart
from rlvr.report.plots import FEW, MOST_POINTS, Bar, Line, bars, lines, stacked, thinned

HOSTILE = "</script><b>datum['x']"


def drawn(chart: Chart) -> str:
    """The chart as SVG."""
    return vl_convert.vegalite_to_svg({**chart.spec, "width": 300, "height": 150}, vl_version="6.4")


def values(chart: Chart) -> list[dict[str, Any]]:
    return chart.spec["data"]["values"]


def test_intervals_of_shares_end_where_shares_do() -> None:
    wide = Line(name="a", x=[1, 2], values=[0.5, 0.9], low=[-0.5, 0.6], high=[0.7, 1.2])
    assert [(row["low"], row["high"]) for row in values(lines("c", "t", "s", [wide], y="y", share=True))] == [
        (0.0, 0.7),
        (0.6, 1.0),
    ]
    assert values(lines("c", "t", "s", [wide], y="y"))[1]["high"] == 1.2
    bar = Bar(category="a", value=0.9, low=0.6, high=1.2)
    assert values(bars("c", "t", "s", [bar], x="x", y="y", share=True))[0]["high"] == 1.0


def test_the_legend_shows_colours_and_dashes_and_names_are_shown_as_they_are() -> None:
    many = range(1, FEW + 2)
    both = [Line(name=name, x=many, values=list(many)) for name in ("a", HOSTILE)]
    svg = drawn(lines("c", "t", "s", both, y="y"))
    legend = svg[svg.index("role-legend") :]
    assert re.search(r'stroke="#D55E00"[^>]*stroke-dasharray="6,3"', legend)
    assert HOSTILE in {element.text for element in ElementTree.fromstring(svg).iter()}


def test_steps_are_whole_numbers_and_other_values_are_not() -> None:
    whole = lines("c", "t", "s", [Line(name="a", x=[1, 2, 3], values=[0, 1, 2])], y="y")
    broken = lines("c", "t", "s", [Line(name="a", x=[0.5, 1.5], values=[0, 1])], y="y")
    assert whole.spec["layer"][0]["encoding"]["x"]["axis"]["tickMinStep"] == 1
    assert "tickMinStep" not in broken.spec["layer"][0]["encoding"]["x"]["axis"]
    near = lines("c", "t", "s", [Line(name="a", x=[10, 12], values=[0, 1])], y="y")
    assert re.findall(r">(1[0-2])</text>", drawn(near)) == [
        "10",
        "11",
        "12",
    ]  # each once, though there is room for more


def test_few_values_are_dots_with_bars_and_many_have_a_band() -> None:
    few = Line(name="few", x=[10], values=[0.5], low=[0.4], high=[0.6])
    many = range(FEW + 1)
    share = [0.5 for _ in many]
    chart = lines("c", "t", "s", [few, Line(name="many", x=many, values=share, low=share, high=share)], y="y")
    assert {row["series"] for row in values(chart) if row["few"]} == {"few"}
    assert [layer["mark"]["type"] for layer in chart.spec["layer"]] == ["area", "rule", "line", "point", "point"]
    assert "role-mark" in drawn(chart)


def test_a_logarithm_leaves_out_what_it_has_no_place_for() -> None:
    line = Line(name="a", x=[1, 2, 3], values=[0.0, 1e-6, 1.0], low=[0.0, 0.0, 0.5], high=[0.0, 1.0, 2.0])
    chart = lines("c", "t", "s", [line], y="y", log=True)
    assert [row["x"] for row in values(chart)] == [2, 3]
    assert min(row["low"] for row in values(chart)) > 0
    assert drawn(chart)
    assert lines("c", "t", "s", [Line(name="a", x=[1], values=[0.0])], y="y", log=True).table.rows == [[1, 0]]


def test_a_logarithm_goes_no_further_than_its_values_and_large_numbers_are_short() -> None:
    near = lines("c", "t", "s", [Line(name="a", x=[1, 2], values=[0.98, 1.4])], y="y", log=True)
    assert near.spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == [0.5, 2]
    far = lines("c", "t", "s", [Line(name="a", x=[1, 2], values=[22_000, 112_000])], y="y", log=True)
    assert "200k" in drawn(far)
    assert "1.5T" in drawn(bars("c", "t", "s", [Bar(category="a", value=1.6e12)], x="run", y="FLOPs"))


def test_a_constant_series_is_in_the_middle_of_its_axis() -> None:
    chart = lines("c", "t", "s", [Line(name="a", x=[1, 2], values=[3.0, 3.0])], y="y")
    low, high = chart.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert low < 3 < high


def test_long_lines_are_thinned_alike_and_short_ones_stay() -> None:
    steps = range(1, 2001)
    first = Line(name="a", x=steps, values=[float(step) for step in steps])
    second = Line(name="b", x=steps, values=[None if step < 1500 else 1.0 for step in steps])
    short = Line(name="c", x=[1000, 2000], values=[1.0, 2.0])
    a, b, c = thinned([first, second, short])
    assert len(a.x) == MOST_POINTS
    assert a.x == b.x == a.values
    assert b.values[0] is None
    assert b.values[-1] == 1.0
    assert c == short
    assert len(lines("c", "t", "s", [first, second, short], y="y").table.rows) <= MOST_POINTS + 2


def test_a_stack_has_every_part_at_every_step_and_names_the_tall_ones() -> None:
    parts = [
        Line(name="rollout", x=[1, 2, 3], values=[1.0, 2.0, 3.0]),
        Line(name="eval", x=[2], values=[0.1]),
        Line(name="none", x=[1, 2, 3], values=[None, None, None]),
    ]
    chart = stacked("c", "t", "s", parts, y="seconds")
    assert [row["value"] for row in values(chart) if row["series"] == "eval"] == [0.0, 0.1, 0.0]
    assert [row["series"] for row in chart.spec["layer"][1]["data"]["values"]] == ["rollout"]
    two = stacked("c", "t", "s", [Line(name="a", x=[1, 2], values=[1.0, 1.0])], y="y")
    assert two.spec["layer"][1]["data"]["values"] == []  # a name at the edge would be cut
    whole = stacked(
        "c", "t", "s", [Line(name=name, x=[1, 2], values=[0.5000001, 0.5]) for name in "ab"], y="y", share=True
    )
    assert whole.spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == [0, 1]
    one = stacked("c", "t", "s", [Line(name="a", x=[1], values=[1.0])], y="y")
    assert one.spec["layer"][0]["mark"]["type"] == "bar"  # an area of one point cannot be seen


def test_bars_stand_in_the_order_given_with_their_intervals() -> None:
    given = [Bar(category=name, value=0.5, series=of, low=0.4, high=0.6) for name in ("z", "a") for of in ("1", "2")]
    chart = bars("c", "t", "s", given, x="x", y="y", share=True)
    assert chart.spec["layer"][0]["encoding"]["x"]["sort"] == ["z", "a"]
    assert chart.table.rows[0] == ["z", "1", 0.5, 0.4, 0.6]
    assert [layer["mark"]["type"] for layer in chart.spec["layer"]] == ["bar", "rule"]
