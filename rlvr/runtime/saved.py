"""The checkpoints of a run as folders: which is the newest whole one, and what a crash left beside them. No torch."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from rlvr.errors import RlvrError
from rlvr.runtime.files import sync, write_atomically
from rlvr.runtime.manifest import MANIFEST, damage

STATE, LATEST = "state.json", "latest"
ASIDE, REPLACED = ".tmp-", ".tmp-old-"
STEP = re.compile("step_[0-9]+")


@dataclass(frozen=True, kw_only=True)
class Newest:
    """The newest whole checkpoint. passed: for each newer folder, the newest first, its name and what is wrong with it."""

    folder: Path
    passed: tuple[str, ...] = ()


def step_folders(folder: Path) -> list[Path]:
    """The folders named as checkpoints are, whole or not, oldest first."""
    found = [path for path in folder.glob("step_*") if STEP.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=step_of)


def step_of(folder: Path) -> int:
    """The step after which a checkpoint was saved, by its name."""
    return int(folder.name.removeprefix("step_"))


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is a checkpoint of ours, whole or not."""
    return (folder / MANIFEST).exists() or (folder / STATE).exists()


def newest_whole(folder: Path) -> Newest | None:
    """The newest whole checkpoint in a run's folder of them; None if there are none yet.

    Raises RlvrError if there are some and all are damaged.
    """
    passed: list[str] = []
    for found in reversed(step_folders(folder)):
        reason = damage(found)
        if reason is None:
            return Newest(folder=found, passed=tuple(passed))
        passed.append(f"{found.name}: {reason}")
    if not passed:
        return None
    raise RlvrError(
        str(folder),
        f"every checkpoint is damaged ({'; '.join(passed)}), and nothing was changed",
        remedy="put one back, or begin that run anew with --fresh, which keeps the old one beside it",
    )


def recover(folder: Path) -> None:
    """Undo what a crash left half done in a run's folder of checkpoints, and let ``latest`` name the newest whole one.

    Raises RlvrError if all checkpoints are damaged.
    """
    for replaced in folder.glob(f"{REPLACED}step_*"):
        if not (final := folder / replaced.name.removeprefix(REPLACED)).exists():
            replaced.rename(final)  # the crash came between the two renames of a replacement
    remove_leftovers(folder)
    newest = newest_whole(folder)
    latest = folder / LATEST
    if newest is not None and not (latest.is_file() and latest.read_bytes() == _line(newest.folder)):
        point_at(newest.folder)


def remove(checkpoint: Path) -> None:
    """Remove a checkpoint, out of sight first, so that a crash leaves no half of it."""
    gone = checkpoint.with_name(f"{ASIDE}gone-{checkpoint.name}")
    checkpoint.rename(gone)
    shutil.rmtree(gone)


def remove_leftovers(folder: Path) -> None:
    """Remove the files and folders that were being written when a process ended."""
    for leftover in folder.glob(f"{ASIDE}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def point_at(checkpoint: Path) -> None:
    """Let ``latest`` name a checkpoint; this and the renames before it are durable then."""
    write_atomically(checkpoint.parent / LATEST, _line(checkpoint).decode())
    sync(checkpoint.parent)


def _line(checkpoint: Path) -> bytes:
    return f"{checkpoint.name}\n".encode()
