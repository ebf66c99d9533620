"""Files that are whole or absent, and what it means for a run when one cannot be written."""

import contextlib
import errno
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rlvr.errors import RlvrError, TrainingStoppedError, out_of_memory

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust (safetensors, tokenizers) name the operating system's error in their own."""


@dataclass(frozen=True)
class Writing:
    """Inside, something of a run is written to a path. If the system refuses, a TrainingStoppedError says where and why."""

    path: Path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        number = _os_error(value)
        if number is None:
            return
        full = number in NO_SPACE
        raise TrainingStoppedError(
            f"{self.path}: {'no space left' if full else 'cannot be written'} ({os.strerror(number)}); what was saved before is "
            f"kept; {'make room' if full else 'mend that'} and run the same command again to go on"
        ) from value


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Inside, what the user named is read. RlvrError names the file that the system does not give, and says why."""
    try:
        yield
    except OSError as error:
        if out_of_memory(error) is not None:
            raise
        where = error.filename if isinstance(error.filename, str) else str(path)
        raise RlvrError(where, f"cannot be read: {error.strerror or error}") from None


def _os_error(error: BaseException | None) -> int | None:
    """The number of the operating system's error behind an exception; None if there is none."""
    if isinstance(error, OSError):
        return error.errno
    found = OS_ERROR.search(str(error))
    return None if found is None else int(found[1])


def write_atomically(path: Path, text: str) -> None:
    """Write a whole text file or nothing: aside, synced, then renamed. Half a character is written as JSON and YAML escape it."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):  # it was renamed
            os.unlink(aside)


def write_json(path: Path, value: Any) -> None:
    """One JSON object, indented for people."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """One JSON object a line."""
    write_atomically(path, "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))


def sync(path: Path) -> None:
    """Make what is in a file, or which names are in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
