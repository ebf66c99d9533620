"""What a model's directory may hold, looked at before a library reads any of it. No torch.

A directory is data: no file of it may lead elsewhere, name code or weights to be fetched, or ask for more than it brings.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlvr.errors import RlvrError
from rlvr.models.headers import FLOATING, Stored, read_header
from rlvr.runtime.files import reading

INDEX = "model.safetensors.index.json"
OBJECTS = {
    "config.json": 10**6,
    "generation_config.json": 10**6,
    "tokenizer_config.json": 10**7,
    "special_tokens_map.json": 10**7,
    "added_tokens.json": 10**7,
    INDEX: 10**7,
}
"""The JSON objects that transformers reads beside tokenizer.json, and how many bytes each may have."""

TEMPLATE_BYTES = 10**6

ELSEWHERE = {
    "quantization_config": "quantized weights are not read; give the model that they were made from",
    "transformers_weights": "weights are read from model*.safetensors alone; remove the key",
}
"""Keys of config.json that make other files or packages matter."""

ATTENTION = ("eager", "sdpa")
SIZES = re.compile(
    "(max_position_embeddings|n_positions|vocab_size|hidden_size|intermediate_size|n_embd|head_dim|"
    "(num_(hidden_layers|attention_heads|key_value_heads|(local_)?experts))|n_layers?|n_heads?)"
)
BY_LAYER = re.compile("intermediate_size|head_dim|num_(attention_heads|key_value_heads|(local_)?experts)")
"""Sizes that may be lists, with one for each layer."""
LARGEST = 2**31


def vet(folder: Path) -> None:
    """RlvrError unless a model's directory holds only what is read as plain data, all of it inside."""
    with reading(folder):
        _vet(folder)


def _vet(folder: Path) -> None:
    _refuse_others(folder)
    if (folder / "adapter_config.json").exists():
        raise _refused(folder, "it is an adapter (adapter_config.json); merge it into its model and save that")
    trees = {name: _object(folder, name, limit) for name, limit in OBJECTS.items() if (folder / name).exists()}
    for key, value in _entries(trees.get("config.json", {})):
        _check_key(folder, key, value)
    if not (folder / "model.safetensors").exists():
        _check_index(folder, trees.get(INDEX, {}))
    for file in [*folder.glob("*.jinja"), *folder.glob("additional_chat_templates/*.jinja")]:
        if file.stat().st_size > TEMPLATE_BYTES:
            raise _refused(folder, f"its {file.name} is larger than {TEMPLATE_BYTES} bytes")


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """The tensors of a directory's model*.safetensors. RlvrError if one cannot be a model's, or they are too few for
    what its config.json describes."""
    found: dict[str, Stored] = {}
    for file in sorted(folder.glob("model*.safetensors")):
        found |= read_header(file)
    for name, tensor in found.items():
        if name.endswith(".weight") and tensor.dtype not in FLOATING:
            raise _refused(
                folder, f"its weights {name[:80]} are of type {tensor.dtype}, not one of {', '.join(FLOATING)}"
            )
    largest = max((size for tensor in found.values() for size in tensor.shape), default=0)
    for key, value in _entries(_object(folder, "config.json", OBJECTS["config.json"])):
        many = len(found) if key.endswith(("layers", "n_layer")) else max(len(found), largest)
        if key.endswith(("layers", "n_layer", "experts")) and isinstance(value, int) and value > many:
            raise _refused(folder, f"its config.json asks for {key} {value}, and its weights are {len(found)} tensors")
    return found


def _refuse_others(folder: Path) -> None:
    """Entries are files and folders: a pipe or a device may have no end. A link may lead to one of the directory, or of
    the cache of downloads that the directory is part of."""
    root = folder.resolve()
    if root.parent.name == "snapshots":
        root = root.parent.parent
    for entry in [*folder.iterdir(), *folder.glob("additional_chat_templates/*")]:
        if entry.is_symlink() and not entry.resolve().is_relative_to(root):
            raise _refused(folder, f"its {entry.name} is a link that leads out of it; copy the file there")
        if entry.exists() and not entry.is_file() and not entry.is_dir():
            raise _refused(folder, f"its {entry.name} is a device or a pipe, not a file")


def _object(folder: Path, name: str, limit: int) -> dict[str, Any]:
    file = folder / name
    if not file.is_file() or file.stat().st_size > limit:
        raise _refused(folder, f"its {name} is no file of at most {limit} bytes")
    try:
        with reading(file):
            tree = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _refused(folder, f"its {name} is not JSON ({error})") from None
    if not isinstance(tree, dict):
        raise _refused(folder, f"its {name} is not a JSON object")
    return tree


def _entries(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a configuration with its value, those of sections in it too."""
    left = [tree]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            yield from here.items()
        if isinstance(here, dict | list):
            left += here.values() if isinstance(here, dict) else here


def _check_key(folder: Path, key: str, value: Any) -> None:
    if value is None:
        return
    if key in ELSEWHERE:
        raise _refused(folder, f"its config.json has {key}: {ELSEWHERE[key]}")
    if "attn_implementation" in key and value not in ATTENTION:
        raise _refused(folder, f"its config.json has {key} {str(value)[:80]!r}; allowed: {', '.join(ATTENTION)}")
    if key.endswith("_implementation") and not re.fullmatch("[a-z0-9_]+", str(value)):
        raise _refused(folder, f"its config.json has {key} {str(value)[:80]!r}, which is not part of transformers")
    if SIZES.fullmatch(key) and not (_is_size(value) or (BY_LAYER.fullmatch(key) and _are_sizes(value))):
        raise _refused(folder, f"its config.json has {key} {str(value)[:80]}, which is no size")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_size, value))


def _check_index(folder: Path, index: dict[str, Any]) -> None:
    """Every shard is a file beside the index."""
    shards = index.get("weight_map", {})
    for shard in sorted(set(map(str, shards.values()))) if isinstance(shards, dict) else [str(shards)]:
        if not re.fullmatch(r"model[\w.-]*\.safetensors", shard) or not (folder / shard).is_file():
            raise _refused(folder, f"its {INDEX} names {shard[:80]!r}, which is none of its model*.safetensors")


def _refused(folder: Path, what: str) -> RlvrError:
    return RlvrError("model", f"cannot be loaded: {what}", got=str(folder))
