"""The run directory: config.yaml, environment.json, metrics.jsonl, rollouts/, checkpoints/ (docs/architecture.md)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self

from rlvr.config import StageConfig
from rlvr.config_file import differences, dump, read_mapping, resolved
from rlvr.errors import RlvrError
from rlvr.runtime.files import Writing, write_atomically, write_json
from rlvr.runtime.saved import STATE, newest_whole, recover, remove_leftovers, step_folders
from rlvr.runtime.written import read_object

LOCK, INPUTS, WARNINGS = ".lock", "inputs.json", "warnings.json"

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
        """Whether training is done: the newest whole checkpoint is of the last step and its metrics are written."""
        newest = newest_whole(self.checkpoints)
        if newest is None:
            return False
        state = json.loads((newest.folder / STATE).read_text(encoding="utf-8"))
        return bool(state["step"] == max_steps and state["row"] is None)

    def rollouts(self, step: int) -> Path:
        """Where the rollouts of a step are written."""
        return self.path / "rollouts" / f"step_{step:06d}.jsonl"

    def study(self, step: int) -> Path:
        """Where what models make of a step's rollouts is written."""
        return self.path / "study" / f"step_{step:06d}.jsonl"


def open_run(path: Path, config: StageConfig, inputs: dict[str, str], *, fresh: bool) -> RunDirectory:
    """Make the run directory, or open the one that the same configuration began.

    inputs: the SHA-256 of every file the run learns or starts from, by path. fresh: move an existing run aside first.
    What a crash left half done is undone. Raises RlvrError if the path cannot be written, is in use by another process, is
    not a run directory, was made from another configuration or other inputs (what differs is named), or if all of its
    checkpoints are damaged.
    """
    if any("\ud800" <= character <= "\udfff" for character in str(path.absolute())):
        raise RlvrError(str(path), "is no UTF-8, which weights are saved under", remedy="choose another with --run")
    try:
        if fresh and path.exists():
            _move_aside(path)
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not _is_run(path):
            raise RlvrError(str(path), "is a folder with other files", remedy="choose another with --run")
        _refuse_links(path)
        with contextlib.ExitStack() as held:
            lock = _take_lock(path)
            held.callback(os.close, lock)
            for folder in (path / "checkpoints", path / "rollouts"):
                folder.mkdir(exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()  # rather now than when a step is done
            _compare_or_write(path, config, inputs)
            for folder in (path, path / "rollouts", path / "study"):
                remove_leftovers(folder)
            recover(path / "checkpoints")
            held.pop_all()
    except OSError as error:
        raise RlvrError(
            str(path), f"cannot be a run directory: {error.strerror}", remedy="choose another with --run"
        ) from None
    return RunDirectory(path=path, lock=lock)


def reopen_run(path: Path) -> RunDirectory:
    """Open a run directory that is there, to add to what it holds; what the run itself wrote is left alone.

    Raises RlvrError if the path cannot be written, holds a link, or is in use by another process.
    """
    _refuse_links(path)
    try:
        lock = _take_lock(path)
    except OSError as error:
        raise RlvrError(str(path), f"cannot be written: {error.strerror}") from None
    remove_leftovers(path / "study")
    return RunDirectory(path=path, lock=lock)


def _refuse_links(path: Path) -> None:
    """RlvrError if what a run writes would land elsewhere."""
    inside = ("*", "checkpoints/*", "checkpoints/.*", "rollouts/*", "study/*", "tracking/*", "tracking/.*")
    for entry in (entry for pattern in inside for entry in path.glob(pattern)):
        if entry.is_symlink():
            raise RlvrError(
                str(path),
                f"holds a link ({entry.name}), and a run writes inside its folder alone",
                remedy="put the folder or file itself there, or make the whole run directory a link",
            )


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").exists() or (path / LOCK).exists()


def _move_aside(path: Path) -> None:
    """Rename a run that no process is in to the first free name beside it."""
    if not _is_run(path):
        raise RlvrError(
            str(path), "is no run directory, so --fresh leaves it alone", remedy="choose another with --run"
        )
    _refuse_links(path)
    lock = _take_lock(path)
    try:
        path.rename(free_name(path))
    finally:
        os.close(lock)


def _take_lock(path: Path) -> int:
    """The open lock file of a run. RlvrError if another process has it."""
    lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    with contextlib.ExitStack() as held:
        held.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode().strip() or "unknown"
            raise RlvrError(
                str(path), f"is in use by process {owner}", remedy="wait for it or choose another with --run"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        held.pop_all()
    return lock


def free_name(path: Path) -> Path:
    """Where to move what is in the way: beside it, with the first free number."""
    return next(p for n in range(1, 10**6) if not (p := path.with_name(f"{path.name}.old{n}")).exists())


def _compare_or_write(path: Path, config: StageConfig, inputs: dict[str, str]) -> None:
    """Write what the run is made from, or compare with it once the run has something to lose."""
    file = path / "config.yaml"
    begun = step_folders(path / "checkpoints") or (path / "metrics.jsonl").exists()
    if not file.exists() or not begun:
        write_atomically(file, dump(config))
        write_json(path / INPUTS, inputs)
        return
    try:
        made_from = read_mapping(file)
    except RlvrError as error:
        remedy = "choose another directory with --run, or move this one aside with --fresh"
        raise RlvrError(str(path), f"what it was made from cannot be read ({error})", remedy=remedy) from None
    changed = differences(made_from, resolved(config))
    if changed:
        raise RlvrError(
            str(path),
            f"was made from another configuration ({'; '.join(changed[:8])})",
            remedy="choose another directory with --run, or move this one aside with --fresh",
        )
    old = read_object(path / INPUTS) if (path / INPUTS).exists() else inputs
    if other := [name for name in {**old, **inputs} if old.get(name) != inputs.get(name)]:
        raise RlvrError(
            str(path),
            f"was made from other contents of {', '.join(other[:4])}",
            remedy="put them back, choose another directory with --run, or move this one aside with --fresh",
        )


def record_warnings(run: RunDirectory, warnings: list[str]) -> None:
    """Write what was warned of before the run began: lines that were skipped, settings that are unwise."""
    if warnings:
        with Writing(run.path / WARNINGS):
            write_json(run.path / WARNINGS, warnings)


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
        return differences({key: value for key, value in read_object(file).items() if key in now}, now)
    program = Path(sys.argv[0]).name
    command = ["rlvr" if program == "__main__.py" else program, *sys.argv[1:]]
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with Writing(file):
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
