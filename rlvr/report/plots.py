"""Charts from numbers, as Vega-Lite (https://vega.github.io/vega-lite). Colours are told apart by the colour-blind, and never stand alone.

What names a series or a category is data to a chart, never a field or an expression: names may come from anywhere.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from rlvr.report.blocks import Cell, Chart, Table

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7F7F7F"]
"""Of Okabe and Ito, "Color Universal Design" (2008), without black and yellow, which are lost on one of the two backgrounds."""

INKS = ["white", "white", "white", "black", "black", "black", "white", "white"]
"""What can be read on each of the colours."""

DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [4, 4, 1, 4], [1, 3], [10, 2, 2, 2, 2, 2]]
"""Each line has its own dashes beside its colour."""

MOST_POINTS = 300
"""Points of a line: more than a screen tells apart."""

FEW = 20
"""A line of so many values or fewer has a dot at each, and intervals as bars instead of a band."""

EACH = 12
"""Whole numbers up to so far apart are all written under the x axis, each once."""

LARGE = 1e5
"""Axes that reach so far count in thousands (k), millions (M), billions (G), …"""

SHORT = "format(datum.value, '~s')"
"""How they are written."""

LABELLED = 0.12
"""A part of a whole is labelled where it takes up more than this of the height."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Values over x, both of one length, None where there is none. low, high: ends of an interval, as long.

    computed: not measured at its x, as a fitted line, which has no dots.
    """

    name: str
    x: Sequence[float]
    values: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    computed: bool = False


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A value of a category, and of a series where several are side by side, with the ends of its interval."""

    category: str
    value: float
    series: str = ""
    low: float | None = None
    high: float | None = None


def lines(
    name: str,
    title: str,
    summary: str,
    drawn: Sequence[Line],
    *,
    y: str,
    x: str = "step",
    share: bool = False,
    log: bool = False,
) -> Chart:
    """Lines over x, with bands where they have intervals. share: the y axis goes from 0 to 1. log: it is logarithmic.

    A line of few values has a dot at each, so that one value can be seen, and its intervals as bars. Intervals of shares end where
    shares do.
    """
    drawn = [_of_shares(line) for line in drawn] if share else drawn
    across, caption, drawn = _across(drawn, x), _averaged(drawn), thinned(drawn)
    values = [row for line in drawn for row in _rows(line, log=log)]
    up = {"field": "value", "type": "quantitative", "title": y, **_upwards(values, share=share, log=log)}
    colour, dash = _colour(drawn), _dash(drawn)
    tooltip = [_tip("x", x), _tip("series", "line", "nominal"), _tip("value", y)]
    layers: list[dict[str, Any]] = []
    if any("low" in row for row in values):
        tooltip += [_tip("low", "from"), _tip("high", "to")]
        ends = {"x": across, "y": {**up, "field": "low"}, "y2": {"field": "high"}, "color": colour}
        layers += [
            {
                "transform": [{"filter": {"field": "few", "equal": few}}, {"filter": {"field": "low", "valid": True}}],
                "mark": {**mark, "aria": False},
                "encoding": ends,
            }
            for few, mark in ((False, {"type": "area", "opacity": 0.2}), (True, {"type": "rule", "strokeWidth": 1.5}))
        ]
    position = {"x": across, "y": up, "color": colour}
    layers += [
        {
            "mark": {"type": "line", "aria": False, "strokeWidth": 2},
            "encoding": {**position, "strokeDash": dash},
        },
        {
            "transform": [{"filter": {"field": "few", "equal": True}}],
            "mark": {"type": "point", "filled": True, "size": 30, "opacity": 1, "aria": False},
            "encoding": position,
        },
        _points(position, tooltip),
    ]
    spec = _spec(summary, values, {"layer": layers})
    return Chart(name=name, title=title, summary=summary, table=_wide(drawn, x, caption), spec=spec)


