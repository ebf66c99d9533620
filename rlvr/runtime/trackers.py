"""Other programs' files of a run's metrics: TensorBoard's events, Weights & Biases' offline runs, trackio's database.

Each is written anew from metrics.jsonl when a run begins or goes on (``runtime.following``, in a process of its own), so that it holds
each step once, whatever happened before. All paths are relative to the run directory, which is the present folder.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import textwrap
import time
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
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = Event, Summary
        self._writer = EventFileWriter(str(folder))
        # The text view reads Markdown, which leaves alone what is indented.
        text = textwrap.indent(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), "    ")
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
        self._add(time.time(), 0, [Summary.Value(tag="config", metadata=metadata, tensor=tensor)])

    def _add(self, wall_time: float, step: int, values: list[Any]) -> None:
        self._writer.add_event(self._event(wall_time=wall_time, step=step, summary=self._summary(value=values)))

    def write(self, rows: Sequence[Tracked]) -> None:
        for row in rows:
            numbers = {name: math.nan if value is None else value for name, value in row.values.items()}
            values = [self._summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
            self._add(row.time, row.step, values)
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
        import wandb

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
        from trackio.sqlite_storage import SQLiteStorage

        # As trackio imports from other programs; its log() says nothing of rows that could not be written.
        self._storage = SQLiteStorage
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
