"""A report as one HTML file that needs nothing else: no network, no other file, no permission beyond its own scripts.

What the page says may have been written by a model, so nothing of it is ever markup or code: the template escapes all text, the
data for the scripts hold no character that ends a script, and the scripts write text only. A content security policy with the
hashes of the page's own scripts and style refuses everything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate, takewhile
from typing import Any

import vl_convert
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from rlvr.report.blocks import Block, Cell, Chart, Reader, Section, Table
from rlvr.runtime.literal import printable
from rlvr.statistics import spread

MOST_ROWS = 50
"""Rows of the table behind a chart; more would not be read."""

LONGEST = 20_000
"""Characters of a text that are shown."""

MOST_BYTES = 3_000_000
"""Of a token view's data, so that a page stays under 5 MB."""


def render(title: str, sections: list[Section]) -> str:
    """The whole page. Charts and token views are drawn by its scripts; all text and every table stand in it without them."""
    style, program, charts = _own(_part("page.css")), _own(_part("page.js")), _own(_bundle())
    blocks = [block for section in sections for block in section.blocks]
    data = {
        "charts": [block.spec for block in blocks if isinstance(block, Chart)],
        "readers": [_kept(block.attempts) for block in blocks if isinstance(block, Reader)],
    }
    return _template().render(
        title=title,
        sections=sections,
        style=style,
        scripts=[charts, program],
        data=_as_script(data),
        policy=_policy(scripts=[charts, program], style=style),
    )


def _own(text: str) -> Markup:
    """Text that goes into the page unescaped: its own files, and data that ``_as_script`` made harmless."""
    return Markup(text)  # noqa: S704  # nothing a model wrote comes here


def _template() -> Template:
    environment = Environment(
        autoescape=True, finalize=_shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(kind=_kind, cell=_cell, numeric=_is_numeric, thinned=_thinned, kept=_kept)
    return environment.from_string(_part("page.html.j2"))


def _part(name: str) -> str:
    return (files("rlvr.report") / name).read_text("utf-8")


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that comes with vl-convert."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;"))


def _policy(scripts: Sequence[str], style: str) -> str:
    """What the page may do: run and wear what is in it, each known by its hash (https://www.w3.org/TR/CSP3)."""
    allowed = " ".join(_hash(script) for script in scripts)
    return f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _as_script(data: object) -> Markup:
    """JSON that may stand in a script element: in ASCII, and without the characters that could end it or begin a comment."""
    text = json.dumps(_plain(data), separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return _own(text)


def _plain(value: Any) -> Any:
    """The same data with every control character visible and without numbers that JSON has no word for."""
    match value:
        case str():
            return value if value.isprintable() else printable(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_plain(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
    return value


def _shown(value: object) -> object:
    """What the template writes: text with its control characters visible, cut where it is longer than anybody reads."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if len(value) > LONGEST:
        value = f"{value[:LONGEST]} … (cut: these are the first {LONGEST:,} of {len(value):,} characters)"
    return printable(value)


def _kind(block: Block) -> str:
    return type(block).__name__


def _is_numeric(table: Table, column: int) -> bool:
    """Whether a column holds numbers and no text; it is written to the right."""
    return all(isinstance(row[column], int | float | None) for row in table.rows)


def _cell(value: Cell) -> str:
    """A cell of a table, with as many digits as are read.

    >>> [_cell(value) for value in (None, 0.123456, 12, 3.0, 1234567.8, "a")]
    ['–', '0.1235', '12', '3', '1,234,568', 'a']
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def _thinned(table: Table) -> Table:
    """At most MOST_ROWS rows, evenly chosen with the first and the last, and a caption that says so."""
    count, chosen = len(table.rows), spread(table.rows, MOST_ROWS)
    if count <= MOST_ROWS:
        return table
    caption = f"{MOST_ROWS} of {count:,} rows, evenly chosen, with the first and the last"
    return Table(
        columns=table.columns, rows=chosen, caption=f"{table.caption} ({caption})" if table.caption else caption
    )


def _kept(attempts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first attempts, as many as MOST_BYTES hold as they stand in the page; none is looked at beyond the first too many."""
    sizes = accumulate(len(_as_script(attempt)) for attempt in attempts)
    fits = takewhile(lambda size: size <= MOST_BYTES, sizes)
    return [attempt for attempt, _ in zip(attempts, fits, strict=False)]