def stacked(
    name: str, title: str, summary: str, drawn: Sequence[Line], *, y: str, x: str = "step", share: bool = False
) -> Chart:
    """Parts of a whole over x, one on the other, the first at the bottom; a part that has no value where others do is 0 there.

    share: they add up to 1.

    Each part is named in the picture where it is tallest, if it is tall enough to hold its name.
    """
    across, caption, drawn = _across(drawn, x), _averaged(drawn), thinned(drawn)
    whole = {at: 0.0 for line in drawn for at, value in zip(line.x, line.values, strict=True) if value is not None}
    filled = []
    for line in drawn:
        known = {at: value for at, value in zip(line.x, line.values, strict=True) if value is not None}
        filled.append(replace(line, x=sorted(whole), values=[known.get(at, 0.0) for at in sorted(whole)]))
    values = [{**row, "order": number} for number, line in enumerate(filled) for row in _rows(line)]
    encoding = {
        "x": across,
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": y,
            "stack": "zero",
            **_upwards([], share=share, log=False),
        },
        "color": _colour(drawn, stroke=False),
        "order": {"field": "order", "type": "quantitative"},
        "tooltip": [_tip("x", x), _tip("series", "part", "nominal"), _tip("value", y)],
    }
    area = {"type": "area", "aria": False, "line": {"strokeWidth": 1}, "opacity": 0.85}
    mark = area if len(whole) > 1 else {"type": "bar", "aria": False, "size": 40}
    layers = [{"mark": mark, "encoding": encoding}, _names(filled, across)]
    spec = _spec(summary, values, {"layer": layers})
    return Chart(name=name, title=title, summary=summary, table=_wide(drawn, x, caption), spec=spec)


def bars(name: str, title: str, summary: str, drawn: Sequence[Bar], *, x: str, y: str, share: bool = False) -> Chart:
    """Bars by category in the order given, side by side where there are several series, with their intervals; those of shares end where
    shares do."""
    if share:
        drawn = [replace(bar, low=_share(bar.low), high=_share(bar.high)) for bar in drawn]
    categories = list(dict.fromkeys(bar.category for bar in drawn))
    series = list(dict.fromkeys(bar.series for bar in drawn))
    values = [
        {"category": b.category, "series": b.series, "value": b.value, "low": b.low, "high": b.high} for b in drawn
    ]
    turned = sum(map(len, categories)) > 50
    axis = {"labelAngle": -30 if turned else 0, "labelLimit": 120}
    across = {"field": "category", "type": "nominal", "title": x, "sort": categories, "axis": axis}
    scale = {"domain": [0, 1]} if share else {}
    large = _counted(max((bar.value for bar in drawn), default=0.0))
    up = {"field": "value", "type": "quantitative", "title": y, "scale": scale, "stack": None, **large}
    tooltip = [_tip("category", x, "nominal"), _tip("value", y)]
    together: dict[str, Any] = {"x": across, "tooltip": tooltip}
    colour = _scaled(series, symbol="square")
    if len(series) > 1:
        tooltip.insert(1, _tip("series", "of", "nominal"))
        together["xOffset"] = {"field": "series", "type": "nominal", "sort": series}
    else:
        colour["legend"] = None
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "bar", "aria": False}, "encoding": {**together, "y": up, "color": colour}}
    ]
    if any(bar.low is not None for bar in drawn):
        tooltip += [_tip("low", "from"), _tip("high", "to")]
        ends = {**together, "y": {**up, "field": "low"}, "y2": {"field": "high"}}
        layers.append({"mark": {"type": "rule", "aria": False, "strokeWidth": 1.5}, "encoding": ends})
    rows: list[list[Cell]] = [[b.category, b.series, b.value, b.low, b.high] for b in drawn]
    table = Table(columns=[x, "of", y, "from", "to"], rows=rows)
    return Chart(name=name, title=title, summary=summary, table=table, spec=_spec(summary, values, {"layer": layers}))


# ------------------------------------------------------------------------------------------------ data


def thinned(drawn: Sequence[Line], most: int = MOST_POINTS) -> list[Line]:
    """The lines with at most so many points each; a point is the mean of those it stands for.

    Lines that are longer are cut at the same places, so that they still share their x; shorter ones stay as they are.

    >>> thinned([Line(name="a", x=[1, 2, 3, 4], values=[1, 3, 5, None])], most=2)[0].values
    [2.0, 5.0]
    """
    grid = sorted({at for line in drawn if len(line.x) > most for at in line.x})
    starts = [grid[round(number * len(grid) / most)] for number in range(most)] if grid else []
    middles = _means(starts, grid, grid)
    return [line if len(line.x) <= most else _cut(line, starts, middles) for line in drawn]


def _averaged(drawn: Sequence[Line]) -> str:
    """What a table of lines says of those that are too long to be drawn in full."""
    longest = max((len(line.x) for line in drawn), default=0)
    return f"Each row is a mean over neighbours: {longest:,} values are {MOST_POINTS}" if longest > MOST_POINTS else ""


def _cut(line: Line, starts: Sequence[float], middles: Sequence[float | None]) -> Line:
    return replace(
        line,
        x=[0.0 if at is None else at for at in middles],
        values=_means(starts, line.x, line.values),
        low=None if line.low is None else _means(starts, line.x, line.low),
        high=None if line.high is None else _means(starts, line.x, line.high),
    )


