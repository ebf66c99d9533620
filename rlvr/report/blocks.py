"""What a report is made of: sections of blocks. The page, the figures and the tables for screen readers are all made from these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Cell = str | float | None
"""A value of a table; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under named columns; every row has as many cells as there are columns."""

    columns: list[str]
    rows: list[list[Cell]]
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture of a table.

    name: for files and links, unique in a report, of small letters, digits and hyphens. summary: what it shows in one sentence,
    for who cannot see it. table: its numbers, for who reads or computes. spec: Vega-Lite with its data, without size and theme.
    """

    name: str
    title: str
    summary: str
    table: Table
    spec: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Prose:
    """A paragraph. kind: how it is meant; a ``note`` was explained by the run, a ``gap`` says what is missing and why."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Lines to read or copy as they are: a configuration, a command."""

    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Reader:
    """The token view: rollouts to read token by token (``attempts.as_json`` of each)."""

    title: str
    attempts: list[dict[str, Any]]


def without_empty_columns(table: Table) -> Table:
    """The same table without the columns that have a value in no row.

    >>> without_empty_columns(Table(columns=["a", "b"], rows=[[1, None], [2, None]])).columns
    ['a']
    """
    kept = [place for place in range(len(table.columns)) if any(row[place] is not None for row in table.rows)]
    rows = [[row[place] for place in kept] for row in table.rows]
    return Table(columns=[table.columns[place] for place in kept], rows=rows, caption=table.caption)


Block = Chart | Table | Prose | Listing | Reader


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what stands under it. name: as a chart's."""

    name: str
    title: str
    blocks: list[Block] = field(default_factory=list)
