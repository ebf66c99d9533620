"""What a ``model:`` value names."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from rlvr.errors import RlvrError
from rlvr.models.location import ModelLocation, count_parameters, locate
from rlvr.runtime.manifest import seal


def make_model(folder):
    """A directory with a model of 2 x 3 + 4 = 10 parameters."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    tensors = {"matrix": torch.zeros(2, 3), "vector": torch.zeros(4)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def make_run(path, *steps):
    """A run directory whose newest checkpoint is the last of the steps."""
    (path / "checkpoints").mkdir(parents=True)
    (path / "config.yaml").write_text("seed: 0\n")
    for step in steps:
        make_model(path / "checkpoints" / step)
        (path / "checkpoints" / step / "state.json").write_text("{}")
        seal(path / "checkpoints" / step)
        (path / "checkpoints" / "latest").write_text(step + "\n")
    return path


def test_a_run_is_its_latest_checkpoint(tmp_path):
    run = make_run(tmp_path / "run", "step_000002", "step_000010")
    assert locate(str(run)) == ModelLocation(kind="directory", path=str(run / "checkpoints" / "step_000010"))


def test_a_checkpoint_is_itself(tmp_path):
    run = make_run(tmp_path / "run", "step_000002", "step_000010")
    older = run / "checkpoints" / "step_000002"
    assert locate(str(older)) == ModelLocation(kind="directory", path=str(older))


def test_a_run_whose_newest_checkpoint_is_damaged_is_the_one_before(tmp_path):
    run = make_run(tmp_path / "run", "step_000002", "step_000010")
    (run / "checkpoints" / "step_000010" / "state.json").write_text("")
    assert locate(str(run)) == ModelLocation(
        kind="directory",
        path=str(run / "checkpoints" / "step_000002"),
        passed=("step_000010: state.json is 2 bytes short",),
    )


def test_a_damaged_checkpoint_is_refused_by_name(tmp_path):
    run = make_run(tmp_path / "run", "step_000002", "step_000010")
    newest = run / "checkpoints" / "step_000010"
    (newest / "manifest.json").unlink()
    with pytest.raises(RlvrError, match=r"is a damaged checkpoint: manifest\.json is missing"):
        locate(str(newest))
    (newest / "state.json").unlink()
    assert locate(str(newest)) == ModelLocation(kind="directory", path=str(newest))


def test_a_hugging_face_directory_is_itself(tmp_path):
    folder = make_model(tmp_path / "model")
    assert locate(str(folder)) == ModelLocation(kind="directory", path=str(folder))


def test_a_gguf_file_is_its_folder_and_name(tmp_path):
    (tmp_path / "tiny.gguf").touch()
    assert locate(str(tmp_path / "tiny.gguf")) == ModelLocation(kind="gguf", path=str(tmp_path), file="tiny.gguf")


def test_two_names_with_a_slash_are_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("someone/model") == ModelLocation(kind="hub", path="someone/model")


def test_two_names_with_a_slash_are_a_path_if_the_first_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "someone").mkdir()
    assert locate("someone/model") is None


@pytest.mark.parametrize("name", ["runs/first", "./model", "/no/such/model", "model", "a/b/c"])
def test_nothing_is_at_a_path_yet(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate(name) is None


def test_a_home_directory_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = make_model(tmp_path / "model")
    assert locate("~/model") == ModelLocation(kind="directory", path=str(folder))


def test_a_run_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(RlvrError, match="run without a checkpoint"):
        locate(str(make_run(tmp_path / "run")))


def test_a_directory_without_a_config_is_refused(tmp_path):
    (make_model(tmp_path / "model") / "config.json").unlink()
    with pytest.raises(RlvrError, match=r"without config\.json"):
        locate(str(tmp_path / "model"))


def test_a_directory_without_safetensors_is_refused_even_if_it_holds_pickled_weights(tmp_path):
    folder = make_model(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(RlvrError, match=r"without weights in model\*\.safetensors"):
        locate(str(folder))


def test_an_optimizers_tensors_are_no_weights(tmp_path):
    folder = make_model(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "optimizer.safetensors")
    with pytest.raises(RlvrError, match=r"without weights in model\*\.safetensors"):
        locate(str(folder))


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "model.bin").touch()
    with pytest.raises(RlvrError, match="not a GGUF file"):
        locate(str(tmp_path / "model.bin"))


def test_parameters_are_counted_over_all_shards_and_without_the_optimizers(tmp_path):
    folder = make_model(tmp_path / "model")
    save_file({"more": torch.zeros(5)}, folder / "model-00002-of-00002.safetensors")
    save_file({"moment": torch.zeros(7)}, folder / "optimizer.safetensors")
    assert count_parameters(locate(str(folder))) == 10 + 5


def test_parameters_on_the_hub_are_not_known():
    assert count_parameters(ModelLocation(kind="hub", path="someone/model")) is None


HEADER = json.dumps({"matrix": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
DAMAGED = {
    "empty file": b"",
    "length cut off": b"\x10\x00\x00",
    "length without bound": struct.pack("<Q", 2**63) + HEADER,
    "header cut off": struct.pack("<Q", len(HEADER)) + HEADER[:-5],
    "not text": struct.pack("<Q", 4) + b"\xff\xfe\xff\xfe",
    "a flipped letter": struct.pack("<Q", len(HEADER)) + HEADER.replace(b"shape", b"shbpe"),
    "not an object": struct.pack("<Q", 2) + b"[]",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_header_is_the_users_error(content, tmp_path):
    folder = make_model(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(RlvrError, match=r"model\.safetensors: is not a safetensors file"):
        count_parameters(ModelLocation(kind="directory", path=str(folder)))
