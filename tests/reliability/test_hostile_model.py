"""Model directories that attack: nothing of them is run, nothing outside them is read, and they are refused in one line."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TRAIN, World, call, write_config
from safetensors.torch import load_file, save_file

PAYLOAD = "import pathlib; pathlib.Path({marker!r}).touch()\n"


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def edit(file: Path, **changes: Any) -> None:
    """Set keys of a JSON file; None removes one."""
    tree = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in tree.items() if value is not None}))


def write_header(file: Path, header: bytes, data: bytes = b"", length: int | None = None) -> None:
    file.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


# -------------------------------------------------------------------------------------------- pickles and code


def bomb(file: Path, marker: Path) -> None:
    file.write_bytes(pickle.dumps(Bomb(marker)))


CODE = {
    "modeling_x.py": {"AutoConfig": "modeling_x.XConfig", "AutoModelForCausalLM": "modeling_x.XModel"},
    "tokenization_x.py": {"AutoTokenizer": ["tokenization_x.X", "tokenization_x.X"]},
}


@pytest.mark.check("R24")
@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "model.pkl", "adapter_model.bin", "optimizer.pt", "rng_state.pth"]
)
def test_pickled_weights_are_never_read(
    name: str, folder: Path, config: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Beside good weights they are left alone; instead of them they are refused."""
    bomb(folder / name, tmp_path / "marker")
    assert call("eval", config, "--run", tmp_path / "run").code == 0
    (folder / "model.safetensors").unlink()
    line = refused("eval", config, "--run", tmp_path / "run2")
    assert "pickled weights are never read" in line
    assert not (tmp_path / "marker").exists()


