"""Files of problems as rows: JSON lines, JSON, CSV. Tables are read in ``tables``."""

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rlvr.config.problems import HUB, format_of
from rlvr.config_file import read_bytes
from rlvr.errors import RlvrError
from rlvr.tasks.rows import Place, Raw, Unreadable, WrittenNumber, flaw
from rlvr.tasks.tables import read_folder, read_hub, read_parquet

_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_rows(place: Place) -> list[Raw]:
    """All rows of a file, a folder or a data set, good and bad.

    Raises RlvrError for what cannot be read at all, and MissingExtraError where a package for it is not installed.
    """
    path, kind = Path(place.path), format_of(place.path)
    if kind == "hub":
        return read_hub(place)
    if path.is_dir():
        return read_folder(place)
    if place.split is not None:
        raise RlvrError(str(path), "is a file, which has no splits", got=place.split, remedy="remove the split")
    contents = read_bytes(path)
    if kind == "parquet":
        return read_parquet(path, contents)
    if kind in ("csv", "tsv"):
        return _csv_rows(path, _text(path, contents), "\t" if kind == "tsv" else ",")
    rows = _json_rows(path, _text(path, contents)) if kind == "json" else None
    return list(_lines(contents)) if rows is None else rows


def where(path: str, line: int) -> str:
    """A row as an error message names it."""
    in_lines = not path.startswith(HUB) and format_of(path) not in ("json", "parquet") and not Path(path).is_dir()
    return f"{path}:{line}" if in_lines else f"{path}, row {line}"


# ------------------------------------------------------------------------------------------------- JSON lines


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is given twice")
    return made


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


_STRICT = json.JSONDecoder(parse_float=WrittenNumber, parse_constant=_refuse_constant, object_pairs_hook=_object)


def _lines(contents: bytes) -> Iterator[Raw]:
    for number, line in enumerate(contents.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if line.strip():
            yield _line(number, line)


def _line(number: int, line: bytes) -> Raw:
    try:
        row = _STRICT.decode(str(line, "utf-8"))
    except UnicodeDecodeError as error:
        return Raw(number, None, f"not UTF-8 text (byte {error.start} of the line)")
    except (ValueError, RecursionError) as error:
        return Raw(number, None, f"not JSON: {error}")
    return Raw(number, row) if isinstance(row, dict) else Raw(number, None, "not a JSON object")


# ------------------------------------------------------------------------------------------------------- JSON


def _marked_object(pairs: list[tuple[str, Any]]) -> Any:
    made = dict(pairs)
    return made if len(made) == len(pairs) else Unreadable("not JSON: a key is given twice")


def _marked_int(text: str) -> Any:
    try:
        return int(text)
    except ValueError as error:
        return Unreadable(f"not JSON: {error}")


_MARKING = json.JSONDecoder(
    parse_float=WrittenNumber,
    parse_int=_marked_int,
    parse_constant=lambda name: Unreadable(f"not JSON: {name} is no number in JSON"),
    object_pairs_hook=_marked_object,
)
"""Reads on after a bad value: what follows belongs to other rows."""


def _text(path: Path, contents: bytes) -> str:
    """The text of a file; bytes that are no UTF-8 become lone surrogates, so that their rows can be named."""
    if contents.startswith(_WIDE_MARKS):
        raise RlvrError(str(path), "is UTF-16 text, not UTF-8", remedy="save it as UTF-8")
    text = contents.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    if not text.strip():
        raise _empty(path)
    return text


def _empty(path: Path) -> RlvrError:
    return RlvrError(str(path), "holds no problems: it is empty", remedy="give at least one row")


def _json_rows(path: Path, text: str) -> list[Raw] | None:
    """The rows of one JSON value; None if there is an object on each line instead."""
    start = len(text) - len(text.lstrip())
    try:
        value, end = _MARKING.raw_decode(text, start)
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg} (column {error.colno})"
        remedy = "mend it; if each line is an object of its own, name the file .jsonl"
        raise RlvrError(f"{path}:{error.lineno}", what, remedy=remedy) from None
    except RecursionError:
        raise RlvrError(str(path), "is nested too deeply", remedy="give a list of objects") from None
    if text[end:].strip():
        if isinstance(value, dict):
            return None
        line = 1 + text.count("\n", 0, end)
        raise RlvrError(f"{path}:{line}", "not JSON: something follows the value", remedy="give one list of objects")
    return [_element(number, row) for number, row in enumerate(_the_list(path, value), start=1)]


def _the_list(path: Path, value: Any) -> list[Any]:
    """The list itself, or the one list of objects that an object holds; an object without one is a row."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise RlvrError(str(path), "holds no list of objects", remedy="give a list of objects")
    lists = {k: v for k, v in value.items() if isinstance(v, list) and any(isinstance(row, dict) for row in v)}
    if len(lists) > 1:
        raise RlvrError(
            str(path), "holds several lists of objects", got=list(lists), remedy="put each into a file of its own"
        )
    return next(iter(lists.values()), [value])


def _element(number: int, row: Any) -> Raw:
    if trouble := flaw(row):
        return Raw(number, None, trouble)
    return Raw(number, row) if isinstance(row, dict) else Raw(number, None, "not a JSON object")


# -------------------------------------------------------------------------------------------------------- CSV


def _csv_rows(path: Path, text: str, delimiter: str) -> list[Raw]:
    """The records below a header; columns without a name, as of a saved index, are left out."""
    before = csv.field_size_limit(len(text) + 1)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        records = list(_records(reader))
    finally:
        csv.field_size_limit(before)
    if not records:
        raise _empty(path)
    header, *records = records
    if header.fields is None:
        raise RlvrError(f"{path}:{header.line}", header.trouble, remedy="begin with a row of column names")
    names = [name.strip() for name in header.fields]
    if twice := {name for name in names if name and names.count(name) > 1}:
        raise RlvrError(f"{path}:{header.line}", "the header names a column twice", got=sorted(twice)[0])
    return [_cells(names, record) for record in records]


class _Record(NamedTuple):
    line: int
    fields: list[str] | None
    trouble: str = ""


def _records(reader: Any) -> Iterator[_Record]:
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            unclosed = str(error) == "unexpected end of data"
            yield _Record(line, None, f"not CSV: {'a quote that opens here is never closed' if unclosed else error}")
            continue
        if any(field.strip() for field in fields):
            yield _Record(line, fields)


def _cells(names: list[str], record: _Record) -> Raw:
    if record.fields is None:
        return Raw(record.line, None, record.trouble)
    if len(record.fields) != len(names):
        return Raw(record.line, None, f"has {len(record.fields)} fields: the header has {len(names)}")
    return Raw(record.line, {name: cell for name, cell in zip(names, record.fields, strict=True) if name})
