"""Reading back what runs wrote, whoever made the run directory: what is damaged is named, never a traceback."""

import json
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from rlvr.config_file import read_bytes
from rlvr.errors import RlvrError

Fields = dict[str, type | tuple[type, ...]]
"""Which keys an object has, and of which type their values are."""
NUMBER = (int, float)
SAID = 3
"""Damaged lines of a file that are named."""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. RlvrError if it holds something else."""
    return _object(read_bytes(path), str(path), {}, "delete it, or put the file back")


def read_lines(path: Path, fields: Fields, *, whole: bool = False) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line, each with these fields. No file, no objects.

    whole: a last line that was cut off by a crash is an error too, not left out. RlvrError names a damaged line.
    """
    if not path.exists():
        return []
    content = read_bytes(path)
    lines = (content if whole else content[: content.rfind(b"\n") + 1]).splitlines()
    return [_object(line, f"{path}:{number}", fields, "remove the line") for number, line in enumerate(lines, start=1)]


def sound_lines(
    path: Path, fields: Fields, flaw: Callable[[dict[str, Any]], str | None], only: Collection[int] | None = None
) -> tuple[dict[int, dict[str, Any]], str | None]:
    """The sound objects of a file by line, from 0, for a reader who wants what is left of a damaged file.

    flaw: what is wrong with an object beyond its fields. only: the lines to look at; None for all. With them comes what
    was left out, in words; None if nothing was. No file, no objects. A file that cannot be read is one that has none; so is a
    link that leads nowhere.
    """
    if not os.path.lexists(path):
        return {}, None
    try:
        lines = read_bytes(path).splitlines()
    except RlvrError as error:
        return {}, str(error)
    found: dict[int, dict[str, Any]] = {}
    wrong: list[str] = []
    for number, line in enumerate(lines):
        if only is not None and number not in only:
            continue
        value = _parsed(line, fields)
        if isinstance(value, dict) and (reason := flaw(value)) is not None:
            value = reason
        if isinstance(value, dict):
            found[number] = value
        else:
            wrong.append(f"line {number + 1} ({value})")
    if not wrong:
        return found, None
    more = f" and {len(wrong) - SAID} more" if len(wrong) > SAID else ""
    return (
        found,
        f"{path}: {len(wrong)} of {len(lines)} lines are damaged and left out: {', '.join(wrong[:SAID])}{more}",
    )


def _object(text: bytes, where: str, fields: Fields, remedy: str) -> dict[str, Any]:
    value = _parsed(text, fields)
    if isinstance(value, str):
        raise RlvrError(where, f"is damaged: {value}", remedy=remedy)
    return value


def _parsed(text: bytes, fields: Fields) -> dict[str, Any] | str:
    """The JSON object that a text is, or what is wrong with it."""
    try:
        value = json.loads(str(text, "utf-8"))
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(value, dict):
        return "not a JSON object"
    if wrong := [name for name, kind in fields.items() if not _is(value.get(name), kind)]:
        return f"{wrong[0]} is missing or of another kind"
    return value


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    """Whether a JSON value is of a type, or of one of some; a truth value is no number."""
    return type(value) in (kind if isinstance(kind, tuple) else (kind,))
