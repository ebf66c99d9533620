"""metrics.jsonl: one row a step, ``{"step": int, "<group>/<name>": number, ...}``."""

import json
import math
import os
from pathlib import Path

from rlvr.errors import RlvrError
from rlvr.runtime.files import Writing, write_atomically
from rlvr.runtime.written import NUMBER, read_lines
from rlvr.types import Metrics

Row = dict[str, float | None]
"""A row as it was written: null where a value was not finite."""


class MetricsFile:
    """Appends rows to a run's metrics.jsonl; reopening it drops rows after the checkpoint that is resumed from.

    TrainingStoppedError if it cannot be written.
    """

    def __init__(self, path: Path, last_step: int) -> None:
        self._path = path
        with Writing(path):
            kept = [row for row in read_rows(path) if (row["step"] or 0) <= last_step]
            write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept))
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, step: int, metrics: Metrics | Row) -> None:
        """Append one row."""
        with Writing(self._path):
            self._file.write(json.dumps({"step": step, **without_infinities(metrics)}) + "\n")

    def sync(self) -> None:
        """Make the rows durable: those up to a checkpoint are not written again."""
        with Writing(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        with Writing(self._path), self._file:
            os.fsync(self._file.fileno())


def without_infinities(metrics: Metrics | Row) -> Row:
    """The metrics with null for a value that is not finite, since JSON has no word for it."""
    return {name: None if value is None or not math.isfinite(value) else value for name, value in metrics.items()}


def read_rows(path: Path) -> list[Row]:
    """All whole rows of a metrics file; a last line cut off by a crash is left out. No file, no rows."""
    rows = read_lines(path, {"step": int})
    for number, row in enumerate(rows, start=1):
        if not all(value is None or isinstance(value, NUMBER) for value in row.values()):
            raise RlvrError(f"{path}:{number}", "is damaged: not a row of numbers", remedy="remove the line")
    return rows
