"""Parquet files and Hugging Face data sets as rows. The packages for it (extra ``data``) are imported where they are used."""

import datetime
import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from rlvr.config.problems import HUB
from rlvr.errors import MissingExtraError, RlvrError
from rlvr.runtime.foreign import Foreign
from rlvr.tasks.rows import Place, Raw, WrittenNumber

_AS_TEXT = (datetime.date, datetime.time, datetime.timedelta, Decimal)
_DATASET_MARKS = ("state.json", "dataset_dict.json", "dataset.arrow")
"""Files of a folder that ``datasets`` saved."""


def read_parquet(path: Path, contents: bytes) -> list[Raw]:
    """The rows of a parquet file. RlvrError if it is damaged, MissingExtraError without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError(str(path), "pyarrow", "data") from None
    rows: list[Raw] | None = None
    with Foreign() as call:
        rows = _rows(parquet.ParquetFile(pyarrow.BufferReader(contents)).iter_batches())
    if rows is None:
        raise RlvrError(str(path), f"cannot be read as parquet: {_said(call.error)}", remedy="write or fetch it again")
    return rows


def read_folder(place: Place) -> list[Raw]:
    """The rows of a folder that ``datasets`` saved (``save_to_disk``). RlvrError if it is another, or damaged."""
    folder = Path(place.path)
    if not any((folder / mark).exists() for mark in _DATASET_MARKS):
        what = "is a folder, but not one that datasets saved (save_to_disk)"
        raise RlvrError(place.path, what, remedy="name a file in it: .jsonl, .json, .csv or .parquet")
    datasets = _datasets(place)
    found: Any = None
    with Foreign() as call:
        found = datasets.load_from_disk(place.path)
    if found is None:
        raise RlvrError(place.path, f"cannot be read as a data set: {_said(call.error)}", remedy="save it again")
    if isinstance(found, datasets.DatasetDict):
        split = place.split or "train"
        if split not in found:
            raise RlvrError(place.path, f"has no split {split}", allowed=", ".join(found), remedy="set task.split")
        found = found[split]
    elif place.split is not None:
        raise RlvrError(place.path, "has no splits", got=place.split, remedy="remove the split")
    return _dataset_rows(place, found)


def read_hub(place: Place) -> list[Raw]:
    """The rows of a data set on the hub, or of its copy in the cache of ``datasets``. RlvrError if it cannot be had."""
    datasets = _datasets(place)
    found: Any = None
    with Foreign() as call:
        found = datasets.load_dataset(
            place.path.removeprefix(HUB), place.subset, split=place.split or "train", revision=place.revision
        )
    if found is None:
        what = f"cannot be loaded from the hub: {_said(call.error)}"
        remedy = "check the name, task.subset and task.split; without a network, give a local file or folder"
        raise RlvrError(place.path, what, remedy=remedy)
    return _dataset_rows(place, found)


def _datasets(place: Place) -> Any:
    """The library, told to draw no bars on stderr."""
    try:
        import datasets
    except ImportError:
        raise MissingExtraError(place.path, "datasets", "data") from None
    datasets.disable_progress_bars()
    return datasets


def _dataset_rows(place: Place, dataset: Any) -> list[Raw]:
    """As Arrow tables, so that pictures and sounds are left undecoded."""
    rows: list[Raw] | None = None
    with Foreign() as call:
        tables = dataset.with_format("arrow").iter(batch_size=1000)
        rows = _rows(batch for table in tables for batch in table.to_batches())
    if rows is None:
        raise RlvrError(
            place.path, f"cannot be read as a data set: {_said(call.error)}", remedy="save or fetch it again"
        )
    return rows


def _rows(batches: Iterable[Any]) -> list[Raw]:
    """The rows of Arrow's record batches, numbered from 1."""
    rows: list[Raw] = []
    for batch in batches:
        try:
            rows += [Raw(number, _cells(row)) for number, row in enumerate(batch.to_pylist(), start=len(rows) + 1)]
        except ValueError:  # some text in it is not UTF-8, or a date is out of range
            rows += [_row(batch, index, len(rows) + 1 + index) for index in range(batch.num_rows)]
    return rows


def _row(batch: Any, index: int, number: int) -> Raw:
    try:
        [row] = batch.slice(index, 1).to_pylist()
    except UnicodeDecodeError:
        return Raw(number, None, "not UTF-8 text")
    except ValueError as error:
        return Raw(number, None, f"cannot be read: {error}")
    return Raw(number, _cells(row))


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """The cells of a row that hold something: no nulls, no bytes (pictures, sounds)."""
    found = {str(name): _plain(value) for name, value in row.items()}
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    """A value as JSON can write it; None for what it cannot, and for NaN, by which tables of numbers mean nothing."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and math.isfinite(value):
        return WrittenNumber(format(Decimal(repr(value)).normalize(), "f"))
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, _AS_TEXT):
        return str(value)
    return value if isinstance(value, str | int) else None


def _said(error: Exception | None) -> str:
    """What a library said, on one line and not too long."""
    return " ".join(str(error).split())[:300] or type(error).__name__
