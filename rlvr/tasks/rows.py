"""Rows of files as they stand there, before it is known what their columns mean."""

import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

DEEPEST = 50
"""Lists in lists, or objects in objects."""
_HALF = re.compile("[\ud800-\udfff]")
_NO_UTF8 = re.compile("[\udc80-\udcff]")
"""What Python's ``surrogateescape`` makes of bytes that are no UTF-8."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where rows are: a file, a folder, or a data set on the hub with its subset, split and revision."""

    path: str
    subset: str | None = None
    split: str | None = None
    revision: str | None = None


class Raw(NamedTuple):
    """One row.

    line: its number: of the line on which it begins or, where there are no lines, of the row, from 1.
    cells: by column; None if it cannot be read. trouble: why not, else empty.
    """

    line: int
    cells: dict[str, Any] | None
    trouble: str = ""


class WrittenNumber(float):
    """A number of a file that remembers how it was written: 0.00001 is no 1e-05."""

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Unreadable:
    """Stands where a value stood that cannot be read, so that the row around it can be named."""

    trouble: str


def flaw(cells: Any) -> str:
    """Why a row could not be written again, wherever in it that stands; empty if it can."""
    left: list[tuple[Any, int]] = [(cells, 0)]
    while left:
        value, depth = left.pop()
        if depth > DEEPEST:
            return "is nested too deeply"
        if isinstance(value, Unreadable):
            return value.trouble
        if isinstance(value, str) and _HALF.search(value):
            return "not UTF-8 text" if _NO_UTF8.search(value) else "holds half a character (a lone surrogate)"
        if isinstance(value, float) and math.isinf(value):
            return f"holds a number that is too large: {str(value)[:40]}"
        parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
        left += [(part, depth + 1) for part in parts]
    return ""


def columns_of(rows: list[Raw]) -> list[str]:
    """The columns that any row has, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows if row.cells is not None for name in row.cells))
