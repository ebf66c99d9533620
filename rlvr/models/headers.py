"""The headers of safetensors files: which tensors they hold, checked before any is read. No torch."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from rlvr.errors import RlvrError
from rlvr.runtime.files import reading

MAX_HEADER_BYTES = 10_000_000
"""Of one file; a hundred times what a model's shard has."""
MAX_TENSORS = 50_000
FLOATING = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One tensor of a file."""

    dtype: str
    shape: tuple[int, ...]


def read_header(file: Path) -> dict[str, Stored]:
    """The tensors of a safetensors file by name. RlvrError if its header is damaged, too large, or does
    not fit the file, or if it cannot be read."""
    with reading(file), file.open("rb") as stream:
        raw = stream.read(8)
        length = struct.unpack("<Q", raw)[0] if len(raw) == 8 else None
        if length is None or length > file.stat().st_size - 8:
            raise _damaged(file, "its header is longer than the file")
        if length > MAX_HEADER_BYTES:
            raise RlvrError(str(file), f"has a header of more than {MAX_HEADER_BYTES} bytes", got=length)
        text = stream.read(length)
    try:
        with safe_open(file, framework="np"):  # the library's own check of types, shapes and places
            header = json.loads(text)
    except (SafetensorError, ValueError, RecursionError) as error:
        raise _damaged(file, str(error).splitlines()[0][:200]) from None
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise RlvrError(str(file), f"holds more than {MAX_TENSORS} tensors", got=len(header))
    return {name: Stored(dtype=entry["dtype"], shape=tuple(entry["shape"])) for name, entry in header.items()}


def _damaged(file: Path, what: str) -> RlvrError:
    return RlvrError(str(file), f"is not a safetensors file: its header is damaged ({what})")
