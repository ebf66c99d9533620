"""manifest.json: size and SHA-256 of every file of a checkpoint, by which a whole one is told from a damaged one. No torch."""

import errno
import functools
import hashlib
import json
import stat
from pathlib import Path, PurePosixPath
from typing import Any

from rlvr.runtime.files import write_atomically

MANIFEST = "manifest.json"

_UNREADABLE = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EACCES, errno.EPERM, errno.EIO),
)
"""What the file is to blame for when it cannot be read, rather than this process (too many open files, no memory)."""


def seal(folder: Path) -> None:
    """Write the manifest of a folder's files. It is the last file that is written into the folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / MANIFEST)
    entries = {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": _hash(file)} for file in files
    }
    write_atomically(folder / MANIFEST, _text(entries))


def damage(folder: Path) -> str | None:
    """What is wrong with a sealed folder, naming the file: ``model.safetensors is 1 byte short``; None if it is whole.

    Files that the manifest does not list are not looked at. Raises OSError if this process lacks the means to read.
    """
    name = MANIFEST
    try:
        entries = None if _is_odd(folder / MANIFEST) else _entries((folder / MANIFEST).read_bytes())
        if entries is None:
            return f"{MANIFEST} is damaged"
        for name, entry in entries.items():
            if reason := _difference(folder / name, entry["bytes"], entry["sha256"]):
                return f"{name} {reason}"
    except OSError as error:
        if error.errno not in _UNREADABLE:
            raise
        return f"{name} is missing" if error.errno == errno.ENOENT else f"{name} cannot be read: {error.strerror}"
    return None


def sha256(file: Path) -> str:
    """The SHA-256 of a file, computed once in a process for as long as the file is not written to."""
    now = file.stat()
    return _remembered(file, now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _remembered(file: Path, *_identity: int) -> str:
    return _hash(file)


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _difference(file: Path, size: int, digest: str) -> str | None:
    """How a file differs from what was saved."""
    if _is_odd(file):
        return "is no file"
    more = file.stat().st_size - size
    if more:
        return f"is {abs(more):,} byte{'' if abs(more) == 1 else 's'} {'short' if more < 0 else 'too long'}"
    return None if sha256(file) == digest else "has other contents than were saved"


def _is_odd(file: Path) -> bool:
    """Whether something else is in a file's place, such as a pipe, which could be waited for without end."""
    return not stat.S_ISREG(file.stat().st_mode)


def _entries(raw: bytes) -> dict[str, dict[str, Any]] | None:
    """The files that a manifest lists; None unless it is, byte for byte, one that ``seal`` writes."""
    try:
        entries = json.loads(raw)["files"]
        whole = all(map(_inside, entries)) and all(
            set(entry) == {"bytes", "sha256"} and type(entry["bytes"]) is int for entry in entries.values()
        )
        return entries if whole and _text(entries).encode() == raw else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _inside(name: str) -> bool:
    """Whether a name can be that of a file in the folder. ValueError if no file system could write it."""
    path = PurePosixPath(name)
    return b"\0" not in name.encode() and not path.is_absolute() and ".." not in path.parts


def _text(entries: dict[str, dict[str, Any]]) -> str:
    return json.dumps({"files": entries}, indent=2) + "\n"
