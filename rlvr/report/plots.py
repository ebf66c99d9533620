"""Charts from numbers, as Vega-Lite (https://vega.github.io/vega-lite). Colours are told apart by the colour-blind, and never stand alone.

What names a series or a category is data to a chart, never a field or an expression: names may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rlvr.report.blocks import Cell, Chart, Table

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7F7F7F"]
"""Of Okabe and Ito, "Color Universal Design" (2008), without black and yellow, which are lost on one of the two backgrounds."""

DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3], [4, 4, 1, 4], [1, 3], [10, 2, 2, 2, 2, 2]]
"""Each line has its own dashes beside its colour."""

MOST_POINTS = 300
"""Points of a line: more than a screen tells apart."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Values over x, both of one length, None where there is none. low, high: ends of an interval, as long."""

    name: str
    x: Sequence[float]
    values: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None


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
    """Lines over x, with bands where they have intervals. share: the y axis goes from 0 to 1. log: it is logarithmic."""
    drawn = [thinned(line) for line in drawn]
    scale: dict[str, Any] = {"domain": [0, 1]} if share else {"zero": False}
    if log:
        scale = {"type": "log"}
    across = {"field": "x", "type": "quantitative", "title": x}
    up = {"field": "value", "type": "quantitative", "title": y, "scale": scale}
    colour, dash = _colour(drawn), _dash(drawn)
    tooltip = [_tip("x", x), _tip("series", "line", "nominal"), _tip("value", y)]
    layers: list[dict[str, Any]] = []
    if any(line.low is not None for line in drawn):
        tooltip += [_tip("low", "from"), _tip("high", "to")]
        band = {"x": across, "y": {**up, "field": "low"}, "y2": {"field": "high"}, "color": {**colour, "legend": None}}
        layers.append({"mark": {"type": "area", "opacity": 0.2, "aria": False}, "encoding": band})
    layers.append(
        {
            "mark": {"type": "line", "aria": False, "strokeWidth": 2},
            "encoding": {"x": across, "y": up, "color": colour, "strokeDash": dash},
        }
    )
    layers.append(_points(across, up, {**colour, "legend": None}, tooltip))
    return Chart(
        name=name,
        title=title,
        summary=summary,
        table=_wide(drawn, x),
        spec=_spec(summary, [row for line in drawn for row in _rows(line, log=log)], {"layer": layers}),
    )


def stacked(name: str, title: str, summary: str, drawn: Sequence[Line], *, y: str, x: str = "step") -> Chart:
    """Shares of a whole over x, one on the other, the first at the bottom."""
    drawn = [thinned(line) for line in drawn]
    order = {line.name: number for number, line in enumerate(drawn)}
    values = [{**row, "order": order[row["series"]]} for line in drawn for row in _rows(line)]
    encoding = {
        "x": {"field": "x", "type": "quantitative", "title": x},
        "y": {"field": "value", "type": "quantitative", "title": y, "stack": "zero"},
        "color": _colour(drawn),
        "order": {"field": "order", "type": "quantitative"},
        "tooltip": [_tip("x", x), _tip("series", "part", "nominal"), _tip("value", y)],
    }
    mark = {"type": "area", "aria": False, "line": {"strokeWidth": 1}, "opacity": 0.85}
    return Chart(
        name=name,
        title=title,
        summary=summary,
        table=_wide(drawn, x),
        spec=_spec(summary, values, {"mark": mark, "encoding": encoding}),
    )


def bars(name: str, title: str, summary: str, drawn: Sequence[Bar], *, x: str, y: str, share: bool = False) -> Chart:
    """Bars by category in the order given, side by side where there are several series, with their intervals."""
    categories, series = (
        list(dict.fromkeys(bar.category for bar in drawn)),
        list(dict.fromkeys(b.series for b in drawn)),
    )
    values = [
        {"category": b.category, "series": b.series, "value": b.value, "low": b.low, "high": b.high} for b in drawn
    ]
    across = {"field": "category", "type": "nominal", "title": x, "sort": categories, "axis": {"labelAngle": -30}}
    up = {
        "field": "value",
        "type": "quantitative",
        "title": y,
        "scale": {"domain": [0, 1]} if share else {},
        "stack": None,
    }
    tooltip = [_tip("category", x, "nominal"), _tip("value", y)]
    if len(series) > 1:
        tooltip.insert(1, _tip("series", "of", "nominal"))
    together: dict[str, Any] = {"x": across, "tooltip": tooltip}
    if len(series) > 1:
        together["xOffset"] = {"field": "series", "type": "nominal", "sort": series}
    legend = {} if len(series) > 1 else {"legend": None}
    colour = {**_scaled(series), **legend}
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