def _means(starts: Sequence[float], x: Sequence[float], values: Sequence[float | None]) -> list[float | None]:
    """The mean of the values in each stretch of x; None where there are none."""
    sums, counts = [0.0] * len(starts), [0] * len(starts)
    for at, value in zip(x, values, strict=True):
        if value is not None:
            stretch = bisect_right(starts, at) - 1
            sums[stretch] += value
            counts[stretch] += 1
    return [total / count if count else None for total, count in zip(sums, counts, strict=True)]


def _of_shares(line: Line) -> Line:
    low, high = (None if ends is None else [_share(end) for end in ends] for ends in (line.low, line.high))
    return replace(line, low=low, high=high)


def _share(value: float | None) -> float | None:
    return None if value is None else min(1.0, max(0.0, value))


def _rows(line: Line, *, log: bool = False) -> list[dict[str, Any]]:
    """A line's points as data; a logarithm has none for what is not above 0."""
    points = [
        (number, at)
        for number, at in enumerate(line.x)
        if (value := line.values[number]) is not None and (value > 0 or not log)
    ]
    few = len(points) <= FEW and not line.computed
    rows: list[dict[str, Any]] = [
        {"x": _short(at), "series": line.name, "value": _short(line.values[number]), "few": few}
        for number, at in points
    ]
    if line.low is not None and line.high is not None:
        for row, (number, _) in zip(rows, points, strict=True):
            low, high = _short(line.low[number]), _short(line.high[number])
            if low is not None and high is not None:
                row |= {"low": max(low, row["value"] / 10) if log and low <= 0 else low, "high": high}
    return rows


def _short(value: float | None) -> float | None:
    """Six digits, which are more than a picture shows."""
    return None if value is None else float(f"{value:.6g}")


def _wide(drawn: Sequence[Line], x: str, caption: str) -> Table:
    """A table with a row for each x and a column for each line, and two for its interval."""
    columns: list[str] = [x]
    cells: dict[float, list[Cell]] = {}
    for line in drawn:
        columns.append(line.name)
        columns += [f"{line.name}, from", f"{line.name}, to"] if line.low is not None else []
        for number, at in enumerate(line.x):
            row = cells.setdefault(at, [])
            row += [None] * (len(columns) - 1 - len(row) - (3 if line.low is not None else 1))
            row.append(_short(line.values[number]))
            if line.low is not None and line.high is not None:
                row += [_short(line.low[number]), _short(line.high[number])]
    rows = [[_short(at), *row, *[None] * (len(columns) - 1 - len(row))] for at, row in sorted(cells.items())]
    return Table(columns=columns, rows=rows, caption=caption)


# ------------------------------------------------------------------------------------------------ parts of a specification


def _across(drawn: Sequence[Line], x: str) -> dict[str, Any]:
    """The x axis: from the first point to the last, with whole numbers if all are."""
    whole = all(float(at).is_integer() for line in drawn for at in line.x)
    first, last = (round(end([at for line in drawn for at in line.x], default=0)) for end in (min, max))
    axis: dict[str, Any] = {"grid": False, **({"format": ",d", "tickMinStep": 1} if whole else {})}
    if whole and last - first <= EACH:
        axis["values"] = list(range(first, last + 1))
    scale = {"zero": False, "nice": False}
    return {"field": "x", "type": "quantitative", "title": x, "axis": axis, "scale": scale}


def _upwards(values: Sequence[dict[str, Any]], *, share: bool, log: bool) -> dict[str, Any]:
    """Scale and axis of y; of values that are all alike, a little around them, since a line on the edge looks like none."""
    if share:
        return {"scale": {"domain": [0, 1]}}
    ends = [row[key] for row in values for key in ("value", "low", "high") if key in row]
    if log:
        return _decades(ends)
    if ends and min(ends) == max(ends):
        around = abs(ends[0]) / 10 or 1.0
        return {"scale": {"domain": [ends[0] - around, ends[0] + around]}}
    return {"scale": {"zero": False}, **_counted(max(ends, default=0.0))}


def _counted(highest: float) -> dict[str, Any]:
    """The axis of large numbers."""
    return {"axis": {"labelExpr": SHORT}} if highest >= LARGE else {}


