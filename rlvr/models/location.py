"""What ``model:`` names: a run directory, a checkpoint or Hugging Face directory, a GGUF file or a hub name. No torch."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlvr.errors import RlvrError
from rlvr.models.vetting import stored_tensors, vet
from rlvr.runtime.manifest import damage
from rlvr.runtime.saved import is_checkpoint, newest_whole


@dataclass(frozen=True, kw_only=True)
class ModelLocation:
    """Where weights are: a directory, a GGUF file (``path`` is its folder, ``file`` its name) or a hub name.

    passed: the damaged checkpoints of a run, each with what is wrong with it, that are newer than the one that is taken.
    """

    kind: Literal["directory", "gguf", "hub"]
    path: str
    file: str | None = None
    passed: tuple[str, ...] = ()


def locate(model: str) -> ModelLocation | None:
    """Find what a ``model:`` value names; None if it looks like a local path at which nothing is yet.

    Raises RlvrError for an address, for a path that exists and holds no model, and for a checkpoint that is damaged.
    """
    if "://" in model:
        raise RlvrError("model", "is an address", got=model, remedy="give a path or a name on the hub, owner/name")
    path = Path(model).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise RlvrError(
                "model", "is a file, but not a GGUF file", got=model, remedy="give a directory or a .gguf file"
            )
        return ModelLocation(kind="gguf", path=str(path.parent), file=path.name)
    if path.is_dir():
        return _directory(path)
    return None if looks_local(model) else ModelLocation(kind="hub", path=model)


def looks_local(model: str) -> bool:
    """Whether a ``model:`` value is a path rather than a hub name, ``owner/name``."""
    path = Path(model).expanduser()
    written_as_path = path.is_absolute() or model.startswith((".", "~", "runs/")) or model.count("/") != 1
    return written_as_path or Path(path.parts[0]).is_dir()


def _directory(path: Path) -> ModelLocation:
    """The directory that holds the weights: the path itself or its newest whole checkpoint."""
    passed: tuple[str, ...] = ()
    if (path / "config.yaml").exists():
        newest = newest_whole(path / "checkpoints")
        if newest is None:
            raise RlvrError(
                "model", "is a run without a checkpoint yet", got=str(path), remedy="let that run reach one"
            )
        path, passed = newest.folder, newest.passed
    elif is_checkpoint(path) and (reason := damage(path)) is not None:
        raise RlvrError(
            "model",
            f"is a damaged checkpoint: {reason}",
            got=str(path),
            remedy="name another; if it was changed on purpose, delete its manifest.json and state.json: it is a plain model then",
        )
    if not (path / "config.json").is_file():
        raise RlvrError("model", "is a directory without config.json", got=str(path), remedy="give a model's directory")
    if not list(path.glob("model*.safetensors")):
        raise RlvrError(
            "model",
            "is a directory without weights in model*.safetensors",
            got=str(path),
            remedy="save the model with safetensors (pickled weights are never read)",
        )
    vet(path)
    return ModelLocation(kind="directory", path=str(path), passed=passed)


def object_in(file: Path) -> dict[str, Any] | None:
    """The JSON object in a model's file; None if there is none: loading the model says what is wrong with it."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def vocabulary_in(location: ModelLocation) -> object | None:
    """The tokens with their ids that a directory's tokenizer.json gives, to be compared; None if there is no such file."""
    file = Path(location.path) / "tokenizer.json"
    tree = object_in(file) if location.kind == "directory" else None
    if tree is None:
        return None
    try:
        return tree["model"]["vocab"], {token["content"]: token["id"] for token in tree["added_tokens"]}
    except (KeyError, TypeError):
        return None  # a file that transformers may read and we do not; it is compared when it is loaded


def count_parameters(location: ModelLocation) -> int | None:
    """Parameters in a directory's safetensors files, read from their headers alone; None for other kinds."""
    if location.kind != "directory":
        return None
    return sum(math.prod(tensor.shape) for tensor in stored_tensors(Path(location.path)).values())