def thinned(line: Line, most: int = MOST_POINTS) -> Line:
    """A line of at most so many points, each the mean of those it stands for.

    >>> thinned(Line(name="a", x=[1, 2, 3, 4], values=[1, 3, 5, None]), most=2).values
    [2.0, 5.0]
    """
    count = len(line.x)
    if count <= most:
        return line
    edges = [round(number * count / most) for number in range(most + 1)]

    def means(values: Sequence[float | None] | None) -> list[float | None] | None:
        return None if values is None else [_mean(values[a:b]) for a, b in pairwise(edges)]

    x, values = means(line.x), means(line.values)
    assert x is not None
    assert values is not None
    return Line(
        name=line.name,
        x=[0.0 if each is None else each for each in x],
        values=values,
        low=means(line.low),
        high=means(line.high),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _rows(line: Line, *, log: bool = False) -> list[dict[str, Any]]:
    """A line's points as data; a logarithm has none for 0."""
    low, high = line.low or [None] * len(line.x), line.high or [None] * len(line.x)
    return [
        {"x": x, "series": line.name, "value": _short(value), "low": _short(a), "high": _short(b)}
        for x, value, a, b in zip(line.x, line.values, low, high, strict=True)
        if value is not None and (value > 0 or not log)
    ]


def _short(value: float | None) -> float | None:
    """Six digits, which are more than a picture shows."""
    return None if value is None else float(f"{value:.6g}")


def _wide(drawn: Sequence[Line], x: str) -> Table:
    """A table with a row for each x and a column for each line, and two for its interval."""
    columns: list[str] = [x]
    cells: dict[float, list[Cell]] = {}
    for line in drawn:
        columns.append(line.name)
        columns += [f"{line.name}, from", f"{line.name}, to"] if line.low is not None else []
        for number, at in enumerate(line.x):
            row = cells.setdefault(at, [])
            row += [None] * (len(columns) - 1 - len(row) - (3 if line.low is not None else 1))
            row.append(line.values[number])
            if line.low is not None and line.high is not None:
                row += [line.low[number], line.high[number]]
    rows = [[at, *row, *[None] * (len(columns) - 1 - len(row))] for at, row in sorted(cells.items())]
    return Table(columns=columns, rows=rows)


def _points(
    x: dict[str, Any], y: dict[str, Any], colour: dict[str, Any], tooltip: list[dict[str, Any]]
) -> dict[str, Any]:
    """The point nearest to the pointer, with its values."""
    near = {"type": "point", "nearest": True, "on": "pointerover", "clear": "pointerout"}
    return {
        "params": [{"name": "near", "select": near}],
        "mark": {"type": "point", "filled": True, "size": 50, "aria": False},
        "encoding": {
            "x": x,
            "y": y,
            "color": colour,
            "opacity": {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0},
            "tooltip": tooltip,
        },
    }


def _tip(field: str, title: str, kind: str = "quantitative") -> dict[str, Any]:
    return {"field": field, "type": kind, "title": title, **({"format": ".4~g"} if kind == "quantitative" else {})}


def _colour(drawn: Sequence[Line]) -> dict[str, Any]:
    return _scaled([line.name for line in drawn])


def _scaled(names: Sequence[str]) -> dict[str, Any]:
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(names))]
    scale = {"domain": list(names), "range": colours}
    return {
        "field": "series",
        "type": "nominal",
        "title": None,
        "scale": scale,
        "legend": {"orient": "top", "columns": 3},
    }


def _dash(drawn: Sequence[Line]) -> dict[str, Any]:
    scale = {"domain": [line.name for line in drawn], "range": [DASHES[n % len(DASHES)] for n in range(len(drawn))]}
    return {"field": "series", "type": "nominal", "title": None, "scale": scale}


def _spec(summary: str, values: list[dict[str, Any]], rest: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": SCHEMA, "description": summary, "data": {"values": values}, **rest}