@pytest.mark.check("R24")
@pytest.mark.parametrize("name", ["model.pt", "model.bin", "model.pkl", "model.safetensors"])
def test_a_pickle_that_is_named_as_the_model_is_refused(
    name: str, config: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    bomb(tmp_path / name, tmp_path / "marker")
    refused("eval", config, "--set", f"model={tmp_path / name}")
    assert not (tmp_path / "marker").exists()


@pytest.mark.check("R24")
def test_a_pickle_by_the_name_of_safetensors_is_refused(
    folder: Path, config: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    bomb(folder / "model.safetensors", tmp_path / "marker")
    assert "is not a safetensors file" in refused("eval", config)
    assert not (tmp_path / "marker").exists()


@pytest.mark.check("R24")
@pytest.mark.parametrize("name", ["optimizer.safetensors", "source.safetensors", "optimizer.pt"])
def test_a_pickle_in_a_checkpoint_is_never_run(world: World, tmp_path: Path, name: str) -> None:
    shutil.copytree(world.runs["rl"], tmp_path / "run")
    bomb(tmp_path / "run" / "checkpoints" / "step_000006" / name, tmp_path / "marker")
    answer = call("rl", world.configs["rl"], "--run", tmp_path / "run")
    assert answer.code in (0, 2)
    assert not (tmp_path / "marker").exists()


@pytest.mark.check("R24")
@pytest.mark.parametrize("name", ["data.pkl", "data.jsonl", "data.pt", "data.parquet"])
def test_a_pickled_data_set_is_refused(world: World, tmp_path: Path, name: str, refused: Callable[..., str]) -> None:
    bomb(tmp_path / name, tmp_path / "marker")
    task = f"{{name: problems, path: '{tmp_path / name}'}}"
    assert name in refused("rl", world.configs["rl"], "--set", f"task={task}")
    text = {"model": str(world.runs["pretrain"]), "data": {"sources": [{"text": str(tmp_path / name)}]}, "train": TRAIN}
    assert name in refused("sft", write_config(tmp_path / "sft.yaml", text), "--run", tmp_path / "run")
    assert not (tmp_path / "marker").exists()


@pytest.mark.check("R24")
@pytest.mark.parametrize("trust", [False, True])
def test_code_of_an_unknown_architecture_is_never_run(
    folder: Path, config: Path, tmp_path: Path, trust: bool, refused: Callable[..., str]
) -> None:
    for file, names in CODE.items():
        (folder / file).write_text(PAYLOAD.format(marker=str(tmp_path / "marker")))
        target = folder / ("config.json" if "AutoConfig" in names else "tokenizer_config.json")
        edit(target, auto_map=names, trust_remote_code=True if trust else None)
    edit(folder / "config.json", model_type="x", architectures=["XModel"])
    assert "code that comes with a model is never run" in refused("eval", config)
    assert not (tmp_path / "marker").exists()


@pytest.mark.check("R24")
@pytest.mark.parametrize("trust", [False, True])
def test_code_beside_a_known_architecture_is_left_alone(
    folder: Path, config: Path, tmp_path: Path, trust: bool
) -> None:
    for file, names in CODE.items():
        (folder / file).write_text(PAYLOAD.format(marker=str(tmp_path / "marker")))
        target = folder / ("config.json" if "AutoConfig" in names else "tokenizer_config.json")
        edit(target, auto_map=names, trust_remote_code=True if trust else None)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(PAYLOAD.format(marker=str(tmp_path / "marker")))
    for engine in ("native", "hf"):
        answer = call("eval", config, "--run", tmp_path / engine, "--set", f"rollout.engine={engine}")
        assert answer.code == 0, answer.err
    assert not (tmp_path / "marker").exists()


@pytest.mark.check("R24")
@pytest.mark.parametrize("key", ["trust_remote_code", "model.trust_remote_code", "prompt.trust_remote_code"])
def test_no_key_turns_it_on(world: World, key: str, refused: Callable[..., str]) -> None:
    assert key in refused("eval", world.configs["eval"], "--set", f"{key}=true")


ELSEWHERE: dict[str, dict[str, Any]] = {
    "a kernel of the hub": {"attn_implementation": "kernels-community/flash-attn"},
    "a kernel under the older name": {"_attn_implementation": "evil/kernel:run"},
    "flash attention, which may be fetched": {"attn_implementation": "flash_attention_2"},
    "a kernel for a section": {"text_config": {"attn_implementation": "a/b"}},
    "a kernel by section": {"attn_implementation": {"": "a/b"}},
    "experts of the hub": {"experts_implementation": "a/b"},
    "a quantizer": {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
    "a quantizer's package": {"quantization_config": {"quant_method": "quark", "custom_module": "os"}},
    "weights elsewhere": {"transformers_weights": "../other.safetensors"},
    "pickled weights": {"transformers_weights": "adapter_model.bin"},
}


@pytest.mark.check("R24")
@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_would_be_fetched_or_imported_is_refused(
    name: str, folder: Path, config: Path, refused: Callable[..., str]
) -> None:
    edit(folder / "config.json", **ELSEWHERE[name])
    assert refused("eval", config).startswith("error: model: cannot be loaded: its config.json has ")


@pytest.mark.check("R24")
def test_an_adapter_is_refused(folder: Path, config: Path, refused: Callable[..., str]) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/else"}))
    assert "it is an adapter" in refused("eval", config)


# ------------------------------------------------------------------------------------------------- safetensors


def header_of(file: Path) -> tuple[dict[str, Any], bytes]:
    raw = file.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def with_header(change: Callable[[dict[str, Any], bytes], None]) -> Callable[[Path], None]:
    """Damage that changes the header and leaves the data."""

    def damage(folder: Path) -> None:
        header, data = header_of(folder / "model.safetensors")
        change(header, data)
        write_header(folder / "model.safetensors", json.dumps(header).encode(), data)

    return damage


def set_entry(**changes: Any) -> Callable[[Path], None]:
    def change(header: dict[str, Any], data: bytes) -> None:
        name = next(name for name in header if name.endswith("norm.weight"))
        header[name] = {**header[name], **changes}

    return with_header(change)


def overlap(header: dict[str, Any], data: bytes) -> None:
    first, second, *_ = [name for name in header if name != "__metadata__"]
    header[second]["data_offsets"] = header[first]["data_offsets"]


def many(header: dict[str, Any], data: bytes) -> None:
    header.update({f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(100_000)})


def reshape(name: str, tensor: torch.Tensor) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors[next(key for key in tensors if key.endswith(name))] = tensor
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


def index(shards: Any) -> Callable[[Path], None]:
    """Weights by an index; every tensor of the model in the shard that is named, or what ``shards`` is."""

    def damage(folder: Path) -> None:
        names = list(load_file(folder / "model.safetensors"))
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
        table = dict.fromkeys(names, shards) if isinstance(shards, str) else shards
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": table}))

    return damage


def outward(name: str) -> Callable[[Path], None]:
    """Make a file of the directory a link to a file outside it."""

    def damage(folder: Path) -> None:
        (folder / name).rename(folder.parent / f"outside-{name}")
        (folder / name).symlink_to(folder.parent / f"outside-{name}")

    return damage


def configure(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "config.json", **changes)


def pipe(name: str) -> Callable[[Path], None]:
    """Put a pipe, which nobody writes to, in the place of a file."""

    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return damage


def a_folder(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


def broken_index(folder: Path) -> None:
    index("x")(folder)
    (folder / "model.safetensors.index.json").write_text("{")


def grow(folder: Path) -> None:
    write_header(folder / "model.safetensors", b'{"__metadata__":{"a":"' + b"x" * 100_000_000 + b'"}}')


def size_of(folder: Path) -> int:
    return (folder / "model.safetensors").stat().st_size


DAMAGE: dict[str, Callable[[Path], None]] = {
    "header of 2^63 bytes": lambda folder: write_header(folder / "model.safetensors", b"{}", length=2**63),
    "header of 2^64 - 1 bytes": lambda folder: write_header(folder / "model.safetensors", b"{}", length=2**64 - 1),
    "header of 100 MB": grow,
    "header that is a list": lambda folder: write_header(folder / "model.safetensors", b"[]"),
    "deep header": lambda folder: write_header(folder / "model.safetensors", b"[" * 100_000),
    "empty header": lambda folder: write_header(folder / "model.safetensors", b"{}"),
    "overlapping tensors": with_header(overlap),
    "offsets beyond the end": set_entry(data_offsets=[0, 10**12]),
    "offsets the wrong way": set_entry(data_offsets=[64, 0]),
    "negative offsets": set_entry(data_offsets=[-64, 0]),
    "offsets that are text": set_entry(data_offsets=["a", "b"]),
    "a shape beyond all bounds": set_entry(shape=[2**62, 2**62]),
    "a negative shape": set_entry(shape=[-16]),
    "a shape that is text": set_entry(shape="16"),
    "no such type": set_entry(dtype="F7"),
    "integers for weights": reshape("norm.weight", torch.ones(16, dtype=torch.int32)),
    "another shape": reshape("norm.weight", torch.ones(3)),
    "100,000 tensors": with_header(many),
    "cut off": lambda folder: os.truncate(folder / "model.safetensors", 5000),
    "a byte too long": lambda folder: os.truncate(folder / "model.safetensors", size_of(folder) + 1),
    "a shard above": index("../../etc/passwd"),
    "a shard by its whole path": index("/etc/passwd"),
    "a shard beside": index("../outside.safetensors"),
    "a shard below": index("sub/model-00001-of-00001.safetensors"),
    "a missing shard": index("model-00002-of-00002.safetensors"),
    "a shard with a NUL": index("model-\0.safetensors"),
    "shards that are numbers": index({"a": 1}),
    "an index of lists": index([["a"]]),
    "an index that is not JSON": broken_index,
    "weights that lead outside": outward("model.safetensors"),
    "a configuration that leads outside": outward("config.json"),
    "a tokenizer that leads outside": outward("tokenizer.json"),
    "hidden_size 10^9": configure(hidden_size=10**9),
    "hidden_size 10^30": configure(hidden_size=10**30),
    "hidden_size text": configure(hidden_size="16"),
    "hidden_size 0": configure(hidden_size=0),
    "hidden_size negative": configure(hidden_size=-16),
    "intermediate_size 10^9": configure(intermediate_size=10**9),
    "10^6 layers": configure(num_hidden_layers=10**6),
    "layers that are a float": configure(num_hidden_layers=1.5),
    "10^9 heads": configure(num_attention_heads=10**9),
    "a vocabulary of 10^9": configure(vocab_size=10**9),
    "another vocabulary": configure(vocab_size=7),
    "heads of 10^9": configure(head_dim=10**9),
    "positions as text": configure(max_position_embeddings="many"),
    "positions as a list": configure(max_position_embeddings=[1]),
    "layers as a list": configure(num_hidden_layers=[1]),
    "heads as a list of text": configure(num_attention_heads=["2"]),
    "no widths": configure(intermediate_size=[]),
    "a pipe for a configuration": pipe("config.json"),
    "a pipe for weights": pipe("model.safetensors"),
    "a pipe beside them": pipe("tokenizer.model"),
    "a folder for weights": a_folder,
    "layer types that are a number": configure(layer_types=7),
    "rope of nonsense": configure(rope_parameters={"rope_type": "nonsense", "rope_theta": "x"}),
    "rope of text": configure(rope_parameters="x"),
    "an activation of nonsense": configure(hidden_act="__import__('os').system('id')"),
    "a model type that is a list": configure(model_type=["llama"]),
    "no model type": configure(model_type=None),
    "a tokens id of text": configure(eos_token_id="x"),
    "a configuration that is a list": write("config.json", b"[]"),
    "a deep configuration": write("config.json", b'{"a":' + b"[" * 200_000),
    "a closed deep configuration": write("config.json", b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"),
    "a configuration of 20 MB": write("config.json", b'{"a": "' + b"x" * 20_000_000 + b'"}'),
    "a number of 5000 digits": write("config.json", b'{"model_type": "llama", "hidden_size": ' + b"9" * 5000 + b"}"),
    "generation settings that are a list": write("generation_config.json", b"[1]"),
    "deep generation settings": write("generation_config.json", b"[" * 100_000),
}


@pytest.mark.check("R25")
@pytest.mark.parametrize("name", DAMAGE)
def test_a_hostile_directory_is_refused_in_one_line(
    name: str, folder: Path, config: Path, refused: Callable[..., str]
) -> None:
    DAMAGE[name](folder)
    line = refused("eval", config)
    assert len(line) < 2000
    assert "root:" not in line


MEASURE = """
import re, sys, time
import rlvr.stages.evaluate, rlvr.preflight
from rlvr.cli import app
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before, started = peak(), time.perf_counter()
try:
    app(["eval", sys.argv[1]])
except SystemExit as stopped:
    code = stopped.code
print(code, time.perf_counter() - started, peak() - before)
"""


@pytest.mark.check("R25")
@pytest.mark.parametrize(
    "name",
    [
        "header of 100 MB",
        "10^6 layers",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("header of 2^63 bytes", "100,000 tensors", "hidden_size 10^9")
        ),
    ],
)
def test_refusing_it_takes_little_time_and_memory(
    name: str, folder: Path, config: Path, record_property: Callable[[str, object], None]
) -> None:
    DAMAGE[name](folder)
    done = subprocess.run([sys.executable, "-c", MEASURE, config], capture_output=True, text=True, check=True)
    code, seconds, kibibytes = done.stdout.split()
    record_property("figure", f"{name}: {float(seconds):.2f} s, {int(kibibytes) >> 10} MiB")
    assert code == "2", done.stderr
    assert float(seconds) < 10
    assert int(kibibytes) << 10 < 300 << 20


@pytest.mark.check("R25")
def test_a_link_inside_a_cache_of_downloads_is_followed(folder: Path, config: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "cache" / "blobs", tmp_path / "cache" / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    shutil.copytree(folder, snapshot)
    for file in list(snapshot.iterdir()):
        file.rename(blobs / file.name)
        file.symlink_to(Path("..", "..", "blobs", file.name))
    answer = call("eval", config, "--set", f"model={snapshot}", "--run", tmp_path / "run")
    assert answer.code == 0, answer.err
