"""Other programs' files of a run's metrics: TensorBoard's events, Weights & Biases' offline runs, trackio's database.

Each is written anew from metrics.jsonl when a run begins or goes on (``runtime.following``, in a process of its own), so that it holds
each step once, whatever happened before. All paths are relative to the run directory, which is the present folder.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import yaml

from rlvr.runtime.metrics import Row

FOLDER = Path("tracking")

PROJECT = "rlvr"

NOT_WANTED = ("save_code", "symlink", "x_save_requirements")
SILENCED = (
    *("silent", "disable_git", "disable_code", "disable_job_creation"),
    *("x_disable_meta", "x_disable_stats", "x_disable_machine_info"),
)
"""Of wandb's settings, beside its capture of what is printed: a run is its configuration and rows, and nothing of the machine."""

WRITE_FAILED = '"msg":"writer: failed'
"""How the log of wandb's own process, which tells nobody else, begins to say that a file could not be written."""


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A row of metrics.jsonl. time: when it was first seen, in seconds since 1970."""

    step: int
    time: float
    values: Row


class Tracker(Protocol):
    """What follows a run's rows. Any exception of its library may rise."""

    def write(self, rows: Sequence[Tracked]) -> None:
        """Add rows, in order; when it returns they are on disk, or on their way through another process."""
        ...

    def finish(self) -> None:
        """Wait until all is written, and let go of the files."""
        ...


class TensorBoard:
    """One event a step with all its values, and the configuration as text. A value that was not finite is NaN."""

    def __init__(self, folder: Path, name: str, config: dict[str, Any]) -> None:
        writers = importlib.import_module("tensorboard.summary.writer.event_file_writer")
        self._events = importlib.import_module("tensorboard.compat.proto.event_pb2")
        self._summaries = importlib.import_module("tensorboard.compat.proto.summary_pb2")
        self._writer = writers.EventFileWriter(str(folder))
        text = self._text("config", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        self._writer.add_event(self._events.Event(summary=self._summaries.Summary(value=[text])))

    def _text(self, tag: str, text: str) -> Any:
        """A text as TensorBoard's text view has it: Markdown, so that it is indented to be shown as it is."""
        tensors = importlib.import_module("tensorboard.compat.proto.tensor_pb2")
        types = importlib.import_module("tensorboard.compat.proto.types_pb2")
        shown = "".join(f"    {line}\n" for line in text.splitlines())
        plugin = self._summaries.SummaryMetadata.PluginData(plugin_name="text")
        return self._summaries.Summary.Value(
            tag=tag,
            metadata=self._summaries.SummaryMetadata(plugin_data=plugin),
            tensor=tensors.TensorProto(dtype=types.DT_STRING, string_val=[shown.encode()]),
        )

    def write(self, rows: Sequence[Tracked]) -> None:
        for row in rows:
            values = [
                self._summaries.Summary.Value(tag=name, simple_value=math.nan if value is None else value)
                for name, value in row.values.items()
            ]
            summary = self._summaries.Summary(value=values)
            self._writer.add_event(self._events.Event(wall_time=row.time, step=row.step, summary=summary))
        self._writer.flush()

    def finish(self) -> None:
        self._writer.close()


class Wandb:
    """A run of Weights & Biases, offline unless WANDB_MODE says otherwise.

    Offline each start of ours makes one file of the whole run (``wandb sync`` sends it); online the server keeps what it has, and
    is sent the rows after that. The run's id is kept beside its folder.
    """

    def __init__(self, folder: Path, name: str, config: dict[str, Any]) -> None:
        mode = os.environ.setdefault("WANDB_MODE", "offline")
        os.environ["WANDB_ERROR_REPORTING"] = "false"  # theirs, over the network
        wandb = importlib.import_module("wandb")
        self._run = wandb.init(
            project=PROJECT,
            name=name,
            id=_identity(folder.with_name("wandb.id")),
            resume=None if mode == "offline" else "allow",
            dir=str(folder.parent),  # in which it makes a folder of its name
            config=config,
            settings=wandb.Settings(**dict.fromkeys(NOT_WANTED, False), **dict.fromkeys(SILENCED, True), console="off"),
        )
        self._first, self._log = self._run.step, Path(self._run.settings.log_internal)

    def write(self, rows: Sequence[Tracked]) -> None:
        for row in rows:
            if row.step >= self._first:
                self._run.log({**row.values, "_timestamp": row.time}, step=row.step)

    def finish(self) -> None:
        self._run.finish()
        for line in self._log.read_text(encoding="utf-8").splitlines():
            if WRITE_FAILED in line:
                raise OSError(json.loads(line)["msg"])


class Trackio:
    """A project of trackio with one run, in a database in the folder (``TRACKIO_DIR=<folder> trackio show``)."""

    def __init__(self, folder: Path, name: str, config: dict[str, Any]) -> None:
        os.environ["TRACKIO_DIR"] = str(folder.absolute())
        # As trackio imports from other programs; its log() says nothing of rows that could not be written.
        self._storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
        self._name, self._config = name, config

    def write(self, rows: Sequence[Tracked]) -> None:
        self._storage.bulk_log(
            project=PROJECT,
            run=self._name,
            metrics_list=[row.values for row in rows],
            steps=[row.step for row in rows],
            timestamps=[datetime.fromtimestamp(row.time, UTC).isoformat() for row in rows],
            config=self._config,
        )

    def finish(self) -> None:
        """Every call has written all of it."""


TRACKERS: dict[str, type[TensorBoard | Wandb | Trackio]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
    "trackio": Trackio,
}
"""By name, which is also the package's and the folder's."""


def _identity(file: Path) -> str:
    """The id in a file, which is made if there is none."""
    if not file.exists():
        file.write_text(secrets.token_hex(4) + "\n", encoding="utf-8")
    return file.read_text(encoding="utf-8").strip()
