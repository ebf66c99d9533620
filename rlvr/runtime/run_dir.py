"""The run directory: config.yaml, environment.json, metrics.jsonl, rollouts/, checkpoints/ (docs/architecture.md)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from rlvr.config import StageConfig
from rlvr.config_file import differences, dump, read_text
from rlvr.errors import RlvrError
from rlvr.runtime.files import write_atomically, write_json

STATE = "state.json"
"""The file that makes a checkpoint's folder a whole one."""

STEP = re.compile("step_[0-9]+")
LOCK, INPUTS = ".lock", "inputs.json"

PACKAGES = ("rlvr", "torch", "transformers", "tokenizers", "safetensors", "numpy", "pydantic")


@dataclass(frozen=True, kw_only=True)
class RunDirectory:
    """An open run directory; as a context manager it gives its lock back."""

    path: Path
    lock: int

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.lock)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def finished(self, max_steps: int) -> bool:
        """Whether training is done: the newest checkpoint is of the last step and its metrics are written."""
        found = finished_checkpoints(self.checkpoints)
        if not found:
            return False
        state = json.loads((found[-1] / STATE).read_text(encoding="utf-8"))
        return bool(state["step"] == max_steps and state["row"] is None)

    def rollouts(self, step: int) -> Path:
        """Where the rollouts of a step are written."""
        return self.path / "rollouts" / f"step_{step:06d}.jsonl"


def finished_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    found = [path for path in folder.glob("step_*") if STEP.fullmatch(path.name) and (path / STATE).exists()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step_")))


def open_run(path: Path, config: StageConfig, inputs: dict[str, str], *, fresh: bool) -> RunDirectory:
    """Make the run directory, or open the one that the same configuration began.

    inputs: the SHA-256 of every file the run learns or starts from, by path. fresh: move an existing run aside first.
    Raises RlvrError if the path cannot be written, is in use by another
    process, is not a run directory, or was made from another configuration or other inputs (what differs is named).
    """
    try:
        if fresh and path.exists():
            _move_aside(path)
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not _is_run(path):
            raise RlvrError(str(path), "is a folder with other files", remedy="choose another with --run")
        with contextlib.ExitStack() as held:
            lock = _take_lock(path)
            held.callback(os.close, lock)
            (path / "checkpoints").mkdir(exist_ok=True)
            (path / "rollouts").mkdir(exist_ok=True)
            for leftover in (*path.glob(".tmp-*"), *path.glob("rollouts/.tmp-*")):
                leftover.unlink()  # its process was killed while it wrote
            _compare_or_write(path, config, inputs)
            held.pop_all()
    except OSError as error:
        raise RlvrError(
            str(path), f"cannot be a run directory: {error.strerror}", remedy="choose another with --run"
        ) from None
    return RunDirectory(path=path, lock=lock)


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").exists() or (path / LOCK).exists()


def _move_aside(path: Path) -> None:
    """Rename a run that no process is in to the first free name beside it."""
    if not _is_run(path):
        raise RlvrError(
            str(path), "is no run directory, so --fresh leaves it alone", remedy="choose another with --run"
        )
    lock = _take_lock(path)
    try:
        path.rename(_free_name(path))
    finally:
        os.close(lock)


def _take_lock(path: Path) -> int:
    """The open lock file of a run. RlvrError if another process has it."""
    lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(lock, 32, 0).decode().strip() or "unknown"
        os.close(lock)
        raise RlvrError(
            str(path), f"is in use by process {owner}", remedy="wait for it or choose another with --run"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _free_name(path: Path) -> Path:
    """Where to move an old run: beside it, with the first free number."""
    return next(p for n in range(1, 10**6) if not (p := path.with_name(f"{path.name}.old{n}")).exists())


def _compare_or_write(path: Path, config: StageConfig, inputs: dict[str, str]) -> None:
    """Write what the run is made from, or compare with it once the run has something to lose."""
    file = path / "config.yaml"
    begun = finished_checkpoints(path / "checkpoints") or (path / "metrics.jsonl").exists()
    if not file.exists() or not begun:
        write_atomically(file, dump(config))
        write_json(path / INPUTS, inputs)
        return
    changed = differences(_read_config(file), yaml.safe_load(dump(config)))
    if changed:
        raise RlvrError(
            str(path),
            f"was made from another configuration ({'; '.join(changed[:8])})",
            remedy="choose another directory with --run, or move this one aside with --fresh",
        )
    old = json.loads((path / INPUTS).read_text(encoding="utf-8")) if (path / INPUTS).exists() else inputs
    if other := [name for name in {**old, **inputs} if old.get(name) != inputs.get(name)]:
        raise RlvrError(
            str(path),
            f"was made from other contents of {', '.join(other[:4])}",
            remedy="put them back, choose another directory with --run, or move this one aside with --fresh",
        )


def _read_config(file: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(read_text(file))
    except yaml.YAMLError:
        tree = None
    if not isinstance(tree, dict):
        raise RlvrError(
            str(file), "is damaged", remedy="choose another directory with --run, or move this one aside with --fresh"
        )
    return tree


def record_environment(
    run: RunDirectory, *, seed: int, device: str, threads: int, openmp_sleeps: bool, graders: dict[str, str]
) -> list[str]:
    """Write environment.json: what a result depends on beside the configuration, and no environment variables.

    openmp_sleeps: see ``runtime.device``. graders: what verdicts depend on beside this package. On a resumed run the file stays, and what differs from it is returned: there, exactness is lost.
    """
    now = {
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "threads": threads,
        "openmp_sleeps": openmp_sleeps,
        "seed": seed,
        "graders": graders,
    }
    file = run.path / "environment.json"
    if file.exists():
        return differences(
            {key: value for key, value in json.loads(file.read_text(encoding="utf-8")).items() if key in now}, now
        )
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    write_json(file, {**now, "git_revision": _git_revision(), "command": command, "started": started})
    return []


def _git_revision() -> str | None:
    """The revision of the source that runs, with -dirty for local changes; None outside a checkout."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
