"""Parquet files and Hugging Face data sets as rows. The packages for it (extra ``data``) are imported where they are used."""

import datetime
import logging
import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from rlvr.config.problems import HUB
from rlvr.errors import MissingExtraError, RlvrError
from rlvr.runtime.foreign import Foreign
from rlvr.tasks.rows import Place, Raw, Unreadable, WrittenNumber, flaw

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
    log = logging.getLogger("huggingface_hub")
    before = log.level
    log.setLevel(logging.ERROR)  # it tells of every attempt
    with Foreign() as call:
        found = datasets.load_dataset(
            place.path.removeprefix(HUB), place.subset, split=place.split or "train", revision=place.revision
        )
    log.setLevel(before)
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
    """The rows of Arrow's record batches, numbered from 1. Every batch is validated first: its offsets come from the file."""
    rows: list[Raw] = []
    for found in batches:
        batch, texts = _texts_as_bytes(found)
        batch.validate(full=True)
        try:
            cells: list[Any] = batch.to_pylist()
        except (ValueError, OverflowError):  # a date that Python has not
            cells = [_row(batch, index) for index in range(batch.num_rows)]
        rows += [_raw(number, row, texts) for number, row in enumerate(cells, start=len(rows) + 1)]
    return rows


def _texts_as_bytes(batch: Any) -> tuple[Any, set[str]]:
    """The batch with its columns of text as bytes, and their names: so that bad UTF-8 is the fault of one row."""
    import pyarrow

    as_bytes = {pyarrow.string(): pyarrow.binary(), pyarrow.large_string(): pyarrow.large_binary()}
    fields = [field.with_type(as_bytes.get(field.type, field.type)) for field in batch.schema]
    texts = {field.name for field in batch.schema if field.type in as_bytes}
    batch.validate()
    return batch.cast(pyarrow.schema(fields)), texts


def _row(batch: Any, index: int) -> Any:
    """One row of a batch, or what is wrong with it."""
    try:
        return batch.slice(index, 1).to_pylist()[0]
    except (ValueError, OverflowError) as error:
        return Unreadable(f"cannot be read: {error}")


def _raw(number: int, row: Any, texts: set[str]) -> Raw:
    if isinstance(row, Unreadable):
        return Raw(number, None, row.trouble)
    read = {
        name: cell.decode("utf-8", "surrogateescape")
        for name, cell in row.items()
        if name in texts and cell is not None
    }
    cells = _cells({**row, **read})
    trouble = flaw(cells)
    return Raw(number, None, trouble) if trouble else Raw(number, cells)


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
