"""Reading back what runs wrote, whoever made the run directory: what is damaged is named, never a traceback."""

import json
from pathlib import Path
from typing import Any

from rlvr.config_file import read_bytes
from rlvr.errors import RlvrError

Fields = dict[str, type | tuple[type, ...]]
"""Which keys an object has, and of which type their values are."""
NUMBER = (int, float)


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


def _object(text: bytes, where: str, fields: Fields, remedy: str) -> dict[str, Any]:
    try:
        value = json.loads(str(text, "utf-8"))
    except (ValueError, RecursionError):
        raise RlvrError(where, "is damaged: not JSON", remedy=remedy) from None
    if not isinstance(value, dict):
        raise RlvrError(where, "is damaged: not a JSON object", remedy=remedy)
    if wrong := [name for name, kind in fields.items() if not isinstance(value.get(name), kind)]:
        raise RlvrError(where, f"is damaged: {wrong[0]} is missing or of another kind", remedy=remedy)
    return value
