"""A report's charts as files for papers: SVG, PNG and their numbers as CSV."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rlvr.errors import RlvrError
from rlvr.report.blocks import Cell, Chart, Section, Table

WIDTH, HEIGHT = 480, 300
"""Of a picture. In a column of 85 mm its text is 6 to 7 points high."""
DOTS = 300
"""Pixels of a PNG per inch, at 72 units of its width an inch: 2,000 across, so 300 an inch over two columns, and twice that in one."""
VERSION = "6.4"
"""Of Vega-Lite; the charts are written for 6."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula when a cell begins with it (OWASP, "CSV Injection")."""
LONGEST = 100
"""Characters of a file's name, without its ending."""
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "Arial, Helvetica, Liberation Sans, sans-serif",
    "padding": 6,
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal", "gridColor": "#DDDDDD"},
    "legend": {"labelFontSize": 12, "titleFontSize": 13, "symbolStrokeWidth": 2, "labelLimit": 220},
}


def write_figures(sections: Sequence[Section], folder: Path) -> list[Path]:
    """Write every chart as NAME.svg, NAME.png and NAME.csv, in place of files of these names; returns what was written.

    RlvrError if one cannot be written, or a link stands in its place.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from None
    written: list[Path] = []
    for name, chart in _named(block for section in sections for block in section.blocks if isinstance(block, Chart)):
        svg, png = drawn(chart)
        for ending, content in (("svg", svg), ("png", png), ("csv", as_csv(chart.table))):
            written.append(_write(folder / f"{name}.{ending}", content))
    return written


def drawn(chart: Chart) -> tuple[bytes, bytes]:
    """A chart as SVG and as PNG, dark on white. Nothing is fetched from anywhere."""
    import vl_convert

    size = {"width": WIDTH, "height": HEIGHT} if {"mark", "layer"} & chart.spec.keys() else {}
    spec = {**chart.spec, **size, "autosize": {"type": "fit", "contains": "padding"}}
    svg: str = vl_convert.vegalite_to_svg(spec, VERSION, config=CONFIG, allowed_base_urls=[])
    return svg.encode(), vl_convert.svg_to_png(svg, ppi=DOTS)


def as_csv(table: Table) -> bytes:
    """A table with its head. Numbers have all their digits; a text that a spreadsheet would compute has a ' before it."""
    file = io.StringIO(newline="")
    rows: list[list[Cell]] = [[*table.columns], *table.rows]
    for row in rows:
        csv.writer(file).writerow([_plain(cell) for cell in row])
    return file.getvalue().encode("utf-8", "backslashreplace")


def _plain(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _named(charts: Iterable[Chart]) -> Iterable[tuple[str, Chart]]:
    """Charts with names that are safe in any file system, and each only once."""
    taken: set[str] = set()
    for chart in charts:
        safe = re.sub("[^a-z0-9]+", "-", chart.name.lower()).strip("-")[:LONGEST] or "chart"
        name, number = safe, 2
        while name in taken:
            name, number = f"{safe}-{number}", number + 1
        taken.add(name)
        yield name, chart


def _write(path: Path, content: bytes) -> Path:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would wait for its reader
    try:
        with os.fdopen(os.open(path, flags, 0o644), "wb") as file:
            file.write(content)
    except OSError as error:
        raise _refused(path, error) from None
    return path


def _refused(path: Path, error: OSError) -> RlvrError:
    why = "is a link, which is not followed" if error.errno == errno.ELOOP else f"cannot be written: {error.strerror}"
    return RlvrError(str(path), why, remedy="name a folder that you can write")