def _decades(ends: Sequence[float]) -> dict[str, Any]:
    """A logarithmic scale that ends at 1, 2, 5, 10, … and has a line at each; over three powers of ten or more it ends at powers and has
    lines at those, or at every second, third, …, for at most 8.
    """
    low, high = min(ends, default=1.0), max(ends, default=1.0)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first < 3:
        grid = [float(f"{step}e{power}") for power in range(first, last + 1) for step in (1, 2, 5)]
        low = max((at for at in grid if at <= low), default=grid[0])
        high = min((at for at in grid if at >= high and at > low), default=grid[-1])
        values = [at for at in grid if low <= at <= high]
    else:
        values = [float(f"1e{power}") for power in range(first, last + 1, -(-(last - first) // 8))]
        low, high = float(f"1e{first}"), float(f"1e{last}")
    form = {"labelExpr": SHORT} if high >= LARGE else {"format": ".0e" if first < -4 else ",~g"}
    return {"scale": {"type": "log", "domain": [low, high]}, "axis": {"values": values, **form}}


def _points(position: dict[str, Any], tooltip: list[dict[str, Any]]) -> dict[str, Any]:
    """The point nearest to the pointer, with its values."""
    near = {"type": "point", "nearest": True, "on": "pointerover", "clear": "pointerout"}
    opacity = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    return {
        "params": [{"name": "near", "select": near}],
        "mark": {"type": "point", "filled": True, "size": 60, "aria": False},
        "encoding": {**position, "opacity": opacity, "tooltip": tooltip},
    }


def _names(drawn: Sequence[Line], across: dict[str, Any]) -> dict[str, Any]:
    """The name of each part of a stack in the middle of where it is tallest over some width, if it is tall enough."""
    heights = [_smoothed([value or 0.0 for value in line.values]) for line in drawn]
    count = min(map(len, heights), default=0)
    tallest = max(
        (sum(value or 0.0 for value in each) for each in zip(*(line.values for line in drawn), strict=True)),
        default=0.0,
    )
    edge = max(1, count // 8) if count > 1 else 0  # where a name would be cut
    places, labels = range(edge, count - edge), []
    for number, line in enumerate(drawn):
        best = max(places, key=heights[number].__getitem__, default=0)
        if places and heights[number][best] > LABELLED * tallest:
            middle = sum(own[best] for own in heights[:number]) + heights[number][best] / 2
            ink = INKS[number % len(INKS)]
            labels.append({"x": _short(line.x[best]), "middle": _short(middle), "series": line.name, "ink": ink})
    return {
        "data": {"values": labels},
        "mark": {"type": "text", "aria": False, "fontSize": 11, "limit": 120},
        "encoding": {
            "x": across,
            "y": {"field": "middle", "type": "quantitative"},
            "text": {"field": "series", "type": "nominal"},
            "color": {"field": "ink", "type": "nominal", "scale": None},
        },
    }


def _smoothed(values: Sequence[float]) -> list[float]:
    """Means over an eighth of the values to either side of each, fewer at the ends."""
    reach, sums = len(values) // 8, [0.0, *accumulate(values)]
    ends = [(max(0, place - reach), min(len(values), place + reach + 1)) for place in range(len(values))]
    return [(sums[last] - sums[first]) / (last - first) for first, last in ends]


def _tip(field: str, title: str, kind: str = "quantitative") -> dict[str, Any]:
    return {"field": field, "type": kind, "title": title, **({"format": ",.4~r"} if kind == "quantitative" else {})}


def _colour(drawn: Sequence[Line], *, stroke: bool = True) -> dict[str, Any]:
    return _scaled([line.name for line in drawn], symbol="stroke" if stroke else "square")


def _scaled(names: Sequence[str], *, symbol: str) -> dict[str, Any]:
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(names))]
    scale = {"domain": list(names), "range": colours}
    return {"field": "series", "type": "nominal", "title": None, "scale": scale, "legend": _legend(names, symbol)}


def _legend(names: Sequence[str], symbol: str) -> dict[str, Any]:
    """Above the picture; of lines with a stretch long enough to show their dashes."""
    entry = 38 + 6.1 * min(max(map(len, names), default=0), 30)  # pixels, about
    columns = {"signal": f"max(1, min({len(names)}, floor((width + 10) / {entry:.0f})))"}
    long = {"symbolSize": 700, "symbolStrokeWidth": 2} if symbol == "stroke" else {}
    return {"orient": "top", "columns": columns, "labelLimit": 200, "symbolType": symbol, "symbolOpacity": 1, **long}


def _dash(drawn: Sequence[Line]) -> dict[str, Any]:
    names = [line.name for line in drawn]
    scale = {"domain": names, "range": [DASHES[number % len(DASHES)] for number in range(len(names))]}
    return {
        "field": "series",
        "type": "nominal",
        "title": None,
        "scale": scale,
        "legend": _legend(names, "stroke"),
    }


def _spec(summary: str, values: list[dict[str, Any]], rest: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": SCHEMA, "description": summary, "data": {"values": values}, **rest}
